"""The tables of one run as polars frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tb2csv.display import count, displayed
from tb2csv.kind_methods import KindMethods, RunMethod
from tb2csv.report import Report
from tb2csv.selection import Patterns, literal_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

    from tb2csv.dataframes import LogdirFrames
    from tb2csv.runs.row_selection import RowSelection
    from tb2csv.series_info import SeriesInfo


@displayed(is_brief=True)
@dataclass(frozen=True, repr=False)
class RunFrames(KindMethods[RunMethod]):
    """The tables of one run; ``log[run]`` makes it. Methods and errors are those of LogdirFrames."""

    log: LogdirFrames
    name: str

    @staticmethod
    def _method_of(kind: str) -> Callable[..., pl.DataFrame | pl.LazyFrame]:
        def method(
            self: RunFrames, tag: Patterns = None, *, rows: RowSelection | None = None, lazy: bool = False
        ) -> pl.DataFrame | pl.LazyFrame:
            frame: pl.DataFrame | pl.LazyFrame = getattr(self.log, kind)(self._pattern, tag, rows=rows, lazy=lazy)
            return frame

        return method

    def __getitem__(self, tag: str) -> pl.DataFrame:
        """Return the table of the tag of this name; errors as of ``LogdirFrames.table``."""
        return self.log.table(self.name, tag)

    def table(self, tag: str, kind: str | None = None, *, rows: RowSelection | None = None) -> pl.DataFrame:
        """Return the table of one tag, as ``LogdirFrames.table``."""
        return self.log.table(self.name, tag, kind, rows=rows)

    def series(self, tag: Patterns = None, kind: Patterns = None) -> list[SeriesInfo]:
        """Return the selected time series, as ``LogdirFrames.series``."""
        return self.log.series(self._pattern, tag, kind)

    def tags(self, tag: Patterns = None, kind: Patterns = None) -> pl.DataFrame:
        """Return a row for each tag, as ``LogdirFrames.tags``."""
        return self.log.tags(self._pattern, tag, kind)

    def wide(
        self, tag: Patterns = None, *, rows: RowSelection | None = None, on_duplicate: str = "last"
    ) -> pl.DataFrame:
        """Return scalars side by side with a column for each tag, as ``LogdirFrames.wide``."""
        return self.log.wide(self._pattern, tag, rows=rows, on_duplicate=on_duplicate)

    def hparams(self, tag: Patterns = None, *, exclude_tag: Patterns = None) -> pl.DataFrame:
        """Return the trials of the run, as ``LogdirFrames.hparams``."""
        return self.log.hparams(self._pattern, tag, exclude_tag=exclude_tag)

    def sql(self, query: str) -> pl.DataFrame:
        """Return the rows that a SELECT statement over the tables of the run gives, as ``LogdirFrames.sql``."""
        return self.log.sql(query, run=self._pattern)

    @property
    def report(self) -> Report:
        """The report on the event files of the run; no value counts as written."""
        return Report([each for each in self.log.report.runs if each.run == self.name])

    @property
    def _pattern(self) -> str:
        return literal_pattern(self.name)

    def _display(self) -> Iterator[object]:
        yield f"<RunFrames {self.name!r} of {self.log.path!r}: {count(len(self.series()), 'tag')}>"
        yield self.tags()
