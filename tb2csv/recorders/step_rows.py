"""Rows that a compiled train step writes, one for each recorded step, and that Python takes after it.

They are in TensorFlow variables, which every kind of train step can write, including those that XLA compiles. No
operation leaves the step.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from tb2csv.recorders.graph_callbacks import when_due
from tb2csv.recorders.recording_plan import WAITING_STEPS
from tb2csv.recorders.tensor_statistics import STATISTICS, statistics_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.recording_plan import RecordingPlan


class StepRows:
    """A ring buffer of rows: a compiled step writes rows, and Python takes them."""

    def __init__(self, size: int, columns: Sequence[tuple[tuple[int, ...], Any]]) -> None:
        """Make room for ``size`` rows; each column has a shape and a dtype."""
        import tensorflow as tf

        self._size = size
        shapes = [((), tf.int64), ((size,), tf.int64), *(((size, *shape), dtype) for shape, dtype in columns)]
        self._written, self._steps, *self._columns = _variables(shapes)
        self._taken = 0

    def put(self, step: Any, values: Sequence[Any]) -> None:
        """Add a row; this is part of the train step."""
        import tensorflow as tf

        # If a step fails, as at the end of the data, operations that do not need the data may have run.
        with tf.control_dependencies(values):
            row = self._written.read_value() % self._size
            for column, value in zip([self._steps, *self._columns], [step, *values], strict=True):
                column.scatter_update(tf.IndexedSlices(tf.expand_dims(value, 0), tf.reshape(row, [1])))
            self._written.assign_add(1)

    def take(self) -> tuple[list[int], list[npt.NDArray[Any]], int]:
        """Return the steps and the columns of the rows not yet taken, in order, and the number of lost rows.

        Rows are lost if an optimizer applies more often than the train step calls it, in a loop of its own.
        """
        written = int(self._written.numpy())
        first = max(self._taken, written - self._size)
        lost, self._taken = first - self._taken, written
        rows = np.arange(first, written) % self._size
        if not rows.size:
            return [], [np.empty(0) for _ in self._columns], lost
        return self._steps.numpy()[rows].tolist(), [column.numpy()[rows] for column in self._columns], lost


def _variables(shapes: Sequence[tuple[tuple[int, ...], Any]]) -> list[Any]:
    """Return variables of these shapes and dtypes, also while a function is traced.

    A tf.function refuses variables that are created when it is traced again. The functions that are being traced
    belong to their thread, so the variables are created in another one.
    """
    import tensorflow as tf

    def create() -> list[Any]:
        return [tf.Variable(tf.zeros(shape, dtype), trainable=False, name="recorded") for shape, dtype in shapes]

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(create).result()


class StatisticsRows:
    """Statistics of several tensors at each step at which they are due."""

    def __init__(self, plan: RecordingPlan, size: int, steps_per_execution: int) -> None:
        """Make room for the statistics of ``size`` tensors."""
        import tensorflow as tf

        self._plan = plan
        self._rows = StepRows(WAITING_STEPS + steps_per_execution, [((size, len(STATISTICS)), tf.float32)])

    def put(self, step: Any, tensors: Sequence[Any]) -> None:
        """Add a row if it is due at ``step``; this is part of the train step."""
        when_due(step, self._plan.statistics, lambda: self._rows.put(step, [statistics_of(tensors)]))

    def write(self, log: EventWriter, names: Sequence[str], wall_times: Mapping[int, float]) -> int:
        """Write the rows not yet written, by the names of the tensors, and return the number of lost rows."""
        now = time.time()
        steps, (statistics,), lost = self._rows.take()
        if steps:
            self._plan.write_statistics(log, steps, names, statistics, [wall_times.get(step, now) for step in steps])
        return lost
