"""Commands that are ended at random moments, and what they leave.

    python kills.py COUNT [--first SEED] [--json FILE]

A command is started with the output of an earlier one in place, or without, and gets SIGKILL, SIGTERM or SIGINT after a
random time. Its output must be the earlier one or the whole new one. The same command, undisturbed, must then give
exactly what it would have given, and nothing may be left beside it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from commands import environment, run_in
from event_files import event, event_file, file_name, frames, image, scalar, simple_value, text

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNALS: Final = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

_RUNS: Final = 60

#: The file that names the process that has locked an output.
_HOLDER: Final = "out/.tb2csv/holder.json"


def _events(run: int, first: int) -> list[Any]:
    return [
        event(
            simple_value("loss", step / 8), scalar(f"tag {step % 5}", run), image("picture", 1, 1, b"%d" % step),
            text("note", f"{run}"), step=step, wall_time=2.0 + step,
        )
        for step in range(first, first + 9)
    ]  # fmt: skip


def _write_log(folder: Path) -> None:
    for run in range(_RUNS):
        (folder / "log" / f"run{run}").mkdir(parents=True)
        (folder / "log" / f"run{run}" / file_name()).write_bytes(event_file(_events(run, 0)))


def _grow_log(folder: Path) -> None:
    for run in range(0, _RUNS, 2):
        with (folder / "log" / f"run{run}" / file_name()).open("ab") as file:
            file.write(frames(_events(run, 9)))


def _write_model(folder: Path, number: float = 1.0) -> None:
    np.savez(folder / "model.npz", **{f"layer{each}": np.full((100, 1000), number + each) for each in range(20)})


@dataclass(frozen=True)
class Case:
    """A command, and what is there before; paths are relative to a folder of its own."""

    command: tuple[str, ...]
    #: Prepare the folder; commands may run in it.
    prepare: Callable[[Path], None]
    #: Whether the output is in its place as a whole or not at all; an update appends to it, and the next one goes on.
    is_exchanged: bool = True


def run(folder: Path, *arguments: str) -> None:
    """Run a command to its end, in this process."""
    status, printed = run_in(folder, *arguments)
    assert status == 0, printed


def run_process(folder: Path, *arguments: str) -> None:
    """Run a command to its end, in a process of its own."""
    command = [sys.executable, "-m", "tb2csv", *arguments]
    subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True)


def _with_output(prepare: Callable[[Path], None], *earlier: str) -> Callable[[Path], None]:
    def prepare_both(folder: Path) -> None:
        prepare(folder)
        run(folder, *earlier)

    return prepare_both


def _converted_and_grown(folder: Path) -> None:
    _write_log(folder)
    run(folder, "convert", "log", "out")
    _grow_log(folder)


def _exported_and_trained(folder: Path) -> None:
    _write_model(folder)
    run(folder, "state", "export", "model.npz", "-o", "out")
    _write_model(folder, 2.0)


def _exported(folder: Path) -> None:
    _write_model(folder)
    run(folder, "state", "export", "model.npz", "-o", "state.csv")


_EXPORT: Final = ("state", "export", "model.npz", "-o", "out", "--overwrite")

CASES: Final[dict[str, Case]] = {
    "convert": Case(("convert", "log", "out"), _write_log),
    "convert to tables of tags": Case(("convert", "log", "out", "--layout", "tags", "--format", "parquet"), _write_log),
    "convert, replacing": Case(
        ("convert", "log", "out", "--overwrite"), _with_output(_write_log, "convert", "log", "out", "--tag", "loss")
    ),
    "update": Case(("convert", "log", "out"), _converted_and_grown, is_exchanged=False),
    "reduce": Case(("reduce", "log", "out", "--by", "run*", "--overwrite"), _write_log),
    "repair": Case(("repair", "log", "out"), _write_log),
    "plot": Case(("plot", "log", "-o", "out.svg", "--tag", "loss", "--overwrite"), _write_log),
    "state export": Case(_EXPORT, _write_model),
    "state export, replacing": Case(_EXPORT, _exported_and_trained),
    "state restore": Case(("state", "restore", "state.csv", "model.npz", "-o", "out.npz", "--overwrite"), _exported),
}


def content(folder: Path) -> dict[str, bytes]:
    """Return all files and empty folders below a folder; of what an update must know, only the names.

    The order of its rows depends on which thread was first.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file():
            found[name] = b"" if "/.tb2csv/" in name else path.read_bytes()
        elif not any(path.iterdir()):
            found[name] = b""
    return found


