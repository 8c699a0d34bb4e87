"""The steps at which tensors, histograms and statistics of a family, such as gradients, are recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tb2csv.recorders.arguments import interval
from tb2csv.recorders.tensor_statistics import STATISTICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.output_errors import Samples

#: Steps whose statistics wait to be written together.
WAITING_STEPS: Final = 64


@dataclass(frozen=True, slots=True)
class RecordingPlan:
    """The intervals, in steps, at which tensors, histograms and statistics of a family are recorded; 0 is never.

    ``family`` is the first part of the tags, such as ``weights``.
    """

    family: str
    tensors: int
    histograms: int
    statistics: int

    @classmethod
    def of(
        cls,
        family: str,
        *,
        tensors: int | None = None,
        histograms: int | None = None,
        statistics: int | None = None,
    ) -> RecordingPlan:
        """Return a plan from the arguments of a recorder, whose names begin with the family: ``weights_every``, ….

        Raises:
            RecorderError: an argument is not valid.
        """
        one = family.removesuffix("s")
        return cls(
            family,
            interval(f"{family}_every", tensors),
            interval(f"{one}_histograms_every", histograms),
            interval(f"{one}_statistics_every", statistics),
        )

    @property
    def every(self) -> tuple[int, ...]:
        """The intervals that are not 0."""
        return tuple(every for every in (self.tensors, self.histograms, self.statistics) if every)

    def is_due(self, step: int) -> bool:
        """Return whether anything is recorded at a step."""
        return any(step % every == 0 for every in self.every)

    def wants_values(self, step: Any) -> Any:
        """Return whether the values themselves are needed at a step; for a tensor, return a tensor."""
        intervals = [every for every in (self.tensors, self.histograms) if every]
        answer = step < 0
        for every in intervals:
            answer |= step % every == 0
        return answer

    def write_values(
        self, log: EventWriter, step: int, names: Sequence[str], values: Sequence[npt.NDArray[Any]], wall_time: float
    ) -> None:
        """Write tensors and histograms that are due at a step."""
        for name, value in zip(names, values, strict=True):
            if due(step, self.tensors):
                log.tensor(step, f"{self.family}/{name}", value, wall_time=wall_time)
            if due(step, self.histograms):
                log.histogram(step, f"{self.family}/{name}/histogram", value, wall_time=wall_time)

    def write_statistics(
        self,
        log: EventWriter,
        steps: Sequence[int],
        names: Sequence[str],
        statistics: npt.NDArray[np.float32],
        wall_times: Sequence[float],
    ) -> None:
        """Write statistics, [steps, names, STATISTICS], of steps at which they were due."""
        tags = [f"{self.family}/{name}/{statistic}" for name in names for statistic in STATISTICS]
        log.scalar_rows(tags, steps, statistics.reshape(len(steps), -1), wall_times)


@dataclass(frozen=True, slots=True)
class FitPlan:
    """What is recorded inside the train steps of Keras' ``fit``."""

    gradients: RecordingPlan
    activations: RecordingPlan
    #: In batches; 0 is never.
    layer_errors_every: int
    #: The names of the layers whose outputs and errors are recorded; None for all.
    layers: Sequence[str] | None
    #: Whether the errors of a layer are those of each sample, or their sum.
    samples: Samples

    @property
    def has_outputs(self) -> bool:
        """Whether anything is taken from the outputs of layers."""
        return bool(self.activations.every or self.layer_errors_every)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is recorded."""
        return not (self.gradients.every or self.has_outputs)


def due(step: int, every: int) -> bool:
    """Return whether a step is a multiple of ``every``; never if that is 0."""
    return bool(every) and step % every == 0
