"""Bands around the mean or the median of several runs.

======================  =========  ====================================================================
band                    middle     from, to
======================  =========  ====================================================================
``std``                 mean       one sample standard deviation below and above
``stderr``              mean       one standard error, the deviation divided by the root of n
``bootstrap``           mean       a 95 % interval of the mean by the percentile bootstrap
``minmax``              mean       minimum and maximum
``quartiles``           median     the quarter and three quarters of the values, interpolated linearly
======================  =========  ====================================================================

The bootstrap draws runs with replacement 1,000 times, with a fixed seed, so equal logs have equal bands. All positions
with the same n share the draws. It equals ``scipy.stats.bootstrap`` with ``method="percentile"``.
A single value has neither a deviation nor a bootstrap interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.errors import check_choice
from tb2csv.late_modules import np, pl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

#: How often the bootstrap draws, the seed of its draws, and the ends of its interval.
RESAMPLES: Final = 1_000
SEED: Final = 0
_INTERVAL: Final = (0.025, 0.975)

#: The number of drawn values in memory at once.
_DRAWN_AT_ONCE: Final = 1 << 22


class Band(NamedTuple):
    """A band: the statistic in its middle, its name in a legend, and the function that finds its limits.

    The function gets the statistics, sorted by series and step, and the values, sorted by series, step and run.
    """

    middle: str
    title: str
    limits: Callable[[pl.DataFrame, pl.DataFrame], tuple[pl.Series, pl.Series]]


def _std(statistics: pl.DataFrame, _: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    return statistics["mean"] - statistics["std"], statistics["mean"] + statistics["std"]


def _stderr(statistics: pl.DataFrame, _: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    error = statistics["std"] / statistics["n"].sqrt()
    return statistics["mean"] - error, statistics["mean"] + error


def _minmax(statistics: pl.DataFrame, _: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    return statistics["min"], statistics["max"]


def _bootstrap(statistics: pl.DataFrame, values: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    def interval(rows: Numbers) -> Numbers:
        size = rows.shape[1]
        if size == 1:
            return np.full((2, len(rows)), np.nan)
        draws = np.random.default_rng(SEED).integers(0, size, (RESAMPLES, size))
        at_once = max(1, _DRAWN_AT_ONCE // draws.size)
        parts = [
            np.quantile(rows[first : first + at_once, draws].mean(axis=-1), _INTERVAL, axis=-1)
            for first in range(0, len(rows), at_once)
        ]
        return np.concatenate(parts, axis=-1)

    return _by_size(statistics, values, interval)


def _quartiles(statistics: pl.DataFrame, values: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    return _by_size(statistics, values, lambda rows: np.quantile(rows, (0.25, 0.75), axis=-1))


def _by_size(
    statistics: pl.DataFrame, values: pl.DataFrame, limits: Callable[[Numbers], Numbers]
) -> tuple[pl.Series, pl.Series]:
    """Return the limits of each row of statistics, computed for all rows of the same n at once."""
    found = np.full((2, len(statistics)), np.nan)
    with np.errstate(invalid="ignore"):  # infinities of both signs give NaN
        for rows, matrix in _matrices(statistics["n"].to_numpy(), values["value"].to_numpy()):
            found[:, rows] = limits(matrix)
    return pl.Series(found[0]), pl.Series(found[1])


def _matrices(sizes: npt.NDArray[np.int64], values: Numbers) -> Iterator[tuple[npt.NDArray[np.intp], Numbers]]:
    """Yield for each n the positions that have it, and their values, one row for each position."""
    starts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes).tolist():
        rows = np.flatnonzero(sizes == size)
        yield rows, values[starts[rows][:, None] + np.arange(size)]


BANDS: Final[dict[str, Band]] = {
    "std": Band("mean", "mean ± standard deviation", _std),
    "stderr": Band("mean", "mean ± standard error", _stderr),
    "bootstrap": Band("mean", "mean with 95 % bootstrap interval", _bootstrap),
    "minmax": Band("mean", "mean with minimum and maximum", _minmax),
    "quartiles": Band("median", "median with quartiles", _quartiles),
}

#: The columns that a band adds to statistics.
LIMITS: Final = ("low", "high")


def check_band(band: str | None) -> None:
    """Raise OptionError if the band is unknown; None means without a band."""
    if band is not None:
        check_choice("band", band, BANDS)


def with_band(statistics: pl.DataFrame, values: pl.DataFrame, band: str) -> pl.DataFrame:
    """Return statistics with the columns ``low`` and ``high``.

    They are NaN if the middle is NaN, and null if a single value does not have them.

    Args:
        statistics: the columns of an Aggregate, sorted by series and step.
        values: the values that they were computed from, with the columns ``series, run, step, value``.
        band: one of BANDS.
    """
    chosen = BANDS[band]
    low, high = chosen.limits(statistics, values.sort("series", "step", "run"))
    limits = statistics.with_columns(low.alias(LIMITS[0]), high.alias(LIMITS[1]))
    if band != "bootstrap":
        return limits
    return limits.with_columns(pl.when(pl.col("n") > 1).then(pl.col(name)).alias(name) for name in LIMITS)
