"""Plots of groups of runs: the data of their curves and bands, against numpy, and what is refused."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from commands import run_here
from event_files import event, histogram, simple_value, tensor, write_run

import tb2csv
from tb2csv.analysis.plots.grouped_series import Grouped, grouped, grouping_of
from tb2csv.analysis.plots.plotted_series import PlottedSeries, PlottedValues
from tb2csv.analysis.plots.smoothing import smoothed
from tb2csv.analysis.plots.thinning import band as thinned_band
from tb2csv.errors import LogdirError, OptionError

if TYPE_CHECKING:
    from pathlib import Path

NAN = math.nan


def series(run: str, y: list[float], x: list[float] | None = None, tag: str = "loss") -> PlottedSeries:
    return PlottedSeries(run, tag, np.array(range(len(y)) if x is None else x, float), np.array(y, float))


def group(*members: PlottedSeries, by: str = "{*}/s*", smooth: float = 0.0, x: str = "step", **more: Any) -> Grouped:
    options = {"band": None, "align": None, "nan": None, **more}
    grouping = grouping_of(by, x=x, **options)
    assert grouping
    return grouped(PlottedValues(list(members), []), grouping, smooth=smooth)


def test_a_curve_is_the_mean_and_its_band_the_deviation() -> None:
    found = group(series("a/s0", [1, 2, 3]), series("b/s0", [7]), series("a/s1", [3, 4]))
    a, b = found.values.series
    assert (a.run, a.x.tolist(), a.y.tolist()) == ("a", [0, 1, 2], [2, 3, 3])
    assert (b.run, b.y.tolist()) == ("b", [7])
    assert a.spread
    assert a.spread.n.tolist() == [2, 2, 1]
    np.testing.assert_allclose(a.spread.low, [2 - math.sqrt(2), 3 - math.sqrt(2), NAN])
    np.testing.assert_allclose(a.spread.high, [2 + math.sqrt(2), 3 + math.sqrt(2), NAN])
    assert (found.runs, found.values.values) == (3, 6)


def test_the_middle_of_quartiles_is_the_median() -> None:
    found = group(*(series(f"a/s{number}", [value]) for number, value in enumerate([1, 2, 9])), band="quartiles")
    (only,) = found.values.series
    assert only.spread
    assert (only.y.tolist(), only.spread.low.tolist(), only.spread.high.tolist()) == ([2], [1.5], [5.5])


def test_runs_are_smoothed_before_the_mean() -> None:
    rng = np.random.default_rng(5)
    curves = [rng.normal(size=20) for _ in range(3)]
    found = group(*(series(f"a/s{number}", y.tolist()) for number, y in enumerate(curves)), smooth=0.8)
    (only,) = found.values.series
    each = np.array([smoothed(y, 0.8) for y in curves])
    np.testing.assert_allclose(only.y, each.mean(axis=0))
    assert only.spread
    np.testing.assert_allclose(only.spread.high - only.y, each.std(axis=0, ddof=1))


def test_the_last_value_of_a_step_counts() -> None:
    found = group(series("a/s0", [1, 2, 5], [0, 1, 1]), series("a/s1", [1, 7], [0, 1]))
    assert found.values.series[0].y.tolist() == [1, 6]


def test_times_are_interpolated_by_default_and_steps_are_not() -> None:
    members = series("a/s0", [0, 2], [0, 2]), series("a/s1", [1, 5], [1, 2])
    assert group(*members, x="relative").values.series[0].y.tolist() == [0, 1, 3.5]
    assert group(*members).values.series[0].y.tolist() == [0, 1, 3.5]  # at 1, only the second run
    assert group(*members, x="relative").values.series[0].spread.n.tolist() == [1, 2, 2]  # type: ignore[union-attr]
    assert group(*members).values.series[0].spread.n.tolist() == [1, 1, 2]  # type: ignore[union-attr]


def test_steps_that_hardly_meet_are_noted() -> None:
    apart = series("a/s0", [0, 1, 2], [0, 2, 4]), series("a/s1", [0, 1, 2], [1, 3, 4])
    (note,) = group(*apart).notes
    assert (note.kind, note.counts, note.details) == (
        "group_steps_apart",
        (("loss", 4),),
        {"group": "a", "steps": (5,)},
    )
    assert group(*apart, align="nearest").notes == []


def test_runs_outside_of_groups_and_groups_of_one_are_noted() -> None:
    notes = group(series("a/s0", [1]), series("other", [1])).notes
    assert [(note.kind, note.count) for note in notes] == [("runs_in_no_group", 1), ("groups_of_one", 1)]
    with pytest.raises(LogdirError):
        group(series("a/x", [1]))


def test_nan_makes_a_gap_or_is_left_out() -> None:
    members = series("a/s0", [1, NAN]), series("a/s1", [3, 4])
    np.testing.assert_array_equal(group(*members).values.series[0].y, [2, NAN])
    assert group(*members, nan="omit").values.series[0].y.tolist() == [2, 4]


@pytest.mark.parametrize("columns", [1, 3, 10])
def test_a_thinned_band_covers_all_limits(columns: int) -> None:
    rng = np.random.default_rng(columns)
    x, low = np.arange(1000.0), rng.normal(size=1000)
    high = low + rng.random(1000)
    low[5], high[7] = NAN, math.inf
    at, lowest, highest = thinned_band(x, low, high, columns)
    assert len(at) == columns
    assert np.nanmin(lowest) == np.nanmin(low)
    assert np.nanmax(highest) == high[np.isfinite(high)].max()


@pytest.mark.parametrize(
    "options",
    [
        {"by": "s*", "x": "wall"},
        {"by": "s*", "band": "range"},
        {"by": "s*", "align": "bin:x"},
        {"by": "s*", "nan": "zero"},
        {"by": ""},
        {"band": "std"},
        {"align": "nearest"},
        {"nan": "omit"},
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, str], tmp_path: Path) -> None:
    write_run(tmp_path / "log" / "s0", event(simple_value("loss", 1)))
    with pytest.raises(OptionError):
        tb2csv.plot(tmp_path / "log", tmp_path / "out.svg", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out.svg").exists()


def test_histograms_of_groups_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "log" / "s0", event(histogram("h", [[0, 1, 2]])))
    with pytest.raises(OptionError, match="Histograms"):
        tb2csv.plot(tmp_path / "log", tmp_path / "out.svg", by="s*")


def write_seeds(folder: Path) -> Path:
    for number in range(6):
        values = [float(step + number) for step in range(5 if number % 3 else 3)]
        events = [event(simple_value("loss", value), step=step) for step, value in enumerate(values)]
        write_run(folder / f"lr={number // 3}" / f"seed_{number}", *events)
    return folder


def test_a_picture_has_a_curve_and_a_band_for_each_group(tmp_path: Path) -> None:
    log = write_seeds(tmp_path / "log")
    drawn = tb2csv.plot(log, tmp_path / "out.svg", by="lr=*/seed_*", band="minmax")
    assert (drawn.runs, drawn.groups, drawn.tags, drawn.values) == (6, 2, 1, 26)
    picture = ET.parse(tmp_path / "out.svg")
    ids = {element.get("id") for element in picture.iter()}
    assert {"run-0-0", "run-0-0-band", "run-1-0", "run-1-0-band"} <= ids
    texts = " ".join("".join(element.itertext()) for element in picture.iter() if element.tag.endswith("text"))
    assert "n = 2 to 3" in texts
    assert texts.count("n = 2") >= 4  # in the legend, and at the change of each curve


def test_the_legend_has_the_n_of_each_panel(tmp_path: Path) -> None:
    for number in range(3):
        tags = ("loss", "accuracy") if number else ("loss",)
        write_run(tmp_path / "log" / f"seed_{number}", event(*(simple_value(tag, number) for tag in tags)))
        write_run(tmp_path / "log" / f"other_{number}", event(simple_value("loss", number)))
    tb2csv.plot(tmp_path / "log", tmp_path / "out.svg", by="*_*", band="minmax")
    texts = ["".join(each.itertext()) for each in ET.parse(tmp_path / "out.svg").iter() if each.tag.endswith("text")]
    assert any("(n = 2 or 6)" in text for text in texts), texts


def test_norms_of_tensors_have_bands(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path / "log" / f"s{seed}", event(tensor("g", np.full((2, 2), float(seed)))))
    drawn = tb2csv.plot(tmp_path / "log", tmp_path / "out.png", by="s*", kind="tensors", style="curves")
    assert (drawn.kind, drawn.groups) == ("tensors", 1)
    assert tb2csv.plot(tmp_path / "log", tmp_path / "map.png", by="s*", kind="tensors").style == "heatmap"


def test_the_command_names_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write_seeds(tmp_path / "log")
    options = ("--by", "lr=*/seed_*", "--band", "bootstrap", "--x", "relative")
    done = run_here(capsys, "plot", log, "-o", tmp_path / "out.png", *options)
    assert (done.status, done.stdout) == (
        0,
        f"26 values of 1 tag in 6 runs of 2 groups: see {tmp_path / 'out.png'}\n",
    )
    assert run_here(capsys, "plot", log, "-o", tmp_path / "no.png", "--band", "std").status == 2
