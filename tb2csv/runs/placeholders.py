"""Placeholders that a writer puts before the values of a metric.

Lightning's ``log_hyperparams`` writes ``hp_metric`` = -1 at step 0 each time a training starts, so that TensorBoard
lists the metric. It is not a measurement, and would be the minimum of nearly every metric.

Source: ``log_hyperparams`` in lightning/fabric/loggers/tensorboard.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tb2csv.late_modules import np, pl

if TYPE_CHECKING:
    from tb2csv.runs.decoded_rows import Rows

PLACEHOLDER: Final = -1.0
#: The tag of placeholders.
PLACEHOLDER_TAG: Final = "hp_metric"


class Placeholders:
    """A filter that removes the placeholders from the scalars of one run, part by part.

    A placeholder is a value of ``hp_metric`` that is exactly -1, at step 0, and either the first of its series or after
    a value of another step. A measured -1 is at a later step, or at step 0 after the placeholder.

    Attributes:
        counts: the number of placeholders that were removed, by tag.
    """

    def __init__(self) -> None:
        """Start at the first value of a run."""
        self.counts: dict[str, int] = {}
        #: The step of the last value of each series, by its id.
        self.last_steps: dict[int, int] = {}

    def leave_out(self, rows: Rows) -> Rows:
        """Return the rows without placeholders."""
        for number, series in enumerate(rows.series):
            if series.tag == PLACEHOLDER_TAG:
                rows = self._leave_out_of(rows, number)
        return rows

    def _leave_out_of(self, rows: Rows, number: int) -> Rows:
        start, stop = rows.bounds[number : number + 2].tolist()
        if start == stop:
            return rows
        frame = rows.part.frame
        step, value = (frame[name].slice(start, stop - start).to_numpy() for name in ("step", "value"))
        series = rows.series[number].id
        previous = np.concatenate(([self.last_steps.get(series, 1)], step[:-1]))
        self.last_steps[series] = int(step[-1])
        is_placeholder = (value == PLACEHOLDER) & (step == 0) & (previous != 0)
        count = int(is_placeholder.sum())
        if not count:
            return rows
        self.counts[PLACEHOLDER_TAG] = self.counts.get(PLACEHOLDER_TAG, 0) + count
        is_kept = np.ones(len(frame), np.bool_)
        is_kept[start:stop] = ~is_placeholder
        bounds = rows.bounds.copy()
        bounds[number + 1 :] -= count
        return rows._replace(part=replace(rows.part, frame=frame.filter(pl.Series(is_kept))), bounds=bounds)
