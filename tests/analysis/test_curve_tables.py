"""The curves of a plot as a table, against what was written and TensorBoard's smoothing value by value."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from commands import run_here
from event_files import event, histogram, scalar, simple_value, tensor, write_run
from tables import read_rows

import tb2csv
from tb2csv.errors import OptionError, OutputError

if TYPE_CHECKING:
    from pathlib import Path

START = 1_700_000_000.25


def write_values(folder: Path, values: list[float], tag: str = "loss") -> None:
    events = [event(simple_value(tag, value), step=3 * n, wall_time=START + n / 2) for n, value in enumerate(values)]
    write_run(folder, *events, wall_time=START)


def smoothed_in_turn(values: list[float], weight: float) -> list[float]:
    """Smooth as TensorBoard's page does, one value after the other; these values are finite and differ."""
    last, result = 0.0, []
    for count, value in enumerate(values, 1):
        last = last * weight + (1 - weight) * value
        result.append(last / (1 - weight**count))
    return result


def test_smoothed_values_are_a_column(tmp_path: Path) -> None:
    values = np.random.default_rng(2).normal(size=5000).astype(np.float32).tolist()
    write_values(tmp_path / "log" / "a", values)
    drawn = tb2csv.plot(tmp_path / "log", tmp_path / "out.csv", smooth=0.9)
    assert (drawn.style, drawn.values, drawn.notes) == ("table", 5000, [])
    rows = read_rows(tmp_path / "out.csv")
    assert list(rows[0]) == ["run", "tag", "step", "value", "smoothed"]
    assert [(row["run"], row["tag"], int(row["step"])) for row in rows[:2]] == [("a", "loss", 0), ("a", "loss", 3)]
    assert [np.float32(row["value"]) for row in rows] == [np.float32(value) for value in values]
    np.testing.assert_allclose([float(row["smoothed"]) for row in rows], smoothed_in_turn(values, 0.9), rtol=1e-6)


def test_without_smoothing_there_are_only_the_values(tmp_path: Path) -> None:
    write_values(tmp_path / "log", [0.1, math.nan, -math.inf])
    tb2csv.plot(tmp_path / "log", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == (
        '"run","tag","step","value"\n.,loss,0,0.1\n.,loss,3,NaN\n.,loss,6,-inf\n'
    )


def test_a_float64_keeps_its_digits(tmp_path: Path) -> None:
    write_run(tmp_path / "log", event(scalar("x", 0.1, "float64")))
    tb2csv.plot(tmp_path / "log", tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == [{"run": ".", "tag": "x", "step": 0, "value": 0.1}]


@pytest.mark.parametrize(
    ("axis", "column", "times"),
    [("relative", "relative_time", [0.0, 0.5]), ("wall", "wall_time", [START, START + 0.5])],
)
def test_times_are_in_seconds(axis: str, column: str, times: list[float], tmp_path: Path) -> None:
    write_values(tmp_path / "log", [1.0, 2.0])
    tb2csv.plot(tmp_path / "log", tmp_path / "out.csv", x=axis)
    assert [float(row[column]) for row in read_rows(tmp_path / "out.csv")] == times


@pytest.mark.parametrize(("band", "middle"), [("std", "mean"), ("quartiles", "median")])
def test_groups_have_their_bands(band: str, middle: str, tmp_path: Path) -> None:
    write_values(tmp_path / "log" / "a" / "s0", [1.0, 2.0, 3.0])
    write_values(tmp_path / "log" / "a" / "s1", [3.0, math.nan])
    tb2csv.plot(tmp_path / "log", tmp_path / "out.csv", by="{*}/s*", band=band)
    first, second, third = read_rows(tmp_path / "out.csv")
    assert list(first) == ["group", "tag", "step", "n", middle, "low", "high"]
    assert (first["group"], first["n"], float(first[middle])) == ("a", "2", 2.0)
    half = math.sqrt(2) if band == "std" else 0.5
    np.testing.assert_allclose([float(first["low"]), float(first["high"])], [2 - half, 2 + half])
    assert [second[name] for name in (middle, "low", "high")] == ["NaN"] * 3
    assert (third["n"], third["low"]) == ("1", "" if band == "std" else "3.0")


def test_norms_are_written_and_histograms_are_not(tmp_path: Path) -> None:
    write_run(tmp_path / "log", event(tensor("g", np.array([3.0, 4.0])), histogram("h", [[0, 1, 2]])))
    tb2csv.plot(tmp_path / "log", tmp_path / "out.csv", kind="tensors")
    assert read_rows(tmp_path / "out.csv")[0]["value"] == "5.0"
    with pytest.raises(OptionError, match="Histograms"):
        tb2csv.plot(tmp_path / "log", tmp_path / "no.csv", kind="histograms")


def test_a_table_needs_no_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_values(tmp_path / "log", [1.0])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    tb2csv.plot(tmp_path / "log", tmp_path / "out.md")
    assert (tmp_path / "out.md").read_text().startswith("| run | tag | step | value |\n")


def test_an_existing_file_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_values(tmp_path / "log", [1.0])
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(OutputError):
        tb2csv.plot(tmp_path / "log", tmp_path / "out.csv")
    assert run_here(capsys, "plot", tmp_path / "log", "-o", tmp_path / "out.csv").status == 1
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert run_here(capsys, "plot", tmp_path / "log", "-o", tmp_path / "out.csv", "--overwrite").status == 0
    assert run_here(capsys, "plot", tmp_path / "log", "-o", tmp_path / "out.docx").status == 2
