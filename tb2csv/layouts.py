"""Which table goes to which file. The tree layout: ``<run>/<kind>/<tag>.csv``."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from tb2csv.sinks.file_names import UniqueNames, run_path, tag_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tb2csv.time_series import TimeSeries

#: Beside a table, the folder of the files that its ``path`` column names.
FILES_ENDING: Final = ".files"
#: Where the payloads go that could not be decoded.
UNDECODABLE_KIND: Final = "blobs"
UNDECODABLE_PART: Final = "undecodable"
#: The one table of the log directory's trials.
HPARAMS_PATH: Final = PurePosixPath("hparams")


class TreeLayout:
    """The run tree mirrored: a folder for each run, in it one for each kind, in it the tags."""

    def __init__(self, runs: Iterable[str]) -> None:
        """Find a folder for each run; two that differ only in case do not meet."""
        names = UniqueNames()
        self._folders = {run: names.claim(run_path(run), run) for run in runs}
        self._names = {run: UniqueNames() for run in self._folders}

    def table_path(self, series: TimeSeries) -> PurePosixPath:
        """Return the path of a series' table, without an ending."""
        return self._path(series, series.kind, series.variant)

    def undecodable_path(self, series: TimeSeries) -> PurePosixPath:
        """Return the path, without an ending, of the table of payloads that could not be decoded."""
        return self._path(series, UNDECODABLE_KIND, "")

    def _path(self, series: TimeSeries, kind: str, variant: str) -> PurePosixPath:
        path = PurePosixPath(kind) / tag_path(series.tag)
        if variant:  # what no encoded tag can hold is the ~ before it
            path = path.with_name(f"{path.name}~{variant}")
        original = f"{kind}\n{variant}\n{series.tag_bytes!r}"
        return self._folders[series.run] / self._names[series.run].claim(path, original)
