"""All diagnosis rules and their thresholds; each module has the rules for one problem, which are independent."""

from __future__ import annotations

from typing import Final

from tb2csv.analysis.diagnosis.rules.dead import DEAD_LAYER, DEAD_UNITS
from tb2csv.analysis.diagnosis.rules.diverging import DIVERGING_END, DIVERGING_GROWTH, DIVERGING_RISE
from tb2csv.analysis.diagnosis.rules.exploding import EXPLODING_DEPTH, EXPLODING_GROWTH, EXPLODING_LEVEL
from tb2csv.analysis.diagnosis.rules.frozen import FROZEN_LAYER
from tb2csv.analysis.diagnosis.rules.learning_rate import LEARNING_RATE_ZERO
from tb2csv.analysis.diagnosis.rules.not_finite import NOT_FINITE
from tb2csv.analysis.diagnosis.rules.overfitting import OVERFITTING
from tb2csv.analysis.diagnosis.rules.plateau import PLATEAU_LOSS, PLATEAU_WEIGHTS
from tb2csv.analysis.diagnosis.rules.rule import FINDING_COLUMNS, Rule, Threshold
from tb2csv.analysis.diagnosis.rules.saturated import SATURATED_OUTPUTS, SATURATED_SLOPE, SATURATED_WEIGHTS
from tb2csv.analysis.diagnosis.rules.spikes import SPIKE_LOSS
from tb2csv.analysis.diagnosis.rules.step_order import STEPS_BACK, STEPS_REPEATED
from tb2csv.analysis.diagnosis.rules.vanishing import VANISHING_DEPTH, VANISHING_LEVEL

#: By name, the worst problem first. Findings of a run are in this order.
RULES: Final[dict[str, Rule]] = {
    "not_finite": NOT_FINITE,
    "diverging_end": DIVERGING_END,
    "diverging_growth": DIVERGING_GROWTH,
    "diverging_rise": DIVERGING_RISE,
    "exploding_level": EXPLODING_LEVEL,
    "exploding_growth": EXPLODING_GROWTH,
    "exploding_depth": EXPLODING_DEPTH,
    "dead_layer": DEAD_LAYER,
    "dead_units": DEAD_UNITS,
    "vanishing_depth": VANISHING_DEPTH,
    "vanishing_level": VANISHING_LEVEL,
    "saturated_outputs": SATURATED_OUTPUTS,
    "saturated_slope": SATURATED_SLOPE,
    "saturated_weights": SATURATED_WEIGHTS,
    "spike_loss": SPIKE_LOSS,
    "overfitting": OVERFITTING,
    "learning_rate_zero": LEARNING_RATE_ZERO,
    "plateau_loss": PLATEAU_LOSS,
    "plateau_weights": PLATEAU_WEIGHTS,
    "steps_back": STEPS_BACK,
    "steps_repeated": STEPS_REPEATED,
    "frozen_layer": FROZEN_LAYER,
}

#: All thresholds, by name.
THRESHOLDS: Final[dict[str, Threshold]] = {
    name: threshold for rule in RULES.values() for name, threshold in rule.thresholds.items()
}

__all__ = ["FINDING_COLUMNS", "RULES", "THRESHOLDS", "Rule", "Threshold"]
