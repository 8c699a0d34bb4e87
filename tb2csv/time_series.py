"""Series, which are all values of one tag in one run that go into one table, and their statistics."""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, overload

_Number = TypeVar("_Number", int, float)


class TagAndKind(NamedTuple):
    """What is kept of a series after its run has been converted; runs with the same tags share these."""

    tag: str
    kind: str


class Tagged(Protocol):
    """A ``Series``, or what is kept of one."""

    @property
    def tag(self) -> str:
        """The text of the tag."""

    @property
    def kind(self) -> str:
        """The family of tables."""


class SeriesMetadata(NamedTuple):
    """The content of a SummaryMetadata, as text; all fields are empty if there is none."""

    plugin_name: str = ""
    display_name: str = ""
    description: str = ""
    plugin_content: bytes = b""


class Series(NamedTuple):
    """The values of one tag in one run that go into one table.

    Attributes:
        id: the number of the series, unique within the reader of its run: series are counted from 0 in the order of
            their first values.
        run: the run that the series is written to; for a sub-run that is merged, its parent.
        tag: the text of ``tag_bytes``.
        kind: the family of tables.
        plugin_name: the name on disk, or TensorBoard's name for a legacy value.
        metadata: the metadata of the first value that has any.
        tag_bytes: the tag on disk.
        signature: a text that determines the columns of its tables.
        variant: empty, unless the values of a tag do not fit into one table because their dtype or rank changes. Then
            it distinguishes the second table from the first.
    """

    id: int
    run: str
    tag: str
    kind: str
    plugin_name: str
    metadata: SeriesMetadata
    tag_bytes: bytes
    signature: str
    variant: str = ""

    def __hash__(self) -> int:
        """Return a hash of run and id only, which is fast to compute."""
        return hash((self.run, self.id))


class SeriesForm(NamedTuple):
    """What many series have in common: all but the tag and the id."""

    run: str
    kind: str
    plugin_name: str
    metadata: SeriesMetadata
    signature: str
    variant: str


class SeriesList(Protocol):
    """Series by number, which may be made when they are needed."""

    def __getitem__(self, number: int) -> Series:
        """Return a series."""

    def form(self, number: int) -> SeriesForm | Series:
        """Return what a series has in common with others."""


class SeriesByNumber(Protocol):
    """Series by number."""

    def __getitem__(self, number: int, /) -> Series:
        """Return a series."""


class StatsCells(NamedTuple):
    """The cells of a series in ``SeriesColumns``."""

    is_selected: bool
    #: The number of values.
    points: int = 0
    #: The number of values that a row selection leaves out.
    left_out: int = 0
    #: The number of selected values that cannot be decoded.
    undecodable: int = 0
    first_step: int = 0
    last_step: int = 0
    first_wall_time: float = math.nan
    last_wall_time: float = math.nan
    #: The index of the last value among all values of the run, in the order of the files.
    last_row: int = -1


class _Cell(Generic[_Number]):
    """An attribute that is a cell of the column of the same name."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, stats: SeriesStats, owner: type) -> _Number:
        cell: _Number = getattr(stats.columns, self._name)[stats.number]
        return cell

    def __set__(self, stats: SeriesStats, cell: _Number) -> None:
        getattr(stats.columns, self._name)[stats.number] = cell


class SeriesStats:
    """Statistics of a series so far: the number of values, and the first and the last in the order of the files.

    The attributes are those of ``StatsCells``.
    """

    __slots__ = ("columns", "number")

    points = _Cell[int]()
    left_out = _Cell[int]()
    undecodable = _Cell[int]()
    first_step = _Cell[int]()
    last_step = _Cell[int]()
    first_wall_time = _Cell[float]()
    last_wall_time = _Cell[float]()
    last_row = _Cell[int]()

    def __init__(self, columns: SeriesColumns, number: int) -> None:
        """Refer to the cells of the series ``number``."""
        self.columns = columns
        self.number = number

    @property
    def series(self) -> Series:
        """The series."""
        return self.columns.series[self.number]

    @property
    def form(self) -> SeriesForm | Series:
        """What the series has in common with others, which takes less time than the series."""
        return self.columns.series.form(self.number)

    @property
    def is_selected(self) -> bool:
        """Whether the series is selected."""
        return bool(self.columns.is_selected[self.number])


class SeriesColumns(Sequence[SeriesStats]):
    """The statistics of several series by number, in columns, because a log may have a million tags.

    A thread may append series while another thread uses those that are there.
    """

    def __init__(self, series: SeriesList) -> None:
        """Start without statistics; ``series`` has each series by the time its statistics are appended."""
        self.series = series
        self.is_selected: array[int] = array("b")
        self.points, self.left_out, self.undecodable = array("q"), array("q"), array("q")
        self.first_step, self.last_step, self.last_row = array("q"), array("q"), array("q")
        self.first_wall_time, self.last_wall_time = array("d"), array("d")
        self._columns: list[array[Any]] = [getattr(self, name) for name in StatsCells._fields]

    def append(self, cells: StatsCells) -> None:
        """Append the statistics of a series."""
        # In reverse, because the length is that of the first column.
        for column, cell in zip(reversed(self._columns), reversed(cells), strict=True):
            column.append(cell)

    @overload
    def __getitem__(self, number: int) -> SeriesStats: ...

    @overload
    def __getitem__(self, number: slice) -> list[SeriesStats]: ...

    def __getitem__(self, number: int | slice) -> SeriesStats | list[SeriesStats]:
        """Return the statistics of a series, or of several."""
        if isinstance(number, slice):
            return [SeriesStats(self, each) for each in range(len(self))[number]]
        if not 0 <= number < len(self):
            raise IndexError(number)
        return SeriesStats(self, number)

    def __iter__(self) -> Iterator[SeriesStats]:
        """Yield the statistics of each series."""
        return map(SeriesStats, itertools.repeat(self), range(len(self)))

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self.is_selected)
