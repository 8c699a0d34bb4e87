"""Peak memory and processor time of ``convert`` for event files that are made to be expensive, against their size.

    python benchmarks/hostile_sizes.py [CASE …]

Each file is converted in a process of its own, and so is one of half the size, which shows whether the time is linear.
The bound is 64 MiB above the idle process and 16 times the file's size.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.hparams import plugin_data_pb2

from tb2csv.tfrecord import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_MIB: Final = 1 << 20
_IDLE: Final = 64
_PER_BYTE: Final = 16

#: The peak is that of this process alone: ``ru_maxrss`` begins with that of the process that started it.
_CHILD: Final = """
import sys, time
import numpy, polars, tb2csv.conversion

def memory(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1])

idle, begin = memory("VmRSS"), time.process_time()
tb2csv.convert(sys.argv[1], sys.argv[2], workers=1)
print(time.process_time() - begin, (memory("VmHWM") - idle) / 1024)
"""


def _record(payload: bytes) -> bytes:
    return b"".join(record(payload))


def _scalar(tag: str, step: int = 0) -> bytes:
    value = Summary.Value(tag=tag, simple_value=1.0)
    return _record(Event(step=step, summary=Summary(value=[value])).SerializeToString())


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _tensor_record(dtype: int, elements: int, fields: bytes, values: int = 1) -> bytes:
    """Return an event of tensors of a vector shape, field by field, because protobuf would not repeat so fast."""
    size = _field(2, b"\x08" + _varint(elements))
    tensor = b"\x08" + _varint(dtype) + _field(2, size) + fields
    return _record(_field(5, _field(1, _field(1, b"t") + _field(8, tensor)) * values))


def _sessions(count: int) -> Iterator[bytes]:
    for number in range(count):
        start = plugin_data_pb2.SessionStartInfo()
        for each in range(10):
            start.hparams[f"own{number}_{each}"].number_value = 1.0
        content = plugin_data_pb2.HParamsPluginData(session_start_info=start).SerializeToString()
        plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=content)
        value = Summary.Value(tag="_hparams_/session_start_info", metadata=SummaryMetadata(plugin_data=plugin))
        yield _record(Event(summary=Summary(value=[value])).SerializeToString())


def _damaged(count: int) -> bytes:
    bad = bytearray(_record(b""))
    bad[-1] ^= 1
    return _scalar("a") + bytes(bad) * count


class Case(NamedTuple):
    """An input: how many elements it has, and the event files with so many, each of which is a run of its own."""

    size: int
    files: Callable[[int], Iterable[bytes]]


CASES: Final[dict[str, Case]] = {
    "tags of one value": Case(
        100_000, lambda count: [b"".join(_scalar(f"t{number}", number) for number in range(count))]
    ),
    "bytes of one tag, all `%`": Case(10_000_000, lambda count: [_scalar("%" * count)]),
    "empty values in an event": Case(10_000_000, lambda count: [_record(_field(5, b"\x0a\x00" * count))]),
    "empty strings in a value": Case(10_000_000, lambda count: [_tensor_record(7, count, b"\x42\x00" * count)]),
    "strings of two bytes in a value": Case(5_000_000, lambda count: [_tensor_record(7, count, b"\x42\x02ab" * count)]),
    "empty strings in one content": Case(10_000_000, lambda count: [_tensor_record(7, count, _field(4, bytes(count)))]),
    "integers of one byte in a value": Case(
        10_000_000, lambda count: [_tensor_record(9, count, _field(10, b"\x01" * count))]
    ),
    "sessions of own hyperparameters": Case(1000, _sessions),
    "damaged records": Case(500_000, lambda count: [_damaged(count)]),
    "values of one element for 2<sup>20</sup>": Case(
        1000, lambda count: [_tensor_record(1, 1 << 20, _field(5, struct.pack("<f", 1)), count)]
    ),
}


class Measured(NamedTuple):
    """The size of the event files in bytes, the processor time in seconds, and the peak memory above idle in MiB."""

    size: int
    seconds: float
    peak: float

    @property
    def bound(self) -> float:
        """The bound of the memory in MiB."""
        return _IDLE + _PER_BYTE * self.size / _MIB


def measure(case: Case, count: int) -> Measured:
    """Convert the files of a case with ``count`` elements."""
    with tempfile.TemporaryDirectory() as name:
        folder, size = Path(name), 0
        for number, data in enumerate(case.files(count)):
            run = folder / "log" / f"run{number}"
            run.mkdir(parents=True)
            (run / "events.out.tfevents.1").write_bytes(data)
            size += len(data)
        command = [sys.executable, "-c", _CHILD, str(folder / "log"), str(folder / "out")]
        environment = {**os.environ, "POLARS_MAX_THREADS": "2"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        seconds, peak = map(float, done.stdout.split())
    return Measured(size, seconds, peak)


def table(names: Iterable[str]) -> Iterator[str]:
    """Yield the lines of the table of some cases."""
    yield "| event files | MiB | s for half of it | s | MiB of memory above idle | bound |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name in names:
        case = CASES[name]
        half, whole = measure(case, case.size // 2), measure(case, case.size)
        yield (
            f"| {case.size:,} {name} | {whole.size / _MIB:.2f} | {half.seconds:.1f} | {whole.seconds:.1f} | "
            f"{whole.peak:.0f} | {whole.bound:.0f} |"
        )


def main(cases: list[str]) -> None:
    """Print the table of all cases, or of those that are named."""
    for line in table(cases or CASES):
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
