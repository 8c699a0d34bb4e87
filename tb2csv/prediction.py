"""Write predictions of a saved or live Keras model as tables; TensorFlow is imported when they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tb2csv.errors import MissingExtraError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from tb2csv.recorders.prediction_tables import PredictionTable


def predict(
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
    """Write what a model predicts for each sample, and return the tables that were written.

    docs/recorders.md has the columns.

    Args:
        model: a Keras model, or the path of a ``.keras`` or ``.h5`` file or of a SavedModel's folder.
        inputs: arrays as ``model.predict`` takes them, or the path of a ``.npy``, ``.npz``, ``.csv`` or ``.parquet``
            file.
        out: the table, or the start of the names of the tables of several outputs.
        target: the expected values, an array or the name of a column or array of the file.
        ignore: columns or arrays of the file that are not inputs.
        columns: ``classes`` or ``outputs`` names the columns; ``auto`` chooses by the first batch.
        npy: write outputs of several dimensions into a ``.npy`` file beside the table.
        batch_size: samples in memory at a time.
        overwrite: replace existing tables.
        on_samples: called after each batch with the number of samples that are done, and the number of all samples.

    Raises:
        MissingExtraError: TensorFlow or Keras is not installed.
        RecorderError: model or inputs cannot be used, or do not fit each other.
        OutputError: a table exists, or cannot be written.
    """
    try:
        from tb2csv.recorders import predict_to_csv
    except ModuleNotFoundError as error:
        if error.name not in {"keras", "tensorflow"}:
            raise
        raise MissingExtraError("Prediction", error.name, "tensorflow") from error
    return predict_to_csv(
        model,
        inputs,
        out,
        target=target,
        ignore=ignore,
        columns=columns,
        npy=npy,
        batch_size=batch_size,
        overwrite=overwrite,
        on_samples=on_samples,
    )
