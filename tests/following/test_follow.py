"""Following a log: the tables are those of one conversion, and the frames have every row once."""

from __future__ import annotations

import inspect
import os
import random
import re
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import polars as pl
import pytest
from event_files import event, event_file, frames, histogram, hparams_start, scalar, simple_value
from polars.testing import assert_frame_equal
from slow_cases import slow
from tables import read_rows, read_tree

import tb2csv
from tb2csv.cli import load_commands
from tb2csv.folder_conversion import FolderConversion
from tb2csv.logdir import EventFile
from tb2csv.sinks.ledger import Ledger

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

NAME = "events.out.tfevents.1.host"

#: A follow that misses a change ends after so long, and the test fails.
IDLE = "30s"


def losses(start: int, stop: int, tag: str = "loss") -> list[Event]:
    return [event(simple_value(tag, step / 8), step=step, wall_time=100.0 + step) for step in range(start, stop)]


def begin(path: Path, *events: Event) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(event_file(events))
    return path


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def assert_same_tables(out: Path, logdir: Path, **options: Any) -> None:
    fresh = out.with_name(f"{out.name}-fresh")
    tb2csv.convert(logdir, fresh, **options)
    found, expected = read_tree(out), read_tree(fresh)
    assert found.keys() == expected.keys()
    for path in expected:
        assert found[path] == expected[path], path


def steps_of(update: tb2csv.FollowUpdate, **selected: str) -> list[int]:
    return update.scalars(**selected)["step"].to_list()


@pytest.mark.parametrize("poll", [False, *slow([True])])
def test_rows_are_appended_and_yielded_once(tmp_path: Path, poll: bool) -> None:
    logdir, out = tmp_path / "log", tmp_path / "out"
    path = begin(logdir / "a" / NAME, *losses(0, 3))
    begin(logdir / "b" / NAME, *losses(0, 2))
    updates = tb2csv.follow(logdir, out, poll=poll, until_idle=IDLE)
    first = next(updates)
    assert first.summary.added == ["a", "b"]
    assert first.summary.values == 5
    assert steps_of(first) == [0, 1, 2, 0, 1]
    assert first.report is not None
    append(path, frames(losses(3, 5)))
    second = next(updates)
    assert (second.summary.grown, second.summary.values) == (["a"], 2)
    assert second.scalars().rows() == [("a", "loss", 103.0, 3, 0.375), ("a", "loss", 104.0, 4, 0.5)]
    assert [row["step"] for row in read_rows(out / "a/scalars/loss.csv")] == ["0", "1", "2", "3", "4"]
    begin(logdir / "new" / "nested" / NAME, *losses(7, 8, "acc"))
    third = next(updates)
    assert third.summary.added == ["new/nested"]
    assert third.scalars().rows() == [("new/nested", "acc", 107.0, 7, 0.875)]
    assert len(third.log.scalars()) == 8
    assert first.log is third.log
    updates.close()
    assert_same_tables(out, logdir)


@pytest.mark.slow
def test_an_update_shows_its_values_and_findings(tmp_path: Path) -> None:
    begin(tmp_path / "a" / NAME, *losses(0, 3), event(simple_value("loss", float("nan")), step=3))
    (plain,) = tb2csv.follow(tmp_path, until_idle="1s")
    assert repr(plain) == "<FollowUpdate: 4 new values, 0 findings>"
    (found,) = tb2csv.follow(tmp_path, diagnose=True, until_idle="1s")
    title, *table = repr(found).splitlines()
    assert title == "<FollowUpdate: 4 new values, 1 finding>"
    assert "not_finite" in "".join(table)
    assert "not_finite" in found._repr_html_()  # type: ignore[attr-defined]  # the decorator adds it


