"""The columns that scanning an event file fills, and the forms that its summary values take.

What stays the same from value to value — tag, metadata, kind, dtype and shape — is stored once as a *form* and referred
to by number, so that a million scalars of ten tags are ten forms and six columns. Nothing is decoded here.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


class ValueKind(enum.IntEnum):
    """How a summary value stands on disk: which field holds it, and what its payload bytes are."""

    #: A value with neither a payload nor plugin content: it holds nothing.
    NONE = 0
    #: ``simple_value``; the number is in the scalar column, no payload.
    SIMPLE_VALUE = 1
    #: A rank-0 float32 or float64 tensor; the number is in the scalar column, no payload.
    SCALAR_TENSOR = 2
    #: A tensor whose payload is its ``tensor_content``: little-endian elements, row-major.
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
    #: The payload is a GraphDef; the event has no summary, the tag is TensorBoard's own name for it.
    GRAPH_DEF = 9
    #: The payload is a MetaGraphDef; as above.
    META_GRAPH_DEF = 10
    #: The payload is a RunMetadata; the tag is the one it was tagged with.
    RUN_METADATA = 11
    #: A value that is all metadata, as PyTorch writes hyperparameters; the payload is the plugin content.
    PLUGIN_CONTENT = 12


#: Rank of a tensor that says its rank is unknown.
UNKNOWN_RANK: Final = -1

#: The fixed head of a form's key: kind, dtype, rank, length of the tag. Then dims, tag and metadata follow.
_KEY_HEAD: Final = struct.Struct("<iiiI")


@dataclass(frozen=True, slots=True)
class ValueSchema:
    """What the values of one form have in common.

    ``dtype`` is TensorFlow's DataType number (0 where the value is no tensor), ``shape`` the tensor's shape
    (``None`` where its rank is unknown), ``metadata`` the serialized SummaryMetadata (empty where there was none). It
    lacks the plugin content, which may be another one for each value, and long.
    """

    tag: bytes
    kind: ValueKind
    dtype: int = 0
    shape: tuple[int, ...] | None = ()
    metadata: bytes = b""

    def to_key(self) -> bytes:
        """Return the bytes by which a FormTable knows this form; both scanners build the same."""
        dims = self.shape or ()
        rank = UNKNOWN_RANK if self.shape is None else len(dims)
        head = _KEY_HEAD.pack(self.kind, self.dtype, rank, len(self.tag))
        return b"".join((head, struct.pack(f"<{len(dims)}q", *dims), self.tag, self.metadata))

    @classmethod
    def from_key(cls, key: bytes) -> ValueSchema:
        """Return the form that ``key`` (of ``to_key`` or of the compiled scanner) stands for."""
        kind, dtype, rank, tag_length = _KEY_HEAD.unpack_from(key)
        dims_end = _KEY_HEAD.size + 8 * max(rank, 0)
        tag_end = dims_end + tag_length
        shape = None if rank == UNKNOWN_RANK else struct.unpack_from(f"<{rank}q", key, _KEY_HEAD.size)
        return cls(key[dims_end:tag_end], ValueKind(kind), dtype, shape, key[tag_end:])


class FormTable(Protocol):
    """The forms met so far in one run, numbered in the order of their first value."""

    def intern(self, key: bytes) -> int:
        """Return the number of the form with this key, a new one for a new key."""

    def key(self, form_id: int) -> bytes:
        """Return the key of a form."""

    def __len__(self) -> int:
        """Return how many forms there are."""


class ScanStatus(enum.IntEnum):
    """Why a scan stopped."""

    #: What is left of the buffer is no whole record.
    MORE = 0
    #: The next event has more values than the columns have room for.
    FULL = 1
    #: The length field at the position fails its checksum.
    BAD_LENGTH_CRC = 2
    #: The payload of the record at the position fails its checksum.
    BAD_PAYLOAD_CRC = 3
    #: The frame at the position is sound; its event is for the reference scanner to read, or to refuse.
    IRREGULAR = 4


class SessionMark(NamedTuple):
    """An event without values: nothing of it becomes a row, but it can tell of a restart."""

    #: How many values stand before it: of the block where it is one of a block's marks, of the file where of a file's.
    row: int
    step: int
    #: Whether it says that a session starts (``SessionLog.START``).
    is_start: bool
    #: Whether it has a summary, an empty one.
    has_summary: bool


class ValueColumns:
    """Growing columns, one row per summary value in file order; rows beyond ``size`` are not set.

    ``wall_time`` is in seconds since the epoch, ``payload_offset`` in bytes of the file. The
    scalar column holds float32 values widened to float64, and NaN where the payload holds the value. ``marks`` are the
    events between the rows that have none. ``contents`` has an item for each row with plugin content beside its
    payload, in the order of the rows.
    """

    def __init__(self) -> None:
        """Start with no rows."""
        self.form_id = np.empty(0, np.int32)
        self.wall_time = np.empty(0, np.float64)
        self.step = np.empty(0, np.int64)
        self.scalar = np.empty(0, np.float64)
        self.payload_offset = np.empty(0, np.int64)
        self.payload_length = np.empty(0, np.int32)
        self.size = 0
        self.marks: list[SessionMark] = []
        self._contents = bytearray()

    def clear(self) -> None:
        """Forget rows, marks and contents, but keep the memory of the rows."""
        self.size = 0
        self.marks.clear()
        self._contents.clear()

    def reserve(self, capacity: int) -> None:
        """Make room for ``capacity`` rows in all, keeping those that are set."""
        for name in COLUMN_NAMES:
            old = getattr(self, name)
            new = np.empty(capacity, old.dtype)
            new[: self.size] = old[: self.size]
            setattr(self, name, new)

    @property
    def contents(self) -> npt.NDArray[np.void]:
        """Where plugin contents are: ``row``, and ``offset`` and ``length`` in bytes of the file."""
        return np.frombuffer(bytes(self._contents), CONTENT_DTYPE)

    @property
    def has_contents(self) -> bool:
        """Whether any row has plugin content beside its payload."""
        return bool(self._contents)

    def add_contents(self, packed: bytes | bytearray) -> None:
        """Add items of ``contents`` as bytes: of ``pack_content``, or an array's."""
        self._contents += packed

    def extend(self, rows: bytes | bytearray) -> None:
        """Add rows that ``pack_row`` made, one behind the other."""
        table = np.frombuffer(rows, _ROW_DTYPE)
        start, stop = self.size, self.size + len(table)
        if stop > len(self.form_id):
            self.reserve(max(stop, 2 * start) + 16)
        for name in COLUMN_NAMES:
            getattr(self, name)[start:stop] = table[name]
        self.size = stop


