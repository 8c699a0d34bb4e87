"""The compiled scanner, which must read what the reference scanner reads, from a buffer that ends with the file."""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from event_files import frame
from message_mutations import mutated_file, payloads_of

from tb2csv.errors import DecodeError
from tb2csv.event_files import reference
from tb2csv.event_files.scanners import SCANNERS
from tb2csv.event_files.values import COLUMN_NAMES, ScanStatus, ValueColumns, ValueSchema

if TYPE_CHECKING:
    import random

    from message_mutations import PlainMutation

SAMPLE_LOGS = Path(__file__).parents[2] / "sample_logs"
_PLAIN_COLUMNS = [name for name in COLUMN_NAMES if name != "payload_offset"]
#: Payloads of seeds, in bytes; longer ones say nothing new.
_LONGEST = 1000


def sample_files() -> list[bytes]:
    """Return short event files with records of every writer: of each log the first of each length."""
    found = []
    for path in sorted(SAMPLE_LOGS.rglob("*tfevents*")):
        by_length = {len(each): each for each in reversed(payloads_of(path.read_bytes()))}
        short = [each for length, each in sorted(by_length.items()) if length < _LONGEST]
        found += [b"".join(map(frame, short[start : start + 4])) for start in range(0, len(short), 4)]
    return found


class Scanned:
    """What one scanner has read of a buffer."""

    def __init__(self, name: str) -> None:
        self.scanner = SCANNERS[name]
        self.columns = ValueColumns()
        self.columns.reserve(4)

    def begin(self) -> None:
        self.schemas = self.scanner.schema_table()
        self.columns.clear()

    def scan(self, buffer: memoryview, start: int, base: int) -> tuple[int, int, int]:
        """Scan until a record stops the scan that more room does not help."""
        records = 0
        while True:
            status, start, more = self.scanner.scan(buffer, start, base, self.schemas, self.columns)
            records += more
            if status != ScanStatus.FULL:
                return int(status), start, records
            self.columns.reserve(2 * len(self.columns.schema_id) + 1)

    def content(self, buffer: memoryview, base: int) -> tuple[Any, ...]:
        """Return all that was read; payloads as bytes, of which one event may have the same at two places."""
        columns, size = self.columns, self.columns.size
        keys = [self.schemas.key(number) for number in range(len(self.schemas))]
        starts, lengths = columns.payload_offset[:size].tolist(), columns.payload_length[:size].tolist()
        payloads = [bytes(buffer[at - base :][:length]) for at, length in zip(starts, lengths, strict=True) if length]
        contents = [(row, bytes(buffer[at - base :][:length])) for row, at, length in columns.contents.tolist()]
        cells = [getattr(columns, name)[:size].tobytes() for name in _PLAIN_COLUMNS]
        return keys, columns.marks, payloads, contents, cells


def check_head(event: bytes) -> None:
    """Compare the heads of an event, if the compiled scanner reads it."""
    if (found := SCANNERS["compiled"].read_head(event)) is not None:
        assert repr(found) == repr(reference.read_head(event))


class ScannerTarget:
    """Both scanners."""

    def __init__(self) -> None:
        self._compiled, self._reference = Scanned("compiled"), Scanned("reference")

    def seeds(self) -> list[bytes]:
        return sample_files()

    def mutate(self, data: bytes, rng: random.Random, plain: PlainMutation) -> bytes:
        return mutated_file(data, rng, plain)

    def run(self, data: bytes) -> None:
        compiled, expected = self._compiled, self._reference
        buffer = memoryview(bytearray(data))
        base = (0, 0, 1 << 40)[zlib.crc32(data) % 3]
        compiled.begin()
        expected.begin()
        position = 0
        check_head(bytes(buffer[12:-4]))
        while True:
            status, stop, records = compiled.scan(buffer, position, base)
            assert expected.scan(buffer[:stop], position, base) == (ScanStatus.MORE, stop, records)
            if status != ScanStatus.IRREGULAR:
                assert expected.scan(buffer, stop, base) == (status, stop, 0)
                break
            # Whatever reads the file gives such a record to the reference scanner.
            end = stop + 12 + int.from_bytes(buffer[stop : stop + 8], "little")
            for each in (compiled, expected):
                with contextlib.suppress(DecodeError):
                    reference.read_event(bytes(buffer[stop + 12 : end]), base + stop + 12, each.schemas, each.columns)
            position = end + 4
        self._check_places(base, len(data))
        assert compiled.content(buffer, base) == expected.content(buffer, base)
        self._check_schemas()

    def _check_places(self, base: int, size: int) -> None:
        columns = self._compiled.columns
        starts, lengths = columns.payload_offset[: columns.size], columns.payload_length[: columns.size]
        is_payload = lengths != 0
        assert (lengths >= 0).all()
        assert (starts[is_payload] >= base).all()
        assert (starts[is_payload] + lengths[is_payload] <= base + size).all()

    def _check_schemas(self) -> None:
        schemas, columns = self._compiled.schemas, self._compiled.columns
        for number in range(len(schemas)):
            metadata = ValueSchema.from_key(schemas.key(number)).metadata
            found = SCANNERS["compiled"].read_metadata(metadata)
            assert found is None or found == SCANNERS["reference"].read_metadata(metadata)
        groups = []
        for name in ("compiled", "reference"):
            order, bounds = np.empty(columns.size, np.int64), np.empty(len(schemas) + 1, np.int64)
            series = np.arange(len(schemas), dtype=np.int32)[::-1].copy()
            SCANNERS[name].group(columns.schema_id[: columns.size], series, order, bounds)
            groups.append((order.tobytes(), bounds.tobytes()))
        assert groups[0] == groups[1]


def make(_: str, __: Path) -> ScannerTarget:
    return ScannerTarget()
