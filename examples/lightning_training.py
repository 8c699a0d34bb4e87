"""Losses and gradients of a training with Lightning, as CSV tables: python examples/lightning_training.py OUT."""

from __future__ import annotations

import sys
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.demos.boring_classes import BoringModel

import tb2csv
from tb2csv.recorders import LightningRecorder


class Line(BoringModel):
    """A line through points; Lightning's own model gives the rest."""

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        """Return the mean squared distance from the sum of the inputs."""
        loss = torch.nn.functional.mse_loss(self.layer(batch), batch.sum(1, keepdim=True).expand(-1, 2))
        self.log("train_loss", loss)
        return loss


def main(out: Path) -> None:
    """Train for an epoch of four batches, and convert the log of the run."""
    data = torch.linspace(-1, 1, 256).reshape(8, 32)
    recorder = LightningRecorder(gradients_every=1, weights_every=1)
    options = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = pl.Trainer(max_epochs=1, log_every_n_steps=1, callbacks=[recorder], default_root_dir=out, **options)
    trainer.fit(Line(), torch.utils.data.DataLoader(data, 2))

    tb2csv.convert(out / "lightning_logs", out / "tables", overwrite=True)
    for what in ("scalars/train_loss", "tensors/gradients/layer.weight", "tensors/weights/layer.weight"):
        print(f"{what.partition('/')[2]}: {out / 'tables/version_0' / what}.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
