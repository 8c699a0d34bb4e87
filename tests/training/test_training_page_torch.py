"""The page on the way from training to CSV, with PyTorch: its tables are those of a training in numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from numpy_network import Step, data, trained
from training_tables import (
    BATCH,
    EPOCHS,
    HEADERS,
    PAGE,
    RATE,
    check_errors,
    check_gradients,
    check_metrics,
    check_predictions,
    check_weights,
)

from tb2csv import recorded_state
from tb2csv.model_state import STYLES, load_state, write_state

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

NAMES = {
    "hidden.weight": ("hidden/kernel", np.transpose),
    "hidden.bias": ("hidden/bias", np.asarray),
    "output.weight": ("output/kernel", np.transpose),
    "output.bias": ("output/bias", np.asarray),
}


def network() -> torch.nn.Module:
    torch.manual_seed(5)
    model = torch.nn.Sequential()
    model.add_module("hidden", torch.nn.Linear(4, 4))
    model.add_module("tanh", torch.nn.Tanh())
    model.add_module("output", torch.nn.Linear(4, 3))
    return model


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Step]]:
    """Run the page in a folder, and return the folder and the steps of the same training in numpy."""
    folder = tmp_path_factory.mktemp("page")
    x, y = data()
    batches = [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH)]
    weights = [each.detach().numpy().T for each in network().parameters()]
    steps = trained(weights, batches, epochs=EPOCHS, rate=RATE)
    scope: dict[str, Any] = {
        "batches": [(torch.from_numpy(inputs), torch.from_numpy(targets)) for inputs, targets in batches],
        "criterion": torch.nn.CrossEntropyLoss(),
        "x": x,
    }
    setup, *blocks = PAGE.blocks("py")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(setup, scope)
        for block in blocks[:-1]:
            scope["model"] = network()
            scope["optimizer"] = torch.optim.SGD(scope["model"].parameters(), RATE)
            exec(block, scope)
        exec(blocks[-1], scope)
        PAGE.run_commands("torch_")
    return folder, steps


def test_metrics(ran: tuple[Path, list[Step]]) -> None:
    folder, steps = ran
    check_metrics(folder / "torch_metrics.csv", steps, [name for name in HEADERS[0] if name != "learning_rate"])


def test_gradients(ran: tuple[Path, list[Step]]) -> None:
    folder, steps = ran
    check_gradients(folder / "torch_gradients.csv", steps, NAMES)


def test_weights(ran: tuple[Path, list[Step]]) -> None:
    folder, steps = ran
    check_weights(folder / "torch_weights.csv", steps[-1], NAMES)


def test_layer_errors(ran: tuple[Path, list[Step]]) -> None:
    """The layer ``hidden`` is followed by a module of its own for its activation."""
    folder, steps = ran
    errors = {"tanh": [step.errors["hidden"] for step in steps], "output": [step.errors["output"] for step in steps]}
    check_errors(folder, "torch", errors)


def test_predictions(ran: tuple[Path, list[Step]]) -> None:
    folder, steps = ran
    check_predictions(folder / "torch_predictions.csv", steps[-1], data()[0])


@pytest.mark.parametrize("style", STYLES)
def test_recorded_weights_are_restored_into_another_model(
    ran: tuple[Path, list[Step]], style: str, tmp_path: Path
) -> None:
    """Its layers are named by dots, and those of a table by layer and parameter."""
    folder, _ = ran
    state = recorded_state(folder / "torch_weights", 9)
    assert [(each.layer, each.parameter) for each in state.tensors[:2]] == [("hidden", "weight"), ("hidden", "bias")]
    write_state(state, tmp_path / "state.csv", style=style)
    other = network()
    assert load_state(tmp_path / "state.csv", other) == []
    for each, tensor in zip(other.state_dict().values(), state.tensors, strict=True):
        assert each.numpy().tobytes() == bytes(tensor.content())
