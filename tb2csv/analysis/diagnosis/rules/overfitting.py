"""Rule for overfitting: the validation loss rises while the training loss still falls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.loss_levels import is_significant, level_error, level_size, level_window, median
from tb2csv.analysis.diagnosis.network import LEARNT_RATIO
from tb2csv.analysis.diagnosis.rules.rule import Rule, ScalarFinding, Threshold, findings_frame
from tb2csv.analysis.diagnosis.tag_families import VALIDATION_LOSS, data_name
from tb2csv.late_modules import np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network
    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries

#: Minimum number of values of a loss to show a trend.
_MIN_POINTS: Final = 5
#: Minimum relative decrease for a falling training loss.
_MIN_FALL: Final = 0.05
#: If the last steps of two series differ by more than this factor, one counts batches and the other epochs.
_MAX_STEP_RATIO: Final = 2
#: Windows overlap: this many start within one window length.
_OVERLAP: Final = 4


def _find(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    trainings: dict[tuple[str, ...], list[ScalarSeries]] = {}
    for loss in network.losses:
        trainings.setdefault(data_name(loss.run, loss.tag), []).append(loss)
    found = []
    for series in network.scalars(VALIDATION_LOSS):
        training_losses = trainings.get(data_name(series.run, series.tag))
        rise = _rise(series, thresholds["overfitting"], network.steps)
        if training_losses and rise:
            training = _with_most_similar_steps(training_losses, series)
            if _falls(training, series, rise.first_step, network.steps):
                found.append(rise)
    return findings_frame(found)


def _rise(series: ScalarSeries, threshold: float, steps: int) -> ScalarFinding | None:
    """Return a finding, from the lowest level of a validation loss on, if the loss ends above that level."""
    step, value = series.finite()
    if value.size < max(_MIN_POINTS, steps):
        return None
    window = level_window(value.size, steps)
    stride = max(1, window // _OVERLAP)
    levels = np.median(np.lib.stride_tricks.sliding_window_view(value, window)[::stride], axis=1)
    lowest_index = int(levels.argmin())
    lowest, last = float(levels[lowest_index]), median(value[-window:])
    size = level_size(lowest, value) or abs(float(levels[0]))
    rise, error = last - lowest, level_error(value, window)
    is_visible = rise >= LEARNT_RATIO * abs(float(levels[0]))
    if not is_visible or not is_significant(rise, value.size // window, error, error) or rise < threshold * size:
        return None
    onset = lowest_index * stride + window // 2
    names = series.run, series.family, series.tag
    return ScalarFinding(*names, int(step[onset]), int(step[-1]), value.size - onset, value.size, rise / size)


def _falls(training: ScalarSeries, validation: ScalarSeries, onset: int, steps: int) -> bool:
    """Return whether a training loss falls from the step ``onset`` of its validation to the end."""
    step, value = training.finite()
    if value.size < max(_MIN_POINTS, steps):
        return False
    last, last_validated = int(step.max()), int(validation.step.max())
    if abs(_step_distance(training, validation)) > math.log(_MAX_STEP_RATIO) and last_validated > 0:
        onset = int(onset * last / last_validated)  # batches and epochs
    window = level_window(value.size, steps)
    begin = int(np.abs(step - onset).argmin()) - window // 2
    begin = min(max(begin, 0), value.size - window)
    before, after = median(value[begin : begin + window]), median(value[-window:])
    error = level_error(value, window)
    return before - after > _MIN_FALL * abs(before) and is_significant(before - after, 1, error, error)


def _with_most_similar_steps(trainings: Sequence[ScalarSeries], validation: ScalarSeries) -> ScalarSeries:
    """Return the training loss whose last step is nearest to that of a validation loss, as a ratio."""
    return min(trainings, key=lambda training: abs(_step_distance(training, validation)))


def _step_distance(first: ScalarSeries, second: ScalarSeries) -> float:
    """Return the logarithm of the ratio of the last steps of two series."""
    last_first, last_second = (max(int(series.step.max()), 0) + 1 for series in (first, second))
    return math.log(last_first / last_second)


OVERFITTING: Final = Rule(
    "overfitting",
    {"overfitting": Threshold(0.1, "share by which a validation loss ends above its lowest level (minimum)")},
    _find,
    "the validation loss ends {value:.0%} above its lowest level, while the training loss falls",
    (VALIDATION_LOSS,),
)
