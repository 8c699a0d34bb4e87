"""Measure a model's state on its way to a CSV file and back, against Keras' own weights files and Python's csv module.

    python benchmarks/model_state.py [--parameters MILLIONS] [--rounds N]

The model has 25 million float32 parameters, as a ResNet-50 has. Each way is measured several times, one after the
other in turn, and the median counts. The way of Python is that of a script: ``csv`` with its field limit raised,
``map(str, …)`` for the numbers, ``map(float, …)`` back. Memory is what a process of its own has at its peak beyond what
it had before it began: frameworks and the model are not counted, what is read and decoded is.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
#: The project promises a peak of twice the state and so much more.
MAX_EXTRA_MIB = 300


def build(millions: float, seed: int) -> Any:
    """Return a model of large and small tensors with so many parameters; its weights are random."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(seed)
    width = int((millions * 1e6 / 10) ** 0.5)
    layers = [keras.layers.Dense(width) for _ in range(10)]
    model = keras.Sequential([keras.Input((width,)), *layers])
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(rng.standard_normal(variable.shape, np.float32) * 0.05)
    return model


def write_as_scripts_do(model: Any, path: Path) -> None:
    """Write weights as scripts do."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        for variable in model.weights:
            numbers = variable.numpy().ravel().tolist()
            writer.writerow([variable.path, ",".join(map(str, numbers)), str(list(variable.shape))])


def read_as_scripts_do(model: Any, path: Path) -> None:
    """Read them back."""
    import numpy as np

    csv.field_size_limit(sys.maxsize)
    with path.open(newline="") as file:
        for variable, (_, text, _) in zip(model.weights, csv.reader(file), strict=True):
            variable.assign(np.array(list(map(float, text.split(","))), np.float32).reshape(variable.shape))


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


#: The starts of the names of what takes a minute.
_SLOW = ("python", "elements")


def measure_times(millions: float, rounds: int, folder: Path, *, skipped: tuple[str, ...]) -> dict[str, float]:
    """Return the medians of all ways but those that are skipped."""
    from tb2csv.model_state import STYLES, export_state, load_state

    model, other = build(millions, 0), build(millions, 1)
    weights, script = folder / "m.weights.h5", folder / "script.csv"
    ways: dict[str, Callable[[], object]] = {
        "keras save": lambda: model.save_weights(weights),
        "keras load": lambda: other.load_weights(weights),
        "python write": lambda: write_as_scripts_do(model, script),
        "python read": lambda: read_as_scripts_do(other, script),
    }
    for style in STYLES:
        table = folder / f"{style}.csv"
        ways[f"{style} export"] = lambda table=table, style=style: export_state(
            model, table, style=style, overwrite=True
        )
        ways[f"{style} restore"] = lambda table=table: load_state(table, other)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, work in ways.items():
            # What is far from a limit need not be measured again and again.
            if not name.startswith(skipped) and (number == 0 or not name.startswith(_SLOW)):
                found[name].append(seconds(work))
    for path in folder.iterdir():
        print(f"{path.name:>16}: {path.stat().st_size / MIB:8.1f} MiB")
    return {name: statistics.median(times) for name, times in found.items() if times}


def peak_here(millions: float, what: str, folder: Path) -> float:
    """Return by how many MiB this process' memory grows at its peak, when it does one thing."""
    from tb2csv.model_state import export_state, load_state

    style, way = what.split()
    model = build(millions, 0)
    export_state(build(0.001, 0), folder / "warm.csv", style=style, overwrite=True)  # what is imported on the way
    load_state(folder / "warm.csv", build(0.001, 0))
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on (man 5 proc)
    before = memory("VmRSS")
    if way == "export":
        export_state(model, folder / f"{style}.csv", style=style, overwrite=True)
    else:
        load_state(folder / f"{style}.csv", model)
    return memory("VmHWM") - before


def memory(name: str) -> float:
    """Return a figure of this process in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def compare_with_scripts(times: dict[str, float]) -> None:
    """Print how many times as fast as a script the style ``tensors`` is."""
    ours, theirs = (times["tensors export"], times["tensors restore"]), (times["python write"], times["python read"])
    print(f"Python's csv module / tensors, both ways: {sum(theirs) / sum(ours):.1f} (at least 10)")
    print(f"  export {theirs[0] / ours[0]:.1f}, restore {theirs[1] / ours[1]:.1f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", type=float, default=25.0, metavar="MILLIONS")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-scripts", action="store_true", help="leave out the slow ways: Python's and elements")
    parser.add_argument("--peak-of", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if given.peak_of:
        print(peak_here(given.parameters, given.peak_of[0], Path(given.peak_of[1])))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        times = measure_times(given.parameters, given.rounds, folder, skipped=_SLOW if given.no_scripts else ())
        for way, median in times.items():
            print(f"{way:>16}: {median:8.3f} s")
        keras_both = times["keras save"] + times["keras load"]
        print(f"base64 restore / (save_weights + load_weights): {times['base64 restore'] / keras_both:.2f} (at most 3)")
        if not given.no_scripts:
            compare_with_scripts(times)
        state = given.parameters * 4e6 / MIB
        for what in ("base64 export", "base64 restore", "tensors export", "tensors restore"):
            command = [sys.executable, __file__, "--parameters", str(given.parameters), "--peak-of", what, name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            peak = float(done.stdout.split()[-1])
            limit = 2 * state + MAX_EXTRA_MIB
            print(f"{what:>16}: peak {peak:.0f} MiB beyond the model, {peak + state:.0f} with it (at most {limit:.0f})")


if __name__ == "__main__":
    main()
