"""Damaged copies of event files, and what must be read of each.

    python log_mutations.py COUNT [--first SEED] [--json FILE]

A copy is made of stretches of the file and of new bytes, so it is known which records are in it untouched. The rows of
these records must be read, in their order, and no others: the same as from a file that has only these records. Records
with an untouched payload, whose own checksum proves it, may be read as well if the report says that they are repaired.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing as mp
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import polars as pl
from event_files import HEAD_SIZE, frame, records
from growing import LOGS

from tb2csv.errors import Tb2csvError
from tb2csv.logdir import discover
from tb2csv.runs.decoded_rows import UndecodableValue
from tb2csv.runs.run_reader import RunReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    import numpy.typing as npt

SAMPLE_LOGS: Final = Path(__file__).parents[1] / "sample_logs"

#: Seconds after which a file counts as one that is never read to its end.
PATIENCE: Final = 5


class Source(NamedTuple):
    """A sound event file."""

    name: str
    data: bytes
    #: The offsets at which its records start, their payloads start, and the records end.
    starts: npt.NDArray[np.int64]
    payloads: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]
    #: The records by their heads, which are alike if their lengths are.
    by_head: dict[bytes, set[bytes]]

    def bytes_and_places(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Return a copy of the bytes, and their offsets."""
        return np.frombuffer(self.data, np.uint8).copy(), np.arange(len(self.data))

    def record(self, number: int) -> bytes:
        """Return a record."""
        return self.data[self.starts[number] : self.stops[number]]


def sources() -> list[Source]:
    """Return the event files of the sample logs, which every writer wrote, and those of the logs of the tests."""
    files = {
        path.relative_to(SAMPLE_LOGS).as_posix(): path.read_bytes()
        for path in sorted(SAMPLE_LOGS.rglob("*tfevents*"))
        if path.relative_to(SAMPLE_LOGS).parts[0] not in {"damaged", "unfinished"}
    }
    for name, make in LOGS.items():
        written: dict[str, bytes] = {}
        for path, data in make().writes:
            written[path] = written.get(path, b"") + data
        files |= {f"{name}/{path}": data for path, data in written.items()}
    found = {}
    for name, data in files.items():
        with contextlib.suppress(AssertionError):  # it ends too early
            places = records(data)
            is_sound = data == b"".join(frame(data[each.payload_start : each.payload_stop]) for each in places)
            if len(places) > 1 and is_sound:
                starts, payloads, _, stops = np.array(places, np.int64).T
                by_head: dict[bytes, set[bytes]] = {}
                for each in places:
                    by_head.setdefault(data[each.start : each.payload_start], set()).add(data[each.start : each.stop])
                found[data] = Source(name, data, starts, payloads, stops, by_head)
    return list(found.values())


class Mutation:
    """A damaged copy; ``origin`` has the offset of each byte in the source, or -1."""

    def __init__(self, source: Source, seed: int) -> None:
        """Damage a copy of ``source`` in one to four places."""
        self.source = source
        self.chance = random.Random(seed)
        self.data, self.origin = source.bytes_and_places()
        self.kinds = [self.chance.choice(list(_CHANGES)) for _ in range(self.chance.choice((1, 1, 2, 4)))]
        for kind in self.kinds:
            if len(self.data):
                _CHANGES[kind](self)

    def place(self) -> int:
        """Return a random offset."""
        return self.chance.randrange(len(self.data))

    def stretch(self, most: int) -> tuple[int, int]:
        """Return the start and the end of a random stretch."""
        start = self.place()
        return start, min(start + self.chance.randint(1, most), len(self.data))

    def noise(self, size: int) -> npt.NDArray[np.uint8]:
        """Return random bytes."""
        return np.frombuffer(self.chance.randbytes(size), np.uint8)

    def set(self, start: int, values: npt.NDArray[np.uint8]) -> None:
        """Overwrite a stretch; a byte that stays the same is untouched."""
        stop = start + len(values)
        self.origin[start:stop][self.data[start:stop] != values] = -1
        self.data[start:stop] = values

    def insert(self, place: int, values: npt.NDArray[np.uint8], origin: npt.NDArray[np.int64] | None = None) -> None:
        """Insert bytes; ``origin`` has their offsets in the source if they come from there."""
        new = np.full(len(values), -1) if origin is None else origin
        self.data = np.concatenate([self.data[:place], values, self.data[place:]])
        self.origin = np.concatenate([self.origin[:place], new, self.origin[place:]])

    def keep(self, kept: Any) -> None:
        """Keep some bytes, in the order of an index."""
        self.data, self.origin = self.data[kept], self.origin[kept]

    def with_sound_payload(self) -> dict[int, bytes]:
        """Return the records whose payload and its checksum are in the copy, by place; the head may be any."""
        starts = self.source.payloads
        ends = np.append(np.flatnonzero(np.diff(self.origin) != 1) + 1, len(self.origin))
        places = np.flatnonzero(np.isin(self.origin, starts))
        numbers = np.searchsorted(starts, self.origin[places])
        sizes = ends[np.searchsorted(ends, places, side="right")] - places
        is_whole = (sizes >= (self.source.stops - starts)[numbers]) & (places >= HEAD_SIZE)
        found = zip((places[is_whole] - HEAD_SIZE).tolist(), numbers[is_whole].tolist(), strict=True)
        return {place: self.source.record(number) for place, number in found}

    def sound(self) -> dict[int, bytes]:
        """Return the records that are in the copy as they are in the source, by place."""
        data = self.data.tobytes()
        found = {}
        for head, records_of in self.source.by_head.items():
            for match in re.finditer(re.escape(head), data):
                record = data[match.start() : match.start() + len(next(iter(records_of)))]
                if record in records_of:
                    found[match.start()] = record
        return found