COLUMN_NAMES: Final = (
    "form_id",
    "wall_time",
    "step",
    "scalar",
    "payload_offset",
    "payload_length",
)

_ROW: Final = struct.Struct("<idqdqi")
_ROW_DTYPE: Final = np.dtype(list(zip(COLUMN_NAMES, ("<i4", "<f8", "<i8", "<f8", "<i8", "<i4"), strict=True)))

#: One row as bytes, its cells given in the order of the columns. To pack a row and to unpack many at once costs half
#: of what it takes to set six cells one by one.
pack_row: Final = _ROW.pack
ROW_SIZE: Final = _ROW.size

#: Plugin content beside a payload: the row that it belongs to, and where it is in the file.
CONTENT_DTYPE: Final = np.dtype([("row", "<i8"), ("offset", "<i8"), ("length", "<i4")])

#: One item of ``ValueColumns.contents`` as bytes.
pack_content: Final = struct.Struct("<qqi").pack


@dataclass(frozen=True, slots=True)
class ValueBlock:
    """The summary values of a stretch of one event file, undecoded, and the bytes that their payloads lie in."""

    columns: ValueColumns
    buffer: memoryview
    #: Offset in the file of the buffer's first byte.
    base: int

    def __len__(self) -> int:
        """Return the number of values."""
        return self.columns.size

    @property
    def end(self) -> int:
        """Offset in the file of the byte behind the buffer."""
        return self.base + len(self.buffer)

    def payload(self, row: int) -> memoryview:
        """Return the payload bytes of one value, without a copy."""
        return self.bytes_at(int(self.columns.payload_offset[row]), int(self.columns.payload_length[row]))

    def bytes_at(self, offset: int, length: int) -> memoryview:
        """Return bytes of the buffer by their offset in the file, without a copy."""
        return self.buffer[offset - self.base : offset - self.base + length]
