"""An output folder in an object store: written to a temporary local folder, then put object by object.

Nothing can be renamed in a store, so the data package is what makes an output complete: it is removed first and put
last. A marker object has the paths of all objects, old and new, while they are replaced. It is put only if there is not
one yet, so it keeps a second conversion out, and after an interruption the next one knows which objects are its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import uuid
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import OutputError, check_flag
from tb2csv.messages import Option, advice
from tb2csv.parallel import map_runs
from tb2csv.sinks.output_folder import DATA_PACKAGE, OutputFolder, written_files
from tb2csv.sinks.private_folder import PRIVATE
from tb2csv.sinks.synced_files import files_below
from tb2csv.sources.requests import request
from tb2csv.sources.store import Store
from tb2csv.sources.urls import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MARKER: Final = f"{PRIVATE}/unfinished.json"
_INDEX: Final = "index.csv"

#: How many objects are put at once.
_AT_ONCE: Final = 32


class StoreFolder(OutputFolder):
    """A folder of objects that is being filled; the end of the ``with`` block puts them, unless the block raises."""

    def __init__(self, url: str, *, overwrite: bool = False) -> None:
        """Check that the objects below ``url`` can become the output.

        Raises:
            OutputError: there are other objects, or they cannot be listed.
            MissingExtraError: a package is missing.
        """
        check_flag("overwrite", overwrite)
        self._url = url.rstrip("/")
        self._store = Store(self._url)
        self._may_replace = overwrite
        self._changed_so_far = ""
        #: Distinguishes this conversion's marker from that of another one; it has the form of a path.
        self._mark_of_own = f"{PRIVATE}/{uuid.uuid4().hex}"
        self._filesystem: Any
        self._filesystem, self._prefix = self._store.connected()
        self._replaced()
        super().__init__(os.path.join(tempfile.gettempdir(), f"tb2csv-{uuid.uuid4().hex}"))

    def _publish(self) -> None:
        """Put the objects.

        Raises:
            OutputError: they cannot be put.
        """
        old = self._replaced()
        new = [path for path in sorted(files_below(self._root)) if not path.startswith(f"{PRIVATE}/")]
        try:
            self._mark([*old, *new], is_new=_MARKER not in old)
            self._check_unchanged(old)
        except BaseException:
            if _MARKER not in old:  # else the objects are those of an interrupted conversion
                self._remove_own_marker()
            raise
        self._changed_so_far = f"{shown(self._url)} is not complete, so another conversion must replace it"
        self._remove([DATA_PACKAGE] if DATA_PACKAGE in old else [])
        map_runs(self._put, [path for path in new if path not in {_INDEX, DATA_PACKAGE}], workers=_AT_ONCE)
        for path in (_INDEX, DATA_PACKAGE):
            if path in new:  # the event files of a repair have no index
                self._put(path)
        self._remove(sorted({*old} - {*new, _MARKER, DATA_PACKAGE}))
        self._remove([_MARKER])
        self._changed_so_far = f"{shown(self._url)} is complete"

    def _check_unchanged(self, old: list[str]) -> None:
        if {*self._request(self._listed)} - {_MARKER} != {*old} - {_MARKER}:  # another conversion has ended since
            raise self._in_use()

    def _change(self) -> str:
        return self._changed_so_far

    def _replaced(self) -> list[str]:
        """Return the paths of the objects that are replaced.

        Raises:
            OutputError: there are objects that may not be replaced.
        """
        paths: list[str] = self._request(self._listed)
        if not paths:
            return []
        if not self._may_replace:
            replace = advice("{} to replace an earlier conversion", Option("overwrite", value=True))
            is_earlier = DATA_PACKAGE in paths
            fact = (
                "has an earlier conversion, and only a local one is brought up to date"
                if is_earlier
                else "is not empty"
            )
            raise OutputError(f"{shown(self._url)} {fact}", advice("choose another place"), replace)
        is_written = written_files(self._content(DATA_PACKAGE, paths))
        unfinished = set(json.loads(self._content(_MARKER, paths) or b"[]")) | {_MARKER}
        foreign = next((path for path in paths if path not in unfinished and not is_written(path)), None)
        if foreign is not None:
            message = f"{shown(self._url)} is not replaced, because it contains {foreign}, which tb2csv did not write."
            raise OutputError(message)
        return paths

    def _listed(self) -> list[str]:
        self._filesystem.invalidate_cache()
        found = self._filesystem.find(self._prefix)
        return sorted(each.removeprefix(f"{self._prefix}/") for each in found if not each.endswith("/"))

    def _content(self, path: str, paths: Iterable[str]) -> bytes:
        if path not in paths:
            return b""
        content: bytes = self._request(lambda: self._filesystem.cat_file(f"{self._prefix}/{path}"))
        return content

    def _mark(self, paths: list[str], *, is_new: bool) -> None:
        data = json.dumps(sorted({*paths, self._mark_of_own} - {_MARKER})).encode()
        mode = "create" if is_new else "overwrite"
        self._request(lambda: self._filesystem.pipe_file(f"{self._prefix}/{_MARKER}", data, mode=mode))

    def _remove_own_marker(self) -> None:
        """Remove the marker if it is there and this conversion has put it, so that no object has been changed."""
        with contextlib.suppress(OSError):
            if self._mark_of_own in json.loads(self._content(_MARKER, self._request(self._listed)) or b"[]"):
                self._remove([_MARKER])

    def _put(self, path: str, report_bytes: Callable[[int], None] = lambda _: None) -> None:
        report_bytes(0)  # it may raise to cancel
        self._request(lambda: self._filesystem.put_file(f"{self._root}/{path}", f"{self._prefix}/{path}"))

    def _remove(self, paths: list[str]) -> None:
        if paths:
            self._request(lambda: self._filesystem.rm([f"{self._prefix}/{path}" for path in paths]))

    def _request(self, call: Callable[[], Any]) -> Any:
        try:
            return request(self._url, call)
        except FileExistsError as error:
            raise self._in_use() from error
        except OSError as error:
            message = f"The tables cannot be written to {shown(self._url)}: {error.strerror}."
            raise OutputError(message) from error

    def _in_use(self) -> OutputError:
        return OutputError(
            f"Another conversion writes to {shown(self._url)}, so nothing was changed; wait for its end."
        )
