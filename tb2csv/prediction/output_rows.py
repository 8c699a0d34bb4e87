"""Outputs of a model as columns of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.errors import RecorderError
from tb2csv.prediction.loaded_model import ClassScores

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from tb2csv.prediction.loaded_model import Output

MAX_COLUMN_RANK: Final = 2
_SUM_TOLERANCE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class OutputRows:
    """The columns of an output before and after the target, and the number of rows per sample."""

    repeats: int
    before: dict[str, Any]
    after: dict[str, Any]


def class_rows(values: npt.NDArray[Any], classes: Sequence[str] | None = None) -> OutputRows:
    """Return the class with the largest number for each sample, and the number of each class."""
    numbers = values.reshape(len(values), -1)
    best = numbers.argmax(axis=1)
    names = [str(place) for place in range(numbers.shape[1])] if classes is None else classes
    labels: Any = best if classes is None else [classes[each] for each in best]
    return OutputRows(1, {"label": labels}, {f"class_{name}": numbers[:, place] for place, name in enumerate(names)})


def number_rows(values: npt.NDArray[Any]) -> OutputRows:
    """Return one row per sample with all that it has."""
    columns = values.reshape(len(values), -1)
    return OutputRows(1, {}, {f"output_{place}": _cells(columns[:, place]) for place in range(columns.shape[1])})


def element_rows(values: npt.NDArray[Any]) -> OutputRows:
    """Return one row per element with its indices."""
    shape = values.shape[1:]
    places: tuple[npt.NDArray[np.int64], ...] = np.indices(shape, sparse=True)
    index = {
        f"i{axis}": np.tile(np.broadcast_to(place, shape).ravel(), len(values)) for axis, place in enumerate(places)
    }
    return OutputRows(int(np.prod(shape)), index, {"value": _cells(values.ravel())})


def _cells(values: npt.NDArray[Any]) -> Any:
    return values.tolist() if values.dtype.kind == "O" else values


def classes_of(output: npt.NDArray[Any]) -> npt.NDArray[np.int64] | None:
    """Return the class with the largest number for each sample, or None if the output is not a classifier's."""
    return output.argmax(axis=1) if are_probabilities(output) else None


def are_probabilities(output: npt.NDArray[Any]) -> bool:
    """Return whether an output is a classifier's: at least two numbers a sample, none negative, that add up to 1."""
    if output.ndim != MAX_COLUMN_RANK or output.shape[1] < 2 or output.dtype.kind not in "biufV":
        return False
    numbers = storable("", output).astype(np.float64)
    return bool((numbers >= 0).all() and (np.abs(numbers.sum(axis=1) - 1) < _SUM_TOLERANCE).all())


def storable(name: str, output: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an output in a type that polars and .npy files support; small floats are widened exactly to float32.

    Raises RecorderError if it holds neither real numbers nor text.
    """
    if output.dtype.kind == "V" or output.dtype == np.float16:
        return output.astype(np.float32)
    if output.dtype.kind in "biuf":
        return output
    if output.dtype.kind in "OSU":
        try:
            values = [each.decode() if isinstance(each, bytes) else each for each in output.ravel().tolist()]
        except UnicodeDecodeError:
            values = [None]
        if all(isinstance(each, str) for each in values):
            text = np.empty(len(values), object)
            text[:] = values
            return text.reshape(output.shape)
    message = f"The output {name} holds {output.dtype}, but a table of predictions takes real numbers and text."
    raise RecorderError(message)


def values_of(output: Output) -> npt.NDArray[Any]:
    """Return the numbers or texts of an output."""
    return output.values if isinstance(output, ClassScores) else output
