"""The fits that recorders follow: one call of ``model.fit``, with or without a train function of the recorder's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tb2csv.recorders.optimizers import learning_rates, trained_batches

if TYPE_CHECKING:
    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.recording_plan import FitPlan
    from tb2csv.recorders.train_function import RecordedTrainFunction


class Fit:
    """The count of the batches of a ``fit`` in whose train steps nothing is recorded, and its learning rates."""

    def __init__(self, log: EventWriter, model: Any) -> None:
        """Follow a compiled model that is about to train."""
        self._log = log
        self._model = model
        #: The number of a batch minus the optimizer's number of it.
        self._ahead = 0
        #: Those that the current batch is trained with, by name.
        self.learning_rates: dict[str, Any] = {}

    def resume(self) -> bool:
        """Continue with another ``fit`` of the same compiled model; return whether it is the same."""
        return False

    def begin(self, step: int) -> None:
        """Begin with the next batch; ``step`` batches were done before."""
        self._ahead = step - trained_batches(self._model)

    def announce(self) -> None:
        """Announce the start of a batch, or of several in one call."""
        self.learning_rates = learning_rates(self._model)

    def batches_done(self, before: int) -> int:
        """Return the number of the batch that ended last; ``before`` is the one before this call of the train step."""
        if self._model.steps_per_execution == 1:
            return before + 1
        return max(before + 1, trained_batches(self._model) + self._ahead)

    def after(self, steps: range, wall_time: float) -> None:
        """Write what is due after these batches."""

    def write(self) -> None:
        """Write all pending data."""

    def finish(self) -> None:
        """Write all pending data, close the file, and give the model back its train function."""
        self.write()
        self._log.close()


class RecordedFit(Fit):
    """A ``fit`` whose batches run in a train function of the recorder's own, which counts them."""

    #: Set by each backend.
    _function: RecordedTrainFunction

    def __init__(self, log: EventWriter, model: Any, plan: FitPlan) -> None:
        """Follow a compiled model that is about to train."""
        super().__init__(log, model)
        self._plan = plan
        #: Whether an optimizer of the model applied gradients in a train step.
        self._has_updates = False
        #: The number of the batch before the fit, and of the one that runs, or that ended last.
        self._first = 0
        self._batch: Any = 0

    def resume(self) -> bool:
        """Continue with another ``fit`` of the same compiled model; return whether it is the same."""
        return self._function.resume()

    def begin(self, step: int) -> None:
        """Begin with the next batch; ``step`` batches were done before."""
        self._first = self._batch = step

    def announce(self) -> None:
        """Announce the start of a batch, or of several in one call, which the model then runs in this function."""
        super().announce()
        self._function.announce()

    def batches_done(self, before: int) -> int:
        """Return the number of the batch that ended last."""
        return int(self._batch)

    def finish(self) -> None:
        """Write all pending data, close the file, and give the model back its train function."""
        self._function.restore()
        if self._plan.gradients.every and not self._has_updates and self.batches_done(self._first) > self._first:
            self._has_updates = True  # the fit may be finished once more
            self._log.omit(self._plan.gradients.family, "not applied by an optimizer of the model, in each step")
        super().finish()
