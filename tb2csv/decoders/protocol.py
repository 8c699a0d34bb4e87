"""The protocol of decoders: undecoded values in, table parts out."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

from tb2csv.event_files.values import ValueKind
from tb2csv.late_polars import pl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from tb2csv.decoders.decode_options import DecodeOptions
    from tb2csv.event_files.values import ValueBlock, ValueSchema

#: The part that is the table itself; other parts are tables beside it, named after it.
MAIN_PART: Final = ""

#: The maximum number of rows of a part, which bounds memory, unless one value alone has more.
PART_ROWS: Final = 1 << 20


_LOADING: Final = threading.Lock()


@functools.cache
def _loaded_polars() -> None:
    pl.DataFrame({"value": np.zeros(1)})


def load_polars() -> None:
    """Import polars and the modules that it loads at the first frame; required before a thread decodes.

    The import takes longer than scanning a million values, so it runs during a scan. polars looks for numpy at its
    first use and fails if two threads do that at once.
    """
    with _LOADING:
        _loaded_polars()


class Values:
    """Summary values that a decoder turns into rows together: values of one series, then of the next.

    The arrays have one element for each value and are gathered on first use. ``ordinal`` is a value's number in its
    series, from 0, over all files of the run.
    """

    def __init__(
        self,
        block: ValueBlock,
        rows: npt.NDArray[np.int64],
        schemas: Sequence[ValueSchema],
        ordinal: Callable[[], npt.NDArray[np.int64]],
        options: DecodeOptions,
    ) -> None:
        """Use the given rows of a block; ``schemas`` has the value schemas by number."""
        self.block = block
        self.schemas = schemas
        self.options = options
        self._rows = rows
        self._ordinal = ordinal

    def _column(self, name: str) -> npt.NDArray[Any]:
        column: npt.NDArray[Any] = getattr(self.block.columns, name)
        return column[self._rows]

    @functools.cached_property
    def schema_id(self) -> npt.NDArray[np.int32]:
        """The number of each value's schema."""
        return self._column("schema_id")

    @functools.cached_property
    def wall_time(self) -> npt.NDArray[np.float64]:
        """The wall times in seconds since the epoch."""
        return self._column("wall_time")

    @functools.cached_property
    def step(self) -> npt.NDArray[np.int64]:
        """The steps."""
        return self._column("step")

    @functools.cached_property
    def scalar(self) -> npt.NDArray[np.float64]:
        """The numbers of scalars; NaN for values with a payload."""
        return self._column("scalar")

    @functools.cached_property
    def payload_start(self) -> npt.NDArray[np.int64]:
        """The positions of the payloads in the block's buffer."""
        return self._column("payload_offset") - self.block.base

    @functools.cached_property
    def payload_length(self) -> npt.NDArray[np.int32]:
        """The lengths of the payloads in bytes."""
        return self._column("payload_length")

    @functools.cached_property
    def ordinal(self) -> npt.NDArray[np.int64]:
        """The numbers of the values in their series, from 0."""
        return self._ordinal()

    @functools.cached_property
    def log_order(self) -> npt.NDArray[np.int64]:
        """The positions of the values in the order of the log, in which series alternate."""
        return np.argsort(self._rows)

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self._rows)

    def schema(self, row: int) -> ValueSchema:
        """Return the schema of one value."""
        return self.schemas[int(self.block.columns.schema_id[self._rows[row]])]

    def payload(self, row: int) -> memoryview:
        """Return the payload of one value, without a copy."""
        start = int(self.payload_start[row])
        return self.block.buffer[start : start + int(self.payload_length[row])]

    def content(self, row: int) -> memoryview:
        """Return the plugin content of one value, without a copy."""
        if self.schema(row).kind == ValueKind.PLUGIN_CONTENT:
            return self.payload(row)
        place = self._content_places[row] if self.block.columns.has_contents else -1
        return memoryview(b"") if place < 0 else self._content_at(place)

    def contents(self) -> Iterator[tuple[int, bytes]]:
        """Yield the number of each value that has plugin content beside its payload, and the content."""
        places = self._content_places
        for row in np.flatnonzero(places >= 0).tolist():
            yield row, bytes(self._content_at(places[row]))

    @functools.cached_property
    def _contents(self) -> npt.NDArray[np.void]:
        return self.block.columns.contents

    @functools.cached_property
    def _content_places(self) -> npt.NDArray[np.int64]:
        """The number of each value's content among the contents of the block; -1 for a value without content."""
        places = np.full(len(self.block), -1)
        places[self._contents["row"]] = np.arange(len(self._contents))
        return places[self._rows]

    def _content_at(self, place: int) -> memoryview:
        _, offset, length = self._contents[place].tolist()
        return self.block.bytes_at(offset, length)

    def take(self, which: npt.NDArray[np.int64] | slice) -> Values:
        """Return some of the values."""
        return Values(self.block, self._rows[which], self.schemas, lambda: self.ordinal[which], self.options)


class StoredFile(NamedTuple):
    """A file of the value ``row``, stored beside its table under the name in the ``path`` column."""

    row: int
    name: str
    data: bytes


@dataclass(frozen=True)
class TablePart:
    """Rows of a table, decoded from the values ``start`` to ``stop``; value ``start + i`` gave ``counts[i]`` rows."""

    frame: pl.DataFrame
    start: int
    stop: int
    #: The number of rows of each value; one number if it is the same for all values.
    counts: npt.NDArray[np.int64] | int
    part: str = MAIN_PART
    files: tuple[StoredFile, ...] = ()
    #: The kind of the part's table if it differs from the decoder's; else empty.
    kind: str = ""
    #: Whether the rows belong to a table of the whole log directory, and not to a table of the run.
    is_gathered: bool = False

    @functools.cached_property
    def schema(self) -> pl.Schema:
        """The names and types of the columns."""
        return self.frame.schema

    def row_bounds(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the first row of the frame of each of the given values; for ``stop``, the length of the frame."""
        inside = np.clip(values, self.start, self.stop) - self.start
        if isinstance(self.counts, int):
            return inside * self.counts
        ends = np.concatenate(([0], np.cumsum(self.counts)))
        return ends[inside]


class Undecodable(NamedTuple):
    """A value that its decoder could not read, and why."""

    row: int
    detail: str
    #: The bytes to keep; None keeps the value's payload.
    payload: bytes | None = None


class Decoder(Protocol):
    """Turns the values of one plugin into tables."""

    #: The kind of its tables.
    kind: str

    def signature(self, schema: ValueSchema, options: DecodeOptions) -> str | None:
        """Return what the columns depend on, or None if this decoder does not take values of this schema.

        Values with the same signature share a table and may be decoded together with values of other series.
        """

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield the rows of the values, in their order, in one part or in several."""
