"""Damaged event files: every byte is accounted for, and no undamaged record is lost."""

from __future__ import annotations

import itertools
import random
import struct
from typing import TYPE_CHECKING, Any

import google_crc32c
import pytest
from commands import run_here
from event_files import (
    AnyEvent,
    event,
    event_file,
    file_name,
    flip,
    frame,
    frames,
    masked_crc,
    overwrite,
    records,
    scalar,
    simple_value,
    tensor,
    tensor_of,
    with_length_broken,
    with_length_crc_broken,
    with_payload_broken,
    with_payload_crc_broken,
)
from reading import MemorySource, Reading, read
from slow_cases import quick_if

import tb2csv
from tb2csv.event_files import event_file as event_file_module
from tb2csv.event_files import framing
from tb2csv.event_files.scanners import SCANNERS
from tb2csv.event_files.values import ScanStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


#: Record i holds one value, tagged and numbered i; record 0 is the file version, record 2 is legacy, record 3 large.
TENSOR = tensor("3", tensor_of("DT_FLOAT", (5, 5), tensor_content=bytes(range(100))))
VALUES = [scalar("1", 1.0), simple_value("2", 2.0), TENSOR, scalar("4", 4.0, "float64"), simple_value("5", 5.0)]
DATA = event_file([event(value, step=step, wall_time=step) for step, value in enumerate(VALUES, 1)], wall_time=0.5)
RECORDS = records(DATA)
TAGS = ["1", "2", "3", "4", "5"]
WHOLE = read(DATA)

every_scanner = pytest.mark.parametrize("scanner", SCANNERS)


def read_damaged(data: bytes, scanner: str, chunk_sizes: Iterable[int] = (1 << 20, 64)) -> Reading:
    """Read with several chunk sizes, check the account, and that the chunk size makes no difference."""
    readings = [read(data, scanner, chunk_size=chunk_size) for chunk_size in chunk_sizes]
    for reading in readings:
        reading.check_account()
        assert reading.rows == readings[0].rows
        assert reading.account == readings[0].account
    return readings[0]


def touched(offset: int) -> int:
    """Return the number of the record that a byte belongs to."""
    return next(number for number, record in enumerate(RECORDS) if offset < record.stop)


def tags_but(*numbers: int) -> list[str]:
    return [tag for tag in TAGS if int(tag) not in numbers]


def assert_kept(reading: Reading, *damaged: int) -> None:
    """Assert that the rows of all other records are there, in order, as in the whole file."""
    others = [row for row in WHOLE.rows if row.step not in damaged]
    assert [row for row in reading.rows if row.step not in damaged] == others


# Cuts and flips


@every_scanner
def test_every_cut_keeps_all_records_before_it(scanner: str) -> None:
    for size in range(len(DATA) + 1):
        reading = read_damaged(DATA[:size], scanner)
        whole = [number for number, record in enumerate(RECORDS) if record.stop <= size]
        assert reading.tags == [str(number) for number in whole if number]
        assert reading.account.records == len(whole)
        assert not reading.account.damage
        assert reading.account.incomplete_tail_bytes == size - (RECORDS[whole[-1]].stop if whole else 0)


@every_scanner
@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_flipped_byte_costs_one_record_at_most(scanner: str, mask: int) -> None:
    for offset in range(len(DATA)):
        number = touched(offset)
        reading = read_damaged(flip(DATA, offset, mask), scanner)
        assert_kept(reading, number)
        (damage,) = reading.account.damage
        assert (damage.offset, damage.length) == (RECORDS[number].start, len(DATA[slice(*RECORDS[number][::3])]))
        in_head = offset < RECORDS[number].payload_start
        assert damage.lost is not in_head
        assert damage.kind == ("bad_length_crc" if in_head else "bad_payload_crc")
        assert reading.account.incomplete_tail_bytes == 0
        assert len(reading.rows) == 5 - (damage.lost and number > 0)


