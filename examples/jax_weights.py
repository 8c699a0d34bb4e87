"""The weights of a training with JAX, flax and optax in a CSV file, and back into a new one.

python examples/jax_weights.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import optax
from flax import nnx

from tb2csv.model_state import export_state, load_state


def build(seed: int) -> dict[str, nnx.Module]:
    """Return a model and its optimizer."""
    model = nnx.Linear(3, 1, rngs=nnx.Rngs(seed))
    return {"model": model, "optimizer": nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)}


def main(out: Path) -> dict[str, nnx.Module]:
    """Train for some steps, export, and return a second training with the state of the first."""
    out.mkdir(parents=True, exist_ok=True)
    first, second = build(seed=0), build(seed=1)
    x = np.random.default_rng(0).normal(size=(16, 3))
    for _ in range(5):
        first["optimizer"].update(first["model"], nnx.grad(lambda m: ((m(x) - x[:, :1]) ** 2).mean())(first["model"]))

    export_state(first, out / "weights.csv", overwrite=True)
    load_state(out / "weights.csv", second)

    print(f"{out / 'weights.csv'}: name, numbers and shape of every array")
    return second


if __name__ == "__main__":
    main(Path(sys.argv[1]))
