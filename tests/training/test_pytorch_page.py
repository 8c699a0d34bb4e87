"""The blocks of docs/pytorch.md record what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import lightning.pytorch
import pytest
import torch
from recordings import recorded, steps
from torch import nn
from torch.utils.data import DataLoader

from tb2csv.recorders import TorchRecorder

pytestmark = [
    pytest.mark.filterwarnings("ignore::lightning.pytorch.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    # Ignite 0.5.5, when it is imported.
    pytest.mark.filterwarnings("ignore:`torch.jit.* is deprecated:DeprecationWarning"),
    # transformers 5.24.0, on a machine without a GPU.
    pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning"),
]

PAGE = Path(__file__).parents[2] / "docs/pytorch.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
DATA = [(torch.full((3,), float(number)), torch.ones(1)) for number in range(8)]


class Module(lightning.pytorch.LightningModule):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        inputs, targets = batch
        return nn.functional.mse_loss(self.net(inputs), targets)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Model(nn.Module):
    """A model as the Trainer of transformers takes it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": nn.functional.mse_loss(self.net(inputs), labels)}


@pytest.fixture(autouse=True)
def _is_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run_block(number: int, folder: str = "logs/run", **names: Any) -> dict[str, Any]:
    """Run a block with what the page leaves to its readers, and return what it recorded in a folder."""
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    scope = {
        "TorchRecorder": TorchRecorder,
        "model": net,
        "module": Module(net),
        "optimizer": torch.optim.SGD(net.parameters(), lr=0.1),
        "criterion": nn.functional.mse_loss,
        "batches": DataLoader(DATA, 2),
    }
    exec(BLOCKS[number], scope | names)
    (found,) = Path().glob(folder)
    return recorded(found)


def test_loop_is_recorded() -> None:
    found = run_block(0, batches=DATA * 2)
    assert steps(found["gradients/0.weight/norm"]) == list(range(1, 17)) == steps(found["batch/loss"])
    assert steps(found["layer_errors/2"]) == [10]


@pytest.mark.slow
def test_fit_of_lightning_is_recorded() -> None:
    found = run_block(1, "lightning_logs/version_0")
    assert steps(found["gradients/net.0.weight/norm"]) == list(range(8))
    assert steps(found["layer_errors/net.2"]) == [1, 3, 5, 7]


@pytest.mark.slow
def test_training_of_transformers_is_recorded() -> None:
    rows = [{"inputs": inputs, "labels": labels} for inputs, labels in DATA]
    net = Model(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)))
    found = run_block(2, "out/runs/*", model=net, dataset=rows)
    assert steps(found["gradients/net.0.weight/norm"]) == [1, 2] == steps(found["train/loss"])
    assert steps(found["weights/net.0.weight"]) == [0, 2]


def test_loop_of_accelerate_is_recorded() -> None:
    found = run_block(3)
    assert steps(found["gradients/0.weight/norm"]) == [1, 2] == steps(found["batch/loss"])


@pytest.mark.slow
def test_engine_of_ignite_is_recorded() -> None:
    found = run_block(4)
    assert steps(found["gradients/0.weight/norm"]) == list(range(1, 9)) == steps(found["batch/loss"])


def test_every_block_has_a_test() -> None:
    assert len(BLOCKS) == 5
