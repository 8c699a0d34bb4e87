"""The recorder of a training with PyTorch."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any, Literal

import torch

from tb2csv.errors import RecorderError
from tb2csv.recorders.arguments import check_unit, integer, interval, layer_names, named_values, positive
from tb2csv.recorders.context_manager import ContextManager
from tb2csv.recorders.event_writer import EventWriter
from tb2csv.recorders.metric_values import write_metrics
from tb2csv.recorders.pytorch.applied_gradients import check_final_weights
from tb2csv.recorders.pytorch.captures import Capture, captures, write_captures
from tb2csv.recorders.pytorch.host_arrays import host_array, obstacle
from tb2csv.recorders.pytorch.module_names import check_parameters, check_quantization, plain_name, unwrapped
from tb2csv.recorders.pytorch.module_outputs import ModuleOutputs, check_compilation
from tb2csv.recorders.pytorch.optimizer_record import OptimizerRecord
from tb2csv.recorders.pytorch.processes import is_other_process
from tb2csv.recorders.recording_plan import RecordingPlan

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence


class TorchRecorder(ContextManager):
    """Records what a training with PyTorch does: gradients, weights, outputs of modules and their errors, metrics.

    ::

        with TorchRecorder(model, "logs/run", optimizer=optimizer, gradient_statistics_every=1) as recorder:
            for inputs, targets in batches:
                optimizer.zero_grad()
                loss = criterion(model(inputs), targets)
                loss.backward()
                optimizer.step()
                recorder.scalars({"loss": loss})

    A step is a step of the optimizer. Step n has the gradients that it applies, the outputs and errors of the last
    forward and backward pass before it, and the weights after it; step 0 has the weights before the training.
    """

    #: Returns the number of steps done, if a trainer counts them; set by a subclass.
    _count: Callable[[], int] | None = None
    #: What is added to the number of a step in the file.
    _step_offset = 0

    def __init__(
        self,
        model: torch.nn.Module,
        log_dir: str | os.PathLike[str],
        *,
        optimizer: Any = None,
        learning_rate_every: int | None = 1,
        weights_every: int | None = None,
        weight_histograms_every: int | None = None,
        weight_statistics_every: int | None = None,
        gradients_every: int | None = None,
        gradient_histograms_every: int | None = None,
        gradient_statistics_every: int | None = None,
        activations_every: int | None = None,
        activation_histograms_every: int | None = None,
        activation_statistics_every: int | None = None,
        layer_errors_every: int | None = None,
        layer_error_statistics_every: int | None = None,
        layers: Sequence[str] | None = None,
        scaler: torch.amp.GradScaler | None = None,
        first_step: int | None = None,
        on_error: Literal["warn", "raise"] = "warn",
    ) -> None:
        """Set the hooks. Nothing is written before the first step or value.

        Each ``…_every`` is a number of steps, or None for never.

        Args:
            model: the model, also compiled or in DistributedDataParallel.
            log_dir: a local folder, of one run; it may hold event files of earlier sessions.
            optimizer: the optimizer, or several, of which the first counts the recorder's steps.
            learning_rate_every: the learning rate of each group of parameters, as the step used it.
            weights_every: the parameters and buffers themselves.
            weight_histograms_every: a histogram of each of them.
            weight_statistics_every: norm, mean, std, min, max, share of zeros and number of NaN of each of them.
            gradients_every: the gradients themselves, as the optimizer applies them.
            gradient_histograms_every: a histogram of each gradient.
            gradient_statistics_every: the same numbers of each gradient.
            activations_every: the outputs of modules themselves.
            activation_histograms_every: a histogram of each output.
            activation_statistics_every: the same numbers of each output.
            layer_errors_every: the gradient of the loss with respect to each output, [sample, unit], and its numbers.
            layer_error_statistics_every: only the numbers.
            layers: names of modules, or patterns such as ``encoder.*``, whose outputs are recorded. If None, all inside
                the model that have no modules in them or have parameters of their own.
            scaler: the GradScaler that multiplies the loss; layer errors are divided by its scale.
            first_step: the number of the first step; one more than the optimizer has done if None.
            on_error: what to do after a disk error: ``warn`` and stop the recording, not the training, or ``raise``.

        Raises:
            RecorderError: an argument is not valid, or the model or optimizer cannot be recorded.
        """
        self._gradients = RecordingPlan.of(
            "gradients",
            tensors=gradients_every,
            histograms=gradient_histograms_every,
            statistics=gradient_statistics_every,
        )
        self._weights = RecordingPlan.of(
            "weights",
            tensors=weights_every,
            histograms=weight_histograms_every,
            statistics=weight_statistics_every,
        )
        activations = RecordingPlan.of(
            "activations",
            tensors=activations_every,
            histograms=activation_histograms_every,
            statistics=activation_statistics_every,
        )
        errors = RecordingPlan.of("layer_errors", tensors=layer_errors_every, statistics=layer_error_statistics_every)
        self._learning_rate_every = interval("learning_rate_every", learning_rate_every)
        if first_step is not None:
            first_step = positive("first_step", first_step, "the number of a step")
        layers = layer_names(layers)
        optimizers = list(optimizer) if isinstance(optimizer, (list, tuple)) else [optimizer] if optimizer else []
        plans = (self._gradients, self._weights, activations, errors)
        if not optimizers and any(plan.every for plan in plans):
            message = "The steps of a recorder are those of an optimizer; give optimizer=."
            raise RecorderError(message)
        self._log = EventWriter(log_dir, on_error=on_error, step_offset=self._step_offset)
        self._model = unwrapped(model)
        if scaler is not None and not callable(getattr(scaler, "scale", None)):
            message = f"scaler={scaler!r} is not a GradScaler; give the one that multiplies the loss, or None."
            raise RecorderError(message)
        self._scaler = scaler
        #: The epoch, if the training has set it: recorded as ``batch/epoch`` at each step that is recorded.
        self.epoch: int | None = None
        self._step_with_epoch: int | None = None
        self._outputs: ModuleOutputs | None = None
        self._records: list[OptimizerRecord] = []
        #: Of several processes, the first records: the gradients and weights of all are the same.
        self._is_recording = not is_other_process()
        if self._is_recording:
            if any(plan.every for plan in plans):
                check_quantization(self._model)
            if activations.every or errors.every:
                check_compilation(model)
            self._set_hooks(optimizers, activations, errors, layers, first_step)
        self._finalizer = weakref.finalize(self, self._log.close)

    def _set_hooks(
        self,
        optimizers: Sequence[Any],
        activations: RecordingPlan,
        errors: RecordingPlan,
        layers: Sequence[str] | None,
        first_step: int | None,
    ) -> None:
        if self._gradients.every or self._weights.every:
            check_parameters(self._model)
        for optimizer in optimizers if self._weights.every else ():
            check_final_weights(optimizer)
        if activations.every or errors.every:
            self._outputs = ModuleOutputs(
                self._model,
                activations,
                errors,
                layers,
                log=self._log,
                next_step=lambda: self.step + 1,
                scaler=self._scaler,
            )
        for number, optimizer in enumerate(optimizers):
            record = OptimizerRecord(
                optimizer,
                self._model,
                log=self._log,
                gradients=self._gradients,
                learning_rate_every=self._learning_rate_every,
                number=number if len(optimizers) > 1 else None,
                first_step=first_step,
                count=self._count,
            )
            self._records.append(record)
            record.on_record = self._record_epoch
        if self._records:
            self._records[0].on_begin = self._record_initial_weights
            self._records[0].on_step = self._take_outputs_and_weights

    def _record_initial_weights(self, done: int) -> None:
        if done == 0:
            write_captures(self._log, 0, self._take_weights(0), time.time())

    def _take_outputs_and_weights(self, step: int) -> list[tuple[str, Capture]]:
        return self._take_weights(step) + self._take_outputs()

    def _take_outputs(self) -> list[tuple[str, Capture]]:
        if self._outputs is None:
            return []
        return self._outputs.take()

    def _take_weights(self, step: int) -> list[tuple[str, Capture]]:
        if not self._weights.is_due(step):
            return []
        every = dict((*self._model.named_parameters(), *self._model.named_buffers()))
        return list(zip(map(plain_name, every), captures(self._weights, step, list(every.values())), strict=True))

    def _record_epoch(self, step: int, wall_time: float) -> None:
        if self.epoch is not None and step != self._step_with_epoch:
            self._step_with_epoch = step
            self._log.scalars(step, {"batch/epoch": self.epoch}, wall_time=wall_time)

    @property
    def step(self) -> int:
        """The number of steps that the first optimizer has done, earlier sessions included."""
        return self._records[0].done if self._records else 0

    def scalars(self, values: Mapping[str, Any], step: int | None = None, *, unit: str = "batch") -> None:
        """Record scalars as ``<unit>/<name>``.

        ``unit`` is what ``step`` counts: ``batch``, by default the steps done so far, or ``epoch``, by default the
        attribute ``epoch``. An array of numbers is recorded as a tensor; other values are omitted and counted.
        """
        check_unit(unit)
        values = named_values(values)
        if step is None:
            step = self.epoch if unit == "epoch" else self.step
        if step is None:
            message = "The epoch is not known; give step=, or set the attribute epoch of the recorder."
            raise RecorderError(message)
        number = integer("step", step)
        if self._is_recording:
            with self._log.guard():
                write_metrics(self._log, unit, number, values, time.time())

    def tensors(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Record tensors or arrays under their tags, bit for bit, by default at the last step."""
        values, number = named_values(values), integer("step", self.step if step is None else step)
        if not self._is_recording:
            return
        with self._log.guard():
            for tag, value in self._recordable(values):
                array, dtype = host_array(value) if isinstance(value, torch.Tensor) else (value, None)
                self._log.tensor(number, tag, array, dtype=dtype)

    def histograms(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Record histograms of the finite numbers of tensors or arrays under their tags."""
        values, number = named_values(values), integer("step", self.step if step is None else step)
        if not self._is_recording:
            return
        with self._log.guard():
            for tag, value in self._recordable(values):
                numbers = host_array(value).numbers if isinstance(value, torch.Tensor) else value
                self._log.histogram(number, tag, numbers)

    def _recordable(self, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Return values with their tags; tensors without an array of numbers are omitted and counted."""
        for tag, value in values.items():
            reason = obstacle(value) if isinstance(value, torch.Tensor) else None
            if reason is None:
                yield tag, value
            else:
                self._log.omit(tag, reason)

    def close(self) -> None:
        """Remove the hooks and close the file; later values go to a new one. Warn once about what was omitted."""
        for each in self._records:
            each.close()
        if self._outputs is not None:
            self._outputs.close()
            self._outputs = None
        self._log.close()
