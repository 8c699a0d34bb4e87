"""The clocks of tags: whether tags of one run count different things as their steps, such as batches and epochs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.notes import Note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tb2csv.layouts.held_tables import HeldTable

#: Tags whose steps advance this many times as fast as those of another tag have another clock.
_FASTER: Final = 1.8


class _Clock(NamedTuple):
    """How fast the steps of a tag advance, in steps per second, and its first and last wall time."""

    rate: float
    tag: str
    start: float
    stop: float

    @property
    def seconds(self) -> float:
        return self.stop - self.start


def notes_on_clocks(members: Iterable[HeldTable]) -> Iterator[Note]:
    """Yield a note for each run whose series, which share rows by step, have different clocks.

    Steps of one clock advance equally fast at any time. Series that cover less than half of the time of the
    longest one are not compared, because a training may change its speed.
    """
    by_run: dict[str, list[_Clock]] = {}
    for member in members:
        if clock := _clock_of(member):
            by_run.setdefault(member.series.run, []).append(clock)
    for run, clocks in by_run.items():
        slow, fast = _extremes(clocks)
        if fast.rate >= _FASTER * slow.rate:
            details = {"slow": slow.tag, "fast": fast.tag, "times": fast.rate / slow.rate}
            yield Note("clocks_differ", run, details=details)


def _extremes(clocks: Sequence[_Clock]) -> tuple[_Clock, _Clock]:
    """Return the slowest and the fastest of the clocks that can be compared."""
    longest = max(clocks, key=lambda clock: clock.seconds)
    compared = [
        clock
        for clock in clocks
        if min(clock.stop, longest.stop) - max(clock.start, longest.start) >= longest.seconds / 2
    ]
    return min(compared), max(compared)


def _clock_of(member: HeldTable) -> _Clock | None:
    entry = member.table.entry
    if entry.first_step is None or entry.last_step is None or entry.first_wall_time is None:
        return None
    start, stop = entry.first_wall_time, entry.last_wall_time
    steps = entry.last_step - entry.first_step
    if stop is None or not math.isfinite(stop - start) or stop <= start or steps <= 0:
        return None
    return _Clock(steps / (stop - start), member.series.tag, start, stop)
