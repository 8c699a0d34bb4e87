"""One trace of Keras' train step on JAX that returns the outputs of layers, and the derivatives of the loss by them.

A step, Keras' or one of a model's own, differentiates a function of the trainable variables that calls
``stateless_call``. Nothing leaves such a function but its results, of which steps put one list into the state as it is:
the variables that are not trained. The outputs come with them. For the errors, the trainable variables come with a
probe for each output: a number of the same shape that the output ignores, and whose derivative is that of the output.
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
    #: The names of outputs that the step does not put into the state.
    lost_outputs: list[str]
    #: The names of outputs that had a probe by which the step does not differentiate.
    lost_errors: list[str]


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
        train_step: the function of the state and a batch, which returns the logs and the new state.
        state: the lists of variables that Keras hands over: those that are trained, those that are not, and others.
        data: the batch.
        probes: for each output a probe, or None; empty for no errors. ``probes_of`` returns them.
    """
    handover = _Handover(model, probes, len(state[0]), len(state[1]))
    given = ([*state[0], *(probe for probe in probes if probe is not None)], *state[1:])
    calls.begin()
    with (
        calls.exchanging(handover.take),
        replaced_method(model, "stateless_call", handover.call),
        replaced_method(model, "stateless_compute_loss", handover.compute_loss),
        replaced_method(model.optimizer, "stateless_apply", handover.apply),
    ):
        logs, (trained, untrained, *others) = train_step(given, data)
    outputs = untrained[handover.untrained :]
    state = (trained[: handover.trained], untrained[: handover.untrained], *others)
    names, lost = [name() for name in handover.names], [name() for name in handover.lost]
    if len(outputs) != len(names):
        outputs, names, lost = [], [], names + lost
    probed = [name for name, probe in zip(names, probes, strict=False) if probe is not None]
    errors, lost_errors = handover.errors, []
    if len(errors) != len(probed):
        errors, probed, lost_errors = [], [], probed
    paired = list(zip(names, outputs, strict=True)), list(zip(probed, errors, strict=True))
    return TracedStep(logs, state, *paired, lost, lost_errors)


class _Handover:
    """The stateless methods of a model and its optimizer, with outputs and probes at the end of lists of variables."""

    def __init__(self, model: Any, probes: Sequence[Any], trained: int, untrained: int) -> None:
        """Take the methods of a model that has these numbers of variables."""
        self._call, self._compute_loss = model.stateless_call, model.stateless_compute_loss
        self._optimizer, self._apply = model.optimizer, model.optimizer.stateless_apply
        self._probes = probes
        self.trained, self.untrained = trained, untrained
        #: Of outputs that ``call`` returned, and of others.
        self.names: list[Callable[[], str]] = []
        self.lost: list[Callable[[], str]] = []
        self.errors: list[Any] = []
        #: The outputs in the current call, and the variables that it got.
        self._outputs: list[Any] | None = None
        self._variables: Sequence[Any] = ()

    def take(self, name: Callable[[], str], output: Any) -> Any:
        """Take an output of a layer, and return it, with its probe if there is one."""
        if not isinstance(output, jax.Array):
            return output
        if self._outputs is None:
            self.lost.append(name)
            return output
        probe = self._probe(len(self.names))
        self.names.append(name)
        self._outputs.append(output)
        return output if probe is None else _probed(output, probe)

    def _probe(self, number: int) -> Any:
        """Return the probe of an output among the variables of the current call, or None."""
        if number >= len(self._probes) or self._probes[number] is None:
            return None
        place = self.trained + sum(each is not None for each in self._probes[:number])
        return self._variables[place] if place < len(self._variables) else None

    def call(self, trainable_variables: Any, non_trainable_variables: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the model, and return the outputs after the variables that are not trained."""
        self._outputs, self._variables = [], trainable_variables
        try:
            predictions, untrained, *losses = self._call(
                trainable_variables[: self.trained], non_trainable_variables[: self.untrained], *args, **kwargs
            )
            earlier = non_trainable_variables[self.untrained :]
            return predictions, [*untrained, *earlier, *self._outputs], *losses
        finally:
            self._outputs, self._variables = None, ()

    def compute_loss(
        self, trainable_variables: Any, non_trainable_variables: Any, metrics_variables: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Compute the loss, and return what was at the ends of the lists at the ends of the new ones."""
        loss, (trained, untrained, metrics) = self._compute_loss(
            trainable_variables[: self.trained],
            non_trainable_variables[: self.untrained],
            metrics_variables,
            *args,
            **kwargs,
        )
        trained = [*trained, *trainable_variables[self.trained :]]
        return loss, (trained, [*untrained, *non_trainable_variables[self.untrained :]], metrics)

    def apply(self, optimizer_variables: Any, grads: Any, trainable_variables: Any) -> Any:
        """Apply the gradients of variables, and take those of probes."""
        self.errors.extend(_of_the_loss(self._optimizer, optimizer_variables, grads[self.trained :]))
        return self._apply(optimizer_variables, grads[: self.trained], trainable_variables[: self.trained])


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
