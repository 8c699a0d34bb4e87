"""The commands that are timed: tb2csv itself, the peers it is compared with, and start-ups.

A contender is one entry of `PEERS`. Everything runs in the environment of the interpreter that
runs the benchmark, each as a process of its own.
"""

from __future__ import annotations

import functools
import importlib.metadata
import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workloads import DATA, HERE, Prepared

Command = Callable[[Prepared, Path], list[str]]

_ALL_KINDS = frozenset({"scalars", "histograms", "tensors", "mixed"})


@dataclass(frozen=True)
class Contender:
    """How to run one contender, and on which workloads."""

    name: str
    command: Command
    kinds: frozenset[str]  # the kinds of series that it can turn into tables
    default_workloads: str  # which it runs on unless it is selected by name
    needs: tuple[str, ...] = ()  # distributions that must be installed
    environment: Mapping[str, str] = field(default_factory=dict)
    until: str | None = None  # a server: measured up to the line on stderr that contains this
    unchecked: bool = False  # tables of several series, or findings: the tests check what they hold

    @property
    def writes_tables(self) -> bool:
        """Whether there is output to check."""
        return self.until is None and not self.unchecked

    def missing(self) -> list[str]:
        """The distributions that it needs and that are not installed."""
        return [name for name in self.needs if version(name) is None]


def version(distribution: str) -> str | None:
    """Return the version of an installed distribution, None if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def tb2csv(*arguments: str) -> list[str]:
    """Return a tb2csv command line."""
    return [sys.executable, "-m", "tb2csv", *arguments]


def script(name: str, *arguments: str) -> list[str]:
    """Return the command line of a peer's script."""
    return [sys.executable, str(HERE / "peers" / name), *arguments]


def _script_command(name: str) -> Command:
    return lambda prepared, out: script(name, str(prepared.folder), str(out))


def _convert(prepared: Prepared, out: Path) -> list[str]:
    return tb2csv("convert", str(prepared.logdir), str(out))


def _convert_to(layout: str) -> Command:
    return lambda prepared, out: [*_convert(prepared, out), "--layout", layout]


def _diagnose(prepared: Prepared, out: Path) -> list[str]:
    return tb2csv("diagnose", str(prepared.logdir), "--quiet")


@functools.cache
def _rustboard_binary() -> str:
    """Ask in a process of its own, so as to import nothing here."""
    code = "import tensorboard_data_server as server; print(server.server_binary())"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return answer.stdout.decode().strip()


def _rustboard(prepared: Prepared, out: Path) -> list[str]:
    # Everything is kept, and checksums are not verified: its default, and its fastest.
    keep_all = "--samples-per-plugin=scalars=all,histograms=all"
    where = ["--logdir", str(prepared.logdir), "--port", "0"]
    return [_rustboard_binary(), *where, "--reload", "once", keep_all, "--verbose"]


@functools.cache
def _earlier_program() -> str:
    """Return the program of an environment with the earlier revision, which is built once."""
    place = DATA / EARLIER
    programs = place / "venv" / "bin"
    if not (place / "built").exists():
        shutil.rmtree(place, ignore_errors=True)
        git = [shutil.which("git") or "git", "archive", "--format=tar", EARLIER]
        sources = subprocess.run(git, cwd=HERE.parent, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(sources)) as archive:
            archive.extractall(place / "sources", filter="data")
        subprocess.run([sys.executable, "-m", "venv", str(place / "venv")], check=True)
        install = [str(programs / "python"), "-m", "pip", "install", "--quiet", str(place / "sources")]
        subprocess.run(install, check=True)
        (place / "built").touch()
    return str(programs / "tb2csv")


def _convert_earlier(prepared: Prepared, out: Path) -> list[str]:
    return [_earlier_program(), "convert", str(prepared.logdir), str(out)]


#: The revision without updates, batches of small runs and clusters.
EARLIER = "e216457"

OURS = Contender("tb2csv", _convert, _ALL_KINDS, "ABCDEFGH")

PEERS = {
    peer.name: peer
    for peer in (
        Contender(
            "tbparse",
            _script_command("tbparse_to_csv.py"),
            # Its frames hold a whole array in one cell for the other kinds: no table to compare.
            frozenset({"scalars"}),
            "A",
            needs=("tbparse", "pandas"),
        ),
        Contender("accumulator", _script_command("accumulator_to_csv.py"), _ALL_KINDS, "A"),
        Contender(
            "rustboard",
            _rustboard,
            # It keeps no tensors that have no plugin name.
            frozenset({"scalars", "histograms"}),
            "ABCEF",
            needs=("tensorboard-data-server",),
            until="Finished load cycle",
        ),
        Contender(EARLIER, _convert_earlier, _ALL_KINDS, "ABCDEF", environment={"PYTHONPATH": ""}),
        Contender("floor", _script_command("floor.py"), _ALL_KINDS, "ABCDEF"),
        Contender(
            "reference",
            _convert,
            _ALL_KINDS,
            "A",
            environment={"TB2CSV_SCANNER": "reference"},
        ),
        *(
            Contender(f"layout {layout}", _convert_to(layout), frozenset({"scalars"}), "B", unchecked=True)
            for layout in ("tags", "wide")
        ),
        Contender("diagnose", _diagnose, frozenset({"scalars"}), "AE", unchecked=True),
    )
}

#: tb2csv's start-up with polars, which `--version` does not import and the floor's start-up does.
LOADED = "tb2csv with polars"

_LOADED_CODE = "import sys, polars; sys.argv = ['tb2csv', '--version']; from tb2csv.cli import main; main()"

# What a contender takes before it looks at a log. The floor's imports what the floor imports.
STARTUPS = {
    OURS.name: tb2csv("--version"),
    LOADED: [sys.executable, "-c", _LOADED_CODE],
    "floor": script("floor.py"),
}
