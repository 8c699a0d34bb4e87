"""The part of a recorder for Keras on TensorFlow, whose code may be in graphs."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tb2csv.recorders.fits import Fit
from tb2csv.recorders.gradient_hooks import dense
from tb2csv.recorders.graph_callbacks import deliver, when, when_due
from tb2csv.recorders.tensor_statistics import is_real, statistics_of
from tb2csv.recorders.tensorflow_fit import TensorFlowFit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.recording_plan import FitPlan, RecordingPlan


class TensorFlowBackend:
    """Records in graphs and in eager code."""

    def __init__(self) -> None:
        """Start without a writer of ``tf.summary``."""
        self._summary_writer: Any = None
        self._traced_variables: list[Any] = []
        self._traced_statistics: Callable[[], Any] = list

    def fit(self, log: EventWriter, model: Any, plan: FitPlan) -> Fit:
        """Prepare to record a model that is about to train. Raises RecorderError if it cannot be recorded."""
        is_counted_by_keras = model.steps_per_execution == 1
        return Fit(log, model) if plan.is_empty and is_counted_by_keras else TensorFlowFit(log, model, plan)

    def write_variables(
        self, log: EventWriter, plan: RecordingPlan, step: int, variables: Mapping[str, Any], wall_time: float
    ) -> None:
        """Write what of variables, by their names, is due at a step."""
        values = [_tensor(each).numpy() for each in variables.values()]
        plan.write_values(log, step, list(variables), values, wall_time)
        if plan.statistics:
            real = {name: each for name, each in variables.items() if is_real(each)}
            numbers = self._statistics(list(real.values())).numpy()
            plan.write_statistics(log, [step], list(real), numbers[np.newaxis], [wall_time])

    def _statistics(self, variables: list[Any]) -> Any:
        """Return the statistics of variables, by a function that is traced once for a model."""
        import tensorflow as tf

        if [id(each) for each in variables] != [id(each) for each in self._traced_variables]:
            self._traced_variables = variables
            self._traced_statistics = tf.function(lambda: statistics_of([_tensor(each) for each in variables]))
        return self._traced_statistics()

    def record(self, log: EventWriter, plan: RecordingPlan, values: Mapping[str, Any], step: Any) -> None:
        """Record values of a custom loop, by their names, as far as they are due."""
        import tensorflow as tf

        def write_values(step: int, *arrays: Any) -> None:
            plan.write_values(log, step, list(values), [np.asarray(each) for each in arrays], time.time())

        def write_statistics(step: int, numbers: Any) -> None:
            plan.write_statistics(log, [step], list(real), np.asarray(numbers)[np.newaxis], [time.time()])

        step = tf.cast(step, tf.int64)
        tensors = {name: _tensor(value) for name, value in values.items()}
        real = {name: each for name, each in tensors.items() if is_real(each)}
        if plan.tensors or plan.histograms:
            when(plan.wants_values(step), lambda: deliver(log, write_values, step, list(tensors.values())))
        if plan.statistics:
            numbers = statistics_of(list(real.values()))
            when_due(step, plan.statistics, lambda: deliver(log, write_statistics, step, [numbers]))

    def tensor(self, value: Any) -> Any:
        """Return a value as a tensor, or as it is if it cannot be one."""
        try:
            return _tensor(value)
        except (TypeError, ValueError):
            return value

    def dense(self, gradient: Any, variable: Any) -> Any:
        """Return a gradient as one tensor; that of an embedding consists of rows."""
        return dense(gradient, variable)

    def deliver(self, log: EventWriter, write: Callable[..., None], step: Any, values: Sequence[Any]) -> None:
        """Call ``write(step, *values)`` with arrays in place of tensors, under the guard of ``log``."""
        deliver(log, write, step, values)

    @contextlib.contextmanager
    def summaries(self, log: EventWriter) -> Iterator[None]:
        """Make ``tf.summary`` write into the folder of the log, to a file of its own."""
        import tensorflow as tf

        if self._summary_writer is None:
            with log.guard():
                log.folder.mkdir(parents=True, exist_ok=True)
                self._summary_writer = tf.summary.create_file_writer(str(log.folder), filename_suffix=".summary.v2")
        writer = self._summary_writer or tf.summary.create_noop_writer()
        try:
            with writer.as_default():
                yield
        finally:
            with log.guard():
                writer.flush()

    def close(self, log: EventWriter) -> None:
        """Close the writer of ``tf.summary``."""
        if self._summary_writer is not None:
            with log.guard():
                self._summary_writer.close()
            self._summary_writer = None


def _tensor(value: Any) -> Any:
    import tensorflow as tf

    return tf.convert_to_tensor(value)
