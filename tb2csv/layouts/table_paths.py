"""The paths of the tables of the tree, ``<run>/<kind>/<tag>``.

Rows are decoded for one run and one tag at a time, so each table has a place in the tree at first. Layouts join tables
of the tree; tables that they do not join stay in their places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.sinks.file_names import UniqueNames, encode_segment, run_path, tag_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tb2csv.time_series import Series

#: Beside a table, the folder of the files that its ``path`` column names.
FILES_ENDING: Final = ".files"
#: The root run, where the name of a run has to be a folder's; no encoded name has this one, for "ro" is not hex.
ROOT_FILES: Final = "%root"
#: Where the payloads go that could not be decoded.
UNDECODABLE_KIND: Final = "blobs"
UNDECODABLE_PART: Final = "undecodable"
#: The one table of the log directory's trials, without its ending.
HPARAMS_PATH: Final = "hparams"
#: The table of contents, without its ending.
INDEX_PATH: Final = "index"

SCALARS: Final = "scalars"


class TreeTable(NamedTuple):
    """What distinguishes a table of the tree from all others.

    ``folder`` is the kind of the series that the table belongs to, ``kind`` that of the table itself.
    """

    run: str
    tag_bytes: bytes
    folder: str
    kind: str
    part: str
    variant: str


@dataclass(frozen=True, slots=True)
class TreePlace:
    """The place of one table in the tree: ``stem``, then the part, then the ending of the format.

    ``folder`` is the kind of the series that the table belongs to, ``kind`` that of the table itself. ``run_folder`` is
    that of the run, empty for the root run.
    """

    series: Series
    run_folder: str
    stem: str
    folder: str
    kind: str
    part: str

    @property
    def table(self) -> TreeTable:
        """The table in this place."""
        series = self.series
        return TreeTable(series.run, series.tag_bytes, self.folder, self.kind, self.part, series.variant)

    @property
    def path(self) -> str:
        """The path without the ending of the format."""
        return f"{self.stem}.{self.part}" if self.part else self.stem


class TreePaths:
    """The run tree mirrored: a folder for each run, in it one for each kind, in it the tags. All without endings."""

    def __init__(self, runs: Iterable[str], *, holds_tables: bool = True) -> None:
        """Find a folder for each run; two that differ only in case do not meet.

        ``holds_tables=False`` is for event files alone, whose folders TensorBoard shows as names of runs.
        """
        names = UniqueNames()
        self._folders = {run: names.claim(run_path(run, holds_tables=holds_tables), run) for run in runs}
        self._names = {run: UniqueNames() for run in self._folders}

    def below(self, run: str, path: str) -> str:
        """Return a path in the folder of a run."""
        folder = self._folders[run]
        return f"{folder}/{path}" if folder else path

    def place(self, series: Series, kind: str, part: str) -> TreePlace:
        """Return the place of a series' table, or of a part that is a table beside it."""
        stem = self._stem(series, series.kind, series.variant)
        return TreePlace(series, self._folders[series.run], stem, series.kind, kind, part)

    def undecodable(self, series: Series) -> TreePlace:
        """Return the place of the table of a tag's payloads that could not be decoded."""
        stem = self._stem(series, UNDECODABLE_KIND, "")
        folder = self._folders[series.run]
        return TreePlace(series, folder, stem, UNDECODABLE_KIND, UNDECODABLE_KIND, UNDECODABLE_PART)

    def _stem(self, series: Series, kind: str, variant: str) -> str:
        path = with_variant(f"{kind}/{tag_path(series.tag)}", variant)
        original = f"{kind}\n{variant}\n{series.tag_bytes!r}"
        return self.below(series.run, self._names[series.run].claim(path, original))


def with_variant(path: str, variant: str) -> str:
    """Return the path of a table that differs from the one at ``path`` in its columns."""
    # What no encoded tag can hold is the ~ before it.
    return f"{path}~{encode_segment(variant)}" if variant else path


#: The values of a tag for one step that the wide layout keeps; ``error`` refuses a tag that has several.
ON_DUPLICATE: Final = ("last", "first", "error")
