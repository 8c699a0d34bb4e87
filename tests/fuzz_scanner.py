"""Feeds damaged event files to a scanner that was built with AddressSanitizer; started by test_sanitized_scanner.py.

    LD_PRELOAD=libasan.so PYTHONMALLOC=malloc python fuzz_scanner.py SCANNER.so SEED ROUNDS FILE…

Every round takes one of the files, changes some bytes of some payloads, makes the checksums right again, so that the
damage reaches the wire format, and scans the result from a buffer that ends where the file does. The sanitizer ends the
process at the first byte that is read or written where there is none.
"""

from __future__ import annotations

import importlib.util
import random
import struct
import sys
from pathlib import Path
from typing import Any

import google_crc32c

from tb2csv.event_files.values import ScanStatus, ValueColumns, ValueSchema

#: Bytes that mean something to the wire format: varints at their edges, field keys of every wire type, lengths.
TELLING = bytes([0x00, 0x01, 0x02, 0x07, 0x08, 0x0A, 0x0B, 0x0C, 0x12, 0x22, 0x2A, 0x42, 0x4A, 0x7F, 0x80, 0xFE, 0xFF])


def load_scanner(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("tb2csv.event_files._scanner", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def payloads(data: bytes) -> list[bytes]:
    found = []
    position = 0
    while position + 16 <= len(data):
        (length,) = struct.unpack_from("<Q", data, position)
        found.append(data[position + 12 : position + 12 + length])
        position += 16 + length
    return found


def mutated(payload: bytes, rng: random.Random) -> bytes:
    changed = bytearray(payload)
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        position = rng.randrange(len(changed) + 1)
        action = rng.randrange(4)
        if action == 0 and position < len(changed):
            changed[position] = rng.choice(TELLING)
        elif action == 1 and position < len(changed):
            changed[position] ^= 1 << rng.randrange(8)
        elif action == 2:
            changed[position:position] = rng.choices(TELLING, k=rng.randrange(1, 12))
        else:
            del changed[position : position + rng.randrange(1, 20)]
    return bytes(changed)


def frame(payload: bytes) -> bytes:
    head = struct.pack("<Q", len(payload))
    return head + struct.pack("<I", masked_crc(head)) + payload + struct.pack("<I", masked_crc(payload))


def scan_all(scanner: Any, data: bytes, capacity: int) -> int:
    """Scan a file whole, stepping over what is irregular as the reader does; return the number of values."""
    buffer = memoryview(bytearray(data))
    schemas = scanner.SchemaTable()
    columns = ValueColumns()
    columns.reserve(capacity)
    position = values = 0
    while True:
        status, position, _ = scanner.scan(buffer, position, 0, schemas, columns)
        if status == ScanStatus.FULL:
            columns.reserve(2 * len(columns.schema_id) + 1)
            continue
        if status != ScanStatus.IRREGULAR:
            break
        position += 16 + int.from_bytes(buffer[position : position + 8], "little")
    for row in range(columns.size):
        ValueSchema.from_key(schemas.key(int(columns.schema_id[row])))
        start, length = int(columns.payload_offset[row]), int(columns.payload_length[row])
        if not 0 <= start <= start + length <= len(data):
            raise AssertionError((start, length, len(data)))
        values += 1
    return values


def main() -> None:
    scanner = load_scanner(sys.argv[1])
    rng = random.Random(int(sys.argv[2]))
    files = [payloads(Path(path).read_bytes()) for path in sys.argv[4:]]
    values = 0
    for _ in range(int(sys.argv[3])):
        chosen = rng.choice(files)
        some = rng.sample(chosen, min(len(chosen), 12))
        data = b"".join(frame(mutated(payload, rng)) for payload in some)
        values += scan_all(scanner, data[: len(data) - rng.choice((0, 0, 1, 7, 20))], rng.choice((1, 4, 64)))
    print(f"{values} values")


if __name__ == "__main__":
    main()
