"""The series of a run, each with its id and its variant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tb2csv.time_series import SeriesStats

if TYPE_CHECKING:
    from tb2csv.time_series import Series


class SeriesRegistry:
    """A registry that assigns ids and variants to the series of a run; the readers of merged runs share one.

    Such readers read one after the other. A thread that reads ahead may register series while another thread uses
    series that were registered before.
    """

    def __init__(self) -> None:
        """Start without series."""
        #: By the id of the series.
        self.stats: list[SeriesStats] = []
        #: The first series of each tag, and the others.
        self._first: dict[bytes, SeriesStats] = {}
        self._others: dict[bytes, list[SeriesStats]] = {}

    def register(self, series: Series, *, is_selected: bool) -> SeriesStats:
        """Return the statistics of a new series, which gets the next id.

        It also gets a variant if the first series of its tag and kind has another signature. Series that are not
        selected have no tables, and do not affect the variants of others.
        """
        variant = self._variant(series, is_selected=is_selected)
        stats = SeriesStats(replace(series, id=len(self.stats), variant=variant), is_selected)
        self._add(stats)
        return stats

    def _variant(self, series: Series, *, is_selected: bool) -> str:
        first = self._first.get(series.tag_bytes)
        if first is not None:
            for each in (first, *self._others.get(series.tag_bytes, ())):
                if each.series.kind == series.kind and each.is_selected == is_selected:
                    return "" if series.signature == each.series.signature else series.signature
        return ""

    def _add(self, stats: SeriesStats) -> None:
        tag = stats.series.tag_bytes
        self.stats.append(stats)
        if self._first.setdefault(tag, stats) is not stats:
            self._others.setdefault(tag, []).append(stats)

    def restore(self, saved: SeriesStats) -> SeriesStats:
        """Register a series of an earlier reading, and return its statistics with the earlier counts."""
        series = replace(
            saved.series,
            id=len(self.stats),
            variant=self._variant(saved.series, is_selected=saved.is_selected),
        )
        stats = replace(saved, series=series)
        self._add(stats)
        return stats
