"""A reader of a run that decodes only the rows of a row selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.runs.series_reader import SeriesReader

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tb2csv.logdir import Run
    from tb2csv.runs.decoded_rows import Rows, UndecodableValue
    from tb2csv.runs.row_selection import RowSelection
    from tb2csv.runs.run_stats import RunStats
    from tb2csv.runs.scanned_run import ScannedRun
    from tb2csv.runs.step_orders import StepOrder
    from tb2csv.time_series import Series, SeriesStats


class FilteredRun(SeriesReader):
    """A reader that scans a run, and then decodes the rows of a row selection.

    The selection depends on the steps of all values, so the whole run is scanned first.
    """

    def __init__(self, scanned: ScannedRun, rows: RowSelection, report_bytes: Callable[[int], None]) -> None:
        """Prepare to read ``rows`` of a run that is not scanned yet.

        ``report_bytes`` is called with the number of bytes read since the last call.
        """
        self._scanned = scanned
        self._rows = rows
        self._report_bytes = report_bytes

    @property
    def run(self) -> Run:
        """The run."""
        return self._scanned.run

    @property
    def stats(self) -> RunStats:
        """The statistics of everything that has been read so far."""
        return self._scanned.stats

    @property
    def started(self) -> float:
        """The wall time of the run's first event in seconds since the epoch; infinity if it is not known."""
        return self._scanned.reader.started

    @property
    def session_count(self) -> int:
        """The number of sessions that wrote values."""
        return self._scanned.reader.session_count

    def stats_of(self, series: Series) -> SeriesStats:
        """Return the statistics of a series so far."""
        return self._scanned.reader.stats_of(series)

    def step_orders(self) -> Iterator[tuple[Series, StepOrder]]:
        """Yield each series that was decoded with its plugin contents, and the order of its steps."""
        return self._scanned.reader.step_orders()

    def decode(self, *, with_contents: bool = False) -> Generator[Rows | UndecodableValue, None, None]:
        """Read the run, and yield the selected rows of all selected series.

        If a file becomes unreadable between the scan and the decoding, its values are yielded as undecodable, and the
        file is reported as damaged.
        """
        self._scanned.refresh(report_bytes=self._report_bytes)
        yield from self._scanned.decode(
            lambda series: self.stats_of(series).is_selected,
            self._rows,
            self._report_bytes,
            skip_unreadable=True,
            with_contents=with_contents,
        )