def _flip_a_bit(mutation: Mutation) -> None:
    place = mutation.place()
    mutation.set(place, mutation.data[place : place + 1] ^ np.uint8(1 << mutation.chance.randrange(8)))


def _overwrite(mutation: Mutation) -> None:
    start, stop = mutation.stretch(64)
    mutation.set(start, mutation.noise(stop - start))


def _zero(mutation: Mutation) -> None:
    start, stop = mutation.stretch(4096)
    mutation.set(start, np.zeros(stop - start, np.uint8))


def _insert(mutation: Mutation) -> None:
    mutation.insert(mutation.place(), mutation.noise(mutation.chance.randint(1, 64)))


def _delete(mutation: Mutation) -> None:
    start, stop = mutation.stretch(300)
    mutation.keep(np.r_[0:start, stop : len(mutation.data)])


def _cut_off(mutation: Mutation) -> None:
    mutation.keep(slice(0, mutation.place()))


def _repeat(mutation: Mutation) -> None:
    start, stop = mutation.stretch(2000)
    mutation.insert(mutation.place(), mutation.data[start:stop].copy(), mutation.origin[start:stop].copy())


def _exchange(mutation: Mutation) -> None:
    (one, two), (three, four) = sorted((mutation.stretch(1000), mutation.stretch(1000)))
    if two <= three:
        size = len(mutation.data)
        mutation.keep(np.r_[0:one, three:four, two:three, one:two, four:size])


def _append(mutation: Mutation) -> None:
    mutation.insert(len(mutation.data), mutation.noise(mutation.chance.randint(1, 200)))


def _change_a_length(mutation: Mutation) -> None:
    """Change a length to one that is nearly right or very wrong; its checksum shows it."""
    start = int(mutation.chance.choice(mutation.source.starts.tolist()))
    places = np.flatnonzero(mutation.origin == start)
    if len(places) and places[0] + 8 <= len(mutation.data):
        length = int.from_bytes(mutation.data[places[0] : places[0] + 8].tobytes(), "little")
        wrong = mutation.chance.choice((0, length + 1, length - 1, length * 2, 1 << 31, 1 << 62, (1 << 64) - 1))
        mutation.set(int(places[0]), np.frombuffer((wrong % (1 << 64)).to_bytes(8, "little"), np.uint8))


_CHANGES: Final[dict[str, Callable[[Mutation], None]]] = {
    "flip a bit": _flip_a_bit,
    "overwrite": _overwrite,
    "zero": _zero,
    "insert": _insert,
    "delete": _delete,
    "cut off": _cut_off,
    "repeat": _repeat,
    "exchange": _exchange,
    "append": _append,
    "change a length": _change_a_length,
}


def mutation_of(files: list[Source], seed: int) -> Mutation:
    """Return the mutation with a number."""
    return Mutation(files[seed % len(files)], seed)


def clean_copy(mutation: Mutation, repaired: list[tuple[int, int]]) -> bytes:
    """Return a sound file of the sound records and those that are ``repaired``, given by their starts and ends."""
    starts = {start for start, _ in repaired}
    kept = {place: record for place, record in mutation.with_sound_payload().items() if place in starts}
    kept |= mutation.sound()
    return b"".join(record for _, record in sorted(kept.items()))


class Content(NamedTuple):
    """What is read of an event file."""

    #: The rows by series and part of its table.
    frames: dict[tuple[Any, ...], pl.DataFrame]
    undecodable: list[Any]
    #: The bytes of the files beside the tables.
    blobs: list[bytes]
    #: The starts and ends of what the report says was repaired.
    repaired: list[tuple[int, int]]