@every_scanner
def test_a_flipped_byte_in_a_cut_file_is_damage_and_the_rest_a_tail(scanner: str) -> None:
    """Damage in one record does not hide that the last one is merely unfinished."""
    size = RECORDS[5].stop - 5
    for offset in range(RECORDS[5].start):
        reading = read_damaged(flip(DATA[:size], offset), scanner)
        assert_kept(reading, touched(offset), 5)
        assert len(reading.account.damage) == 1
        assert reading.account.incomplete_tail_bytes == size - RECORDS[5].start


_BREAK: dict[str, Callable[[bytes, int], bytes]] = {
    "length": with_length_broken,
    "length_crc": with_length_crc_broken,
    "payload": with_payload_broken,
    "payload_crc": with_payload_crc_broken,
}


def broken(*breaks: tuple[int, str]) -> bytes:
    """Return the file with several records broken, each in one of its fields."""
    data = DATA
    for number, field in breaks:
        alone = _BREAK[field](DATA, number)
        where = slice(RECORDS[number].start, RECORDS[number].stop)
        data = overwrite(data, where, alone[where])
    return data


@every_scanner
@pytest.mark.parametrize("fields", list(itertools.product(_BREAK, repeat=2)), ids="+".join)
def test_two_damaged_records_do_not_cost_a_third(scanner: str, fields: tuple[str, str]) -> None:
    for first, second in itertools.combinations(range(len(RECORDS)), 2):
        reading = read_damaged(broken((first, fields[0]), (second, fields[1])), scanner)
        assert_kept(reading, first, second)
        lost = [number for number, field in zip((first, second), fields, strict=True) if "payload" in field]
        assert reading.tags == tags_but(*lost), "a damaged head costs no payload"
        assert len(reading.account.damage) == 2


@every_scanner
def test_damage_in_every_other_record_costs_no_other_record(scanner: str) -> None:
    for fields in itertools.product(_BREAK, repeat=3):
        assert_kept(read_damaged(broken(*zip((1, 3, 5), fields, strict=True)), scanner), 1, 3, 5)
        assert_kept(read_damaged(broken(*zip((0, 2, 4), fields, strict=True)), scanner), 0, 2, 4)


@every_scanner
def test_damage_in_every_record_costs_damaged_payloads_only(scanner: str) -> None:
    for field in _BREAK:
        data = broken(*((number, field) for number in range(len(RECORDS))))
        reading = read_damaged(data, scanner)
        assert reading.tags == ([] if "payload" in field else TAGS)


@every_scanner
def test_heads_of_zeros_cost_no_other_record(scanner: str) -> None:
    for number, record in enumerate(RECORDS):
        data = overwrite(DATA, slice(record.start, record.payload_start), bytes(12))
        assert read_damaged(data, scanner).tags == TAGS, f"the payload of record {number} proves itself"


# Bytes that are missing, foreign, or there twice


@every_scanner
@pytest.mark.parametrize("garbage", [b"\0", b"\xff", b"garbage", bytes(1000), b"\x01" + bytes(7), DATA[:5]])
def test_inserted_bytes_cost_the_record_around_them_at_most(scanner: str, garbage: bytes) -> None:
    for offset in range(len(DATA) + 1):
        inside = [number for number, record in enumerate(RECORDS) if record.start < offset < record.stop]
        reading = read_damaged(DATA[:offset] + garbage + DATA[offset:], scanner, [1 << 20])
        assert_kept(reading, *inside)
        account = reading.account
        assert account.damage or account.incomplete_tail_bytes == len(garbage) < 12


@every_scanner
@pytest.mark.parametrize("count", [1, 7, 40])
def test_removed_bytes_cost_the_records_they_belong_to_at_most(scanner: str, count: int) -> None:
    for offset in range(len(DATA) - count):
        hit = {touched(offset), touched(offset + count - 1)}
        reading = read_damaged(DATA[:offset] + DATA[offset + count :], scanner, [1 << 20])
        assert_kept(reading, *range(min(hit), max(hit) + 1))


@every_scanner
@pytest.mark.parametrize("size", [16, 64, 200])
@pytest.mark.parametrize("filler", [b"\0", b"\xff"])
def test_a_block_of_zeros_costs_the_records_it_touches_at_most(scanner: str, size: int, filler: bytes) -> None:
    for start in range(0, len(DATA) - size, 8):
        data = overwrite(DATA, slice(start, start + size), filler * size)
        reading = read_damaged(data, scanner, [1 << 20])
        assert_kept(reading, *range(touched(start), touched(start + size - 1) + 1))
        assert reading.account.damage


