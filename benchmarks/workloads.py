"""The logs that the benchmark converts: what each one holds, and its path once it is made.

A workload is one entry of `WORKLOADS`. Making its log takes numpy and TensorBoard's protos,
which is `generate.py`'s work in a process of its own. This module imports none of them:
the process that measures has to stay small (see `measure.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
DATA = HERE / ".data"
# Files in memory, on systems that have such a folder.
MEMORY = Path("/dev", "shm")

# Raise it with every change of `generate.py` or `event_records.py` that changes a byte of a log,
# so that logs made before the change are made again.
GENERATOR_VERSION = 1

_READ_AT_ONCE = 1 << 20


def folder_in_memory() -> tempfile.TemporaryDirectory[str]:
    """Return a temporary folder, in memory if possible."""
    return tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)


@dataclass(frozen=True)
class Workload:
    """What one log holds: `runs` event files with `tags` series of `points` steps each."""

    title: str
    kind: str  # a key of `generate.KINDS`: how a value looks on disk and as rows; or several: "mixed"
    runs: int
    tags: int
    points: int
    by_default: bool = True  # False: only if selected by name


WORKLOADS = {
    "A": Workload("1,000,000 scalars, 1 file, 10 tags", "scalars", 1, 10, 100_000),
    "B": Workload("100 runs of 10,000 scalars, 5 tags", "scalars", 100, 5, 2_000),
    "C": Workload("20,000 histograms of 30 buckets, 1 file, 4 tags", "histograms", 1, 4, 5_000),
    "D": Workload("200 tensors of 256 x 128 float32, 1 file", "tensors", 1, 1, 200),
    "E": Workload("10,000 runs of 2 tags of 50 scalars", "scalars", 10_000, 2, 50),
    "F": Workload("20,000,000 scalars, 1 file, 10 tags", "scalars", 1, 10, 2_000_000, by_default=False),
    "G": Workload("2 GiB in 1 file: scalars, histograms, tensors", "mixed", 1, 13, 0, by_default=False),
    "H": Workload("100,000 runs of 3 tags of 20 scalars", "scalars", 100_000, 3, 20, by_default=False),
}


@dataclass(frozen=True)
class Table:
    """One table that a conversion of the log has to give."""

    run: str
    tag: str
    rows: int


@dataclass(frozen=True)
class Prepared:
    """A log that lies ready on disk, with what a right conversion of it must hold."""

    name: str
    folder: Path
    kind: str
    columns: tuple[str, ...]
    tables: tuple[Table, ...]

    @property
    def logdir(self) -> Path:
        """The folder to convert."""
        return self.folder / "log"

    @property
    def column_files(self) -> dict[str, Path]:
        """Each column of the decoded rows, all tables one after the other, as a `.npy` file; none if they differ."""
        return {column: self.folder / "columns" / f"{column}.npy" for column in self.columns}

    @property
    def rows(self) -> int:
        """The rows of all tables together."""
        return sum(table.rows for table in self.tables)

    def event_files(self) -> Iterator[Path]:
        """Every event file of the log."""
        return (path for path in self.logdir.rglob("*tfevents*") if path.is_file())

    def bytes(self) -> int:
        """The size of the log."""
        return sum(path.stat().st_size for path in self.event_files())


def identity(name: str) -> dict[str, Any]:
    """What a log on disk must have been made from to be used again."""
    return {"generator_version": GENERATOR_VERSION, "workload": asdict(WORKLOADS[name])}


def load(folder: Path) -> Prepared:
    """Read the description that `generate.py` left beside a log."""
    facts = json.loads((folder / "workload.json").read_text(encoding="utf-8"))
    return Prepared(
        name=facts["name"],
        folder=folder,
        kind=facts["identity"]["workload"]["kind"],
        columns=tuple(facts["columns"]),
        tables=tuple(Table(*table) for table in facts["tables"]),
    )


def prepare(name: str) -> Prepared:
    """Make the log of a workload unless the right one lies there; its bytes are in memory then."""
    folder = DATA / name
    description = folder / "workload.json"
    made_from = None
    if description.is_file():
        made_from = json.loads(description.read_text(encoding="utf-8"))["identity"]
    if made_from != identity(name):
        subprocess.run([sys.executable, str(HERE / "generate.py"), name], check=True)
    prepared = load(folder)
    warm(prepared)
    return prepared


def warm(prepared: Prepared) -> None:
    """Read everything that will be read while the clock runs, so that no run waits for the disk."""
    for path in (*prepared.event_files(), *prepared.column_files.values()):
        with path.open("rb", buffering=0) as stream:
            while stream.read(_READ_AT_ONCE):
                pass
