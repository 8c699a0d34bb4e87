"""Loss, gradients and weights of a network of JAX with flax and optax at each step, as CSV tables.

python examples/jax_training.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import jax
import optax
from flax import nnx

import tb2csv
from tb2csv.recorders import Recorder


def main(out: Path) -> None:
    """Fit a line by gradient descent, and convert what was recorded."""
    x = jax.numpy.linspace(-1, 1, 20)[:, None]
    model = nnx.Linear(1, 1, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(0.3), wrt=nnx.Param)

    with Recorder(out / "logs") as recorder:
        recorder.tensors({"weights": nnx.state(model)}, 0)
        for step in range(1, 6):
            loss, gradients = nnx.value_and_grad(lambda model: ((model(x) - 2 * x - 1) ** 2).mean())(model)
            optimizer.update(model, gradients)
            recorder.scalars({"loss": loss}, step)
            recorder.tensors({"gradients": gradients}, step)
            recorder.histograms({"histograms": gradients}, step)

    tb2csv.convert(out / "logs", out / "tables")
    print(f"loss of each step: {out}/tables/scalars/loss.csv")
    print(f"gradients of each step: {out}/tables/tensors/gradients/kernel.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
