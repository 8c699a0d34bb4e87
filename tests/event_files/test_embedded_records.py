"""Payloads that hold whole records of their own: damage of the outer record does not make rows of the inner ones."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import pytest
from event_files import HEAD_SIZE, event, event_file, flip, frame, records, simple_value, string_tensor, tensor, text
from hypothesis import given
from hypothesis import strategies as st
from reading import MemorySource, read

from tb2csv.event_files import event_file as event_file_module
from tb2csv.event_files.event_file import EventFileReader
from tb2csv.event_files.scanners import SCANNERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from event_files import Value
    from reading import Reading

INNER = event_file([event(simple_value("inner", float(step)), step=step) for step in range(3)])

#: Values with the bytes of an event file, at the beginning, in the middle and at the end of what they hold.
OUTER: dict[str, Callable[[bytes], Value]] = {
    "string": lambda data: tensor("outer", string_tensor([data])),
    "text between others": lambda data: tensor("outer", string_tensor([b"a" * 9, data, b"b" * 9])),
    "bytes": lambda data: tensor("outer", np.frombuffer(data, np.uint8)),
    "plugin content": lambda data: tensor("outer", 1.0, "mine", content=data),
}
every_outer = pytest.mark.parametrize("outer", OUTER)
every_scanner = pytest.mark.parametrize("scanner", SCANNERS)

#: The number of the record with the others inside.
NUMBER = 3


def log_of(outer: str, inner: bytes = INNER, *, is_last: bool = False) -> bytes:
    events = [event(simple_value("loss", float(step)), step=step) for step in range(4)]
    events.insert(NUMBER - 1, event(OUTER[outer](inner), step=50))
    return event_file(events[:NUMBER] if is_last else events)


def assert_nothing_is_invented(reading: Reading, *, is_last: bool = False) -> None:
    """Assert that all rows of other records are there, and none of the records inside."""
    reading.check_account()
    rows = [(row.schema.tag, row.number) for row in reading.rows if row.schema.tag != b"outer"]
    assert rows == [(b"loss", float(step)) for step in range(2 if is_last else 4)]


@every_outer
@every_scanner
@pytest.mark.parametrize("chunk_size", [1 << 20, 64])
def test_records_in_a_sound_payload_are_not_read(outer: str, scanner: str, chunk_size: int) -> None:
    reading = read(log_of(outer), scanner, chunk_size=chunk_size)
    assert_nothing_is_invented(reading)
    assert not reading.account.damage


@every_outer
@every_scanner
@pytest.mark.parametrize("is_last", [False, True])
def test_one_damaged_byte_anywhere_invents_nothing(outer: str, scanner: str, *, is_last: bool) -> None:
    data = log_of(outer, is_last=is_last)
    place = records(data)[NUMBER]
    for offset, mask in itertools.product(range(place.start, place.stop), (0x01, 0xFF)):
        assert_nothing_is_invented(read(flip(data, offset, mask), scanner), is_last=is_last)


@every_outer
@pytest.mark.parametrize("is_last", [False, True])
def test_a_damaged_byte_of_the_head_and_one_of_the_payload_invent_nothing(outer: str, *, is_last: bool) -> None:
    data = log_of(outer, is_last=is_last)
    place = records(data)[NUMBER]
    for head, offset in itertools.product(
        range(place.start, place.payload_start), range(place.payload_start, place.stop, 7)
    ):
        assert_nothing_is_invented(read(flip(flip(data, head), offset)), is_last=is_last)


@pytest.mark.slow
@given(st.data())
def test_any_damage_of_a_part_of_the_head_and_of_the_payload_invents_nothing(data: st.DataObject) -> None:
    inner = b"".join(
        data.draw(st.binary(max_size=20)) + frame(event(simple_value("inner", 1.0), step=step).SerializeToString())
        for step in range(data.draw(st.integers(1, 4)))
    )
    broken = log = log_of(data.draw(st.sampled_from(sorted(OUTER))), inner + data.draw(st.binary(max_size=20)))
    place = records(log)[NUMBER]
    parts = [(place.start, place.start + 8), (place.start + 8, place.payload_start)]
    for start, stop in (data.draw(st.sampled_from(parts)), (place.payload_start, place.stop)):
        for offset in data.draw(st.sets(st.integers(start, stop - 1), min_size=1, max_size=5)):
            broken = flip(broken, offset, data.draw(st.integers(1, 255)))
    assert_nothing_is_invented(read(broken))


@every_outer
@every_scanner
def test_a_damaged_length_that_leads_to_a_record_inside_invents_nothing(outer: str, scanner: str) -> None:
    """The checksum of the length leads to the next record outside at the same time."""
    data = log_of(outer, bytes(11) + INNER + bytes(11))
    place = records(data)[NUMBER]
    for inner in (data.index(INNER), data.index(INNER) + len(INNER)):
        length = inner - place.start - HEAD_SIZE - 4
        broken = data[: place.start] + length.to_bytes(8, "little") + data[place.start + 8 :]
        assert_nothing_is_invented(read(flip(broken, place.payload_start), scanner))


@every_scanner
def test_the_message_names_the_record_inside(scanner: str) -> None:
    data = log_of("string")
    place = records(data)[NUMBER]
    reading = read(flip(data, place.stop - 1), scanner)
    (damage,) = reading.account.damage
    assert (damage.offset, damage.length, damage.lost) == (place.start, place.stop - place.start, True)
    assert f"byte {data.index(INNER)}" in damage.detail
    assert place.payload_start < data.index(INNER) < place.stop


@every_scanner
def test_records_that_took_the_place_of_missing_bytes_are_read(scanner: str) -> None:
    """The end of the first part of the payload is missing, so that the claimed extent reaches into later records."""
    events = [event(text("words", "x" * 300), step=1), *(event(simple_value("loss", 1.0), step=s) for s in range(40))]
    data = event_file(events)
    place = records(data)[1]
    for size in (50, 64, 100, 200):
        reading = read(data[: place.payload_start + 80] + data[place.payload_start + 80 + size :], scanner)
        reading.check_account()
        assert [row.schema.tag for row in reading.rows] == [b"loss"] * 40


def test_a_whole_file_in_place_of_a_payload_is_not_read() -> None:
    """Overwritten bytes look like a payload that holds records, and no reader can know."""
    data = event_file([event(text("words", "x" * 300), step=1), event(simple_value("loss", 1.0), step=1)])
    start = records(data)[1].start + HEAD_SIZE + 20
    reading = read(data[:start] + INNER + data[start + len(INNER) :])
    assert [row.schema.tag for row in reading.rows] == [b"loss"]
    assert f"byte {start}" in reading.account.damage[0].detail


def test_chains_within_claimed_extents_take_linear_time() -> None:
    """Each damaged head claims all that follows, which is a chain to the end of the file."""

    def bytes_read(count: int) -> int:
        sound = frame(event(simple_value("loss", 1.0), step=1).SerializeToString())
        size = len(sound) * count * 2
        parts = []
        for number in range(count):
            length = size - 2 * number * len(sound) - HEAD_SIZE - 4
            parts += [length.to_bytes(8, "little") + b"\0" * (len(sound) - 8), sound]
        source = MemorySource(b"".join(parts))
        scanner = SCANNERS["reference"]
        with mock.patch.object(event_file_module, "FAILED_CHECK_LIMIT", 0):
            for _ in EventFileReader(source, scanner, scanner.schema_table()).blocks():
                pass
        return source.bytes_read

    assert bytes_read(800) < 3 * bytes_read(400)
