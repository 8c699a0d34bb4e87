"""Recorders in the train steps of models that have one of their own on JAX."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from raw_events import events

pytest.importorskip("jax")

PROGRAM = Path(__file__).with_name("jax_train_step_program.py")

pytestmark = pytest.mark.slow

LAYERS = ("hidden", "last", "norm")


class Trainings(NamedTuple):
    """What the program left."""

    folder: Path
    result: dict[str, Any]

    def recorded(self, model: str, family: str) -> dict[tuple[str, int], bytes]:
        """Return the contents of the tensors of a family by tag and step."""
        return {
            (value.tag, event.step): value.tensor.tensor_content
            for event in events(self.folder / model)
            for value in event.summary.value
            if value.tag.startswith(f"{family}/")
        }

    def warning(self, model: str) -> str:
        """Return the only warning of a training."""
        (warning,) = self.result[model]["warnings"]
        return str(warning)


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    folder = tmp_path_factory.mktemp("steps")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, PROGRAM, folder], env=environment, check=True)
    return Trainings(folder, json.loads((folder / "result.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("model", ["Model", "Own", "Dropping", "ByHand", "Counting"])
def test_a_recorder_changes_no_weight(trainings: Trainings, model: str) -> None:
    assert trainings.result[model]["is_equal"]


@pytest.mark.parametrize("family", ["gradients", "activations", "layer_errors"])
def test_a_step_with_results_of_its_own_is_recorded_like_that_of_keras(trainings: Trainings, family: str) -> None:
    expected = trainings.recorded("Model", family)
    assert {step for _, step in expected} == {1, 2, 3, 4}
    assert trainings.recorded("Own", family) == expected
    assert not trainings.result["Own"]["warnings"]


def test_outputs_that_a_step_drops_are_counted(trainings: Trainings) -> None:
    for family in ("activations", "layer_errors"):
        assert not trainings.recorded("Dropping", family)
        for layer in LAYERS:
            reason = "not returned by the train step of the model, in each step"
            assert f"{family}/{layer} (1 x {reason})" in trainings.warning("Dropping")
    assert trainings.recorded("Dropping", "gradients") == trainings.recorded("Model", "gradients")


def test_gradients_that_no_optimizer_applies_are_counted(trainings: Trainings) -> None:
    assert not trainings.recorded("ByHand", "gradients")
    assert trainings.recorded("ByHand", "activations")
    warning = trainings.warning("ByHand")
    assert "gradients (1 x not applied by an optimizer of the model, in each step)" in warning
    assert "layer_errors/hidden (1 x not returned by the train step of the model, in each step)" in warning


def test_a_step_that_fails_with_probes_is_keras_own(trainings: Trainings) -> None:
    warning = trainings.warning("Counting")
    for family in ("gradients", "activations", "layer_errors"):
        assert f"{family} (1 x the train step of the model cannot return them (ValueError: too many values" in warning
