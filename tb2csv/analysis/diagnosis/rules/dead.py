"""Rules for dead layers and dead units: their gradients or outputs are almost all zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.layer_chains import STEP_KEYS
from tb2csv.analysis.diagnosis.network import LAYER_KEYS
from tb2csv.analysis.diagnosis.rules.rule import Rule, Threshold, streaks
from tb2csv.analysis.diagnosis.tag_families import ACTIVATIONS, GRADIENTS, LAYER_ERRORS
from tb2csv.late_modules import pl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tb2csv.analysis.diagnosis.network import Network


def _find_layers(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    share = pl.col("zero_share")
    rows = network.family(GRADIENTS, LAYER_ERRORS, ACTIVATIONS)
    # A network that has learnt everything has no gradient in any layer.
    is_done = pl.col("run").is_in(network.learnt_runs) & (share.min().over(STEP_KEYS) >= 1)
    hit = (share >= thresholds["dead_layer"]) & ~is_done
    return streaks(rows, hit.fill_null(value=False), share, network.steps, "max")


def _find_units(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    layers = _find_layers(network, thresholds)
    share = pl.col("zero_share")
    hit = (share >= thresholds["dead_units"]) & ~pl.col("run").is_in(network.learnt_runs)
    found = streaks(network.biases, hit.fill_null(value=False), share, network.steps, "max")
    return found.join(layers, LAYER_KEYS, "anti")


DEAD_LAYER: Final = Rule(
    "dead",
    {"dead_layer": Threshold(0.999, "share of zeros in a layer's gradients, errors or outputs (minimum)")},
    _find_layers,
    "{value:.1%} of the numbers are exactly zero",
    (GRADIENTS, LAYER_ERRORS, ACTIVATIONS),
)

DEAD_UNITS: Final = Rule(
    "dead",
    {"dead_units": Threshold(0.9, "share of zeros in the gradient of a layer's bias (minimum)")},
    _find_units,
    "{value:.1%} of the units get no gradient",
    (GRADIENTS,),
)
