"""The part of a recorder for backends of Keras whose values are known in Python between the train steps."""

from __future__ import annotations

import contextlib
import operator
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tb2csv.recorders.host_values import HostArray, host_arrays_of
from tb2csv.recorders.tensor_dtypes import is_real
from tb2csv.recorders.tensor_statistics import array_statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.recording_plan import RecordingPlan


class EagerBackend:
    """Records values as arrays in the memory of the host."""

    def write_variables(
        self, log: EventWriter, plan: RecordingPlan, step: int, variables: Mapping[str, Any], wall_time: float
    ) -> None:
        """Write what of variables, by their names, is due at a step."""
        values = {name: getattr(each, "value", each) for name, each in variables.items()}
        self.write_values(log, plan, step, values, wall_time)

    def write_values(
        self, log: EventWriter, plan: RecordingPlan, step: int, values: Mapping[str, Any], wall_time: float
    ) -> None:
        """Write what of arrays, by their names, is due at a step."""
        arrays = dict(zip(values, map(np.asarray, arrays_of(list(values.values()))), strict=True))
        plan.write_values(log, step, list(arrays), list(arrays.values()), wall_time)
        if plan.statistics and step % plan.statistics == 0:
            real = {name: each for name, each in arrays.items() if is_real(each.dtype)}
            numbers = array_statistics(list(real.values()))
            plan.write_statistics(log, [step], list(real), numbers[np.newaxis], [wall_time])

    def record(self, log: EventWriter, plan: RecordingPlan, values: Mapping[str, Any], step: Any) -> None:
        """Record values of a custom loop, by their names, as far as they are due."""
        number = _number(step)
        if plan.is_due(number):
            self.write_variables(log, plan, number, values, time.time())

    def tensor(self, value: Any) -> Any:
        """Return a value as it is."""
        return value

    def dense(self, gradient: Any, variable: Any) -> Any:
        """Return the gradient as it is."""
        return gradient

    def deliver(self, log: EventWriter, write: Callable[..., None], step: Any, values: Sequence[Any]) -> None:
        """Call ``write(step, *values)`` with arrays in place of tensors, under the guard of ``log``."""
        with log.guard():
            write(_number(step), *arrays_of([getattr(each, "value", each) for each in values]))

    @contextlib.contextmanager
    def summaries(self, log: EventWriter) -> Iterator[None]:
        """Do nothing: other libraries have no active writer."""
        yield

    def close(self, log: EventWriter) -> None:
        """Do nothing: nothing is open."""


def _number(step: Any) -> int:
    """Return a step, which may be a variable such as ``optimizer.iterations``."""
    return operator.index(getattr(step, "value", step))


def arrays_of(values: Sequence[Any]) -> list[npt.NDArray[Any] | Any]:
    """Return values as NumPy arrays, with the dtypes of ml_dtypes, which Keras requires; others as they are."""
    arrays: list[Any] = []
    for value, host in zip(values, host_arrays_of(list(values)), strict=True):
        if not isinstance(host, HostArray):
            arrays.append(value)
        elif host.dtype is None:
            arrays.append(host.array)
        else:
            import ml_dtypes

            arrays.append(host.array.view(getattr(ml_dtypes, host.dtype)))
    return arrays
