"""The whole state of a training to OUT/state.csv and back: python examples/state_out_and_back.py OUT."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

from tb2csv.model_state import export_state, load_state


def build(seed: int) -> keras.Model:
    """Return a network with dropout and Adam, both of which have a state of their own."""
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.01), keras.losses.MeanSquaredError())
    return model


def train(model: keras.Model, steps: range) -> list[float]:
    """Train on a batch for each step, and return the losses."""
    batches = np.random.default_rng(0).normal(size=(20, 16, 4)).astype(np.float32)
    return [float(model.train_on_batch(batches[step], batches[step].sum(1))) for step in steps]


def main(out: Path) -> list[float]:
    """Train for 5 steps, save, and train another model that has got the state for 5 more."""
    first, second = build(seed=0), build(seed=1)
    train(first, range(5))
    out.mkdir(parents=True, exist_ok=True)
    export_state(first, out / "state.csv", overwrite=True)
    load_state(out / "state.csv", second)
    return train(second, range(5, 10))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
