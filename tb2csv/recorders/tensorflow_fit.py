"""A fit on TensorFlow that records gradients, activations and layer errors, and numbers batches in its train steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tb2csv.errors import RecorderError
from tb2csv.recorders.activation_hooks import ActivationHooks
from tb2csv.recorders.fits import RecordedFit
from tb2csv.recorders.gradient_hooks import GradientHooks
from tb2csv.recorders.layer_calls import LayerCalls, layers_of
from tb2csv.recorders.output_errors import LayerErrorHooks
from tb2csv.recorders.recording_plan import WAITING_STEPS
from tb2csv.recorders.train_function import RecordedTrainFunction

if TYPE_CHECKING:
    from collections.abc import Callable

    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.recording_plan import FitPlan


class TensorFlowFit(RecordedFit):
    """What happens inside the train steps of a model, and the count of its batches; independent of the callback.

    The count is a variable, because Keras does not always report how many batches it ran in a call.
    """

    def __init__(self, log: EventWriter, model: Any, plan: FitPlan) -> None:
        """Prepare to record a model that is about to train; ``begin`` gives the number of its batches so far.

        Raises:
            RecorderError: the model trains under a distribution strategy, and something inside its train step is
                selected; or GradientHooks refuses the model, or it lacks one of the layers.
        """
        import tensorflow as tf

        super().__init__(log, model, plan)
        self._wall_times: dict[int, float] = {}
        #: The number of batches since the last time that all pending data was written.
        self._waiting = 0
        self._gradients: GradientHooks | None = None
        self._activations: ActivationHooks | None = None
        self._errors: LayerErrorHooks | None = None
        if not plan.is_empty:
            _refuse_strategies(model)
        self._execution = model.steps_per_execution
        self._batch = tf.Variable(0, dtype=tf.int64, trainable=False, name="recorded_batch")
        methods: list[tuple[Any, str, Callable[..., Any]]] = []
        if plan.gradients.every:
            self._gradients = GradientHooks(log, plan.gradients, model, self._batch, self._execution)
            methods += self._gradients.methods()
        if plan.activations.every:
            self._activations = ActivationHooks(log, plan.activations, self._batch, self._execution)
        if plan.layer_errors_every:
            self._errors = LayerErrorHooks(log, model, self._batch, every=plan.layer_errors_every, samples=plan.samples)
        outputs = [each for each in (self._activations, self._errors) if each is not None]
        self._calls = LayerCalls(layers_of(model, plan.layers) if outputs else {})

        def exchange(name: Callable[[], str], output: Any) -> Any:
            for each in outputs:
                output = each.exchange(name, output)
            return output

        methods += self._calls.methods(exchange)
        methods.append((model, "train_step", self._recorded(model.train_step)))
        allows_xla = self._errors is None and not plan.activations.tensors and not plan.activations.histograms
        self._function = RecordedTrainFunction(model, methods, allow_xla=allows_xla, on_failure=self.write)

    def _recorded(self, train_step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return a train step that counts batches, and records."""

        def counted_train_step(data: Any) -> Any:
            with self._log.guard():
                self._batch.assign_add(1)
                self._calls.begin()
                if self._gradients is not None:
                    self._gradients.begin_trace()
                if self._activations is not None:
                    self._activations.begin_trace()
            results = train_step(data)
            self._has_updates |= self._gradients is not None and self._gradients.has_updates
            if self._activations is not None:
                with self._log.guard():
                    self._activations.end_trace()
            return results

        return counted_train_step

    def begin(self, step: int) -> None:
        """Begin with the next batch; ``step`` batches were done before."""
        self._first = step
        self._batch.assign(step)

    def batches_done(self, before: int) -> int:
        """Return the number of the batch that ended last."""
        return int(self._batch.numpy())

    def after(self, steps: range, wall_time: float) -> None:
        """Write what is due after these batches."""
        self._wall_times.update(dict.fromkeys(steps, wall_time))
        self._waiting += len(steps)
        if self._errors is not None:
            self._errors.write(self._wall_times)
        if self._activations is not None:
            self._activations.write_arrays(self._wall_times)
        is_full = self._waiting + self._execution > WAITING_STEPS
        if is_full or (self._gradients is not None and self._gradients.holds_values(steps)):
            self.write()

    def write(self) -> None:
        """Write all pending data."""
        import tensorflow as tf

        # Outside of any graph: a recorder may be collected, and finished, while Keras traces another model.
        with self._log.guard(), tf.init_scope():
            for hooks in (self._errors, self._activations, self._gradients):
                if hooks is not None:
                    hooks.write(self._wall_times)
        self._wall_times.clear()
        self._waiting = 0


def _refuse_strategies(model: Any) -> None:
    import tensorflow as tf

    if type(model.distribute_strategy) is not type(tf.distribute.get_strategy()) or tf.distribute.has_strategy():
        name = type(model.distribute_strategy).__name__
        message = (
            f"Gradients, activations and layer errors cannot be recorded under {name}, because each replica has its "
            "own; record metrics and weights only, or train without a strategy."
        )
        raise RecorderError(message)
