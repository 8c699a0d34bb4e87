"""Which rows are kept by step, every n-th and last: against a list of rows walked one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_here
from event_files import event, file_name, legacy_image, simple_value, tensor, write_run
from hypothesis import given
from hypothesis import strategies as st
from tables import read_index, read_tree

import tb2csv
from tb2csv.event_files.values import ValueKind
from tb2csv.runs.restarts import RESTART_POLICIES, FileHistory, RunHistory
from tb2csv.runs.row_selection import row_plan
from tb2csv.runs.scanned_run import ScannedRun


def history(tags: list[int], steps: list[int]) -> RunHistory:
    kinds = np.full(len(tags), ValueKind.SIMPLE_VALUE, np.int8)
    files = [FileHistory(0, 0.0, 0, 2.0, [])]
    return RunHistory(np.array(tags, np.int32), kinds, np.array(steps), np.zeros(len(tags)), files)


def kept_one_by_one(
    tables: list[int], steps: list[int], least: int | None, most: int | None, every: int, *, last: bool
) -> list[bool]:
    counts: dict[int, int] = {}
    latest: dict[int, int] = {}
    kept = []
    for row, (table, step) in enumerate(zip(tables, steps, strict=True)):
        is_inside = (least is None or step >= least) and (most is None or step <= most)
        if is_inside:
            counts[table] = counts.get(table, 0) + 1
        is_kept = is_inside and (counts[table] - 1) % every == 0
        if is_kept:
            latest[table] = row
        kept.append(is_kept)
    return [is_kept and (not last or latest[tables[row]] == row) for row, is_kept in enumerate(kept)]


bounds = st.none() | st.integers(-3, 12)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 10)), max_size=40),
    bounds,
    bounds,
    st.integers(1, 5),
    st.booleans(),
)
def test_selected_rows_equal_those_of_a_loop(
    rows: list[tuple[int, int]],
    least: int | None,
    most: int | None,
    every: int,
    last: bool,
) -> None:
    if least is not None and most is not None and least > most:
        least, most = most, least
    tables, steps = [table for table, _ in rows], [step for _, step in rows]
    selection = tb2csv.RowSelection(min_step=least, max_step=most, every=every, last=last)
    plan = row_plan(selection, history(tables, steps), np.array(tables, np.int32))
    assert plan.keep.tolist() == kept_one_by_one(tables, steps, least, most, every, last=last)
    assert plan.sessions is None


def test_a_selection_of_no_rows_is_refused() -> None:
    with pytest.raises(tb2csv.Tb2csvError, match=r"every \(0\)"):
        tb2csv.RowSelection(every=0)
    with pytest.raises(tb2csv.Tb2csvError, match="minimum step, 2, is greater"):
        tb2csv.RowSelection(min_step=2, max_step=1)
    with pytest.raises(tb2csv.Tb2csvError, match="keep, purge, supersede"):
        tb2csv.RowSelection(restarts="forget")


@pytest.mark.usefixtures("scanner")
def test_frames_have_the_selected_rows(tmp_path: Path) -> None:
    events = [event(simple_value("loss", float(step)), tensor("w", np.full(3, step)), step=step) for step in range(20)]
    write_run(tmp_path, *events)
    frames = tb2csv.open_logdir(tmp_path)
    thinned = tb2csv.RowSelection(min_step=3, every=5)
    assert frames.scalars(rows=thinned)["step"].to_list() == [3, 8, 13, 18]
    assert frames.tensors(rows=thinned)["step"].to_list() == [step for step in (3, 8, 13, 18) for _ in range(3)]
    assert frames.scalars(rows=tb2csv.RowSelection(max_step=10, last=True))["value"].to_list() == [10.0]


@pytest.mark.usefixtures("scanner")
def test_rows_that_a_restart_repeats_are_kept_or_dropped(tmp_path: Path) -> None:
    def losses(steps: range, offset: float, start: float) -> list:  # type: ignore[type-arg]
        return [
            event(simple_value("loss", step + offset), step=step, wall_time=start + number)
            for number, step in enumerate(steps)
        ]

    write_run(tmp_path, *losses(range(10), 0.0, 10.0), wall_time=9.0)
    write_run(tmp_path, *losses(range(5, 8), 100.0, 50.0), name=file_name(1), wall_time=49.0)
    frames = tb2csv.open_logdir(tmp_path)
    assert len(frames.scalars()) == 13
    superseded = frames.scalars(rows=tb2csv.RowSelection(restarts="supersede"))
    assert superseded["value"].to_list() == [0, 1, 2, 3, 4, 105, 106, 107]
    sessions = frames.scalars(rows=tb2csv.RowSelection(sessions=True))
    assert sessions.columns == ["run", "tag", "wall_time", "step", "session", "value"]
    assert sessions["session"].to_list() == [0] * 10 + [1] * 3


def test_a_conversion_counts_the_rows_that_were_left_out(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", *(event(simple_value("loss", float(step)), step=step) for step in range(20)))
    rows = tb2csv.RowSelection(min_step=3, every=5)
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "out", rows=rows)
    assert (report.values_read, report.values_written, report.values_filtered) == (20, 4, 16)
    lines = (tmp_path / "out" / "scalars" / "loss.csv").read_text("utf-8").splitlines()
    assert [line.split(",")[1] for line in lines] == ["step", "3", "8", "13", "18"]
    (row,) = read_index(tmp_path / "out")
    assert (row["rows"], row["first_step"], row["last_step"]) == ("4", "3", "18")


def test_a_conversion_of_no_rows_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", event(simple_value("loss", 1.0), step=5))
    with pytest.raises(tb2csv.Tb2csvError, match="No row"):
        tb2csv.convert(tmp_path / "logs", tmp_path / "out", rows=tb2csv.RowSelection(min_step=6))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_selecting_all_steps_equals_a_plain_conversion(tmp_path: Path) -> None:
    samples = Path(__file__).parents[2] / "sample_logs"
    tb2csv.convert(samples, tmp_path / "plain")
    tb2csv.convert(samples, tmp_path / "chosen", rows=tb2csv.RowSelection(min_step=-1), chunk_size=64)
    assert read_tree(tmp_path / "chosen") == read_tree(tmp_path / "plain")


@pytest.mark.parametrize("rows", [tb2csv.RowSelection(min_step=3, every=2), tb2csv.RowSelection(last=True)])
def test_stored_files_are_numbered_by_their_place_in_the_series(rows: tb2csv.RowSelection, tmp_path: Path) -> None:
    """Whatever is left out; so a file is the same in every conversion of a log."""
    for number in range(2):
        events = [
            event(legacy_image("im", 1, 1, b"\x89PNG\r\n\x1a\n%d" % step), tensor("w", np.full(3, step)), step=step)
            for step in range(4 * number, 4 * number + 4)
        ]
        write_run(tmp_path / "logs", *events, name=file_name(number), wall_time=number)
    tb2csv.convert(tmp_path / "logs", tmp_path / "all", tensors="npy")
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", rows=rows, tensors="npy", chunk_size=100)
    stored = {path: data for path, data in read_tree(tmp_path / "out").items() if not path.endswith((".csv", ".json"))}
    assert len(stored) == (2 if rows.last else 6)
    everything = read_tree(tmp_path / "all")
    assert stored == {path: everything[path] for path in stored}


def test_a_file_removed_between_two_reads_costs_only_its_own_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is damage like that of a file that is gone before; others are converted, and every value is accounted for."""
    tensors = [event(tensor("x", np.ones(2), None), simple_value("l", 1.0), step=step) for step in range(3)]
    gone = write_run(tmp_path / "logs" / "a", *tensors)
    write_run(tmp_path / "logs" / "b", *tensors)
    decode = ScannedRun.decode

    def after_it_is_gone(run: ScannedRun, *args: Any, **more: Any) -> Any:
        if run.run.name == "a":  # runs are read side by side
            gone.unlink()
        return decode(run, *args, **more)

    monkeypatch.setattr(ScannedRun, "decode", after_it_is_gone)
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "out", rows=tb2csv.RowSelection(min_step=1))
    assert (report.values_read, report.values_written, report.values_filtered) == (12, 6, 4)
    assert report.values_undecodable == 2
    (damage,) = report.damage
    assert (damage.path, damage.kind, damage.length) == (f"a/{gone.name}", "unreadable", 0)
    assert all(
        account.bytes == account.record_bytes + account.lost_bytes + account.incomplete_tail_bytes
        for _, account in report.sources
    )
    tables = tb2csv.open_tables(tmp_path / "out")
    assert len(tables.table("b", "x")) == 4
    assert tables.table("a", "l")["step"].to_list() == [1, 2]
    assert "a/tensors/x.csv" not in tables
    assert tables["a/blobs/x.undecodable.csv"]["step"].to_list() == [1, 2]


def test_the_command_selects_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "logs", *(event(simple_value("loss", float(step)), step=step) for step in range(20)))
    options = ["--min-step", "2", "--max-step", "11", "--every", "3", "--last", "--restarts", "purge", "--sessions"]
    done = run_here(capsys, "convert", tmp_path / "logs", tmp_path / "out", *options)
    assert done.status == 0, done.stderr
    assert (tmp_path / "out" / "scalars" / "loss.csv").read_text("utf-8").endswith(",11,0,11.0\n")
