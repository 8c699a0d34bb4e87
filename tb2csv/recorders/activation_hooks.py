"""The outputs of layers in the forward passes of a training, recorded inside the compiled train step.

Statistics go through variables, as those of gradients do, so that XLA may compile the step. The outputs themselves have
as many rows as the batch has samples, so they go to Python, which such a step cannot call.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tb2csv.recorders.graph_callbacks import deliver, when
from tb2csv.recorders.kept_arrays import KeptArrays
from tb2csv.recorders.step_rows import StatisticsRows
from tb2csv.recorders.tensor_statistics import is_real

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.recording_plan import RecordingPlan


class ActivationHooks:
    """The outputs of layers during one ``fit``."""

    def __init__(self, log: EventWriter, plan: RecordingPlan, step: Any, steps_per_execution: int) -> None:
        """Prepare to record them.

        Args:
            log: the log to write to.
            plan: what to write, and when.
            step: an int64 tf.Variable that holds the number of the train step's current batch.
            steps_per_execution: how many train steps are run in one call.
        """
        self._log = log
        self._plan = plan
        self._step = step
        self._execution = steps_per_execution
        self._kept = KeptArrays()
        self._graph: Any = None
        self._outputs: list[tuple[Callable[[], str], Any]] = []
        #: Outputs in graphs of their own, such as that of a tf.function inside the model, and their names.
        self._inner: list[tuple[_Outputs, Callable[[], str]]] = []
        self._groups: dict[tuple[str, ...], list[_Outputs]] = {}

    def begin_trace(self) -> None:
        """Begin a train step, or a trace of it."""
        self._graph = _current_graph()
        self._outputs.clear()
        self._inner.clear()

    def exchange(self, name: Callable[[], str], output: Any) -> Any:
        """Take an output of a layer, and return it unchanged."""
        import tensorflow as tf

        with self._log.guard():
            if not isinstance(output, tf.Tensor) or not is_real(output):
                if hasattr(output, "dtype"):
                    kind = output.dtype.name if isinstance(output, tf.Tensor) else type(output).__name__
                    self._log.omit(f"{self._plan.family}/{name()}", f"{kind}, in each step")
            elif _current_graph() is self._graph:
                self._outputs.append((name, output))
            else:
                group = _Outputs(self._plan, 1, self._execution, self._kept)
                group.record(self._log, self._step, [output])
                self._inner.append((group, name))
        return output

    def end_trace(self) -> None:
        """Add the operations that record the outputs to the train step."""
        if self._outputs:
            names = [name() for name, _ in self._outputs]
            group = self._group(names)
            group.record(self._log, self._step, [output for _, output in self._outputs])
        for inner, name in self._inner:
            inner.names = [name()]
            self._groups.setdefault(tuple(inner.names), []).append(inner)
        # A tensor of a graph keeps the graph in memory.
        self._outputs.clear()
        self._inner.clear()
        self._graph = None

    def _group(self, names: list[str]) -> _Outputs:
        """Return the outputs with these names, also if the step is traced again, or runs eagerly."""
        known = self._groups.get(tuple(names))
        if known is None:
            group = _Outputs(self._plan, len(names), self._execution, self._kept)
            group.names = names
            known = self._groups[tuple(names)] = [group]
        return known[0]

    def write_arrays(self, wall_times: Mapping[int, float]) -> None:
        """Write the outputs that the last train steps handed to Python."""
        now = time.time()
        for step, name, array in self._kept.take():
            self._plan.write_values(self._log, step, [name], [array], wall_times.get(step, now))
            self._kept.reuse({name: array})

    def write(self, wall_times: Mapping[int, float]) -> None:
        """Write all pending data."""
        self.write_arrays(wall_times)
        for groups in self._groups.values():
            for group in groups:
                group.write(self._log, wall_times)


class _Outputs:
    """Outputs that are computed in the same graph."""

    def __init__(self, plan: RecordingPlan, size: int, steps_per_execution: int, kept: KeptArrays) -> None:
        self.names: list[str] = []
        self._plan = plan
        self._kept = kept
        self._statistics = StatisticsRows(plan, size, steps_per_execution) if plan.statistics else None

    def record(self, log: EventWriter, step: Any, outputs: Sequence[Any]) -> None:
        """Keep the outputs and statistics that are due; this is part of the train step."""
        now = step.read_value()
        if self._statistics is not None:
            self._statistics.put(now, outputs)
        if self._plan.tensors or self._plan.histograms:
            when(self._plan.wants_values(now), lambda: deliver(log, self._keep, now, outputs))

    def _keep(self, step: int, *arrays: Any) -> None:
        for name, array in zip(self.names, arrays, strict=True):
            self._kept.add(step, name, array)

    def write(self, log: EventWriter, wall_times: Mapping[int, float]) -> None:
        """Write the statistics kept since the last call."""
        lost = self._statistics.write(log, self.names, wall_times) if self._statistics is not None else 0
        for name in self.names if lost else ():
            log.omit(f"{self._plan.family}/{name}", "computed in a loop within a step", lost)


def _current_graph() -> Any:
    """Return the graph that is being traced, or None in eager code."""
    import tensorflow as tf

    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
