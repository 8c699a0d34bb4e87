"""Which values of a run are asked for by their steps and their place in the log, and the session of each.

What is chosen is known before anything is decoded: the run is scanned once for the steps of its values, the plan is
made of whole columns, and only what it keeps is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np

from tb2csv.errors import OptionError, Tb2csvError
from tb2csv.runs.restarts import RESTART_POLICIES, sessions

if TYPE_CHECKING:
    import numpy.typing as npt

    from tb2csv.runs.restarts import RunHistory


class RowPlan(NamedTuple):
    """What to do with each summary value of a run, one element each in the order of the files."""

    keep: npt.NDArray[np.bool_]
    #: The session of each value, from 0; None where nobody asked.
    sessions: npt.NDArray[np.int32] | None


@dataclass(frozen=True, slots=True)
class RowSelection:
    """Which values of a time series to keep; all where nothing is given.

    Chosen in this order: by ``restarts`` (``keep``, ``purge`` or ``supersede``: see restarts.py); by step, from
    ``min_step`` to ``max_step``, both included; every n-th of what is left, beginning with the first; the last of what
    is left. ``sessions`` asks for a column that tells the session of each row.
    """

    min_step: int | None = None
    max_step: int | None = None
    every: int = 1
    last: bool = False
    restarts: str = "keep"
    sessions: bool = False

    def __post_init__(self) -> None:
        """Refuse what selects nothing or is no choice."""
        if self.restarts not in RESTART_POLICIES:
            message = f"There is no way {self.restarts!r} to treat restarts; give one of {', '.join(RESTART_POLICIES)}."
            raise OptionError(message)
        if self.every < 1:
            message = f"every is {self.every}; give at least 1, which keeps every row."
            raise OptionError(message)
        if None not in (self.min_step, self.max_step) and self.min_step > self.max_step:  # type: ignore[operator]
            message = f"The least step, {self.min_step}, is above the greatest, {self.max_step}; exchange them."
            raise OptionError(message)

    def raise_no_match(self) -> NoReturn:
        """Raise the error that no row is asked for."""
        message = "No rows are left after selecting steps; the list of series shows the first and last step of each."
        raise Tb2csvError(message)

    @property
    def is_everything(self) -> bool:
        """Whether all rows are kept, and none needs a session."""
        return self == RowSelection()

    def plan(self, history: RunHistory, tables: npt.NDArray[np.int32]) -> RowPlan:
        """Return what to do with each value of a run.

        ``tables`` tells the table of each, for a tag that changes its type has several, and ``every`` and ``last`` are
        about rows of a table; restarts are about tags.
        """
        keep = RESTART_POLICIES[self.restarts](history)
        if self.min_step is not None:
            keep &= history.step >= self.min_step
        if self.max_step is not None:
            keep &= history.step <= self.max_step
        if self.every > 1 or self.last:
            keep = self._thinned(keep, tables)
        return RowPlan(keep, sessions(history) if self.sessions else None)

    def _thinned(self, keep: npt.NDArray[np.bool_], tables: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Return which values are left when every n-th, or the last, of each table is kept of those in ``keep``."""
        rows = np.flatnonzero(keep)
        rows = rows[np.argsort(tables[rows], kind="stable")]
        counts = np.bincount(tables[rows])
        starts = np.cumsum(counts) - counts
        rank = np.arange(len(rows)) - np.repeat(starts, counts)
        chosen = rank % self.every == 0
        if self.last:
            left = np.repeat(-(-counts // self.every), counts)  # of each table, so many are chosen
            chosen &= rank // self.every == left - 1
        thinned = np.zeros(len(keep), np.bool_)
        thinned[rows[chosen]] = True
        return thinned
