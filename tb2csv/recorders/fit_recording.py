"""The recording of gradients, layer errors and batch numbers while ``model.fit`` runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tb2csv.errors import RecorderError
from tb2csv.recorders.gradient_hooks import GradientHooks
from tb2csv.recorders.output_errors import LayerErrorHooks
from tb2csv.recorders.train_function import RecordedTrainFunction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.output_errors import Samples
    from tb2csv.recorders.recording_plan import RecordingPlan


class FitRecording:
    """Gradients and layer errors of a model, and the count of its batches; independent of the callback.

    The train step is compiled again only if something in it is recorded, or if it runs several batches per call: then
    Keras does not always report how many it ran.
    """

    def __init__(
        self,
        log: EventWriter,
        model: Any,
        *,
        gradients: RecordingPlan,
        layer_errors_every: int,
        layers: Sequence[str] | None,
        samples: Samples,
    ) -> None:
        """Prepare to record a model that is about to train; ``begin`` gives the number of its batches so far.

        Raises:
            RecorderError: the model trains under a distribution strategy, and gradients or layer errors are
                selected; or GradientHooks or LayerErrorHooks refuse the model.
        """
        import tensorflow as tf

        self._log = log
        self._wall_times: dict[int, float] = {}
        self._taps: GradientHooks | None = None
        self._errors: LayerErrorHooks | None = None
        self._function: RecordedTrainFunction | None = None
        inside = bool(gradients.every or layer_errors_every)
        if inside:
            _refuse_strategies(model)
        several = model.steps_per_execution
        if not inside and several == 1:
            return
        self._batch = tf.Variable(0, dtype=tf.int64, trainable=False, name="recorded_batch")
        if gradients.every:
            self._taps = GradientHooks(log, gradients, model, self._batch, several)
        if layer_errors_every:
            self._errors = LayerErrorHooks(
                log, model, self._batch, every=layer_errors_every, layers=layers, samples=samples
            )
        taps = [each for each in (self._taps, self._errors) if each is not None]
        train_step = model.train_step

        def counted_train_step(data: Any) -> Any:
            with log.guard():
                self._batch.assign_add(1)
                for each in taps:
                    each.begin_trace()
            return train_step(data)

        methods = [(model, "train_step", counted_train_step), *(method for each in taps for method in each.methods())]
        self._function = RecordedTrainFunction(
            model, methods, allow_xla=self._errors is None, on_failure=self._after_failure
        )

    def resume(self) -> bool:
        """Continue with another ``fit`` of the same compiled model; return whether it is the same."""
        return self._function is not None and self._function.resume()

    def begin(self, step: int) -> None:
        """Begin with the next batch; ``step`` batches were done before."""
        if self._function is not None:
            self._batch.assign(step)

    def announce(self) -> None:
        """Announce the start of a batch, or of several in one call."""
        if self._function is not None:
            self._function.announce()

    def batches_done(self, before: int) -> int:
        """Return the number of the batch that ended last; ``before`` is the one before this call of the train step."""
        return before + 1 if self._function is None else int(self._batch.numpy())

    def after(self, steps: range, wall_time: float) -> None:
        """Write what is due after these batches."""
        if self._function is None:
            return
        self._wall_times.update(dict.fromkeys(steps, wall_time))
        if self._errors is not None:
            self._errors.write(self._wall_times)
        if self._taps is None or self._taps.after(steps, self._wall_times):
            self._wall_times.clear()

    def write(self) -> None:
        """Write all pending data."""
        import tensorflow as tf

        # Outside of any graph: a recorder may be collected, and finished, while Keras traces another model.
        with self._log.guard(), tf.init_scope():
            if self._errors is not None:
                self._errors.write(self._wall_times)
            if self._taps is not None:
                self._taps.write(self._wall_times)
        self._wall_times.clear()

    def finish(self) -> None:
        """Write all pending data, close the file, and give the model back its train function."""
        if self._function is not None:
            self._function.restore()
        self.write()
        self._log.close()

    def _after_failure(self) -> None:
        self.write()


def _refuse_strategies(model: Any) -> None:
    import tensorflow as tf

    if type(model.distribute_strategy) is not type(tf.distribute.get_strategy()) or tf.distribute.has_strategy():
        name = type(model.distribute_strategy).__name__
        message = (
            f"Gradients and layer errors cannot be recorded under {name}, because each replica has its own; "
            "record metrics and weights only, or train without a strategy."
        )
        raise RecorderError(message)
