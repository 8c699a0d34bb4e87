"""Alignment of runs and bands around their middle, against numpy and scipy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from commands import run_here
from event_files import event, simple_value, write_run
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import parse_rows, read_rows

import tb2csv
from tb2csv.analysis.alignment import aligned, alignment_of
from tb2csv.analysis.bands import BANDS, RESAMPLES, SEED
from tb2csv.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path

#: What each run wrote: step, wall time and value.
Points = list[tuple[int, float, float]]
START = 1_700_000_000.0


def write_runs(folder: Path, runs: dict[str, Points], tag: str = "loss") -> Path:
    for name, points in runs.items():
        events = [event(simple_value(tag, value), step=step, wall_time=START + time) for step, time, value in points]
        write_run(folder / name, *events, wall_time=START)
    return folder


def reduced(tmp_path: Path, runs: dict[str, Points], **options: Any) -> dict[str, list[float]]:
    """Return the columns of the table that ``reduce`` writes for runs, as numbers; NaN is an empty cell."""
    log = write_runs(tmp_path / "log", runs)
    tb2csv.reduce(log, tmp_path / "out", by="s*", overwrite=True, **options)
    rows = read_rows(tmp_path / "out" / "scalars" / "loss.csv")
    return {name: [float(row[name] or "nan") for row in rows] for name in rows[0]}


def noisy(seed: int, steps: list[int]) -> Points:
    rng = np.random.default_rng(seed)
    return [(step, float(step), float(np.float32(rng.normal()))) for step in steps]


def same_steps(count: int) -> dict[str, Points]:
    return {f"s{number:02}": noisy(number, list(range(6))) for number in range(count)}


# Bands


def limits(band: str, values: list[float]) -> tuple[float, float]:
    """Return the limits of a band at one step by numpy and scipy."""
    import scipy.stats  # takes a second

    numbers = np.array(values)
    if band == "std":
        half = np.std(numbers, ddof=1)
    elif band == "stderr":
        half = scipy.stats.sem(numbers)
    elif band == "bootstrap":
        rng = np.random.default_rng(SEED)
        found = scipy.stats.bootstrap(
            (numbers,), np.mean, n_resamples=RESAMPLES, confidence_level=0.95, method="percentile", rng=rng
        ).confidence_interval
        return found.low, found.high
    elif band == "minmax":
        return numbers.min(), numbers.max()
    else:
        return np.quantile(numbers, 0.25), np.quantile(numbers, 0.75)
    return numbers.mean() - half, numbers.mean() + half


@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("count", [2, 3, 5, 11])
def test_bands_equal_those_of_scipy(band: str, count: int, tmp_path: Path) -> None:
    runs = same_steps(count)
    found = reduced(tmp_path, runs, band=band)
    expected = [limits(band, [points[step][2] for points in runs.values()]) for step in range(6)]
    np.testing.assert_allclose(np.transpose([found["low"], found["high"]]), expected, rtol=1e-12)


@pytest.mark.parametrize("band", BANDS)
def test_bands_of_runs_of_different_lengths_use_the_runs_that_are_left(band: str, tmp_path: Path) -> None:
    runs = {"s0": noisy(0, [0, 1, 2]), "s1": noisy(1, [0, 1]), "s2": noisy(2, [0, 1, 2]), "s3": noisy(3, [1])}
    found = reduced(tmp_path, runs, band=band)
    assert found["n"] == [3, 4, 2]
    for step in range(3):
        values = [value for points in runs.values() for at, _, value in points if at == step]
        np.testing.assert_allclose((found["low"][step], found["high"][step]), limits(band, values), rtol=1e-12)


@pytest.mark.parametrize(("band", "is_empty"), [(band, band in {"std", "stderr", "bootstrap"}) for band in BANDS])
def test_a_single_value_has_only_limits_that_it_can_have(band: str, is_empty: bool, tmp_path: Path) -> None:
    write_runs(tmp_path / "log", {"s0": [(0, 0.0, 2.5)]})
    tb2csv.reduce(tmp_path / "log", tmp_path / "out", by="s*", band=band)
    (row,) = read_rows(tmp_path / "out" / "scalars" / "loss.csv")
    assert row["low"] == row["high"] == ("" if is_empty else "2.5")


@pytest.mark.parametrize("band", BANDS)
def test_a_nan_makes_the_limits_of_its_step_nan_or_is_left_out(band: str, tmp_path: Path) -> None:
    runs = same_steps(3)
    runs["s01"][2] = (2, 2.0, math.nan)
    kept = reduced(tmp_path, runs, band=band)
    assert [math.isnan(low) for low in kept["low"]] == [False, False, True, False, False, False]
    omitted = reduced(tmp_path, runs, band=band, nan="omit")
    expected = limits(band, [runs["s00"][2][2], runs["s02"][2][2]])
    np.testing.assert_allclose((omitted["low"][2], omitted["high"][2]), expected, rtol=1e-12)


def test_a_bootstrap_interval_is_the_same_each_time(tmp_path: Path) -> None:
    first = reduced(tmp_path, same_steps(4), band="bootstrap")
    assert reduced(tmp_path, same_steps(4), band="bootstrap") == first


# Alignment

STEPS = st.lists(st.integers(-50, 200), min_size=1, max_size=20, unique=True)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=4))
def test_interpolation_equals_that_of_numpy(steps: list[list[int]]) -> None:
    runs = [noisy(number, sorted(own)) for number, own in enumerate(steps)]
    found = statistics(runs, "interpolate")
    grid = sorted({step for own in steps for step in own})
    assert found["step"] == grid
    for place, step in enumerate(grid):
        values = [
            np.interp(step, [at for at, *_ in points], [value for *_, value in points])
            for points in runs
            if points[0][0] <= step <= points[-1][0]
        ]
        assert found["n"][place] == len(values)
        np.testing.assert_allclose(found["mean"][place], np.mean(values), rtol=1e-9, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=4))
def test_the_nearest_value_is_that_of_a_search(steps: list[list[int]]) -> None:
    runs = [noisy(number, sorted(own)) for number, own in enumerate(steps)]
    found = statistics(runs, "nearest")
    for place, step in enumerate(found["step"]):
        values = [
            min(points, key=lambda point: (abs(point[0] - step), point[0]))[2]
            for points in runs
            if points[0][0] <= step <= points[-1][0]
        ]
        np.testing.assert_allclose(found["mean"][place], np.mean(values), rtol=1e-9, atol=1e-9)
        assert found["max"][place] == max(values)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=4), st.integers(1, 40))
def test_bins_have_the_means_of_runs(steps: list[list[int]], width: int) -> None:
    runs = [noisy(number, own) for number, own in enumerate(steps)]
    found = statistics(runs, f"bin:{width}")
    for place, start in enumerate(found["step"]):
        inside = [[value for step, _, value in points if start <= step < start + width] for points in runs]
        means = [np.mean(values) for values in inside if values]
        assert (found["n"][place], start % width) == (len(means), 0)
        np.testing.assert_allclose(found["mean"][place], np.mean(means), rtol=1e-9, atol=1e-9)
    assert sum(found["n"]) == sum(len({step // width for step in own}) for own in steps)


def statistics(runs: list[Points], align: str) -> dict[str, list[float]]:
    import polars as pl

    from tb2csv.analysis.aggregates import statistics_of

    rows = [(0, run, START + time, step, value) for run, points in enumerate(runs) for step, time, value in points]
    schema = {"series": pl.UInt32, "run": pl.UInt32, "wall_time": pl.Float64, "step": pl.Int64, "value": pl.Float64}
    return statistics_of(pl.DataFrame(rows, schema, orient="row"), alignment=alignment_of(align)).to_dict(
        as_series=False
    )


def test_runs_without_common_steps_are_aligned(tmp_path: Path) -> None:
    """The case that alignment is for: without it, n is 1 in every row."""
    runs = {"s0": [(0, 0.0, 0.0), (10, 1.0, 10.0)], "s1": [(1, 0.0, 1.0), (9, 1.0, 9.0)]}
    assert reduced(tmp_path, runs)["n"] == [1, 1, 1, 1]
    found = reduced(tmp_path, runs, align="interpolate")
    assert (found["step"], found["n"], found["mean"]) == ([0, 1, 9, 10], [1, 2, 2, 1], [0, 1, 9, 10])


def test_interpolation_keeps_the_values_at_own_steps_and_infinities(tmp_path: Path) -> None:
    runs = {"s0": [(0, 0.0, 1.0), (2, 1.0, math.inf), (4, 2.0, 5.0)], "s1": [(1, 0.0, 0.0), (3, 1.0, 0.0)]}
    found = reduced(tmp_path, runs, align="interpolate")
    assert found["max"] == [1.0, math.inf, math.inf, math.inf, 5.0]


def test_large_steps_are_compared_exactly(tmp_path: Path) -> None:
    """float64 has only every other integer here."""
    runs = {"s0": [(2**53, 0.0, 1.0), (2**53 + 1, 1.0, 2.0)], "s1": [(2**53 + 1, 0.0, 4.0)]}
    for align in ("exact", "interpolate", "nearest"):
        found = reduced(tmp_path, runs, align=align)
        assert (found["n"], found["mean"]) == ([1, 2], [1.0, 3.0]), align


@pytest.mark.parametrize(
    "text", ["bin", "bin:", "bin:0", "bin:-3", "bin:x", "bin:nan", "bin:inf", "linear", "", "Bin:3"]
)
def test_unknown_alignments_are_refused(text: str) -> None:
    with pytest.raises(OptionError):
        alignment_of(text)


def test_bins_of_steps_are_whole(tmp_path: Path) -> None:
    write_runs(tmp_path / "log", same_steps(2))
    with pytest.raises(OptionError, match="whole"):
        tb2csv.reduce(tmp_path / "log", tmp_path / "out", by="s*", align="bin:1.5")
    assert not (tmp_path / "out").exists()


# Time


def test_times_are_those_since_the_first_event_of_each_run(tmp_path: Path) -> None:
    runs = {"s0": [(0, 1.0, 1.0), (1, 3.0, 3.0)], "s1": [(0, 1.0, 11.0), (1, 2.0, 12.0), (2, 4.0, 14.0)]}
    found = reduced(tmp_path, runs, x="relative")
    assert "step" not in found
    assert found["relative_time"] == [1.0, 2.0, 3.0, 4.0]
    assert (found["n"], found["mean"]) == ([2, 2, 2, 1], [6.0, 7.0, 8.0, 14.0])


def test_bins_of_times_may_be_fractions(tmp_path: Path) -> None:
    runs = {"s0": [(0, 0.1, 1.0), (1, 0.3, 3.0), (2, 0.6, 5.0)], "s1": [(0, 0.2, 10.0), (1, 0.7, 20.0)]}
    found = reduced(tmp_path, runs, x="relative", align="bin:0.5")
    assert (found["relative_time"], found["mean"]) == ([0.0, 0.5], [6.0, 12.5])


def test_values_without_a_time_are_counted(tmp_path: Path) -> None:
    log = write_runs(tmp_path / "log", {"s0": [(0, 0.0, 1.0), (1, math.nan, 2.0), (2, 1.0, 3.0)]})
    report = tb2csv.reduce(log, tmp_path / "out", by="s*", x="relative")
    assert [note.count for note in report.notes if note.kind == "values_dateless"] == [1]
    assert [row["mean"] for row in read_rows(tmp_path / "out" / "scalars" / "loss.csv")] == ["1.0", "3.0"]


def test_event_files_of_times_are_refused(tmp_path: Path) -> None:
    log = write_runs(tmp_path / "log", same_steps(2))
    with pytest.raises(OptionError):
        tb2csv.reduce(log, tmp_path / "out", by="s*", x="relative", event_files=True)
    with pytest.raises(OptionError):
        tb2csv.reduce(log, tmp_path / "out", by="s*", x="wall")


def test_the_command_has_the_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write_runs(tmp_path / "log", {"s0": [(0, 0.0, 0.0), (4, 1.0, 4.0)], "s1": [(2, 0.0, 4.0)]})
    options = ("--by", "s*", "--align", "bin:4", "--band", "minmax")
    assert run_here(capsys, "reduce", log, tmp_path / "out", *options).status == 0
    rows = parse_rows((tmp_path / "out" / "scalars" / "loss.csv").read_text())
    assert [(row["step"], row["n"], row["low"], row["high"]) for row in rows] == [
        ("0", "2", "0.0", "4.0"),
        ("4", "1", "4.0", "4.0"),
    ]
    assert run_here(capsys, "reduce", log, tmp_path / "no", "--by", "s*", "--align", "spline").status == 2


def test_bins_of_a_tenth_of_a_second_start_at_tenths() -> None:
    times = [tenth / 10 + 0.05 for tenth in range(100)]
    values = pl.DataFrame(
        {"series": [0] * 100, "run": [0] * 100, "wall_time": times, "step": times, "value": [1.0] * 100}
    )
    starts = aligned(values, alignment_of("bin:0.1"))["step"].to_list()
    assert starts == [float(f"{tenth // 10}.{tenth % 10}") for tenth in range(100)]
