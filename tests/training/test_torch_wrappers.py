"""``TorchRecorder`` records what the optimizers inside the wrappers of libraries apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import accelerate
import numpy as np
import pytest
import schedulefree
import torch
from recordings import at, recorded, steps
from torch import nn

from tb2csv.recorders import RecorderError, TorchRecorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATA = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
BATCHES = DATA.split(3)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def loss_of(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return model(batch).square().mean()  # type: ignore[no-any-return]


def gradients_of(model: nn.Module) -> dict[str, Any]:
    return {name: each.grad.numpy().copy() for name, each in model.named_parameters()}


def assert_gradients(log_dir: Path, expected: list[dict[str, Any]]) -> None:
    found = recorded(log_dir)
    assert steps(found["gradients/0.weight"]) == list(range(1, len(expected) + 1))
    for step, gradients in enumerate(expected, 1):
        for name, gradient in gradients.items():
            np.testing.assert_array_equal(at(found[f"gradients/{name}"], step), gradient)


@pytest.mark.parametrize("is_prepared_first", [True, False])
def test_accelerate_counts_the_steps_after_accumulation(is_prepared_first: bool, tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    if is_prepared_first:
        model, optimizer = accelerator.prepare(model, optimizer)
    recorder = TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1)
    if not is_prepared_first:
        model, optimizer = accelerator.prepare(model, optimizer)
    expected = []
    with recorder:
        for batch in BATCHES:
            with accelerator.accumulate(model):
                accelerator.backward(loss_of(model, batch))
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 0.01)
                    expected.append(gradients_of(model))
                optimizer.step()
                optimizer.zero_grad()
        assert recorder.step == 2
    assert_gradients(tmp_path, expected)


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "wrapper": lambda parameters: schedulefree.ScheduleFreeWrapper(torch.optim.SGD(parameters, lr=0.5)),
    "own": lambda parameters: schedulefree.AdamWScheduleFree(parameters, lr=0.5),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_schedulefree_has_the_gradients_of_its_steps(name: str, tmp_path: Path) -> None:
    model = network()
    optimizer = OPTIMIZERS[name](model.parameters())
    expected = []
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1):
        optimizer.train()
        for batch in BATCHES:
            optimizer.zero_grad()
            loss_of(model, batch).backward()
            expected.append(gradients_of(model))
            optimizer.step()
    assert_gradients(tmp_path, expected)


def test_weights_inside_a_wrapper_that_changes_them_are_refused(tmp_path: Path) -> None:
    model = network()
    optimizer = OPTIMIZERS["wrapper"](model.parameters())
    with pytest.raises(RecorderError, match="ScheduleFreeWrapper may change weights"):
        TorchRecorder(model, tmp_path, optimizer=optimizer, weight_statistics_every=1)
