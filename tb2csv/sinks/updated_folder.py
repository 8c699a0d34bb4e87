"""An output folder that is brought up to date: rows are appended to its tables, and other files are replaced.

The ledger has the committed length of each table. Rows are appended beyond it, and new files wait in a private folder.
A commit of the ledger makes both count: then the waiting files are moved to their places. After a crash, the next
update cuts off what lies beyond the committed lengths, and moves or removes the waiting files.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tb2csv.errors import LateInterrupt, OutputError
from tb2csv.messages import Option, advice
from tb2csv.sinks.ledger import Ledger, damaged
from tb2csv.sinks.new_folder import SCRATCH
from tb2csv.sinks.output_folder import is_stored_name
from tb2csv.sinks.private_folder import PRIVATE, UPDATING, WAITING, PublishedFiles, is_published_path
from tb2csv.sinks.synced_files import files_below, sync_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from typing_extensions import Self

    from tb2csv.file_batches import FilePiece
    from tb2csv.sinks.table_folder import EarlierTables


class UpdatedFolder:
    """The output folder of an earlier conversion, which is locked while the ``with`` block runs."""

    def __init__(self, out: Path) -> None:
        """Update the folder ``out``, which has a ledger."""
        self.out = out
        self.ledger: Ledger
        self._private = f"{out}/{PRIVATE}"
        self._published = PublishedFiles(out)
        self._first_generation = 0
        self._waiting = ""
        self._made: set[str] = set()
        #: The committed lengths of the tables to which rows may be appended.
        self._lengths: dict[str, int] = {}
        self._appended: set[str] = set()

    def __enter__(self) -> Self:
        """Lock the folder, and finish or undo an update that was interrupted.

        Raises:
            OutputError: another process uses it, or its ledger cannot be used.
        """
        self.ledger = Ledger.open(self.out)
        try:
            self._recover()
        except OSError as error:
            self.ledger.close()
            if isinstance(error, OutputError):
                raise
            raise self._unfinished(error) from error
        except BaseException:
            self.ledger.close()
            raise
        self._first_generation = self._generation
        self._waiting = f"{self._private}/{WAITING}{self._first_generation + 1}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Undo what was not committed, and unlock the folder.

        Raises:
            LateInterrupt: the block was interrupted after a commit.
        """
        try:
            is_changed = self._appended or os.path.isdir(self._waiting)
            if kind is not None or is_changed:
                self.ledger.rollback()
            if is_changed:
                self._recover()
            if isinstance(error, KeyboardInterrupt) and self._generation != self._first_generation:
                raise LateInterrupt(f"{self.out} has the tables of the last complete update") from error
        except OSError as failure:
            if kind is not None:
                return  # of the first error; the next update recovers
            if isinstance(failure, OutputError):
                raise
            raise self._unfinished(failure) from failure
        finally:
            self.ledger.close()

    @property
    def earlier(self) -> EarlierTables:
        """The tables of the earlier conversion."""
        return self

    def expect(self, path: str, length: int) -> None:
        """Allow rows to be appended to a table, whose committed length in bytes is given."""
        self._lengths[path] = length

    def open(self, path: str, *, append: bool = False) -> IO[bytes]:
        """Open a file for writing: the table itself if rows are appended to it, else a waiting file."""
        if append and path in self._lengths:
            return open(self._continued(path), "ab")
        return open(self.location(path), "ab" if append else "wb")

    def append(self, path: str, data: bytes) -> None:
        """Append to a table, or to a waiting file."""
        with self.open(path, append=True) as file:
            file.write(data)

    def append_pieces(self, pieces: list[FilePiece], text: bytes, header: bytes) -> None:
        """Append pieces of a text to tables, or to waiting files."""
        for path, start, stop, with_header in pieces:
            self.append(path, header + text[start:stop] if with_header else text[start:stop])

    def _continued(self, path: str) -> str:
        """Return the location of a table that gets more rows."""
        location = self._published.location(path)
        if path not in self._appended:
            if not self._appended:
                self._mark()
            _cut(location, path, self._lengths[path])
            self._appended.add(path)
        return location

    def _mark(self) -> None:
        mark = Path(self.out, UPDATING)
        mark.touch()
        try:
            sync_files(str(self.out), [UPDATING])
        except OSError:
            mark.unlink()
            raise

    def move(self, path: str, new: str) -> None:
        """Move a waiting file or folder to an unused path."""
        os.rename(f"{self._waiting}/{path}", self.location(new))

    def location(self, path: str) -> str:
        """Return the location of a waiting file; its parents are created."""
        if not (is_published_path(path) or path.startswith(f"{SCRATCH}/")):
            raise damaged(self.out)
        location = f"{self._waiting}/{path}"
        parent = location[: location.rindex("/")]
        if parent not in self._made:
            os.makedirs(parent, exist_ok=True)
            self._made.add(parent)
        return location

    def published(self, path: str) -> str:
        """Return the location of a file of the earlier conversion."""
        return self._published.location(path)

    def copy_published(self, folder: str, new: str) -> None:
        """Put the files of a folder of the earlier conversion into another folder as well."""
        for name in files_below(self.published(folder)):
            source, target = self.published(f"{folder}/{name}"), self.location(f"{new}/{name}")
            try:
                os.link(source, target)
            except OSError:  # the file system has no links
                shutil.copyfile(source, target)

    def length(self, path: str) -> int:
        """Return the length of a file in bytes, with the rows that were appended or wait."""
        with contextlib.suppress(FileNotFoundError):
            return os.stat(f"{self._waiting}/{path}").st_size
        return os.stat(f"{self.out}/{path}").st_size

    def remove_scratch(self) -> None:
        """Remove the intermediate files, which are not published."""
        shutil.rmtree(f"{self._waiting}/{SCRATCH}", ignore_errors=True)

    def commit(self, removed: Iterable[str]) -> None:
        """Commit the ledger with all rows that were appended, and move the waiting files to their places.

        ``removed`` has the paths of files that no longer belong to the output, unless they wait.
        """
        self.remove_scratch()
        waiting = list(files_below(self._waiting))
        name = self._waiting.removeprefix(f"{self.out}/")
        sync_files(str(self.out), [*self._appended, *(f"{name}/{path}" for path in waiting)])
        unwanted = {*self._files_at(removed)} - set(waiting)
        if not all(map(is_published_path, unwanted)):
            raise damaged(self.out)
        self.ledger.put_fact("generation", self._generation + 1)
        self.ledger.put_fact("removed", sorted(unwanted))
        self.ledger.commit()
        self._appended.clear()
        self._lengths.clear()
        self._made.clear()
        try:
            self._publish()
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise self._unfinished(error) from error
        self._waiting = f"{self._private}/{WAITING}{self._generation + 1}"

    def _unfinished(self, error: OSError) -> OutputError:
        reason = error.strerror or error
        return OutputError(f"{self.out} is not complete ({reason}); the same command finishes it.")

    def _files_at(self, paths: Iterable[str]) -> Iterator[str]:
        """Yield paths of files, and those of the files in folders; a later call may find other files there."""
        for path in paths:
            if not self._published.is_folder(path):
                yield path
                continue
            names = files_below(f"{self.out}/{path}")
            yield from (f"{path}/{name}" for name in names if is_stored_name(name))

    @property
    def _generation(self) -> int:
        """The number of updates that were committed."""
        generation = self.ledger.fact("generation") or 0
        if type(generation) is not int or not 0 <= generation < 2**53:
            raise damaged(self.out)
        return generation

    def _publish(self) -> None:
        """Move the waiting files of the last commit to their places, and remove files that no longer belong there."""
        waiting = f"{self._private}/{WAITING}{self._generation}"
        removed = self.ledger.fact("removed") or []
        if not isinstance(removed, list) or not all(map(is_published_path, removed)):
            raise damaged(self.out)
        for path in removed:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._published.location(path))
            _remove_empty_parents(self.out, path)
        # Removed files may have been in folders that are gone now.
        self._published = PublishedFiles(self.out)
        for path in list(files_below(waiting)):
            target = self._published.location(path)
            os.makedirs(target[: target.rindex("/")], exist_ok=True)
            os.replace(f"{waiting}/{path}", target)
        shutil.rmtree(waiting, ignore_errors=True)
        Path(self.out, UPDATING).unlink(missing_ok=True)

    def _recover(self) -> None:
        """Publish what was committed, and cut off or remove what was not."""
        committed = f"{WAITING}{self._generation}"
        waiting = [name for name in os.listdir(self._private) if name.startswith(WAITING)]
        is_cut_short = os.path.exists(f"{self.out}/{UPDATING}")
        if committed in waiting:
            self._publish()
        for name in waiting:
            if name != committed:
                shutil.rmtree(f"{self._private}/{name}")
        if is_cut_short:
            for path, length in self.ledger.lengths():
                _cut(self._published.location(path), path, length)
            Path(self.out, UPDATING).unlink(missing_ok=True)
        self._appended.clear()


def _cut(location: str, path: str, length: int) -> None:
    """Cut off what lies beyond the committed length of a table.

    Raises:
        OutputError: the table is missing or shorter.
    """
    try:
        size = os.stat(location).st_size
    except FileNotFoundError:
        size = -1
    if size < length:
        what = "is missing" if size < 0 else f"has {size:,} bytes instead of {length:,}"
        replace = advice("{} to convert everything anew", Option("overwrite", value=True))
        raise OutputError(f"{path} was changed since the last update: it {what}", replace)
    if size > length:
        os.truncate(location, length)


def _remove_empty_parents(out: Path, path: str) -> None:
    while "/" in path:
        path = path.rpartition("/")[0]
        try:
            os.rmdir(out / path)
        except OSError:  # it has other files
            return
