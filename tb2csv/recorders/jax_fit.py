"""A fit on JAX that records gradients, activations and layer errors, which its train steps return.

Nothing leaves a pure function that is compiled but what it returns. So the recorded train step returns what is recorded
beside Keras' logs, and the train function takes it off. It is compiled once for batches at which only statistics are
due, and once for those at which whole arrays are. Batches at which nothing is recorded run Keras' own function.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from tb2csv.errors import RecorderError
from tb2csv.recorders.eager_backend import arrays_of
from tb2csv.recorders.fits import RecordedFit
from tb2csv.recorders.jax_statistics import is_real, statistics_of
from tb2csv.recorders.jax_train_steps import probes_of, run_step
from tb2csv.recorders.jax_updates import check_optimizers, recorded_updates
from tb2csv.recorders.keras_version import check_train_function_on_jax
from tb2csv.recorders.layer_calls import LayerCalls, layers_of
from tb2csv.recorders.omissions import described
from tb2csv.recorders.output_errors import write_layer_errors
from tb2csv.recorders.recording_plan import WAITING_STEPS, due
from tb2csv.recorders.train_function import RecordedTrainFunction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.recording_plan import FitPlan, RecordingPlan


@dataclass(frozen=True)
class _Batch:
    """The data of a batch, and whether whole arrays are recorded, because another step is compiled for these."""

    data: Any
    is_whole: bool


@dataclass(frozen=True)
class _Arrays:
    """Arrays by name as far as they are recorded: their statistics, or themselves."""

    names: tuple[str, ...]
    values: list[Any]
    #: The names of those that have statistics.
    measured: tuple[str, ...]
    statistics: Any | None
    #: Whether an optimizer applied these gradients in this step; None of other arrays, and if it always does.
    is_applied: Any | None = None


@dataclass(frozen=True)
class _Recorded:
    """What a train step returns beside Keras' logs."""

    updates: list[_Arrays]
    outputs: _Arrays
    errors: _Arrays


jax.tree_util.register_dataclass(_Batch, data_fields=["data"], meta_fields=["is_whole"])
jax.tree_util.register_dataclass(
    _Arrays, data_fields=["values", "statistics", "is_applied"], meta_fields=["names", "measured"]
)
jax.tree_util.register_dataclass(_Recorded, data_fields=["updates", "outputs", "errors"], meta_fields=[])


