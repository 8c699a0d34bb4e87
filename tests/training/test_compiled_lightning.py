"""``LightningRecorder`` in trainings whose module, or a network in it, is compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from recordings import at, event_files, gradients_of, recorded, steps, weights_of
from test_lightning_recorder import BATCHES, DATA, RATE, Module, fit, loss_of, network, trainer
from torch import nn
from torch.utils.data import DataLoader

from tb2csv.errors import RecorderError
from tb2csv.recorders import LightningRecorder, TorchRecorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytorch_lightning.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    # The compiler looks at tensors that have no gradient of their own.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning"),
]

GRAPHS: list[Any] = []


def backend(graph: Any, _: Any) -> Any:
    """Compile nothing, and count the graphs; so the numbers are those of eager code."""
    GRAPHS.append(graph)
    return graph


@pytest.fixture(autouse=True)
def _without_earlier_graphs() -> None:
    GRAPHS.clear()


class Silent(Module):
    """Logs nothing: PyTorch 2.13.0 cannot compile ``log`` of Lightning 2.6.6."""

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        return loss_of(self.net, batch)


class Inner(Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.compile(self.net, backend=backend)  # type: ignore[assignment]


class InPlace(Module):
    def __init__(self) -> None:
        super().__init__()
        self.net.compile(backend=backend)


def whole() -> Any:
    return torch.compile(Silent(), backend=backend)


WAYS: dict[str, Callable[[], Any]] = {"whole": whole, "inner": Inner, "in place": InPlace}


EVERY: dict[str, Any] = {"gradients_every": 1, "weights_every": 1}
OUTPUTS_EVERY: dict[str, Any] = {"activations_every": 1, "layer_errors_every": 1}


def assert_is_training_of(net: nn.Module, found: dict[str, Any], *, has_outputs: bool = True) -> None:
    """Train a network in a loop of plain PyTorch, and compare what was recorded with it."""
    kept: dict[str, Any] = {}

    def take(_: Any, __: Any, output: torch.Tensor) -> None:
        kept["activation"] = output.detach().clone()
        output.register_hook(lambda error: kept.update(error=error))

    hook = net.get_submodule("0").register_forward_hook(take)
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
    for step, batch in enumerate(BATCHES):
        optimizer.zero_grad()
        loss_of(net, batch).backward()
        for name, gradient in gradients_of(net).items():
            np.testing.assert_array_equal(at(found[f"gradients/net.{name}"], step), gradient)
        if has_outputs:
            np.testing.assert_array_equal(at(found["activations/net.0"], step), kept["activation"])
            np.testing.assert_array_equal(at(found["layer_errors/net.0"], step), kept["error"])
        optimizer.step()
        for name, weight in weights_of(net).items():
            np.testing.assert_array_equal(at(found[f"weights/net.{name}"], step), weight)
    assert steps(found["gradients/net.2.bias"]) == [0, 1, 2, 3]
    if has_outputs:
        assert steps(found["activations/net.0"]) == steps(found["layer_errors/net.2"]) == [0, 1, 2, 3]
    hook.remove()


@pytest.mark.parametrize("way", WAYS)
def test_recording_equals_a_loop_of_plain_torch(way: str, tmp_path: Path) -> None:
    fit(tmp_path, LightningRecorder(tmp_path / "run", **EVERY, **OUTPUTS_EVERY), WAYS[way]())
    assert GRAPHS
    assert_is_training_of(network(), recorded(tmp_path / "run"))


@pytest.mark.parametrize("way", WAYS)
def test_a_second_fit_is_recorded_without_outputs_or_refused(way: str, tmp_path: Path) -> None:
    module = WAYS[way]()
    net = network()
    fit(tmp_path, LightningRecorder(tmp_path / "first", **EVERY, **OUTPUTS_EVERY), module)
    assert_is_training_of(net, recorded(tmp_path / "first"))

    for name in OUTPUTS_EVERY:
        with pytest.raises(RecorderError, match=r"has run compiled.*torch\.compiler\.reset"):
            fit(tmp_path, LightningRecorder(tmp_path / "refused", **EVERY, **{name: 1}), module)
    assert not event_files(tmp_path / "refused")

    # The refused fits trained nothing, and left nothing that changes the next ones.
    fit(tmp_path, LightningRecorder(tmp_path / "second", **EVERY), module)
    assert_is_training_of(net, recorded(tmp_path / "second"), has_outputs=False)

    torch.compiler.reset()
    fit(tmp_path, LightningRecorder(tmp_path / "third", **EVERY, **OUTPUTS_EVERY), module)
    assert_is_training_of(net, recorded(tmp_path / "third"))


def test_outputs_of_a_module_that_has_run_compiled_are_refused(tmp_path: Path) -> None:
    module = whole()
    fit(tmp_path, None, module)
    with pytest.raises(RecorderError, match=r"has run compiled.*torch\.compiler\.reset"):
        fit(tmp_path, LightningRecorder(tmp_path / "run", layer_errors_every=1), module)
    fit(tmp_path, LightningRecorder(tmp_path / "run", gradients_every=1), module)
    assert steps(recorded(tmp_path / "run")["gradients/net.2.bias"]) == [0, 1, 2, 3]


def test_whole_graphs_of_lightning_are_refused(tmp_path: Path) -> None:
    module: Any = torch.compile(Silent(), backend=backend, fullgraph=True)
    with pytest.raises(RecorderError, match="fullgraph=True"):
        fit(tmp_path, LightningRecorder(tmp_path / "run", activation_statistics_every=1), module)
    trainer(tmp_path, LightningRecorder(tmp_path / "run", gradients_every=1)).fit(module, DataLoader(DATA, 3))
    assert steps(recorded(tmp_path / "run")["gradients/net.2.bias"]) == [0, 1, 2, 3]


class Decorated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)

    @torch.compile(backend=backend, fullgraph=True)
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)  # type: ignore[no-any-return]


def with_compiled_layer() -> nn.Module:
    model = network()
    model[0] = torch.compile(model[0], backend=backend, fullgraph=True)  # type: ignore[assignment]
    return model


def with_layer_compiled_in_place() -> nn.Module:
    model = network()
    model[0].compile(backend=backend, fullgraph=True)
    return model


@pytest.mark.parametrize("make", [Decorated, with_compiled_layer, with_layer_compiled_in_place])
def test_a_whole_graph_in_a_model_is_refused(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    with pytest.raises(RecorderError, match="fullgraph=True"):
        TorchRecorder(model, tmp_path, optimizer=optimizer, layer_errors_every=1)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1) as recorder:
        assert recorder.step == 0
