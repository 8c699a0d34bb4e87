"""Fuzz everything that reads bytes of a stranger: ``targets.TARGETS``.

    python tests/fuzzing/fuzz.py [TARGET …] [--seconds 600] [--findings FOLDER] [--json FILE]

With atheris, libFuzzer keeps the inputs that reach new code and mutates them further; without it, inputs are mutated
blindly. Each target has a process of its own, which is started again after a crash, and begins with the past findings
in ``past``. An exception, a crash, a hang and too much memory are findings: the input is written to FOLDER, and the
exit status is 1. ``--input FILE`` runs one input again.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT)]

from byte_mutations import mutated_bytes  # noqa: E402
from sanitized_scanner import build, can_guide  # noqa: E402

from targets import TARGETS  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

    from targets import Target

#: Inputs that were findings once.
PAST = HERE / "past"
_LONGEST = 1 << 17
#: Seconds without an answer after which an input counts as one that hangs.
_PATIENCE = 60
#: Memory of a process, with the frameworks in it, in MiB.
_MEMORY = 4096
#: Inputs of one finding that are kept.
_KEPT = 3
_PULSE = re.compile(rb"^#(\d+)\s.*?cov: (\d+) ft: (\d+)", re.MULTILINE)


@dataclass
class Result:
    """What became of a target."""

    target: str
    executions: int = 0
    #: Edges between blocks of code that were reached, as libFuzzer counts them.
    edges: int = 0
    #: Lines of the covered packages that the kept inputs reach, and all lines of their functions.
    lines: int = 0
    all_lines: int = 0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)
    skipped: str = ""


class Findings:
    """A folder of inputs and of what they did; each place in the code is one finding."""

    def __init__(self, target: str, folder: Path) -> None:
        self._target, self._folder = target, folder
        self._kept: dict[str, int] = {}

    def add(self, error: BaseException, data: bytes) -> None:
        """Keep an input that raised an exception."""
        frames = [each for each in traceback.extract_tb(error.__traceback__) if str(ROOT) in each.filename]
        last = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        where = f"{type(error).__name__} at {last}"
        count = self._kept[where] = self._kept.get(where, 0) + 1
        if count <= _KEPT:
            name = f"{self._target}-{hashlib.sha256(data).hexdigest()[:12]}"
            (self._folder / name).write_bytes(data)
            text = "".join(traceback.format_exception(error))
            (self._folder / f"{name}.txt").write_text(f"{where}\n{text}", encoding="utf-8", errors="backslashreplace")


def past_inputs(target: str) -> list[bytes]:
    """Return the inputs that were findings of a target."""
    return [each.read_bytes() for each in sorted(PAST.glob(f"{target}-*"))]


# One target


def run_child(name: str, folder: Path, findings: Path, seconds: float, seed: int, runs: int) -> None:
    """Fuzz a target in this process, until the time is over."""
    use_scanner(os.environ.get("FUZZ_SCANNER", ""))
    kept = Findings(name, findings)
    try:
        import atheris
    except ImportError:
        target = TARGETS[name].make(folder)
        _mutate_blindly(target, past_inputs(name), kept, seconds, seed, runs)
        return
    with atheris.instrument_imports(include=_modules(TARGETS[name].covered)):
        target = TARGETS[name].make(folder)
        for data in target.seeds():  # so that what functions import is instrumented as well
            with contextlib.suppress(Exception):
                target.run(data)
    _guide(atheris, target, past_inputs(name), kept, name, folder, findings, seconds, seed, runs)


def use_scanner(library: str) -> None:
    """Use another build of the compiled scanner, such as one with AddressSanitizer."""
    if library:
        name = "tb2csv.event_files._scanner"
        spec = importlib.util.spec_from_file_location(name, library)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


def _modules(packages: Iterable[str]) -> list[str]:
    """Return the names of all modules in packages, because a package does not stand for its modules in atheris."""
    found = []
    for package in packages:
        path = ROOT / package.replace(".", "/")
        files = path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]
        names = [each.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for each in files]
        found += [name.removesuffix(".__init__") for name in names]
    return found


def _guide(
    atheris: Any,
    target: Target,
    past: list[bytes],
    kept: Findings,
    name: str,
    folder: Path,
    findings: Path,
    seconds: float,
    seed: int,
    runs: int,
) -> None:
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, data in enumerate([*past, *target.seeds()]):
        (corpus / f"seed-{number:05}").write_bytes(data)

    def plain(data: bytes, rng: random.Random) -> bytes:
        found = atheris.Mutate(data, len(data) + 64) if data and rng.random() < 0.5 else mutated_bytes(data, rng)
        return bytes(found)

    def mutate(data: bytes, most: int, number: int) -> bytes:
        found = target.mutate(bytes(data), random.Random(number), plain)
        return found if len(found) <= most else bytes(data)

    def run(data: bytes) -> None:
        try:
            target.run(data)
        except Exception as error:  # noqa: BLE001 # each one is a finding
            kept.add(error, data)

    options = {
        "max_total_time": max(round(seconds), 1),
        "runs": runs or -1,
        "seed": seed,
        "max_len": _LONGEST,
        "len_control": 0,
        "timeout": _PATIENCE,
        "rss_limit_mb": _MEMORY,
        "detect_leaks": 0,
        "artifact_prefix": f"{findings}/{name}-",
        "print_final_stats": 1,
    }
    arguments = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([sys.argv[0], str(corpus), *arguments], run, custom_mutator=mutate)
    atheris.Fuzz()


def _mutate_blindly(target: Target, past: list[bytes], kept: Findings, seconds: float, seed: int, runs: int) -> None:
    """Mutate inputs without any guidance, and write how many in the form of libFuzzer."""
    rng = random.Random(seed)
    inputs = [*past, *target.seeds()]
    end, done = time.monotonic() + seconds, 0
    while (done < runs) if runs else (time.monotonic() < end):
        data = inputs[done] if done < len(inputs) else target.mutate(rng.choice(inputs), rng, mutated_bytes)
        try:
            target.run(data)
        except Exception as error:  # noqa: BLE001 # each one is a finding
            kept.add(error, data)
        done += 1
    sys.stderr.write(f"#{done}\tDONE cov: 0 ft: 0\n")


# All targets


def fuzz(name: str, findings: Path, seconds: float, seed: int, runs: int = 0, *, covers: bool = False) -> Result:
    """Fuzz a target in processes of its own, one after the other if they end before the time is over."""
    from temporary_folder import folder_in_memory

    result, begin = Result(name), time.monotonic()
    python = _python(TARGETS[name].needs_frameworks)
    if python is None:
        result.skipped = "the frameworks are not installed"
        return result
    with tempfile.TemporaryDirectory(dir=folder_in_memory()) as place:
        environment = _environment(is_sanitized=TARGETS[name].is_sanitized, folder=Path(place))
        if environment is None:
            result.skipped = "there is no atheris, or no clang, which builds the scanner with sanitizers"
            return result
        for start in range(20):
            left = seconds - (time.monotonic() - begin)
            if left < 1 and start:
                break
            here = [python, str(Path(__file__)), name, "--child", place, "--findings", str(findings)]
            command = [*here, "--seconds", str(left), "--seed", str(seed + start), "--runs", str(runs)]
            log = Path(place) / "log"
            with log.open("wb") as out:
                status = subprocess.run(command, stdout=out, stderr=out, check=False, env=environment).returncode
            text = log.read_bytes()
            pulses = [tuple(map(int, each)) for each in _PULSE.findall(text)]
            if pulses:
                result.executions += pulses[-1][0]
                result.edges = max(result.edges, *(each[1] for each in pulses))
            if status:
                end = text[-3000:].decode("utf-8", "replace")
                (findings / f"{name}-end-{start}.txt").write_text(f"status {status}\n{end}")
            if not status or not pulses or runs:
                break
        result.seconds = time.monotonic() - begin
        if covers:
            result.lines, result.all_lines = _covered_lines(python, name, Path(place))
    result.findings = sorted(
        each.read_text(encoding="utf-8").split("\n", 1)[0] for each in findings.glob(f"{name}-*.txt")
    )
    return result


def _python(needs_frameworks: bool) -> str | None:
    """Return the interpreter for a target: this one, or that of the environment with the frameworks."""
    if not needs_frameworks or importlib.util.find_spec("h5py"):
        return sys.executable
    found = ROOT / ".venv-training" / "bin" / "python"
    return str(found) if found.exists() else None


def _environment(*, is_sanitized: bool, folder: Path) -> dict[str, str] | None:
    """Return the environment of a process; None if there is no sanitizer for it."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    found = {**os.environ, "PYTHONPATH": path, "POLARS_MAX_THREADS": "1"}
    if not is_sanitized:
        return found
    built = build(folder) if can_guide() else None
    return None if built is None else found | built


