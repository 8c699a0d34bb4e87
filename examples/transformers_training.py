"""Losses and gradients of the Trainer of transformers, as CSV tables: python examples/transformers_training.py OUT."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import Trainer, TrainingArguments

import tb2csv
from tb2csv.recorders import TransformersRecorder


class Line(torch.nn.Module):
    """A line through points, as a model that the Trainer takes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the mean squared distance of the labels."""
        return {"loss": torch.nn.functional.mse_loss(self.layer(x), labels)}


def main(out: Path) -> None:
    """Train for three steps with all points, and convert the log of the run."""
    points = [{"x": x, "labels": 2 * x + 1} for x in torch.linspace(-1, 1, 8).reshape(8, 1)]
    settings = {"per_device_train_batch_size": 8, "max_steps": 3, "logging_steps": 1, "disable_tqdm": True}
    arguments = TrainingArguments(str(out / "model"), save_strategy="no", use_cpu=True, **settings)
    recorder = TransformersRecorder(out / "logs/run", gradients_every=1, weights_every=1)
    Trainer(Line(), arguments, train_dataset=points, callbacks=[recorder]).train()
    tb2csv.convert(out / "logs", out / "tables", overwrite=True)
    print(f"loss of each step: {out / 'tables/run/scalars/train/loss.csv'}")
    print(f"gradients: {out / 'tables/run/tensors/gradients/layer.weight.csv'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
