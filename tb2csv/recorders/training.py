"""The recorder of a training: a Keras callback, and a context manager for loops of one's own."""

from __future__ import annotations

import contextlib
import time
import weakref
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from tb2csv.errors import RecorderError
from tb2csv.recorders.active_recorder import activated
from tb2csv.recorders.event_log import EventLog
from tb2csv.recorders.fit_recording import FitRecording
from tb2csv.recorders.gradient_taps import dense, leaf_optimizers, optimizers_of
from tb2csv.recorders.graph_delivery import deliver, when, when_due
from tb2csv.recorders.layer_errors import check_samples
from tb2csv.recorders.recording_plan import RecordingPlan, due, interval
from tb2csv.recorders.tensor_statistics import statistics_of
from tb2csv.recorders.variable_names import variable_names

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tb2csv.recorders.event_log import OnError
    from tb2csv.recorders.layer_errors import Samples


class TrainingRecorder(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Writes metrics, weights, gradients and layer errors of a training into an event file.

    As a callback of ``model.fit`` it does so by itself; in a loop of one's own, ``scalars``, ``weights``,
    ``gradients``, ``histograms`` and ``tensors`` are called with what there is, in eager code or in a tf.function.

    The step of ``epoch/…`` is the epoch, from 0. The step of everything else is the batch: 1 is the first batch of the
    training, and what is recorded at step n is what batch n gave: its gradients, and the weights after it. Weights at
    step 0 are those before the training. Batches are counted on from one ``fit`` to the next; a recorder that begins
    with a model that was trained before counts on from its optimizer's number of steps.

    docs/recorders.md has all tags.
    """

    def __init__(  # noqa: PLR0913 - one argument for each thing that can be recorded
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
        layer_errors_every: int | None = None,
        layers: Sequence[str] | None = None,
        layer_error_samples: Samples = "each",
        first_batch: int | None = None,
        on_error: OnError = "warn",
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
            layer_errors_every: the gradient of the loss with respect to the output of each layer.
            layers: names of the layers whose errors are recorded; all where it is None.
            layer_error_samples: ``each`` records errors as [sample, unit], ``sum`` as [unit], summed over the batch.
            first_batch: the number of the first batch; one more than the optimizer's steps where it is None.
            on_error: what an error of the disk does: ``warn`` and stop the recording, not the training, or ``raise``.

        Raises:
            RecorderError: an argument is not what it has to be, or Keras does not run on TensorFlow.
        """
        super().__init__()
        if keras.backend.backend() != "tensorflow":
            message = f"Recorders need Keras on TensorFlow, not on {keras.backend.backend()}; set KERAS_BACKEND."
            raise RecorderError(message)
        check_samples(layer_error_samples)
        self._batch_every = interval("batch_every", batch_every)
        self._weights = RecordingPlan(
            "weights",
            interval("weights_every", weights_every),
            interval("weight_histograms_every", weight_histograms_every),
            interval("weight_statistics_every", weight_statistics_every),
        )
        self._gradients = RecordingPlan(
            "gradients",
            interval("gradients_every", gradients_every),
            interval("gradient_histograms_every", gradient_histograms_every),
            interval("gradient_statistics_every", gradient_statistics_every),
        )
        self._layer_errors_every = interval("layer_errors_every", layer_errors_every)
        self._layers = layers
        self._samples: Samples = layer_error_samples
        self._log = EventLog(log_dir, on_error=on_error)
        #: The batch that ended last; None before the first ``fit``.
        self._step = None if first_batch is None else first_batch - 1
        self._epoch = 0
        self._fit: FitRecording | None = None
        self._learning_rates: dict[str, float] = {}
        self._summary_writer: Any = None
        self._traced_variables: list[Any] = []
        self._traced_statistics: Callable[[], Any] = list
        #: Nobody tells a callback that ``fit`` ended by an exception.
        self._finalizer = weakref.finalize(self, self._log.close)

    # Within model.fit

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras calls it so
        """Begin to record a ``fit``."""
        model = self.model
        if self._step is None:
            self._step = int(_tensor(getattr(model.optimizer, "iterations", 0)))
        if self._fit is None or not self._fit.resume(self._step):
            self._finish()
            self._fit = FitRecording(
                self._log,
                model,
                self._step,
                gradients=self._gradients,
                layer_errors_every=self._layer_errors_every,
                layers=self._layers,
                samples=self._samples,
            )
            self._finalizer.detach()
            self._finalizer = weakref.finalize(self, self._fit.finish)
        if self._step == 0:
            self._record_weights(0, time.time())

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Remember the epoch."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Note the learning rate that the batch is trained with."""
        if self._fit is None:
            return
        self._fit.announce()
        self._learning_rates = _learning_rates(self.model)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Record what is due after a batch, or after several that were run at one go."""
        if self._fit is None or self._step is None:
            return
        wall_time = time.time()
        before, self._step = self._step, self._fit.batches_done(self._step)
        steps = range(before + 1, self._step + 1)
        self._fit.after(steps, wall_time)
        metrics = any(due(step, self._batch_every) for step in steps)
        if metrics:
            self._metrics(
                "batch", self._step, {"epoch": self._epoch, **(logs or {}), **self._learning_rates}, wall_time
            )
        others = (*self._weights.every, *self._gradients.every, self._layer_errors_every)
        joined = [step for step in steps if any(due(step, every) for every in others)]
        if metrics:
            joined = [step for step in joined if step != self._step]
        epochs = np.full((len(joined), 1), self._epoch, np.float32)
        self._log.scalar_rows(["batch/epoch"], joined, epochs, [wall_time] * len(joined))
        self._record_weights(self._step, wall_time, steps)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the metrics of an epoch, and the learning rate of its last batch."""
        self._metrics("epoch", epoch, {**(logs or {}), **self._learning_rates}, time.time())
        if self._fit is not None:
            self._fit.write()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Write what waits, and give the model back its train function."""
        self._finish()

    def _finish(self) -> None:
        if self._fit is not None:
            self._fit.finish()

    def _metrics(self, unit: str, step: int, values: Mapping[str, Any], wall_time: float) -> None:
        scalars = {}
        for name, value in values.items():
            array = np.asarray(value)
            if array.ndim:
                self._log.tensor(step, f"{unit}/{name}", array, wall_time=wall_time)
            else:
                scalars[f"{unit}/{name}"] = float(array)
        self._log.scalars(step, scalars, wall_time=wall_time)

    def _record_weights(self, step: int, wall_time: float, steps: range | None = None) -> None:
        """Record weights after ``step`` as far as they are due at one of ``steps``, the last of which it is."""
        steps = steps or range(step, step + 1)
        plan = RecordingPlan("weights", *(
            int(any(due(each, every) for each in steps))
            for every in (self._weights.tensors, self._weights.histograms, self._weights.statistics)
        ))  # fmt: skip
        if plan.every:
            variables = self.model.weights
            names = variable_names(variables)
            plan.write_values(self._log, step, names, [_tensor(each).numpy() for each in variables], wall_time)
            if plan.statistics:
                numbers = self._weight_statistics(variables).numpy()
                plan.write_statistics(self._log, [step], names, numbers[np.newaxis], [wall_time])

    def _weight_statistics(self, variables: list[Any]) -> Any:
        """Return the statistics of variables, by a function that is traced once for a model."""
        import tensorflow as tf

        if [id(each) for each in variables] != [id(each) for each in self._traced_variables]:
            self._traced_variables = variables
            self._traced_statistics = tf.function(lambda: statistics_of([_tensor(each) for each in variables]))
        return self._traced_statistics()

    # In a loop of one's own

    @contextlib.contextmanager
    def as_default(self) -> Iterator[TrainingRecorder]:
        """Have ``record_layer_errors`` and ``layer_mse`` write to this recorder within the block.

        TensorFlow's own ``tf.summary`` functions write into the same folder, to a file of their own. Whatever ends the
        block, what was recorded is in the files.
        """
        import tensorflow as tf

        if self._summary_writer is None:
            self._log.folder.mkdir(parents=True, exist_ok=True)
            self._summary_writer = tf.summary.create_file_writer(str(self._log.folder), filename_suffix=".summary.v2")
        try:
            with activated(self._log), self._summary_writer.as_default():
                yield self
        finally:
            self._summary_writer.flush()

    def scalars(self, values: Mapping[str, Any], step: Any, *, unit: str = "batch") -> None:
        """Record scalars as ``<unit>/<name>``; ``unit`` is what ``step`` counts: ``batch`` or ``epoch``."""
        import tensorflow as tf

        tags = [f"{unit}/{name}" for name in values]

        def write(step: int, *numbers: Any) -> None:
            self._log.scalars(step, dict(zip(tags, map(float, numbers), strict=True)))

        deliver(write, step, [tf.cast(value, tf.float32) for value in values.values()])

    def tensors(self, values: Mapping[str, Any], step: Any) -> None:
        """Record tensors under their tags, bit for bit."""
        tags = list(values)

        def write(step: int, *arrays: Any) -> None:
            for tag, array in zip(tags, arrays, strict=True):
                self._log.tensor(step, tag, array)

        deliver(write, step, [_tensor(value) for value in values.values()])

    def histograms(self, values: Mapping[str, Any], step: Any) -> None:
        """Record histograms of the finite numbers of tensors under their tags."""
        tags = list(values)

        def write(step: int, *arrays: Any) -> None:
            for tag, array in zip(tags, arrays, strict=True):
                self._log.histogram(step, tag, array)

        deliver(write, step, [_tensor(value) for value in values.values()])

    def weights(self, model: Any, step: Any) -> None:
        """Record the weights of a model, or those in a list, as far as this recorder's intervals say they are due."""
        variables = list(getattr(model, "weights", model))
        self._record_family(self._weights, variable_names(variables), [_tensor(each) for each in variables], step)

    def gradients(self, gradients: Sequence[Any], variables: Sequence[Any], step: Any) -> None:
        """Record gradients with respect to variables, as far as they are due; a gradient that is None is left out."""
        names = variable_names(variables)
        present = [
            (name, dense(gradient, variable))
            for name, gradient, variable in zip(names, gradients, variables, strict=True)
            if gradient is not None
        ]
        self._record_family(self._gradients, [name for name, _ in present], [each for _, each in present], step)

    def _record_family(self, plan: RecordingPlan, names: list[str], values: list[Any], step: Any) -> None:
        import tensorflow as tf

        def write_values(step: int, *arrays: Any) -> None:
            plan.write_values(self._log, step, names, arrays, time.time())

        def write_statistics(step: int, numbers: Any) -> None:
            plan.write_statistics(self._log, [step], names, numbers[np.newaxis], [time.time()])

        step = tf.cast(step, tf.int64)
        if plan.tensors or plan.histograms:
            when(plan.wants_values(step), lambda: deliver(write_values, step, values))
        if plan.statistics and values:
            when_due(step, plan.statistics, lambda: deliver(write_statistics, step, [statistics_of(values)]))

    def close(self) -> None:
        """Write what waits and close the files; what is recorded afterwards goes to new ones."""
        self._finish()
        self._log.close()
        if self._summary_writer is not None:
            self._summary_writer.close()
            self._summary_writer = None


def _tensor(value: Any) -> Any:
    import tensorflow as tf

    return tf.convert_to_tensor(value)


def _learning_rates(model: Any) -> dict[str, float]:
    """Return the learning rate of the next batch, or one for each optimizer where there are several."""
    rates = {
        optimizer.name: float(_tensor(optimizer.learning_rate))
        for each in optimizers_of(model)
        for optimizer in leaf_optimizers(each)
    }
    if len(rates) == 1:
        (rate,) = rates.values()
        return {"learning_rate": rate}
    return {f"learning_rate/{name}": rate for name, rate in rates.items()}
