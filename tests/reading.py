"""Event files in memory, and what a reader makes of them, in plain objects that can be compared."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, NamedTuple

from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE, EventFileReader, FileStats
from tb2csv.event_files.scanners import SCANNERS, Scanner
from tb2csv.event_files.values import ValueKind, ValueSchema

if TYPE_CHECKING:
    from tb2csv.event_files.values import SchemaTable, ValueBlock


class MemorySource:
    """The bytes of an event file in memory; counts the requested bytes."""

    def __init__(self, data: bytes, path: str = "events", window: int = 100) -> None:
        self.path = path
        self.window = window
        self.size = len(data)
        self.bytes_read = 0
        self.largest_read = 0
        self._data = data

    def read_into(self, offset: int, buffer: memoryview) -> int:
        piece = self.read_at(offset, len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def read_at(self, offset: int, length: int) -> bytes:
        piece = self._data[offset : offset + length]
        self.bytes_read += len(piece)
        self.largest_read = max(self.largest_read, len(piece))
        return piece


class Row(NamedTuple):
    """One summary value; numbers as bytes, so that NaN equals NaN and 0.0 does not equal -0.0."""

    schema: ValueSchema
    wall_time: bytes
    step: int
    scalar: bytes
    payload: bytes
    #: Plugin content beside a payload.
    content: bytes = b""

    @property
    def number(self) -> float:
        return float(struct.unpack("<d", self.scalar)[0])


class Reading(NamedTuple):
    """What became of an event file."""

    rows: list[Row]
    account: FileStats
    #: The offset at which the reader stopped.
    offset: int
    #: The keys of all forms, in the order of their numbers.
    schemas: list[bytes]
    #: The number of empty values that share the row of an equal one before them.
    without_row: int

    @property
    def tags(self) -> list[str]:
        return [row.schema.tag.decode("utf-8", "backslashreplace") for row in self.rows]

    def check_account(self) -> None:
        """Assert that every byte has become one of three things, and that damage lies within the file."""
        account = self.account
        assert account.bytes == account.record_bytes + account.lost_bytes + account.incomplete_tail_bytes
        assert account.values == len(self.rows) - self.without_row
        assert min(account.records, account.record_bytes, account.lost_bytes, account.incomplete_tail_bytes) >= 0
        for damage in account.damage:
            assert damage.length > 0
            assert 0 <= damage.offset <= damage.offset + damage.length <= account.bytes


def rows_of(block: ValueBlock, schemas: SchemaTable) -> list[Row]:
    """Return the values of a block, copied."""
    columns = block.columns
    contents = {row: bytes(block.bytes_at(offset, length)) for row, offset, length in columns.contents.tolist()}
    rows = []
    for row in range(len(block)):
        schema, number = ValueSchema.from_key(schemas.key(int(columns.schema_id[row]))), float(columns.scalar[row])
        equal, number = (int(number), math.nan) if schema.kind == ValueKind.NONE else (1, number)
        cells = struct.pack("<d", columns.wall_time[row]), int(columns.step[row]), struct.pack("<d", number)
        rows += [Row(schema, *cells, bytes(block.payload(row)), contents.get(row, b""))] * equal
    assert len(rows) == block.value_count
    return rows


def read(
    data: bytes | MemorySource,
    scanner: str | Scanner = "reference",
    *,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    offset: int = 0,
    schemas: SchemaTable | None = None,
) -> Reading:
    """Read a file that is given as bytes or as a source."""
    source = MemorySource(data) if isinstance(data, bytes) else data
    scanner = SCANNERS[scanner] if isinstance(scanner, str) else scanner
    schemas = scanner.schema_table() if schemas is None else schemas
    reader = EventFileReader(source, scanner, schemas, chunk_size=chunk_size, offset=offset)
    rows, without_row = [], 0
    for block in reader.blocks():
        rows += rows_of(block, schemas)
        without_row += block.columns.without_row
    keys = [schemas.key(schema_id) for schema_id in range(len(schemas))]
    return Reading(rows, reader.account, reader.offset, keys, without_row)
