#!/usr/bin/env bash
# Expected: hyperparameters that Lightning's logger saves to hparams.yaml can be loaded by Lightning, and a file .yaml of
#   numbers and texts by any YAML reader.
# Happens: a path among the hyperparameters is written as a call of pathlib. Lightning's own load_hparams_from_yaml, and
#   so load_from_checkpoint(hparams_file=...), then refuses the whole file, the learning rate included, with a
#   ConstructorError. A tuple, such as Adam's betas, is enough for yaml.safe_load to refuse it.
# Seen: pytorch-lightning 2.6.6, PyYAML 6.0.4, torch 2.13.0, Python 3.11.
# For tb2csv: best reads such files with a safe loader that takes the plain parts of these tags, and makes no objects.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 pytorch-lightning==2.6.6 tensorboard==2.21.0 PyYAML==6.0.4
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import sys
from pathlib import Path

import yaml
from pytorch_lightning.core.saving import load_hparams_from_yaml
from pytorch_lightning.loggers import TensorBoardLogger


def attempt(load, *arguments):
    try:
        return str(load(*arguments))
    except yaml.YAMLError as error:
        return type(error).__name__


seen = {}
for name, value in {"text": "/data", "tuple": (0.9, 0.999), "path": Path("/data")}.items():
    logger = TensorBoardLogger(".", name)
    logger.log_hyperparams({"lr": 0.1, name: value})
    logger.save()
    file = Path(logger.log_dir) / "hparams.yaml"
    print(f"{name}: {file.read_text()!r}")
    seen[name] = attempt(load_hparams_from_yaml, file), attempt(yaml.safe_load, file.read_text())
    print(f"  Lightning: {seen[name][0]}\n  safe_load: {seen[name][1]}")
sys.exit(
    not (
        seen["path"] == ("ConstructorError", "ConstructorError")
        and seen["tuple"][1] == "ConstructorError"
        and "0.999" in seen["tuple"][0]
        and "ConstructorError" not in seen["text"]
    )
)
PYTHON
