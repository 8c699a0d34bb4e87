"""Statistics of each value of a series of tensors or histograms: count, size, zeros and NaN.

Table parts are reduced as they are decoded, so memory grows with the number of tensors and not with their elements.
Tensors are counted exactly. A TensorFlow 2 histogram has buckets only: numbers are assumed to be spread evenly in each.
A legacy histogram also has exact sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl

    from tb2csv.decoders import TablePart

#: Smaller numbers count as zero in histograms: both usual sets of buckets have an edge here.
NEARLY_ZERO: Final = 1e-12

#: Outputs of tanh and sigmoid beyond which the slope is less than a tenth of its maximum.
_TANH_BOUND: Final = 0.9**0.5
_SIGMOID_BOUND: Final = 0.5 + _TANH_BOUND / 2

#: The columns to sum up if a tensor comes in several parts.
_SUMS: Final = ("count", "nan_count", "inf_count", "zeros", "sum", "sum_squares", "tanh", "sigmoid")


class SeriesMoments:
    """The moments of the values of one series, piece by piece in their order."""

    def __init__(self, *, are_outputs: bool = False) -> None:
        """Begin with no value; ``are_outputs`` says that those near the bounds of tanh and sigmoid are counted."""
        self._are_outputs = are_outputs
        self._tensors: list[pl.DataFrame] = []
        self._buckets: list[pl.DataFrame] = []
        self._sums: list[pl.DataFrame] = []

    def add(self, piece: TablePart, start: int, stop: int) -> None:
        """Add the rows ``start`` to ``stop`` of a table part, which are all of this series."""
        frame = piece.frame[start:stop]
        if frame.is_empty():
            return
        if piece.kind:
            self._sums.append(_of_sums(frame))
        elif "bucket" in frame.columns:
            self._buckets.append(_of_buckets(frame))
        else:
            self._tensors.append(_of_elements(frame, are_outputs=self._are_outputs))

    def frame(self) -> pl.DataFrame | None:
        """Return a row for each value with any numbers, in order; None if there is none.

        Columns ``step, source, count, norm, rms, mean, std, min, max, zero_share, nan_count, inf_count, tanh_share,
        sigmoid_share``; the last two are for outputs only. Unknown statistics are missing.
        """
        import polars as pl

        if self._tensors:
            parts = pl.concat(self._tensors)
            value = (~pl.col("is_continued")).cum_sum()
            whole = parts.group_by(value.alias("value"), maintain_order=True).agg(
                pl.col("step").first(),
                *(pl.col(name).sum() for name in _SUMS),
                pl.col("min").min(),
                pl.col("max").max(),
            )
            return _finished(whole, "tensor")
        if not self._buckets:
            return None
        buckets = pl.concat(self._buckets)
        if self._sums:
            sums = pl.concat(self._sums)
            if len(sums) == len(buckets):
                known = buckets.drop("step", *_EXACT).hstack(sums)
                return _finished(known.filter(pl.col("count") > 0), "histogram")
        return _finished(buckets.filter(pl.col("count") > 0), "histogram")


#: What a legacy histogram says itself.
_EXACT: Final = ("count", "nan_count", "inf_count", "sum", "sum_squares", "min", "max")


def _of_elements(frame: pl.DataFrame, *, are_outputs: bool) -> pl.DataFrame:
    """Return the moments of each tensor, or of a part of a tensor at the beginning or end of the frame."""
    import polars as pl

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
    least = greatest = value
    if not np.isfinite(value).all():
        is_finite = np.isfinite(value)
        finite = np.where(is_finite, value, 0.0)
        least, greatest = np.where(is_finite, value, np.inf), np.where(is_finite, value, -np.inf)
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
    columns["min"] = np.minimum.reduceat(least, starts)
    columns["max"] = np.maximum.reduceat(greatest, starts)
    continued = np.zeros(len(starts), np.bool_)
    continued[0] = is_continued
    return pl.DataFrame({"step": frame["step"].to_numpy()[starts], "is_continued": continued} | columns)


def _numbers(frame: pl.DataFrame) -> npt.NDArray[np.float64]:
    """Return the elements; of complex ones the absolute values."""
    import polars as pl

    if "value" in frame.columns:
        value: npt.NDArray[np.float64] = frame["value"].cast(pl.Float64).to_numpy()
        return value
    absolute: npt.NDArray[np.float64] = np.hypot(frame["real"].to_numpy(), frame["imag"].to_numpy(), dtype=np.float64)
    return absolute


def _of_buckets(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the moments of each histogram as its buckets give them."""
    import polars as pl

    left, right, count = (frame[name].to_numpy() for name in ("left", "right", "count"))
    starts = np.flatnonzero(frame["bucket"].to_numpy() == 0)
    is_nan, is_inf = np.isnan(left) | np.isnan(right), np.isinf(left) | np.isinf(right)
    # Some writers write counts of 0 with edges that are NaN or infinite: then at least one number was.
    is_odd = is_nan | is_inf
    weight = np.where(is_odd, 0.0, count)
    low, high = np.where(is_odd, 0.0, left), np.where(is_odd, 0.0, right)
    middle = low / 2 + high / 2
    is_near_zero = np.maximum(np.abs(low), np.abs(high)) <= NEARLY_ZERO
    has_any = weight > 0
    odd_nan, odd_inf = np.logical_or.reduceat(is_nan, starts), np.logical_or.reduceat(is_inf, starts)
    zeros = np.add.reduceat(np.where(is_near_zero, weight, 0.0), starts)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = weight * (np.square(low) + low * high + np.square(high)) / 3
        columns = {
            "count": np.maximum(np.add.reduceat(weight, starts), odd_nan | odd_inf),
            "nan_count": odd_nan.astype(np.float64),
            "inf_count": (odd_inf & ~odd_nan).astype(np.float64),
            # A bucket that only borders on zero says nothing of zeros.
            "zeros": np.where(zeros > 0, zeros, np.nan),
            "sum": np.add.reduceat(weight * middle, starts),
            "sum_squares": np.add.reduceat(squares, starts),
            "tanh": np.add.reduceat(weight * (np.abs(middle) >= _TANH_BOUND), starts),
            "sigmoid": np.add.reduceat(weight * ((middle >= _SIGMOID_BOUND) | (middle <= 1 - _SIGMOID_BOUND)), starts),
            "min": np.minimum.reduceat(np.where(has_any, low, np.inf), starts),
            "max": np.maximum.reduceat(np.where(has_any, high, -np.inf), starts),
        }
    return pl.DataFrame({"step": frame["step"].to_numpy()[starts]} | columns)


