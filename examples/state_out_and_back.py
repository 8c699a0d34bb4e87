"""The whole state of a training in a CSV file and back: the second model continues from the first one.

    python examples/state_out_and_back.py OUT

To go on with a training of your own, a checkpoint is the better tool; this shows that nothing is missing in the table.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

from tb2csv.model_state import diff_states, export_state, load_state


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
    """Train for 5 steps, save, and train both the first model and one that got its state for 5 more."""
    out.mkdir(parents=True, exist_ok=True)
    first = build(seed=0)
    train(first, range(5))
    export_state(first, out / "state.csv", overwrite=True)

    second = build(seed=1)
    load_state(out / "state.csv", second)
    losses = train(first, range(5, 10))
    again = train(second, range(5, 10))

    changed = [each.name for each in diff_states(first, second) if each.status != "same"]
    print(f"{out / 'state.csv'}: losses {'equal' if again == losses else 'differ'}, {len(changed)} tensors differ")
    return again


if __name__ == "__main__":
    main(Path(sys.argv[1]))
