"""The part of a recorder for Keras on JAX, whose train step is a pure function that is compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tb2csv.recorders.eager_backend import EagerBackend
from tb2csv.recorders.fits import Fit
from tb2csv.recorders.jax_fit import JaxFit

if TYPE_CHECKING:
    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.recording_plan import FitPlan


class JaxBackend(EagerBackend):
    """Records arrays of JAX as EagerBackend does."""

    def fit(self, log: EventWriter, model: Any, plan: FitPlan) -> Fit:
        """Prepare to record a model that is about to train. Raises RecorderError if JaxFit refuses it."""
        return Fit(log, model) if plan.is_empty else JaxFit(log, model, plan)
