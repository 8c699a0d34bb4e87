"""Which table goes to which file.

Rows are decoded for one run and one tag at a time, so the tree (``<run>/<kind>/<tag>``) is what there is at first. The
other layouts join tables of the tree; what they do not join stays as it is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from tb2csv.sinks.file_names import UniqueNames, encode_segment, run_path, tag_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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


class RowJoin(Protocol):
    """Puts tables of the tree one below the other."""

    @property
    def leading(self) -> tuple[str, ...]:
        """What leads each row, of ``run`` and ``tag``."""

    @property
    def renamed(self) -> Mapping[str, str]:
        """The columns that are written, by their new names, where these are not all."""

    def joins(self, kind: str) -> bool:
        """Say whether tables of that kind are joined."""

    def key(self, place: TreePlace) -> str:
        """Return what tables that are joined have in common, besides their columns and their part."""

    def path(self, place: TreePlace) -> tuple[str, str]:
        """Return where the joined table goes, and its part."""

    def files(self, place: TreePlace) -> str:
        """Return where, below the joined table's folder of files, those of one table go: no two tables meet."""


class TagsJoin:
    """One table for each tag: ``<kind>/<tag>``."""

    leading = ("run",)
    renamed: Mapping[str, str] = {}

    def joins(self, kind: str) -> bool:
        """Join all."""
        return True

    def key(self, place: TreePlace) -> str:
        """Return the folder and the tag."""
        return f"{place.folder}\n{place.series.tag_bytes!r}"

    def path(self, place: TreePlace) -> tuple[str, str]:
        """Return the folder, and the tag in it."""
        return f"{place.folder}/{tag_path(place.series.tag)}", place.part

    def files(self, place: TreePlace) -> str:
        """Return the run's folder, which may hold those of other runs."""
        return with_variant(place.run_folder or ROOT_FILES, place.series.variant) + FILES_ENDING


class LongJoin:
    """One table for each kind: ``<kind>``."""

    leading = ("run", "tag")
    renamed: Mapping[str, str] = {}

    def joins(self, kind: str) -> bool:
        """Join all."""
        return True

    def key(self, place: TreePlace) -> str:
        """Return the kind."""
        return self.path(place)[0]

    def path(self, place: TreePlace) -> tuple[str, str]:
        """Return the kind; a part that is of no kind of its own stays a part."""
        return (place.kind, "") if place.kind != place.folder else (place.folder, place.part)

    def files(self, place: TreePlace) -> str:
        """Return the place in the tree."""
        return place.stem + FILES_ENDING


class TensorBoardNames:
    """Scalars by the names, and with the columns, that TensorBoard's own download gives them.

    Source: the downloader in tensorboard/components/tf_dashboard_common; browsers make ``_`` of a ``/``.
    """

    leading: tuple[str, ...] = ()
    renamed: Mapping[str, str] = {"Wall time": "wall_time", "Step": "step", "Value": "value"}

    def joins(self, kind: str) -> bool:
        """Join, or rather rename, scalars."""
        return kind == SCALARS

    def key(self, place: TreePlace) -> str:
        """Return what no two tables have in common."""
        return place.stem

    def path(self, place: TreePlace) -> tuple[str, str]:
        """Return a name in the output folder itself."""
        name = f"run-{place.series.run}-tag-{place.series.tag}".replace("/", "_")
        return encode_segment(name), place.part

    def files(self, place: TreePlace) -> str:
        """Return the place in the tree, though scalars have no files."""
        return place.stem + FILES_ENDING


class StepJoin:
    """Scalars of a run side by side, in one table with a row for each step: ``<run>/scalars``."""

    def joins(self, kind: str) -> bool:
        """Join scalars; of the others no cell holds a value."""
        return kind == SCALARS


class NoJoin:
    """The tree as it is."""

    def joins(self, kind: str) -> bool:
        """Join nothing."""
        return False


Join = NoJoin | RowJoin | StepJoin

#: The layouts by the names that ``convert`` and the command line give them.
LAYOUTS: Final[dict[str, Join]] = {"tree": NoJoin(), "tags": TagsJoin(), "wide": StepJoin(), "long": LongJoin()}

#: What scalars look like: as the other tables, or as what TensorBoard's own download gives.
HEADERS: Final = ("plain", "tensorboard")

#: What the wide layout keeps of a tag's values for one step; ``error`` is for nobody who has such values.
ON_DUPLICATE: Final = ("last", "first", "error")
