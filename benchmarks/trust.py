"""The figures of docs/trust.md: what is read of damaged logs and models, what ended commands leave, and fuzzing.

    PYTHONPATH=tests python benchmarks/trust.py [PART…] [--scale 0.01]

Each part replaces its section of the page. All of them take about an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import log_mutations
from data_server import data_server
from tensorboard.context import RequestContext

import hostile_sizes
from page_sections import write_section

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent / "tests"
PAGE = HERE.parent / "docs" / "trust.md"

if TYPE_CHECKING:
    from collections.abc import Callable

    Counts = dict[str, dict[str, int]]

_MUTATIONS = 50_000
_COMPARED = 600
_ENDED = 500
_MODELS = 20_000
#: Seconds of fuzzing.
_FUZZED = 3600

#: The formats of tests/fuzzing/model_files.py, and their names on the page.
_FORMATS = {
    "h5": "`.h5` and `.weights.h5`",
    "torch": "`torch.save`, both formats",
    "safetensors": "`.safetensors` and its index",
    "skops": "`.skops`",
    "npz": "`.npz`",
    "csv": "state tables of three styles",
    "checkpoint": "checkpoints of TensorFlow and SavedModels",
    "keras": "`.keras`",
    "tables": "folders of tables",
}

#: The targets of tests/fuzzing/targets.py, and what their inputs are on the page.
_TARGETS = {
    "scanner": "event files, for both scanners",
    "sanitized": "event files, for a scanner with AddressSanitizer and UndefinedBehaviorSanitizer",
    "convert": "event files, converted",
    "request": "requests to the Export tab",
    **_FORMATS,
}

#: The readers that are compared: the arguments of kept_points.py, and their names on the page.
_READERS = {
    "tb2csv": "tb2csv",
    "loader": "TensorBoard's loader",
    "accumulator": "EventAccumulator",
    "tbparse": "tbparse",
}


def _result(script: str, count: int) -> dict[str, Any]:
    """Run a script of the tests and return what it wrote; its exit status shows problems, which the page lists."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        subprocess.run([sys.executable, str(TESTS / script), str(count), "--json", str(out)], check=False)
        result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return result


def _listed(problems: list[str]) -> str:
    return "".join(f"\n- {problem}" for problem in problems) or "\nThere was no problem.\n"


def mutations(scale: float) -> str:
    """What is read of damaged copies of logs."""
    found = _result("log_mutations.py", round(_MUTATIONS * scale))
    kinds = {"crash": 0, "hang": 0, "exception": 0, "lost": 0, "invented": 0}
    for problem in found["problems"]:
        for kind in kinds:
            kinds[kind] += kind in problem
    return (
        f"{found['mutations']:,} copies of {found['sources']} event files of all writers, each damaged in one to four "
        f"places, {found['rows']:,} rows of sound records:\n\n"
        "| crashes | hangs (over 5 s) | other exceptions | files with lost rows | files with invented rows |\n"
        "|---|---|---|---|---|\n"
        f"| {' | '.join(f'{number:,}' for number in kinds.values())} |\n{_listed(found['problems'])}"
    )


def peers(scale: float) -> str:
    """What other readers find in the first of these copies."""
    count = round(_COMPARED * scale)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expected = _write_copies(folder, count)
        found = {title: _counts(reader, folder) for reader, title in _READERS.items()}
        with data_server(folder / "logs", folder, ["scalars"]) as provider:
            read = provider.read_scalars(
                RequestContext(), experiment_id="", plugin_name="scalars", downsample=1_000_000_000
            )
            found["rustboard"] = {run: {tag: len(data) for tag, data in tags.items()} for run, tags in read.items()}
    total = sum(sum(tags.values()) for tags in expected.values())
    lines = [f"| {title} | {kept:,} | {kept / total:.2%} |" for title, kept in _kept(expected, found).items()]
    head = f"| reader | scalars of sound records that it gives, of {total:,} | share |\n|---|---|---|\n"
    return f"The first {count} of these copies, read by others:\n\n{head}" + "\n".join(lines) + "\n"


def _write_copies(folder: Path, count: int) -> Counts:
    """Write damaged copies, one run each, and return the number of scalars of their sound records."""
    files = log_mutations.sources()
    (folder / "clean").mkdir()
    expected: Counts = {}
    for seed in range(count):
        mutation = log_mutations.mutation_of(files, seed)
        run = folder / "logs" / f"{seed:05}"
        run.mkdir(parents=True)
        (run / "events.out.tfevents.1700000000.host").write_bytes(mutation.data.tobytes())
        content = log_mutations.content_of(folder / "clean", log_mutations.clean_copy(mutation, []))
        tags = expected.setdefault(run.name, {})
        for (tag, kind, _, part), rows in content.frames.items():
            if kind == "scalars" and not part:
                tags[tag.decode()] = tags.get(tag.decode(), 0) + len(rows)
    return expected


