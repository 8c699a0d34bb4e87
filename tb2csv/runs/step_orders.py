"""Steps that repeat or go back within an event file, counted for each series in one pass over its values.

A series whose steps rise costs one comparison for each value. Steps that a second file repeats are a restart; see
restarts.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.late_modules import np
from tb2csv.notes import Note

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from tb2csv.notes import NoteKind
    from tb2csv.time_series import Series

#: Kinds whose values have no step of their own.
STEPLESS_KINDS: Final = frozenset({"hparams", "graphs", "custom_scalars"})


class StepOrder(NamedTuple):
    """The number of times that the steps of a series do not rise within a file."""

    #: The number of values with the same step as the value before.
    repeats: int
    #: The number of values with a smaller step than the value before.
    backs: int
    #: Whether any value has a step other than 0.
    has_steps: bool


_COLUMNS: Final = ("_last", "_file", "_repeats", "_backs", "_has_steps")


class StepOrders:
    """The orders of the steps of all series of a run."""

    def __init__(self) -> None:
        """Start before the first value."""
        self._last, self._file, self._repeats, self._backs = (np.empty(0, np.int64) for _ in range(4))
        self._has_steps = np.empty(0, np.bool_)
        #: Whether the steps of all series always rise, as in most logs.
        self.all_rise = True

    def add(
        self, numbers: Sequence[int], bounds: npt.NDArray[np.int64], step: npt.NDArray[np.int64], file: int
    ) -> None:
        """Add values of several series, one series after the other.

        Args:
            numbers: the number of each series.
            bounds: the index of the first value of each series, and the number of values.
            step: the step of each value.
            file: the number of the event file with these values, counted from 1.
        """
        series = np.array(numbers, np.int64)
        self._make_room(int(series.max()) + 1)
        starts = bounds[:-1]
        first = step[starts]
        before = np.where(self._file[series] == file, self._last[series], first - 1)
        last = step[bounds[1:] - 1]
        self._last[series], self._file[series] = last, file
        self._has_steps[series] |= (first != 0) | (last != 0)
        rises = np.empty(len(step), np.bool_)
        np.greater(step[1:], step[:-1], out=rises[1:])
        rises[starts] = first > before
        if rises.all():
            return
        self.all_rise = False
        rows = np.flatnonzero(~rises)
        owner = np.searchsorted(bounds, rows, side="right") - 1
        previous = np.where(rows == starts[owner], before[owner], step[rows - 1])
        is_back = step[rows] < previous
        np.add.at(self._backs, series[owner[is_back]], 1)
        np.add.at(self._repeats, series[owner[~is_back]], 1)
        self._has_steps[series[owner]] |= step[rows] != 0

    def to_data(self) -> list[list[Any]]:
        """Return the orders as data for JSON."""
        return [getattr(self, name).tolist() for name in _COLUMNS]

    @classmethod
    def from_data(cls, data: list[list[Any]]) -> StepOrders:
        """Return the orders that ``to_data`` described."""
        orders = cls()
        for name, column in zip(_COLUMNS, data, strict=True):
            setattr(orders, name, np.array(column, getattr(orders, name).dtype))
        orders.all_rise = not (orders._repeats.any() or orders._backs.any())
        return orders

    def order(self, number: int) -> StepOrder:
        """Return the order of the steps of a series, by its number."""
        if number >= len(self._last):
            return StepOrder(0, 0, has_steps=True)
        return StepOrder(int(self._repeats[number]), int(self._backs[number]), bool(self._has_steps[number]))

    def _make_room(self, size: int) -> None:
        missing = max(0, size - len(self._last))
        for name in _COLUMNS:
            column = getattr(self, name)
            setattr(self, name, np.concatenate((column, np.zeros(missing, column.dtype))))


def notes_on_steps(run: str, orders: Iterable[tuple[Series, StepOrder]], *, is_restarted: bool) -> list[Note]:
    """Return a note for each way in which the steps of a run do not rise within a file.

    If the run ``is_restarted``, another note reports it, and steps that go back get none.
    """
    odd = [
        (series.tag, order)
        for series, order in orders
        if series.kind not in STEPLESS_KINDS and (order.repeats or order.backs)
    ]
    found: list[tuple[NoteKind, list[tuple[str, int]]]] = [
        ("steps_missing", [(tag, order.repeats + 1) for tag, order in odd if not order.has_steps]),
        ("steps_repeated", [(tag, order.repeats) for tag, order in odd if order.has_steps and order.repeats]),
        ("steps_back", [(tag, order.backs) for tag, order in odd if order.backs and not is_restarted]),
    ]
    return [
        Note(kind, run, count=sum(count for _, count in counts), counts=tuple(counts))
        for kind, counts in found
        if counts
    ]
