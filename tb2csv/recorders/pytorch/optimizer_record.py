"""The record of the steps of one optimizer: the gradients that it applies, and its learning rates."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tb2csv.recorders.pytorch.applied_gradients import OptimizerSteps
from tb2csv.recorders.pytorch.captures import Capture, captures, write_captures
from tb2csv.recorders.pytorch.module_names import parameter_names
from tb2csv.recorders.recording_plan import due

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.recording_plan import RecordingPlan


class OptimizerRecord:
    """Records the steps of an optimizer, and what others add to them."""

    def __init__(
        self,
        optimizer: Any,
        model: torch.nn.Module,
        *,
        log: EventWriter,
        gradients: RecordingPlan,
        learning_rate_every: int,
        number: int | None = None,
        first_step: int | None = None,
        count: Callable[[], int] | None = None,
    ) -> None:
        """Set hooks.

        Args:
            optimizer: the optimizer, also inside a wrapper.
            model: gives parameters their names.
            log: where records go.
            gradients: when gradients are recorded.
            learning_rate_every: steps between records of learning rates; 0 for never.
            number: which optimizer it is, if there are several.
            first_step: the number of the first step; one more than the optimizer has done if None.
            count: returns the number of steps done, if a trainer counts them.

        Raises:
            RecorderError: the optimizer has no hooks.
        """
        self._model = model
        self._log = log
        self._gradients = gradients
        self._learning_rate_every = learning_rate_every
        self._number = number
        self._done = None if first_step is None else first_step - 1
        self._count = count
        self._names: dict[int, str] = {}
        self._captures: list[tuple[str, Capture]] = []
        self._rates: list[Any] = []
        #: Called with the number of steps done before the first.
        self.on_begin: Callable[[int], None] | None = None
        #: Called with the number of a step after it; returns what else is recorded at the step, by names.
        self.on_step: Callable[[int], list[tuple[str, Capture]]] | None = None
        #: Called with the number of a step of which something has been recorded, and the wall time.
        self.on_record: Callable[[int, float], None] | None = None
        self._has_begun = False
        self._steps = OptimizerSteps(optimizer, self)

    @property
    def done(self) -> int:
        """The number of steps done, those before the recorder included if the optimizer has counted them."""
        if self._count is not None:
            return self._count()
        if self._done is None:
            states = self._steps.optimizer.state.values()
            self._done = max((int(state["step"]) for state in states if "step" in state), default=0)
        return self._done

    def close(self) -> None:
        """Remove the hooks."""
        self._steps.close()

    def before_step(self) -> None:
        """Note the learning rates that the step uses."""
        with self._log.guard():
            if not self._has_begun:
                self._has_begun = True
                if self.on_begin is not None:
                    self.on_begin(self.done)
            self._captures = []
            is_due = due(self.done + 1, self._learning_rate_every)
            # A rate that is a tensor may change after the step.
            self._rates = [float(group["lr"]) for group in self._groups if "lr" in group] if is_due else []

    @property
    def _groups(self) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = self._steps.optimizer.param_groups
        return groups

    def take_gradients(self) -> None:
        """Take the gradients that are there, if they are due at the step."""
        step = self.done + 1
        if not self._gradients.is_due(step):
            return
        with self._log.guard():
            found = [
                (self._name(parameter, group, place), parameter.grad)
                for group, settings in enumerate(self._groups)
                for place, parameter in enumerate(settings["params"])
                if parameter.grad is not None
            ]
            taken = captures(self._gradients, step, [gradient for _, gradient in found])
            self._captures = [(name, each) for (name, _), each in zip(found, taken, strict=True)]

    def _name(self, parameter: torch.Tensor, group: int, place: int) -> str:
        """Return the name of a parameter in the model, or its place in the optimizer."""
        if id(parameter) not in self._names:
            self._names |= parameter_names(self._model)
            self._names.setdefault(id(parameter), f"group{group}/{place}")
        return self._names[id(parameter)]

    def after_step(self, found_inf: torch.Tensor | None) -> None:
        """Write what is due, unless the step was skipped because a gradient was infinite."""
        step = self.done + 1
        self._done = step
        with self._log.guard():
            captures, self._captures = self._captures, []
            if self.on_step is not None:
                captures += self.on_step(step)
            if not captures and not self._rates:
                return
            if captures and found_inf is not None and bool(found_inf):
                captures = []
            wall_time = time.time()
            write_captures(self._log, step, captures, wall_time)
            self._log.scalar_rows(self._rate_tags(), [step], np.array([self._rates]), [wall_time])
            if self.on_record is not None:
                self.on_record(step, wall_time)

    def _rate_tags(self) -> list[str]:
        """Return the tags of the learning rates; numbers follow if there are several optimizers or groups."""
        several = len(self._rates) > 1
        tag = "batch/learning_rate" if self._number is None else f"batch/learning_rate_{self._number}"
        return [f"{tag}_{group}" if several else tag for group in range(len(self._rates))]
