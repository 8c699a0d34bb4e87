"""Bytes of data per byte of honest model files: the figures of the limits on model files.

    .venv-training/bin/python benchmarks/expansion.py

The decision record on model files of strangers has the table.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

SEED = 7


def zipped(content: bytes) -> float:
    """Return the expansion of content that is packed as ZIP archives usually are."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as new:
        new.writestr("content", content)
    return len(content) / packed.tell()


def weights(share: float) -> np.ndarray[Any, Any]:
    """Return 16 MiB of normal float32 weights, of which a share is not zero, as after pruning."""
    generator = np.random.default_rng(SEED)
    values = generator.normal(size=1 << 22).astype(np.float32)
    values[generator.random(values.size) >= share] = 0
    return values


def hdf5(values: np.ndarray[Any, Any]) -> float:
    """Return the expansion of a dataset that is compressed and shuffled."""
    import h5py

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.h5")
        with h5py.File(path, "w") as file:
            options = {"chunks": (1 << 20,), "compression": "gzip", "compression_opts": 6, "shuffle": True}
            file.create_dataset("w", data=values, **options)
        return values.nbytes / path.stat().st_size


def data_rows() -> dict[str, float]:
    """Return the expansion of weights in archives and HDF5 files."""
    found = {}
    for name, share in {"dense": 1.0, "90 % zeros": 0.1, "99 % zeros": 0.01}.items():
        values = weights(share)
        found[f"weights, {name}, zipped"] = zipped(values.tobytes())
        found[f"weights, {name}, HDF5 with gzip"] = hdf5(values)
    model = weights(1.0)
    found["weights and two slots of zeros, zipped"] = zipped(model.tobytes() + bytes(2 * model.nbytes))
    return found


def text_rows() -> dict[str, float]:
    """Return the expansion of descriptions of large models."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras
    import skops.io
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.feature_extraction.text import CountVectorizer

    layers = [keras.layers.Dense(8) for _ in range(300)]
    config = keras.Sequential([keras.Input((8,)), *layers]).to_json().encode()
    forest = RandomForestClassifier(100, max_depth=2).fit(np.arange(40.0).reshape(20, 2), np.arange(20) % 2)
    words = CountVectorizer().fit([" ".join(f"word{number}" for number in range(20_000))])
    found = {f"config.json of 300 equal layers, {len(config) / 1e6:.1f} MB": zipped(config)}
    for name, estimator in {"forest of 100 trees": forest, "vocabulary of 20,000 words": words}.items():
        with zipfile.ZipFile(io.BytesIO(skops.io.dumps(estimator))) as old:
            schema = old.read("schema.json")
        found[f"schema.json, {name}, {len(schema) / 1e6:.1f} MB"] = zipped(schema)
    return found


def main() -> None:
    """Print both tables as JSON."""
    rows = {"data": data_rows(), "text": text_rows()}
    print(
        json.dumps(
            {kind: {name: round(value, 1) for name, value in each.items()} for kind, each in rows.items()}, indent=1
        )
    )


if __name__ == "__main__":
    main()
