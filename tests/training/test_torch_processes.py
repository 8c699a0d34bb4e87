"""``TorchRecorder`` in trainings of two processes: one records, with gradients that are averages over both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from recordings import at, event_files, recorded, steps
from torch import distributed, multiprocessing, nn

from tb2csv.errors import RecorderError
from tb2csv.recorders import TorchRecorder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def batch(rank: int) -> torch.Tensor:
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(rank))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def join(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)


def train_with_ddp(rank: int, folder: Path) -> None:
    join(rank, folder)
    model = nn.parallel.DistributedDataParallel(network(), gradient_as_bucket_view=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with TorchRecorder(model, folder / "run", optimizer=optimizer, gradients_every=1, layer_errors_every=1) as recorder:
        for _ in range(2):
            optimizer.zero_grad()
            loss = model(batch(rank)).square().mean()
            loss.backward()
            optimizer.step()
            recorder.scalars({"loss": loss})
    distributed.destroy_process_group()


def train_with_fsdp(rank: int, folder: Path) -> None:
    from torch.distributed.fsdp import fully_shard

    join(rank, folder)
    model = network()
    fully_shard(model, mesh=distributed.init_device_mesh("cpu", (2,)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if rank == 0:
        with pytest.raises(RecorderError, match="is shared out to several processes by FSDP"):
            TorchRecorder(model, folder / "run", optimizer=optimizer, gradient_statistics_every=1)
    distributed.destroy_process_group()


def test_one_process_records_the_averages_over_both(tmp_path: Path) -> None:
    multiprocessing.spawn(train_with_ddp, (tmp_path,), nprocs=2)  # type: ignore[no-untyped-call]
    assert len(event_files(tmp_path / "run")) == 1
    found = recorded(tmp_path / "run")
    assert steps(found["batch/loss"]) == [1, 2]
    model = network()
    outputs = []
    model[0].register_forward_hook(lambda _, __, output: outputs.append(output))
    for rank in range(2):
        loss = model(batch(rank)).square().mean()
        (loss / 2).backward(retain_graph=True)
        if rank == 0:
            (error,) = torch.autograd.grad(loss, outputs[0])
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(at(found[f"gradients/{name}"], 1), parameter.grad.numpy(), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(at(found["layer_errors/0"], 1), error.numpy(), rtol=1e-5)


def test_parameters_that_are_shared_out_are_refused(tmp_path: Path) -> None:
    multiprocessing.spawn(train_with_fsdp, (tmp_path,), nprocs=2)  # type: ignore[no-untyped-call]
