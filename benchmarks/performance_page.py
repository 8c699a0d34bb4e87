"""Write the figures of docs/performance.md from what benchmarks/run.py has measured.

    python benchmarks/run.py --json build/benchmarks.json
    python benchmarks/performance_page.py build/benchmarks.json

The figures of a page are those of one run. A peer's column has its time divided by tb2csv's, the median over the pairs.
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
    from collections.abc import Sequence

_PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
_OURS = "tb2csv"
_PACKAGES = ("polars", "numpy", "tensorboard", "tensorboard-data-server", "tbparse", "pandas")

_Costs = list[dict[str, float]]


def main() -> None:
    """Replace the figures of the page."""
    measured = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    write_section(_PAGE, "figures", figures(measured))


def figures(measured: dict[str, Any]) -> str:
    """Return the text between the marks."""
    facts = measured["environment"]
    packages = ", ".join(f"{name} {facts[name]}" for name in _PACKAGES if name in facts)
    peers = list(dict.fromkeys(pairs["peer"] for pairs in measured["pairs"] if pairs["peer"]))
    header = ["log", "size", "elapsed", "processor time", "peak memory", *peers]
    rows = [_row(name, log, measured["pairs"], peers) for name, log in measured["workloads"].items()]
    starts = [("`tb2csv --version`", measured["startups"].get(_OURS)), ("`tb2csv ls` on A", measured["listing"])]
    rows += [[title, "", *_cells(costs), *[""] * len(peers)] for title, costs in starts if costs]
    missed = [
        f"- {target['title']}: {target['measured']:.2f} {target['unit']}, and the target is {target['limit']:g}"
        for target in measured["targets"]
        if target["verdict"] not in {"ok", "not measured"}
    ]
    return "\n".join(
        [
            *textwrap.wrap(
                f"Revision {facts['revision']}, {facts['date']}: {facts['machine']}, Python {facts['python']}, "
                f"{packages}. Logs and tables were {facts['files']}, and the load before was {facts['load']}. "
                "Elapsed times are medians, and the fastest and the slowest run. "
                "The column of a peer has its time divided by tb2csv's.",
                120,
            ),
            "",
            f"| {' | '.join(header)} |",
            f"|---|{'--:|' * (len(header) - 1)}",
            *(f"| {' | '.join(row)} |" for row in rows),
            *(["", "Targets that were missed:", "", *missed] if missed else []),
            "",
        ]
    )


def _row(name: str, log: dict[str, Any], pairs: Sequence[dict[str, Any]], peers: Sequence[str]) -> list[str]:
    """Return the cells of a log."""
    runs = {each["peer"]: each["runs"] for each in pairs if each["workload"] == name}
    ours = [run[_OURS] for several in runs.values() for run in several if run[_OURS]]
    ratios = {peer: _ratio(runs.get(peer, [])) for peer in peers}
    return [name, f"{log['bytes'] / 1e6:,.0f} MB", *_cells(ours), *(ratios[peer] for peer in peers)]


def _cells(costs: _Costs) -> list[str]:
    """Return elapsed time, processor time and memory."""
    if not costs:
        return ["", "", ""]
    seconds = [cost["seconds"] for cost in costs]
    busy = statistics.median(cost["cpu_seconds"] for cost in costs)
    return [
        f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})",
        f"{busy:.2f} s",
        f"{max(cost['peak_mb'] for cost in costs):.0f} MB",
    ]


def _ratio(runs: Sequence[dict[str, Any]]) -> str:
    """Return how many times as long a peer takes."""
    ratios = [run["peer"]["seconds"] / run[_OURS]["seconds"] for run in runs if run["peer"] and run[_OURS]]
    return f"{statistics.median(ratios):.2f} x" if ratios else ""


if __name__ == "__main__":
    main()
