"""Commands that start TensorFlow print what they did, and nothing of TensorFlow's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
import polars as pl
import pytest
from commands import run_process

if TYPE_CHECKING:
    from pathlib import Path

#: Of Keras 3, with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.slow
def test_predict_prints_one_line_with_a_model_of_keras(tmp_path: Path) -> None:
    inputs = np.linspace(-1, 1, 15, dtype=np.float32).reshape(5, 3)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="tanh")])
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", inputs)
    ran = run_process("predict", tmp_path / "model.keras", tmp_path / "x.npy", tmp_path / "out.csv")
    assert ran.status == 0, ran.stderr
    assert (ran.stdout + ran.stderr).splitlines() == [f"{tmp_path / 'out.csv'}: 5 rows of output"]
    weights, bias = model.get_weights()
    table = pl.read_csv(tmp_path / "out.csv").drop("sample").to_numpy()
    np.testing.assert_allclose(table, np.tanh(inputs @ weights + bias), rtol=1e-5, atol=1e-6)
