"""The output folder of a log that is followed: it stays open, and locked, between updates."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tb2csv.conversion import check_apart, table_folder
from tb2csv.folder_conversion import ConversionSettings, FolderConversion
from tb2csv.local_paths import local_path
from tb2csv.sinks.output_folder import OutputAppearedError
from tb2csv.sinks.updated_folder import UpdatedFolder

if TYPE_CHECKING:
    import os
    from collections.abc import Set as AbstractSet
    from types import TracebackType

    from typing_extensions import Self

    from tb2csv.logdir import Logdir
    from tb2csv.report import Report

#: The index and the data package, and tables that cannot be appended to, may take this share of the time.
_SHARE: Final = 0.05


class LiveTables:
    """The tables in one output folder; a context manager, which completes them and unlocks the folder at its end."""

    def __init__(
        self, settings: ConversionSettings, out: str | os.PathLike[str], pause: float, *, overwrite: bool = False
    ) -> None:
        """Prepare to write tables to ``out``; ``pause`` is the minimum time between two indexes in seconds.

        With ``overwrite``, an earlier conversion is replaced and not continued.
        """
        self._settings = settings
        self._out = out
        self._overwrite = overwrite
        self._pause = pause
        self._folder: UpdatedFolder | None = None
        self._conversion: FolderConversion | None = None
        self._found: Logdir | None = None
        self._next_manifest = self.next_update = 0.0
        #: Whether the tables are as the ledger says; they are not after an error in an update.
        self._is_sound = False

    def open(self, found: Logdir) -> Report:
        """Convert the log as it is now, into a new folder or into that of an earlier conversion.

        Raises:
            LogdirError: no run is selected, or no file is an event file.
            NameNotFoundError: no value is selected.
            OutputError: the folder cannot be used, or another process updates it.
        """
        folder = table_folder(local_path(self._out), overwrite=self._overwrite)
        check_apart(found, self._out)
        runs = self._settings.choose(found)
        report = None
        if not isinstance(folder, UpdatedFolder):
            try:
                with folder:
                    report = FolderConversion(self._settings, folder).update(found, runs)
            except OutputAppearedError:
                report = None  # the conversion of the other process is continued
            folder = UpdatedFolder(folder.out)
        folder.__enter__()
        try:
            self._conversion = FolderConversion(self._settings, folder)
            report = report or self._conversion.update(found, runs)
        except BaseException as error:
            folder.__exit__(type(error), error, error.__traceback__)
            raise
        self._folder, self._found, self._is_sound = folder, found, True
        return report

    def update(self, found: Logdir, changed: AbstractSet[str]) -> Report:
        """Append what is new in the runs that may have changed, and commit it.

        Raises:
            LogdirError: no run is selected any longer; nothing was changed.
            OutputError: the tables cannot be written.
        """
        assert self._conversion is not None
        begin = time.monotonic()
        runs = self._settings.choose(found)
        with_manifest = begin >= self._next_manifest or not self._settings.is_appended
        self._is_sound = False
        report = self._conversion.update(found, runs, changed=changed, with_manifest=with_manifest)
        self._is_sound, self._found = True, found
        end = time.monotonic()
        if with_manifest:
            self._next_manifest = end + max(self._pause, (end - begin) / _SHARE)
        self.next_update = end + max(self._pause, 0.0 if self._settings.is_appended else (end - begin) / _SHARE)
        return report

    def complete(self, *, at_once: bool = False) -> None:
        """Write the tables of several runs, the index and the data package if updates have left them out."""
        if self._conversion is None or self._found is None or not self._is_sound:
            return
        begin = time.monotonic()
        if not self._conversion.is_manifest_due or not (at_once or begin >= self._next_manifest):
            return
        self._is_sound = False
        self._conversion.update(self._found, self._settings.choose(self._found), changed=frozenset())
        self._is_sound = True
        end = time.monotonic()
        self._next_manifest = end + max(self._pause, (end - begin) / _SHARE)

    def __enter__(self) -> Self:
        """Return the tables."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Complete the tables, and unlock the folder."""
        if self._folder is None:
            return
        try:
            self.complete(at_once=True)
        except BaseException as failure:
            self._folder.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._folder.__exit__(kind, error, traceback)
