"""The protocol of decoders, which turn undecoded values into table parts, and the types that they take and return."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from tb2csv.errors import LimitError
from tb2csv.event_files.values import ValueKind
from tb2csv.late_modules import np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from tb2csv.decoders.decode_options import DecodeOptions
    from tb2csv.errors import DecodeError
    from tb2csv.event_files.values import ValueBlock, ValueSchema
    from tb2csv.late_modules import pl
    from tb2csv.size_limits import SizeLimits

#: The part that is the table itself; other parts are side tables, named after it.
MAIN_PART: Final = ""

#: The maximum number of rows of a part, which bounds memory; only a single value may have more.
PART_ROWS: Final = 1 << 20


class Values:
    """Summary values that a decoder turns into rows together, sorted by series.

    The arrays have one element per value and are read on first use. ``ordinal`` is a value's number in its series,
    from 0, counted over all files of the run.
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

    @functools.cached_property
    def schema_id(self) -> npt.NDArray[np.int32]:
        """The number of each value's schema."""
        return self.block.columns.schema_id[self._rows]

    @functools.cached_property
    def wall_time(self) -> npt.NDArray[np.float64]:
        """The wall times in seconds since the epoch."""
        return self.block.columns.wall_time[self._rows]

    @functools.cached_property
    def step(self) -> npt.NDArray[np.int64]:
        """The steps."""
        return self.block.columns.step[self._rows]

    @functools.cached_property
    def scalar(self) -> npt.NDArray[np.float64]:
        """The numbers of scalars; NaN for values with a payload."""
        return self.block.columns.scalar[self._rows]

    @functools.cached_property
    def payload_start(self) -> npt.NDArray[np.int64]:
        """The positions of the payloads in the block's buffer."""
        return self.block.columns.payload_offset[self._rows] - self.block.base

    @functools.cached_property
    def payload_length(self) -> npt.NDArray[np.int32]:
        """The lengths of the payloads in bytes."""
        return self.block.columns.payload_length[self._rows]

    @functools.cached_property
    def ordinal(self) -> npt.NDArray[np.int64]:
        """The numbers of the values in their series, from 0."""
        return self._ordinal()

    @functools.cached_property
    def log_order(self) -> npt.NDArray[np.int64]:
        """The indexes of the values in the order of the log, in which series alternate."""
        return np.argsort(self._rows)

    @property
    def limits(self) -> SizeLimits:
        """How many elements tensors may leave out."""
        return self.options.limits.after_unpacking() if self.block.is_unpacked else self.options.limits

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
        index = self._content_index[row] if self.block.columns.has_contents else -1
        return memoryview(b"") if index < 0 else self._content_at(index)

    def plugin_contents(self) -> Iterator[tuple[int, bytes]]:
        """Yield the index of each value that has plugin content in addition to its payload, and the content."""
        content_index = self._content_index
        for row in np.flatnonzero(content_index >= 0).tolist():
            yield row, bytes(self._content_at(content_index[row]))

    @functools.cached_property
    def _block_contents(self) -> npt.NDArray[np.void]:
        return self.block.columns.contents

    @functools.cached_property
    def _content_index(self) -> npt.NDArray[np.int64]:
        """The index of each value's content in ``_block_contents``; -1 for a value without content."""
        index = np.full(len(self.block), -1)
        index[self._block_contents["row"]] = np.arange(len(self._block_contents))
        return index[self._rows]

    def _content_at(self, index: int) -> memoryview:
        _, offset, length = self._block_contents[index].tolist()
        return self.block.bytes_at(offset, length)

    def take(self, indexes: npt.NDArray[np.int64] | slice) -> Values:
        """Return the values with these indexes."""
        return Values(self.block, self._rows[indexes], self.schemas, lambda: self.ordinal[indexes], self.options)


class StoredFile(NamedTuple):
    """A file of the value with the index ``row``, stored next to its table; the ``path`` column has its name."""

    row: int
    name: str
    data: bytes


@dataclass(eq=False, repr=False)
class TablePart:
    """Rows of a table, decoded from the values ``start`` to ``stop``; value ``start + i`` has ``counts[i]`` rows."""

    frame: pl.DataFrame
    start: int
    stop: int
    #: The number of rows of each value; one number if it is the same for all values.
    counts: npt.NDArray[np.int64] | int
    part: str = MAIN_PART
    files: tuple[StoredFile, ...] = ()
    #: The kind of the part's table if it differs from the decoder's; else empty.
    kind: str = ""
    #: Whether the rows belong to a table of the whole log directory instead of a table of the run.
    is_log_wide: bool = False

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
    """A value that its decoder could not read, and the reason."""

    #: The index of the value in the Values that were decoded.
    value_index: int
    detail: str
    #: The bytes to keep; None keeps the value's payload.
    payload: bytes | None = None
    #: Whether the value expands to more than ``max_expansion`` allows.
    exceeds_limit: bool = False

    @classmethod
    def of(cls, value_index: int, error: DecodeError) -> Undecodable:
        """Return a value that could not be read because of an exception."""
        return cls(value_index, error.message.fact, exceeds_limit=isinstance(error, LimitError))


class Decoder(Protocol):
    """A decoder of the values of one plugin; ``decoders.DECODERS`` lists the implementations.

    A decoder that reads the plugin content of its values has a class attribute ``reads_content`` that is True; for
    others, changes of the content are written to a side table.
    """

    #: The kind of its tables.
    kind: str

    def signature(self, schema: ValueSchema, options: DecodeOptions) -> str | None:
        """Return a text for what the columns depend on, or None if the decoder does not take values of this schema.

        Values with the same signature share a table and may be decoded together with values of other series.
        """

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield the rows of the values, in their order, in one part or in several."""
