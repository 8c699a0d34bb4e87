#!/usr/bin/env bash
# Lightning's self.log rounds numbers of Python to float32 before any logger gets them, a CSV logger included.
# One expects: a number of Python is logged as it is, or there is a warning, as for a tensor of integers. A tensor of
# float64 is logged in float64.
# What happens: self.log("time", 1700000010.0) logs 1700000000.0, and self.log("tokens", 16777217) logs 16777216, into
# metrics.csv, too.
# Seen with: lightning 2.6.6, torch 2.13.0.
# Consequence: counts of tokens and times that go through self.log have 24 bits in every log; the logger's own log_metrics
# keeps them, and torch.tensor(…, dtype=torch.float64) does as well.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  lightning==2.6.6 torch==2.13.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON' 2>log.txt || { cat log.txt >&2; exit 1; }
import csv
import sys
import warnings

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger

START, TOKENS = 1_700_000_000, 2**24


class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch, index):
        seconds, tokens = float(START + 10 * index), TOKENS + index
        self.log_dict({"time": seconds, "tokens": tokens})
        self.log("time of a tensor", torch.tensor(seconds, dtype=torch.float64))
        self.logger.log_metrics({"time of log_metrics": seconds}, step=index)
        return self.layer(batch).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


logger = CSVLogger("logs")
trainer = lightning.Trainer(
    accelerator="cpu", max_epochs=1, logger=logger, log_every_n_steps=1, enable_progress_bar=False,
    enable_model_summary=False, enable_checkpointing=False,
)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    trainer.fit(Model(), torch.utils.data.DataLoader(torch.ones(4, 2)))
with open(f"{logger.log_dir}/metrics.csv") as file:
    rows = list(csv.DictReader(file))
found = {name: [float(row[name]) for row in rows if row[name]] for name in rows[0] if name not in ("epoch", "step")}
for name, numbers in found.items():
    print(f"{name}: {numbers}")
about = [str(warning.message) for warning in caught if "float" in str(warning.message)]
print(f"warnings of a conversion: {len(about)}")
seconds = [START + 10.0 * index for index in range(4)]
expected = {
    "time": [START] * 4,
    "tokens": [float(torch.tensor(float(TOKENS + index))) for index in range(4)],
    "time of a tensor": seconds,
    "time of log_metrics": seconds,
}
sys.exit(found != expected or found["tokens"][1] == TOKENS + 1 or len(about) > 0)
PYTHON
