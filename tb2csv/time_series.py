"""Series: all values of one tag in one run that go into one table, and what was seen of them."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SeriesMetadata:
    """What a SummaryMetadata says, as text; all empty if there is none."""

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
        plugin_name: verbatim as on disk, or TensorBoard's name for a legacy value.
        metadata: of the first value that has any.
        tag_bytes: the tag as it is on disk.
        signature: what the columns of its tables depend on.
        variant: empty, unless the values of a tag do not fit one table because their dtype or rank changes. Then it
            distinguishes the second table from the first.
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
        """Return a hash that is made quickly; series that are equal have the same run and id."""
        return hash((self.run, self.id))


@dataclass(slots=True)
class SeriesStats:
    """What was seen of one series: how many values, and when; the first and the last in the order of the files."""

    series: Series
    is_selected: bool
    points: int = 0
    #: Values that were selected, but not by a row selection; and those that could not be decoded.
    left_out: int = 0
    undecodable: int = 0
    first_step: int = 0
    last_step: int = 0
    first_wall_time: float = math.nan
    last_wall_time: float = math.nan
    #: The place of the last value among all values of the run, counted from 0 in the order of the files.
    last_row: int = -1
