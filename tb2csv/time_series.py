"""Series, which are all values of one tag in one run that go into one table, and their statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class TagAndKind(NamedTuple):
    """What is kept of a series after its run has been converted; runs with the same tags share these."""

    tag: str
    kind: str


class Tagged(Protocol):
    """A ``Series``, or what is kept of one."""

    @property
    def tag(self) -> str:
        """The text of the tag."""

    @property
    def kind(self) -> str:
        """The family of tables."""


@dataclass(frozen=True, slots=True)
class SeriesMetadata:
    """The content of a SummaryMetadata, as text; all fields are empty if there is none."""

    plugin_name: str = ""
    display_name: str = ""
    description: str = ""
    plugin_content: bytes = b""


@dataclass(frozen=True, slots=True)
class Series:
    """The values of one tag in one run that go into one table.

    Attributes:
        id: the number of the series, unique within the reader of its run: series are counted from 0 in the order of
            their first values.
        run: the run that the series is written to; for a sub-run that is merged, its parent.
        tag: the text of ``tag_bytes``.
        kind: the family of tables.
        plugin_name: the name on disk, or TensorBoard's name for a legacy value.
        metadata: the metadata of the first value that has any.
        tag_bytes: the tag on disk.
        signature: a text that determines the columns of its tables.
        variant: empty, unless the values of a tag do not fit into one table because their dtype or rank changes. Then
            it distinguishes the second table from the first.
    """

    id: int
    run: str
    tag: str
    kind: str
    plugin_name: str
    metadata: SeriesMetadata
    tag_bytes: bytes
    signature: str
    variant: str = ""

    def __hash__(self) -> int:
        """Return a hash of run and id only, which is fast to compute."""
        return hash((self.run, self.id))


@dataclass(slots=True)
class SeriesStats:
    """Statistics of a series: the number of values, and the first and the last in the order of the files."""

    series: Series
    is_selected: bool
    points: int = 0
    #: The number of values that a row selection leaves out.
    left_out: int = 0
    #: The number of selected values that cannot be decoded.
    undecodable: int = 0
    first_step: int = 0
    last_step: int = 0
    first_wall_time: float = math.nan
    last_wall_time: float = math.nan
    #: The index of the last value among all values of the run, in the order of the files.
    last_row: int = -1
