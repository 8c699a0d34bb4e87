"""Rules for steps that go back, as after a restart, or that repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.rules.rule import Rule, ScalarFinding, Threshold, findings_frame
from tb2csv.analysis.diagnosis.tag_families import SCALAR_FAMILIES, SCALARS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network
    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries, StepCount


def _find_back(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    return _worst_of_each_run(network.observations.scalars, lambda each: each.steps_back, thresholds["steps_back"])


def _find_repeated(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    # Other scalars may have several values at a step, such as rewards of environments that end together.
    known = (each for each in network.observations.scalars if each.family in SCALAR_FAMILIES)
    return _worst_of_each_run(known, lambda each: each.steps_repeated, thresholds["steps_repeated"])


def _worst_of_each_run(
    scalars: Iterable[ScalarSeries], count_of: Callable[[ScalarSeries], StepCount], threshold: float
) -> pl.DataFrame:
    """Return a finding for each run, about the tag with the highest count, because a restart affects all tags alike."""
    worst: dict[str, ScalarSeries] = {}
    for each in scalars:
        known = worst.setdefault(each.run, each)
        if (count_of(each).count, each.family != SCALARS) > (count_of(known).count, known.family != SCALARS):
            worst[each.run] = each
    found = []
    for each in worst.values():
        steps = count_of(each)
        if steps.count and steps.count >= threshold:
            names, span = (each.run, each.family, each.tag), (steps.first_step, steps.last_step)
            found.append(ScalarFinding(*names, *span, steps.count, each.points, float(steps.count)))
    return findings_frame(found)


STEPS_BACK: Final = Rule(
    "steps",
    {"steps_back": Threshold(1, "times that the step of a scalar goes back (minimum)")},
    _find_back,
    "steps go back {times}, as after a restart",
    (*SCALAR_FAMILIES, SCALARS),
)

STEPS_REPEATED: Final = Rule(
    "steps",
    {"steps_repeated": Threshold(3, "values of a loss or learning rate at the step of the value before (minimum)")},
    _find_repeated,
    "{value:.0f} values repeat the step of the value before",
    SCALAR_FAMILIES,
)
