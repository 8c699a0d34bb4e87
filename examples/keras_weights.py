"""The weights and biases of a convolutional network of Keras in a CSV file, one row for each number.

python examples/keras_weights.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

from tb2csv.model_state import export_state


def main(out: Path) -> keras.Model:
    """Train a small network for an epoch and export it."""
    out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).random((64, 8, 8, 1), np.float32)
    labels = (images.mean((1, 2, 3)) > images.mean()).astype(int)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, name="classes"),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, verbose=0)

    export_state(model, out / "weights.csv", style="elements", overwrite=True)
    print(f"{out / 'weights.csv'}: layer, parameter, index and value of every weight")
    return model


if __name__ == "__main__":
    main(Path(sys.argv[1]))