def _counts(reader: str, folder: Path) -> Counts:
    out = folder / f"{reader}.json"
    command = [sys.executable, str(HERE / "peers" / "kept_points.py"), reader, str(folder / "logs"), str(out)]
    subprocess.run(command, check=True, capture_output=True)
    counts: Counts = json.loads(out.read_text(encoding="utf-8"))
    return counts


def _kept(expected: Counts, found: dict[str, Counts]) -> dict[str, int]:
    """Return for each reader the number of expected scalars that it gives; more than expected do not count."""
    points = [(run, tag, count) for run, tags in expected.items() for tag, count in tags.items()]
    return {
        title: sum(min(counts.get(run, {}).get(tag, 0), count) for run, tag, count in points)
        for title, counts in found.items()
    }


def ended(scale: float) -> str:
    """What commands leave that are ended at random moments."""
    found = _result("kills.py", round(_ENDED * scale))
    counts = ", ".join(f"{count:,} by {name}" for name, count in sorted(found["ended"].items()))
    return (
        f"{found['started']:,} starts of {found['cases']} commands (convert, updates, reduce, repair, plot, state "
        f"export and restore), ended at random moments ({counts}; the others had just finished). The output is the "
        "earlier or the new one, the next command gives what it always gives, and nothing is left beside it:\n"
        f"{_listed(found['problems'])}"
    )


def models(scale: float) -> str:
    """What becomes of mutated model and state files; the frameworks are in an environment of their own."""
    python = HERE.parent / ".venv-training" / "bin" / "python"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        cases = ["--cases", str(round(_MODELS * scale)), "--json", str(out)]
        subprocess.run([str(python), str(TESTS / "fuzzing" / "model_files.py"), *cases], check=False)
        rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    total = sum(row.get("read", 0) + row.get("refused", 0) + row.get("fault", 0) for row in rows)
    lines = [
        f"| {_FORMATS[row['format']]} | {row.get('read', 0):,} | {row.get('refused', 0):,} | {row.get('fault', 0):,} | "
        f"{row['mib']:,} |"
        for row in rows
    ]
    faults = [fault for row in rows for fault in row["faults"]]
    head = "| files | read | refused in one sentence | faults | memory above idle, MiB |\n|---|---|---|---|---|\n"
    return f"{total:,} mutated files:\n\n{head}" + "\n".join(lines) + f"\n{_listed(faults)}"


def fuzzing(scale: float) -> str:
    """What the fuzzer finds, and how much code its inputs reach."""
    with tempfile.TemporaryDirectory() as folder:
        out, findings = Path(folder) / "result.json", Path(folder) / "findings"
        command = [sys.executable, str(TESTS / "fuzzing" / "fuzz.py"), "--seconds", str(_FUZZED * scale)]
        subprocess.run([*command, "--json", str(out), "--findings", str(findings)], check=False)
        return _fuzzing_table(json.loads(out.read_text(encoding="utf-8")))


def _fuzzing_table(results: list[dict[str, Any]]) -> str:
    past = [each.name.partition("-")[0] for each in (TESTS / "fuzzing" / "past").iterdir()]
    lines = []
    for each in results:
        name, lines_of = each["target"], f"{each['lines']:,} of {each['all_lines']:,}"
        cells = [f"`{name}`", _TARGETS[name], f"{each['executions']:,}", f"{each['edges']:,}", lines_of]
        lines.append(f"| {' | '.join([*cells, str(past.count(name)), str(len(set(each['findings'])))])} |")
    total = sum(each["executions"] for each in results)
    head = (
        "| target | inputs | executions | edges | lines | past findings | findings |\n|---|---|---|---|---|---|---|\n"
    )
    findings = [f"{each['target']}: {finding}" for each in results for finding in sorted(set(each["findings"]))]
    return f"{total:,} executions:\n\n{head}" + "\n".join(lines) + f"\n{_listed(findings)}"


def sizes(_: float) -> str:
    """How much memory and time event files take that are made to be expensive."""
    return "\n".join(hostile_sizes.table(hostile_sizes.CASES)) + "\n"


PARTS: dict[str, Callable[[float], str]] = {
    each.__name__: each for each in (mutations, peers, sizes, ended, models, fuzzing)
}


def main() -> None:
    """Measure the parts that are named, or all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[*PARTS], metavar="PART")
    parser.add_argument("--scale", type=float, default=1.0, help="a share of the work, to try the script")
    arguments = parser.parse_args()
    for name in arguments.parts:
        section = PARTS[name](arguments.scale)
        print(section)
        if arguments.scale == 1:
            write_section(PAGE, name, section)


if __name__ == "__main__":
    main()
