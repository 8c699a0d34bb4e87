"""What a neural network of scikit-learn learnt, as a CSV file: weights, biases, and the scaling before it.

python examples/sklearn_weights.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tb2csv.model_state import export_state


def main(out: Path) -> Pipeline:
    """Fit a pipeline and export it."""
    out.mkdir(parents=True, exist_ok=True)
    points = np.random.default_rng(0).normal(size=(200, 3))
    labels = np.where(points[:, 0] * points[:, 1] > 0, "same", "opposite")
    network = MLPClassifier((8,), solver="lbfgs", max_iter=500, random_state=0)
    pipeline = make_pipeline(StandardScaler(), network).fit(points, labels)

    export_state(pipeline, out / "weights.csv", overwrite=True)

    print(f"{out / 'weights.csv'}: coefs_, intercepts_ and all other fitted attributes")
    return pipeline


if __name__ == "__main__":
    main(Path(sys.argv[1]))
