"""Alignment of runs whose steps differ: bins of steps, interpolation, or the nearest value.

Statistics across runs need values at the same positions, which are steps or seconds. ``bin:N`` takes the mean of each
run in stretches of length N. ``interpolate`` and ``nearest`` take all positions of all runs; a run has a value at each
position between its first and its last one, and none outside, because nothing was measured there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.errors import OptionError, check_type
from tb2csv.late_modules import np, pl
from tb2csv.layouts.bins import BIN, STEP, Bins, bin_width

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

_BINS: Final = BIN.removesuffix(":")


class Alignment(NamedTuple):
    """How runs are aligned: ``exact``, ``bin``, ``interpolate`` or ``nearest``; ``width`` is that of bins."""

    method: str
    width: float = 0.0


#: Only equal positions are compared.
EXACT: Final = Alignment("exact")


def alignment_of(text: str | None) -> Alignment:
    """Return the alignment with this name; None is ``exact``.

    Raises:
        OptionError: there is no such alignment, or the width of the bins is not a positive number.
    """
    if text is None:
        return EXACT
    check_type("align", text, str, "bin:N, interpolate or nearest as text")
    if text.partition(":")[0] == _BINS:
        width = bin_width(text)
        if not 0 < width < math.inf:
            message = f"{text!r} has no width of bins; give a positive number, such as bin:100."
            raise OptionError(message)
        return Alignment(_BINS, width)
    if text not in {EXACT.method, *_FILLS}:
        message = f"Unknown alignment {text!r}; choose from {', '.join(ALIGNMENTS)}."
        raise OptionError(message)
    return Alignment(text)


def aligned(values: pl.DataFrame, alignment: Alignment) -> pl.DataFrame:
    """Return the values at positions that runs share.

    Args:
        values: rows with the columns ``series, run, wall_time, step, value``, with each step of a run at most once.
            ``step`` is an integer, or a float64 of seconds.
        alignment: how to align.

    Returns:
        Rows with the same columns. A bin has the position of its start, a multiple of the width, and the earliest wall
        time of its values.

    Raises:
        OptionError: steps are integers, and the width of the bins is not.
    """
    if alignment.method == EXACT.method or not len(values):
        return values
    if alignment.method == _BINS:
        return _binned(values, alignment.width)
    fill = _FILLS[alignment.method]
    parts = []
    for series in values.partition_by("series", maintain_order=True):
        grid = series["step"].unique().sort().to_numpy()
        for run in series.partition_by("run", maintain_order=True):
            own = run.sort("step")
            parts.append(_on_grid(own, grid, fill))
    return pl.concat(parts)


def _binned(values: pl.DataFrame, width: float) -> pl.DataFrame:
    has_steps = values.schema["step"].is_integer()
    if has_steps and not width.is_integer():
        message = f"Bins of {width:g} steps are not possible; give a whole number."
        raise OptionError(message)
    bins = Bins("step" if has_steps else "relative", width)
    starts = bins.positions(pl.Series(bins.numbers(values["step"].to_numpy())))
    binned = values.with_columns(starts.alias("step")).group_by("series", "run", "step")
    means = binned.agg(pl.col("wall_time").min(), pl.col("value").mean())
    return means.select(values.columns).sort("series", "run", "step")


def _on_grid(run: pl.DataFrame, grid: npt.NDArray[np.generic], fill: Callable[..., Numbers]) -> pl.DataFrame:
    """Return a run, sorted by step, at the positions of the grid that are within its own."""
    step, wall_time, value = (run[name].to_numpy() for name in ("step", "wall_time", "value"))
    at = grid[np.searchsorted(grid, step[0]) : np.searchsorted(grid, step[-1], "right")]
    left = np.searchsorted(step, at, "right") - 1
    right = np.minimum(left + 1, len(step) - 1)
    is_own = step[left] == at
    before, after = (at - step[left]).astype(np.float64), (step[right] - at).astype(np.float64)
    share = np.where(is_own, 0.0, before / np.where(is_own, 1.0, before + after))
    right = np.where(is_own, left, right)
    return pl.DataFrame(
        {
            "series": pl.Series(np.full(len(at), run["series"][0]), dtype=run.schema["series"]),
            "run": pl.Series(np.full(len(at), run["run"][0]), dtype=run.schema["run"]),
            "wall_time": _interpolated(wall_time, left, right, share),
            "step": at,
            "value": fill(value, left, right, share),
        }
    ).select(run.columns)


def _interpolated(values: Numbers, left: npt.NDArray[np.intp], right: npt.NDArray[np.intp], share: Numbers) -> Numbers:
    """Return the values on the lines between neighbours; an infinite neighbour gives infinity or NaN."""
    with np.errstate(invalid="ignore"):
        between = (1 - share) * values[left] + share * values[right]
    result: Numbers = np.where(left == right, values[left], between)
    return result


def _nearest(values: Numbers, left: npt.NDArray[np.intp], right: npt.NDArray[np.intp], share: Numbers) -> Numbers:
    """Return the value of the nearer neighbour, the earlier one if both are equally near."""
    result: Numbers = np.where(share <= 1 / 2, values[left], values[right])
    return result


#: The values at positions between those of a run, from the indices of both neighbours and the share of the right one.
_FILLS: Final[dict[str, Callable[..., Numbers]]] = {"interpolate": _interpolated, "nearest": _nearest}

#: The alignments as they are written in options.
ALIGNMENTS: Final = (EXACT.method, f"{BIN}N", *_FILLS)

#: The x axes of statistics, and the alignment if none is chosen: two runs rarely have a value at the same time.
DEFAULT_ALIGNMENTS: Final = {STEP: EXACT.method, "relative": "interpolate"}
