"""The recorder of a training: a Keras callback, and a context manager for custom loops."""

from __future__ import annotations

import contextlib
import time
import weakref
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

from tb2csv.recorders.active_recorder import activated
from tb2csv.recorders.arguments import check_unit, interval, layer_names, named_values, positive
from tb2csv.recorders.event_writer import EventWriter, guarded
from tb2csv.recorders.keras_backends import keras_backend
from tb2csv.recorders.metric_values import write_metrics
from tb2csv.recorders.optimizers import trained_batches
from tb2csv.recorders.output_errors import check_samples
from tb2csv.recorders.recording_plan import FitPlan, RecordingPlan, due
from tb2csv.recorders.variable_names import variable_names

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from tb2csv.recorders.fits import Fit


class TrainingRecorder(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Writes metrics, weights, gradients, activations and layer errors of a training into an event file.

    As a callback of ``model.fit`` it records by itself. In a custom loop, call ``scalars``, ``weights``,
    ``gradients``, ``histograms`` and ``tensors``, in eager code or in a tf.function.

    The step of ``epoch/…`` is the epoch, from 0. The step of everything else is the batch: 1 is the first batch of the
    training, and step n holds the results of batch n: its gradients, and the weights after it. Weights at
    step 0 are those before the training. Batches are counted on from one ``fit`` to the next; a recorder that begins
    with a model that was trained before counts on from its optimizer's number of steps.

    docs/recorders.md has all tags.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        *,
        batch_every: int | None = 1,
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
        layers: Sequence[str] | None = None,
        layer_error_samples: Literal["each", "sum"] = "each",
        first_batch: int | None = None,
        on_error: Literal["warn", "raise"] = "warn",
    ) -> None:
        """Prepare to record into ``log_dir``, the folder of one run, which may hold event files of earlier sessions.

        Each ``…_every`` is a number of batches, or None for never; metrics of epochs are recorded in any case.

        Args:
            log_dir: a local folder.
            batch_every: metrics and learning rate, as Keras reports them after a batch.
            weights_every: the weights themselves.
            weight_histograms_every: a histogram of each weight.
            weight_statistics_every: norm, mean, std, min, max, share of zeros and number of NaN of each weight.
            gradients_every: the gradients themselves, as the optimizer applies them.
            gradient_histograms_every: a histogram of each gradient.
            gradient_statistics_every: the same numbers of each gradient.
            activations_every: the outputs of layers themselves, in the forward pass of the training.
            activation_histograms_every: a histogram of each output.
            activation_statistics_every: the same numbers of each output.
            layer_errors_every: the gradient of the loss with respect to the output of each layer.
            layers: names of the layers whose outputs and errors are recorded; all if None.
            layer_error_samples: ``each`` records errors as [sample, unit], ``sum`` as [unit], summed over the batch.
            first_batch: the number of the first batch; one more than the optimizer's steps if None.
            on_error: what to do after a disk error: ``warn`` and stop the recording, not the training, or ``raise``.

        Raises:
            RecorderError: an argument is not valid, or Keras does not run on TensorFlow, PyTorch or JAX.
        """
        super().__init__()
        self._backend = keras_backend()
        check_samples(layer_error_samples)
        self._batch_every = interval("batch_every", batch_every)
        self._weights = RecordingPlan.of(
            "weights",
            tensors=weights_every,
            histograms=weight_histograms_every,
            statistics=weight_statistics_every,
        )
        gradients = RecordingPlan.of(
            "gradients",
            tensors=gradients_every,
            histograms=gradient_histograms_every,
            statistics=gradient_statistics_every,
        )
        activations = RecordingPlan.of(
            "activations",
            tensors=activations_every,
            histograms=activation_histograms_every,
            statistics=activation_statistics_every,
        )
        errors_every = interval("layer_errors_every", layer_errors_every)
        self._inside = FitPlan(gradients, activations, errors_every, layer_names(layers), layer_error_samples)
        self._log = EventWriter(log_dir, on_error=on_error)
        self._first_batch = (
            None if first_batch is None else positive("first_batch", first_batch, "the number of a batch")
        )
        #: The batch that ended last; None before the first ``fit``.
        self._step: int | None = None
        #: Batches of the model, as its optimizer counts them, before any callback could restore an earlier training.
        self._found_batches = 0
        #: The count of batches here minus the optimizer's count.
        self._ahead = 0
        self._has_begun = False
        self._epoch = 0
        self._fit: Fit | None = None
        #: Keras does not call a callback when ``fit`` ends with an exception.
        self._finalizer = weakref.finalize(self, self._log.close)

    # Within model.fit

    def set_model(self, model: Any) -> None:
        """Take the model; Keras calls this before any callback begins."""
        super().set_model(model)
        with self._log.guard():
            self._found_batches = trained_batches(model)

    @guarded
    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Prepare to record a ``fit``. Raises RecorderError if something cannot be recorded from this model."""
        self._has_begun = False
        model = self.model
        if self._fit is None or not self._fit.resume():
            self._finish()
            self._fit = self._backend.fit(self._log, model, self._inside)
            self._finalizer.detach()
            self._finalizer = weakref.finalize(self, self._fit.finish)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Remember the epoch."""
        self._epoch = epoch

    @guarded
    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Prepare to record a batch, and note the learning rate that it is trained with."""
        if self._fit is None:
            return
        if not self._has_begun:
            self._begin(self._fit)
        self._fit.announce()

    def _begin(self, fit: Fit) -> None:
        """Find the number of the first batch.

        All callbacks have begun by now, in any order, including those that restore an earlier training.
        """
        self._has_begun = True
        batches = trained_batches(self.model)
        if self._step is None:
            self._ahead = 0 if self._first_batch is None else self._first_batch - 1 - self._found_batches
            self._step = batches + self._ahead
        elif batches != self._found_batches:  # restored
            self._step = batches + self._ahead
        self._ahead = self._step - batches
        fit.begin(self._step)
        if self._step == 0:
            self._record_weights(0, time.time())

    @guarded
    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record what is due after a batch, or after several that ran in one call."""
        if self._fit is None or self._step is None:
            return
        wall_time = time.time()
        before, self._step = self._step, self._fit.batches_done(self._step)
        steps = range(before + 1, self._step + 1)
        self._fit.after(steps, wall_time)
        metrics = any(due(step, self._batch_every) for step in steps)
        if metrics:
            values = {"epoch": self._epoch, **(logs or {}), **self._fit.learning_rates}
            write_metrics(self._log, "batch", self._step, values, wall_time)
        plans = (self._weights, self._inside.gradients, self._inside.activations)
        others = [self._inside.layer_errors_every, *(every for plan in plans for every in plan.every)]
        joined = [step for step in steps if any(due(step, every) for every in others)]
        if metrics:
            joined = [step for step in joined if step != self._step]
        epochs = np.full((len(joined), 1), self._epoch, np.float32)
        self._log.scalar_rows(["batch/epoch"], joined, epochs, [wall_time] * len(joined))
        self._record_weights(self._step, wall_time, steps)

    @guarded
    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the metrics of an epoch, and the learning rate of its last batch."""
        rates = {} if self._fit is None else self._fit.learning_rates
        write_metrics(self._log, "epoch", epoch, {**(logs or {}), **rates}, time.time())
        if self._fit is not None:
            self._fit.write()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Write all pending data, and give the model back its train function."""
        self._finish()

    def _finish(self) -> None:
        if self._fit is not None:
            self._fit.finish()

    def _record_weights(self, step: int, wall_time: float, steps: range | None = None) -> None:
        """Record weights after ``step`` as far as they are due at one of ``steps``, which end at it."""
        steps = steps or range(step, step + 1)
        plan = RecordingPlan("weights", *(
            int(any(due(each, every) for each in steps))
            for every in (self._weights.tensors, self._weights.histograms, self._weights.statistics)
        ))  # fmt: skip
        if plan.every:
            self._backend.write_variables(self._log, plan, step, _by_name(self.model.weights), wall_time)

    # In a custom loop

    @contextlib.contextmanager
    def as_default(self) -> Iterator[TrainingRecorder]:
        """Make ``record_layer_errors`` and ``layer_mse`` write to this recorder within the block.

        TensorFlow's own ``tf.summary`` functions write into the same folder, to a file of their own. However the
        block ends, the recorded values are in the files.
        """
        with activated(self._log), self._backend.summaries(self._log):
            yield self

    def scalars(self, values: Mapping[str, Any], step: Any, *, unit: str = "batch") -> None:
        """Record scalars as ``<unit>/<name>``; ``unit`` is what ``step`` counts: ``batch`` or ``epoch``.

        An array of numbers is recorded as a tensor. Other values are omitted and counted, as in ``fit``.
        """
        check_unit(unit)
        names = list(named_values(values))

        def write(step: int, *numbers: Any) -> None:
            write_metrics(self._log, unit, step, dict(zip(names, numbers, strict=True)), time.time())

        self._backend.deliver(self._log, write, step, list(values.values()))

    def tensors(self, values: Mapping[str, Any], step: Any) -> None:
        """Record tensors under their tags, bit for bit; other values are omitted and counted, as in ``fit``."""
        tags = list(named_values(values))

        def write(step: int, *arrays: Any) -> None:
            for tag, array in zip(tags, arrays, strict=True):
                self._log.tensor(step, tag, array)

        self._backend.deliver(self._log, write, step, [self._backend.tensor(value) for value in values.values()])

    def histograms(self, values: Mapping[str, Any], step: Any) -> None:
        """Record histograms of the finite numbers of tensors under their tags."""
        tags = list(named_values(values))

        def write(step: int, *arrays: Any) -> None:
            for tag, array in zip(tags, arrays, strict=True):
                self._log.histogram(step, tag, array)

        self._backend.deliver(self._log, write, step, [self._backend.tensor(value) for value in values.values()])

    def weights(self, model: Any, step: Any) -> None:
        """Record the weights of a model, or those in a list, as far as they are due by this recorder's intervals."""
        variables = list(getattr(model, "weights", model))
        with self._log.guard():
            self._backend.record(self._log, self._weights, _by_name(variables), step)

    def gradients(self, gradients: Sequence[Any], variables: Sequence[Any], step: Any) -> None:
        """Record gradients with respect to variables, as far as they are due; a gradient that is None is left out."""
        present = {
            name: self._backend.dense(gradient, variable)
            for name, gradient, variable in zip(variable_names(variables), gradients, variables, strict=True)
            if gradient is not None
        }
        with self._log.guard():
            self._backend.record(self._log, self._inside.gradients, present, step)

    def close(self) -> None:
        """Write all pending data and close the files; later values go to new ones."""
        self._finish()
        self._log.close()
        self._backend.close(self._log)


def _by_name(variables: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(variable_names(variables), variables, strict=True))