@every_scanner
def test_a_block_that_was_written_twice_costs_no_record(scanner: str) -> None:
    for start, size in itertools.product(range(0, len(DATA), 16), (16, 128)):
        data = DATA[: start + size] + DATA[start : start + size] + DATA[start + size :]
        end = min(start + size, len(DATA))
        inside = [number for number, record in enumerate(RECORDS) if record.start < end < record.stop]
        reading = read_damaged(data, scanner, [1 << 20])
        rows = list(reading.rows)
        for row in WHOLE.rows:
            if row.step not in inside:
                rows.remove(row)


@every_scanner
def test_a_file_appended_to_an_unfinished_one_is_read(scanner: str) -> None:
    for size in range(len(DATA)):
        reading = read_damaged(DATA[:size] + DATA, scanner)
        whole = [str(number) for number, record in enumerate(RECORDS) if record.stop <= size and number]
        assert reading.tags == whole + TAGS
        at_border = size in {0, *(record.stop for record in RECORDS)}
        assert len(reading.account.damage) == (not at_border)


@every_scanner
def test_a_log_within_a_damaged_record_is_not_read_as_records(scanner: str) -> None:
    log = tensor("log", tensor_of("DT_STRING", (), string_val=[DATA]))
    data = event_file([event(simple_value("before", 1.0)), event(log), event(simple_value("behind", 1.0))])
    for number, break_record in itertools.product((1, 2), _BREAK.values()):
        reading = read_damaged(break_record(data, number), scanner)
        assert set(reading.tags) <= {"before", "log", "behind"}
        assert "behind" in reading.tags


# Chunks


@every_scanner
@pytest.mark.slow
def test_a_damaged_record_at_any_border_of_chunks(scanner: str) -> None:
    for field, number in itertools.product(_BREAK, range(len(RECORDS))):
        data = broken((number, field))
        whole = read(data, scanner)
        for chunk_size in range(12, len(data) + 1, 3):
            pieces = read(data, scanner, chunk_size=chunk_size)
            assert pieces.rows == whole.rows
            assert pieces.account == whole.account


@every_scanner
def test_a_damaged_record_larger_than_the_chunk(scanner: str) -> None:
    large = tensor("large", tensor_of("DT_INT8", (50_000,), tensor_content=bytes(50_000)))
    data = event_file([event(simple_value("a", 1.0)), event(large), event(simple_value("b", 1.0))])
    for field, break_record in _BREAK.items():
        reading = read_damaged(break_record(data, 2), scanner, [1000, 1 << 20])
        assert reading.tags == (["a", "b"] if "payload" in field else ["a", "large", "b"])


# Files at random: never an exception, never a byte without an account


@every_scanner
@pytest.mark.parametrize("seed", quick_if(lambda seed: seed == 0, range(4)))
def test_any_change_is_accounted_for(scanner: str, seed: int) -> None:
    source = random.Random(seed)
    for _ in range(150):
        data = DATA
        for _ in range(source.choice([1, 2, 3, 8])):
            at = source.randrange(len(data) + 1)
            size = source.choice([0, 1, 4, 12, 100])
            data = (
                data[:at] + source.choice([source.randbytes(size), bytes(size), b"", data[at:] * 2]) + data[at + size :]
            )
            data = data[:5000]
        reading = read_damaged(data, scanner, [1 << 20, source.randrange(12, 400)])
        assert reading == read(data)


# Hostile files: work is counted, not time


class CountingScanner:
    """A scanner that counts the bytes of the buffers it is given, from where it is to start."""

    def __init__(self, name: str) -> None:
        self.scanned = 0
        self._scanner = SCANNERS[name]
        self.scanner = self._scanner._replace(scan=self._scan)

    def _scan(self, buffer: memoryview, start: int, *more: Any) -> tuple[int, int, int]:
        result = self._scanner.scan(buffer, start, *more)
        status, position, _ = result
        self.scanned += position - start
        if status not in {ScanStatus.MORE, ScanStatus.BAD_LENGTH_CRC}:  # it was summed up before it stopped the scan
            self.scanned += int.from_bytes(buffer[position : position + 8], "little")
        return result


