"""Wide summaries against pandas, sorted rows, and tables that are drawn on a terminal."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import polars as pl
import pytest
from commands import run_here
from event_files import event, histogram, hparams_end, hparams_start, scalar, simple_value, write_run
from hypothesis import given
from hypothesis import strategies as st
from tables import parse_rows

import tb2csv
from tb2csv.analysis.wide_summaries import STATISTICS, row_order
from tb2csv.cli.drawn_table import table_for
from tb2csv.errors import NameNotFoundError, OptionError, Tb2csvError

if TYPE_CHECKING:
    from pathlib import Path

NAN = math.nan


def write_runs(folder: Path) -> dict[str, dict[str, list[float]]]:
    rng = np.random.default_rng(1)
    log = {
        run: {tag: rng.normal(size=4).astype(np.float32).tolist() for tag in tags}
        for run, tags in {"b": ["loss", "acc"], "a/x": ["acc", "lr"], "c": ["loss"]}.items()
    }
    for run, tags in log.items():
        events = [
            event(simple_value(tag, value), step=step)
            for tag, values in tags.items()
            for step, value in enumerate(values)
        ]
        write_run(folder / run, *events)
    return log


def test_columns_equal_the_pivot_of_pandas(tmp_path: Path) -> None:
    log = write_runs(tmp_path)
    points = pd.DataFrame(
        [(run, tag, value) for run, tags in log.items() for tag, values in tags.items() for value in values],
        columns=["run", "tag", "value"],
    )
    statistics = ("min", "last", "mean", "points")
    found = tb2csv.summary(tmp_path).wide(statistics)
    for statistic in statistics:
        aggregate = {"points": "count"}.get(statistic, statistic)
        expected = points.pivot_table(index="run", columns="tag", values="value", aggfunc=aggregate)
        for tag in expected.columns:
            column = found[tag if statistic == "last" else f"{tag}:{statistic}"]
            known = [NAN if value is None else value for value in column]
            np.testing.assert_allclose(known, expected[tag].reindex(found["run"].to_list()), rtol=1e-6)
    assert found.width == 1 + 3 * len(statistics)


def test_a_run_has_one_row_and_missing_tags_are_null(tmp_path: Path) -> None:
    write_runs(tmp_path)
    wide = tb2csv.summary(tmp_path).wide()
    assert wide["run"].to_list() == ["a/x", "b", "c"]
    assert wide.columns == ["run", *(f"{tag}{end}" for tag in ("acc", "lr", "loss") for end in ("", ":min", ":max"))]
    assert (wide["lr"].null_count(), wide["loss:max"].null_count()) == (2, 1)


def test_other_kinds_have_no_columns(tmp_path: Path) -> None:
    write_run(tmp_path / "a", event(histogram("h", [[0, 1, 2]]), simple_value("loss", 1)))
    write_run(tmp_path / "b", event(histogram("h", [[0, 1, 2]])))
    wide = tb2csv.summary(tmp_path).wide("last")
    assert wide.rows() == [("a", 1.0)]
    with pytest.raises(Tb2csvError):
        tb2csv.summary(tmp_path, tag="h").wide()


def test_names_that_are_taken_are_kept_apart(tmp_path: Path) -> None:
    values = [simple_value(tag, number) for number, tag in enumerate(["run", "loss:min", "loss", "number", "1"])]
    write_run(tmp_path, event(*values))
    wide = tb2csv.summary(tmp_path).wide(["last", "min"])
    assert wide.columns[:3] == ["run", "scalars:run", "run:min"]
    assert wide.columns[3:7] == ["loss:min", "loss:min:min", "loss", "scalars:loss:min"]
    assert wide.select("scalars:run", "loss:min", "loss", "number", "1").row(0) == (0, 1, 2, 3, 4)


def test_a_tag_with_two_types_has_two_columns(tmp_path: Path) -> None:
    write_run(tmp_path, event(scalar("x", 1.5, "float64")), event(scalar("x", 7, "int32"), scalar("x (int32)", 9.0)))
    wide = tb2csv.summary(tmp_path).wide(["last"])
    assert wide.row(0) == (".", 1.5, 7, 9)
    assert wide.columns == ["run", "x", "x (int32)", "scalars:x (int32)"]


@pytest.mark.parametrize("statistics", [[], ["median"], ["last", "dtype"]])
def test_unknown_statistics_are_refused(statistics: list[str], tmp_path: Path) -> None:
    write_runs(tmp_path)
    with pytest.raises(OptionError):
        tb2csv.summary(tmp_path).wide(statistics)


def test_every_statistic_is_a_column_of_the_summary(tmp_path: Path) -> None:
    write_runs(tmp_path)
    table = tb2csv.summary(tmp_path).table
    assert tuple(table.columns[-len(STATISTICS) :]) == STATISTICS


# Order


@given(st.lists(st.none() | st.sampled_from([NAN, 1.0, 2.0, 3.0, math.inf, -math.inf]), max_size=12), st.booleans())
def test_rows_are_in_the_order_of_a_stable_sort(values: list[float | None], descending: bool) -> None:
    def key(row: int) -> tuple[bool, float]:
        value = values[row]
        if value is None or math.isnan(value):
            return True, 0.0
        return False, -value if descending else value

    table = pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)})
    order = sorted(range(len(values)), key=key)
    assert row_order(table, "x", descending=descending) == order
    assert row_order(table, "x", descending=descending, top=3) == order[:3]
    assert row_order(table, None, top=2) == list(range(len(values)))[:2]


def test_columns_of_text_are_sorted_and_unknown_ones_are_refused() -> None:
    table = pl.DataFrame({"run": ["b", "a", None, "c"]})
    assert row_order(table, "run", descending=True) == [3, 0, 1, 2]
    with pytest.raises(NameNotFoundError, match="'run'"):
        row_order(table, "runs")
    with pytest.raises(OptionError):
        row_order(table, None, descending=True)


# The commands


def test_the_command_writes_a_wide_and_sorted_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for run, value in {"a": 0.1, "b": 0.3, "c": NAN, "d": 0.2}.items():
        write_run(tmp_path / "log" / run, event(scalar("acc", value)), event(scalar("big", 1, "int64")))
    wide = ("summary", tmp_path / "log", "--wide", "--statistic", "last", "--sort", "acc", "--descending")
    rows = parse_rows(run_here(capsys, *wide).stdout)
    assert [(row["run"], row["acc"]) for row in rows] == [("b", "0.3"), ("d", "0.2"), ("a", "0.1"), ("c", "NaN")]
    assert run_here(capsys, *wide, "--top", "2", "--format", "markdown").stdout.count("\n") == 4
    assert run_here(capsys, *wide, "-o", tmp_path / "wide.tex").status == 0
    assert "b & 0.3 & 1.0 " in (tmp_path / "wide.tex").read_text()


def test_the_long_table_is_sorted_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_runs(tmp_path)
    rows = parse_rows(run_here(capsys, "summary", tmp_path, "--sort", "last", "--top", "3").stdout)
    lasts = sorted(tb2csv.summary(tmp_path).table["last"].to_list())
    np.testing.assert_allclose([float(row["last"]) for row in rows], lasts[:3], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("--statistic", "last"), 2),
        (("--wide", "--statistic", "median"), 2),
        (("--descending",), 2),
        (("--top", "0"), 2),
        (("--sort", "nope"), 1),
        (("--wide", "--sort", "last"), 1),
        (("--wide", "--tag", "h"), 1),
    ],
)
def test_wrong_command_lines_are_refused(
    options: tuple[str, ...], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, event(simple_value("loss", 1), histogram("h", [[0, 1, 2]])))
    assert run_here(capsys, "summary", tmp_path, *options).status == status


def use_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    for name, value in {"COLUMNS": "60", "NO_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)


def test_trials_are_drawn_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_terminal(monkeypatch)
    for number in range(2):
        start = hparams_start({"lr": number / 4, "constant": "always-the-same-text-in-every-trial"})
        write_run(tmp_path / f"t{number}", event(start), event(simple_value("acc", number / 8)), event(hparams_end()))
    shown = run_here(capsys, "hparams", tmp_path).stdout.splitlines()
    assert shown[0].split()[:5] == ["run", "status", "constant", "lr", "acc"]
    rows = [line.split()[:5] for line in shown[1:3]]
    assert [row[:2] + row[3:] for row in rows] == [["t0", "success", "0", "0"], ["t1", "success", "0.25", "0.125"]]
    assert all("…" in row[2] for row in rows)
    assert shown[3].endswith(": --format csv shows all")
    assert run_here(capsys, "hparams", tmp_path, "--format", "csv").stdout.startswith('"run",')


def test_summaries_are_drawn_wide_and_sorted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_terminal(monkeypatch)
    write_run(tmp_path / "a", event(simple_value("loss", 2)))
    write_run(tmp_path / "b", event(simple_value("loss", 1)))
    wide = run_here(capsys, "summary", tmp_path, "--wide", "--sort", "loss").stdout.splitlines()
    assert [line.split() for line in wide] == [
        ["run", "loss", "loss:min", "loss:max"],
        ["b", "1", "1", "1"],
        ["a", "2", "2", "2"],
    ]
    long = run_here(capsys, "summary", tmp_path, "--sort", "last").stdout
    assert long.index("\nb") < long.index("\na")


TABLE = pl.DataFrame(
    {
        "run": ["a\x1b[31mlong name of a run that is cut", "b"],
        "empty": pl.Series([None, None], dtype=pl.Float64),
        "value": [0.123456789, None],
        "text": ["x" * 90, "y"],
        "same": [1, 1],
        "value_step": [1, 2],
    }
)


@pytest.mark.parametrize("width", [30, 60, 200])
def test_a_drawn_table_fits_and_names_what_it_lacks(width: int) -> None:
    import io

    from rich.console import Console

    drawn, dropped = table_for(TABLE, width)
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(drawn)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert dropped == {30: ["value_step", "same", "value"], 60: [], 200: []}[width]
    assert ("0.12346" in text) == ("value" not in dropped)


def test_long_durations_are_hours_and_minutes() -> None:
    drawn, _ = table_for(pl.DataFrame({"run": list("abcd"), "duration": [0.00001, 12.34, 61.0, 36_000.0]}), 80)
    assert [str(cell) for cell in drawn.columns[1].cells] == ["0 s", "12.3 s", "1:01", "10:00:00"]
