"""Event files that change in other ways than by growing: which changes an update notices, and what it says."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from event_files import (
    event,
    event_file,
    file_name,
    flip,
    frames,
    hparams_experiment,
    hparams_start,
    records,
    simple_value,
    write_run,
)
from permissions import enforced_permissions
from tables import read_rows, read_tree
from test_updates import append, assert_same_tables, losses

import tb2csv
from tb2csv.sources.local_files import LocalFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECOND = 10**9


def update(logdir: Path) -> tb2csv.types.UpdateSummary:
    report = tb2csv.convert(logdir, logdir.with_name("out"))
    assert report.update
    return report.update


def overwrite(path: Path, data: bytes, *, mtime: int | None) -> None:
    """Replace the bytes of a file; it keeps its inode, and its modification time moves by ``mtime`` nanoseconds."""
    before = path.stat()
    assert len(data) == before.st_size
    with path.open("r+b") as file:
        file.write(data)
    if mtime is not None:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + mtime))
    assert path.stat().st_ino == before.st_ino


def steps(logdir: Path, run: str = "run") -> list[int]:
    return [int(row["step"]) for row in read_rows(logdir.with_name("out") / run / "scalars/loss.csv")]


@pytest.mark.parametrize("runs", [1, 40])  # so many are read together
@pytest.mark.parametrize("files", [1, 2])
def test_a_new_modification_time_alone_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: int, files: int
) -> None:
    """The first and the last bytes are compared once, and after that the new time is known."""
    logdir = tmp_path / "logs"
    for run in range(runs):
        for number in range(files):
            write_run(logdir / f"run{run}", *losses(0, 500), name=file_name(number), wall_time=float(number))
    tb2csv.convert(logdir, tmp_path / "out", workers=2)
    for path in logdir.rglob("*tfevents*"):
        os.utime(path, ns=(0, path.stat().st_mtime_ns + SECOND))
    before = {path: path.stat() for path in (tmp_path / "out").rglob("*.csv")}
    reads: list[int] = []
    read_into = LocalFile.read_into

    def counted(self: LocalFile, offset: int, buffer: memoryview) -> int:
        reads.append(len(buffer))
        return read_into(self, offset, buffer)

    monkeypatch.setattr(LocalFile, "read_into", counted)
    assert not update(logdir).is_something
    assert 0 < sum(reads) <= runs * files * (2 * 64 + 12)
    reads.clear()
    assert not update(logdir).is_something
    assert reads == []
    assert {path: path.stat() for path in before} == before


@pytest.mark.parametrize("place", ["first", "last", "all"])
@pytest.mark.parametrize("runs", [1, 40])  # so many are read together
def test_other_bytes_of_the_same_size_are_read_anew(tmp_path: Path, place: str, runs: int) -> None:
    logdir = tmp_path / "logs"
    for run in range(runs):
        write_run(logdir / f"run{run}", *losses(1000, 1500), wall_time=1.0)
    path = logdir / "run0" / file_name()
    tb2csv.convert(logdir, tmp_path / "out", workers=2)
    changed = {
        "first": event_file(losses(1000, 1500), wall_time=9.0),
        "last": event_file([*losses(1000, 1499), *losses(2000, 2001)], wall_time=1.0),
        "all": event_file(losses(2000, 2500), wall_time=1.0),
    }[place]
    overwrite(path, changed, mtime=SECOND)
    assert update(logdir).renewed == {"run0": f"run0/{file_name()} was replaced"}
    assert_same_tables(tmp_path / "out", logdir)


def test_a_rename_over_a_file_is_noticed_with_the_same_size_and_time(tmp_path: Path) -> None:
    path = write_run(tmp_path / "logs/run", *losses(1000, 1050), wall_time=1.0)
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    new = tmp_path / "new"
    new.write_bytes(event_file(losses(2000, 2050), wall_time=1.0))
    status = path.stat()
    assert new.stat().st_size == status.st_size
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    new.replace(path)
    assert list(update(tmp_path / "logs").renewed) == ["run"]
    assert steps(tmp_path / "logs") == [*range(2000, 2050)]


@pytest.mark.parametrize(
    ("changed", "mtime"),
    [
        (losses(2000, 2500), 0),  # all bytes, but the time was set back
        ([*losses(1000, 1250), *losses(2000, 2001), *losses(1251, 1500)], SECOND),  # a value in the middle
    ],
    ids=["time set back", "in the middle"],
)
def test_what_is_not_noticed_needs_overwrite(tmp_path: Path, changed: list[object], mtime: int) -> None:
    """The page on tables says so."""
    path = write_run(tmp_path / "logs/run", *losses(1000, 1500), wall_time=1.0)
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    overwrite(path, event_file(changed, wall_time=1.0), mtime=mtime)
    assert not update(tmp_path / "logs").is_something
    assert steps(tmp_path / "logs") == [*range(1000, 1500)]
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", overwrite=True)
    assert_same_tables(tmp_path / "out", tmp_path / "logs")
    assert steps(tmp_path / "logs") != [*range(1000, 1500)]


# Damage that is mended


def _payload(data: bytes) -> bytes:
    return flip(data, records(data)[200].payload_start + 3, 0x11)


def _length(data: bytes) -> bytes:
    return flip(data, records(data)[200].start, 0x11)


def _stretch(data: bytes) -> bytes:
    first, last = records(data)[200].start, records(data)[220].start
    return data[:first] + bytes(last - first) + data[last:]


@pytest.mark.parametrize("damage", [_payload, _length, _stretch])
@pytest.mark.parametrize("grows", [False, True])
@pytest.mark.parametrize("is_mended", [False, True])
def test_damage_that_is_mended_in_place_is_noticed(
    tmp_path: Path, damage: Callable[[bytes], bytes], grows: bool, is_mended: bool
) -> None:
    """As by rsync from the machine that wrote the log; damage that stays is no reason to read again."""
    data = event_file(losses(0, 500))
    append(tmp_path / "logs/run" / file_name(), damage(data))
    first = tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    assert first.damage
    path = tmp_path / "logs/run" / file_name()
    overwrite(path, data if is_mended else damage(data), mtime=SECOND)
    if grows:
        append(path, frames(losses(500, 510)))
    found = update(tmp_path / "logs")
    reason = {"run": f"run/{file_name()} has changed, so its damage is different"}
    assert found.renewed == (reason if is_mended else {})
    assert found.grown == (["run"] if grows and not is_mended else [])
    assert_same_tables(tmp_path / "out", tmp_path / "logs")


# Files that were left out


@pytest.mark.parametrize("name", [f"{file_name()} (1)", f"{file_name()}.bak"])
def test_a_copy_that_is_not_a_copy_any_more_is_read(tmp_path: Path, name: str) -> None:
    write_run(tmp_path / "logs/run", *losses(0, 9), wall_time=1.0)
    write_run(tmp_path / "logs/run", *losses(0, 9), wall_time=1.0, name=name)
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    append(tmp_path / "logs/run" / name, frames(losses(20, 22)))
    reason = f"run/{name} has changed, and was left out as a copy of run/{file_name()}"
    assert update(tmp_path / "logs").renewed == {"run": reason}
    assert steps(tmp_path / "logs")[-2:] == [20, 21]
    assert_same_tables(tmp_path / "out", tmp_path / "logs")


def test_a_file_that_becomes_an_event_file_is_read(tmp_path: Path) -> None:
    write_run(tmp_path / "logs/run", *losses(0, 9), wall_time=1.0)
    path = tmp_path / "logs/run" / file_name(1)
    path.write_bytes(b"PK\x03\x04" + bytes(80))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    path.write_bytes(event_file(losses(20, 22), wall_time=200.0))
    reason = f"run/{path.name} has changed, and was left out because it was not an event file"
    assert update(tmp_path / "logs").renewed == {"run": reason}
    assert steps(tmp_path / "logs")[-2:] == [20, 21]


# Files that cannot be read for a while


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
@pytest.mark.parametrize("files", [1, 2])
def test_a_file_is_read_once_it_is_readable(tmp_path: Path, files: int) -> None:
    logdir = tmp_path / "logs"
    write_run(logdir / "other", *losses(0, 9))
    for number in range(files):
        begin = 9 * number
        path = write_run(logdir / "run", *losses(begin, begin + 9), name=file_name(number), wall_time=float(begin))
    with enforced_permissions():
        path.chmod(0)
        for _ in range(2):
            report = tb2csv.convert(logdir, tmp_path / "out")
            (damage,) = report.damage
            assert (damage.path, damage.kind) == (f"run/{path.name}", "unreadable")
            assert report.values_read == 9 * files
        path.chmod(0o600)
        assert update(logdir).values == 9
    assert steps(logdir) == [*range(9 * files)]
    assert_same_tables(tmp_path / "out", logdir)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
@pytest.mark.parametrize("change", [frames(losses(9, 12)), b""])
def test_rows_stay_while_their_file_cannot_be_read(tmp_path: Path, change: bytes) -> None:
    logdir = tmp_path / "logs"
    path = write_run(logdir / "run", *losses(0, 9))
    tb2csv.convert(logdir, tmp_path / "out")
    append(path, change)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + SECOND))
    with enforced_permissions():
        path.chmod(0)
        report = tb2csv.convert(logdir, tmp_path / "out")
        assert [damage.kind for damage in report.damage] == ["unreadable"]
        assert steps(logdir) == [*range(9)]
        path.chmod(0o600)
        report = tb2csv.convert(logdir, tmp_path / "out")
    assert (report.damage, report.update and report.update.renewed) == ([], {})
    assert_same_tables(tmp_path / "out", logdir)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
@pytest.mark.parametrize("options", [{}, {"layout": "tags"}, {"format": "parquet"}, {"layout": "long", "every": 2}])
@pytest.mark.parametrize("change", [frames(losses(9, 12)), b""])
def test_runs_stay_while_their_folder_cannot_be_read(tmp_path: Path, change: bytes, options: dict[str, Any]) -> None:
    """Other runs are brought up to date meanwhile, and the report says that the folder cannot be read."""
    logdir, out = tmp_path / "logs", tmp_path / "out"
    rows = tb2csv.RowSelection(every=options.pop("every", 1))
    paths = [write_run(logdir / run, *losses(0, 9)) for run in ("a", "shut/b", "shut/deep/c", "shut")]
    tb2csv.convert(logdir, out, rows=rows, **options)
    before = read_tree(out)
    with enforced_permissions():
        (logdir / "shut").chmod(0)
        for number in range(2):
            append(paths[0], frames(losses(9 + number, 10 + number)))
            report = tb2csv.convert(logdir, out, rows=rows, **options)
            assert [(damage.path, damage.kind) for damage in report.damage] == [("shut", "unreadable")]
            assert report.update
            assert (report.update.removed, report.update.kept) == ([], ["shut", "shut/b", "shut/deep/c"])
            assert [run.run for run in report.runs] == ["a", "shut", "shut/b", "shut/deep/c"]
        found = read_tree(out)
        assert {path: data for path, data in found.items() if "shut" in path} == {
            path: data for path, data in before.items() if "shut" in path
        }
        (logdir / "shut").chmod(0o700)
    append(paths[1], change)
    report = tb2csv.convert(logdir, out, rows=rows, **options)
    assert report.update
    assert (report.damage, report.update.added, report.update.kept) == ([], [], [])
    tb2csv.convert(logdir, tmp_path / "new", rows=rows, **options)
    assert read_tree(out) == read_tree(tmp_path / "new")


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
def test_a_link_that_cannot_be_followed_is_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    logdir, shut = tmp_path / "logs", tmp_path / "shut"
    write_run(logdir / "a", *losses(0, 9))
    write_run(shut / "inside/b", *losses(0, 9))
    (logdir / "link").symlink_to(shut / "inside")
    tb2csv.convert(logdir, tmp_path / "out")
    with enforced_permissions():
        shut.chmod(0)
        report = tb2csv.convert(logdir, tmp_path / "out")
        shut.chmod(0o700)
    assert [damage.path for damage in report.damage] == ["link"]
    assert report.update
    assert (report.update.removed, report.update.kept) == ([], ["link/b"])
    tb2csv.convert(logdir, tmp_path / "out")
    assert_same_tables(tmp_path / "out", logdir)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
@pytest.mark.parametrize("options", [{"format": "parquet", "every": 2}, {"every": 3}])
def test_a_run_is_not_converted_anew_without_a_file_that_it_had(tmp_path: Path, options: dict[str, Any]) -> None:
    logdir, out = tmp_path / "logs", tmp_path / "out"
    rows = tb2csv.RowSelection(every=options.pop("every"))
    first = write_run(logdir / "run", *losses(0, 9), wall_time=1.0)
    second = write_run(logdir / "run", *losses(9, 18), name=file_name(1), wall_time=10.0)
    tb2csv.convert(logdir, out, rows=rows, **options)
    before = read_tree(out)
    append(second, frames(losses(18, 30)))
    with enforced_permissions():
        first.chmod(0)
        report = tb2csv.convert(logdir, out, rows=rows, **options)
        assert report.update
        assert report.update.kept == ["run"]
        assert [(damage.path, damage.kind) for damage in report.damage] == [(f"run/{first.name}", "unreadable")]
        assert {path: data for path, data in read_tree(out).items() if "/" in path} == {
            path: data for path, data in before.items() if "/" in path
        }
        first.chmod(0o600)
    tb2csv.convert(logdir, out, rows=rows, **options)
    tb2csv.convert(logdir, tmp_path / "new", rows=rows, **options)
    assert read_tree(out) == read_tree(tmp_path / "new")


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
@pytest.mark.parametrize("shut", ["run/rate_a", f"run/rate_a/{file_name()}"])
def test_merged_runs_are_not_converted_anew_without_a_part(tmp_path: Path, shut: str) -> None:
    logdir, out = tmp_path / "logs", tmp_path / "out"
    path = write_run(logdir / "run", *losses(0, 9))
    write_run(logdir / "run/rate_a", event(simple_value("rate", 1.0), step=1))
    tb2csv.convert(logdir, out, merge_subruns=True)
    before = read_tree(out)
    append(path, frames(losses(9, 12)))
    with enforced_permissions():
        (logdir / shut).chmod(0)
        with pytest.raises(tb2csv.LogdirError, match="tables stay as they were"):
            tb2csv.convert(logdir, out, merge_subruns=True)
        (logdir / shut).chmod(0o700)
    assert read_tree(out) == before
    assert tb2csv.convert(logdir, out, merge_subruns=True).values_written == 13


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
def test_trials_keep_the_metrics_of_a_run_whose_folder_cannot_be_read(tmp_path: Path) -> None:
    logdir, out = tmp_path / "logs", tmp_path / "out"
    for run in ("a", "b"):
        write_run(
            logdir / run,
            event(hparams_experiment(["rate"], ["loss"]), hparams_start({"rate": 0.5})),
            event(simple_value("loss", 3.0), step=1),
        )
    tb2csv.convert(logdir, out)
    before = (out / "hparams.csv").read_text()
    assert before.count(",3.0") == 6
    with enforced_permissions():
        (logdir / "b").chmod(0)
        tb2csv.convert(logdir, out)
        (logdir / "b").chmod(0o700)
    assert (out / "hparams.csv").read_text() == before


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
def test_frames_keep_runs_whose_folder_cannot_be_read(tmp_path: Path) -> None:
    logdir = tmp_path / "logs"
    path = write_run(logdir / "a", *losses(0, 9))
    write_run(logdir / "b", *losses(0, 9))
    log = tb2csv.open_logdir(logdir)
    with enforced_permissions():
        (logdir / "b").chmod(0)
        append(path, frames(losses(9, 12)))
        log.refresh()
        assert log.scalars(run="b")["step"].to_list() == [*range(9)]
        assert len(log.scalars(run="a")) == 12
        assert [damage.path for damage in log.report.damage] == ["b"]
        (logdir / "b").chmod(0o700)
    log.refresh()
    assert len(log.scalars()) == 21


def test_values_that_are_not_scalars_do_not_matter_for_a_replaced_file(tmp_path: Path) -> None:
    path = write_run(tmp_path / "logs/run", event(simple_value("loss", 1), step=1))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    path.write_bytes(event_file([event(simple_value("other", 1), step=1)]))
    assert list(update(tmp_path / "logs").renewed) == ["run"]
    assert not (tmp_path / "out/run/scalars/loss.csv").exists()
    assert_same_tables(tmp_path / "out", tmp_path / "logs")
