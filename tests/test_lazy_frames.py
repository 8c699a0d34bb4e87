"""Lazy frames of a log: they have the rows of eager ones, and decode what is asked of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from event_files import event, tensor, write_run
from polars.testing import assert_frame_equal

import tb2csv

if TYPE_CHECKING:
    from tb2csv import LogdirFrames

SAMPLE_LOGS = Path(__file__).resolve().parent.parent / "sample_logs"


@pytest.fixture(scope="module")
def log() -> LogdirFrames:
    return tb2csv.open_logdir(SAMPLE_LOGS)


@pytest.mark.parametrize(
    "predicate",
    [
        pl.col("tag") == "loss",
        (pl.col("tag") == "loss") & (pl.col("value") > 0.5),
        (pl.col("step") > 3) & pl.col("run").str.starts_with("t") & pl.col("tag").str.contains("a|o"),
        (pl.col("tag") == "loss") | (pl.col("value") > 0.5),
        ~((pl.col("tag") == "loss") & (pl.col("run") == "tf2")),
        pl.col("tag") > pl.col("run"),
        (pl.col("run") == "tf2") & pl.col("value").is_null(),
        pl.when(pl.col("tag") == "loss").then(pl.col("run") == "tf1").otherwise(pl.col("run") == "tf2"),
        pl.col("tag").is_in(["loss", "nothing"]) & (pl.col("tag") + pl.col("run")).str.ends_with("tf2"),
        (pl.col("run") == "tf2") & pl.lit(value=False),
    ],
    ids=str,
)
def test_filters_of_lazy_frames_give_the_rows_of_eager_ones(predicate: pl.Expr, log: LogdirFrames) -> None:
    assert_frame_equal(log.scalars(lazy=True).filter(predicate).collect(), log.scalars().filter(predicate))


@pytest.mark.parametrize("count", [1, 300, 900])
def test_filters_after_the_first_rows_give_their_rows(count: int, log: LogdirFrames) -> None:
    """The first rows are those of all series, whatever a filter needs of them."""
    is_loss = pl.col("tag") == "loss"
    first = log.scalars(lazy=True).head(count).filter(is_loss).collect()
    assert_frame_equal(first, log.scalars().head(count).filter(is_loss))
    assert_frame_equal(
        log.scalars(lazy=True).filter(is_loss).head(count).collect(), log.scalars().filter(is_loss).head(count)
    )


@pytest.mark.parametrize("columns", [["value"], ["tag"], ["step", "run"], ["value", "tag", "run", "step", "wall_time"]])
def test_columns_of_lazy_frames_are_those_of_eager_ones(columns: list[str], log: LogdirFrames) -> None:
    is_late = pl.col("step") > 3
    for frame, lazy in (
        (log.scalars(), log.scalars(lazy=True)),
        (log.scalars().filter(is_late), log.scalars(lazy=True).filter(is_late)),
    ):
        assert_frame_equal(lazy.select(columns).collect(), frame.select(columns))


def test_rows_are_counted_without_their_columns(log: LogdirFrames) -> None:
    """polars may ask a source for no column, and take the number of rows from what it returns."""
    rows = len(log.scalars())
    lazy = log.scalars(lazy=True)
    assert lazy.select(pl.len()).collect().item() == rows
    assert lazy.with_row_index("row").select("row").collect()["row"].to_list() == list(range(rows))
    assert lazy.head(300).with_row_index("row").select("row").collect().height == 300
    losses = lazy.filter(tag="loss").with_row_index("row").select("row").collect()
    assert losses.height == len(log.scalars(tag="loss")) > 0


def test_filters_skip_series_whose_values_cannot_be_read(tmp_path: Path) -> None:
    """A file that is gone is an error only if a filter needs its rows."""
    for run in ("a", "b"):
        write_run(tmp_path / run, event(tensor("x", [1.0, 2.0])))
    log = tb2csv.open_logdir(tmp_path)
    lazy = log.tensors(lazy=True)
    next((tmp_path / "b").iterdir()).unlink()
    assert lazy.filter(pl.col("run") == "a").collect()["value"].to_list() == [1.0, 2.0]
    with pytest.raises((tb2csv.LogdirError, pl.exceptions.ComputeError)):
        lazy.filter(pl.col("run") == "b").collect()