def _covered_lines(python: str, name: str, folder: Path) -> tuple[int, int]:
    """Return the lines that the kept inputs reach, and all lines, as a process of its own counts them."""
    command = [python, str(Path(__file__)), name, "--lines", str(folder)]
    environment = _environment(is_sanitized=False, folder=folder)
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    found = re.findall(rb"^LINES (\d+) (\d+)$", done.stdout, re.MULTILINE)
    return (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)


def count_lines(name: str, folder: Path) -> tuple[int, int]:
    """Run the kept inputs of a target, and count the lines of the covered packages."""
    modules = {ROOT / f"{each.replace('.', '/')}.py" for each in _modules(TARGETS[name].covered)}
    files = {str(each if each.exists() else each.with_suffix("") / "__init__.py") for each in modules}
    reached: dict[str, set[int]] = {each: set() for each in files}

    def trace(frame: FrameType, event: str, _: object) -> Any:
        lines = reached.get(frame.f_code.co_filename)
        if lines is None:
            return None
        if event == "line":
            lines.add(frame.f_lineno)
        return trace

    threading.settrace(trace)
    sys.settrace(trace)
    target = TARGETS[name].make(folder)
    for each in sorted((folder / "corpus").iterdir()):
        with contextlib.suppress(Exception):
            target.run(each.read_bytes())
    sys.settrace(None)
    loaded = [each for each in files if reached[each]]
    lines = {each: _lines_of(compile(Path(each).read_text(encoding="utf-8"), each, "exec")) for each in loaded}
    return sum(len(reached[each] & lines[each]) for each in loaded), sum(map(len, lines.values()))


