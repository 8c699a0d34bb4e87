"""The weights and biases of a convolutional network of PyTorch in a CSV file, one row for each tensor.

python examples/torch_weights.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from tb2csv.model_state import export_state


def main(out: Path) -> nn.Module:
    """Train a small network for some steps and export it."""
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    images = torch.rand(64, 1, 8, 8)
    labels = (images.mean((1, 2, 3)) > images.mean()).long()
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    export_state(model, out / "weights.csv", overwrite=True)

    print(f"{out / 'weights.csv'}: name, numbers and shape of every tensor")
    return model


if __name__ == "__main__":
    main(Path(sys.argv[1]))
