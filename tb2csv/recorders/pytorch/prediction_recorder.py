"""The recorder of predictions of a model of PyTorch for the same samples, again and again during its training."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch.utils import _pytree as pytree

from tb2csv.errors import RecorderError
from tb2csv.prediction.output_rows import classes_of
from tb2csv.recorders.arguments import interval, positive
from tb2csv.recorders.context_manager import ContextManager
from tb2csv.recorders.event_writer import EventWriter
from tb2csv.recorders.pytorch.evaluation import (
    called,
    device_of,
    evaluation,
    moved,
    named_outputs,
    preserved_generators,
)
from tb2csv.recorders.pytorch.host_arrays import host_array, obstacle
from tb2csv.recorders.pytorch.module_names import check_parameters, unwrapped
from tb2csv.recorders.pytorch.prediction_sample import Sample, sample_of_loader, sample_of_tensors, split_by
from tb2csv.recorders.pytorch.processes import is_other_process
from tb2csv.recorders.recording_plan import due

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    import numpy.typing as npt


class TorchPredictionRecorder(ContextManager):
    """Records what a model of PyTorch predicts for a sample of the validation data, during its training.

    ::

        with TorchPredictionRecorder(model, validation_loader, "logs/run", sample_size=16, every=5) as predictions:
            for epoch in range(epochs):
                ...
                predictions.end_epoch(epoch)

    ``predictions/sample`` has the numbers of the rows that are predicted, ``predictions/<output>`` a row of numbers for
    each, ``predictions/<output>/label`` a classifier's class with the largest number, and
    ``predictions/<output>/target`` the targets. The rows are read once, when the recorder is created.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        data: Any,
        log_dir: str | os.PathLike[str],
        *,
        targets: Any = None,
        sample_size: int | None = None,
        every: int = 1,
        seed: int = 0,
        batch_size: int = 32,
        split: Callable[[Any], tuple[Any, Any]] | None = None,
        call: Callable[[torch.nn.Module, Any], Any] = called,
        on_error: Literal["warn", "raise"] = "warn",
    ) -> None:
        """Read the sample, and keep it in memory.

        Args:
            model: the model, also compiled or in DistributedDataParallel.
            data: a DataLoader, or the inputs: a tensor or array, or a list, tuple or dict of them.
            log_dir: the folder of the run; it may be the one that a TorchRecorder writes to.
            targets: the targets of inputs that are tensors, in the same containers as the outputs; or the key of the
                targets in batches of a DataLoader that are dicts.
            sample_size: how many rows are predicted, chosen once at random; all if None. A DataLoader whose dataset can
                only be iterated gives its first rows.
            every: the number of epochs, or of steps, from one record to the next.
            seed: the seed of the choice; the same seed gives the same rows.
            batch_size: rows that are predicted at a time; a DataLoader has its own number.
            split: returns inputs and targets of a batch of a DataLoader; if None, a batch is a pair of both, or a dict.
            call: calls the model with inputs. By default, a list or tuple has its arguments, and a dict those by name.
            on_error: as in TorchRecorder.

        Raises:
            RecorderError: an argument is not valid, or the parts of a batch are not known.
        """
        self._every = interval("every", every)
        self._log = EventWriter(log_dir, on_error=on_error)
        self._model = unwrapped(model)
        check_parameters(self._model)
        self._call = call
        self._finalizer = weakref.finalize(self, self._log.close)
        #: Of several processes, the first records.
        self._is_recording = not is_other_process()
        self._sample = Sample(np.empty(0, np.int64), ())
        if self._is_recording:
            size = positive("batch_size", batch_size, "a number of rows")
            with preserved_generators(device_of(self._model)):
                self._sample = self._read(data, targets, sample_size, seed, size, split)

    @staticmethod
    def _read(
        data: Any,
        targets: Any,
        sample_size: int | None,
        seed: int,
        batch_size: int,
        split: Callable[[Any], tuple[Any, Any]] | None,
    ) -> Sample:
        if not isinstance(data, torch.utils.data.DataLoader):
            return sample_of_tensors(data, targets, sample_size, seed, batch_size)
        if targets is not None and not isinstance(targets, str):
            message = "A DataLoader has its targets in its batches; give targets= only as the key of a dict."
            raise RecorderError(message)
        return sample_of_loader(data, split or split_by(targets), sample_size, seed)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The numbers of the rows that are predicted."""
        return self._sample.rows

    def end_epoch(self, epoch: int) -> None:
        """Predict and record if that is due after an epoch, which count from 0: after every ``every`` epochs."""
        if due(epoch + 1, self._every):
            self.record(epoch)

    def end_step(self, step: int) -> None:
        """Predict and record if that is due after a step, which count from 1: after every ``every`` steps."""
        if due(step, self._every):
            self.record(step)

    def record(self, step: int) -> None:
        """Predict and record at a step now.

        The model is evaluated without gradients; its mode and the random number generators are then as before.
        """
        if not self._is_recording:
            return
        with self._log.guard():
            predicted = self._log.attempt("predictions", self._predicted)
            if predicted is not None:
                self._write(step, *predicted)

    def _predicted(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return outputs and targets of all rows by names."""
        device = device_of(self._model)
        outputs: dict[str, list[torch.Tensor]] = {}
        targets: dict[str, list[torch.Tensor]] = {}
        with evaluation(self._model):
            for inputs, truth in self._sample.batches:
                found = named_outputs(self._call(self._model, moved(inputs, device)))
                # A copy: a model may use the memory of its outputs again.
                _gather(outputs, {name: each.to("cpu", copy=True) for name, each in found.items()})
                _gather(targets, _named_targets(truth, list(found)))
        rows = [_rows(inputs, truth) for inputs, truth in self._sample.batches]
        return dict(self._whole("", outputs, rows)), dict(self._whole("/target", targets, rows))

    def _whole(
        self, suffix: str, parts: dict[str, list[torch.Tensor]], rows: list[int]
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """Return the parts of each tensor as one; those that have no row for each sample are omitted."""
        for name, each in parts.items():
            tag = f"predictions/{name}{suffix}"
            reason = next(filter(None, map(obstacle, each)), None)
            if reason is not None:
                self._log.omit(tag, reason)
            elif [len(part) if part.ndim else 0 for part in each] != rows:
                self._log.omit(tag, "no row for each sample")
            elif len({(part.shape[1:], part.dtype) for part in each}) > 1:
                self._log.omit(tag, "batches of different shapes")
            else:
                yield name, torch.cat(each)

    def _write(self, step: int, outputs: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> None:
        now = time.time()
        self._log.tensor(step, "predictions/sample", self.rows, wall_time=now)
        for name, output in outputs.items():
            array, dtype = host_array(output)
            self._log.tensor(step, f"predictions/{name}", array, wall_time=now, dtype=dtype)
            labels = None if output.is_complex() else classes_of(output.double().numpy())
            if labels is not None:
                self._log.tensor(step, f"predictions/{name}/label", labels, wall_time=now)
        for name, target in targets.items():
            if name in outputs:
                array, dtype = host_array(target)
                self._log.tensor(step, f"predictions/{name}/target", array, wall_time=now, dtype=dtype)
            else:
                self._log.omit(f"predictions/{name}/target", "the target of an output that the model does not have")

    def close(self) -> None:
        """Close the file; later values go to a new one. Warn once about what was omitted."""
        self._log.close()


def _gather(into: dict[str, list[torch.Tensor]], found: dict[str, torch.Tensor]) -> None:
    for name, each in found.items():
        into.setdefault(name, []).append(each)


def _rows(inputs: Any, targets: Any) -> int:
    """Return the number of rows of a batch: that of its first tensor."""
    leaves = (leaf for leaf in pytree.tree_leaves((inputs, targets)) if isinstance(leaf, torch.Tensor) and leaf.ndim)
    return next((len(leaf) for leaf in leaves), 0)


def _named_targets(targets: Any, outputs: list[str]) -> dict[str, torch.Tensor]:
    """Return targets by the names of outputs: by their keys in a dict, and otherwise by their order."""
    if isinstance(targets, dict):
        return {str(name): each for name, each in targets.items()}
    found = [leaf for leaf in pytree.tree_leaves(targets) if isinstance(leaf, torch.Tensor)]
    missing = [f"output_{place}" for place in range(len(outputs), len(found))]
    return dict(zip([*outputs, *missing], found, strict=False))
