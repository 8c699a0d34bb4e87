"""``TransformersRecorder`` in a Trainer of two processes, started by torchrun: one records, with averages over both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from recordings import assert_recorded, at, recorded, steps
from test_transformers_recorder import RATE, network, trainer

from tb2csv.recorders import TransformersRecorder

pytestmark = pytest.mark.slow


def train(folder: Path) -> None:
    """Train in this process and the others, and leave the batches and the weights of each."""
    torch.set_num_threads(1)
    recorder = TransformersRecorder(gradients_every=1, weights_every=1, layer_errors_every=1, layers=["classifier"])
    runner = trainer(folder, recorder, num_train_epochs=2, ddp_backend="gloo")
    runner.train()
    torch.save(
        {"batches": runner.data_collator.batches, "weights": runner.model.state_dict()},
        folder / f"process{runner.args.process_index}.pt",
    )


def test_the_first_of_two_processes_records_the_averages_over_both(tmp_path: Path) -> None:
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([*torchrun, __file__, str(tmp_path)], check=True, env=os.environ | path, timeout=500)
    (file,) = tmp_path.rglob("*tfevents*")
    assert file.parent.parent == tmp_path / "runs"
    found = recorded(file.parent)
    processes = [torch.load(tmp_path / f"process{rank}.pt") for rank in range(2)]
    batches = list(zip(*(process["batches"] for process in processes), strict=True))
    assert steps(found["gradients/classifier.weight"]) == steps(found["train/loss"]) == [1, 2, 3, 4]
    assert len(batches) == 4
    net = network().train()
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
    assert_recorded(found, "weights/", 0, {name: each.detach().numpy() for name, each in net.named_parameters()})
    for step, both in enumerate(batches, 1):
        optimizer.zero_grad()
        losses = []
        for batch in both:
            result = net(**batch)
            if not losses:
                (error,) = torch.autograd.grad(result["loss"], result["logits"], retain_graph=True)
            losses.append(result["loss"].item())
            (result["loss"] / 2).backward()
        for name, parameter in net.named_parameters():
            gradient = at(found[f"gradients/{name}"], step)
            np.testing.assert_allclose(gradient, parameter.grad.numpy(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(at(found["layer_errors/classifier"], step), error.numpy(), rtol=1e-4, atol=1e-6)
        assert at(found["train/loss"], step) == pytest.approx(np.mean(losses), abs=2e-4)  # the Trainer rounds it
        optimizer.step()
        for name, parameter in net.named_parameters():
            weights = at(found[f"weights/{name}"], step)
            np.testing.assert_allclose(weights, parameter.detach().numpy(), rtol=1e-4, atol=1e-6)
    for process in processes:
        assert_recorded(found, "weights/", 4, {name: each.numpy() for name, each in process["weights"].items()})


if __name__ == "__main__":
    train(Path(sys.argv[1]))
