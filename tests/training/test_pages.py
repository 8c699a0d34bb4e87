"""The blocks of README.md and docs/ that need a training run as they are written."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import tb2csv
import tb2csv.recorders

ROOT = Path(__file__).parents[2]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the pages leave to their readers: a model and its data. The working folder is an empty one."""
    monkeypatch.chdir(tmp_path)
    return {
        "keras": keras,
        "tb2csv": tb2csv,
        "model": network(),
        "x": np.ones((8, 2), np.float32),
        "y": np.zeros((8, 1), np.float32),
    }


def network() -> keras.Model:
    x = keras.Input((2,))
    hidden = keras.layers.Dense(2, name="hidden")(x)
    added = keras.layers.Add(name="add")([x, hidden])
    model = keras.Model(x, keras.layers.Dense(1, name="dense")(added))
    model.compile("sgd", "mse")
    return model


def tags() -> set[str]:
    return set(tb2csv.open_logdir("logs").tags()["tag"])


def test_line_of_readme_records_training(scope: dict[str, Any]) -> None:
    (block,) = blocks("README.md", "py")
    exec(block, scope)
    assert any("loss" in tag for tag in tags())
    assert any("gradients" in tag for tag in tags())


def test_first_block_of_recorders_page_records_what_its_command_converts(scope: dict[str, Any]) -> None:
    exec(blocks("docs/recorders.md", "python")[0], scope)
    (command,) = blocks("docs/recorders.md", "sh")
    subprocess.run(["sh", "-c", f'PATH="{sysconfig.get_path("scripts")}:$PATH"; {command}'], check=True)
    assert Path("tables/run/scalars/epoch/loss.csv").is_file()


def test_activations_of_recorders_page_are_recorded(scope: dict[str, Any]) -> None:
    exec("from tb2csv.recorders import *", scope)
    exec(blocks("docs/recorders.md", "python")[1], scope)
    assert {f"activations/{layer}/norm" for layer in ("hidden", "add", "dense")} <= tags()


def test_layer_errors_of_recorders_page_are_recorded(scope: dict[str, Any]) -> None:
    exec("from tb2csv.recorders import *", scope)
    output = keras.ops.ones((8, 2))
    exec(blocks("docs/recorders.md", "python")[2], scope | {"output": output, "wanted": np.zeros((8, 2), np.float32)})
    assert {"layer_errors/add", "layer_mse/add"} <= tags()


def test_loop_of_recorders_page_records_every_tag_that_it_names(scope: dict[str, Any]) -> None:
    exec("from tb2csv.recorders import *", scope)
    model = scope["model"]
    gradients = [keras.ops.zeros_like(each) for each in model.trainable_variables]
    given = {"steps": 2, "loss": 0.5, "epoch": 0, "mean": 0.5, "gradients": gradients, "outputs": np.ones((8, 1))}
    exec(blocks("docs/recorders.md", "python")[3], scope | given)
    named = {"batch/loss", "batch/epoch", "outputs/dense", "outputs/dense/histogram", "epoch/loss"}
    assert named <= tags()


def test_state_goes_to_another_model_as_model_state_page_says(scope: dict[str, Any]) -> None:
    block, *_ = blocks("docs/model_state.md", "python")  # test_model_state_page.py has the others
    other = network()
    exec(block, scope | {"other_model": other})
    for one, two in zip(scope["model"].get_weights(), other.get_weights(), strict=True):
        assert one.tobytes() == two.tobytes()


def test_every_python_block_has_a_test() -> None:
    """The tests above take the blocks by their places."""
    assert [len(blocks(page, "python")) for page in ("docs/recorders.md", "docs/model_state.md")] == [4, 3]
