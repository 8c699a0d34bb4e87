"""Recorders for PyTorch in trainings with autocast, torch.func, an optimizer of each parameter, and changed names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from recordings import at, recorded, steps
from torch import nn
from torch.nn.utils import parametrizations

from tb2csv.recorders import RecorderWarning, TorchRecorder

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = torch.randn(4, 6, generator=torch.Generator().manual_seed(3))


def tags(log_dir: Path, family: str) -> set[str]:
    return {tag.removeprefix(f"{family}/") for tag in recorded(log_dir) if tag.startswith(f"{family}/")}


def test_under_autocast_errors_are_bfloat16_and_gradients_float32(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1, layer_errors_every=1):
        with torch.autocast("cpu", torch.bfloat16):
            output = model(INPUTS)
            output.retain_grad()
        (output.float() ** 3).sum().backward()
        optimizer.step()
    found = recorded(tmp_path)
    assert output.grad is not None
    assert output.grad.dtype == torch.bfloat16
    np.testing.assert_array_equal(
        np.asarray(at(found["layer_errors/1"], 1)).astype(np.float32), output.grad.float().numpy()
    )
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        gradient = at(found[f"gradients/{name}"], 1)
        assert gradient.dtype == np.float32
        np.testing.assert_array_equal(gradient, parameter.grad.numpy())


def test_outputs_within_torch_func_are_counted_and_the_training_goes_on(tmp_path: Path) -> None:
    class Mapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 2)
            self.outer = nn.Linear(2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.outer(torch.vmap(self.inner)(x))  # type: ignore[no-any-return]

    model = Mapped()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = TorchRecorder(model, tmp_path, optimizer=optimizer, activations_every=1, layer_errors_every=1)
    model(INPUTS).sum().backward()
    optimizer.step()
    with pytest.warns(RecorderWarning, match=r"activations/inner \(1 x within torch.func\)"):
        recorder.close()
    assert tags(tmp_path, "activations") == {"outer"}


def test_optimizers_in_the_backward_pass_have_the_gradients_that_they_apply(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
    optimizers = {parameter: torch.optim.SGD([parameter], lr=1.0) for parameter in model.parameters()}

    def step(parameter: torch.Tensor) -> None:
        optimizers[parameter].step()  # type: ignore[index] # it is one of the parameters
        optimizers[parameter].zero_grad()  # type: ignore[index]

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(step)
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    with TorchRecorder(model, tmp_path, optimizer=list(optimizers.values()), gradients_every=1):
        (model(INPUTS) ** 2).sum().backward()
    found = recorded(tmp_path)
    for name, weight in model.named_parameters():
        change = (before[name] - weight.detach()).numpy()
        np.testing.assert_allclose(at(found[f"gradients/{name}"], 1), change, rtol=1e-4, atol=1e-6)


def test_names_are_those_of_the_first_of_tied_weights_and_of_parametrizations(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), parametrizations.weight_norm(nn.Linear(6, 2)))
    model[1].weight = model[0].weight
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1):
        model(INPUTS).sum().backward()
        optimizer.step()
    norm = {f"2.parametrizations.weight.original{number}" for number in (0, 1)}
    assert tags(tmp_path, "gradients") == {"0.weight", "0.bias", "1.bias", "2.bias", *norm}
    expected = model[0].weight.grad.numpy()
    np.testing.assert_array_equal(at(recorded(tmp_path)["gradients/0.weight"], 1), expected)


@pytest.mark.slow
def test_a_compiled_layer_has_its_own_name_and_is_not_compiled_again_at_each_step(tmp_path: Path) -> None:
    from torch._dynamo.utils import counters

    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 2))
    model[0] = torch.compile(model[0], backend="eager")  # type: ignore[assignment]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    graphs = []
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1, activations_every=1):
        for _ in range(12):
            optimizer.zero_grad()
            model(INPUTS).sum().backward()
            optimizer.step()
            graphs.append(counters["stats"]["unique_graphs"])
    assert tags(tmp_path, "gradients") == {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert tags(tmp_path, "activations") == {"0", "1"}
    assert steps(recorded(tmp_path)["activations/0"]) == list(range(1, 13))
    assert graphs[1] == graphs[-1]
