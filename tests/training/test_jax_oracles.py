"""Gradients and layer errors of Keras on JAX, compared with jax.grad and with central differences in float64."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jax")

PROGRAM = Path(__file__).with_name("jax_oracle_program.py")

NETWORKS = ("dense", "conv", "lstm", "attention", "residual", "shared", "nested")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    folder = tmp_path_factory.mktemp("oracles")
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1", "PYTHONPATH": path}
    subprocess.run([sys.executable, PROGRAM, folder], env=environment, check=True)
    found: dict[str, dict[str, float]] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_and_layer_errors_are_those_of_jax_grad(results: dict[str, dict[str, float]], network: str) -> None:
    assert results[network]["is_float64"]
    assert results[network]["grad"] == 0


@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "attention"])
def test_they_are_central_differences_of_the_loss(results: dict[str, dict[str, float]], network: str) -> None:
    """Those of an attention are left out: its loss has not enough digits for quotients with such small steps."""
    assert results[network]["difference"] < 1e-6
