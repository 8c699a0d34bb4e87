"""Write predictions of a saved or live model as tables, batch by batch."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tb2csv.errors import RecorderError, check_flag
from tb2csv.messages import Option, advice
from tb2csv.model_state.foreign_errors import reason_of
from tb2csv.prediction.image_files import IMAGES, ImageOptions
from tb2csv.prediction.input_batches import input_batches
from tb2csv.prediction.inputs import open_inputs
from tb2csv.prediction.loaded_model import ClassScores
from tb2csv.prediction.model_formats import load_model
from tb2csv.prediction.output_rows import values_of
from tb2csv.prediction.tables import COLUMNS, PredictionTables, TableOptions

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from tb2csv.prediction.input_batches import InputBatch
    from tb2csv.prediction.loaded_model import LoadedModel, Output
    from tb2csv.prediction.tables import PredictionTable


def predict(
    model: Any,
    inputs: Any,
    out: str | os.PathLike[str],
    *,
    target: Any = None,
    ignore: Sequence[str] = (),
    columns: Literal["auto", "classes", "outputs"] = "auto",
    images: Literal["png", "npy"] | None = None,
    channels: Literal["first", "last"] | None = None,
    value_range: tuple[float, float] | None = None,
    batch_size: int = 256,
    trust: bool = False,
    overwrite: bool = False,
    on_samples: Callable[[int, int], None] = lambda _done, _samples: None,
) -> list[PredictionTable]:
    """Write what a model predicts for each sample, and return the tables that were written.

    A classifier's output becomes ``sample, label, class_0 … class_n``, where ``label`` is the class with the largest
    number; another output with one row per sample becomes ``sample, output_0 … output_n``; an output with several
    dimensions, such as images, gets one row per element: ``sample, i0 … ik, value``. A model with several outputs gets
    a table for each: ``<out>.<output>.csv``. Each table is written atomically. docs/predictions.md has the details.

    Args:
        model: a Keras model, a PyTorch module, or the path of a ``.keras``, ``.h5``, ``.onnx``, ``.pt2`` or TorchScript
            file or of a SavedModel's folder.
        inputs: an array, a list of arrays, arrays by the names of the model's inputs, or the path of a ``.npy``,
            ``.npz``, ``.csv`` or ``.parquet`` file. Rows of a table are put into the shape that the model takes.
        out: the table, or the start of the names of the tables of several outputs.
        target: the expected values, an array or the name of a column or array of the file.
        ignore: columns or arrays of the file that are not inputs.
        columns: ``classes`` or ``outputs`` names the columns; ``auto`` treats an output as a classifier's if the
            numbers of each sample in the first batch are not negative and add up to 1.
        images: write outputs of several dimensions into a ``.npy`` file, or into a PNG file for each sample.
        channels: the axis of the channels in PNG files; that of the model's framework if None.
        value_range: the numbers that PNG files show as black and white; 0 and 1 for floats if None.
        batch_size: samples in memory at a time, unless the model takes another number.
        trust: load a model file that may run code.
        overwrite: replace existing tables.
        on_samples: called after each batch with the number of samples that are done, and the number of all samples.

    Raises:
        MissingExtraError: the framework of the model is not installed.
        RecorderError: model or inputs cannot be used, or do not fit each other; or the file may run code.
        OutputError: a table exists, or cannot be written.
    """
    check_flag("trust", trust)
    _check(columns, images, channels, value_range, batch_size)
    loaded = load_model(model, trust=trust)
    image_options = ImageOptions(channels or loaded.channels, value_range)
    with contextlib.ExitStack() as folder, contextlib.ExitStack() as files:
        given = open_inputs(inputs, folder, target=target, ignore=ignore)
        if not given.samples:
            message = "There are no samples in the inputs, so nothing can be predicted."
            raise RecorderError(message)
        options = TableOptions(columns, images, image_options, overwrite)
        tables = PredictionTables(files, out, given.samples, options)
        padded = 0
        for batch in input_batches(loaded, given, batch_size):
            truth = None if given.target is None else given.target[batch.rows]
            tables.write(batch.rows.start, _outputs(loaded, batch), truth)
            padded = batch.padded
            on_samples(batch.rows.stop, given.samples)
        return tables.close(padded)


def _check(
    columns: str, images: str | None, channels: str | None, value_range: tuple[float, float] | None, batch_size: object
) -> None:
    """Raise RecorderError if an argument is not valid."""
    for name, value, choices in (
        ("columns", columns, COLUMNS),
        ("images", images, (None, *IMAGES)),
        ("channels", channels, (None, "first", "last")),
    ):
        if value not in choices:
            message = f"{name}={value!r} is not valid; give one of {', '.join(map(str, choices))}."
            raise RecorderError(message)
    if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        message = f"batch_size={batch_size!r} is not a number of samples; give 1 or more."
        raise RecorderError(message)
    if images != "png" and (channels is not None or value_range is not None):
        raise RecorderError("The channels and the range of values are those of PNG files", _PNG)
    if value_range is not None and not _is_range(value_range):
        message = f"The range of values {value_range!r} is not valid; give two different numbers."
        raise RecorderError(message)


_PNG = advice("give {}", Option("images", "png"))


def _is_range(value_range: tuple[float, float]) -> bool:
    black, white = value_range
    return black != white and abs(black) < float("inf") and abs(white) < float("inf")


def _outputs(model: LoadedModel, batch: InputBatch) -> dict[str, Output]:
    """Return the outputs for a batch, without those of samples that were added."""
    rows = batch.rows
    try:
        outputs = model.predict(batch.arrays)
    except RecorderError:
        raise
    except Exception as error:
        message = f"The model fails on the samples {rows.start} to {rows.stop - 1} ({reason_of(error)})."
        raise RecorderError(message) from error
    count = rows.stop - rows.start
    kept: dict[str, Output] = {}
    for name, output in outputs.items():
        values = values_of(output)
        if not values.ndim or len(values) != count + batch.padded:
            message = f"The output {name} has no row for each sample: its shape is {values.shape}."
            raise RecorderError(message)
        kept[name] = ClassScores(values[:count], output.classes) if isinstance(output, ClassScores) else values[:count]
    return kept
