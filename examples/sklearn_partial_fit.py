"""Loss and coefficients of a classifier of scikit-learn after each batch of partial_fit, as CSV tables.

python examples/sklearn_partial_fit.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

import tb2csv
from tb2csv.recorders import Recorder


def main(out: Path) -> None:
    """Train a classifier in batches, and convert what was recorded."""
    points = np.random.default_rng(0).normal(size=(60, 2))
    labels = (points @ [1, -2] > 0).astype(int)
    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.1, shuffle=False, random_state=0)

    with Recorder(out / "logs" / "sgd") as recorder:
        recorder.hparams({"eta0": model.eta0, "alpha": model.alpha})
        for step in range(1, 7):
            batch = slice((step - 1) * 10, step * 10)
            model.partial_fit(points[batch], labels[batch], classes=[0, 1])
            recorder.scalars({"loss": log_loss(labels, model.predict_proba(points))}, step)
            recorder.tensors({"weights": {"coef": model.coef_, "intercept": model.intercept_}}, step)

    tb2csv.convert(out / "logs", out / "tables")
    print(f"loss after each batch: {out}/tables/sgd/scalars/loss.csv")
    print(f"coefficients after each batch: {out}/tables/sgd/tensors/weights/coef.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
