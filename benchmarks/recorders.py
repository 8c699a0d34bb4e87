"""Measure what a recorder costs a training step: a small CNN in `model.fit`, with and without.

    .venv-training/bin/python benchmarks/recorders.py [--pairs N] [--steps N] [--only TEXT]

Bare and recorded epochs alternate, so that what else the machine does meets both; the figures are medians of the ratios
of the pairs, of elapsed time and of the processors' time, more accurate if the machine has other work. The exit
status is 1 if statistics of every step cost more elapsed time than the limit.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tb2csv.recorders import TrainingRecorder

LIMIT: Final = 1.3
BATCH: Final = 32

#: What is recorded, by the name of the row; the limit applies to the first one.
RECORDED: Final[dict[str, dict[str, Any]]] = {
    "statistics of all gradients, every step": {"gradient_statistics_every": 1},
    "metrics of every batch": {},
    "statistics of gradients and weights, every step": {"gradient_statistics_every": 1, "weight_statistics_every": 1},
    "statistics of gradients and activations, every step": {
        "gradient_statistics_every": 1,
        "activation_statistics_every": 1,
    },
    "activations themselves, every 50 steps": {"activations_every": 50},
    "gradients and weights themselves, every step": {"gradients_every": 1, "weights_every": 1},
    "gradients and weights themselves, every 50 steps": {"gradients_every": 50, "weights_every": 50},
    "layer errors, every step": {"layer_errors_every": 1},
    "layer errors, every 50 steps": {"layer_errors_every": 50},
}


def small_cnn(*, xla: bool) -> keras.Model:
    """Return a compiled model of some nine thousand weights for images of 28 by 28."""
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Conv2D(16, 3, activation="relu"), keras.layers.MaxPooling2D()]
    layers += [keras.layers.Conv2D(32, 3, activation="relu"), keras.layers.MaxPooling2D(), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers, keras.layers.Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=xla)
    return model


def cost_of_epoch(model: keras.Model, data: tuple[Any, Any], callbacks: list[Any]) -> tuple[float, float]:
    """Return what an epoch takes in seconds: elapsed time, and time of all processors."""
    began = time.perf_counter(), time.process_time()
    model.fit(*data, batch_size=BATCH, verbose=0, callbacks=callbacks)
    return time.perf_counter() - began[0], time.process_time() - began[1]


class Ratios(NamedTuple):
    """Recorded by bare time, one for each pair of epochs, and the median of a bare step in milliseconds."""

    elapsed: list[float]
    processors: list[float]
    bare_step: float


def measure(folder: Path, options: dict[str, Any], pairs: int, steps: int, *, xla: bool) -> Ratios:
    """Measure pairs of epochs of a bare and a recorded model."""
    random = np.random.default_rng(1)
    data = random.random((BATCH * steps, 28, 28, 1), np.float32), random.integers(0, 10, BATCH * steps)
    recorder = TrainingRecorder(folder, **options)
    runs = [(small_cnn(xla=xla), []), (small_cnn(xla=xla), [recorder])]
    for model, callbacks in runs:
        cost_of_epoch(model, data, callbacks)  # in which it is traced
    elapsed, processors, bare = [], [], []
    for pair in range(pairs):
        costs = {
            bool(callbacks): cost_of_epoch(model, data, callbacks)
            for model, callbacks in (runs if pair % 2 else reversed(runs))
        }
        elapsed.append(costs[True][0] / costs[False][0])
        processors.append(costs[True][1] / costs[False][1])
        bare.append(costs[False][0] / steps * 1e3)
    return Ratios(elapsed, processors, statistics.median(bare))


def main() -> int:
    """Measure, print a table, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=15, help="pairs of epochs for each row (default: 15)")
    parser.add_argument("--steps", type=int, default=50, help="steps in an epoch (default: 50)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows that have this in their name")
    arguments = parser.parse_args()
    print(f"{'recorded':<54}{'XLA':<5}{'bare step':>10}{'elapsed':>9}{'least':>7}{'most':>7}{'processors':>12}")
    worst = 0.0
    for xla in (False, True):
        for name, options in RECORDED.items():
            if arguments.only not in name:
                continue
            with tempfile.TemporaryDirectory() as folder:
                found = measure(Path(folder), options, arguments.pairs, arguments.steps, xla=xla)
            ratio = statistics.median(found.elapsed)
            spread = f"{ratio:>9.2f}{min(found.elapsed):>7.2f}{max(found.elapsed):>7.2f}"
            told = f"{found.bare_step:>7.2f} ms{spread}{statistics.median(found.processors):>12.2f}"
            print(f"{name:<54}{'yes' if xla else 'no':<5}{told}", flush=True)
            if options == {"gradient_statistics_every": 1}:
                worst = max(worst, ratio)
    print(f"Statistics of every step cost {worst:.2f} of a bare step; the limit is {LIMIT}.")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
