"""Selection of the values of a run by step, by position in the log and by session.

The run is scanned once for the steps of its values. The selection works on whole columns, and only selected values are
decoded.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from tb2csv.errors import NameNotFoundError, OptionError, check_choice
from tb2csv.late_modules import np
from tb2csv.runs.restarts import RESTART_POLICIES, sessions

if TYPE_CHECKING:
    import numpy.typing as npt

    from tb2csv.runs.restarts import RunHistory


class RowPlan(NamedTuple):
    """The selected summary values of a run: arrays with one element for each value, in the order of the files."""

    keep: npt.NDArray[np.bool_]
    #: The session of each value, from 0; None if the sessions are not selected.
    sessions: npt.NDArray[np.int32] | None


@dataclass(frozen=True, slots=True)
class RowSelection:
    """The values of a time series to keep; by default all.

    The filters are applied in this order: ``restarts`` (``keep``, ``purge`` or ``supersede``: see restarts.py); the
    steps from ``min_step`` to ``max_step``, both included; every n-th of the remaining values, beginning with the
    first; the last of the remaining values. With ``sessions``, the tables get a column with the session of each row.
    """

    min_step: int | None = None
    max_step: int | None = None
    every: int = 1
    last: bool = False
    restarts: str = "keep"
    sessions: bool = False

    def __post_init__(self) -> None:
        """Validate the values."""
        check_choice("restart policy", self.restarts, RESTART_POLICIES)
        for name in ("min_step", "max_step", "every"):
            value = getattr(self, name)
            if value is None and name != "every":
                continue
            try:
                operator.index(value)
            except TypeError:
                message = f"{name} is {value!r}; it must be a whole number."
                raise OptionError(message) from None
        if self.every < 1:
            message = f"every ({self.every}) is less than 1; 1 keeps every row."
            raise OptionError(message)
        if None not in (self.min_step, self.max_step) and self.min_step > self.max_step:  # type: ignore[operator]
            message = f"The minimum step, {self.min_step}, is greater than the maximum step, {self.max_step}."
            raise OptionError(message)

    @classmethod
    def of(cls, rows: RowSelection | None) -> RowSelection:
        """Return the argument ``rows`` of a public function; None keeps everything.

        Raises:
            OptionError: it is of another type.
        """
        if rows is None:
            return cls()
        if not isinstance(rows, cls):
            message = f"rows is {rows!r}; give a RowSelection, such as tb2csv.RowSelection(every=10)."
            raise OptionError(message)
        return rows

    def raise_no_match(self) -> NoReturn:
        """Raise the error for a selection that leaves no rows."""
        message = "No rows are left after filtering by step; the list of series shows the first and last step of each."
        raise NameNotFoundError(message)

    @property
    def is_everything(self) -> bool:
        """Whether all rows are kept, without their sessions."""
        return self == RowSelection()


def row_plan(rows: RowSelection, history: RunHistory, tables: npt.NDArray[np.int32]) -> RowPlan:
    """Return the selected values of a run.

    ``tables`` has the number of each value's table. A tag that changes its type has several tables; ``every`` and
    ``last`` apply to each table, ``restarts`` to the tag.
    """
    keep = RESTART_POLICIES[rows.restarts](history)
    if rows.min_step is not None:
        keep &= history.step >= rows.min_step
    if rows.max_step is not None:
        keep &= history.step <= rows.max_step
    if rows.every > 1 or rows.last:
        keep = _thinned(rows, keep, tables)
    return RowPlan(keep, sessions(history) if rows.sessions else None)


def _thinned(
    selection: RowSelection, keep: npt.NDArray[np.bool_], tables: npt.NDArray[np.int32]
) -> npt.NDArray[np.bool_]:
    """Return ``keep`` reduced to every n-th value of each table, or to the last of those."""
    rows = np.flatnonzero(keep)
    rows = rows[np.argsort(tables[rows], kind="stable")]
    counts = np.bincount(tables[rows])
    starts = np.cumsum(counts) - counts
    rank = np.arange(len(rows)) - np.repeat(starts, counts)
    chosen = rank % selection.every == 0
    if selection.last:
        left = np.repeat(-(-counts // selection.every), counts)  # the number of chosen values of each table
        chosen &= rank // selection.every == left - 1
    thinned = np.zeros(len(keep), np.bool_)
    thinned[rows[chosen]] = True
    return thinned
