"""Layer errors: the gradient of the loss with respect to the output of a layer, in the full forward pass."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final, Literal, overload

import numpy as np

from tb2csv.errors import RecorderError
from tb2csv.recorders.active_recorder import active_log
from tb2csv.recorders.graph_callbacks import deliver, when_due
from tb2csv.recorders.kept_arrays import KeptArrays
from tb2csv.recorders.keras_backends import check_tensorflow
from tb2csv.recorders.layer_calls import LayerCalls, by_sample, every_layer, is_floating, layers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import keras
    import numpy.typing as npt

    from tb2csv.recorders.event_writer import EventWriter

Samples = Literal["each", "sum"]

SAMPLES: Final = ("each", "sum")

#: The count of numbers that are widened at a time, so that they stay in the processor's cache.
_BLOCK: Final = 1 << 14

#: The number of squares that are added in float32, before the sums are added in float64.
_ROW: Final = 64

#: A mean square that is large compared with what float32 may lose of each square, which is 2**-126.
_SMALL_SQUARE: Final = 2.0**-98


def record_layer_errors(
    model: Any,
    x: Any,
    y: Any,
    loss_fn: Callable[[Any, Any], Any],
    *,
    step: Any,
    layers: Sequence[str] | None = None,
    training: bool = False,
    samples: Literal["each", "sum"] = "each",
) -> dict[str, Any]:
    """Record the gradient of ``loss_fn(y, model(x))`` with respect to the output of each layer, and return them.

    Call it within ``with recorder.as_default()``, in eager code or in a tf.function; it makes a forward and a backward
    pass of its own. The model does not change, except for what a forward pass in training mode updates.

    Args:
        model: a built keras.Model of any sort; layers are found in models inside it, too.
        x: inputs of a batch.
        y: targets of the batch.
        loss_fn: takes targets and predictions, returns the loss; a result that is not a scalar is summed.
        step: number of the batch.
        layers: names of layers, ``inner/name`` for those inside a model; all if None.
        training: whether layers behave as in training. False, the default, switches dropout off.
        samples: ``each`` records [sample, unit]; ``sum`` records [unit], the sum over the samples of the batch.

    Returns:
        Tensors in the shape of the layers' outputs, by layer. Layers on which the loss does not depend are missing. The
        calls of a layer that is used more than once are ``name#0``, ``name#1`` ….

    Raises:
        RecorderError: no recorder is active, a name is not a layer's, or Keras does not run on TensorFlow.
    """
    log = active_log("record_layer_errors")
    errors = layer_errors(model, x, y, loss_fn, layers=layers, training=training)
    check_samples(samples)
    names = list(errors)

    def write(step: int, *values: Any) -> None:
        arrays = {name: np.asarray(value) for name, value in zip(names, values, strict=True)}
        write_layer_errors(log, step, arrays, samples, time.time())

    deliver(log, write, step, list(errors.values()))
    return errors


def layer_errors(
    model: Any,
    x: Any,
    y: Any,
    loss_fn: Callable[[Any, Any], Any],
    *,
    layers: Sequence[str] | None = None,
    training: bool = False,
) -> dict[str, Any]:
    """Return what ``record_layer_errors`` records, without recording it; the arguments are the same."""
    check_tensorflow("layer_errors")
    import tensorflow as tf

    calls = LayerCalls(layers_of(model, layers))
    outputs: list[tuple[Callable[[], str], Any]] = []

    with tf.GradientTape() as tape:

        def keep(name: Callable[[], str], output: Any) -> Any:
            if not is_floating(output):
                return output
            # A layer may return its input unchanged, as dropout does; its output still needs a tensor of its own.
            output = tf.identity(output)
            tape.watch(output)
            outputs.append((name, output))
            return output

        with calls.exchanging(keep):
            predictions = model(x, training=training)
        loss = tf.reduce_sum(loss_fn(y, predictions))
    gradients = tape.gradient(loss, [output for _, output in outputs])
    return {
        name(): tf.convert_to_tensor(gradient)
        for (name, _), gradient in zip(outputs, gradients, strict=True)
        if gradient is not None
    }


@overload
def layer_mse(
    model: keras.Model, x: Any, targets: Mapping[str, Any], *, step: Any = None, training: bool = False
) -> dict[str, Any]: ...


@overload
def layer_mse(output: Any, target: Any, /, *, step: Any = None, name: str | None = None) -> Any: ...


def layer_mse(
    model: Any,
    x: Any,
    targets: Mapping[str, Any] | None = None,
    *,
    step: Any = None,
    name: str | None = None,
    training: bool = False,
) -> Any:
    """Return the mean squared error of layers' outputs against given targets, a scalar for each layer.

    ``layer_mse(output, target)`` is the error of an output that was computed before: two arrays of one shape.

    Args:
        model: a built keras.Model; or an output, an array or a tensor.
        x: inputs of a batch; or the target of that output.
        targets: for each layer, named as in ``record_layer_errors``, an array of its output's shape. For one call of a
            layer that is used more than once, give ``name#0``, ``name#1`` ….
        step: number of the batch; with it the errors are recorded as ``layer_mse/<layer>``, too.
        name: the layer's name in that tag, for an output that was computed before.
        training: whether layers behave as in training.

    Returns:
        A scalar tensor for each layer of ``targets``; or one, for an output.

    Raises:
        RecorderError: a name is not a layer's, a target has another shape than the output, no recorder is active
            though a step was given, ``step`` and ``name`` are not given together, or Keras does not run on TensorFlow.
    """
    check_tensorflow("layer_mse")
    import keras

    log = active_log("layer_mse") if step is not None else None
    if isinstance(model, keras.Model):
        if targets is None or name is not None:
            message = "layer_mse(model, x, targets) takes an array for each layer, and does not take name=."
            raise RecorderError(message)
        found = _outputs_by_name(model, x, training=training)
        errors = {layer: _mse(layer, found, target) for layer, target in targets.items()}
        _write_mse(log, step, errors)
        return errors
    if targets is not None:
        message = f"A {type(model).__name__} is not a keras.Model; give one, or an output and its target alone."
        raise RecorderError(message)
    if (step is None) != (name is None):
        message = "layer_mse records one output under its name; give step= and name= together, or neither."
        raise RecorderError(message)
    error = _mean_squared_error(name or "the output", model, x)
    _write_mse(log, step, {str(name): error})
    return error


def _outputs_by_name(model: Any, x: Any, *, training: bool) -> dict[str, Any]:
    calls = LayerCalls(every_layer(model))
    outputs: list[tuple[Callable[[], str], Any]] = []

    def keep(name: Callable[[], str], output: Any) -> Any:
        if is_floating(output):
            outputs.append((name, output))
        return output

    with calls.exchanging(keep):
        model(x, training=training)
    return {name(): output for name, output in outputs}


def _write_mse(log: EventWriter | None, step: Any, errors: Mapping[str, Any]) -> None:
    if log is None:
        return
    tags = [f"layer_mse/{name}" for name in errors]

    def write(step: int, *values: Any) -> None:
        log.scalars(step, dict(zip(tags, map(float, values), strict=True)))

    deliver(log, write, step, list(errors.values()))


def _mse(name: str, found: Mapping[str, Any], target: Any) -> Any:
    if name not in found:
        message = f"There is no layer output {name!r} in this forward pass; give one of {', '.join(found)}."
        raise RecorderError(message)
    return _mean_squared_error(name, found[name], target)


def _mean_squared_error(name: str, output: Any, target: Any) -> Any:
    import tensorflow as tf

    try:
        output = tf.convert_to_tensor(output)
        output = output if output.dtype.is_floating else tf.cast(output, tf.float64)
        target = tf.cast(tf.convert_to_tensor(target), output.dtype)
    except (TypeError, ValueError, tf.errors.OpError) as error:
        message = f"{name} or its target is not an array of numbers ({str(error).splitlines()[0]})."
        raise RecorderError(message) from error
    if not output.shape.is_compatible_with(target.shape):
        message = f"The target of {name} has the shape {tuple(target.shape)}, its output {tuple(output.shape)}."
        raise RecorderError(message)
    checks = []
    if not (output.shape.is_fully_defined() and target.shape.is_fully_defined()):
        checks = [tf.debugging.assert_equal(tf.shape(output), tf.shape(target), f"The target of {name}")]
    with tf.control_dependencies(checks):  # otherwise one sample would be broadcast to the whole batch
        return tf.reduce_mean(tf.math.squared_difference(output, target))


def write_layer_errors(
    log: EventWriter, step: int, errors: Mapping[str, npt.NDArray[Any]], samples: Samples, wall_time: float
) -> None:
    """Write errors, [sample, …] by layer: the values as [sample, unit], or summed as [unit], and their norms."""
    norms = {}
    for name, error in errors.items():
        rows = by_sample(error)
        value = rows if samples == "each" else rows.sum(axis=0)
        log.tensor(step, f"layer_errors/{name}", value, wall_time=wall_time)
        norms[f"layer_errors/{name}/norm"] = _norm(value)
    log.scalars(step, norms, wall_time=wall_time)


def _norm(values: npt.NDArray[Any]) -> float:
    """Return the Euclidean norm; its relative error is less than 2e-6 for float32, and that of float64 for the rest.

    numpy.linalg.norm leaves it to BLAS, whose threads wait for work by spinning, on the processors that TensorFlow's
    own threads need.
    """
    flat = values.reshape(-1)
    if flat.dtype == np.float32:
        # In any order a sum of 64 squares has 64 roundings of 2**-24; the root halves the error.
        rows = flat[: flat.size // _ROW * _ROW].reshape(-1, _ROW)
        with np.errstate(over="ignore", invalid="ignore"):
            sums = np.einsum("ij,ij->i", rows, rows)
        total = float(sums.sum(dtype=np.float64)) + _sum_of_squares(flat[rows.size :])
        # Otherwise float32 cannot hold the squares: they are infinite, or so small that they become zero.
        if flat.size * _SMALL_SQUARE < total < math.inf:
            return math.sqrt(total)
    return math.sqrt(_sum_of_squares(flat))


def _sum_of_squares(flat: npt.NDArray[Any]) -> float:
    blocks = (flat[start : start + _BLOCK].astype(np.float64) for start in range(0, flat.size, _BLOCK))
    return sum(float(np.einsum("i,i->", block, block)) for block in blocks)


def check_samples(samples: str) -> None:
    """Raise RecorderError if ``samples`` is neither ``each`` nor ``sum``."""
    if samples not in SAMPLES:
        message = f"samples={samples!r} is not known; give 'each' or 'sum'."
        raise RecorderError(message)


class LayerErrorHooks:
    """Layer errors of the batches that a model trains on, from the backward pass that the train step makes anyway."""

    def __init__(self, log: EventWriter, model: Any, step: Any, *, every: int, samples: Samples) -> None:
        """Prepare to record them; ``step`` is an int64 tf.Variable with the number of the batch in the train step."""
        self._log = log
        self._model = model
        self._step = step
        self._every = every
        self._samples = samples
        self._kept = KeptArrays()

    def exchange(self, name: Callable[[], str], output: Any) -> Any:
        """Return an output of a layer in a form whose error is recorded."""
        import tensorflow as tf

        if not is_floating(output):
            return output

        @tf.custom_gradient  # type: ignore[untyped-decorator] # TensorFlow ships no types
        def identity(output: Any) -> Any:
            def backward(error: Any) -> Any:
                with self._log.guard():
                    self._keep(name(), error)
                return error

            return tf.identity(output), backward

        return identity(output)

    def _keep(self, name: str, error: Any) -> None:
        import tensorflow as tf

        def keep(step: int, error: Any, scale: Any) -> None:
            self._kept.add(step, name, error, divisor=scale)

        wide = error.dtype if error.dtype == tf.float64 else tf.float32
        scale = tf.constant(1.0, wide)
        if hasattr(self._model.optimizer, "scale_loss"):  # a model may have optimizers of its own instead
            scale = self._model.optimizer.scale_loss(scale)
        error = tf.cast(error, wide) if error.dtype.size < tf.float32.size else error
        step = self._step.read_value()
        when_due(step, self._every, lambda: deliver(self._log, keep, step, [error, scale]))

    def write(self, wall_times: Mapping[int, float]) -> None:
        """Write the errors kept in the last train steps."""
        now = time.time()
        # Backward passes come from the end of the model; tables are easier to read from its beginning.
        for step, errors in _by_pass(reversed(self._kept.take())):
            write_layer_errors(self._log, step, errors, self._samples, wall_times.get(step, now))
            self._kept.reuse(errors)


def _by_pass(errors: Iterable[tuple[int, str, npt.NDArray[Any]]]) -> Iterator[tuple[int, dict[str, npt.NDArray[Any]]]]:
    """Yield the step and the errors of each backward pass, because a train step may make two through one layer."""
    last: int | None = None
    found: dict[str, npt.NDArray[Any]] = {}
    for step, name, error in errors:
        if last is not None and (step != last or name in found):
            yield last, found
            found = {}
        last, found[name] = step, error
    if last is not None:
        yield last, found
