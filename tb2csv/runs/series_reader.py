"""The protocol of readers of a run: RunReader, FilteredRun and MergedRun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tb2csv.logdir import Run
    from tb2csv.runs.decoded_rows import Rows, UndecodableValue
    from tb2csv.runs.run_stats import RunStats
    from tb2csv.runs.step_orders import StepOrder
    from tb2csv.time_series import Series, SeriesStats


class ReadRun(Protocol):
    """The facts about a run after its values have been read. RunBatch has one for each of its runs.

    ``stats``, ``session_count`` and ``step_orders`` are complete after the last rows of the run.
    """

    @property
    def run(self) -> Run:
        """The run."""

    @property
    def stats(self) -> RunStats:
        """The statistics of everything that has been read so far."""

    @property
    def started(self) -> float:
        """The wall time of the first event in seconds since the epoch; infinity if it is not known."""

    @property
    def session_count(self) -> int:
        """The number of sessions that wrote values."""

    def stats_of(self, series: Series) -> SeriesStats:
        """Return the statistics of a series so far."""

    def step_orders(self) -> Iterator[tuple[Series, StepOrder]]:
        """Yield each series that was decoded with its plugin contents, and the order of its steps.

        Series may be missing if the steps of all series always rise.
        """


class SeriesReader(ReadRun, Protocol):
    """A reader that reads a run once and decodes its series.

    RunReader reads all values, FilteredRun those of a row selection, and MergedRun also those of sub-runs.
    """

    def decode(self, *, with_contents: bool = False) -> Generator[Rows | UndecodableValue, None, None]:
        """Yield the rows of all selected series, each series' rows in the order of the files.

        With ``with_contents``, changes of plugin content are yielded as well, as rows of side tables.
        """
