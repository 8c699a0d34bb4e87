"""The series of a run, each with its id and its variant."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from tb2csv.event_files.scanners import NameTable
from tb2csv.runs.series_metadata import readable
from tb2csv.time_series import Series, SeriesColumns, SeriesForm, SeriesStats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tb2csv.time_series import SeriesByNumber, StatsCells


class _TagIds:
    """The tags of a run, and the ids of the series of each."""

    def __init__(self) -> None:
        self._tags = NameTable()
        #: The id of the first series of each tag, or -1, and the ids of the others.
        self._first = array("i")
        self._others: dict[int, list[int]] = {}

    def number(self, tag: bytes) -> int:
        """Return the number of a tag."""
        number = self._tags.intern(tag)
        if number == len(self._first):
            self._first.append(-1)
        return number

    def tag(self, number: int) -> bytes:
        """Return the tag with a number."""
        return self._tags.key(number)

    def ids(self, number: int) -> Sequence[int]:
        """Return the ids of the series of a tag."""
        first = self._first[number]
        return () if first < 0 else (first, *self._others.get(number, ()))

    def add(self, number: int, series_id: int) -> None:
        """Add the id of a series of a tag."""
        if self._first[number] < 0:
            self._first[number] = series_id
        else:
            self._others.setdefault(number, []).append(series_id)


class _CompactSeries:
    """Series by id, made when they are needed."""

    def __init__(self, tags: _TagIds) -> None:
        """Start without series."""
        self._tags = tags
        self._tag_of, self._form_of = array("i"), array("i")
        self._form_numbers: dict[SeriesForm, int] = {}
        self._forms: list[SeriesForm] = []
        #: The texts of tags that are not the readable text of their bytes.
        self._texts: dict[int, str] = {}

    def append(self, series: Series, variant: str) -> None:
        """Append a series, which gets an id and a variant."""
        form = SeriesForm(series.run, series.kind, series.plugin_name, series.metadata, series.signature, variant)
        number = self._form_numbers.setdefault(form, len(self._forms))
        if number == len(self._forms):
            self._forms.append(form)
        if readable(series.tag_bytes) != series.tag:
            self._texts[len(self)] = series.tag
        self._tag_of.append(self._tags.number(series.tag_bytes))
        self._form_of.append(number)

    def form(self, series_id: int) -> SeriesForm:
        """Return what a series has in common with others."""
        return self._forms[self._form_of[series_id]]

    def __getitem__(self, series_id: int) -> Series:
        """Return a series."""
        run, kind, plugin_name, metadata, signature, variant = self.form(series_id)
        tag = self._tags.tag(self._tag_of[series_id])
        text = self._texts[series_id] if series_id in self._texts else readable(tag)
        return Series(series_id, run, text, kind, plugin_name, metadata, tag, signature, variant)

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self._form_of)


class SeriesRegistry:
    """A registry that assigns ids and variants to the series of a run; the readers of merged runs share one.

    Such readers read one after the other. A thread that reads ahead may register series while another thread uses
    series that were registered before. A log may have a million tags, so there are no objects that a series keeps.
    """

    def __init__(self) -> None:
        """Start without series."""
        self._tags = _TagIds()
        self._series = _CompactSeries(self._tags)
        #: The statistics of each series, by id.
        self.stats = SeriesColumns(self._series)

    def ids(self, tag: bytes) -> Sequence[int]:
        """Return the ids of the series of a tag."""
        return self._tags.ids(self._tags.number(tag))

    def key(self, series_id: int) -> tuple[str, str]:
        """Return the kind and the signature of a series, which distinguish it from others of its tag."""
        form = self._series.form(series_id)
        return form.kind, form.signature

    def register(self, series: Series, cells: StatsCells) -> None:
        """Add a series with the next id.

        It also gets a variant if the first series of its tag and kind has another signature. Series that are not
        selected have no tables, and do not affect the variants of others.
        """
        series_id = len(self.stats)
        self._series.append(series, self._variant(series, is_selected=cells.is_selected))
        self._tags.add(self._tags.number(series.tag_bytes), series_id)
        self.stats.append(cells)

    def _variant(self, series: Series, *, is_selected: bool) -> str:
        for each in self.ids(series.tag_bytes):
            kind, signature = self.key(each)
            if kind == series.kind and self.stats.is_selected[each] == is_selected:
                return "" if series.signature == signature else series.signature
        return ""


class ReaderSeries(Sequence[SeriesStats]):
    """The series of one reader by number: a stretch of those of the registry."""

    def __init__(self, registry: SeriesRegistry) -> None:
        """Start without series."""
        self.registry = registry
        #: The id of the first series.
        self.first_id = 0
        self._count = 0

    def register(self, series: Series, cells: StatsCells) -> int:
        """Register a series and return its number."""
        if not self._count:
            self.first_id = len(self.registry.stats)
        self.registry.register(series, cells)
        self._count += 1
        return self._count - 1

    def key(self, number: int) -> tuple[str, str]:
        """Return the kind and the signature of a series."""
        return self.registry.key(self.first_id + number)

    def numbers(self, tag: bytes) -> list[int]:
        """Return the numbers of the series of a tag."""
        if not self._count:
            return []
        return [each - self.first_id for each in self.registry.ids(tag) if each >= self.first_id]

    @overload
    def __getitem__(self, number: int) -> SeriesStats: ...

    @overload
    def __getitem__(self, number: slice) -> list[SeriesStats]: ...

    def __getitem__(self, number: int | slice) -> SeriesStats | list[SeriesStats]:
        """Return the statistics of a series, or of several."""
        if isinstance(number, slice):
            return [self[each] for each in range(self._count)[number]]
        if not 0 <= number < self._count:
            raise IndexError(number)
        return SeriesStats(self.registry.stats, self.first_id + number)

    def __iter__(self) -> Iterator[SeriesStats]:
        """Yield the statistics of each series."""
        ids = range(self.first_id, self.first_id + self._count)
        return map(SeriesStats, itertools.repeat(self.registry.stats), ids)

    def __len__(self) -> int:
        """Return the number of series."""
        return self._count


class _SeriesOf:
    def __init__(self, every: Sequence[SeriesStats]) -> None:
        self._every = every

    def __getitem__(self, number: int, /) -> Series:
        return self._every[number].series


def without_statistics(every: Sequence[SeriesStats]) -> SeriesByNumber:
    """Return the series by number; if they are all those of a registry, they do not keep the statistics in memory."""
    columns = every.registry.stats if isinstance(every, ReaderSeries) and not every.first_id else every
    return columns.series if isinstance(columns, SeriesColumns) else _SeriesOf(every)
