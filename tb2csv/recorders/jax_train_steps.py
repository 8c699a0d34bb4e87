"""One trace of Keras' train step on JAX that returns the outputs of layers, and the derivatives of the loss by them.

The step differentiates one function of the model with respect to its trainable variables. Nothing leaves such a
function but its results, of which Keras puts one list into the state as it is: the variables that are not trained. The
outputs come with them. For the errors, the trainable variables come with a probe for each output: a number of the same
shape that the output ignores, and whose derivative is that of the output.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from tb2csv.recorders.method_patching import replaced_method

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tb2csv.recorders.layer_calls import LayerCalls


class TracedStep(NamedTuple):
    """What a train step returned."""

    logs: Any
    state: Any
    #: Outputs of layers by name, in the order of the calls.
    outputs: list[tuple[str, Any]]
    #: The derivatives of the loss by the outputs that had a probe, by name.
    errors: list[tuple[str, Any]]


def run_step(
    model: Any,
    calls: LayerCalls,
    train_step: Callable[[Any, Any], Any],
    state: Any,
    data: Any,
    probes: Sequence[Any] = (),
) -> TracedStep:
    """Run a train step of a model, and return what the layers of ``calls`` returned.

    Args:
        model: a compiled keras.Model.
        calls: the layers.
        train_step: Keras' function of the state and a batch, which returns the logs and the new state.
        state: the lists of variables that Keras hands over, those that are trained first.
        data: the batch.
        probes: for each output a probe, or None; empty for no errors. ``probes_of`` returns them.
    """
    compute, stateless_apply = model.compute_loss_and_updates, model.optimizer.stateless_apply
    trained, *others = state
    count = len(trained)
    names: list[Callable[[], str]] = []
    errors: list[Any] = []

    def compute_with_outputs(variables: Any, *args: Any, **kwargs: Any) -> Any:
        names.clear()
        outputs: list[Any] = []
        handed = iter(variables[count:])
        own_probes = [probe if probe is None else next(handed) for probe in probes]

        def take(name: Callable[[], str], output: Any) -> Any:
            if not isinstance(output, jax.Array):
                return output
            probe = own_probes[len(outputs)] if probes else None
            names.append(name)
            outputs.append(output)
            return output if probe is None else _probed(output, probe)

        calls.begin()
        with calls.exchanging(take):
            loss, (unscaled_loss, predictions, untrained, metrics) = compute(variables[:count], *args, **kwargs)
        return loss, (unscaled_loss, predictions, [*untrained, *outputs], metrics)

    def apply_without_probes(optimizer_variables: Any, gradients: Any, variables: Any) -> Any:
        errors.extend(_of_the_loss(model.optimizer, optimizer_variables, gradients[count:]))
        return stateless_apply(optimizer_variables, gradients[:count], variables[:count])

    given = ([*trained, *(probe for probe in probes if probe is not None)], *others)
    with (
        replaced_method(model, "compute_loss_and_updates", compute_with_outputs),
        replaced_method(model.optimizer, "stateless_apply", apply_without_probes),
    ):
        logs, (trained, untrained, *others) = train_step(given, data)
    end = len(untrained) - len(names)
    outputs = [(name(), output) for name, output in zip(names, untrained[end:], strict=True)]
    probed = [name for (name, _), probe in zip(outputs, probes, strict=False) if probe is not None]
    return TracedStep(logs, (trained, untrained[:end], *others), outputs, list(zip(probed, errors, strict=False)))


def probes_of(model: Any, calls: LayerCalls, train_step: Callable[[Any, Any], Any], state: Any, data: Any) -> list[Any]:
    """Return a probe for each output of floating-point numbers in a train step, and None for other outputs."""

    def outputs_of(state: Any, data: Any) -> list[Any]:
        return [output for _, output in run_step(model, calls, train_step, state, data).outputs]

    shapes = jax.eval_shape(outputs_of, state, data)
    return [
        jax.numpy.zeros(each.shape, each.dtype) if jax.numpy.issubdtype(each.dtype, jax.numpy.floating) else None
        for each in shapes
    ]


def _of_the_loss(optimizer: Any, variables: Any, errors: Sequence[Any]) -> list[Any]:
    """Return the derivatives of the loss, given those of the loss that an optimizer with these variables scales."""
    import keras

    one = jax.numpy.ones(())
    with keras.StatelessScope(state_mapping=list(zip(optimizer.variables, variables, strict=True))):
        scale = optimizer.scale_loss(one)
    wide = [error.astype(jax.numpy.promote_types(error.dtype, jax.numpy.float32)) for error in errors]
    return wide if scale is one else [error / scale for error in wide]


@functools.partial(jax.custom_vjp)
def _probed(output: Any, probe: Any) -> Any:
    """Return the output as it is; the derivative by the probe is that by the output."""
    del probe
    return output


def _probed_forward(output: Any, probe: Any) -> tuple[Any, None]:
    return _probed(output, probe), None


def _probed_backward(_: None, error: Any) -> tuple[Any, Any]:
    return error, error


_probed.defvjp(_probed_forward, _probed_backward)