class Work:
    """Counts the bytes that checksums were taken of outside the scanner."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.summed = 0
        value, extend = google_crc32c.value, google_crc32c.extend

        def counted_value(data: bytes) -> int:
            self.summed += len(data)
            return int(value(data))

        def counted_extend(crc: int, data: bytes) -> int:
            self.summed += len(data)
            return int(extend(crc, data))

        monkeypatch.setattr(google_crc32c, "value", counted_value)
        monkeypatch.setattr(google_crc32c, "extend", counted_extend)


def head(length: int) -> bytes:
    """Return a sound head, whatever comes after it."""
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", masked_crc(packed))


def claims(count: int, claim: Callable[[int], int], spacing: bytes = b"") -> bytes:
    """Return ``count`` heads; each claims what ``claim`` makes of the bytes from its own end to the file's."""
    step = 12 + len(spacing)
    return b"".join(head(max(0, claim((count - number) * step - 12)) % 2**64) + spacing for number in range(count))


GOOD = frame(event(simple_value("good", 1.0)).SerializeToString())
COUNT = 2000

HOSTILE = {
    "heads that claim the rest": claims(COUNT, lambda rest: rest - 4),
    "heads that claim nearly the rest": claims(COUNT, lambda rest: rest - 9),
    "heads that claim the rest but a record": claims(COUNT, lambda rest: rest - 50),
    "heads that claim half the rest": claims(COUNT, lambda rest: rest // 2),
    "heads that claim more than the rest": claims(COUNT, lambda rest: rest + 1),
    "heads that claim the largest payload": claims(COUNT, lambda _: 2**31 - 1),
    "heads that claim 2**63": claims(COUNT, lambda _: 2**63),
    "heads that claim 2**64 - 1": claims(COUNT, lambda _: 2**64 - 1),
    "records between claims of the rest": claims(COUNT, lambda rest: rest - 4, GOOD),
    "records between claims of nearly the rest": claims(COUNT, lambda rest: rest - 9, GOOD),
    "records between claims of the rest but a record": claims(COUNT, lambda rest: rest - 50, GOOD),
    "records between claims of more than the rest": claims(COUNT, lambda rest: rest + 1, GOOD),
    "records between claims of the largest payload": claims(COUNT, lambda _: 2**31 - 1, GOOD),
    "records between claims of 2**63": claims(COUNT, lambda _: 2**63, GOOD),
    "records between damaged heads of the rest": b"".join(
        flip(head((COUNT - number) * (len(GOOD) + 12) - 12 - 9), 9) + GOOD for number in range(COUNT)
    ),
    "zeros": bytes(4 << 20),
    "ones": b"\xff" * (1 << 20),
    "lengths of zero with no checksum": (bytes(8) + b"\x01\0\0\0") * 50_000,
    "empty records": frame(b"") * 20_000,
}


@every_scanner
@pytest.mark.parametrize("chunk_size", quick_if(lambda size: size == 100, [100, 1 << 20]))
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_cost_work_linear_in_their_size(
    monkeypatch: pytest.MonkeyPatch, scanner: str, chunk_size: int, name: str
) -> None:
    failed_check_limit = 1 << 20
    monkeypatch.setattr(event_file_module, "FAILED_CHECK_LIMIT", failed_check_limit)
    work = Work(monkeypatch)
    counting = CountingScanner(scanner)
    source = MemorySource(HOSTILE[name])
    reading = read(source, counting.scanner, chunk_size=chunk_size)
    reading.check_account()
    allowed = 20 * source.size + 4 * failed_check_limit
    assert source.bytes_read < allowed
    assert work.summed < allowed
    assert counting.scanned < allowed


@every_scanner
@pytest.mark.slow
def test_records_between_heads_of_impossible_length_are_read(scanner: str) -> None:
    for name in ("nearly the rest", "the rest but a record", "more than the rest", "the largest payload", "2**63"):
        reading = read(HOSTILE[f"records between claims of {name}"], scanner)
        assert reading.tags == ["good"] * COUNT


def test_a_file_with_too_many_failed_checks_is_abandoned_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file_module, "FAILED_CHECK_LIMIT", 1000)
    reading = read(HOSTILE["records between claims of the rest but a record"])
    reading.check_account()
    assert reading.account.damage[-1].detail == "records claim one another's bytes again and again"
    assert reading.account.damage[-1].lost


