"""TFRecord frames: checksums, and where reading goes on after damage."""

from __future__ import annotations

import struct

import google_crc32c
import pytest
from event_files import (
    event,
    event_file,
    flip,
    frame,
    frames,
    overwrite,
    records,
    simple_value,
    with_length_broken,
    with_length_crc_broken,
    with_payload_broken,
)
from hypothesis import given
from hypothesis import strategies as st
from reading import MemorySource

from tb2csv.errors import BAD_LENGTH_CRC, BAD_PAYLOAD_CRC, LOST_FRAMING
from tb2csv.event_files import framing
from tb2csv.event_files.framing import MAX_PAYLOAD_SIZE, Recovery, SearchBudget, find_frame

#: Three small records and their places.
DATA = event_file([event(simple_value("a", 1.0), step=1), event(simple_value("b", 2.0), step=2)])
FIRST, SECOND, THIRD = records(DATA)

_MASK = 0xA282EAD8


def masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def effort() -> SearchBudget:
    return SearchBudget(1 << 30)


def recover(data: bytes, offset: int = 0, patience: SearchBudget | None = None) -> Recovery:
    return framing.recover(MemorySource(data), offset, patience or effort())


def find(data: bytes, offset: int = 0) -> int:
    return find_frame(MemorySource(data), offset, effort())


def head(length: int) -> bytes:
    """Return a sound head, whatever comes after it."""
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", masked(google_crc32c.value(packed)))


# Checksums


@given(st.integers(0, 2**32 - 1))
def test_a_checksum_gives_its_length_back(length: int) -> None:
    assert framing._length_of_crc(masked(google_crc32c.value(struct.pack("<Q", length)))) == length


# The next sound frame


@pytest.mark.parametrize("record", [FIRST, SECOND, THIRD])
def test_a_frame_is_found_where_it_starts(record: object) -> None:
    assert find(DATA, record.start) == record.start  # type: ignore[attr-defined]


def test_the_next_frame_is_found_from_any_byte_of_the_one_before() -> None:
    for offset in range(FIRST.start + 1, SECOND.start + 1):
        assert find(DATA, offset) == SECOND.start


def test_there_is_no_frame_after_the_last() -> None:
    for offset in range(THIRD.start + 1, len(DATA) + 1):
        assert find(DATA, offset) == len(DATA)


@pytest.mark.parametrize("size", [0, 1, 11, 12, 15, 16, 40])
def test_no_frame_is_found_in_other_bytes(size: int) -> None:
    assert find(b"\x5a" * size) == size
    assert find(bytes(size)) == size


def test_an_empty_payload_is_a_frame() -> None:
    assert find(b"\0\0\0" + frame(b"") + frame(b"x")) == 3


def test_a_head_longer_than_the_file_starts_no_frame() -> None:
    data = b"?" + head(len(DATA) + 1) + DATA
    assert find(data) == 1 + 12


def test_a_head_without_a_frame_is_skipped() -> None:
    """A head in some payload claims bytes that no frame ends with."""
    data = b"?" + head(20) + b"\0" * 50 + DATA
    assert find(data) == 1 + 12 + 50


def test_a_frame_before_a_damaged_one_is_found_by_its_payload() -> None:
    data = b"?" + frame(b"sound") + flip(DATA, 0)
    assert find(data) == 1


def test_checksums_beyond_the_budget_are_not_taken() -> None:
    data = b"?" + frame(b"sound") + flip(DATA, 0)
    little = SearchBudget(4)
    assert find_frame(MemorySource(data), 0, little) == 1 + len(frame(b"sound")) + SECOND.start
    assert little.left == 4


@pytest.mark.parametrize("shift", [0, 1, 11, 12, 13])
def test_a_frame_across_the_border_of_two_search_blocks_is_found(monkeypatch: pytest.MonkeyPatch, shift: int) -> None:
    monkeypatch.setattr(framing, "_SEARCH_BLOCK", 64)
    garbage = b"\x5a" * (128 - shift)
    assert find(garbage + DATA) == len(garbage)


def test_a_search_skips_zeros() -> None:
    zeros = bytes(3 << 20)
    assert find(zeros) == len(zeros)
    assert find(zeros + DATA) == len(zeros)


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_a_frame_after_any_bytes_is_found(garbage: bytes, payload: bytes) -> None:
    data = garbage + frame(payload) + DATA
    assert find(data) == len(garbage)


@given(st.lists(st.sampled_from([0, 1, 7, 255]), max_size=300).map(bytes))
def test_heads_are_those_with_a_sound_checksum(data: bytes) -> None:
    data = data + head(3) + data
    expected = [
        position
        for position in range(len(data) - 11)
        if data[position + 8 : position + 12]
        == struct.pack("<I", masked(google_crc32c.value(data[position : position + 8])))
        and int.from_bytes(data[position : position + 8], "little") <= 1000
    ]
    assert framing._sound_heads(data, 1000) == expected


