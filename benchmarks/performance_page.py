"""Write the figures of docs/performance.md and README.md from what benchmarks/run.py has measured.

    python benchmarks/run.py --json build/benchmarks.json
    python benchmarks/performance_page.py build/benchmarks.json

The figures of a page are those of one run.
"""

from __future__ import annotations

import json
import statistics
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from page_sections import write_section

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TOP = Path(__file__).resolve().parent.parent
_OURS = "tb2csv"
_PACKAGES = ("polars", "numpy", "tensorboard", "tensorboard-data-server", "tbparse", "pandas")

#: Logs of the same shape: the large one, the small one, what grows.
_GROWTH = (("F", "A", "20 times the values"), ("H", "E", "10 times the runs, 15 times the tables"))

#: The rows of the README: a title, whether checksums are verified, what is written.
_PEERS = {
    "rustboard": ("TensorBoard's data server, load only", "no", "nothing"),
    "accumulator": ("TensorBoard's `EventAccumulator` without sampling, then `csv`", "yes", "CSV"),
    "tbparse": ("tbparse, then `to_csv`", "yes", "CSV"),
}

_Costs = list[dict[str, float]]


def main() -> None:
    """Replace the figures of both pages."""
    measured = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    write_section(_TOP / "docs" / "performance.md", "figures", figures(measured))
    if (table := peers(measured)) is not None:
        write_section(_TOP / "README.md", "peers", table)


def figures(measured: dict[str, Any]) -> str:
    """Return the text between the marks."""
    facts = measured["environment"]
    packages = ", ".join(f"{name} {facts[name]}" for name in _PACKAGES if name in facts)
    method = textwrap.wrap(
        f"Revision {facts['revision']}, {facts['date']}: {facts['machine']}, Python {facts['python']}, "
        f"{packages}. Logs and tables were {facts['files']}, and the load before was {facts['load']}. "
        "Elapsed times are medians, and the fastest and the slowest run.",
        120,
    )
    costs = {name: _ours(name, measured["pairs"]) for name in measured["workloads"]}
    rows = [
        [name, log["title"], f"{log['bytes'] / 1e6:,.0f} MB", *_cells(costs[name])]
        for name, log in measured["workloads"].items()
    ]
    # The least memory, because the measuring process, whose peak a process inherits, grows with the logs it knows.
    starts = [("`tb2csv --version`", measured["startups"].get(_OURS)), ("`tb2csv ls` on A", measured["listing"])]
    rows += [["", title, "", *_cells(several, min)] for title, several in starts if several]
    missed = [
        f"- {target['title']}: {target['measured']:.2f} {target['unit']}, and the target is {target['limit']:g}"
        for target in measured["targets"]
        if target["verdict"] not in {"ok", "not measured"}
    ]
    return "\n".join(
        [
            *method,
            "",
            *_table(["log", "what is in it", "size", "elapsed", "processor time", "peak memory"], "llrrrr", rows),
            "",
            "The times of others, divided by those of tb2csv beside them (medians of the ratios of whole processes):",
            "",
            *_peers(measured),
            *_growth(measured["workloads"], costs),
            *(["", "Targets that were missed:", "", *missed] if missed else []),
            "",
        ]
    )


def peers(measured: dict[str, Any]) -> str | None:
    """Return the table of the README: how many times as long others take for A; None unless all of them ran."""
    ratios = {each["peer"]: _ratio(each["runs"], digits=0) for each in measured["pairs"] if each["workload"] == "A"}
    if missing := _PEERS.keys() - ratios.keys():
        print(f"README.md stays as it is, because A was not measured with {', '.join(sorted(missing))}.")
        return None
    rows = [["tb2csv", "1 x", "yes", "CSV"], *([title, ratios[name], *does] for name, (title, *does) in _PEERS.items())]
    return "\n".join([*_table(["", "time", "verifies checksums", "writes"], "lrll", rows), ""])


def _ours(workload: str, pairs: Sequence[dict[str, Any]]) -> _Costs:
    """Return what each run of tb2csv on a log took."""
    return [run[_OURS] for each in pairs if each["workload"] == workload for run in each["runs"] if run[_OURS]]


def _peers(measured: dict[str, Any]) -> list[str]:
    """Return a table with a row for each peer."""
    ratios = {(each["peer"], each["workload"]): _ratio(each["runs"]) for each in measured["pairs"] if each["peer"]}
    peers = dict.fromkeys(peer for peer, _ in ratios)
    logs = [log for log in measured["workloads"] if any((peer, log) in ratios for peer in peers)]
    rows = [[peer, *(ratios.get((peer, log), "") for log in logs)] for peer in peers]
    return _table(["", *logs], "l" + "r" * len(logs), rows)


def _growth(logs: dict[str, dict[str, Any]], costs: dict[str, _Costs]) -> list[str]:
    """Return a table of logs that differ in size alone."""
    rows = []
    for large, small, what in _GROWTH:
        if costs.get(small) and costs.get(large):
            ratios = (
                logs[large]["rows"] / logs[small]["rows"],
                _median(costs[large], "seconds") / _median(costs[small], "seconds"),
                _median(costs[large], "cpu_seconds") / _median(costs[small], "cpu_seconds"),
                _median(costs[large], "peak_mb") / _median(costs[small], "peak_mb"),
            )
            rows.append([f"from {small} to {large}: {what}", *(f"{ratio:.1f} x" for ratio in ratios)])
    header = ["growth", "rows", "elapsed", "processor time", "peak memory"]
    return ["", *_table(header, "lrrrr", rows)] if rows else []


def _table(header: Sequence[str], alignments: str, rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table, with the first column to the left."""
    marks = "".join({"l": "---|", "r": "--:|"}[each] for each in alignments)
    return [f"| {' | '.join(header)} |", f"|{marks}", *(f"| {' | '.join(row)} |" for row in rows)]


def _median(costs: _Costs, field: str) -> float:
    """Return the median of a field."""
    return statistics.median(cost[field] for cost in costs)


def _cells(costs: _Costs, peak: Callable[[list[float]], float] = max) -> list[str]:
    """Return elapsed time, processor time and memory."""
    if not costs:
        return ["", "", ""]
    seconds = [cost["seconds"] for cost in costs]
    busy = statistics.median(cost["cpu_seconds"] for cost in costs)
    return [
        f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})",
        f"{busy:.2f} s",
        f"{peak([cost['peak_mb'] for cost in costs]):.0f} MB",
    ]


def _ratio(runs: Sequence[dict[str, Any]], digits: int = 2) -> str:
    """Return how many times as long a peer takes."""
    ratios = [run["peer"]["seconds"] / run[_OURS]["seconds"] for run in runs if run["peer"] and run[_OURS]]
    return f"{statistics.median(ratios):.{digits}f} x" if ratios else ""


if __name__ == "__main__":
    main()
