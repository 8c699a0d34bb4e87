"""A watch on the event files of a log directory.

Notifications come within a tenth of a second, but they are not complete. Files that are created at once in new nested
folders, folders beyond the system's limit of watches, links that are made later, and network file systems may give
none, without an error. So the log directory is listed at intervals as well. If a listing finds that a file has changed
without a notification, files are polled from then on.
"""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from tb2csv.errors import LogdirError
from tb2csv.logdir import Logdir, discover, locations_of
from tb2csv.size_limits import DEFAULT_EVENT_EXPANSION, SizeLimits
from tb2csv.sources.urls import is_url, refuse_caches
from tb2csv.watching.notices import Notices, SystemNotices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from typing_extensions import Self

    from tb2csv.logdir import EventFile, LogdirPath

#: Seconds between two polls of local files; a log directory that does not exist is looked for as often.
POLL: Final = 0.75
#: Seconds between two listings of a store.
POLL_OF_STORE: Final = 10.0

#: Seconds between two listings of local folders, with notifications and without.
LISTING: Final = 30.0
LISTING_IF_POLLED: Final = 10.0

#: Seconds between the report of an unknown path and another listing: a new folder is often reported before its files,
#: and some files are never reported.
_AGAIN: Final = 1.0

#: Seconds in which a change found by a listing must also be reported; otherwise notifications do not work.
_REPORTED_WITHIN: Final = 2.0

#: Listings take at most this share of the time, except the regular ones.
_SHARE: Final = 0.1

#: The state of a file, which differs if the file has changed; None if the file cannot be examined.
_State: TypeAlias = "tuple[int, ...] | str | None"


class Changes(NamedTuple):
    """The runs whose files may have changed, and the log directory as it was last listed."""

    runs: frozenset[str]
    logdir: Logdir


