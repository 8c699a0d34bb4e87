"""Gradients, layer errors and the loss of a network of PyTorch at each step, as CSV tables.

python examples/torch_recorder.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

import tb2csv
from tb2csv.recorders import TorchRecorder


def main(out: Path) -> None:
    """Train a small network for some steps, and convert what was recorded."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(8, 3), torch.randn(8, 1)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    with TorchRecorder(model, out / "logs", optimizer=optimizer, gradients_every=1, layer_errors_every=1) as recorder:
        for _ in range(3):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(inputs), targets)
            loss.backward()
            optimizer.step()
            recorder.scalars({"loss": loss})

    tb2csv.convert(out / "logs", out / "tables", overwrite=True)
    for what in ("scalars/batch/loss", "tensors/gradients/0.weight", "tensors/layer_errors/2"):
        print(f"{what.partition('/')[2]}: {out / 'tables' / what}.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
