"""A watch on a log directory: what notifications report, and what only listings and polls find."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import fsspec
import pytest
from event_files import event, event_file, scalar

import tb2csv
from tb2csv.watching import log_watch
from tb2csv.watching.log_watch import LISTING, LISTING_IF_POLLED, POLL, POLL_OF_STORE, LogWatch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tb2csv.watching.log_watch import Changes

NAME = "events.out.tfevents.1.host"


def write(path: Path, count: int = 1) -> Path:
    """Append events to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(event_file([event(scalar("loss", 1.0))] * count))
    return path


class FakeNotices:
    """Notifications that a test gives, and a clock that goes on only while the watch waits."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 0.0
        self.reported: set[str] | None = set()
        self.watched: list[str] = []
        self.ended = 0

    def watch(self, *, polls: bool = False) -> LogWatch:
        return LogWatch(str(self.root), polls=polls, notices=self.begin, clock=lambda: self.now)

    def begin(self, roots: Sequence[str]) -> FakeNotices:
        self.watched += roots
        return self

    def wait(self, seconds: float) -> set[str] | None:
        reported, self.reported = self.reported, set()
        if not reported:
            self.now += seconds
        return reported

    def close(self) -> None:
        self.ended += 1

    def report(self, *paths: Path) -> None:
        self.reported = {str(path) for path in paths}

    def changes(self, watch: LogWatch, seconds: float) -> list[Changes]:
        """Return all changes within a time."""
        end = self.now + seconds
        found = []
        while self.now < end:
            changes = watch.wait(min(0.25, end - self.now))
            if changes is not None:
                found.append(changes)
        return found


@pytest.fixture
def notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNotices:
    fake = FakeNotices(tmp_path / "log")
    monkeypatch.setattr(log_watch.time, "sleep", lambda seconds: setattr(fake, "now", fake.now + seconds))
    return fake


def settled(notices: FakeNotices) -> LogWatch:
    """Return a watch that has listed the log, and again after its notifications began."""
    watch = notices.watch()
    first = watch.wait(0)
    assert first is not None
    assert [run.name for run in first.logdir.runs] == sorted(first.runs)
    assert notices.changes(watch, 5) == []
    return watch


def test_reported_growth_names_its_run(notices: FakeNotices) -> None:
    first, _ = write(notices.root / "a" / NAME), write(notices.root / "b" / NAME)
    watch = settled(notices)
    write(first)
    notices.report(first)
    changes = watch.wait(0)
    assert changes is not None
    assert changes.runs == {"a"}
    notices.report(first)  # nothing has changed since
    assert watch.wait(0) is None


def test_files_created_at_once_in_reported_folders_are_found(notices: FakeNotices) -> None:
    write(notices.root / "a" / NAME)
    watch = settled(notices)
    (notices.root / "new").mkdir()
    notices.report(notices.root / "new")
    assert watch.wait(0) is None  # listed before there is a file
    write(notices.root / "new" / "nested" / "run" / NAME)  # never reported
    (changes,) = notices.changes(watch, 2)
    assert changes.runs == {"new/nested/run"}
    assert [run.name for run in changes.logdir.runs] == ["a", "new/nested/run"]


def test_silent_growth_is_found_by_a_listing_and_then_by_polls(notices: FakeNotices) -> None:
    path = write(notices.root / "a" / NAME)
    watch = settled(notices)
    write(path)
    (changes,) = notices.changes(watch, LISTING + 3)
    assert changes.runs == {"a"}
    assert watch.is_polling
    write(path)
    begin = notices.now
    while watch.wait(0.25) is None:
        pass
    assert notices.now - begin <= POLL + 0.25


def test_growth_that_is_reported_after_a_listing_keeps_notifications(notices: FakeNotices) -> None:
    path = write(notices.root / "a" / NAME)
    watch = settled(notices)
    while notices.now < LISTING - 1:
        watch.wait(0.5)
    write(path)
    while watch.wait(0.5) is None:
        pass
    notices.report(path)
    notices.changes(watch, 10)
    assert not watch.is_polling


def test_new_folders_without_any_report_are_found_by_a_listing(notices: FakeNotices) -> None:
    write(notices.root / "a" / NAME)
    watch = settled(notices)
    write(notices.root / "b" / NAME)
    (changes,) = notices.changes(watch, LISTING)
    assert changes.runs == {"b"}


def test_files_are_polled_if_notifications_end(notices: FakeNotices) -> None:
    path = write(notices.root / "a" / NAME)
    watch = settled(notices)
    notices.reported = None  # as with too few watches
    watch.wait(0)
    assert watch.is_polling
    assert notices.ended == 1
    write(path)
    (changes,) = notices.changes(watch, 2 * POLL)
    assert changes.runs == {"a"}


def test_polls_find_growth_between_listings_and_listings_new_runs(notices: FakeNotices) -> None:
    path = write(notices.root / "a" / NAME)
    watch = notices.watch(polls=True)
    assert watch.wait(0) is not None
    write(path)
    begin = notices.now
    while (changes := watch.wait(0.25)) is None:
        pass
    assert changes.runs == {"a"}
    assert notices.now - begin <= POLL + 0.25
    write(notices.root / "b" / NAME)
    (changes,) = notices.changes(watch, LISTING_IF_POLLED)
    assert changes.runs == {"b"}
    assert notices.watched == []


def test_a_log_that_comes_later_or_again_is_waited_for(notices: FakeNotices) -> None:
    watch = notices.watch()
    assert notices.changes(watch, 5) == []
    assert isinstance(watch.problem, tb2csv.LogdirNotFoundError)
    write(notices.root / "a" / NAME)
    (changes,) = notices.changes(watch, 3)
    assert changes.runs == {"a"}
    assert watch.problem is None
    moved = notices.root.with_name("moved")
    notices.root.rename(moved)
    notices.report(notices.root)
    assert notices.changes(watch, 5) == []
    assert isinstance(watch.problem, tb2csv.LogdirNotFoundError)
    shutil.copytree(moved, notices.root)
    (changes,) = notices.changes(watch, 3)
    assert changes.runs == {"a"}
    assert len(notices.watched) == 2, "the new folder is watched"


def test_removed_runs_are_reported(notices: FakeNotices) -> None:
    write(notices.root / "a" / NAME)
    path = write(notices.root / "b" / NAME)
    watch = settled(notices)
    shutil.rmtree(path.parent)
    notices.report(path)
    changes = watch.wait(0)
    assert changes is not None
    assert [run.name for run in changes.logdir.runs] == ["a"]


def test_growth_below_a_link_is_known_by_its_target(notices: FakeNotices, tmp_path: Path) -> None:
    path = write(tmp_path / "elsewhere" / NAME)
    write(notices.root / "a" / NAME)
    (notices.root / "link").symlink_to(path.parent)
    watch = settled(notices)
    write(path)
    notices.report(notices.root / "link" / NAME)
    changes = watch.wait(0)
    assert changes is not None
    assert changes.runs == {"link"}


def test_permission_that_is_given_later_is_a_change(notices: FakeNotices) -> None:
    path = write(notices.root / "a" / NAME)
    path.chmod(0)
    watch = settled(notices)
    path.chmod(0o644)
    notices.report(path)
    changes = watch.wait(0)
    assert changes is not None
    assert changes.runs == {"a"}


def test_growth_in_a_store_is_found_by_listings(notices: FakeNotices) -> None:
    store = fsspec.filesystem("memory")
    data = event_file([event(scalar("loss", 1.0))])
    store.pipe(f"/watched/a/{NAME}", data)
    store.pipe(f"/watched/b/{NAME}", data)
    watch = LogWatch("memory://watched", clock=lambda: notices.now)
    assert watch.wait(0) is not None
    assert notices.changes(watch, 3 * POLL_OF_STORE) == []
    store.pipe(f"/watched/b/{NAME}", data + data)
    (changes,) = notices.changes(watch, POLL_OF_STORE)
    assert changes.runs == {"b"}


def test_caches_in_front_of_a_store_are_refused() -> None:
    with pytest.raises(tb2csv.LogdirError, match="simplecache"):
        LogWatch("simplecache::s3://bucket/logs")
    with pytest.raises(tb2csv.LogdirError, match="filecache"):
        tb2csv.follow("filecache::memory://logs")


def test_checkpoints_are_not_reported(tmp_path: Path) -> None:
    notices = pytest.importorskip("tb2csv.watching.notices")
    pytest.importorskip("watchfiles")
    (tmp_path / "run").mkdir()
    watched = notices.SystemNotices([os.path.realpath(tmp_path)])
    try:
        seen: set[str] = set()
        for number in range(1000):  # until the watch has begun
            (tmp_path / "run" / f"model-{number}.ckpt").touch()
            write(tmp_path / ".venv" / NAME) if number % 2 else write(tmp_path / "run" / NAME)
            seen |= watched.wait(0.2)
            if {str(tmp_path / "run" / NAME), str(tmp_path / ".venv" / NAME)} <= seen:
                break
        assert any(path.endswith(f".venv/{NAME}") for path in seen), "the default filter drops .venv"
        assert not any(path.endswith(".ckpt") for path in seen)
    finally:
        watched.close()
