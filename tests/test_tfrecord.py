"""The layout of a record in an event file, and its checksums."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import google_crc32c
import numpy as np
import pytest
from event_files import event, flip, frame, masked_crc, simple_value
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

from tb2csv import tfrecord

if TYPE_CHECKING:
    from pathlib import Path

PAYLOAD = event(simple_value("loss", 0.5), step=7, wall_time=1.5).SerializeToString()


@pytest.mark.parametrize(
    ("data", "crc"),
    [  # RFC 3720, B.4, and the check value of the CRC catalogue
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_masked_crc_equals_known_vectors(data: bytes, crc: int) -> None:
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert tfrecord.masked_crc([data]) == masked
    assert tfrecord.masked_crc([data[:5], b"", data[5:]]) == masked
    assert tfrecord.unmasked(masked) == crc


def test_payload_length_is_read_from_a_head_of_tensorflow() -> None:
    # The first twelve bytes of any file with brain.Event:2 and a wall time: 24 bytes of payload.
    assert tfrecord.payload_length(bytes.fromhex("1800000000000000a37f4b22")) == 24
    assert tfrecord.payload_length(bytes.fromhex("1900000000000000a37f4b22")) is None


def test_a_payload_is_sound_with_its_own_checksum_only() -> None:
    foot = struct.pack("<I", masked_crc(PAYLOAD))
    assert tfrecord.is_payload_sound([PAYLOAD], foot)
    assert tfrecord.is_payload_sound([PAYLOAD], memoryview(foot))
    assert not tfrecord.is_payload_sound([PAYLOAD], foot[:3])
    for offset in range(len(PAYLOAD)):
        assert not tfrecord.is_payload_sound([flip(PAYLOAD, offset, 0x10)], foot)
    for offset in range(len(foot)):
        assert not tfrecord.is_payload_sound([PAYLOAD], flip(foot, offset, 0x10))


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_a_record_in_parts_is_the_record_of_the_whole_payload(parts: list[bytes]) -> None:
    assert b"".join(map(bytes, tfrecord.record(*parts))) == frame(b"".join(parts))


def test_a_record_of_an_array_does_not_copy_it() -> None:
    array = np.frombuffer(PAYLOAD, np.uint8)
    _, part, _ = tfrecord.record(array)
    assert part is array
    assert b"".join(map(bytes, tfrecord.record(array[:3], array[3:]))) == frame(PAYLOAD)


def test_tensorboard_reads_written_records(tmp_path: Path) -> None:
    path = tmp_path / "records"
    with path.open("wb") as file:
        for payload in (PAYLOAD, b"", PAYLOAD * 1000):
            file.writelines(tfrecord.record(payload))
    reader = PyRecordReader_New(str(path))
    read = []
    for _ in range(3):
        reader.GetNext()
        read.append(reader.record())
    assert read == [PAYLOAD, b"", PAYLOAD * 1000]


@given(st.integers(0, 2**32 - 1))
def test_unmasked_crc_is_the_crc(crc: int) -> None:
    data = struct.pack("<I", crc)
    assert tfrecord.unmasked(masked_crc(data)) == google_crc32c.value(data)
