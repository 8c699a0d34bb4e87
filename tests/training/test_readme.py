"""The README's example of a training, as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import tb2csv

ROOT = Path(__file__).parents[2]

#: What the README leaves to its readers.
_BEFORE = """
import keras
import numpy as np
import tb2csv

x, y = np.ones((8, 2), np.float32), np.zeros((8, 1), np.float32)
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
"""


def test_the_training_line_records(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```py\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (tmp_path / "train.py").write_text(_BEFORE + block, encoding="utf-8")
    subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    tags = tb2csv.open_logdir(tmp_path / "logs" / "run").tags(kind="scalars")["tag"].to_list()
    assert any("loss" in tag for tag in tags)
    assert any("gradients" in tag for tag in tags)