class JaxFit(RecordedFit):
    """Gradients, activations and layer errors of one ``fit``."""

    def __init__(self, log: EventWriter, model: Any, plan: FitPlan) -> None:
        """Replace the train function.

        Raises:
            RecorderError: this Keras is too old, an optimizer is not Keras', a layer is missing, or Keras compiles the
                train step of the class.
        """
        super().__init__(log, model, plan)
        check_train_function_on_jax()
        _refuse_nnx()
        if plan.gradients.every:
            check_optimizers(model)
        self._calls = LayerCalls(layers_of(model, plan.layers) if plan.has_outputs else {})
        #: What batches returned that are not yet written, by their numbers.
        self._pending: list[tuple[int, _Recorded]] = []
        self._statistics = _PendingStatistics()
        self._omitted: set[str] = set()
        self._is_recordable = True
        self._function = _JaxTrainFunction(model, self._recorded_step(model.train_step), self)

    def _recorded_step(self, train_step: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Return a train step that takes a ``_Batch``, and whose logs come with what is recorded."""

        def recorded_train_step(state: Any, batch: _Batch) -> Any:
            step = (self._model, self._calls, train_step, state, batch.data)
            probes = probes_of(*step) if batch.is_whole and self._plan.layer_errors_every else []
            with recorded_updates(self._model if self._plan.gradients.every else None) as updates:
                traced = run_step(*step, probes)
            self._has_updates |= bool(updates)
            plan, errors = self._plan, traced.errors
            if plan.activations.every:
                self._omit(plan.activations.family, traced.lost_outputs)
            if plan.layer_errors_every:
                self._omit("layer_errors", traced.lost_outputs + traced.lost_errors)
            recorded = _Recorded(
                [_taken(plan.gradients, batch, each.gradients, each.is_applied) for each in updates],
                _taken(plan.activations, batch, traced.outputs),
                _Arrays(tuple(name for name, _ in errors), [error for _, error in errors], (), None),
            )
            return (traced.logs, recorded), traced.state

        return recorded_train_step

    def batch_of(self, data: Any) -> _Batch:
        """Return the next batch as the recorded train step takes it."""
        return _Batch(data, self._is_whole(self._batch + 1))

    def is_due(self, ahead: int) -> bool:
        """Return whether anything is recorded at one of the next batches."""
        numbers = range(self._batch + 1, self._batch + ahead + 1)
        return self._is_recordable and any(map(self._is_due_at, numbers))

    def _is_due_at(self, batch: int) -> bool:
        plan = self._plan
        return plan.gradients.is_due(batch) or plan.activations.is_due(batch) or due(batch, plan.layer_errors_every)

    def _is_whole(self, batch: int) -> bool:
        plan = self._plan
        plans = (plan.gradients, plan.activations)
        return due(batch, plan.layer_errors_every) or any(each.wants_values(batch) for each in plans)

    def receive(self, recorded: _Recorded | None) -> None:
        """Take what a batch returned, or None if its step was Keras' own."""
        self._batch += 1
        if recorded is not None and self._is_due_at(self._batch):
            self._pending.append((self._batch, recorded))

    def _omit(self, family: str, names: Sequence[str]) -> None:
        """Count, once for all steps, what a train step of the model itself does not return."""
        for tag in {f"{family}/{name}" for name in names} - self._omitted:
            self._omitted.add(tag)
            self._log.omit(tag, "not returned by the train step of the model, in each step")

    def give_up(self, reason: str) -> None:
        """Record nothing from now on, because the step cannot return it."""
        self._is_recordable, self._has_updates = False, True
        families = {
            self._plan.gradients.family: self._plan.gradients.every,
            self._plan.activations.family: self._plan.activations.every,
            "layer_errors": self._plan.layer_errors_every,
        }
        for family, every in families.items():
            if every:
                self._log.omit(family, f"{reason}, in each step")

    def after(self, steps: range, wall_time: float) -> None:
        """Write what is due after these batches, except for statistics, which are written many steps at a time."""
        pending, self._pending = self._pending, []
        for step, recorded in pending:
            for number, update in enumerate(recorded.updates):
                if update.is_applied is None or update.is_applied:
                    self._write(self._plan.gradients, step, update, wall_time, number)
            self._write(self._plan.activations, step, recorded.outputs, wall_time)
            if due(step, self._plan.layer_errors_every):
                errors = dict(zip(recorded.errors.names, arrays_of(recorded.errors.values), strict=True))
                write_layer_errors(self._log, step, errors, self._plan.samples, wall_time)
        if self._statistics.is_full:
            self._statistics.write(self._log)

    def _write(self, plan: RecordingPlan, step: int, arrays: _Arrays, wall_time: float, number: int = 0) -> None:
        if plan.wants_values(step):
            plan.write_values(self._log, step, arrays.names, arrays_of(arrays.values), wall_time)
        if due(step, plan.statistics) and arrays.measured:
            self._statistics.add(plan, arrays.measured, number, step, arrays.statistics, wall_time)

    def write(self) -> None:
        """Write all pending data, also of batches before one that failed in the same call."""
        with self._log.guard():
            self.after(range(0), time.time())
            self._statistics.write(self._log)


def _taken(
    plan: RecordingPlan, batch: _Batch, arrays: Sequence[tuple[str, Any]], is_applied: Any | None = None
) -> _Arrays:
    """Return what a train step returns of arrays."""
    whole = arrays if batch.is_whole and (plan.tensors or plan.histograms) else []
    real = [(name, array) for name, array in arrays if is_real(array)] if plan.statistics else []
    return _Arrays(
        tuple(name for name, _ in whole),
        [array for _, array in whole],
        tuple(name for name, _ in real),
        statistics_of([array for _, array in real]) if real else None,
        is_applied,
    )


class _PendingStatistics:
    """Statistics on the device that are written together."""

    def __init__(self) -> None:
        #: Steps, arrays and wall times by what they are of, and by the number of the update in its train step.
        self._rows: dict[tuple[RecordingPlan, tuple[str, ...], int], list[tuple[int, Any, float]]] = {}

    @property
    def is_full(self) -> bool:
        """Whether there are enough to write them."""
        return any(len(rows) >= WAITING_STEPS for rows in self._rows.values())

    def add(
        self, plan: RecordingPlan, names: tuple[str, ...], number: int, step: int, statistics: Any, wall_time: float
    ) -> None:
        """Add the statistics of a step."""
        self._rows.setdefault((plan, names, number), []).append((step, statistics, wall_time))

    def write(self, log: EventWriter) -> None:
        """Write all."""
        every, self._rows = self._rows, {}
        for (plan, names, _), rows in every.items():
            steps, statistics, wall_times = zip(*rows, strict=True)
            plan.write_statistics(log, steps, names, np.stack(jax.device_get(list(statistics))), wall_times)


class _JaxTrainFunction(RecordedTrainFunction):
    """A train function that runs the recorded train step for batches that are due, and Keras' own for others."""

    def __init__(self, model: Any, train_step: Callable[[Any, Any], Any], fit: JaxFit) -> None:
        self._execution = model.steps_per_execution
        self._fit = fit
        # Of several batches in a call, Keras returns what the last one returned.
        model.steps_per_execution = 1
        try:
            super().__init__(model, [(model, "train_step", train_step)], allow_xla=True, on_failure=fit.write)
        finally:
            model.steps_per_execution = self._execution

    def _run(self, state: Any, iterator: Iterator[Any]) -> Any:
        """Run a train step, or several, and return Keras' logs and the state."""
        if self._fit.is_due(self._execution):
            return self._run_recorded(state, iterator)
        return self._run_original(state, iterator)

    def _run_recorded(self, state: Any, iterator: Iterator[Any]) -> Any:
        logs = None
        for data in itertools.islice(iterator, self._execution):
            try:
                (logs, recorded), state = self._function(state, iter([self._fit.batch_of(data)]))
            except (jax.errors.UnexpectedTracerError, TypeError, ValueError) as error:
                # The step was traced, and has not run. If the model is at fault, Keras' own step fails as well.
                self._fit.give_up(_reason(error))
                return self._run_original(state, itertools.chain([data], iterator))
            self._fit.receive(recorded)
        if logs is None:
            raise StopIteration
        return logs, state

    def _run_original(self, state: Any, iterator: Iterator[Any]) -> Any:
        """Run Keras' own train steps, of which the last call of an epoch may have fewer."""
        batches = _counted(iterator, self._fit)
        return self._original(state, batches)


def _counted(iterator: Iterator[Any], fit: JaxFit) -> Iterator[Any]:
    """Yield the same batches, and count them."""
    for data in iterator:
        fit.receive(None)
        yield data


def _reason(error: Exception) -> str:
    if isinstance(error, jax.errors.UnexpectedTracerError):
        return "computed in a branch or a loop of the compiled train step"
    return f"the train step of the model cannot return them ({described(error)})"


def _refuse_nnx() -> None:
    import keras

    is_enabled = getattr(keras.config, "is_nnx_enabled", None)  # before Keras 3.11, nothing can enable it
    if is_enabled is not None and is_enabled():
        message = (
            "Gradients and activations of Keras' fit cannot be recorded with KERAS_NNX_ENABLED, because Keras then "
            "compiles the train step of the class; leave it out."
        )
        raise RecorderError(message)
