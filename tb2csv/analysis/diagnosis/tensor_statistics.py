"""Statistics of tensors and histograms: count, norm, mean, deviation, extremes, share of zeros, NaN and infinity.

Table parts are reduced as they are decoded, so memory grows with the number of tensors and not with their elements.
Statistics of tensors are exact. A TensorFlow 2 histogram has buckets only: numbers are assumed to be spread evenly in
each. A legacy histogram also has exact sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tb2csv.late_modules import np, pl

if TYPE_CHECKING:
    import numpy.typing as npt

    from tb2csv.decoders import TablePart

#: Smaller numbers count as zero in histograms: both usual sets of buckets have an edge here.
NEARLY_ZERO: Final = 1e-12

#: Outputs of tanh and sigmoid beyond which the slope is less than a tenth of its maximum.
_TANH_BOUND: Final = 0.9**0.5
_SIGMOID_BOUND: Final = 0.5 + _TANH_BOUND / 2

#: The columns to sum up if a tensor comes in several parts.
_SUMS: Final = ("count", "nan_count", "inf_count", "zeros", "sum", "sum_squares", "tanh", "sigmoid")


class TensorStatistics:
    """Collects the statistics of the tensors or histograms of one series, part by part in their order."""

    def __init__(self, *, are_outputs: bool = False) -> None:
        """Start without values; ``are_outputs`` also counts numbers near the bounds of tanh and sigmoid."""
        self._are_outputs = are_outputs
        self._tensors: list[pl.DataFrame] = []
        self._buckets: list[pl.DataFrame] = []
        self._sums: list[pl.DataFrame] = []

    def add(self, part: TablePart, start: int, stop: int) -> None:
        """Add the rows ``start`` to ``stop`` of a table part, all of which belong to this series."""
        frame = part.frame[start:stop]
        if frame.is_empty():
            return
        if part.kind:
            self._sums.append(_legacy_histogram_sums(frame))
        elif "bucket" in frame.columns:
            self._buckets.append(_histogram_sums(frame))
        else:
            self._tensors.append(_tensor_sums(frame, are_outputs=self._are_outputs))

    def frame(self) -> pl.DataFrame | None:
        """Return a row for each tensor or histogram that is not empty, in order; None if all are empty.

        Columns ``step, source, count, norm, rms, mean, std, min, max, zero_share, nan_count, inf_count, tanh_share,
        sigmoid_share``; the last two are for outputs only. Unknown statistics are missing.
        """
        if self._tensors:
            parts = pl.concat(self._tensors)
            value = (~pl.col("is_continued")).cum_sum()
            whole = parts.group_by(value.alias("value"), maintain_order=True).agg(
                pl.col("step").first(),
                *(pl.col(name).sum() for name in _SUMS),
                pl.col("min").min(),
                pl.col("max").max(),
            )
            return _from_sums(whole, "tensor")
        if not self._buckets:
            return None
        buckets = pl.concat(self._buckets)
        if self._sums:
            sums = pl.concat(self._sums)
            if len(sums) == len(buckets):
                exact = buckets.drop("step", *_LEGACY_SUMS).hstack(sums)
                return _from_sums(exact.filter(pl.col("count") > 0), "histogram")
        return _from_sums(buckets.filter(pl.col("count") > 0), "histogram")


#: The statistics that a legacy histogram stores, in addition to its buckets.
_LEGACY_SUMS: Final = ("count", "nan_count", "inf_count", "sum", "sum_squares", "min", "max")


def _tensor_sums(frame: pl.DataFrame, *, are_outputs: bool) -> pl.DataFrame:
    """Return the sums of each tensor; the first and the last tensor of the frame may be incomplete."""
    value = _numbers(frame)
    indices = [name for name in frame.columns if name[0] == "i" and name[1:].isdecimal()]
    # A tensor begins at the row whose indices are all 0; a large one continues in the next part.
    is_first = np.ones(len(frame), np.bool_)
    for name in indices:
        is_first &= frame[name].to_numpy() == 0
    is_continued = not is_first[0]
    is_first[0] = True
    starts = np.flatnonzero(is_first)
    finite, flags = value, {"zeros": value == 0}
    for_min = for_max = value
    if not np.isfinite(value).all():
        is_finite = np.isfinite(value)
        finite = np.where(is_finite, value, 0.0)
        for_min, for_max = np.where(is_finite, value, np.inf), np.where(is_finite, value, -np.inf)
        flags |= {"nan_count": np.isnan(value), "inf_count": np.isinf(value)}
    if are_outputs:
        flags["tanh"] = np.abs(finite) >= _TANH_BOUND
        flags["sigmoid"] = (finite >= _SIGMOID_BOUND) | ((finite <= 1 - _SIGMOID_BOUND) & (finite != 0))
    columns: dict[str, Any] = dict.fromkeys(_SUMS, np.zeros(len(starts), np.int64))
    columns |= {name: np.add.reduceat(flag, starts, dtype=np.int64) for name, flag in flags.items()}
    columns["count"] = np.diff(np.append(starts, len(value)))
    with np.errstate(over="ignore"):
        columns["sum"] = np.add.reduceat(finite, starts)
        columns["sum_squares"] = np.add.reduceat(np.square(finite), starts)
    columns["min"] = np.minimum.reduceat(for_min, starts)
    columns["max"] = np.maximum.reduceat(for_max, starts)
    continued = np.zeros(len(starts), np.bool_)
    continued[0] = is_continued
    return pl.DataFrame({"step": frame["step"].to_numpy()[starts], "is_continued": continued} | columns)


def _numbers(frame: pl.DataFrame) -> npt.NDArray[np.float64]:
    """Return the elements, or the absolute values of complex elements."""
    if "value" in frame.columns:
        value: npt.NDArray[np.float64] = frame["value"].cast(pl.Float64).to_numpy()
        return value
    absolute: npt.NDArray[np.float64] = np.hypot(frame["real"].to_numpy(), frame["imag"].to_numpy(), dtype=np.float64)
    return absolute


def _histogram_sums(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the sums of each histogram, estimated from its buckets."""
    left, right, count = (frame[name].to_numpy() for name in ("left", "right", "count"))
    starts = np.flatnonzero(frame["bucket"].to_numpy() == 0)
    is_nan, is_inf = np.isnan(left) | np.isnan(right), np.isinf(left) | np.isinf(right)
    # Some writers write counts of 0 with edges that are NaN or infinite: then at least one number was.
    is_not_finite = is_nan | is_inf
    weight = np.where(is_not_finite, 0.0, count)
    low, high = np.where(is_not_finite, 0.0, left), np.where(is_not_finite, 0.0, right)
    middle = low / 2 + high / 2
    is_near_zero = np.maximum(np.abs(low), np.abs(high)) <= NEARLY_ZERO
    has_any = weight > 0
    has_nan, has_inf = np.logical_or.reduceat(is_nan, starts), np.logical_or.reduceat(is_inf, starts)
    zeros = np.add.reduceat(np.where(is_near_zero, weight, 0.0), starts)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = weight * (np.square(low) + low * high + np.square(high)) / 3
        columns = {
            "count": np.maximum(np.add.reduceat(weight, starts), has_nan | has_inf),
            "nan_count": has_nan.astype(np.float64),
            "inf_count": (has_inf & ~has_nan).astype(np.float64),
            # A bucket that only borders on zero does not show how many zeros there are.
            "zeros": np.where(zeros > 0, zeros, np.nan),
            "sum": np.add.reduceat(weight * middle, starts),
            "sum_squares": np.add.reduceat(squares, starts),
            "tanh": np.add.reduceat(weight * (np.abs(middle) >= _TANH_BOUND), starts),
            "sigmoid": np.add.reduceat(weight * ((middle >= _SIGMOID_BOUND) | (middle <= 1 - _SIGMOID_BOUND)), starts),
            "min": np.minimum.reduceat(np.where(has_any, low, np.inf), starts),
            "max": np.maximum.reduceat(np.where(has_any, high, -np.inf), starts),
        }
    return pl.DataFrame({"step": frame["step"].to_numpy()[starts]} | columns)


