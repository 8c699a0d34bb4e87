"""Diagnoses of networks of PyTorch that ``TorchRecorder`` has recorded: each with one fault, and without it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch
from torch import nn

from tb2csv.analysis.diagnosis.diagnose import diagnose
from tb2csv.recorders import TorchRecorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SEEDS = (0, 1, 2)
STEPS = 40
BATCH = 32
CLASSES = 4
WIDTH = 32


def samples(*, images: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points of four classes that planes separate, or images of four places."""
    random = torch.Generator().manual_seed(7)
    if not images:
        x = torch.randn(512, 20, generator=random)
        return x, (x @ torch.randn(20, CLASSES, generator=random)).argmax(1)
    y = torch.randint(0, CLASSES, (512,), generator=random)
    x = torch.randn(512, 1, 12, 12, generator=random) / 2
    for place in range(CLASSES):
        row, column = 6 * (place // 2), 6 * (place % 2)
        x[y == place, :, row : row + 6, column : column + 6] += 1
    return x, y


def dense(depth: int, activation: type[nn.Module]) -> nn.Sequential:
    """Return ``depth`` hidden layers, named 0, 2, 4 …, with activations between them, and a last layer."""
    layers: list[nn.Module] = []
    for number in range(depth):
        layers += [nn.Linear(WIDTH if number else 20, WIDTH), activation()]
        if activation is nn.ReLU:
            nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
        else:
            nn.init.xavier_uniform_(layers[-2].weight)
    return nn.Sequential(*layers, nn.Linear(WIDTH, CLASSES))


def convolutional() -> nn.Sequential:
    """Return two convolutions, named 0 and 4, and two dense layers, named 9 and 11."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(144, 32), nn.ReLU(), nn.Linear(32, CLASSES)),
    )


def scale(*names: str, by: float) -> Callable[[nn.Sequential], None]:
    def change(model: nn.Sequential) -> None:
        with torch.no_grad():
            for name in names:
                model.get_parameter(name).mul_(by)

    return change


def shift(name: str, by: float) -> Callable[[nn.Sequential], None]:
    def change(model: nn.Sequential) -> None:
        with torch.no_grad():
            model.get_parameter(name).add_(by)

    return change


def freeze(*names: str) -> Callable[[nn.Sequential], None]:
    def change(model: nn.Sequential) -> None:
        for name in names:
            model.get_submodule(name).requires_grad_(requires_grad=False)

    return change


def log_of_zero(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the cross entropy that people write by hand, of probabilities that may be zero."""
    return -torch.log(torch.softmax(logits * 60, 1)[torch.arange(len(y)), y]).mean()


RELU, TANH = functools.partial(dense, 3, nn.ReLU), functools.partial(dense, 3, nn.Tanh)


class Fault(NamedTuple):
    """A network that learns, and a change after which it does not."""

    model: Callable[[], nn.Sequential]
    problem: str
    #: Layers that must be named, unless the problem has none.
    layers: set[str] = set()
    change: Callable[[nn.Sequential], None] = lambda _: None
    rate: float = 0.1
    loss: Any = nn.functional.cross_entropy


FAULTS = {
    "tiny weights": Fault(
        functools.partial(dense, 6, nn.Tanh),
        "vanishing",
        {"0", "2"},
        scale(*(f"{number}.weight" for number in range(0, 11, 2)), by=0.05),
    ),
    "large weights": Fault(
        functools.partial(dense, 6, nn.ReLU),
        "exploding",
        {"0", "2", "4"},
        scale(*(f"{number}.weight" for number in range(0, 11, 2)), by=5.0),
        1e-2,
    ),
    "large rate": Fault(RELU, "diverging", rate=50.0),
    "dead layer": Fault(RELU, "dead", {"2"}, shift("2.bias", -100.0)),
    "dead first layer": Fault(RELU, "dead", {"0"}, shift("0.bias", -100.0)),
    "dead convolution": Fault(convolutional, "dead", {"4"}, shift("5.bias", -100.0)),
    "saturated layer": Fault(TANH, "saturated", {"2"}, shift("2.bias", 6.0)),
    "saturated weights": Fault(TANH, "saturated", {"0", "2"}, scale("0.weight", "2.weight", by=30.0)),
    "log of zero": Fault(RELU, "not finite", {"0", "2"}, loss=log_of_zero),
    "no rate": Fault(RELU, "plateau", rate=0.0),
    "frozen layer": Fault(RELU, "note", {"2"}, freeze("2")),
    "frozen convolution": Fault(convolutional, "note", {"0"}, freeze("0")),
    "vanishing convolution": Fault(convolutional, "vanishing", {"0"}, scale("5.weight", "5.bias", "9.weight", by=1e-6)),
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for tensors this small, more are slower
    yield
    torch.set_num_threads(threads)


def train(log_dir: Path, model: nn.Sequential, rate: float, loss_function: Any) -> None:
    x, y = samples(images=isinstance(model[0], nn.Conv2d))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.5)
    recorder = TorchRecorder(
        model,
        log_dir,
        optimizer=optimizer,
        gradient_statistics_every=1,
        weight_statistics_every=1,
        activation_statistics_every=4,
        layer_error_statistics_every=4,
    )
    with recorder:
        for _ in range(STEPS):
            rows = torch.randint(0, len(x), (BATCH,))
            optimizer.zero_grad()
            loss = loss_function(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            recorder.scalars({"loss": loss})


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_at_its_layer(name: str, seed: int, tmp_path: Path) -> None:
    fault = FAULTS[name]
    torch.manual_seed(seed)
    model = fault.model()
    fault.change(model)
    train(tmp_path, model, fault.rate, fault.loss)
    findings = diagnose(tmp_path).findings
    layers = {row["layer"] for row in findings.to_dicts() if row["problem"] == fault.problem}
    assert layers
    assert layers >= fault.layers


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["relu", "tanh", "deep tanh", "deep relu", "convolutional"])
def test_a_network_without_a_fault_raises_no_finding(name: str, seed: int, tmp_path: Path) -> None:
    models = {
        "relu": RELU,
        "tanh": TANH,
        "deep tanh": functools.partial(dense, 6, nn.Tanh),
        "deep relu": functools.partial(dense, 6, nn.ReLU),
        "convolutional": convolutional,
    }
    torch.manual_seed(seed)
    train(tmp_path, models[name](), 0.05, nn.functional.cross_entropy)
    diagnosis = diagnose(tmp_path)
    assert diagnosis.findings.to_dicts() == []
    assert {"gradients", "weights", "activations", "layer_errors", "loss"} <= set(diagnosis.coverage["family"])
