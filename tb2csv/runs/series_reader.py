"""The protocol of readers of a run, which differ in the values that they choose and in the runs that they merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tb2csv.logdir import Run
    from tb2csv.runs.decoded_rows import Rows, UndecodableValue
    from tb2csv.runs.run_stats import RunStats
    from tb2csv.runs.step_orders import StepOrder
    from tb2csv.time_series import Series, SeriesStats


class SeriesReader(Protocol):
    """Reads a run once, and decodes its series.

    ``stats``, ``session_count`` and ``step_orders`` are complete when ``decode`` has yielded everything.
    """

    @property
    def run(self) -> Run:
        """The run."""

    @property
    def stats(self) -> RunStats:
        """What has been read so far."""

    @property
    def started(self) -> float:
        """The wall time of the first event in seconds since the epoch; infinity if it is not known."""

    @property
    def session_count(self) -> int:
        """How many sessions wrote values."""

    def stats_of(self, series: Series) -> SeriesStats:
        """Return what has been read so far of a series."""

    def step_orders(self) -> Iterator[tuple[Series, StepOrder]]:
        """Yield the series that have been decoded with their contents, and the order of their steps."""

    def decode(self, *, with_contents: bool = False) -> Iterator[Rows | UndecodableValue]:
        """Yield the rows of all selected series, each series' rows in the order of the files.

        Changes of plugin content are yielded as well if ``with_contents``, as rows of a table beside the series' own.
        """
