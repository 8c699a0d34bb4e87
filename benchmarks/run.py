"""Measure tb2csv against its peers and compare it with its targets.

    python benchmarks/run.py [--workloads A,B] [--peers tbparse,floor] [--pairs 5] [--json FILE]

Every measurement is a whole process, from its start to its end. tb2csv and a peer run in turn,
pair after pair, so that whatever slows the machine for a while slows both; a ratio is the median
over the pairs. The event files are read once before, so nothing waits for the disk, and what was
written is checked after each run, outside the measured time. This is a report, not a test: the exit
status is 0 whatever it says.

Each thing that is run is an entry of a dict: `workloads.WORKLOADS`, `contenders.PEERS`,
`targets.TARGETS`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import contenders
import report
import workloads
from check import check_tables, check_values
from contenders import Contender
from measure import Cost, FailedRunError, measure
from results import OURS, Results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# From so many on, tables stay until all is measured: a file system may take many times as long to make files when as
# many were deleted before. An ext4 without a journal passes over each inode that was in use in the last minutes.
_MANY_TABLES = 1_000


def main() -> None:
    """Run the selected measurements."""
    options = parse_options()
    workloads.DATA.mkdir(exist_ok=True)
    results = Results()
    environment = report.environment()
    for name, number in environment.items():
        print(f"{name}: {number}")
    logs: list[workloads.Prepared] = []
    for name in options.workloads:
        prepared = workloads.prepare(name)
        logs.append(prepared)
        measure_workload(prepared, options.peers, options.pairs, results)
        if name == "A":
            measure_listing(prepared, options.pairs, results)
        print(f"\n{report.workload_table(workloads.WORKLOADS[name].title, prepared, results)}")
    print(f"\n{report.startup_table(options.workloads, results)}")
    print(f"\n{report.target_table(results)}")
    for note in results.notes:
        print(f"\nnote: {note}")
    if options.json is not None:
        options.json.write_text(json.dumps(report.as_json(results, environment, logs), indent=1), encoding="utf-8")


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Measure tb2csv against its peers.",
        epilog="Without --peers, the slow ones run on workload A alone.",
    )
    by_default = [name for name, workload in workloads.WORKLOADS.items() if workload.by_default]
    parser.add_argument(
        "--workloads",
        type=one_of(workloads.WORKLOADS),
        default=by_default,
        metavar=",".join(workloads.WORKLOADS),
        help=f"what to convert (default: {','.join(by_default)})",
    )
    parser.add_argument(
        "--peers",
        type=one_of(contenders.PEERS),
        metavar=",".join(contenders.PEERS),
        help="what to compare with, on every workload that it can convert",
    )
    parser.add_argument("--pairs", type=positive, default=5, help="runs of each (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement here")
    return parser.parse_args()


def one_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Make a reader of comma-separated names."""

    def names(text: str) -> list[str]:
        chosen = [name for name in text.split(",") if name]
        if unknown := [name for name in chosen if name not in known]:
            message = f"unknown: {', '.join(unknown)}"
            raise argparse.ArgumentTypeError(message)
        return chosen

    return names


def positive(text: str) -> int:
    """Read a number of pairs."""
    number = int(text)
    if number < 1:
        message = "must be 1 or more"
        raise argparse.ArgumentTypeError(message)
    return number


def timed(command: list[str], environment: Mapping[str, str] | None = None, until: str | None = None) -> Cost:
    """Measure a command, started in a folder without a source tree.

    `python -m` prefers the current directory: from the top of the repository it would run the
    sources, which may lack the compiled scanner, instead of the tb2csv that is installed.
    """
    return measure(command, environment, until, folder=workloads.DATA)


def measure_startups(workload: str, results: Results) -> None:
    """Measure once what tb2csv and the floor take before they look at a log."""
    for name, command in contenders.STARTUPS.items():
        try:
            results.startups.setdefault((workload, name), []).append(timed(command))
        except FailedRunError as failure:
            results.notes.append(f"start-up of {name}: {failure}")


def measure_listing(prepared: workloads.Prepared, rounds: int, results: Results) -> None:
    """Measure `tb2csv ls`."""
    try:
        for _ in range(rounds):
            results.listing.append(timed(contenders.tb2csv("ls", str(prepared.logdir))))
    except FailedRunError as failure:
        results.notes.append(f"tb2csv ls: {failure}")


def measure_workload(prepared: workloads.Prepared, asked_for: list[str] | None, pairs: int, results: Results) -> None:
    """Run tb2csv and each peer in turn on one workload."""
    failed: set[str] = set()
    peers: list[Contender | None] = [*choose_peers(prepared, asked_for, results)]
    with tempfile.TemporaryDirectory(dir=workloads.DATA, prefix="out-") as temporary:
        for number in range(1, pairs + 1):
            measure_startups(prepared.name, results)
            for peer in peers or [None]:
                outs = (Path(temporary) / f"{number}-{peer and peer.name}-{which}" for which in ("ours", "theirs"))
                # The values are compared once; they cannot differ between runs of one program.
                ours = attempt(contenders.OURS, prepared, next(outs), results, failed, values=number == 1)
                theirs = None
                if peer is not None:
                    values = number == 1 and peer.name == "reference"
                    theirs = attempt(peer, prepared, next(outs), results, failed, values=values)
                key = (prepared.name, "" if peer is None else peer.name)
                results.pairs.setdefault(key, []).append((ours, theirs))
                say(f"{prepared.name}: pair {number} of {pairs}", ours, peer, theirs)


def choose_peers(prepared: workloads.Prepared, asked_for: list[str] | None, results: Results) -> list[Contender]:
    """The peers to run on a workload; a note says why one that was wanted does not run."""
    chosen = []
    for peer in contenders.PEERS.values():
        wanted = prepared.name in peer.default_workloads if asked_for is None else peer.name in asked_for
        if not wanted:
            continue
        if prepared.kind not in peer.kinds:
            results.notes.append(f"{peer.name} does not run on {prepared.name}: no {prepared.kind}")
        elif missing := peer.missing():
            results.notes.append(f"{peer.name} was left out: install {', '.join(missing)}")
        else:
            chosen.append(peer)
    return chosen


def attempt(
    contender: Contender,
    prepared: workloads.Prepared,
    out: Path,
    results: Results,
    failed: set[str],
    *,
    values: bool,
) -> Cost | None:
    """Run one contender once and check what it wrote; None if it fails, now or before."""
    if contender.name in failed:
        return None
    try:
        cost = timed(contender.command(prepared, out), contender.environment, contender.until)
        if contender.writes_tables:
            check_tables(prepared, out)
        if values and prepared.columns:
            check_values(prepared, out)
    except FailedRunError as failure:
        failed.add(contender.name)
        results.notes.append(f"{contender.name} failed on {prepared.name}: {failure}")
        return None
    if len(prepared.tables) < _MANY_TABLES:
        shutil.rmtree(out, ignore_errors=True)  # some peers write nothing
    return cost


def say(what: str, ours: Cost | None, peer: Contender | None, theirs: Cost | None) -> None:
    """Show on standard error that the benchmark is getting on."""
    parts = [f"{OURS} {'failed' if ours is None else f'{ours.seconds:.2f} s'}"]
    if peer is not None:
        parts.append(f"{peer.name} {'failed' if theirs is None else f'{theirs.seconds:.2f} s'}")
    print(f"{what}: {', '.join(parts)}", file=sys.stderr)


if __name__ == "__main__":
    main()
