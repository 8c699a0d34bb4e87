"""The columns of summary values that a scan fills, and the schemas that values share.

What does not change from value to value (tag, metadata, kind, dtype and shape) is stored once as a *value schema*, and
each value has the number of its schema. A million scalars of ten tags are ten schemas and six columns. Nothing is
decoded here.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from tb2csv.late_modules import np

if TYPE_CHECKING:
    import numpy.typing as npt


class ValueKind(enum.IntEnum):
    """How a summary value is stored: in which field, and what its payload bytes are."""

    #: An empty value, with neither a payload nor plugin content; the scalar column has the number of equal ones.
    NONE = 0
    #: ``simple_value``; the number is in the scalar column, there is no payload.
    SIMPLE_VALUE = 1
    #: A rank-0 float32 or float64 tensor; the number is in the scalar column, there is no payload.
    SCALAR_TENSOR = 2
    #: A tensor whose payload is its ``tensor_content``: little-endian elements in row-major order.
    TENSOR_CONTENT = 3
    #: Any other tensor; the payload is the whole TensorProto.
    TENSOR_PROTO = 4
    #: The payload is a HistogramProto.
    HISTO = 5
    #: The payload is a Summary.Image.
    IMAGE = 6
    #: The payload is a Summary.Audio.
    AUDIO = 7
    #: The payload is the bytes of ``obsolete_old_style_histogram``.
    OBSOLETE_HISTOGRAM = 8
    #: The payload is a GraphDef; the event has no summary, and the tag is TensorBoard's name for it.
    GRAPH_DEF = 9
    #: The payload is a MetaGraphDef; the event has no summary either.
    META_GRAPH_DEF = 10
    #: The payload is a RunMetadata, with its own tag.
    RUN_METADATA = 11
    #: A value with metadata only, as PyTorch writes hyperparameters; the payload is the plugin content.
    PLUGIN_CONTENT = 12


#: The rank of a tensor of unknown rank.
UNKNOWN_RANK: Final = -1

#: The fixed head of a schema's key: kind, dtype, rank, length of the tag. The sizes, tag and metadata follow.
_KEY_HEAD: Final = struct.Struct("<iiiI")


class ValueSchema(NamedTuple):
    """What values share: tag, kind, dtype, shape and metadata.

    ``dtype`` is TensorFlow's DataType number (0 if the value is not a tensor), ``shape`` the tensor's shape (None if
    its rank is unknown), and ``metadata`` the serialized SummaryMetadata (empty if there is none) without its plugin
    content, which may be long and differ from value to value.
    """

    tag: bytes
    kind: ValueKind
    dtype: int = 0
    shape: tuple[int, ...] | None = ()
    metadata: bytes = b""

    def to_key(self) -> bytes:
        """Return the key of this schema in a SchemaTable; both scanners build the same keys."""
        dims = self.shape or ()
        rank = UNKNOWN_RANK if self.shape is None else len(dims)
        head = _KEY_HEAD.pack(self.kind, self.dtype, rank, len(self.tag))
        return b"".join((head, struct.pack(f"<{len(dims)}q", *dims), self.tag, self.metadata))

    @classmethod
    def from_key(cls, key: bytes) -> ValueSchema:
        """Return the schema with a key, as ``to_key`` or the compiled scanner made it."""
        kind, dtype, rank, tag_length = _KEY_HEAD.unpack_from(key)
        dims_end = _KEY_HEAD.size + 8 * max(rank, 0)
        tag_end = dims_end + tag_length
        shape = None if rank == UNKNOWN_RANK else struct.unpack_from(f"<{rank}q", key, _KEY_HEAD.size)
        return cls(key[dims_end:tag_end], ValueKind(kind), dtype, shape, key[tag_end:])


class SchemaTable(Protocol):
    """The value schemas found so far in one run, numbered in the order of their first value.

    Implemented by ``reference.PythonSchemaTable`` and ``_scanner.SchemaTable``.
    """

    def intern(self, key: bytes) -> int:
        """Return the number of the schema with this key; a new key gets a new number."""

    def key(self, schema_id: int) -> bytes:
        """Return the key of a schema."""

    def __len__(self) -> int:
        """Return the number of schemas."""


class ScanStatus(enum.IntEnum):
    """Why a scan stopped."""

    #: The rest of the buffer is not a complete record.
    MORE = 0
    #: The next event has more values than the columns have room for.
    FULL = 1
    #: The length field at the position fails its checksum.
    BAD_LENGTH_CRC = 2
    #: The payload of the record at the position fails its checksum.
    BAD_PAYLOAD_CRC = 3
    #: The frame at the position is sound, but its event is left to the reference scanner.
    IRREGULAR = 4


class SessionMark(NamedTuple):
    """An event without values: it does not become a row, but it may show a restart."""

    #: The number of values before it, in the block for a mark of a block, in the file for a mark of a file.
    row: int
    step: int
    #: Whether it starts a session (``SessionLog.START``).
    is_start: bool
    #: Whether it has a summary, an empty one.
    has_summary: bool


class ValueColumns:
    """Growing columns with one row for each summary value in file order; rows beyond ``size`` are not set.

    ``wall_time`` is in seconds since the epoch, ``payload_offset`` in bytes of the file. ``scalar`` holds float32
    values widened to float64, and NaN for values with a payload. ``marks`` are the events without values between the
    rows. ``contents`` has an item for each row with plugin content in addition to its payload, in the order of rows.

    An event may have millions of empty values of two bytes. So equal ones that follow one another in an event share a
    row, and its ``scalar`` is their number; ``without_row`` is the number of the others.
    """

    def __init__(self) -> None:
        """Start with no rows."""
        self.schema_id = np.empty(0, np.int32)
        self.wall_time = np.empty(0, np.float64)
        self.step = np.empty(0, np.int64)
        self.scalar = np.empty(0, np.float64)
        self.payload_offset = np.empty(0, np.int64)
        self.payload_length = np.empty(0, np.int32)
        self.size = self.without_row = 0
        self.marks: list[SessionMark] = []
        self._contents = bytearray()

    def clear(self) -> None:
        """Drop rows, marks and contents, but keep the allocated memory."""
        self.cut(0)

    def cut(self, size: int) -> None:
        """Drop the rows from ``size`` on; marks, contents and values without a row, if any, are of these rows."""
        self.size, self.without_row = size, 0
        self.marks.clear()
        self._contents.clear()

    def reserve(self, capacity: int) -> None:
        """Make room for ``capacity`` rows in total, and keep the rows that are set."""
        for name in COLUMN_NAMES:
            old = getattr(self, name)
            new = np.empty(capacity, old.dtype)
            new[: self.size] = old[: self.size]
            setattr(self, name, new)

    @property
    def contents(self) -> npt.NDArray[np.void]:
        """The plugin contents: their ``row``, and their ``offset`` and ``length`` in bytes of the file."""
        return np.frombuffer(bytes(self._contents), np.dtype(CONTENT_FIELDS))

    @property
    def has_contents(self) -> bool:
        """Whether any row has plugin content in addition to its payload."""
        return bool(self._contents)

    def add_contents(self, packed: bytes | bytearray) -> None:
        """Add items of ``contents`` as bytes, as ``pack_content`` or an array gives them."""
        self._contents += packed

    def add_mark(self, row: int, step: int, *, is_start: bool, has_summary: bool) -> None:
        """Add an event without values."""
        self.marks.append(SessionMark(row, step, is_start, has_summary))

    def extend(self, rows: bytes | bytearray) -> None:
        """Add rows that ``pack_row`` made, concatenated."""
        table = np.frombuffer(rows, np.dtype(_ROW_FIELDS))
        start, stop = self.size, self.size + len(table)
        if stop > len(self.schema_id):
            self.reserve(max(stop, 2 * start) + 16)
        for name in COLUMN_NAMES:
            getattr(self, name)[start:stop] = table[name]
        self.size = stop


COLUMN_NAMES: Final = (
    "schema_id",
    "wall_time",
    "step",
    "scalar",
    "payload_offset",
    "payload_length",
)

_ROW: Final = struct.Struct("<idqdqi")
_ROW_FIELDS: Final = list(zip(COLUMN_NAMES, ("<i4", "<f8", "<i8", "<f8", "<i8", "<i4"), strict=True))

#: Pack one row, its cells in the order of the columns. Packing a row and unpacking many at once takes half the time of
#: setting six cells one by one.
pack_row: Final = _ROW.pack
ROW_SIZE: Final = _ROW.size

#: Plugin content in addition to a payload: its row, and its position in the file.
CONTENT_FIELDS: Final = [("row", "<i8"), ("offset", "<i8"), ("length", "<i4")]

#: Pack one item of ``ValueColumns.contents``.
pack_content: Final = struct.Struct("<qqi").pack


@dataclass(slots=True, eq=False, repr=False)
class ValueBlock:
    """The undecoded summary values of a stretch of one event file, and the bytes with their payloads."""

    columns: ValueColumns
    buffer: memoryview
    #: The offset in the file of the buffer's first byte.
    base: int
    #: Whether the bytes were unpacked, so that fewer may be stored.
    is_unpacked: bool = False

    def __len__(self) -> int:
        """Return the number of rows: a row for each value, except for equal empty ones."""
        return self.columns.size

    @property
    def value_count(self) -> int:
        """The number of values."""
        return self.columns.size + self.columns.without_row

    @property
    def end(self) -> int:
        """The offset in the file of the first byte after the buffer."""
        return self.base + len(self.buffer)

    def payload(self, row: int) -> memoryview:
        """Return the payload bytes of one value, without a copy."""
        return self.bytes_at(int(self.columns.payload_offset[row]), int(self.columns.payload_length[row]))

    def bytes_at(self, offset: int, length: int) -> memoryview:
        """Return bytes of the buffer, by their offset in the file, without a copy."""
        return self.buffer[offset - self.base : offset - self.base + length]