class LogWatch:
    """A watch on the event files below a path or URL; a context manager, which ends the notifications."""

    def __init__(
        self,
        path: LogdirPath,
        *,
        polls: bool = False,
        interval: float | None = None,
        max_expansion: int = DEFAULT_EVENT_EXPANSION,
        notices: Callable[[Sequence[str]], Notices] = SystemNotices,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to watch; ``wait`` starts.

        Args:
            path: the log directory, which need not exist yet, or several.
            polls: examine files at intervals instead of waiting for notifications. A store is always polled, and so
                are folders beside one.
            interval: the seconds between two polls.
            max_expansion: as of ``discover``.
            notices: makes the notifications of folders.
            clock: the time in seconds.

        Raises:
            LogdirError: the URL has a cache in front.
            OptionError: ``max_expansion`` is not positive.
        """
        #: The log directory when it was last listed; None before event files were found.
        self.logdir: Logdir | None = None
        #: Why the log directory could not be listed the last time; None if it could.
        self.problem: LogdirError | None = None
        self._paths = locations_of(path)
        self._expansion = SizeLimits(max_expansion).max_expansion
        urls = [each for each in self._paths if is_url(each)]
        for url in urls:
            refuse_caches(url)
        self._is_remote = bool(urls)
        self.is_polling = polls or self._is_remote
        self._interval = interval or (POLL_OF_STORE if self._is_remote else POLL)
        self._make_notices = notices
        self._clock = clock
        self._notices: Notices | None = None
        self._roots: list[tuple[int, int]] | None = None
        #: The known files and their runs, by the path under which they are reported.
        self._files: dict[str, tuple[EventFile, str]] = {}
        self._states: dict[str, _State] = {}
        self._real_folders: dict[str, str] = {}
        #: Files that have changed without a notification, each with the time until which it may come.
        self._unreported: dict[str, float] = {}
        self._list_at = self._poll_at = -math.inf
        self._list_again_at = math.inf
        self._earliest_listing = self._trusted_at = -math.inf

    def __enter__(self) -> Self:
        """Return the watch."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the notifications."""
        self._end_notices()

    def wait(self, seconds: float) -> Changes | None:
        """Wait until something may have changed, for some seconds at most; the first call lists the log directory.

        Returns:
            The changes since the last call that returned some, or None.
        """
        now = self._clock()
        listing = max(min(self._list_at, self._list_again_at), self._earliest_listing)
        due = min(listing, self._poll_at) if self.is_polling else listing
        reported = self._wait_for_notices(max(0.0, min(seconds, due - now)))
        now = self._clock()
        known = {key for key in map(self._key, reported) if key in self._files}
        for key in known:
            self._unreported.pop(key, None)
        if len(known) < len(reported):
            self._list_at, self._list_again_at = now, now + _AGAIN
        if any(until < now for until in self._unreported.values()):
            self.is_polling = True
            self._unreported.clear()
        if max(min(self._list_at, self._list_again_at), self._earliest_listing) <= now:
            return self._list(known)
        if self.is_polling and self._poll_at <= now and self.problem is None:
            self._poll_at = now + self._interval
            known = set(self._files)
        changed = self._changed_files(known)
        if any(self._states[key] is None for key in changed):  # a file is gone, and maybe its run
            return self._list(known)
        return self._changes(changed)

    def list_at_once(self) -> None:
        """Let the next ``wait`` list the log directory."""
        self._list_at = self._earliest_listing = -math.inf

    def _wait_for_notices(self, seconds: float) -> set[str]:
        if self._notices is None:
            time.sleep(seconds)
            return set()
        reported = self._notices.wait(seconds)
        if reported is None:
            self._end_notices()
            self.is_polling = True
        return reported or set()

    def _end_notices(self) -> None:
        if self._notices is not None:
            self._notices.close()
            self._notices = None

    def _list(self, reported: set[str]) -> Changes | None:
        """List the log directory, and return what has changed since the last listing."""
        begin = self._clock()
        try:
            found = discover(self._paths, max_expansion=self._expansion)
        except LogdirError as error:  # it may come, or come back: nothing is removed meanwhile
            self.problem, self._roots = error, None
            self._list_at, self._list_again_at = begin + self._interval, math.inf
            return None
        earlier, self.logdir, self.problem = self.logdir, found, None
        now = self._clock()
        pause = LISTING_IF_POLLED if self.is_polling else LISTING
        self._list_at = now + (self._interval if self._is_remote else pause)
        self._poll_at = now + self._interval
        if self._list_again_at <= now:
            self._list_again_at = math.inf
        self._earliest_listing = now + (now - begin) / _SHARE
        known = self._files
        self._files = {self._key(file.location): (file, run.name) for run in found.runs for file in run.files}
        self._states = {key: state for key, state in self._states.items() if key in self._files}
        changed = self._changed_files(self._files)
        if self._notices is not None and not self.is_polling and begin >= self._trusted_at:
            silent = set(changed) & known.keys() - reported
            self._unreported |= dict.fromkeys(silent - self._unreported.keys(), now + _REPORTED_WITHIN)
        if not self._is_remote:
            self._watch_roots(found, now)
        return self._changes(changed, is_listing_new=earlier is None or _names(found) != _names(earlier))

    def _changes(self, files: list[str], *, is_listing_new: bool = False) -> Changes | None:
        if self.logdir is None or not (files or is_listing_new):
            return None
        return Changes(frozenset(self._files[key][1] for key in files), self.logdir)

    def _watch_roots(self, found: Logdir, now: float) -> None:
        """Begin to watch the log directory, or another one that took its place."""
        try:
            statuses = [os.stat(path) for path in found.paths]
        except OSError:  # it is gone again; the next listing reports it
            return
        identities = [(status.st_dev, status.st_ino) for status in statuses]
        if identities == self._roots:
            return
        self._roots = identities
        self._real_folders.clear()
        self._end_notices()
        if self.is_polling:
            return
        try:
            self._notices = self._make_notices([os.path.realpath(path) for path in found.paths])
        except ImportError:
            self.is_polling = True
        else:
            self._list_again_at = now + _AGAIN  # what happens before the watch begins is not reported
            self._trusted_at = now + 2 * _AGAIN

    def _key(self, path: str) -> str:
        """Return the path under which a file is reported: its folder is named without links."""
        if self._is_remote:
            return path
        folder, name = os.path.split(path)
        real = self._real_folders.get(folder)
        if real is None:
            real = self._real_folders[folder] = os.path.realpath(folder)
        return os.path.join(real, name)

    def _changed_files(self, keys: Iterable[str]) -> list[str]:
        """Return the files whose state differs from the one when they were last examined."""
        changed = []
        for key in keys:
            state = self._state(self._files[key][0])
            if key not in self._states or self._states[key] != state:
                self._states[key] = state
                changed.append(key)
        return changed

    def _state(self, file: EventFile) -> _State:
        try:
            if self._is_remote:  # the listing of a web server has no versions
                return file.listed.text or file.version()
            status = os.stat(file.location)
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _names(logdir: Logdir) -> tuple[object, ...]:
    """Return the runs and files of a listing, and what could not be read."""
    return [(run.name, [file.path for file in run.files]) for run in logdir.runs], logdir.damage
