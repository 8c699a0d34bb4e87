"""The recorder of a training that a trainer runs, which counts its own steps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from tb2csv.errors import RecorderError
from tb2csv.recorders.arguments import interval, layer_names
from tb2csv.recorders.event_writer import EventWriter
from tb2csv.recorders.metric_values import write_metrics
from tb2csv.recorders.pytorch.captures import Capture, write_captures
from tb2csv.recorders.pytorch.torch_recorder import TorchRecorder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import torch
    from typing_extensions import Unpack


class TorchOptions(TypedDict, total=False):
    """The options of a TorchRecorder that do not come from a trainer."""

    learning_rate_every: int | None
    weights_every: int | None
    weight_histograms_every: int | None
    weight_statistics_every: int | None
    gradients_every: int | None
    gradient_histograms_every: int | None
    gradient_statistics_every: int | None
    activations_every: int | None
    activation_histograms_every: int | None
    activation_statistics_every: int | None
    layer_errors_every: int | None
    layer_error_statistics_every: int | None
    layers: Sequence[str] | None
    on_error: Literal["warn", "raise"]


def check_options(log_dir: str | os.PathLike[str] | None, options: TorchOptions) -> None:
    """Check the arguments of a callback, before there is a model.

    Raises:
        TypeError: an option does not exist.
        RecorderError: a value is not valid.
    """
    unknown = sorted(options.keys() - TorchOptions.__annotations__.keys())
    if unknown:
        names = ", ".join(TorchOptions.__annotations__)
        message = f"{unknown[0]!r} is not an option of a recorder; choose from {names}."
        raise TypeError(message)
    for name, value in options.items():
        if name.endswith("_every"):
            interval(name, value)  # type: ignore[arg-type] # mypy does not know the types of these values
    layer_names(options.get("layers"))
    EventWriter("" if log_dir is None else log_dir, on_error=options.get("on_error", "warn"))


class TrainerRecorder(TorchRecorder):
    """A TorchRecorder with the steps of a trainer, in which several optimizers may share a step."""

    def __init__(
        self,
        model: torch.nn.Module,
        log_dir: str | os.PathLike[str],
        *,
        optimizers: Sequence[Any],
        steps_done: Callable[[], int],
        first_step: int,
        scaler: torch.amp.GradScaler | None = None,
        **options: Unpack[TorchOptions],
    ) -> None:
        """Set the hooks.

        Args:
            model: the model.
            log_dir: a local folder, of one run; it may hold event files of others.
            optimizers: the optimizers, at each step of which the outputs of modules are recorded.
            steps_done: returns the number of steps that the trainer has done, the same during a step.
            first_step: the number that the trainer's logger gives to the first step of a training.
            scaler: the GradScaler that multiplies the loss.
            options: those of a TorchRecorder.

        Raises:
            RecorderError: an argument is not valid, or the model or an optimizer cannot be recorded.
        """
        self._count = steps_done
        self._step_offset = first_step - 1
        self._stepped: int | None = None
        self._has_begun = False
        super().__init__(model, log_dir, optimizer=list(optimizers), scaler=scaler, **options)
        for record in self._records:
            record.on_begin = self._begin
            record.on_step = self._on_step

    def _begin(self, done: int) -> None:
        """Record the initial weights before the first step of any optimizer."""
        if not self._has_begun:
            self._has_begun = True
            self._record_initial_weights(done)

    def _on_step(self, step: int) -> list[tuple[str, Capture]]:
        self._stepped = step
        return self._take_outputs()

    def end_step(self) -> None:
        """Record the weights, if an optimizer has done a step since the last call; ``steps_done`` may have changed."""
        step, self._stepped = self._stepped, None
        if step is None:
            return
        with self._log.guard():
            captures = self._take_weights(step)
            if captures:
                wall_time = time.time()
                write_captures(self._log, step, captures, wall_time)
                self._record_epoch(step, wall_time)

    def metrics(self, values: Mapping[str, Any], step: int) -> None:
        """Record metrics under their own names, at a step as the trainer's logger counts."""
        if self._is_recording:
            with self._log.guard():
                write_metrics(self._log, "", step - self._step_offset, values, time.time())


def missing_folder(trainer: str) -> RecorderError:
    """Return the error of a recorder without a folder."""
    return RecorderError(f"{trainer} has no logger with a folder to write beside; give log_dir=.")
