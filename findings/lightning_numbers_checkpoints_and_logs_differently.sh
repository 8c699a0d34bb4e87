#!/usr/bin/env bash
# The step in the name of a Lightning checkpoint is not the step of the log, and with two optimizers it is twice as far.
# One expects: the checkpoint step=8 has the weights of the step 8 in the event file, or of the one before.
# What happens: trainer.global_step, which names checkpoints, counts the steps of all optimizers. The loggers get the number
# of batches that made a step, from 0. After 4 batches of a training with two optimizers, as of a GAN, the log is at step 3,
# and the checkpoint is step=8.
# Seen with: pytorch-lightning 2.6.6, torch 2.13.0, read with tensorboard 2.21.0.
# Consequence: a checkpoint that is chosen by the best step of a log is another one, or does not exist. The epoch is the same
# in both; log trainer.global_step as a metric to find the checkpoint.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  pytorch-lightning==2.6.6 torch==2.13.0 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import os
import sys

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


class Model(LightningModule):
    def __init__(self, optimizers):
        super().__init__()
        self.automatic_optimization = False
        self.parts = torch.nn.ModuleList(torch.nn.Linear(1, 1) for _ in range(optimizers))

    def configure_optimizers(self):
        return [torch.optim.SGD(part.parameters(), 0.1) for part in self.parts]

    def training_step(self, batch, index):
        optimizers = self.optimizers()
        for part, optimizer in zip(self.parts, optimizers if len(self.parts) > 1 else [optimizers], strict=True):
            self.manual_backward(part(batch).sum())
            optimizer.step()
        self.log("batches", index + 1.0)


found = {}
for optimizers in (1, 2):
    name = f"{optimizers}-optimizers"
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        log_every_n_steps=1,
        logger=TensorBoardLogger(".", name="logs", version=name),
        callbacks=[ModelCheckpoint(name, every_n_train_steps=4 * optimizers)],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Model(optimizers), torch.utils.data.DataLoader(torch.ones(4, 1)))
    points = EventAccumulator(f"logs/{name}").Reload().Scalars("batches")
    found[name] = [(point.step, point.value) for point in points][-1], os.listdir(name)
    print(f"{name}: last step and number of batches in the log {found[name][0]}, checkpoint {found[name][1]}", flush=True)
expected = {
    "1-optimizers": ((3, 4.0), ["epoch=0-step=4.ckpt"]),
    "2-optimizers": ((3, 4.0), ["epoch=0-step=8.ckpt"]),
}
sys.exit(found != expected)
PYTHON