def content_of(folder: Path, data: bytes) -> Content:
    """Return all that is read of an event file; nothing if it is not one."""
    (folder / "events.out.tfevents.1700000000.host").write_bytes(data)
    frames: dict[tuple[Any, ...], list[pl.DataFrame]] = {}
    undecodable: list[Any] = []
    blobs: list[bytes] = []
    repaired: list[tuple[int, int]] = []
    try:
        runs = discover(folder).runs
        for run in runs:
            reader = RunReader(run)
            for item in reader.decode(with_contents=True):
                if isinstance(item, UndecodableValue):
                    undecodable.append((item.series.tag, item.step, item.detail, item.payload))
                    continue
                blobs += [bytes(file.data) for file in item.part.files]
                for series, start, stop in zip(item.series, item.bounds, item.bounds[1:], strict=False):
                    key = (series.tag_bytes, series.kind, series.variant, item.part.kind)
                    frames.setdefault(key, []).append(item.part.frame[int(start) : int(stop)])
            damage = [each for stats in reader.stats.files for each in stats.damage]
            repaired += [(each.offset, each.offset + each.length) for each in damage if not each.lost]
    except Tb2csvError:
        return Content({}, [], [], [])
    return Content({key: pl.concat(parts) for key, parts in frames.items()}, undecodable, blobs, repaired)


def difference(expected: Content, found: Content) -> str:
    """Return what was lost or invented; empty if nothing was."""
    for key in expected.frames.keys() | found.frames.keys():
        want, have = (each.frames.get(key, pl.DataFrame()) for each in (expected, found))
        if len(want) > len(have):
            return f"{len(want) - len(have)} rows of {key[0]!r} are lost"
        if len(want) < len(have):
            return f"{len(have) - len(want)} rows of {key[0]!r} are invented"
        if not want.equals(have):
            return f"rows of {key[0]!r} differ"
    if (expected.undecodable, expected.blobs) != (found.undecodable, found.blobs):
        return "undecodable values or the bytes of files differ"
    return ""


def rows_in(content: Content) -> int:
    """Return the number of rows."""
    return sum(map(len, content.frames.values()))


class HangError(Exception):
    """A file was not read within PATIENCE."""


def _hang(_: int, __: FrameType | None) -> None:
    raise HangError


def check(files: list[Source], seed: int, folder: Path) -> tuple[str, int]:
    """Return what is wrong with the reading of a mutation, empty if nothing is, and the number of expected rows."""
    mutation = mutation_of(files, seed)
    found = content_of(folder, mutation.data.tobytes())
    expected = content_of(folder, clean_copy(mutation, found.repaired))
    problem = difference(expected, found)
    return problem and f"{problem} ({mutation.source.name}, {', '.join(mutation.kinds)})", rows_in(expected)


def _check_all(seeds: range, results: mp.Queue[Any]) -> None:
    files = sources()
    signal.signal(signal.SIGALRM, _hang)
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            results.put(("start", seed, 0))
            signal.alarm(PATIENCE)
            try:
                problem, rows = check(files, seed, Path(folder))
            except HangError:
                problem, rows = "hang", 0
            except Exception as error:  # noqa: BLE001 - each one is a finding
                problem, rows = f"exception {type(error).__name__}: {error}", 0
            signal.alarm(0)
            results.put(("end", problem and f"{seed}: {problem}", rows))


def _checked(seeds: range) -> Iterator[tuple[str, int]]:
    """Yield the result of each mutation, from a process that is started again if it dies."""
    while len(seeds):
        results: mp.Queue[Any] = mp.Queue()
        process = mp.Process(target=_check_all, args=(seeds, results))
        process.start()
        begun = seeds.start
        for _ in seeds:
            what, begun, _ = results.get()
            assert what == "start"
            answer = None
            while answer is None:
                with contextlib.suppress(Exception):
                    answer = results.get(timeout=1)
                if answer is None and not process.is_alive():
                    answer = ("end", f"{begun}: crash, status {process.exitcode}", 0)
            yield answer[1:]
            if not process.is_alive() and process.exitcode:
                break
        process.join()
        seeds = range(begun + 1, seeds.stop)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    began = time.monotonic()
    problems: list[str] = []
    rows = done = 0
    for problem, expected in _checked(range(arguments.first, arguments.first + arguments.count)):
        done += 1
        rows += expected
        if problem:
            problems.append(problem)
            print(problem, flush=True)
    kinds = Counter(each.split(": ", 1)[1].split(" ")[0] for each in problems)
    result = {
        "sources": len(sources()),
        "mutations": done,
        "rows": rows,
        "problems": problems,
        "seconds": round(time.monotonic() - began),
    }
    print({**result, "problems": dict(kinds)})
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
