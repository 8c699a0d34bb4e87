"""CSV tables of a model's predictions, written batch by batch."""

from __future__ import annotations

import contextlib
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
import polars as pl

from tb2csv.atomic_files import home_expanded, whole_file
from tb2csv.csv_pieces import append_csv
from tb2csv.errors import RecorderError
from tb2csv.recorders.input_arrays import open_inputs
from tb2csv.recorders.predictors import predictor_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO

    import numpy.typing as npt

    from tb2csv.recorders.input_arrays import ModelInputs
    from tb2csv.recorders.predictors import Predictor

Columns = Literal["auto", "classes", "outputs"]
COLUMNS: Final = get_args(Columns)

_MAX_COLUMN_RANK: Final = 2
_SUM_TOLERANCE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class PredictionTable:
    """A written table: its path, output, number of rows, columns, and the ``.npy`` file beside it, if any."""

    path: Path
    output: str
    rows: int
    columns: tuple[str, ...]
    npy: Path | None = None


def predict_to_csv(
    model: Any,
    inputs: Any,
    out: str | os.PathLike[str],
    *,
    target: Any = None,
    ignore: Sequence[str] = (),
    columns: Literal["auto", "classes", "outputs"] = "auto",
    npy: bool = False,
    batch_size: int = 256,
    overwrite: bool = False,
    on_samples: Callable[[int, int], None] = lambda done, samples: None,  # noqa: ARG005
) -> list[PredictionTable]:
    """Write the predictions of a model for each sample, and return the tables.

    A classifier's output becomes ``sample, label, class_0 … class_n``, where ``label`` is the class with the largest
    number; another output with one row per sample becomes ``sample, output_0 … output_n``; an output with several
    dimensions, such as images, gets one row per element: ``sample, i0 … ik, value``. A model with several outputs gets
    a table for each: ``<out>.<output>.csv``. Each table is written atomically.

    Args:
        model: a Keras model, or the path of a ``.keras`` or ``.h5`` file or of a SavedModel's folder.
        inputs: arrays as ``model.predict`` takes them, or the path of a ``.npy``, ``.npz``, ``.csv`` or ``.parquet``
            file. Rows of a table are put into the shape that the model takes.
        out: the table, or the common start of the paths if there are several outputs.
        target: the expected predictions: an array or the name of a column or array of the file; it becomes a
            column ``target``.
        ignore: columns or arrays of the file that are not inputs.
        columns: ``classes`` or ``outputs`` names the columns; ``auto`` treats an output as a classifier's if the
            numbers of each sample in the first batch are not negative and add up to 1.
        npy: write outputs of several dimensions into a ``.npy`` file beside the table, which then has ``sample, dtype,
            shape, path``; row n of that array is sample n.
        batch_size: samples that are in memory at a time.
        overwrite: replace existing tables.
        on_samples: called after each batch with the number of finished samples and of all samples.

    Raises:
        RecorderError: model or inputs cannot be used, or do not fit each other.
        OutputError: a table exists already, or cannot be written.
    """
    if columns not in COLUMNS:
        message = f"columns={columns!r} is not valid; give one of {', '.join(COLUMNS)}."
        raise RecorderError(message)
    if batch_size < 1:
        message = f"batch_size={batch_size} is not a number of samples; give 1 or more."
        raise RecorderError(message)
    predictor = predictor_of(model)
    with contextlib.ExitStack() as folder:
        given = open_inputs(inputs, folder, target=target, ignore=ignore)
        if not given.samples:
            message = "There are no samples in the inputs, so nothing can be predicted."
            raise RecorderError(message)
        batches = _batches(predictor, given, batch_size)
        with contextlib.ExitStack() as files:
            tables: dict[str, _Table] = {}
            for start in range(0, given.samples, batch_size):
                rows = slice(start, min(start + batch_size, given.samples))
                outputs = _predict(predictor, batches(rows), rows)
                if not tables:
                    places = _output_paths(Path(home_expanded(out)), list(outputs))
                    tables = {
                        name: _Table(
                            files, places[name], name, output, given, columns=columns, npy=npy, overwrite=overwrite
                        )
                        for name, output in outputs.items()
                    }
                truth = None if given.target is None else given.target[rows]
                for name, output in outputs.items():
                    tables[name].write(start, output, truth)
                on_samples(rows.stop, given.samples)
            return [table.close() for table in tables.values()]


def _batches(
    predictor: Predictor, inputs: ModelInputs, batch_size: int
) -> Callable[[slice], dict[str, npt.NDArray[Any]]]:
    """Return a function from a slice of samples to the model's inputs, by name and in the shapes that it takes."""
    shapes = predictor.input_shapes
    names = list(shapes)
    if len(names) != len(inputs.arrays):
        held = ", ".join(name or "one array" for name in inputs.arrays)
        message = (
            f"The model takes {len(names)} inputs ({', '.join(names)}), but there are {len(inputs.arrays)} ({held}); "
            "give arrays by the names of the inputs, such as a .npz file."
        )
        raise RecorderError(message)
    positions = all(name.isdigit() or not name for name in inputs.arrays)
    if not (positions or len(names) == 1 or set(names) == set(inputs.arrays)):
        message = (
            f"The model takes {', '.join(names)}, but the inputs are called {', '.join(inputs.arrays)}; rename them."
        )
        raise RecorderError(message)
    by_position = positions or len(names) == 1
    arrays = dict(zip(names, inputs.arrays.values(), strict=True)) if by_position else inputs.arrays
    for name in names:
        _shaped(name, np.asarray(arrays[name][: min(batch_size, 1)]), shapes[name])

    def batch(rows: slice) -> dict[str, npt.NDArray[Any]]:
        return {name: _shaped(name, np.asarray(arrays[name][rows]), shapes[name]) for name in names}

    return batch


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