def without_private_files(found: dict[str, bytes]) -> dict[str, bytes]:
    """Return content without what a process that was killed may leave, and the next one removes."""
    return {path: found[path] for path in found if not path.startswith(".out") and path != _HOLDER}


#: A module in a traceback, except those that Python runs before ``__main__`` has set what an interrupt does.
_ANY_MODULE: Final = re.compile(r"/tb2csv/(?!(?:tb2csv/)?__(?:init|main)__\.py)(?:\w+/)*\w+\.py\"")


class Prepared:
    """A case with what is there before, and what is there after the undisturbed command."""

    def __init__(self, case: Case, folder: Path, run_undisturbed: Callable[..., None] = run) -> None:
        """Prepare the case in a new folder."""
        folder.mkdir()
        self.case = case
        self.folder_before, self.work = folder / "before", folder / "work"
        self.work.mkdir()
        case.prepare(self.work)
        shutil.copytree(self.work, self.folder_before)
        self.before = content(self.work)
        began = time.monotonic()
        run_undisturbed(self.work, *case.command)
        self.seconds = time.monotonic() - began
        self.after = content(self.work)
        shutil.rmtree(self.work)  # always the same path, because a conversion knows that of its log

    def end_at(self, moment: float, sent: signal.Signals) -> tuple[str, bool]:
        """Run the command, end it after some seconds, and return what is wrong, and whether it had not ended before."""
        shutil.copytree(self.folder_before, self.work)
        try:
            command = [sys.executable, "-m", "tb2csv", *self.case.command]
            with subprocess.Popen(
                command, cwd=self.work, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            ) as process:
                time.sleep(moment)
                is_ended = process.poll() is None
                process.send_signal(sent)
                _, errors = process.communicate()
            left = self._left(sent)
            if "Traceback" in errors and _ANY_MODULE.search(errors):
                return f"a traceback: {errors.splitlines()[-1]}", is_ended
            if left:
                return left, is_ended
            status, printed = run_in(self.work, *self.case.command)
            found = content(self.work)
            if found != self.after and not (status and found == content_without_update(self.after, found)):
                return f"the next command left {_difference(self.after, found)}: {printed[:200]}", is_ended
            return "", is_ended
        finally:
            shutil.rmtree(self.work)

    def _left(self, sent: signal.Signals) -> str:
        """Return what is wrong with what the ended command left."""
        found = content(self.work)
        if sent is signal.SIGKILL or not self.case.is_exchanged:  # the next command removes its private files
            found = without_private_files(found)
        if self.case.is_exchanged and found not in (self.before, self.after):
            return f"it left {_difference(self.before, found)}"
        return ""


def content_without_update(after: dict[str, bytes], found: dict[str, bytes]) -> dict[str, bytes]:
    """Return what a command that refuses a complete output leaves: the output."""
    return {path: after.get(path, data) for path, data in found.items()} if found.keys() == after.keys() else {}


def _difference(wanted: dict[str, bytes], found: dict[str, bytes]) -> str:
    changed = [path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path)]
    return f"{len(changed)} other files, such as {min(changed)}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    problems = []
    ended: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        prepared = {
            name: Prepared(case, Path(folder) / str(number), run_process)
            for number, (name, case) in enumerate(CASES.items())
        }
        for seed in range(arguments.first, arguments.first + arguments.count):
            chance = random.Random(seed)
            name, sent = chance.choice(list(CASES)), chance.choice(SIGNALS)
            case = prepared[name]
            problem, is_ended = case.end_at(chance.uniform(0, 1.1 * case.seconds), sent)
            ended[sent.name] += is_ended
            if problem:
                problems.append(f"{seed}: {name}, {sent.name}: {problem}")
                print(problems[-1], flush=True)
    result = {"started": arguments.count, "ended": dict(ended), "cases": len(CASES), "problems": problems}
    print({**result, "problems": len(problems)})
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
