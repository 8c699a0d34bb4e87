"""The recorder of predictions: a callback that records the predictions for fixed samples after each epoch."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

from tb2csv.errors import RecorderError
from tb2csv.prediction.keras_models import named_outputs
from tb2csv.prediction.output_rows import classes_of
from tb2csv.recorders.arguments import interval, positive
from tb2csv.recorders.event_writer import EventWriter, guarded
from tb2csv.recorders.recording_plan import due
from tb2csv.recorders.sampled_rows import sampled_rows

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import numpy.typing as npt


class PredictionRecorder(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """A callback that writes predictions for a sample of the data into an event file, at the end of epochs.

    The step of all values is the epoch, from 0. ``predictions/sample`` has the numbers of the rows that were
    predicted, ``predictions/<output>`` a row of numbers for each, ``predictions/<output>/label`` a classifier's class
    with the largest number, and ``predictions/<output>/target`` the targets from ``y``.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        *,
        log_dir: str | os.PathLike[str],
        sample_size: int | None = None,
        every_epochs: int = 1,
        seed: int = 0,
        batch_size: int = 32,
        on_error: Literal["warn", "raise"] = "warn",
    ) -> None:
        """Prepare to predict ``x``.

        Args:
            x: inputs as ``model.predict`` takes them: an array, or a list or dict of arrays.
            y: targets: an array, or a list or dict of arrays, one for each output.
            log_dir: the folder of the run; it may be the one that a TrainingRecorder writes to.
            sample_size: how many rows are predicted, chosen once at random; all if None.
            every_epochs: the number of epochs from one record to the next.
            seed: the seed of the choice; the same seed gives the same rows.
            batch_size: samples that are predicted at a time.
            on_error: as in TrainingRecorder.

        Raises:
            RecorderError: an argument is not valid.
        """
        super().__init__()
        lengths = {len(array) for array in keras.tree.flatten((x, y)) if array is not None}
        if len(lengths) != 1:
            message = f"x and y have different numbers of rows ({', '.join(map(str, sorted(lengths)))})."
            raise RecorderError(message)
        self.rows: npt.NDArray[np.int64] = sampled_rows(lengths.pop(), sample_size, seed)
        self._every = interval("every_epochs", every_epochs)

        def chosen(array: Any) -> Any:
            return None if array is None else np.asarray(array)[self.rows]

        self._x = keras.tree.map_structure(chosen, x)
        self._y = keras.tree.map_structure(chosen, y)
        self._batch_size = positive("batch_size", batch_size, "a number of samples")
        self._log = EventWriter(log_dir, on_error=on_error)
        self._finalizer = weakref.finalize(self, self._log.close)

    @guarded
    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Predict, and record the predictions."""
        if not due(epoch + 1, self._every):
            return
        predicted = self._log.attempt(
            "predictions", lambda: self.model.predict(self._x, batch_size=self._batch_size, verbose=0)
        )
        if predicted is None:
            return
        outputs = named_outputs(self.model, predicted)
        targets = self._targets(list(outputs))
        now = time.time()
        self._log.tensor(epoch, "predictions/sample", self.rows, wall_time=now)
        for name, output in outputs.items():
            self._log.tensor(epoch, f"predictions/{name}", output, wall_time=now)
            labels = classes_of(output)
            if labels is not None:
                self._log.tensor(epoch, f"predictions/{name}/label", labels, wall_time=now)
        for name, target in targets.items():
            if name in outputs:
                self._log.tensor(epoch, f"predictions/{name}/target", target, wall_time=now)
            else:
                self._log.omit(f"predictions/{name}/target", "the target of an output that the model does not have")

    def _targets(self, outputs: list[str]) -> dict[str, npt.NDArray[Any]]:
        if self._y is None:
            return {}
        if isinstance(self._y, dict):
            return self._y
        targets = keras.tree.flatten(self._y)
        missing = [f"output_{place}" for place in range(len(outputs), len(targets))]
        return dict(zip([*outputs, *missing], targets, strict=False))

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Close the file."""
        self._log.close()
