"""The examples of weights and states run, and their tables are what the models say by themselves."""

from __future__ import annotations

import csv
import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name: str, out: Path) -> Any:
    path = EXAMPLES / f"{name}.py"
    assert len(path.read_text().splitlines()) <= 40
    return runpy.run_path(str(path))["main"](out)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tensors(path: Path) -> dict[str, np.ndarray]:
    found = {}
    for row in rows(path):
        metadata = json.loads(row["tensor_metadata"])
        if metadata["dtype"] != "str":
            numbers = np.array(row["tensor_data"].split(","), metadata["dtype"])
            found[row["tensor_name"]] = numbers.reshape(metadata["shape"])
    return found


def test_keras_weights_make_the_predictions_of_the_model(tmp_path: Path) -> None:
    model = run("keras_weights", tmp_path)
    arrays: dict[str, np.ndarray] = {}
    shapes = {"conv/kernel": (3, 3, 1, 4), "conv/bias": (4,), "classes/kernel": (4, 2), "classes/bias": (2,)}
    for row in rows(tmp_path / "weights.csv"):
        name = f"{row['layer']}/{row['parameter']}"
        if name in shapes:
            array = arrays.setdefault(name, np.full(shapes[name], np.nan))
            array[tuple(map(int, row["index"].split(",")))] = float(row["value"])
    image = np.random.default_rng(1).random((8, 8))
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3))
    features = np.einsum("xyij,ijc->xyc", windows, arrays["conv/kernel"][:, :, 0]) + arrays["conv/bias"]
    expected = np.maximum(features, 0).mean((0, 1)) @ arrays["classes/kernel"] + arrays["classes/bias"]
    found = model.predict(image[None, :, :, None].astype(np.float32), verbose=0)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_torch_weights_make_the_predictions_of_the_model(tmp_path: Path) -> None:
    import torch

    model = run("torch_weights", tmp_path)
    arrays = tensors(tmp_path / "weights.csv")
    image = np.random.default_rng(1).random((8, 8)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3))
    features = np.einsum("xyij,cij->xyc", windows, arrays["0.weight"][:, 0]) + arrays["0.bias"]
    expected = np.maximum(features, 0).mean((0, 1)) @ arrays["4.weight"].T + arrays["4.bias"]
    found = model(torch.from_numpy(image[None, None])).detach().numpy()[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_sklearn_weights_make_the_predictions_of_the_model(tmp_path: Path) -> None:
    pipeline = run("sklearn_weights", tmp_path)
    arrays = tensors(tmp_path / "weights.csv")
    points = np.random.default_rng(1).normal(size=(9, 3))
    scaled = (points - arrays["steps.0.1.mean_"]) / arrays["steps.0.1.scale_"]
    hidden = np.maximum(scaled @ arrays["steps.1.1.coefs_.0"] + arrays["steps.1.1.intercepts_.0"], 0)
    logits = hidden @ arrays["steps.1.1.coefs_.1"] + arrays["steps.1.1.intercepts_.1"]
    np.testing.assert_allclose(pipeline.predict_proba(points)[:, 1], 1 / (1 + np.exp(-logits[:, 0])), rtol=1e-9)


def test_a_state_goes_out_and_back(tmp_path: Path) -> None:
    losses = run("state_out_and_back", tmp_path)
    whole = runpy.run_path(str(EXAMPLES / "state_out_and_back.py"))
    model = whole["build"](0)
    assert whole["train"](model, range(10))[5:] == losses
