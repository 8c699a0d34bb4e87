"""The paths of the tables of the tree, ``<run>/<kind>/<tag>``.

Each run and tag is decoded on its own, so each table first has a path in the tree. Layouts join tables of the tree; the
other tables keep their paths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.sinks.file_names import UniqueNames, encode_segment, run_path, tag_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tb2csv.time_series import Series

#: The ending of the folder next to a table with the files that its ``path`` column names.
FILES_ENDING: Final = ".files"
#: The folder of the root run. It cannot collide with an encoded name, because "ro" is not hexadecimal.
ROOT_FILES: Final = "%root"
#: The kind and the part of tables with payloads that cannot be decoded.
UNDECODABLE_KIND: Final = "blobs"
UNDECODABLE_PART: Final = "undecodable"
#: The table of trials, without its ending.
HPARAMS_PATH: Final = "hparams"
#: The index, without its ending.
INDEX_PATH: Final = "index"

SCALARS: Final = "scalars"

#: The number of paths that are remembered for other runs with the same tags.
_REMEMBERED: Final = 1 << 14


class TreeTable(NamedTuple):
    """The key of a table of the tree, which is unique.

    ``folder`` is the kind of the table's series, ``kind`` that of the table itself.
    """

    run: str
    tag_bytes: bytes
    folder: str
    kind: str
    part: str
    variant: str


class TreePlace(NamedTuple):
    """The path of a table in the tree, and what it was made from: ``stem``, then the part, then the format's ending.

    ``folder`` is the kind of the table's series, ``kind`` that of the table itself. ``run_folder`` is the folder of the
    run, empty for the root run.
    """

    series: Series
    run_folder: str
    stem: str
    folder: str
    kind: str
    part: str

    @property
    def table(self) -> TreeTable:
        """The key of the table at this path."""
        series = self.series
        return TreeTable(series.run, series.tag_bytes, self.folder, self.kind, self.part, series.variant)

    @property
    def path(self) -> str:
        """The path without the ending of the format."""
        return f"{self.stem}.{self.part}" if self.part else self.stem


class TreePaths:
    """The paths of the tree, without endings: a folder for each run, in it one for each kind, in it the tags."""

    def __init__(self, runs: Iterable[str], *, holds_tables: bool = True) -> None:
        """Choose a folder for each run; runs that differ only in case get different folders.

        ``holds_tables=False`` is for folders of event files only, which TensorBoard shows as names of runs.
        """
        names = UniqueNames()
        self._folders = {run: names.claim(run_path(run, holds_tables=holds_tables), run) for run in runs}
        #: The names in the folders of runs that have tables and are not complete.
        self._names: dict[str, UniqueNames] = {}
        #: The paths in the folder of a run by kind, tag and variant, which many runs share.
        self._known: dict[tuple[str, str, str], str] = {}

    def part(self, runs: Iterable[str]) -> TreePaths:
        """Return the paths of some of the runs, which are the same and can be pickled."""
        paths = TreePaths([])
        paths._folders = {run: self._folders[run] for run in runs}
        return paths

    def folder(self, run: str) -> str:
        """Return the folder of a run; empty for the root run."""
        return self._folders[run]

    def release(self, run: str) -> None:
        """Forget the names of the tables of a run that is complete."""
        self._names.pop(run, None)

    def below(self, run: str, path: str) -> str:
        """Return a path in the folder of a run."""
        folder = self._folders[run]
        return f"{folder}/{path}" if folder else path

    def place(self, series: Series, kind: str, part: str) -> TreePlace:
        """Return the path of a series' table, or of a part in a side table."""
        stem = self._stem(series, series.kind, series.variant)
        return TreePlace(series, self._folders[series.run], stem, series.kind, kind, part)

    def undecodable(self, series: Series) -> TreePlace:
        """Return the path of the table with a tag's undecodable payloads."""
        stem = self._stem(series, UNDECODABLE_KIND, "")
        folder = self._folders[series.run]
        return TreePlace(series, folder, stem, UNDECODABLE_KIND, UNDECODABLE_KIND, UNDECODABLE_PART)

    def restore(self, place: TreePlace) -> None:
        """Take the path of a place that was chosen by an earlier conversion."""
        path = place.stem[len(place.run_folder) + 1 :] if place.run_folder else place.stem
        series = place.series
        variant = "" if place.part == UNDECODABLE_PART else series.variant
        self._claim(path, place.folder, variant, series)

    def _stem(self, series: Series, kind: str, variant: str) -> str:
        key = kind, series.tag, variant
        path = self._known.get(key)
        if path is None:
            if len(self._known) == _REMEMBERED:
                self._known.clear()
            path = self._known[key] = with_variant(f"{kind}/{tag_path(series.tag)}", variant)
        return self.below(series.run, self._claim(path, kind, variant, series))

    def _claim(self, path: str, kind: str, variant: str, series: Series) -> str:
        names = self._names.get(series.run)
        if names is None:
            names = self._names[series.run] = UniqueNames()
        return names.claim(path, _original(kind, variant, series))


def _original(kind: str, variant: str, series: Series) -> str | Callable[[], str]:
    """Return what a path is made from, as ``UniqueNames.claim`` takes it."""

    def original() -> str:
        return f"{kind}\n{variant}\n{series.tag_bytes!r}"

    # The text of bytes that are not UTF-8 may be that of others.
    return original if series.tag.encode("utf-8", "surrogatepass") == series.tag_bytes else original()


def with_variant(path: str, variant: str) -> str:
    """Return the path of a table whose columns differ from those of the table at ``path``."""
    # An encoded tag cannot contain the ~.
    return f"{path}~{encode_segment(variant)}" if variant else path