def _lines_of(code: CodeType) -> set[int]:
    """Return the lines of the functions in a module."""
    found = set()
    for each in code.co_consts:
        if isinstance(each, CodeType):
            if "__qualname__" not in each.co_names:  # a class
                found |= {line for _, _, line in each.co_lines() if line and line > each.co_firstlineno}
            found |= _lines_of(each)
    return found


def fuzz_all(
    names: list[str], findings: Path, seconds: float, seed: int, runs: int = 0, *, covers: bool = False
) -> list[Result]:
    """Fuzz targets: those that need frameworks one after the other, and the others beside them."""
    found: dict[str, Result] = {}

    def work(lane: list[str]) -> None:
        total = sum(TARGETS[name].share for name in lane)
        for name in lane:
            found[name] = fuzz(name, findings, seconds * TARGETS[name].share / total, seed, runs, covers=covers)
            _say(found[name])

    lanes = [[name for name in names if TARGETS[name].needs_frameworks is heavy] for heavy in (False, True)]
    threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes if lane]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return [found[name] for name in names]


def _say(result: Result) -> None:
    line = f"{result.target}: {result.executions:,} executions in {result.seconds:.0f} s, "
    line += f"{result.edges:,} edges, {result.lines:,} of {result.all_lines:,} lines, {len(result.findings)} findings"
    sys.stdout.write((f"{result.target}: skipped, {result.skipped}" if result.skipped else line) + "\n")
    for each in result.findings:
        sys.stdout.write(f"  {each}\n")
    sys.stdout.flush()


def run_input(name: str, data: bytes) -> None:
    """Run one input; an exception of it is not caught."""
    use_scanner(os.environ.get("FUZZ_SCANNER", ""))
    with tempfile.TemporaryDirectory() as folder:
        TARGETS[name].make(Path(folder)).run(data)


def main() -> int:
    """Fuzz the targets that are named, or all; return 1 if there is a finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path, default=ROOT / "fuzz-findings")
    parser.add_argument("--json", type=Path, help="write the results, with the lines that were reached")
    parser.add_argument("--lines", type=Path)
    parser.add_argument("--input", type=Path)
    parser.add_argument("--child", type=Path)
    options = parser.parse_args()
    options.findings.mkdir(parents=True, exist_ok=True)
    if options.child:
        name, findings = options.targets[0], options.findings.resolve()
        run_child(name, options.child, findings, options.seconds, options.seed, options.runs)
        return 0
    if options.input:
        run_input(options.targets[0], options.input.read_bytes())
        return 0
    if options.lines:
        reached, lines = count_lines(options.targets[0], options.lines)
        sys.stdout.write(f"\nLINES {reached} {lines}\n")
        return 0
    names, findings = options.targets or [*TARGETS], options.findings.resolve()
    seconds, covers = options.seconds, options.json is not None
    results = fuzz_all(names, findings, seconds, options.seed, options.runs, covers=covers)
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in results], indent=1), encoding="utf-8")
    return int(any(each.findings for each in results))


if __name__ == "__main__":
    sys.exit(main())
