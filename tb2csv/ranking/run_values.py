"""The value of each run that counts in a ranking, and its hyperparameters, read from its event files."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.late_modules import np
from tb2csv.runs.decoded_rows import UndecodableValue
from tb2csv.runs.hparams_table import HparamsValue
from tb2csv.runs.placeholders import Placeholders
from tb2csv.runs.run_reader import RunReader
from tb2csv.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable

    from tb2csv.logdir import Run
    from tb2csv.ranking.moments import Moment
    from tb2csv.report import UndecodableEntry
    from tb2csv.runs.decoded_rows import Rows
    from tb2csv.runs.run_batch import RunBatch
    from tb2csv.runs.run_stats import RunStats
    from tb2csv.time_series import SeriesStats

SCALARS: Final = "scalars"
_HPARAMS: Final = "hparams"


class Value(NamedTuple):
    """The value of a run that counts."""

    value: Any
    dtype: np.dtype[Any]
    step: int

    @property
    def is_nan(self) -> bool:
        """Whether the value is not a number."""
        return bool(self.value != self.value)


@dataclass(slots=True)
class RunValues:
    """What was read of a run."""

    stats: RunStats
    #: The values that count, by the id of their series. A tag that changes its type has several.
    values: dict[int, Value] = field(default_factory=dict)
    hparams: list[HparamsValue] = field(default_factory=list)
    undecodable: list[UndecodableEntry] = field(default_factory=list)
    undecodable_hparams: int = 0

    @property
    def duration(self) -> float | None:
        """The number of seconds from the first to the last value of any tag; None if the times are not numbers."""
        begin = min([stats.first_wall_time for stats in self.stats.series], default=math.nan)
        end = max([stats.last_wall_time for stats in self.stats.series], default=math.nan)
        # Wall times of today have microseconds at best in float64.
        return round(end - begin, 6) if math.isfinite(end - begin) else None

    def series_of(self, tag: str) -> list[SeriesStats]:
        """Return the scalar series of a tag, in the order of their last values."""
        found = [stats for stats in self.stats.series if (own := stats.series).tag == tag and own.kind == SCALARS]
        if len(found) > 1:
            found.sort(key=lambda stats: stats.last_row)
        return found

    def value_of(self, series: list[SeriesStats], goal: str, moment: Moment) -> Value | None:
        """Return the value of a tag that counts, given what ``series_of`` returned for it; None if there is none."""
        chosen = None
        for stats in series:
            new = self.values.get(stats.series.id)
            if new and (chosen is None or moment.replaces(new.value, chosen.value, goal)):
                chosen = new
        return chosen


class RunValueReader:
    """How runs are read."""

    def __init__(self, moment: Moment, goal: str, chunk_size: int) -> None:
        self.goal = goal
        self._moment = moment
        self._choose = moment.choose(goal)
        self._chunk_size = chunk_size

    def read(self, run: Run, tags: Selection, report_bytes: Callable[[int], None]) -> RunValues:
        """Read a run on its own."""
        reader = RunReader(run, selection=tags, chunk_size=self._chunk_size, report_bytes=report_bytes)
        found, placeholders = RunValues(reader.stats), Placeholders()
        for item in reader.decode(SCALARS):
            self._add({run.name: found}, item if isinstance(item, UndecodableValue) else placeholders.leave_out(item))
        self._add_hparams(found, run)
        return found

    def read_batch(self, batch: RunBatch, report_bytes: Callable[[int], None]) -> list[RunValues]:
        """Read the runs of a batch."""
        found = {run.run.name: RunValues(run.stats) for run in batch.runs}
        for item in batch.decode(SCALARS):
            report_bytes(0)  # the callback may raise to cancel
            self._add(found, item)
        for run in batch.runs:
            self._add_hparams(found[run.run.name], run.run)
        return list(found.values())

    def _add(self, found: dict[str, RunValues], item: Rows | UndecodableValue) -> None:
        if isinstance(item, UndecodableValue):
            found[item.series.run].undecodable.append(item.entry)
            return
        frame = item.part.frame
        values, steps = frame["value"].to_numpy(), frame["step"].to_numpy()
        if values.dtype == np.bool_:
            values = values.view(np.uint8)
        rows = self._choose(values, steps, item.bounds)
        present = np.flatnonzero(rows >= 0)
        chosen = rows[present]
        for number, value, step in zip(present.tolist(), values[chosen].tolist(), steps[chosen].tolist(), strict=True):
            series = item.series[number]
            known = found[series.run].values
            old = known.get(series.id)
            if old is None or self._moment.replaces(value, old.value, self.goal):
                known[series.id] = Value(value, values.dtype, step)

    def _add_hparams(self, found: RunValues, run: Run) -> None:
        """Read the values of the hparams plugin, if the run has any; few runs do, so their files are read again."""
        if not any(stats.series.kind == _HPARAMS for stats in found.stats.series):
            return
        reader = RunReader(run, selection=Selection(kinds=(_HPARAMS,)), chunk_size=self._chunk_size)
        for item in reader.decode(_HPARAMS):
            if isinstance(item, UndecodableValue):
                found.undecodable_hparams += 1
                continue
            rows = item.part.frame.select("wall_time", "content").iter_rows()
            found.hparams += [HparamsValue(run.name, wall_time, content) for wall_time, content in rows]
