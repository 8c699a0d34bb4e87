"""Peak memory and time of ``convert`` for event files that are made to be expensive, against their size.

    python benchmarks/hostile_sizes.py [CASE …]

Each file is converted in a process of its own. The bound is 64 MiB above the idle process and 16 times the file's size.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.hparams import plugin_data_pb2

from tb2csv.tfrecord import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MIB: Final = 1 << 20
_IDLE: Final = 64
_PER_BYTE: Final = 16

_CHILD: Final = """
import resource, sys, time
import polars, tb2csv, tb2csv.conversion
idle = int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])
begin = time.monotonic()
tb2csv.convert(sys.argv[1], sys.argv[2], workers=1)
seconds = time.monotonic() - begin
print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle) / 1024)
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


#: The event files of each case; each file is a run of its own.
CASES: Final[dict[str, Callable[[], Iterator[bytes]]]] = {
    "100,000 tags": lambda: iter([b"".join(_scalar(f"t{number}", number) for number in range(100_000))]),
    "10,000,000 empty values in an event": lambda: iter([_record(_field(5, b"\x0a\x00" * 10_000_000))]),
    "a tag of 10 MB of %": lambda: iter([_scalar("%" * 10_000_000)]),
    "10,000,000 empty strings": lambda: iter([_tensor_record(7, 10_000_000, b"\x42\x00" * 10_000_000)]),
    "1,000 sessions of own hyperparameters": lambda: _sessions(1000),
    "100,000 damaged records": lambda: iter([_damaged(100_000)]),
    "10 values of one element for 2^20": lambda: iter(
        [_tensor_record(1, 1 << 20, _field(5, struct.pack("<f", 1)), 10)]
    ),
}


def measure(case: str, folder: Path) -> str:
    """Return the line of a case in the table."""
    size = 0
    for number, data in enumerate(CASES[case]()):
        run = folder / "log" / f"run{number}"
        run.mkdir(parents=True)
        (run / "events.out.tfevents.1").write_bytes(data)
        size += len(data)
    command = [sys.executable, "-c", _CHILD, str(folder / "log"), str(folder / "out")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "POLARS_MAX_THREADS": "2"}
    )
    seconds, peak = map(float, done.stdout.split())
    bound = _IDLE + _PER_BYTE * size / _MIB
    return f"| {case} | {size / _MIB:.2f} | {seconds:.1f} | {peak:.0f} | {bound:.0f} |"


def main(cases: list[str]) -> None:
    """Print the table of all cases, or of those that are named."""
    print("| event file | MiB | s | MiB above idle | bound |\n|---|--:|--:|--:|--:|")
    for case in cases or CASES:
        with tempfile.TemporaryDirectory() as folder:
            print(measure(case, Path(folder)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
