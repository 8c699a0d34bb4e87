"""A program that uses the public functions: mypy checks the types that it sees, and a test runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl
from typing_extensions import assert_type

import tb2csv
from tb2csv.model_state import ModelState, export_state, read_state

if TYPE_CHECKING:
    from pathlib import Path


def use_frames(logs: Path) -> None:
    log = tb2csv.open_logdir(logs)
    assert_type(log, tb2csv.LogdirFrames)
    assert_type(log.runs, list[str])
    assert_type(log.series(), list[tb2csv.SeriesInfo])
    assert_type(log.scalars(tag=["loss", "acc*"]), pl.DataFrame)
    assert_type(log.scalars(lazy=True), pl.LazyFrame)
    assert_type(log[log.runs[0]], tb2csv.RunFrames)
    assert_type(log[log.runs[0]].scalars("loss"), pl.DataFrame)
    assert_type(log[log.runs[0]].scalars(lazy=True), pl.LazyFrame)
    assert_type(log.wide(tag="loss"), pl.DataFrame)


def use_commands(logs: Path, out: Path) -> None:
    found = tb2csv.discover(logs)
    assert_type(found, tb2csv.Logdir)
    report = tb2csv.convert(found, out / "tables", rows=tb2csv.RowSelection(min_step=0))
    assert_type(report, tb2csv.Report)
    assert_type(report.damage, list[tb2csv.Damage])
    assert_type(tb2csv.open_tables(out / "tables")["index.csv"], pl.DataFrame)
    assert_type(tb2csv.ls(str(logs)).table, pl.DataFrame)
    assert_type(tb2csv.check(tb2csv.open_logdir(logs)), tb2csv.CheckReport)
    assert_type(tb2csv.summary(logs, selection=tb2csv.Selection(tags=("loss",))), tb2csv.Summary)
    assert_type(tb2csv.hparams(logs), tb2csv.HparamsTable)
    assert_type(tb2csv.diagnose(logs).findings, pl.DataFrame)


def use_errors(logs: Path) -> str:
    try:
        tb2csv.open_logdir(logs / "missing")
    except tb2csv.LogdirNotFoundError as error:
        return str(error)
    return ""


def use_model_state(out: Path) -> None:
    np.savez(out / "model.npz", w=np.ones(2))
    export_state(out / "model.npz", out / "state.csv")
    state = read_state(out / "state.csv")
    assert_type(state, ModelState)
    array: npt.NDArray[np.generic] = state.tensors[0].array()
    assert array.tolist() == [1.0, 1.0]


def main(logs: Path, out: Path) -> None:
    use_frames(logs)
    use_commands(logs, out)
    assert "missing" in use_errors(logs)
    use_model_state(out)
