"""Predictions of a classifier as CSV tables: python examples/classifier_predictions.py OUT."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

import tb2csv
from tb2csv.recorders import PredictionRecorder


def main(out: Path) -> None:
    """Train a classifier, and write what it predicts into ``out``."""
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    x = random.normal(size=(90, 2)).astype(np.float32)
    y = np.argmax(np.stack([x[:, 0], x[:, 1], -x[:, 0] - x[:, 1]], axis=1), axis=1)
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="side")(inputs))
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    # The same ten samples at the end of every second epoch.
    recorder = PredictionRecorder(x, y, log_dir=out / "logs" / "run", sample_size=10, every_epochs=2, seed=3)
    model.fit(x, y, epochs=4, verbose=0, callbacks=[recorder])
    tb2csv.convert(out / "logs", out / "tables")
    print(f"numbers of ten samples: {out}/tables/run/tensors/predictions/side.csv")
    print(f"classes of ten samples: {out}/tables/run/tensors/predictions/side/label.csv")
    # All samples, from files: the same as `tb2csv predict model.keras x.npy predictions.csv`.
    model.save(out / "model.keras")
    np.save(out / "x.npy", x)
    tb2csv.predict(out / "model.keras", out / "x.npy", out / "predictions.csv", target=y)
    print(f"sample, label, target, class_0 to class_2: {out}/predictions.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
