"""A small network and its training in numpy alone, which the tables of the pages are compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

PARAMETERS = ("hidden/kernel", "hidden/bias", "output/kernel", "output/bias")


@dataclass
class Step:
    """One step of the training, at float64."""

    loss: float
    accuracy: float
    #: The gradient that the step applies to each of PARAMETERS.
    gradients: dict[str, Array]
    #: The gradients of the loss with respect to the outputs of the layers, by sample.
    errors: dict[str, Array]
    #: The weights after the step.
    weights: dict[str, Array] = field(default_factory=dict)


def evaluated(weights: dict[str, Array], x: Any, y: Any) -> Step:
    """Return a step with the loss of a batch: a layer of tanh, a layer of logits, and the mean cross-entropy."""
    x = np.asarray(x, np.float64)
    hidden = np.tanh(x @ weights["hidden/kernel"] + weights["hidden/bias"])
    shares = softmax(hidden @ weights["output/kernel"] + weights["output/bias"])
    rows = np.arange(len(x))
    output_error = shares.copy()
    output_error[rows, y] -= 1
    output_error /= len(x)
    hidden_error = output_error @ weights["output/kernel"].T
    slope = hidden_error * (1 - hidden**2)
    gradients = (x.T @ slope, slope.sum(axis=0), hidden.T @ output_error, output_error.sum(axis=0))
    return Step(
        float(-np.log(shares[rows, y]).mean()),
        float((shares.argmax(axis=1) == y).mean()),
        dict(zip(PARAMETERS, gradients, strict=True)),
        {"hidden": hidden_error, "output": output_error},
    )


def trained(weights: Sequence[Any], batches: Sequence[tuple[Any, Any]], *, epochs: int, rate: float) -> list[Step]:
    """Return all steps of a training by gradient descent from weights in the order of PARAMETERS."""
    current = {name: np.asarray(each, np.float64) for name, each in zip(PARAMETERS, weights, strict=True)}
    steps = []
    for x, y in [batch for _ in range(epochs) for batch in batches]:
        step = evaluated(current, x, y)
        current = {name: each - rate * step.gradients[name] for name, each in current.items()}
        step.weights = current
        steps.append(step)
    return steps


def predicted(weights: dict[str, Array], x: Any) -> Array:
    """Return the logits of samples."""
    hidden = np.tanh(np.asarray(x, np.float64) @ weights["hidden/kernel"] + weights["hidden/bias"])
    return np.asarray(hidden @ weights["output/kernel"] + weights["output/bias"])


def softmax(logits: Array) -> Array:
    """Return the shares of the classes of each sample."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def data(samples: int = 24) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return samples of four numbers, and their classes."""
    random = np.random.default_rng(7)
    x = random.normal(size=(samples, 4)).astype(np.float32)
    return x, (x[:, 0] > 0) * 1 + (x[:, 1] > 0.5) * 1
