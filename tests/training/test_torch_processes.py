"""Recorders for PyTorch in trainings of two processes: one records, with gradients that are averages over both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from recordings import at, event_files, recorded, steps
from torch import distributed, multiprocessing, nn

from tb2csv.errors import RecorderError
from tb2csv.recorders import TorchPredictionRecorder, TorchRecorder

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


def train_with_shared_out_states(rank: int, folder: Path) -> None:
    """Train with an optimizer whose state is shared out: each process steps some parameters, and gets the others."""
    from torch.distributed.optim import ZeroRedundancyOptimizer

    join(rank, folder)
    model = nn.parallel.DistributedDataParallel(network())
    optimizer = ZeroRedundancyOptimizer(model.parameters(), torch.optim.Adam, lr=0.1)
    recorder = TorchRecorder(model, folder / "run", optimizer=optimizer, gradients_every=1, weights_every=1)
    with recorder:
        for _ in range(3):
            optimizer.zero_grad()
            model(batch(rank)).square().mean().backward()
            optimizer.step()
        assert recorder.step == 3 * (rank == 0)
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


def test_one_process_records_the_weights_that_the_other_has_stepped(tmp_path: Path) -> None:
    multiprocessing.spawn(train_with_shared_out_states, (tmp_path,), nprocs=2)  # type: ignore[no-untyped-call]
    found = recorded(tmp_path / "run")
    assert steps(found["batch/learning_rate"]) == [1, 2, 3]
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for step in range(4):
        if step:
            optimizer.zero_grad()
            sum(model(batch(rank)).square().mean() / 2 for rank in range(2)).backward()
            for name, parameter in model.named_parameters():
                gradient = at(found[f"gradients/{name}"], step)
                np.testing.assert_allclose(gradient, parameter.grad.numpy(), rtol=1e-4, atol=1e-6)
            optimizer.step()
        for name, parameter in model.named_parameters():
            weight = at(found[f"weights/{name}"], step)
            np.testing.assert_allclose(weight, parameter.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_parameters_that_are_shared_out_are_refused(tmp_path: Path) -> None:
    multiprocessing.spawn(train_with_fsdp, (tmp_path,), nprocs=2)  # type: ignore[no-untyped-call]


def with_buffers() -> nn.Sequential:
    """Return a network whose buffers the first process gives to the others, and which draws random numbers."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2), nn.Softmax(dim=1))


def train_and_predict(rank: int, folder: Path, *, is_recorded: bool) -> None:
    join(rank, folder)
    model = nn.parallel.DistributedDataParallel(with_buffers())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = TorchPredictionRecorder(model, batch(7), folder / "run", targets=torch.arange(6) % 2, sample_size=4)
    states = []
    torch.manual_seed(rank)
    for epoch in range(3):
        optimizer.zero_grad()
        model(batch(rank)).square().mean().backward()
        optimizer.step()
        if is_recorded:
            recorder.end_epoch(epoch)
        states.append({name: each.clone() for name, each in model.module.state_dict().items()})
    recorder.close()
    torch.save({"states": states, "rows": recorder.rows}, folder / f"process{rank}.pt")
    distributed.destroy_process_group()


def predict_recorded(rank: int, folder: Path) -> None:
    train_and_predict(rank, folder, is_recorded=True)


def predict_nothing(rank: int, folder: Path) -> None:
    train_and_predict(rank, folder, is_recorded=False)


def test_one_process_predicts_and_the_training_of_both_is_the_same(tmp_path: Path) -> None:
    kept = {}
    for train in (predict_recorded, predict_nothing):
        folder = tmp_path / train.__name__
        folder.mkdir()
        multiprocessing.spawn(train, (folder,), nprocs=2)  # type: ignore[no-untyped-call]
        kept[train] = [torch.load(folder / f"process{rank}.pt", weights_only=False) for rank in range(2)]
    assert not (tmp_path / "predict_nothing/run").exists()
    for one, other in zip(kept[predict_recorded], kept[predict_nothing], strict=True):
        for state, bare in zip(one["states"], other["states"], strict=True):
            assert all(torch.equal(state[name], bare[name]) for name in state)
    first = kept[predict_recorded][0]
    assert len(event_files(tmp_path / "predict_recorded/run")) == 1
    found = recorded(tmp_path / "predict_recorded/run")
    assert steps(found["predictions/output"]) == [0, 1, 2]
    np.testing.assert_array_equal(at(found["predictions/sample"], 0), first["rows"])
    np.testing.assert_array_equal(at(found["predictions/output/target"], 2), first["rows"] % 2)
    for epoch, state in enumerate(first["states"]):
        model = with_buffers().eval()
        model.load_state_dict(state)
        expected = model(batch(7)[torch.as_tensor(first["rows"])]).detach().numpy()
        np.testing.assert_allclose(at(found["predictions/output"], epoch), expected, rtol=1e-6)
        np.testing.assert_array_equal(at(found["predictions/output/label"], epoch), expected.argmax(1))
