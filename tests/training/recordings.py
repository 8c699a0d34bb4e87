"""What a recorder wrote, read back by TensorBoard's own loader: without any code of tb2csv."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

if TYPE_CHECKING:
    import numpy.typing as npt

Rows = list[tuple[int, "npt.NDArray[Any]"]]


def recorded(log_dir: Path) -> dict[str, Rows]:
    """Return step and value of everything below a folder, by tag, in the order of the files and their records."""
    series: defaultdict[str, Rows] = defaultdict(list)
    for event in events(log_dir):
        for value in event.summary.value:
            assert value.HasField("tensor")
            series[value.tag].append((event.step, tf.make_ndarray(value.tensor)))
    return dict(series)


def events(log_dir: Path) -> list[Event]:
    """Return all events of a folder."""
    found = []
    for path in event_files(log_dir):
        found += [Event.FromString(record) for record in RawEventFileLoader(str(path)).Load()]
    return found


def event_files(log_dir: Path) -> list[Path]:
    """Return the event files of a folder, the oldest first."""
    return sorted(Path(log_dir).glob("events.out.tfevents.*"), key=lambda path: (path.stat().st_mtime_ns, path.name))


def steps(rows: Rows) -> list[int]:
    """Return the steps of a tag."""
    return [step for step, _ in rows]


def at(rows: Rows, step: int) -> npt.NDArray[Any]:
    """Return the one value of a tag at a step."""
    (value,) = [value for each, value in rows if each == step]
    return value


def weights_of(net: Any) -> dict[str, npt.NDArray[Any]]:
    """Return copies of the parameters of a module of PyTorch, by their names."""
    return {name: each.detach().numpy().copy() for name, each in net.named_parameters()}


def gradients_of(net: Any) -> dict[str, npt.NDArray[Any]]:
    """Return copies of the gradients of those parameters of a module of PyTorch that have one, by their names."""
    return {name: each.grad.numpy().copy() for name, each in net.named_parameters() if each.grad is not None}


def assert_recorded(found: dict[str, Rows], start: str, step: int, expected: dict[str, npt.NDArray[Any]]) -> None:
    """Assert that the tags with this start have these values at a step, bit for bit."""
    for name, array in expected.items():
        np.testing.assert_array_equal(at(found[f"{start}{name}"], step), array)


def numpy_statistics(array: npt.NDArray[Any]) -> dict[str, float]:
    """Return the seven numbers as numpy computes them."""
    flat = np.asarray(array, np.float64).ravel()
    return {
        "norm": float(np.linalg.norm(flat)),
        "mean": float(flat.mean()),
        "std": float(flat.std()),
        "min": float(flat.min()),
        "max": float(flat.max()),
        "zero_share": float((flat == 0).mean()),
        "nan_count": float(np.isnan(flat).sum()),
    }