def test_cut_records_are_read_when_they_are_whole(tmp_path: Path) -> None:
    logdir, out = tmp_path / "log", tmp_path / "out"
    path = begin(logdir / NAME, *losses(0, 1))
    data = frames(losses(1, 3))
    updates = tb2csv.follow(logdir, out, until_idle=IDLE)
    next(updates)
    append(path, data[: len(data) // 2 + 3])
    assert steps_of(next(updates)) == [1]
    append(path, data[len(data) // 2 + 3 :])
    assert steps_of(next(updates)) == [2]
    updates.close()
    assert_same_tables(out, logdir)


@pytest.mark.slow
def test_random_growth_ends_as_one_conversion(tmp_path: Path) -> None:
    generator = random.Random(1)
    logdir, out = tmp_path / "log", tmp_path / "out"
    contents = {
        f"run{number}/{NAME}": event_file(
            [
                event(hparams_start({"rate": number / 8})),
                *losses(0, 20),
                event(histogram("weights", [[0.0, 1.0, 2.0]]), step=1, wall_time=121.0),
                event(scalar("loss", 1.5), step=21, wall_time=122.0),
                *losses(30, 60, "late"),
            ]
        )
        for number in range(3)
    }
    places = dict.fromkeys(contents, 0)
    begin(logdir / "run0" / NAME)
    places[f"run0/{NAME}"] = (logdir / "run0" / NAME).stat().st_size
    assert contents[f"run0/{NAME}"].startswith((logdir / "run0" / NAME).read_bytes())

    def grow() -> None:
        while any(places[path] < len(contents[path]) for path in contents):
            path = generator.choice(list(contents))
            stop = min(len(contents[path]), places[path] + generator.randint(0, 700))
            (logdir / path).parent.mkdir(exist_ok=True)
            append(logdir / path, contents[path][places[path] : stop])
            places[path] = stop
            time.sleep(generator.choice([0, 0, 0.05, 0.4]))

    writer = threading.Thread(target=grow)
    writer.start()
    values = sum(51 + 1 + 1 for _ in contents)
    parts = []
    for update in tb2csv.follow(logdir, out, until_idle=IDLE):
        parts.append(update.scalars())
        if update.report and update.report.values_read == values:
            break
    writer.join()
    assert_same_tables(out, logdir)
    keys = ["run", "tag", "step"]
    expected = tb2csv.open_logdir(logdir).scalars()
    assert_frame_equal(pl.concat(parts, how="vertical_relaxed").sort(keys), expected.sort(keys), check_dtypes=False)


@pytest.mark.parametrize(
    "options",
    [
        {"layout": "tags"},
        {"layout": "wide"},
        {"layout": "long", "format": "parquet"},
        {"format": "csv.gz"},
        {"merge_subruns": True},
    ],
)
def test_tables_that_cannot_be_appended_to_are_written_anew(tmp_path: Path, options: dict[str, Any]) -> None:
    logdir, out = tmp_path / "log", tmp_path / "out"
    path = begin(logdir / "a" / NAME, *losses(0, 3))
    begin(logdir / "b" / NAME, *losses(0, 3))
    updates = tb2csv.follow(logdir, out, until_idle=IDLE, **options)
    next(updates)
    append(path, frames(losses(3, 5)))
    second = next(updates)
    assert second.summary.values == 2
    assert steps_of(second) == [3, 4]
    updates.close()
    assert_same_tables(out, logdir, **options)


@pytest.mark.parametrize(
    "rows",
    [
        tb2csv.RowSelection(min_step=2, max_step=8),
        tb2csv.RowSelection(every=2, last=True),
        tb2csv.RowSelection(restarts="supersede", sessions=True),
    ],
)
def test_rows_are_selected_in_the_tables(tmp_path: Path, rows: tb2csv.RowSelection) -> None:
    """Frames have all rows; a restart writes steps again."""
    logdir, out = tmp_path / "log", tmp_path / "out"
    path = begin(logdir / "a" / NAME, *losses(0, 6))
    begin(logdir / "b" / NAME, *losses(0, 3))
    updates = tb2csv.follow(logdir, out, rows=rows, until_idle=IDLE)
    next(updates)
    append(path, frames(losses(6, 8)))
    assert steps_of(next(updates)) == [6, 7]
    begin(logdir / "a" / "events.out.tfevents.2.host", *losses(4, 9))
    assert steps_of(next(updates)) == [4, 5, 6, 7, 8]
    updates.close()
    assert_same_tables(out, logdir, rows=rows)


def test_a_follow_waits_for_the_first_row_that_is_selected(tmp_path: Path) -> None:
    path = begin(tmp_path / "log" / NAME, *losses(0, 3))
    updates = tb2csv.follow(tmp_path / "log", tmp_path / "out", rows=tb2csv.RowSelection(min_step=5), until_idle=IDLE)
    timer = threading.Timer(0.7, lambda: append(path, frames(losses(3, 7))))
    timer.start()
    assert next(updates).summary.values == 7
    updates.close()
    assert [row["step"] for row in read_rows(tmp_path / "out" / "scalars/loss.csv")] == ["5", "6"]


def test_an_earlier_conversion_is_replaced_with_overwrite(tmp_path: Path) -> None:
    logdir, out = tmp_path / "log", tmp_path / "out"
    path = begin(logdir / NAME, *losses(0, 3))
    tb2csv.convert(logdir, out, format="jsonl")
    with pytest.raises(tb2csv.OutputError, match="was converted with other options"):
        next(tb2csv.follow(logdir, out))
    updates = tb2csv.follow(logdir, out, overwrite=True, until_idle=IDLE)
    assert next(updates).summary.values == 3
    append(path, frames(losses(3, 5)))
    assert next(updates).summary.values == 2
    updates.close()
    assert_same_tables(out, logdir)


def test_follow_has_the_arguments_of_convert() -> None:
    """The page says why it does not have the others."""
    expected = set(inspect.signature(tb2csv.convert).parameters)
    found = set(inspect.signature(tb2csv.follow).parameters)
    assert expected - found == {"strict", "scheduler", "scheduler_file", "chunk_size", "progress", "csv_dialect"}
    commands = [set(inspect.signature(load_commands(each)[each]).parameters) for each in ("convert", "follow")]
    assert commands[0] - commands[1] == {"strict", "scheduler", "scheduler_file", "csv_dialect"}


def test_nothing_is_written_without_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = begin(tmp_path / "log" / NAME, *losses(0, 3))
    updates = tb2csv.follow("log", until_idle=IDLE, tag="loss")
    first = next(updates)
    assert first.report is None
    assert steps_of(first) == [0, 1, 2]
    append(path, frames([*losses(3, 4), *losses(3, 4, "other")]))
    assert next(updates).scalars()["tag"].to_list() == ["loss"]
    updates.close()
    assert os.listdir(tmp_path) == ["log"]


def test_rows_of_every_kind_and_selection(tmp_path: Path) -> None:
    path = begin(tmp_path / "log" / "a" / NAME, *losses(0, 1))
    updates = tb2csv.follow(tmp_path / "log", until_idle=IDLE)
    next(updates)
    append(path, frames([event(histogram("weights", [[0.0, 1.0, 2.0]]), step=1, wall_time=101.0), *losses(2, 3)]))
    update = next(updates)
    rows = update.rows("histograms")
    assert rows["count"].to_list() == [2.0]
    assert rows.columns == update.log.histograms().columns
    assert update.rows("images").is_empty()
    assert update.scalars(run="b").is_empty()
    assert update.scalars(run="b").schema == update.scalars(run="a").schema
    with pytest.raises(tb2csv.OptionError):
        update.rows("histogram")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("is_empty_first", "has_out"), [(True, True), *slow([(True, False), (False, True), (False, False)])]
)
def test_follow_waits_for_files_and_for_selected_values(tmp_path: Path, is_empty_first: bool, has_out: bool) -> None:
    logdir, out = tmp_path / "log", tmp_path / "out"

    def train() -> None:
        time.sleep(0.5)
        path = logdir / "a" / NAME
        path.parent.mkdir(parents=True)
        if is_empty_first:
            path.touch()  # as tensorboardX leaves it until its first flush
            time.sleep(0.5)
        append(path, event_file(losses(0, 2, "loss")))
        time.sleep(0.5)
        append(path, frames(losses(0, 2, "acc")))

    writer = threading.Thread(target=train)
    writer.start()
    updates = tb2csv.follow(logdir, out if has_out else None, tag="acc", until_idle=IDLE)
    found = next(rows for update in updates if len(rows := update.scalars()))
    assert found["tag"].to_list() == ["acc", "acc"]
    writer.join()
    updates.close()
    if has_out:
        assert_same_tables(out, logdir, tag="acc")


@pytest.mark.slow
@pytest.mark.parametrize("has_out", [False, True])
def test_logs_in_stores_are_polled(tmp_path: Path, has_out: bool) -> None:
    store, out = fsspec.filesystem("memory"), tmp_path / "out"
    folder = f"followed-{has_out}"
    store.pipe(f"/{folder}/a/{NAME}", event_file(losses(0, 3)))
    updates = tb2csv.follow(f"memory://{folder}", out if has_out else None, every="250ms", until_idle=IDLE)
    assert steps_of(next(updates)) == [0, 1, 2]
    store.pipe(f"/{folder}/a/{NAME}", event_file(losses(0, 5)))
    assert steps_of(next(updates)) == [3, 4]
    store.pipe(f"/{folder}/b/{NAME}", event_file(losses(0, 1)))
    assert next(updates).summary.added == ["b"]
    updates.close()
    if has_out:
        tb2csv.convert(f"memory://{folder}", tmp_path / "fresh")
        assert read_tree(out) == read_tree(tmp_path / "fresh")


def test_updates_of_logs_with_a_cache_in_front_are_refused(tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe(f"/cached/a/{NAME}", event_file(losses(0, 3)))
    url = "simplecache::memory://cached"
    tb2csv.convert(url, tmp_path / "out")
    with pytest.raises(tb2csv.LogdirError, match="simplecache"):
        tb2csv.convert(url, tmp_path / "out")


@pytest.mark.parametrize("has_out", [False, True])
def test_replaced_and_removed_runs_are_reported(tmp_path: Path, has_out: bool) -> None:
    logdir, out = tmp_path / "log", tmp_path / "out"
    path = begin(logdir / "a" / NAME, *losses(0, 5))
    other = begin(logdir / "b" / NAME, *losses(0, 5))
    updates = tb2csv.follow(logdir, out if has_out else None, until_idle=IDLE)
    next(updates)
    new = path.with_name("new")
    new.write_bytes(event_file(losses(10, 17)))  # longer than before, and other values
    new.replace(path)
    update = next(updates)
    assert list(update.summary.renewed) == ["a"]
    assert "was replaced" in update.summary.renewed["a"]
    assert steps_of(update) == list(range(10, 17))
    shutil.rmtree(other.parent)
    update = next(updates)
    assert update.summary.removed == ["b"]
    updates.close()
    if has_out:
        assert_same_tables(out, logdir)


@pytest.mark.slow
def test_tables_stay_if_the_log_goes_and_comes_back(tmp_path: Path) -> None:
    logdir, out = tmp_path / "log", tmp_path / "out"
    begin(logdir / "a" / NAME, *losses(0, 3))
    updates = tb2csv.follow(logdir, out, until_idle=IDLE)
    next(updates)
    shutil.rmtree(logdir)

    def train_again() -> None:
        time.sleep(3)
        begin(logdir / "a" / NAME, *losses(0, 4))

    assert len(read_rows(out / "a/scalars/loss.csv")) == 3
    writer = threading.Thread(target=train_again)
    writer.start()
    update = next(updates)
    writer.join()
    assert update.summary.values in {1, 4}  # the new file may begin as the old one did
    updates.close()
    assert_same_tables(out, logdir)


def test_a_log_that_cannot_be_listed_is_an_error_at_the_start_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = False

    def listed(path: str, **options: int) -> tb2csv.Logdir:
        if refused:
            message = "The bucket cannot be listed: there are no credentials."
            raise tb2csv.LogdirError(message) from PermissionError()
        return tb2csv.discover(path, **options)

    monkeypatch.setattr("tb2csv.watching.log_watch.discover", listed)
    path = begin(tmp_path / "log" / NAME, *losses(0, 3))
    updates = tb2csv.follow(tmp_path / "log", until_idle=IDLE)
    next(updates)
    refused = True
    with pytest.raises(tb2csv.LogdirError, match="no credentials"):
        next(tb2csv.follow(tmp_path / "log", until_idle=IDLE))
    append(path, frames(losses(3, 5)))
    assert steps_of(next(updates)) == [3, 4]


def test_an_update_looks_at_the_grown_run_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        begin(tmp_path / "log" / f"run{number}" / NAME, *losses(0, 3))
    updates = tb2csv.follow(tmp_path / "log", tmp_path / "out", until_idle=IDLE)
    next(updates)
    examined: list[str] = []
    version = EventFile.version
    monkeypatch.setattr(EventFile, "version", lambda file: examined.append(file.path) or version(file))
    loaded: list[str] = []
    monkeypatch.setattr(Ledger, "reports", lambda _: loaded.append("reports") or iter(()))
    tables = Ledger.tables
    monkeypatch.setattr(
        Ledger, "tables", lambda ledger, names: tables(ledger, (loaded.append(name) or name for name in names))
    )
    append(tmp_path / "log" / "run7" / NAME, frames(losses(3, 4)))
    assert next(updates).summary.grown == ["run7"]
    assert set(examined) == {f"run7/{NAME}"}
    assert sorted(loaded) == sorted(f"run{number}" for number in range(20)), "once, for the index"
    loaded.clear()
    append(tmp_path / "log" / "run7" / NAME, frames(losses(4, 5)))
    assert next(updates).summary.grown == ["run7"]
    assert loaded == ["run7"]
    monkeypatch.undo()
    updates.close()
    assert_same_tables(tmp_path / "out", tmp_path / "log")


def test_out_is_locked_until_the_generator_is_closed(tmp_path: Path) -> None:
    logdir, out = tmp_path / "log", tmp_path / "out"
    begin(logdir / NAME, *losses(0, 3))
    updates = tb2csv.follow(logdir, out)
    next(updates)
    with pytest.raises(tb2csv.OutputError, match="is being updated"):
        tb2csv.convert(logdir, out)
    with pytest.raises(tb2csv.OutputError, match="is being updated"):
        next(tb2csv.follow(logdir, out))
    updates.close()
    assert tb2csv.convert(logdir, out).update == tb2csv.types.UpdateSummary(0, [], [], {}, [])


def test_a_conversion_that_another_process_finished_first_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logdir, out = tmp_path / "log", tmp_path / "out"
    path = begin(logdir / NAME, *losses(0, 3))
    real = FolderConversion.update

    def lose_the_race(self: FolderConversion, *args: Any, **options: Any) -> Any:
        report = real(self, *args, **options)
        monkeypatch.setattr(FolderConversion, "update", real)
        tb2csv.convert(logdir, out)
        append(path, frames(losses(3, 5)))
        return report

    monkeypatch.setattr(FolderConversion, "update", lose_the_race)
    updates = tb2csv.follow(logdir, out)
    first = next(updates)
    assert first.report is not None
    assert first.report.update is not None, "it has continued the other conversion"
    append(path, frames(losses(5, 7)))
    assert steps_of(first) + steps_of(next(updates)) == list(range(7))
    updates.close()
    assert_same_tables(out, logdir)


def test_earlier_conversions_are_continued_with_the_same_options_only(tmp_path: Path) -> None:
    logdir, out = tmp_path / "log", tmp_path / "out"
    path = begin(logdir / NAME, *losses(0, 3))
    tb2csv.convert(logdir, out)
    append(path, frames(losses(3, 5)))
    updates = tb2csv.follow(logdir, out)
    first = next(updates)
    assert first.report is not None
    assert first.report.update is not None
    assert first.report.update.values == 2
    assert steps_of(first) == [0, 1, 2, 3, 4], "frames have everything"
    updates.close()
    assert_same_tables(out, logdir)
    with pytest.raises(tb2csv.OutputError):
        next(tb2csv.follow(logdir, out, tensors="wide"))
    with pytest.raises(tb2csv.OutputError, match="in the log directory"):
        next(tb2csv.follow(logdir, logdir / "tables"))


def test_an_index_that_lags_is_completed_by_the_next_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logdir, out = tmp_path / "log", tmp_path / "out"
    path = begin(logdir / "a" / NAME, event(hparams_start({"rate": 0.5})), *losses(0, 3))
    updates = tb2csv.follow(logdir, out, until_idle=IDLE)
    next(updates)
    update = FolderConversion.update
    monkeypatch.setattr(FolderConversion, "update", lambda *a, **k: update(*a, **{**k, "with_manifest": False}))
    append(path, frames(losses(3, 5)))
    next(updates)
    updates.close()  # writes no index: as if the process had been killed
    assert len(read_rows(out / "a/scalars/loss.csv")) == 5
    assert read_rows(out / "index.csv")[0]["rows"] == "3"
    monkeypatch.undo()
    report = tb2csv.convert(logdir, out)
    assert report.update is not None
    assert report.update.values == 0
    assert_same_tables(out, logdir)


@pytest.mark.slow
def test_findings_come_once_when_they_first_hold(tmp_path: Path) -> None:
    logdir = tmp_path / "log"
    path = begin(logdir / "a" / NAME, *losses(1, 4))
    updates = tb2csv.follow(logdir, diagnose=True, until_idle="8s")
    assert next(updates).findings.is_empty()
    append(path, frames([event(simple_value("loss", float("nan")), step=4, wall_time=104.0)]))
    found = []
    for number, update in enumerate(updates):
        found += update.findings.select("run", "layer", "rule", "first_step").rows()
        if number == 0:
            append(path, frames([event(simple_value("loss", float("nan")), step=5, wall_time=105.0)]))
    assert [row for row in found if row[2] == "not_finite"] == [("a", "loss", "not_finite", 4)]
    assert len(set(found)) == len(found)


def test_a_diagnosis_has_the_options_of_diagnose(tmp_path: Path) -> None:
    """A tag whose name says nothing is a loss, and one step is enough."""
    rates = [event(simple_value("eta", 0.0), step=step, wall_time=100.0 + step) for step in range(1, 4)]
    begin(tmp_path / "log" / "a" / NAME, *rates)
    options: dict[str, Any] = {"families": ["learning_rate=eta"], "steps": 2}
    expected = tb2csv.diagnose(tmp_path / "log", **options).findings
    assert expected["layer"].to_list() == ["eta"]
    for more, found in ((options, 1), ({}, 0), ({**options, "steps": 4}, 0)):
        updates = tb2csv.follow(tmp_path / "log", diagnose=True, **more)
        assert len(next(updates).findings) == found
        updates.close()


@pytest.mark.parametrize(
    "options",
    [
        {"diagnose": True, "thresholds": {"nothing": 1}},
        {"diagnose": True, "families": ["nothing=*"]},
        {"diagnose": True, "steps": 0},
        {"steps": 7},
        {"families": ["loss=*"]},
    ],
)
def test_wrong_options_of_a_diagnosis_are_refused_at_once(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(tb2csv.OptionError):
        tb2csv.follow(tmp_path / "log", **options)


def test_the_first_update_has_what_diagnose_finds(tmp_path: Path) -> None:
    begin(tmp_path / "log" / "a" / NAME, *losses(1, 4), *losses(2, 3))
    updates = tb2csv.follow(tmp_path / "log", diagnose=True)
    assert_frame_equal(next(updates).findings, tb2csv.diagnose(tmp_path / "log").findings)


@pytest.mark.parametrize("duration", ["", "soon", "5 parsecs", "-1s", 0, "0s", float("nan"), "1e3"])
def test_bad_durations_are_refused(tmp_path: Path, duration: Any) -> None:
    with pytest.raises(tb2csv.OptionError):
        tb2csv.follow(tmp_path, until_idle=duration)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("5s", 5), ("10m", 600), ("1h", 3600), ("90", 90), (1.5, 1.5), ("250ms", 0.25), ("1d", 86400)],
)
def test_durations_are_seconds_or_have_a_unit(duration: float | str, expected: float) -> None:
    from tb2csv.following.durations import seconds

    assert seconds("every", duration) == pytest.approx(expected)


@pytest.mark.slow
def test_the_page_prints_what_it_shows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).resolve().parent.parent.parent
    page = (root / "docs" / "follow.md").read_text("utf-8")
    match = re.search(r"^```python\n(.*?)^```$.*?^```text\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert match
    monkeypatch.chdir(root)
    exec(match[1], {})
    assert capsys.readouterr().out == match[2]


@pytest.mark.slow
def test_follow_ends_when_nothing_grows(tmp_path: Path) -> None:
    begin(tmp_path / "log" / NAME, *losses(0, 3))
    updates = list(tb2csv.follow(tmp_path / "log", tmp_path / "out", until_idle="500ms"))
    assert [update.summary.values for update in updates] == [3]
    assert list(tb2csv.follow(tmp_path / "missing", until_idle="500ms")) == []
    assert_same_tables(tmp_path / "out", tmp_path / "log")
