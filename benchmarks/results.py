"""The figures of a benchmark: medians, and ratios of runs that were made in pairs."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from measure import Cost

OURS = "tb2csv"

# tb2csv's cost and a peer's, run one right after the other; None if a run failed.
Pair = tuple[Cost | None, Cost | None]


@dataclass
class Results:
    """What was measured. Keys are names of workloads, contenders and commands."""

    # By workload and peer; the peer "" means runs of tb2csv alone.
    pairs: dict[tuple[str, str], list[Pair]] = field(default_factory=dict)
    # By workload and contender: they run in turn with the pairs of the workload.
    startups: dict[tuple[str, str], list[Cost]] = field(default_factory=dict)
    listing: list[Cost] = field(default_factory=list)  # `tb2csv ls` on workload A
    notes: list[str] = field(default_factory=list)  # what was not run, or failed, and why

    def costs(self, workload: str, contender: str = OURS) -> list[Cost]:
        """Every run of one contender on one workload that went well."""
        if contender == OURS:
            every = [ours for key, pairs in self.pairs.items() for ours, _ in pairs if key[0] == workload]
        else:
            every = [theirs for _, theirs in self.pairs.get((workload, contender), [])]
        return [cost for cost in every if cost is not None]

    def contenders(self, workload: str) -> list[str]:
        """Everything that ran on a workload, tb2csv first."""
        return [OURS, *(peer for name, peer in self.pairs if name == workload and peer)]

    def seconds(self, workload: str, contender: str = OURS) -> float | None:
        """The median time of a contender on a workload."""
        return median_seconds(self.costs(workload, contender))

    def peak_mb(self, workload: str, contender: str = OURS) -> float | None:
        """The highest memory use of a contender on a workload."""
        return max((cost.peak_mb for cost in self.costs(workload, contender)), default=None)

    def times_ours(self, workload: str, peer: str) -> float | None:
        """How many times as long as tb2csv a peer takes: the median over the pairs."""
        ratios = [
            theirs.seconds / ours.seconds
            for ours, theirs in self.pairs.get((workload, peer), [])
            if ours is not None and theirs is not None
        ]
        return statistics.median(ratios) if ratios else None

    def startup_costs(self) -> dict[str, list[Cost]]:
        """Every start-up by contender, whatever the workload was."""
        every: dict[str, list[Cost]] = {}
        for (_, name), costs in self.startups.items():
            every.setdefault(name, []).extend(costs)
        return every

    def above_startup(self, workload: str, contender: str = OURS, startup_of: str = "") -> float | None:
        """The median time of a contender on a workload less the median of its start-up, or of another one."""
        whole = self.seconds(workload, contender)
        startup = median_seconds(self.startups.get((workload, startup_of or contender), []))
        return None if whole is None or startup is None else whole - startup

    def times_floor(self, workload: str, startup_of: str = OURS) -> float | None:
        """How many times the floor's time tb2csv takes, both above their start-ups."""
        ours = self.above_startup(workload, OURS, startup_of)
        floor = self.above_startup(workload, "floor")
        return None if ours is None or floor is None or floor <= 0 else ours / floor


def median_seconds(costs: list[Cost]) -> float | None:
    """The median time of some runs, None if there are none."""
    return statistics.median(cost.seconds for cost in costs) if costs else None
