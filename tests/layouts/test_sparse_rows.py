"""Scalars side by side whose steps differ, so that nearly all cells of a table are empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from event_files import event, scalar, write_run

import tb2csv
from tb2csv import wide_frames
from tb2csv.errors import Tb2csvError

if TYPE_CHECKING:
    from pathlib import Path

LAST = 2**63 - 1


def write_own_steps(logdir: Path, tags: int) -> Path:
    """Write a run in which each tag has one value, at a step of its own, and all have one at the last step there is."""
    events = [event(scalar(f"t{number}", float(number)), step=number) for number in range(tags)]
    last = [event(scalar(f"t{number}", -1.0), step=LAST) for number in range(tags)]
    write_run(logdir, *events, *last)
    return logdir


@pytest.mark.parametrize("layout", ["wide", "compare"])
def test_a_table_of_which_nearly_all_would_be_empty_is_refused(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wide_frames, "MAX_CELLS", 10_000)
    logdir = write_own_steps(tmp_path / "logs", 300)
    out = tmp_path / ("out" if layout == "wide" else "out.csv")
    monkeypatch.setattr(wide_frames, "MAX_CELLS_PER_VALUE", 100)
    with pytest.raises(Tb2csvError, match="600 values would need 90,300 cells, because their steps differ; select"):
        tb2csv.convert(logdir, out, layout=layout)
    assert not out.exists()
    with pytest.raises(Tb2csvError, match="600 values would need 90,300 cells"):
        tb2csv.open_logdir(logdir).wide()
    monkeypatch.setattr(wide_frames, "MAX_CELLS_PER_VALUE", 200)
    tb2csv.convert(logdir, out, layout=layout)
    assert out.exists()


@pytest.mark.slow
def test_many_tags_at_steps_of_their_own_are_refused_by_default(tmp_path: Path) -> None:
    logdir = write_own_steps(tmp_path / "logs", 4_000)
    with pytest.raises(Tb2csvError, match="8,000 values would need 16,004,000 cells"):
        tb2csv.convert(logdir, tmp_path / "out", layout="wide")
    assert list(tmp_path.iterdir()) == [logdir]


@pytest.mark.parametrize("cells", [1, 40, 1_000_000])
def test_rows_that_are_made_in_parts_are_those_of_one(
    cells: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wide_frames, "_CELLS_AT_ONCE", cells)
    tb2csv.convert(write_own_steps(tmp_path / "logs", 20), tmp_path / "out.csv", layout="wide")
    rows = pl.read_csv(tmp_path / "out.csv").drop("run", "wall_time")
    expected = np.full((21, 20), np.nan)
    expected[np.arange(20), np.arange(20)] = np.arange(20)
    expected[20] = -1.0
    assert rows["step"].to_list() == [*range(20), LAST]
    np.testing.assert_array_equal(rows.drop("step").fill_null(np.nan).to_numpy(), expected)
