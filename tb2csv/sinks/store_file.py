"""An output file in an object store: written to a temporary local file, and put as one object.

A store shows an object only when all of it is there, so nothing has to mark it as complete.
"""

from __future__ import annotations

import contextlib
import errno
import tempfile
from typing import TYPE_CHECKING, Any

from tb2csv.atomic_files import private_folder
from tb2csv.errors import OutputError
from tb2csv.messages import Option, advice
from tb2csv.sources.requests import request
from tb2csv.sources.store import Store
from tb2csv.sources.urls import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class StoreFile:
    """An object that is to be written."""

    def __init__(self, url: str, *, overwrite: bool) -> None:
        """Name the object; ``overwrite`` says whether it may replace another one."""
        self._url = url
        self._may_replace = overwrite

    def check(self) -> None:
        """Check that the object can be written.

        Raises:
            OutputError: it exists and may not be replaced, there are objects below it, or the store does not answer.
            MissingExtraError: a package is missing.
        """
        filesystem, path = self._request(Store(self._url).connected)

        def find() -> list[dict[str, Any]]:
            filesystem.invalidate_cache()
            try:
                entries: list[dict[str, Any]] = filesystem.ls(path, detail=True)
            except FileNotFoundError:
                return []
            return entries

        found = self._request(find)
        if any(entry["name"].rstrip("/") != path for entry in found):
            message = f"{shown(self._url)} is a folder; choose the name of a file."
            raise OutputError(message)
        if found and not self._may_replace:
            raise self._exists()

    @contextlib.contextmanager
    def filled(self) -> Iterator[Path]:
        """Yield the path of a local file to fill; it becomes the object unless the block raises.

        Raises:
            OutputError: it cannot be put, or there is another object by now, which may not be replaced.
        """
        with private_folder(tempfile.gettempdir(), "tb2csv-output-") as private:
            file = private / "new"
            yield file
            filesystem, path = self._request(Store(self._url).connected)
            # Whether the object is there is checked by the store as well, because another process may write it.
            mode = "overwrite" if self._may_replace else "create"
            self._request(lambda: filesystem.put_file(str(file), path, mode=mode))

    def _request(self, call: Callable[[], Any]) -> Any:
        try:
            return request(self._url, call)
        except FileExistsError as error:
            raise self._exists() from error
        except OSError as error:
            if error.errno == errno.EEXIST:
                raise self._exists() from error
            message = f"{shown(self._url)} cannot be written: {error.strerror}."
            raise OutputError(message) from error

    def _exists(self) -> OutputError:
        replace = advice("{} to replace it", Option("overwrite", value=True))
        return OutputError(f"{shown(self._url)} exists already", advice("choose another name"), replace)