class SparseSource(MemorySource):
    """A file of zeros with some bytes at its start and at its end."""

    def __init__(self, start: bytes, size: int, end: bytes) -> None:
        super().__init__(b"")
        self.size = size
        self._start = start
        self._end = end

    def read_at(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size - offset))
        self.largest_read = max(self.largest_read, length)
        self.bytes_read += length
        piece = bytearray(length)
        for place, content in ((0, self._start), (self.size - len(self._end), self._end)):
            first, last = max(offset, place), min(offset + length, place + len(content))
            if first < last:
                piece[first - offset : last - offset] = content[first - place : last - place]
        return bytes(piece)


@every_scanner
def test_a_sparse_file_is_passed_in_pieces(scanner: str) -> None:
    size = 200 << 20
    source = SparseSource(DATA, size, DATA)
    reading = read(source, scanner, chunk_size=1 << 20)
    reading.check_account()
    assert reading.tags == TAGS * 2
    (damage,) = reading.account.damage
    assert (damage.offset, damage.length) == (len(DATA), size - 2 * len(DATA))
    assert source.largest_read <= 3 << 20
    assert source.bytes_read < 3 * size


@every_scanner
def test_a_length_beyond_the_file_takes_no_memory(scanner: str) -> None:
    for length in (2**31 - 1, 2**40, 2**63, 2**64 - 17, 2**64 - 1):
        source = MemorySource(DATA + head(length) + b"the beginning")
        reading = read(source, scanner, chunk_size=64)
        reading.check_account()
        assert reading.tags == TAGS
        assert source.largest_read <= source.size


def nested_claims(depth: int, claim: int) -> bytes:
    """Return an Event of messages within messages whose lengths claim more than there is."""
    payload = b""
    for _ in range(depth):
        payload = b"\x2a" + _varint(claim) + b"\x0a" + _varint(claim) + payload
    return payload


def _varint(number: int) -> bytes:
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


@every_scanner
@pytest.mark.parametrize("claim", [0, 1, 127, 128, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1])
def test_nested_lengths_are_not_trusted(scanner: str, claim: int) -> None:
    data = frames([event(simple_value("a", 1.0)), nested_claims(50, claim), event(simple_value("b", 1.0))])
    reading = read_damaged(data, scanner)
    assert [tag for tag in reading.tags if tag] == ["a", "b"]
    assert reading == read(data)


@every_scanner
def test_deep_groups_do_not_recurse(scanner: str) -> None:
    deep = b"\xa3\x06" * 100_000
    data = frames([event(simple_value("a", 1.0)), deep, deep + b"\xa4\x06" * 100_000, event(simple_value("b", 1.0))])
    assert read_damaged(data, scanner).tags == ["a", "b"]


# Through the library and the command line

NAMES = [file_name(number) for number in range(3)]


def write_files(folder: Path, *contents: bytes) -> Path:
    folder.mkdir()
    for name, content in zip(NAMES, contents, strict=False):
        (folder / name).write_bytes(content)
    return folder


def test_each_file_has_its_own_stats(scanner: str, tmp_path: Path) -> None:
    assert scanner
    logdir = write_files(tmp_path / "logs", DATA, broken((2, "payload"), (4, "length")), DATA[:-1])
    report = tb2csv.check(logdir)
    accounts = {account.path: account for _, account in report.sources}
    assert list(accounts) == NAMES
    sound, damaged, cut = accounts.values()
    assert not sound.damage
    assert [damage.kind for damage in damaged.damage] == ["bad_payload_crc", "bad_length_crc"]
    assert (cut.damage, cut.incomplete_tail_bytes) == ([], len(DATA) - RECORDS[5].start - 1)
    assert report.values_read == 5 + 4 + 4


