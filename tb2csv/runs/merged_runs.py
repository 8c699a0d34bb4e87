"""A run merged with the sub-runs that its writer made."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tb2csv.late_modules import pl
from tb2csv.logdir import Run
from tb2csv.runs.decoded_rows import UndecodableValue
from tb2csv.runs.run_stats import RunStats
from tb2csv.runs.series_reader import SeriesReader

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from tb2csv.runs.decoded_rows import Rows
    from tb2csv.runs.series_registry import SeriesRegistry
    from tb2csv.runs.step_orders import StepOrder
    from tb2csv.runs.subruns import Subrun
    from tb2csv.time_series import Series, SeriesStats

#: The last column of every table if sub-runs are merged: the run that a row was written to.
ORIGINAL_RUN: Final = "original_run"


class MergedRun(SeriesReader):
    """A reader of a run and its sub-runs, one after the other, as one run."""

    def __init__(self, name: str, readers: Sequence[SeriesReader], registry: SeriesRegistry) -> None:
        """Read with ``readers``, the run's own first.

        All of them share ``registry``. The readers of sub-runs already give their series to the run ``name``.
        """
        self._run = Run(name, tuple(file for reader in readers for file in reader.run.files))
        self._readers = readers
        self._registry = registry

    @property
    def run(self) -> Run:
        """The run, with the files of its sub-runs."""
        return self._run

    @property
    def stats(self) -> RunStats:
        """The statistics of all runs so far, in their order."""
        parts = [reader.stats for reader in self._readers]
        return RunStats(
            self._run.name,
            self._registry.stats,
            [file for part in parts for file in part.files],
            sum((part.empty for part in parts), Counter()),
            sum(part.empty_filtered for part in parts),
        )

    @property
    def started(self) -> float:
        """The wall time of the earliest first event in seconds since the epoch; infinity if it is not known."""
        return min(reader.started for reader in self._readers)

    @property
    def session_count(self) -> int:
        """The maximum number of sessions of a single run; a sub-run is not a restart."""
        return max(reader.session_count for reader in self._readers)

    def stats_of(self, series: Series) -> SeriesStats:
        """Return the statistics of a series so far."""
        return self._registry.stats[series.id]

    def step_orders(self) -> Iterator[tuple[Series, StepOrder]]:
        """Yield each series that was decoded with its plugin contents, and the order of its steps."""
        for reader in self._readers:
            yield from reader.step_orders()

    def decode(self, *, with_contents: bool = False) -> Generator[Rows | UndecodableValue, None, None]:
        """Yield the rows of all selected series, run by run, with the name of the run in a column."""
        for reader in self._readers:
            name = reader.run.name
            column = pl.lit(name, dtype=pl.String).alias(ORIGINAL_RUN)
            for item in reader.decode(with_contents=with_contents):
                if isinstance(item, UndecodableValue):
                    yield item._replace(original_run=name)
                else:
                    yield item._replace(part=replace(item.part, frame=item.part.frame.with_columns(column)))


def with_parents(trials: pl.DataFrame, parents: Mapping[str, str]) -> pl.DataFrame:
    """Return the table of trials with the parent of each run in ``run``, and its own name in ``original_run``."""
    names = trials["run"]
    runs = pl.Series("run", [parents.get(name, name) for name in names], dtype=pl.String)
    return trials.with_columns(runs).insert_column(1, names.alias(ORIGINAL_RUN))


def runs_by_parent(runs: Sequence[Run], subruns: Mapping[str, Subrun]) -> dict[str, list[Run]]:
    """Return the runs by the name of the run that they are merged into, which comes first if it is one of ``runs``."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        subrun = subruns.get(run.name)
        if subrun:
            found.setdefault(subrun.parent, []).append(run)
        else:
            found.setdefault(run.name, []).insert(0, run)
    return dict(sorted(found.items()))
