"""The targets of the project, each one an entry of `TARGETS`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from results import Results, median_seconds

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Target:
    """A figure of the results and the limit it must keep."""

    title: str
    figure: Callable[[Results], float | None]
    limit: float
    unit: str
    at_least: bool = False

    def verdict(self, results: Results) -> str:
        """Say whether the target is met."""
        figure = self.figure(results)
        if figure is None:
            return "not measured"
        met = figure >= self.limit if self.at_least else figure <= self.limit
        return "ok" if met else "MISSED"


def _faster(workload: str, peer: str) -> Callable[[Results], float | None]:
    return lambda results: results.times_ours(workload, peer)


def _above_startup(workload: str) -> Target:
    return Target(
        f"{workload}: time above start-up against the floor's",
        lambda results: results.times_floor(workload),
        2,
        "x",
    )


def _ratio_of_times(large: str, small: str) -> Callable[[Results], float | None]:
    def ratio(results: Results) -> float | None:
        seconds = results.seconds(large), results.seconds(small)
        return None if None in seconds else seconds[0] / seconds[1]

    return ratio


def _reference_against_tbparse(results: Results) -> float | None:
    theirs, ours = results.seconds("A", "tbparse"), results.seconds("A", "reference")
    return None if theirs is None or ours is None else theirs / ours


TARGETS = (
    Target("A: faster than tbparse and to_csv", _faster("A", "tbparse"), 60, "x", at_least=True),
    Target("A: faster than EventAccumulator", _faster("A", "accumulator"), 20, "x", at_least=True),
    Target("A: faster than rustboard's load", _faster("A", "rustboard"), 1, "x", at_least=True),
    *(
        Target(f"{workload}: faster than e216457", _faster(workload, "e216457"), factor, "x", at_least=True)
        for workload, factor in {"A": 1, "B": 1.5, "C": 1, "D": 1, "E": 3.5, "F": 1}.items()
    ),
    Target("A: reference scanner faster than tbparse", _reference_against_tbparse, 4, "x", at_least=True),
    *(_above_startup(workload) for workload in "ABCD"),
    *(
        Target(f"B: layout {layout} against the tree", _faster("B", f"layout {layout}"), 2.5, "x")
        for layout in ("tags", "wide")
    ),
    *(Target(f"{workload}: diagnose against convert", _faster(workload, "diagnose"), 1.3, "x") for workload in "AE"),
    Target("E: time", lambda results: results.seconds("E"), 10, "s"),
    Target("G: peak memory", lambda results: results.peak_mb("G"), 400, "MB"),
    Target("H: peak memory", lambda results: results.peak_mb("H"), 600, "MB"),
    Target("H: time against E's", _ratio_of_times("H", "E"), 12, "x"),
    Target("F: peak memory", lambda results: results.peak_mb("F"), 500, "MB"),
    Target("F: time against A's", _ratio_of_times("F", "A"), 22, "x"),  # F holds 20 times the rows of A
    Target(
        "tb2csv --version",
        lambda results: median_seconds(results.startup_costs().get("tb2csv", [])),
        0.3,
        "s",
    ),
    Target("tb2csv ls on A", lambda results: median_seconds(results.listing), 0.7, "s"),
)