def _of_sums(frame: pl.DataFrame) -> pl.DataFrame:
    """Return what legacy histograms say of all their buckets together."""
    import polars as pl

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


def _finished(moments: pl.DataFrame, source: str) -> pl.DataFrame:
    """Return means and deviations from sums, for tensors those of the finite numbers."""
    import polars as pl

    odd = pl.col("nan_count") + pl.col("inf_count")
    finite = pl.col("count") - odd if source == "tensor" else pl.when(odd == 0).then(pl.col("count"))
    mean, mean_square = pl.col("sum") / finite, pl.col("sum_squares") / finite
    known = moments.with_columns(pl.col("zeros").cast(pl.Float64).fill_nan(None))

    def of_some(number: pl.Expr) -> pl.Expr:
        return pl.when(finite > 0).then(number.cast(pl.Float64))

    return known.select(
        "step",
        pl.lit(source).alias("source"),
        pl.col("count").cast(pl.Float64),
        of_some(pl.col("sum_squares").sqrt()).alias("norm"),
        of_some(mean_square.sqrt()).alias("rms"),
        of_some(mean).alias("mean"),
        of_some((mean_square - mean.pow(2)).clip(lower_bound=0).sqrt()).alias("std"),
        of_some(pl.col("min")).alias("min"),
        of_some(pl.col("max")).alias("max"),
        (pl.col("zeros") / pl.col("count")).alias("zero_share"),
        pl.col("nan_count").cast(pl.Float64),
        pl.col("inf_count").cast(pl.Float64),
        of_some(pl.col("tanh") / finite).alias("tanh_share"),
        of_some(pl.col("sigmoid") / finite).alias("sigmoid_share"),
    )
