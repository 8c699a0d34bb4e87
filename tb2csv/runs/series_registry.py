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
        self._first_signatures: dict[tuple[bytes, str, bool], str] = {}

    def register(self, series: Series, *, is_selected: bool) -> SeriesStats:
        """Return the statistics of a new series, which gets the next id.

        It also gets a variant if the first series of its tag and kind has another signature. Series that are not
        selected have no tables, and do not affect the variants of others.
        """
        key = (series.tag_bytes, series.kind, is_selected)
        first = self._first_signatures.setdefault(key, series.signature)
        variant = "" if series.signature == first else series.signature
        stats = SeriesStats(replace(series, id=len(self.stats), variant=variant), is_selected)
        self.stats.append(stats)
        return stats

    def restore(self, saved: SeriesStats) -> SeriesStats:
        """Register a series of an earlier reading, and return its statistics with the earlier counts."""
        stats = self.register(saved.series, is_selected=saved.is_selected)
        self.stats[-1] = replace(saved, series=stats.series)
        return self.stats[-1]
