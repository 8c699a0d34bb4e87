"""Layer errors of a model with an Add layer during its training, as CSV tables.

The error of a layer is the gradient of the loss with respect to the layer's output.

python examples/layer_errors.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

import tb2csv
from tb2csv.recorders import TrainingRecorder


def main(out: Path) -> None:
    """Train for two epochs of three batches, and write the errors of all layers in each batch into ``out``."""
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    x, y = random.normal(size=(12, 4)).astype(np.float32), random.normal(size=(12, 1)).astype(np.float32)
    inputs = keras.Input((4,))
    left = keras.layers.Dense(3, activation="tanh", name="left")(inputs)
    right = keras.layers.Dense(3, activation="sigmoid", name="right")(inputs)
    added = keras.layers.Add(name="add")([left, right])
    model = keras.Model(inputs, keras.layers.Dense(1, name="last")(added))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    recorder = TrainingRecorder(out / "logs" / "run", layer_errors_every=1, weights_every=1)
    model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=[recorder])
    tb2csv.convert(out / "logs", out / "tables")
    print(f"errors by batch (step), sample (i0) and unit (i1): {out}/tables/run/tensors/layer_errors/add.csv")
    print(f"their norm for each batch: {out}/tables/run/scalars/layer_errors/add/norm.csv")
    print(f"the epoch of each batch: {out}/tables/run/scalars/batch/epoch.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
