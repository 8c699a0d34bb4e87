"""The results as plain tables for people, and as JSON for programs."""

from __future__ import annotations

import datetime as dt
import os
import platform
import statistics
import subprocess
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from contenders import LOADED, version
from results import OURS, Results, median_seconds
from targets import TARGETS
from workloads import DATA, HERE, MEMORY, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from measure import Cost
    from workloads import Prepared

_DISTRIBUTIONS = (
    "tb2csv",
    "polars",
    "numpy",
    "tensorboard",
    "tensorboard-data-server",
    "tbparse",
    "pandas",
    "protobuf",
)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out cells in columns: the first to the left, the others to the right."""
    lines = [header, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def environment() -> dict[str, str]:
    """Return what the figures depend on; the load is that of the minute before."""
    found = {name: version(name) for name in _DISTRIBUTIONS}
    return {
        "revision": _revision(),
        "date": dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%d"),
        "machine": f"{platform.system()} {platform.machine()}, {_cores()} cores",
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
        "files": "in memory" if DATA.resolve().is_relative_to(MEMORY) else "on a disk",
        "python": platform.python_version(),
        **{name: number for name, number in found.items() if number is not None},
    }


def _revision() -> str:
    """Return the revision of the sources, with a plus sign if they differ from it."""
    try:
        git = ["git", "-C", str(HERE), "describe", "--always", "--dirty=+", "--exclude=*"]
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _cores() -> int:
    """The processors that this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def workload_table(title: str, prepared: Prepared, results: Results) -> str:
    """Every contender on one workload."""
    rows = []
    for contender in results.contenders(prepared.name):
        costs = results.costs(prepared.name, contender)
        if not costs:
            continue
        ratio = None if contender == OURS else results.times_ours(prepared.name, contender)
        rows.append((contender, *_cost_cells(costs), _number(ratio, "x")))
    heading = f"{prepared.name}: {title} ({prepared.bytes() / 1e6:,.0f} MB, {prepared.rows:,} rows)"
    header = ("", "median s", "min s", "max s", "cpu s", "peak MB", "runs", "times tb2csv")
    return f"{heading}\n\n{table(header, rows)}"


def startup_table(names: Iterable[str], results: Results) -> str:
    """The start-ups, and how much longer each workload takes than them."""
    # The least memory, because the measuring process, whose peak a process inherits, grows with the logs it knows.
    rows = [(f"{name} start-up", *_cost_cells(costs, min)) for name, costs in results.startup_costs().items()]
    if results.listing:
        rows.append(("tb2csv ls on A", *_cost_cells(results.listing, min)))
    header = ("", "median s", "min s", "max s", "cpu s", "least MB", "runs")
    text = table(header, rows)
    above = [
        (
            name,
            _number(results.above_startup(name, OURS), "s"),
            _number(results.above_startup(name, "floor"), "s"),
            _number(results.times_floor(name), "x"),
            _number(results.times_floor(name, LOADED), "x"),
        )
        for name in names
    ]
    header = ("above start-up", "tb2csv", "floor", "ratio", "ratio, polars imported by both")
    return f"{text}\n\n{table(header, above)}"


def target_table(results: Results) -> str:
    """Each target beside its figure."""
    rows = [
        (
            target.title,
            _number(target.figure(results), target.unit),
            f"{'>=' if target.at_least else '<='} {target.limit:g} {target.unit}",
            target.verdict(results),
        )
        for target in TARGETS
    ]
    return table(("target", "measured", "limit", "verdict"), rows)


def as_json(results: Results, environment: Mapping[str, str], logs: Iterable[Prepared]) -> dict[str, Any]:
    """Every single measurement, and the targets."""
    return {
        "environment": dict(environment),
        "workloads": {
            log.name: {"title": WORKLOADS[log.name].title, "bytes": log.bytes(), "rows": log.rows} for log in logs
        },
        "pairs": [
            {
                "workload": workload,
                "peer": peer,
                "runs": [{OURS: ours and asdict(ours), "peer": theirs and asdict(theirs)} for ours, theirs in pairs],
            }
            for (workload, peer), pairs in results.pairs.items()
        ],
        "startups": {name: [asdict(cost) for cost in costs] for name, costs in results.startup_costs().items()},
        "listing": [asdict(cost) for cost in results.listing],
        "targets": [
            {
                "title": target.title,
                "measured": target.figure(results),
                "limit": target.limit,
                "unit": target.unit,
                "verdict": target.verdict(results),
            }
            for target in TARGETS
        ],
        "notes": results.notes,
    }


def _cost_cells(costs: list[Cost], peak: Callable[[list[float]], float] = max) -> tuple[str, ...]:
    seconds = [cost.seconds for cost in costs]
    return (
        _number(median_seconds(costs)),
        _number(min(seconds)),
        _number(max(seconds)),
        _number(statistics.median(cost.cpu_seconds for cost in costs)),
        f"{peak([cost.peak_mb for cost in costs]):.0f}",
        str(len(costs)),
    )


def _number(figure: float | None, unit: str = "") -> str:
    """At least three digits; a dash if nothing was measured."""
    if figure is None:
        return "-"
    digits = f"{figure:.3f}" if figure < 10 else f"{figure:.1f}"
    return f"{digits} {unit}".rstrip()
