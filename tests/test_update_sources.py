"""Event files that change in other ways than by growing: which changes an update notices, and what it says."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from event_files import event, event_file, file_name, flip, frames, records, simple_value, write_run
from permissions import enforced_permissions
from tables import read_rows
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
def test_a_folder_is_read_once_it_is_readable(tmp_path: Path) -> None:
    """While it is not, its runs count as gone, and the report says that the folder cannot be read."""
    logdir = tmp_path / "logs"
    for run in ("a", "b"):
        write_run(logdir / run, *losses(0, 9))
    tb2csv.convert(logdir, tmp_path / "out")
    with enforced_permissions():
        (logdir / "b").chmod(0)
        report = tb2csv.convert(logdir, tmp_path / "out")
        assert [damage.path for damage in report.damage] == ["b"]
        assert report.update
        assert report.update.removed == ["b"]
        (logdir / "b").chmod(0o700)
    assert update(logdir).added == ["b"]
    assert steps(logdir, "b") == [*range(9)]
    assert_same_tables(tmp_path / "out", logdir)


def test_values_that_are_not_scalars_do_not_matter_for_a_replaced_file(tmp_path: Path) -> None:
    path = write_run(tmp_path / "logs/run", event(simple_value("loss", 1), step=1))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    path.write_bytes(event_file([event(simple_value("other", 1), step=1)]))
    assert list(update(tmp_path / "logs").renewed) == ["run"]
    assert not (tmp_path / "out/run/scalars/loss.csv").exists()
    assert_same_tables(tmp_path / "out", tmp_path / "logs")