# What to do about a frame that is damaged or not whole


@pytest.mark.parametrize("size", range(12))
def test_fewer_bytes_than_a_head_are_a_tail(size: int) -> None:
    recovery = recover(DATA[:size])
    assert (recovery.kind, recovery.next_offset) == (None, size)


@pytest.mark.parametrize("missing", range(1, THIRD.stop - THIRD.start - 11))
def test_an_unfinished_last_record_is_a_tail(missing: int) -> None:
    data = DATA[:-missing]
    recovery = recover(data, THIRD.start)
    assert (recovery.kind, recovery.next_offset) == (None, len(data))


@pytest.mark.parametrize("record", [FIRST, SECOND, THIRD])
@pytest.mark.parametrize("field", ["payload", "payload_crc_field"])
def test_a_damaged_payload_is_stepped_over(record: object, field: str) -> None:
    offset = getattr(record, field).start
    recovery = recover(flip(DATA, offset), record.start)  # type: ignore[attr-defined]
    assert recovery[:2] == (record.stop, BAD_PAYLOAD_CRC)  # type: ignore[attr-defined]
    assert not recovery.keep


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("broken", [with_length_broken, with_length_crc_broken])
def test_a_damaged_head_costs_no_payload(number: int, broken: object) -> None:
    record = records(DATA)[number]
    recovery = recover(broken(DATA, number), record.start)  # type: ignore[operator]
    assert recovery[:2] == (record.stop, BAD_LENGTH_CRC)
    assert recovery.keep


def test_a_head_of_zeros_costs_no_payload_if_a_frame_follows() -> None:
    data = overwrite(DATA, slice(SECOND.start, SECOND.payload_start), bytes(12))
    recovery = recover(data, SECOND.start)
    assert recovery[:2] == (SECOND.stop, BAD_LENGTH_CRC)
    assert recovery.keep


def test_a_damaged_head_and_payload_are_lost() -> None:
    data = flip(flip(DATA, SECOND.start), SECOND.payload_start)
    assert recover(data, SECOND.start)[:2] == (SECOND.stop, LOST_FRAMING)


def test_damaged_heads_side_by_side_cost_no_payload() -> None:
    data = with_length_broken(with_length_crc_broken(DATA, 1), 2)
    assert recover(data, SECOND.start)[:2] == (SECOND.stop, BAD_LENGTH_CRC)
    assert recover(data, THIRD.start)[:2] == (THIRD.stop, BAD_LENGTH_CRC)


def test_a_damaged_payload_before_a_damaged_head() -> None:
    data = with_length_broken(with_payload_broken(DATA, 1), 2)
    assert recover(data, SECOND.start)[:2] == (SECOND.stop, BAD_PAYLOAD_CRC)


def test_frames_in_the_payload_of_a_damaged_frame_are_not_records() -> None:
    """A log may hold a log, as a string."""
    data = DATA + frame(b"log: " + DATA) + DATA
    outer = len(DATA)
    for broken in (with_length_broken(data, 3), with_length_crc_broken(data, 3), with_payload_broken(data, 3)):
        assert recover(broken, outer).next_offset == outer + len(frame(b"log: " + DATA))


def test_a_record_that_lacks_bytes_loses_its_framing() -> None:
    data = DATA[: SECOND.start + 20] + DATA[SECOND.start + 25 :]
    assert recover(data, SECOND.start)[:2] == (THIRD.start - 5, LOST_FRAMING)


def test_a_file_appended_to_an_unfinished_one_is_found() -> None:
    for size in range(SECOND.start + 1, SECOND.stop):
        data = DATA[:size] + DATA
        assert recover(data, SECOND.start)[:2] == (size, LOST_FRAMING)


@pytest.mark.parametrize("length", [MAX_PAYLOAD_SIZE + 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1])
def test_an_impossible_length_is_not_an_unfinished_record(length: int) -> None:
    assert recover(head(length))[:2] == (12, LOST_FRAMING)
    assert recover(head(length) + b"payload" + DATA)[:2] == (19, LOST_FRAMING)


def test_the_largest_length_may_be_unfinished() -> None:
    data = head(MAX_PAYLOAD_SIZE) + b"the beginning"
    assert recover(data)[:2] == (None or len(data), None)


def test_a_failed_check_is_counted() -> None:
    data = head(1000) + frame(b"x") + frame(b"y") + b"?" * 2000
    patience = SearchBudget(10_000)
    recovery = recover(data, 0, patience)
    assert recovery[:2] == (12, LOST_FRAMING)
    assert patience.left == 10_000 - (12 + 1000 + 4 - 12)


def test_a_large_gap_is_searched_in_blocks() -> None:
    source = MemorySource(bytes(20 << 20) + frames([event()]))
    recovery = framing.recover(source, 0, effort())
    assert recovery[:2] == (20 << 20, LOST_FRAMING)
    assert source.largest_read < 2 << 20
    assert source.bytes_read < 2.5 * source.size