def _legacy_histogram_sums(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the exact sums that legacy histograms store."""
    is_nan = pl.any_horizontal(pl.col(name).is_nan() for name in ("min", "max", "sum", "sum_squares"))
    is_inf = pl.any_horizontal(pl.col(name).is_infinite() for name in ("min", "max"))
    return frame.select(
        "step",
        pl.col("num").alias("count"),
        is_nan.cast(pl.Float64).alias("nan_count"),
        (is_inf & ~is_nan).cast(pl.Float64).alias("inf_count"),
        "sum",
        "sum_squares",
        "min",
        "max",
    )


def _from_sums(sums: pl.DataFrame, source: str) -> pl.DataFrame:
    """Return the statistics that follow from sums; those of tensors leave out NaN and infinity."""
    not_finite = pl.col("nan_count") + pl.col("inf_count")
    finite = pl.col("count") - not_finite if source == "tensor" else pl.when(not_finite == 0).then(pl.col("count"))
    mean, mean_square = pl.col("sum") / finite, pl.col("sum_squares") / finite
    known = sums.with_columns(pl.col("zeros").cast(pl.Float64).fill_nan(None))

    def if_any_finite(number: pl.Expr) -> pl.Expr:
        return pl.when(finite > 0).then(number.cast(pl.Float64))

    return known.select(
        "step",
        pl.lit(source).alias("source"),
        pl.col("count").cast(pl.Float64),
        if_any_finite(pl.col("sum_squares").sqrt()).alias("norm"),
        if_any_finite(mean_square.sqrt()).alias("rms"),
        if_any_finite(mean).alias("mean"),
        if_any_finite((mean_square - mean.pow(2)).clip(lower_bound=0).sqrt()).alias("std"),
        if_any_finite(pl.col("min")).alias("min"),
        if_any_finite(pl.col("max")).alias("max"),
        (pl.col("zeros") / pl.col("count")).alias("zero_share"),
        pl.col("nan_count").cast(pl.Float64),
        pl.col("inf_count").cast(pl.Float64),
        if_any_finite(pl.col("tanh") / finite).alias("tanh_share"),
        if_any_finite(pl.col("sigmoid") / finite).alias("sigmoid_share"),
    )