def _predict(predictor: Predictor, batch: Mapping[str, npt.NDArray[Any]], rows: slice) -> dict[str, npt.NDArray[Any]]:
    try:
        outputs = predictor.predict(batch)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        message = f"The model fails on the samples {rows.start} to {rows.stop - 1} ({lines[0]})."
        raise RecorderError(message) from error
    for name, output in outputs.items():
        if not output.ndim or len(output) != rows.stop - rows.start:
            message = f"The output {name} has no row for each sample: its shape is {output.shape}."
            raise RecorderError(message)
    return outputs


def _output_paths(out: Path, outputs: Sequence[str]) -> dict[str, Path]:
    """Return the path of each output's table; in names, unsafe characters become ``%`` and two digits."""
    if len(outputs) == 1:
        return {outputs[0]: out}
    stem = out.name[: -len(out.suffix)] if out.suffix.lower() == ".csv" else out.name
    return {name: out.with_name(f"{stem}.{urllib.parse.quote(name, safe='')}.csv") for name in outputs}


class _Table:
    """The table of one output while it is written."""

    def __init__(
        self,
        files: contextlib.ExitStack,
        path: Path,
        name: str,
        first: npt.NDArray[Any],
        inputs: ModelInputs,
        *,
        columns: Columns,
        npy: bool,
        overwrite: bool,
    ) -> None:
        self._path = path
        self._name = name
        self._rows = 0
        self._names: tuple[str, ...] = ()
        place = files.enter_context(whole_file(path, overwrite=overwrite))
        self._file: IO[bytes] = files.enter_context(place.open("wb"))
        self._array: Any = None
        self._npy: Path | None = None
        if first.ndim <= _MAX_COLUMN_RANK:
            is_classes = columns == "classes" or (columns == "auto" and _are_probabilities(first))
            self._layout = _classes if is_classes else _outputs
        elif npy:
            self._npy = (
                path.with_suffix(".npy") if path.suffix.lower() == ".csv" else path.with_name(f"{path.name}.npy")
            )
            beside = files.enter_context(whole_file(self._npy, overwrite=overwrite))
            shape = (inputs.samples, *first.shape[1:])
            self._array = np.lib.format.open_memmap(beside, "w+", _storable(first).dtype, shape)
            self._layout = self._references
        else:
            self._layout = _elements

    def write(self, start: int, output: npt.NDArray[Any], target: npt.NDArray[Any] | None) -> None:
        """Write the rows of consecutive samples from ``start`` on."""
        output = _storable(output)
        if self._array is not None:
            self._array[start : start + len(output)] = output
        samples = np.arange(start, start + len(output))
        layout = self._layout(output)
        repeats = layout.repeats
        columns: dict[str, Any] = {"sample": np.repeat(samples, repeats), **layout.before}
        if target is not None:
            columns["target"] = np.repeat(np.asarray(target).reshape(len(output), -1)[:, 0], repeats)
        frame = pl.DataFrame(columns | layout.after)
        append_csv(frame, self._file, is_first=not self._rows)
        self._rows += len(frame)
        self._names = tuple(frame.columns)

    def _references(self, output: npt.NDArray[Any]) -> _Layout:
        name = "" if self._npy is None else self._npy.name
        shape = ",".join(map(str, output.shape[1:]))
        cells = {"dtype": str(output.dtype), "shape": shape, "path": name}
        return _Layout(1, {}, {key: [value] * len(output) for key, value in cells.items()})

    def close(self) -> PredictionTable:
        """Close the table, and return what was written."""
        self._file.close()
        if self._array is not None:
            self._array.flush()
        return PredictionTable(self._path, self._name, self._rows, self._names, self._npy)


@dataclass(frozen=True, slots=True)
class _Layout:
    """The columns of an output before and after the target, and the number of rows per sample."""

    repeats: int
    before: dict[str, Any]
    after: dict[str, Any]


def _classes(output: npt.NDArray[Any]) -> _Layout:
    columns = output.reshape(len(output), -1)
    numbers = {f"class_{place}": columns[:, place] for place in range(columns.shape[1])}
    return _Layout(1, {"label": columns.argmax(axis=1)}, numbers)


def _outputs(output: npt.NDArray[Any]) -> _Layout:
    columns = output.reshape(len(output), -1)
    return _Layout(1, {}, {f"output_{place}": columns[:, place] for place in range(columns.shape[1])})


def _elements(output: npt.NDArray[Any]) -> _Layout:
    shape = output.shape[1:]
    places: tuple[npt.NDArray[np.int64], ...] = np.indices(shape, sparse=True)
    index = {
        f"i{axis}": np.tile(np.broadcast_to(place, shape).ravel(), len(output)) for axis, place in enumerate(places)
    }
    return _Layout(int(np.prod(shape)), index, {"value": output.ravel()})


def _are_probabilities(output: npt.NDArray[Any]) -> bool:
    """Return whether an output is a classifier's: at least two numbers a sample, none negative, that add up to 1."""
    if output.ndim != _MAX_COLUMN_RANK or output.shape[1] < 2:
        return False
    numbers = _storable(output).astype(np.float64)
    return bool((numbers >= 0).all() and (np.abs(numbers.sum(axis=1) - 1) < _SUM_TOLERANCE).all())


def classes_of(output: npt.NDArray[Any]) -> npt.NDArray[np.int64] | None:
    """Return the class with the largest number for each sample, or None if the output is not a classifier's."""
    return output.argmax(axis=1) if _are_probabilities(output) else None


def _storable(output: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an output in a type that polars and .npy files support; small floats are widened exactly to float32."""
    is_small = output.dtype.kind == "V" or output.dtype == np.float16 or output.dtype.name == "bfloat16"
    return output.astype(np.float32) if is_small else output
