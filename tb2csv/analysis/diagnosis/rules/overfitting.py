"""Validation losses that rise while the training loss still falls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from tb2csv.analysis.diagnosis.loss_levels import is_clear, level_error, level_size, level_window, median
from tb2csv.analysis.diagnosis.network import LEARNT
from tb2csv.analysis.diagnosis.rules.rule import Found, Rule, Threshold, found_frame
from tb2csv.analysis.diagnosis.tag_families import VALIDATION_LOSS, data_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network
    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries

#: Fewer values of a validation do not show a trend.
_LEAST_POINTS: Final = 5
#: The training loss falls if it does by such a share of its level.
_LEAST_FALL: Final = 0.05
#: Steps of two series are counted alike unless one ends at more than so many times the step of the other.
_SAME_STEPS: Final = 2
#: Levels are looked at so many times in the values of one.
_OVERLAP: Final = 4


def _find(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    trainings: dict[tuple[str, ...], list[ScalarSeries]] = {}
    for each in network.losses:
        trainings.setdefault(data_name(each.run, each.tag), []).append(each)
    found = []
    for series in network.scalars(VALIDATION_LOSS):
        beside = trainings.get(data_name(series.run, series.tag))
        onset = _onset(series, thresholds["overfitting"], network.steps)
        if beside and onset and _falls(_nearest(beside, series), series, onset.first_step, network.steps):
            found.append(onset)
    return found_frame(found)


def _onset(series: ScalarSeries, least: float, steps: int) -> Found | None:
    """Return the start of a validation loss's rise above its lowest level, if it ends above it."""
    step, value = series.finite()
    if value.size < max(_LEAST_POINTS, steps):
        return None
    window = level_window(value.size, steps)
    stride = max(1, window // _OVERLAP)
    levels = np.median(np.lib.stride_tricks.sliding_window_view(value, window)[::stride], axis=1)
    place = int(levels.argmin())
    lowest, last = float(levels[place]), median(value[-window:])
    size = level_size(lowest, value) or abs(float(levels[0]))
    rise, error = last - lowest, level_error(value, window)
    is_visible = rise >= LEARNT * abs(float(levels[0]))
    if not is_visible or not is_clear(rise, value.size // window, error, error) or rise < least * size:
        return None
    onset = place * stride + window // 2
    names = series.run, series.family, series.tag
    return Found(*names, int(step[onset]), int(step[-1]), value.size - onset, value.size, rise / size)


def _falls(training: ScalarSeries, validation: ScalarSeries, onset: int, steps: int) -> bool:
    """Return whether a training loss falls from a step of the validation to its end."""
    step, value = training.finite()
    if value.size < max(_LEAST_POINTS, steps):
        return False
    last, last_validated = int(step.max()), int(validation.step.max())
    if abs(_step_distance(training, validation)) > math.log(_SAME_STEPS) and last_validated > 0:
        onset = int(onset * last / last_validated)  # batches beside epochs
    window = level_window(value.size, steps)
    begin = int(np.abs(step - onset).argmin()) - window // 2
    begin = min(max(begin, 0), value.size - window)
    then, now = median(value[begin : begin + window]), median(value[-window:])
    error = level_error(value, window)
    return then - now > _LEAST_FALL * abs(then) and is_clear(then - now, 1, error, error)


def _nearest(trainings: Sequence[ScalarSeries], validation: ScalarSeries) -> ScalarSeries:
    """Return the training loss whose steps are most like those of a validation."""
    return min(trainings, key=lambda training: abs(_step_distance(training, validation)))


def _step_distance(one: ScalarSeries, other: ScalarSeries) -> float:
    last, other_last = (max(int(each.step.max()), 0) + 1 for each in (one, other))
    return math.log(last / other_last)


OVERFITTING: Final = Rule(
    "overfitting",
    {"overfitting": Threshold(0.1, "share by which a validation loss ends above its lowest level (minimum)")},
    _find,
    "the validation loss ends {value:.0%} above its lowest level, while the training loss falls",
    (VALIDATION_LOSS,),
)
