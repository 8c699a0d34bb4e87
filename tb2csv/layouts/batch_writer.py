"""Writer of the tables of a batch of small runs."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tb2csv.layouts.run_writer import RunWriter, stretches
from tb2csv.runs.decoded_rows import UndecodableValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tb2csv.layouts.output import Output
    from tb2csv.runs.decoded_rows import Rows
    from tb2csv.runs.series_reader import ReadRun


class BatchWriter:
    """A writer for runs whose rows are decoded together; it is used by one thread."""

    def __init__(self, output: Output, runs: Sequence[ReadRun]) -> None:
        """Prepare to write the rows of ``runs``."""
        #: The writer of each run, by its name.
        self.writers = {run.run.name: RunWriter(output, run) for run in runs}
        self._output = output

    def add(self, item: Rows | UndecodableValue) -> None:
        """Write rows of one run or of several."""
        if isinstance(item, UndecodableValue):
            self.writers[item.series.run].add(item)
            return
        part = item.part
        kind = part.kind or item.series[0].kind
        is_plain = not (part.is_log_wide or part.files) and self._output.options.times.is_stored
        if not is_plain or self._output.layout.joins(kind):
            for run, rows in _by_run(item):
                self.writers[run].add(rows)
            return
        # The rows of all runs go to their tables together: a call for each run costs more than writing its rows.
        for rows in item.in_parts():
            all_stretches = stretches(rows)
            targets = []
            for run, first, last in _runs(rows):
                writer = self.writers[run]
                placed = writer.place(part, rows.series[first:last], all_stretches[first:last], part.schema)
                targets += [target for _, target in placed]
            self._output.tree_writer().append(rows.part.frame, targets)


def _runs(rows: Rows) -> Iterator[tuple[str, int, int]]:
    """Yield each run, and the indexes of its first series and of the series after its last."""
    stop = 0
    for run, series in itertools.groupby(rows.series, key=lambda series: series.run):
        start, stop = stop, stop + sum(1 for _ in series)
        yield run, start, stop


def _by_run(rows: Rows) -> Iterator[tuple[str, Rows]]:
    """Yield the rows of each run."""
    for run, first, last in _runs(rows):
        yield run, rows.of_series(first, last)
