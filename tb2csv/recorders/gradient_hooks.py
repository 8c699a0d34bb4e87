"""The gradients that Keras optimizers apply, recorded when they are applied, inside the compiled train step.

A hook writes into variables, which Python reads after the step. No second backward pass is made. Decision 0007 has the
reasons.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from tb2csv.recorders.graph_callbacks import when
from tb2csv.recorders.optimizers import UPDATE_METHOD, updating_optimizers
from tb2csv.recorders.step_rows import StatisticsRows, StepRows
from tb2csv.recorders.tensor_statistics import is_real
from tb2csv.recorders.variable_names import names_by_identity, variable_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.recording_plan import RecordingPlan


class GradientHooks:
    """The hooks that record the gradients of one model during one ``fit``."""

    def __init__(self, log: EventWriter, plan: RecordingPlan, model: Any, step: Any, steps_per_execution: int) -> None:
        """Prepare to record what the optimizers of a compiled model apply.

        Args:
            log: the log to write to.
            plan: what to write, and when.
            model: a compiled keras.Model.
            step: an int64 tf.Variable that holds the number of the train step's current batch.
            steps_per_execution: how many train steps are run in one call.

        Raises:
            RecorderError: an optimizer is not one of Keras 3.
        """
        self._log = log
        self._plan = plan
        self._step = step
        self._execution = steps_per_execution
        self._names = names_by_identity(model)
        self._optimizers = updating_optimizers(model)
        self._taps: dict[tuple[int, tuple[int, ...], int], _Hook] = {}
        self._calls = 0

    @property
    def has_updates(self) -> bool:
        """Whether an optimizer applied gradients in a train step."""
        return self._calls > 0

    def begin_trace(self) -> None:
        """Reset the count of updates when the train step begins or is traced again."""
        self._calls = 0

    def methods(self) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
        """Yield the methods to replace while a train step runs: owner, name of the method, new method."""
        for optimizer in self._optimizers:
            yield optimizer, UPDATE_METHOD, self._tapped(optimizer)

    def _tapped(self, optimizer: Any) -> Callable[..., Any]:
        update: Callable[..., Any] = getattr(optimizer, UPDATE_METHOD)

        def update_and_record(gradients: Any, variables: Any, *args: Any, **kwargs: Any) -> Any:
            gradients, variables = list(gradients), list(variables)
            with self._log.guard():
                self._record(optimizer, gradients, variables)
            return update(gradients, variables, *args, **kwargs)

        return update_and_record

    def _record(self, optimizer: Any, gradients: list[Any], variables: list[Any]) -> None:
        """Add the operations that record these gradients to the train step."""
        self._calls += 1
        present = []
        for gradient, variable in zip(gradients, variables, strict=True):
            if gradient is None:
                continue
            if not is_real(variable):
                self._log.omit(f"{self._plan.family}/{self._name(variable)}", f"{variable.dtype}, in each step")
                continue
            present.append((dense(gradient, variable), variable))
        # An optimizer that applies several times within a step has a hook for each: none overwrites another's rows.
        key = (id(optimizer), tuple(id(variable) for _, variable in present), self._calls)
        tap = self._taps.get(key)
        if tap is None:
            names = [self._name(variable) for _, variable in present]
            tap = self._taps[key] = _Hook(names, [gradient for gradient, _ in present], self._plan, self._execution)
        tap.record(self._step, [gradient for gradient, _ in present])

    def _name(self, variable: Any) -> str:
        return self._names.get(id(variable)) or variable_names([variable])[0]

    def holds_values(self, steps: range) -> bool:
        """Return whether gradients themselves were kept at one of these steps; there is room for no others."""
        return any(map(self._plan.wants_values, steps))

    def write(self, wall_times: Mapping[int, float]) -> None:
        """Write all pending data."""
        for tap in self._taps.values():
            tap.write(self._log, wall_times)


class _Hook:
    """The gradients of one call of one optimizer."""

    def __init__(self, names: list[str], gradients: Sequence[Any], plan: RecordingPlan, execution: int) -> None:
        self._names = names
        self._plan = plan
        rows = [math.ceil(execution / every) for every in (plan.tensors, plan.histograms) if every]
        self._statistics = StatisticsRows(plan, len(names), execution) if plan.statistics else None
        shapes = [(tuple(gradient.shape), gradient.dtype) for gradient in gradients]
        self._values = StepRows(sum(rows), shapes) if rows else None

    def record(self, step: Any, gradients: Sequence[Any]) -> None:
        """Keep the gradients and statistics that are due; this is part of the train step."""
        now = step.read_value()
        if self._statistics is not None:
            self._statistics.put(now, gradients)
        if self._values is not None:
            rows = self._values
            when(self._plan.wants_values(now), lambda: rows.put(now, gradients))

    def write(self, log: EventWriter, wall_times: Mapping[int, float]) -> None:
        """Write the rows kept since the last call."""
        now = time.time()
        if self._statistics is not None:
            self._count_lost(log, self._statistics.write(log, self._names, wall_times))
        if self._values is not None:
            steps, columns, lost = self._values.take()
            self._count_lost(log, lost)
            for row, step in enumerate(steps):
                values = [column[row] for column in columns]
                self._plan.write_values(log, step, self._names, values, wall_times.get(step, now))

    def _count_lost(self, log: EventWriter, lost: int) -> None:
        for name in self._names if lost else ():
            log.omit(f"{self._plan.family}/{name}", "applied in a loop within a step", lost)


def dense(gradient: Any, variable: Any) -> Any:
    """Return a gradient as a tensor of its variable's shape; an embedding's consists of rows, some of them repeated."""
    import tensorflow as tf

    if isinstance(gradient, tf.IndexedSlices):
        rows = tf.cast(gradient.indices, tf.int64)
        gradient = tf.math.unsorted_segment_sum(gradient.values, rows, variable.shape[0])
    # An operation written in Python loses the static shape.
    return gradient if tf.TensorShape(gradient.shape).is_fully_defined() else tf.ensure_shape(gradient, variable.shape)