@pytest.mark.parametrize("command", ["check", "ls", "convert"])
def test_exit_status_of_damaged_and_of_unfinished_files(
    scanner: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert scanner
    cases = [
        (DATA, 0),
        *((DATA[:size], 0) for size in (1, 11, 12, len(DATA) // 2, len(DATA) - 1)),
        *((flip(DATA, offset), 3) for offset in (0, 8, 12, RECORDS[2].start, RECORDS[3].payload_start, len(DATA) - 1)),
        (DATA + b"garbage that is no record", 3),
    ]
    for number, (data, status) in enumerate(cases):
        logdir = write_files(tmp_path / f"logs{number}", data)
        result = run_here(capsys, command, logdir, *([tmp_path / f"out{number}"] if command == "convert" else []))
        assert result.status == status, result.stderr
        if command == "convert":
            assert (tmp_path / f"out{number}" / "index.csv").exists()
        assert ("lost" in result.stderr or "repaired" in result.stderr) == (status == 3)
        assert ("unfinished" in result.stderr) == (status == 0 and len(data) not in {0, len(DATA)})


def rows_in(folder: Path) -> dict[str, int]:
    """Return how many rows each table of a conversion has."""
    return {path.stem: len(path.read_text().splitlines()) - 1 for path in folder.rglob("scalars/*.csv")}


def test_conversion_writes_every_undamaged_value(scanner: str, tmp_path: Path) -> None:
    assert scanner
    for offset in range(3, len(DATA), 29):
        number = touched(offset)
        logdir = write_files(tmp_path / f"logs{offset}", DATA, flip(DATA, offset))
        report = tb2csv.convert(logdir, tmp_path / f"out{offset}")
        lost = {number} & {1, 2, 4, 5} if offset >= RECORDS[number].payload_start else set()
        expected = {tag: 2 - (int(tag) in lost) for tag in ("1", "2", "4", "5")}
        assert rows_in(tmp_path / f"out{offset}") == expected
        assert report.values_read == report.values_written
        assert len(report.damage) == 1


def test_a_damaged_first_record_does_not_change_the_order_of_files(scanner: str, tmp_path: Path) -> None:
    assert scanner

    def one(wall_time: float, *events: AnyEvent) -> bytes:
        return event_file(events, wall_time=wall_time)

    early = one(100.0, event(simple_value("a", 1.0), wall_time=101.0))
    late = one(200.0, event(simple_value("a", 2.0), wall_time=201.0))
    record = records(early)[0]
    for offset in range(record.stop):
        # The later file comes first by name.
        logdir = write_files(tmp_path / f"logs{offset}", late, flip(early, offset))
        tb2csv.convert(logdir, tmp_path / f"out{offset}")
        lines = (tmp_path / f"out{offset}" / "scalars" / "a.csv").read_text().splitlines()
        assert lines == ["wall_time,step,value", "101.0,0,1.0", "201.0,0,2.0"]


def test_strict_refuses_damage_but_accepts_an_unfinished_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = write_files(tmp_path / "cut", DATA[:-1])
    assert run_here(capsys, "convert", "--strict", whole, tmp_path / "out").status == 0
    damaged = write_files(tmp_path / "damaged", flip(DATA, len(DATA) - 1))
    assert run_here(capsys, "convert", "--strict", damaged, tmp_path / "strict").status == 1
    assert not (tmp_path / "strict").exists()
    with pytest.raises(tb2csv.DamagedError):
        tb2csv.convert(damaged, tmp_path / "strict", strict=True)


def test_the_failed_check_limit_is_beyond_accidental_damage() -> None:
    assert framing.FAILED_CHECK_LIMIT >= 1 << 30


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
        (b"BZh91AY&SY" + bytes(range(1, 60)), "unpack it first"),
    ],
)
def test_a_pointer_or_packed_file_in_place_of_an_event_file_is_named(
    content: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "events.out.tfevents.1.host").write_bytes(content)
    for command in (["convert", tmp_path / "logs", tmp_path / "out"], ["check", tmp_path / "logs"]):
        ran = run_here(capsys, *command)
        assert ran.status == 1  # there is nothing else
        assert said in ran.stderr
