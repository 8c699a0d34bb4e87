"""The part of a recorder for Keras on PyTorch, whose train step is eager code."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from tb2csv.errors import RecorderError
from tb2csv.recorders.eager_backend import EagerBackend
from tb2csv.recorders.fits import Fit, RecordedFit
from tb2csv.recorders.layer_calls import LayerCalls, layers_of
from tb2csv.recorders.optimizers import UPDATE_METHOD, updating_optimizers
from tb2csv.recorders.output_errors import write_layer_errors
from tb2csv.recorders.pytorch.captures import Capture, capture, captures, write_captures
from tb2csv.recorders.pytorch.host_arrays import host_arrays
from tb2csv.recorders.recording_plan import due
from tb2csv.recorders.train_function import RecordedTrainFunction
from tb2csv.recorders.variable_names import names_by_identity, variable_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.recording_plan import FitPlan, RecordingPlan


class TorchBackend(EagerBackend):
    """Records tensors as TorchRecorder does, with one transfer of all statistics of a step."""

    def fit(self, log: EventWriter, model: Any, plan: FitPlan) -> Fit:
        """Prepare to record a model that is about to train. Raises RecorderError if it cannot be recorded."""
        if plan.is_empty:
            return Fit(log, model)
        if model.jit_compile:
            message = (
                "Gradients, activations and layer errors cannot be recorded from a train step that torch.compile "
                "compiles; compile the model with jit_compile=False."
            )
            raise RecorderError(message)
        return TorchFit(log, model, plan)

    def write_values(
        self, log: EventWriter, plan: RecordingPlan, step: int, values: Mapping[str, Any], wall_time: float
    ) -> None:
        """Write what of tensors, by their names, is due at a step."""
        taken = captures(plan, step, list(map(torch.as_tensor, values.values())))
        write_captures(log, step, list(zip(values, taken, strict=True)), wall_time)


class TorchFit(RecordedFit):
    """Gradients, activations and layer errors of one ``fit``, taken in its train steps."""

    def __init__(self, log: EventWriter, model: Any, plan: FitPlan) -> None:
        """Replace the train function. Raises RecorderError if an optimizer is not Keras', or a layer is missing."""
        super().__init__(log, model, plan)
        self._captures: list[tuple[Callable[[], str], Capture]] = []
        self._errors: list[tuple[Callable[[], str], torch.Tensor]] = []
        self._names = names_by_identity(model)
        methods: list[tuple[Any, str, Callable[..., Any]]] = []
        if plan.gradients.every:
            methods += [
                (optimizer, UPDATE_METHOD, self._recorded_update(getattr(optimizer, UPDATE_METHOD)))
                for optimizer in updating_optimizers(model)
            ]
        self._calls = LayerCalls(layers_of(model, plan.layers) if plan.has_outputs else {})
        methods += self._calls.methods(self._exchange)
        methods.append((model, "train_step", self._recorded_step(model.train_step)))
        self._function = RecordedTrainFunction(model, methods, allow_xla=True, on_failure=self.write)

    def _recorded_step(self, train_step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return a train step that counts batches."""

        def counted_train_step(data: Any) -> Any:
            self._batch += 1
            self._calls.begin()
            return train_step(data)

        return counted_train_step

    def _recorded_update(self, update: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method that updates variables, which takes the gradients first."""

        def recorded_update(gradients: Any, variables: Any, learning_rate: Any) -> Any:
            self._has_updates = True
            if self._plan.gradients.is_due(self._batch):
                with self._log.guard():
                    for gradient, variable in zip(gradients, variables, strict=True):
                        if gradient is not None:
                            self._take_gradient(gradient, variable)
            return update(gradients, variables, learning_rate)

        return recorded_update

    def _take_gradient(self, gradient: Any, variable: Any) -> None:
        name = self._names.get(id(variable)) or variable_names([variable])[0]
        self._captures.append((lambda: name, capture(self._plan.gradients, self._batch, gradient)))

    def _exchange(self, name: Callable[[], str], output: Any) -> Any:
        """Take an output of a layer; return a view of it whose error is recorded."""
        if not isinstance(output, torch.Tensor):
            return output
        with self._log.guard():
            if self._plan.activations.is_due(self._batch):
                self._captures.append((name, capture(self._plan.activations, self._batch, output)))
            if due(self._batch, self._plan.layer_errors_every) and output.requires_grad:
                # A hook of the tensor itself would get the errors of all its uses, also before the layer.
                output = output.view_as(output)
                output.register_hook(lambda error: self._take_error(name, error))
        return output

    def _take_error(self, name: Callable[[], str], error: torch.Tensor | None) -> None:
        if error is None:  # an operation passes none on
            return
        with self._log.guard():
            error = error.detach()
            error = error if error.dtype == torch.float64 else error.float()
            if hasattr(self._model.optimizer, "scale_loss"):  # a model may have optimizers of its own instead
                error = error / self._model.optimizer.scale_loss(torch.ones((), device=error.device))
            self._errors.append((name, error))

    def after(self, steps: range, wall_time: float) -> None:
        """Write what was taken in the train step."""
        self._write(wall_time)

    def write(self) -> None:
        """Write what was taken in a train step that failed."""
        with self._log.guard():
            self._write(time.time())

    def _write(self, wall_time: float) -> None:
        taken, self._captures = self._captures, []
        errors, self._errors = self._errors, []
        write_captures(self._log, self._batch, [(name(), each) for name, each in taken], wall_time)
        passes: list[dict[str, Any]] = []
        arrays = host_arrays([error for _, error in errors])
        for (name, _), host in reversed(list(zip(errors, arrays, strict=True))):  # from the first layer to the last
            known = name()
            if not passes or known in passes[-1]:  # a train step may make two passes through one layer
                passes.append({})
            passes[-1][known] = host.array
        for found in passes:
            write_layer_errors(self._log, self._batch, found, self._plan.samples, wall_time)
