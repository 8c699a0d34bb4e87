#!/usr/bin/env bash
# PyTorch's add_hparams stores True as the number 1; tensorboardX stores a bool.
# One expects: the same call of the two writers, which share their source, gives the same file.
# What happens: PyTorch tests for int before bool, and a bool is an int in Python.
# Seen with: torch 2.13.0, tensorboardX 2.6.5, tensorboard 2.21.0.
# Consequence: a column of a hyperparameter from both writers mixes 1.0 and true; only the first is a number.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 tensorboardX==2.6.5 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
import warnings

warnings.simplefilter("ignore")
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboardX.summary import hparams as of_tensorboardx
from torch.utils.tensorboard.summary import hparams as of_torch

kinds = {}
for name, hparams in (("torch", of_torch), ("tensorboardX", of_tensorboardx)):
    _, start, _ = hparams({"flag": True}, {})
    data = HParamsPluginData.FromString(start.value[0].metadata.plugin_data.content)
    kinds[name] = data.session_start_info.hparams["flag"].WhichOneof("kind")
    print(f"{name}: {kinds[name]}")
sys.exit(kinds != {"torch": "number_value", "tensorboardX": "bool_value"})
PYTHON
