"""Scalar series of a run as numpy columns, with counts of steps that go back or repeat.

Most logs have scalars only; a single frame of all series would have to be sorted and grouped by tag again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tb2csv.analysis.diagnosis.tag_families import SCALARS
from tb2csv.late_modules import np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_Number = TypeVar("_Number", "np.int64", "np.float64")


@dataclass(slots=True)
class StepCount:
    """A number of events, and the first and last step at which they happened."""

    count: int = 0
    first_step: int = 0
    last_step: int = 0

    def add(self, steps: npt.NDArray[np.int64]) -> None:
        """Add events at these steps."""
        if not steps.size:
            return
        lowest, highest = int(steps.min()), int(steps.max())
        self.first_step = min(self.first_step, lowest) if self.count else lowest
        self.last_step = max(self.last_step, highest) if self.count else highest
        self.count += steps.size


@dataclass(slots=True)
class ScalarSeries:
    """The values of one tag in the order of the log.

    A scalar of the family SCALARS keeps only its NaN and infinite values in ``step`` and ``value``; ``points`` counts
    all values. ``steps_back`` counts values with a smaller step than the value before. ``steps_repeated`` counts values
    that differ from the value before and have the same step.
    """

    run: str
    family: str
    tag: str
    points: int = 0
    steps_back: StepCount = field(default_factory=StepCount)
    steps_repeated: StepCount = field(default_factory=StepCount)
    _steps: list[npt.NDArray[np.int64]] = field(default_factory=list)
    _values: list[npt.NDArray[np.float64]] = field(default_factory=list)
    _last: tuple[int, float] | None = None

    def add(self, step: npt.NDArray[np.int64], value: npt.NDArray[Any]) -> None:
        """Add consecutive values of any real type. Both columns are copied; their shape is ``(values,)``."""
        if not step.size:
            return
        value = value.astype(np.float64)
        self._count_irregular_steps(step, value)
        self.points += step.size
        if self.family == SCALARS:
            is_kept = ~np.isfinite(value)
            step, value = step[is_kept], value[is_kept]
        self._steps.append(step.copy())
        self._values.append(value)

    def _count_irregular_steps(self, step: npt.NDArray[np.int64], value: npt.NDArray[np.float64]) -> None:
        if self._last is not None:
            step = np.concatenate([np.array(self._last[:1], np.int64), step])
            value = np.concatenate([np.array(self._last[1:], np.float64), value])
        self._last = int(step[-1]), float(value[-1])
        later, before = step[1:], step[:-1]
        if not (later <= before).any():
            return
        self.steps_back.add(later[later < before])
        # Some loggers repeat a value whenever they write another one of its group. Equal repetitions lose nothing.
        is_different = (value[1:] != value[:-1]) & ~(np.isnan(value[1:]) & np.isnan(value[:-1]))
        self.steps_repeated.add(later[(later == before) & is_different])

    @property
    def step(self) -> npt.NDArray[np.int64]:
        """The steps of the kept values."""
        return _merged(self._steps)

    @property
    def value(self) -> npt.NDArray[np.float64]:
        """The kept values."""
        return _merged(self._values)

    def finite(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return steps and values without NaN and infinity."""
        step, value = self.step, self.value
        is_finite = np.isfinite(value)
        return (step, value) if is_finite.all() else (step[is_finite], value[is_finite])


def _merged(parts: list[npt.NDArray[_Number]]) -> npt.NDArray[_Number]:
    """Concatenate the parts, and replace them with the result."""
    if len(parts) > 1:
        parts[:] = [np.concatenate(parts)]
    return parts[0]


def step_count(series: Sequence[ScalarSeries]) -> int:
    """Return the number of distinct steps of all series together."""
    first = series[0].step
    if (np.diff(first) > 0).all() and all(np.array_equal(first, other.step) for other in series[1:]):
        return first.size
    return np.unique(np.concatenate([each.step for each in series])).size
