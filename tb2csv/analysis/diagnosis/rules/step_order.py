"""Steps that go back, as after a restart, or that are written again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.rules.rule import Found, Rule, Threshold, found_frame
from tb2csv.analysis.diagnosis.tag_families import SCALAR_FAMILIES, SCALARS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network
    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries, StepCount


def _find_back(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    return _of_runs(network.observations.scalars, lambda each: each.steps_back, thresholds["steps_back"])


def _find_repeated(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    # Other scalars may well have several values at a step: the rewards of environments that end together.
    known = (each for each in network.observations.scalars if each.family in SCALAR_FAMILIES)
    return _of_runs(known, lambda each: each.steps_repeated, thresholds["steps_repeated"])


def _of_runs(
    scalars: Iterable[ScalarSeries], counted: Callable[[ScalarSeries], StepCount], least: float
) -> pl.DataFrame:
    """Return a finding for each run, of the tag that has most: a restart concerns all tags alike."""
    worst: dict[str, ScalarSeries] = {}
    for each in scalars:
        known = worst.setdefault(each.run, each)
        if (counted(each).count, each.family != SCALARS) > (counted(known).count, known.family != SCALARS):
            worst[each.run] = each
    found = []
    for each in worst.values():
        steps = counted(each)
        if steps.count and steps.count >= least:
            names, span = (each.run, each.family, each.tag), (steps.first_step, steps.last_step)
            found.append(Found(*names, *span, steps.count, each.points, float(steps.count)))
    return found_frame(found)


STEPS_BACK: Final = Rule(
    "steps",
    {"steps_back": Threshold(1, "times that the step of a scalar goes back (minimum)")},
    _find_back,
    "steps go back {value:.0f} time(s), as after a restart",
    (*SCALAR_FAMILIES, SCALARS),
)

STEPS_REPEATED: Final = Rule(
    "steps",
    {"steps_repeated": Threshold(3, "values of a loss or learning rate at the step of the value before (minimum)")},
    _find_repeated,
    "{value:.0f} values repeat the step of the value before",
    SCALAR_FAMILIES,
)
