"""Recorders with a version of Keras that they cannot use, and with Keras 3.1."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import keras
import numpy as np
import polars as pl
import pytest
from commands import run_here

import tb2csv
import tb2csv.recorders
from tb2csv.errors import RecorderError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["3.0.5", "2.15.0"])
def older(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The version of a Keras without ``keras.tree``, with no recorder imported yet."""
    version: str = request.param
    monkeypatch.delattr(keras, "tree")
    monkeypatch.setattr(keras, "__version__", version)
    monkeypatch.setattr(tb2csv, "recorders", None)  # the import sets it, and it is restored
    for name in [name for name in sys.modules if name.startswith("tb2csv.recorders")]:
        monkeypatch.delitem(sys.modules, name)
    return version


def test_recorders_refuse_an_older_keras(older: str) -> None:
    with pytest.raises(RecorderError, match=rf"need Keras 3\.1 or later, not {older}; run pip"):
        importlib.import_module("tb2csv.recorders").TrainingRecorder


def test_predict_refuses_an_older_keras_in_one_sentence(
    older: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 1), np.float32))
    (tmp_path / "model.keras").touch()
    ran = run_here(capsys, "predict", tmp_path / "model.keras", tmp_path / "x.npy", tmp_path / "out.csv")
    assert ran.status == 1
    assert f"tb2csv: Recorders and predictions need Keras 3.1 or later, not {older};" in ran.stderr
    assert not (tmp_path / "out.csv").exists()


class Uncalled(keras.Sequential):  # type: ignore[misc] # Keras is not typed
    """A Sequential as in Keras 3.1, which has ``inputs`` and refuses ``input``."""

    @property
    def input(self) -> None:
        message = "The layer sequential has never been called and thus has no defined input."
        raise ValueError(message)


def test_a_sequential_without_an_input_predicts(tmp_path: Path) -> None:
    model = Uncalled([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    tb2csv.predict(model, np.array([[2.0], [3.0]], np.float32), tmp_path / "out.csv")
    assert pl.read_csv(tmp_path / "out.csv").rows() == [(0, 2.0), (1, 3.0)]
