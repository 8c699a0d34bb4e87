"""Batches of samples in the shapes and dtypes that a model takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tb2csv.errors import RecorderError
from tb2csv.prediction.inputs import TableRows
from tb2csv.prediction.loaded_model import ModelInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from tb2csv.prediction.inputs import ModelInputs, Rows
    from tb2csv.prediction.loaded_model import LoadedModel


@dataclass(frozen=True, slots=True)
class InputBatch:
    """Consecutive samples, and arrays for the model, which may have ``padded`` more rows at their end."""

    rows: slice
    arrays: dict[str, npt.NDArray[Any]]
    padded: int


def input_batches(model: LoadedModel, given: ModelInputs, batch_size: int) -> Iterator[InputBatch]:
    """Return all samples in batches that the model takes, of at most ``batch_size`` samples if it takes any number.

    A last batch that is smaller than the model takes is padded with copies of its last sample.

    Raises:
        RecorderError: the inputs do not fit the model. The first sample is checked at once.
    """
    arrays = _matched(model, given)
    specs = {name: model.inputs.get(name, ModelInput()) for name in arrays}
    for name, array in arrays.items():
        _fitted(name, array, slice(0, 1), specs[name])
    sizes = model.batch_sizes
    size = max(min(batch_size, sizes.largest or batch_size), sizes.smallest)

    def batches() -> Iterator[InputBatch]:
        for start in range(0, given.samples, size):
            rows = slice(start, min(start + size, given.samples))
            padded = max(0, sizes.smallest - (rows.stop - start))
            batch = {name: _fitted(name, array, rows, specs[name]) for name, array in arrays.items()}
            if padded:
                batch = {name: np.concatenate([each, np.repeat(each[-1:], padded, 0)]) for name, each in batch.items()}
            yield InputBatch(rows, batch, padded)

    return batches()


def _matched(model: LoadedModel, given: ModelInputs) -> dict[str, Rows]:
    """Return the arrays by the names of the model's inputs. Raises RecorderError if they do not match."""
    names = list(model.inputs)
    if names == [""]:
        return dict(given.arrays)
    arrays: Mapping[str, Rows] = given.arrays
    table = arrays.get("")
    if isinstance(table, TableRows) and len(names) > 1 and set(names) == set(table.columns):
        arrays = {name: table.column(name) for name in names}
    if len(names) != len(arrays):
        held = ", ".join(name or "one array" for name in arrays)
        message = (
            f"The model takes {len(names)} inputs ({', '.join(names)}), but there are {len(arrays)} ({held}); "
            "give arrays by the names of the inputs, such as a .npz file, or a table with one column for each."
        )
        raise RecorderError(message)
    if len(names) == 1 or all(name.isdigit() for name in arrays):
        return dict(zip(names, arrays.values(), strict=True))
    if set(names) != set(arrays):
        message = f"The model takes {', '.join(names)}, but the inputs are called {', '.join(arrays)}; rename them."
        raise RecorderError(message)
    return {name: arrays[name] for name in names}


def _fitted(name: str, array: Rows, rows: slice, spec: ModelInput) -> npt.NDArray[Any]:
    is_text = spec.dtype is not None and spec.dtype.kind == "U"
    if isinstance(array, TableRows) and not is_text:
        array.check_numbers()
    return _shaped(name, converted(name, np.asarray(array[rows]), spec.dtype), spec.shape)


def converted(name: str, batch: npt.NDArray[Any], dtype: np.dtype[Any] | None) -> npt.NDArray[Any]:
    """Return a batch in the dtype that an input has; numbers may be rounded to the precision of a float.

    Raises RecorderError if a value would become another one.
    """
    is_text = batch.dtype.kind in "OSU"
    wanted = "numbers" if dtype is None else "text" if dtype.kind == "U" else dtype.name
    if is_text != (dtype is not None and dtype.kind == "U"):
        message = f"The input {name or 'of the model'} takes {wanted}, but the data are {batch.dtype}."
        raise RecorderError(message)
    if is_text:
        if not all(isinstance(each, str) for each in batch.ravel().tolist()):
            message = f"The input {name or 'of the model'} takes text, but some values are missing or not text."
            raise RecorderError(message)
        return batch.astype(object)
    if dtype is None or batch.dtype == dtype:
        return batch
    with np.errstate(over="ignore", invalid="ignore"):
        converted = batch.astype(dtype)
        if dtype.kind in "biu":
            is_same = np.array_equal(converted.astype(batch.dtype), batch)
        else:
            is_same = bool((np.isfinite(converted.astype(np.float64)) | ~np.isfinite(batch.astype(np.float64))).all())
    if not is_same:
        message = f"The input {name or 'of the model'} takes {wanted}, which cannot hold all values of the data."
        raise RecorderError(message)
    return converted


def _shaped(name: str, batch: npt.NDArray[Any], shape: tuple[int | None, ...] | None) -> npt.NDArray[Any]:
    """Return a batch in the shape that an input has. Raises RecorderError if the numbers do not fit."""
    if shape is None:
        return batch
    fits = len(shape) == batch.ndim - 1 and all(
        wanted in {None, size} for wanted, size in zip(shape, batch.shape[1:], strict=True)
    )
    if fits:
        return batch
    sizes = [size for size in shape if size is not None]
    if len(sizes) == len(shape) and np.prod(sizes, dtype=np.int64) == np.prod(batch.shape[1:], dtype=np.int64):
        return batch.reshape(len(batch), *sizes)
    wanted = " x ".join("any" if size is None else str(size) for size in shape) or "one number"
    held = " x ".join(map(str, batch.shape[1:])) or "one number"
    message = f"The input {name or 'of the model'} takes {wanted} for each sample, but the data have {held}."
    raise RecorderError(message)
