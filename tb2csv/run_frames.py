"""The tables of one run as polars frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tb2csv.selection import Patterns, literal_pattern

if TYPE_CHECKING:
    import polars as pl

    from tb2csv.dataframes import LogdirFrames
    from tb2csv.runs.row_selection import RowSelection


@dataclass(frozen=True, slots=True, repr=False)
class RunFrames:
    """The tables of one run; ``log[run]`` makes it. Methods and errors are those of LogdirFrames."""

    log: LogdirFrames
    name: str

    def __getitem__(self, tag: str) -> pl.DataFrame:
        """Return the table of the tag of this name; errors as of ``LogdirFrames.table``."""
        return self.log.table(self.name, tag)

    def table(self, tag: str, kind: str | None = None, *, rows: RowSelection | None = None) -> pl.DataFrame:
        """Return the table of one tag, as ``LogdirFrames.table``."""
        return self.log.table(self.name, tag, kind, rows=rows)

    def tags(self, tag: Patterns = None, kind: Patterns = None) -> pl.DataFrame:
        """Return a row for each tag, as ``LogdirFrames.tags``."""
        return self.log.tags(self._pattern, tag, kind)

    def scalars(self, tag: Patterns = None, *, rows: RowSelection | None = None) -> pl.DataFrame:
        """Return scalars, as ``LogdirFrames.scalars``."""
        return self.log.scalars(self._pattern, tag, rows=rows)

    def histograms(self, tag: Patterns = None, *, rows: RowSelection | None = None) -> pl.DataFrame:
        """Return histograms, as ``LogdirFrames.histograms``."""
        return self.log.histograms(self._pattern, tag, rows=rows)

    def tensors(self, tag: Patterns = None, *, rows: RowSelection | None = None) -> pl.DataFrame:
        """Return tensors, as ``LogdirFrames.tensors``."""
        return self.log.tensors(self._pattern, tag, rows=rows)

    def text(self, tag: Patterns = None, *, rows: RowSelection | None = None) -> pl.DataFrame:
        """Return texts, as ``LogdirFrames.text``."""
        return self.log.text(self._pattern, tag, rows=rows)

    def images(self, tag: Patterns = None, *, rows: RowSelection | None = None) -> pl.DataFrame:
        """Return images, as ``LogdirFrames.images``."""
        return self.log.images(self._pattern, tag, rows=rows)

    def audio(self, tag: Patterns = None, *, rows: RowSelection | None = None) -> pl.DataFrame:
        """Return audio clips, as ``LogdirFrames.audio``."""
        return self.log.audio(self._pattern, tag, rows=rows)

    def graphs(self, tag: Patterns = None, *, rows: RowSelection | None = None) -> pl.DataFrame:
        """Return graphs, as ``LogdirFrames.graphs``."""
        return self.log.graphs(self._pattern, tag, rows=rows)

    def pr_curves(self, tag: Patterns = None, *, rows: RowSelection | None = None) -> pl.DataFrame:
        """Return precision-recall curves, as ``LogdirFrames.pr_curves``."""
        return self.log.pr_curves(self._pattern, tag, rows=rows)

    def wide(
        self, tag: Patterns = None, *, rows: RowSelection | None = None, on_duplicate: str = "last"
    ) -> pl.DataFrame:
        """Return scalars side by side with a column for each tag, as ``LogdirFrames.wide``."""
        return self.log.wide(self._pattern, tag, rows=rows, on_duplicate=on_duplicate)

    @property
    def _pattern(self) -> str:
        return literal_pattern(self.name)

    def __repr__(self) -> str:
        """Return the name of the run and of its log directory."""
        return f"<RunFrames {self.name!r} of {self.log.path!r}>"
