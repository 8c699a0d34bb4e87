"""The part of a recorder for Keras on JAX, whose train step is a pure function that is compiled.

Nothing leaves such a function but what it returns. So the recorded train step returns what is recorded beside Keras'
logs, and the train function takes it off. Batches at which nothing is recorded run Keras' own function.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from tb2csv.errors import RecorderError
from tb2csv.recorders.eager_backend import EagerBackend, EagerFit, arrays_of
from tb2csv.recorders.jax_train_steps import probes_of, run_step
from tb2csv.recorders.layer_calls import LayerCalls, layers_of
from tb2csv.recorders.method_patching import replaced_method
from tb2csv.recorders.optimizers import UPDATE_METHOD, batch_counter, optimizers_of, updating_optimizers
from tb2csv.recorders.output_errors import write_layer_errors
from tb2csv.recorders.recording_plan import due
from tb2csv.recorders.train_function import RecordedTrainFunction
from tb2csv.recorders.variable_names import names_by_identity, variable_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.recording_plan import FitPlan


class JaxBackend(EagerBackend):
    """Records arrays of JAX as EagerBackend does."""

    def fit(self, log: EventWriter, model: Any, plan: FitPlan) -> EagerFit:
        """Prepare to record a model that is about to train. Raises RecorderError if JaxFit refuses it."""
        return EagerFit(log, model) if plan.is_empty else JaxFit(self, log, model, plan)


class _Update(NamedTuple):
    """What an optimizer did in a step: the gradients, and whether it applied them or only accumulated."""

    is_applied: Any
    gradients: list[Any]


class _Recorded(NamedTuple):
    """What a train step returns beside Keras' logs."""

    updates: list[_Update]
    outputs: list[Any]
    errors: list[Any]


class _Names(NamedTuple):
    """The names of what a train step returns, known once it is traced."""

    #: Of the gradients in each update.
    updates: list[list[str]]
    outputs: list[str]
    errors: list[str]


class JaxFit(EagerFit):
    """The gradients, activations and layer errors of one ``fit``, which its train steps return."""

    def __init__(self, backend: JaxBackend, log: EventWriter, model: Any, plan: FitPlan) -> None:
        """Replace the train function.

        Raises:
            RecorderError: an optimizer is not Keras', or it applies gradients within a branch of the train step; or a
                layer is missing, or Keras compiles the train step of the class.
        """
        super().__init__(log, model)
        _refuse_nnx()
        self._backend = backend
        self._plan = plan
        self._batch = 0
        self._variable_names = names_by_identity(model)
        self._optimizers: list[Any] = []
        if plan.gradients.every or plan.layer_errors_every:
            _refuse_branches(model)
        if plan.gradients.every:
            self._optimizers = updating_optimizers(model)
        self._calls = LayerCalls(layers_of(model, plan.layers) if plan.has_outputs else {})
        self._names = _Names([], [], [])
        self._pending: list[tuple[int, _Recorded]] = []
        self._is_recordable = True
        self._function = _JaxTrainFunction(model, self._recorded_step(model.train_step), self)

    def _recorded_step(self, train_step: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Return a train step whose logs come with what is recorded."""

        def recorded_train_step(state: Any, data: Any) -> Any:
            step = (self._model, self._calls, train_step, state, data)
            probes = probes_of(*step) if self._plan.layer_errors_every else []
            updates: list[_Update] = []
            names: list[list[str]] = []
            with contextlib.ExitStack() as stack:
                for optimizer in self._optimizers:
                    method = self._recorded_update(optimizer, updates, names)
                    stack.enter_context(replaced_method(optimizer, UPDATE_METHOD, method))
                traced = run_step(*step, probes)
            outputs = traced.outputs if self._plan.activations.every else []
            self._names = _Names(names, [name for name, _ in outputs], [name for name, _ in traced.errors])
            recorded = _Recorded(updates, [output for _, output in outputs], [error for _, error in traced.errors])
            return (traced.logs, recorded), traced.state

        return recorded_train_step

    def _recorded_update(self, optimizer: Any, updates: list[_Update], names: list[list[str]]) -> Callable[..., Any]:
        """Return the method that updates variables, which takes the gradients first."""
        update: Callable[..., Any] = getattr(optimizer, UPDATE_METHOD)

        def recorded_update(gradients: Any, variables: Any, learning_rate: Any) -> Any:
            present = [pair for pair in zip(gradients, variables, strict=True) if pair[0] is not None]
            every = optimizer.gradient_accumulation_steps
            # The counter is advanced after the update.
            is_applied = (batch_counter(optimizer).value + 1) % every == 0 if every else True
            updates.append(_Update(is_applied, [gradient for gradient, _ in present]))
            names.append([self._variable_name(variable) for _, variable in present])
            return update(gradients, variables, learning_rate)

        return recorded_update

    def _variable_name(self, variable: Any) -> str:
        return self._variable_names.get(id(variable)) or variable_names([variable])[0]

    def is_due(self, ahead: int) -> bool:
        """Return whether anything is recorded at one of the next batches."""
        numbers = range(self._batch + 1, self._batch + ahead + 1)
        return self._is_recordable and any(map(self._is_due_at, numbers))

    def _is_due_at(self, batch: int) -> bool:
        plan = self._plan
        return plan.gradients.is_due(batch) or plan.activations.is_due(batch) or due(batch, plan.layer_errors_every)

    def receive(self, recorded: _Recorded | None) -> None:
        """Take what a batch returned, or None if its step was Keras' own."""
        self._batch += 1
        if recorded is not None and self._is_due_at(self._batch):
            self._pending.append((self._batch, recorded))

    def give_up(self) -> None:
        """Record nothing from now on, because the step cannot return it."""
        self._is_recordable = False
        families = {
            self._plan.gradients.family: self._plan.gradients.every,
            self._plan.activations.family: self._plan.activations.every,
            "layer_errors": self._plan.layer_errors_every,
        }
        for family, every in families.items():
            if every:
                self._log.omit(family, "computed in a branch or a loop of the compiled train step, in each step")

    def resume(self) -> bool:
        """Continue with another ``fit`` of the same compiled model; return whether it is the same."""
        return self._function.resume()

    def begin(self, step: int) -> None:
        """Begin with the next batch; ``step`` batches were done before."""
        super().begin(step)
        self._batch = step

    def announce(self) -> None:
        """Announce the start of a batch, or of several in one call."""
        self._function.announce()

    def batches_done(self, before: int) -> int:
        """Return the number of the batch that ended last."""
        self._batch = super().batches_done(before)
        return self._batch

    def after(self, steps: range, wall_time: float) -> None:
        """Write what is due after these batches."""
        pending, self._pending = self._pending, []
        for step, recorded in pending:
            for names, update in zip(self._names.updates, recorded.updates, strict=True):
                if update.is_applied:
                    gradients = dict(zip(names, update.gradients, strict=True))
                    self._backend.write_values(self._log, self._plan.gradients, step, gradients, wall_time)
            outputs = dict(zip(self._names.outputs, recorded.outputs, strict=True))
            self._backend.write_values(self._log, self._plan.activations, step, outputs, wall_time)
            if due(step, self._plan.layer_errors_every):
                errors = dict(zip(self._names.errors, arrays_of(recorded.errors), strict=True))
                write_layer_errors(self._log, step, errors, self._plan.samples, wall_time)

    def finish(self) -> None:
        """Write all pending data, close the file, and give the model back its train function."""
        self._function.restore()
        super().finish()


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
        for _ in range(self._execution):
            data = next(iterator, None)
            if data is None:
                break
            try:
                (logs, recorded), state = self._function(state, iter([data]))
            except jax.errors.UnexpectedTracerError:  # while the step was traced: it has not run
                self._fit.give_up()
                return self._run_original(state, itertools.chain([data], iterator))
            self._fit.receive(recorded)
        if logs is None:
            raise StopIteration
        return logs, state

    def _run_original(self, state: Any, iterator: Iterator[Any]) -> Any:
        result = self._original(state, iterator)
        for _ in range(self._execution):
            self._fit.receive(None)
        return result


def _refuse_nnx() -> None:
    import keras

    if keras.config.is_nnx_enabled():
        message = (
            "Gradients and activations of Keras' fit cannot be recorded with KERAS_NNX_ENABLED, because Keras then "
            "compiles the train step of the class; leave it out."
        )
        raise RecorderError(message)


def _refuse_branches(model: Any) -> None:
    """Raise RecorderError if gradients are applied in a branch of the compiled step, which cannot return them."""
    for optimizer in optimizers_of(model):
        if getattr(optimizer, "inner_optimizer", None) is not None:
            message = (
                f"The gradients that {type(optimizer).__name__} applies cannot be recorded on JAX, because it applies "
                "them in a branch of the compiled train step; train in bfloat16, which needs no scaled loss."
            )
            raise RecorderError(message)
