"""Statistics of scalar series: count, first, last, minimum and maximum with their steps, mean.

Table parts are reduced as they are decoded, so that memory grows with the number of series and not with the size of the
log. The rows of a series are adjacent in a part, so whole columns are reduced at once.

NaN is counted, but left out of the other statistics. Infinities are numbers: the maximum may be one, and the mean too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.late_modules import np, pl

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from tb2csv.runs.decoded_rows import Rows
    from tb2csv.time_series import Series


class Reduced(NamedTuple):
    """Stretches of rows, each reduced to one element; a series may have several, in their order.

    ``first``, ``last``, ``min`` and ``max`` have the type of the series on disk, but truth values are uint8.
    """

    series: list[Series]
    #: The type of the values on disk: polars' name in lower case.
    dtype: str
    #: The number of decoded values, at least 1.
    counts: npt.NDArray[np.int64]
    first: npt.NDArray[Any]
    last: npt.NDArray[Any]
    min: npt.NDArray[Any]
    min_step: npt.NDArray[np.int64]
    max: npt.NDArray[Any]
    max_step: npt.NDArray[np.int64]
    #: The sum of all values except NaN.
    sum: npt.NDArray[np.float64]
    nan_count: npt.NDArray[np.int64]
    inf_count: npt.NDArray[np.int64]

    @property
    def has_numbers(self) -> npt.NDArray[np.bool_]:
        """Whether there is any value other than NaN; if not, min and max are invalid."""
        return self.counts > self.nan_count


def reduced(rows: Rows) -> Reduced | None:
    """Return the rows of scalars reduced to one element for each series that has any; None if there are no rows."""
    counts = np.diff(rows.bounds)
    present = np.flatnonzero(counts)
    if not present.size:
        return None
    value, step = rows.part.frame["value"].to_numpy(), rows.part.frame["step"].to_numpy()
    if value.dtype == np.bool_:
        value = value.view(np.uint8)
    count, start = counts[present], rows.bounds[present]
    if value.dtype.kind == "f":
        is_nan, is_inf = np.isnan(value), np.isinf(value)
        nan_count = np.add.reduceat(is_nan, start, dtype=np.int64)
        inf_count = np.add.reduceat(is_inf, start, dtype=np.int64)
        numbers = np.where(is_nan, 0, value) if nan_count.any() else value
    else:
        nan_count = inf_count = np.zeros(len(count), np.int64)
        numbers = value
    with np.errstate(invalid="ignore"):  # the sum of inf and -inf is NaN, as intended
        total = np.add.reduceat(numbers, start, dtype=np.float64)
    minimum, maximum = np.fmin.reduceat(value, start), np.fmax.reduceat(value, start)
    return Reduced(
        series=[rows.series[i] for i in present],
        dtype=str(rows.part.schema["value"]).lower(),
        counts=count,
        first=value[start],
        last=value[start + count - 1],
        min=minimum,
        min_step=_steps_of(minimum, value, step, start, count),
        max=maximum,
        max_step=_steps_of(maximum, value, step, start, count),
        sum=total,
        nan_count=nan_count,
        inf_count=inf_count,
    )


def combined(parts: Iterable[Reduced]) -> list[Reduced]:
    """Combine the parts of each series into one element; return a Reduced for each type of values."""
    by_type: dict[str, list[Reduced]] = {}
    for part in parts:
        by_type.setdefault(part.dtype, []).append(part)
    return [_combine_same_type(same_type) for same_type in by_type.values()]


def _combine_same_type(parts: list[Reduced]) -> Reduced:
    numbers: dict[Series, int] = {}
    number = np.array([numbers.setdefault(series, len(numbers)) for part in parts for series in part.series])
    order = np.argsort(number, kind="stable")
    column = {name: np.concatenate([getattr(part, name) for part in parts])[order] for name in Reduced._fields[2:]}
    count = np.bincount(number)
    start = np.cumsum(count) - count
    minimum, maximum = np.fmin.reduceat(column["min"], start), np.fmax.reduceat(column["max"], start)
    with np.errstate(invalid="ignore"):
        total = np.add.reduceat(column["sum"], start)
    return Reduced(
        series=list(numbers),
        dtype=parts[0].dtype,
        counts=np.add.reduceat(column["counts"], start),
        first=column["first"][start],
        last=column["last"][start + count - 1],
        min=minimum,
        min_step=_steps_of(minimum, column["min"], column["min_step"], start, count),
        max=maximum,
        max_step=_steps_of(maximum, column["max"], column["max_step"], start, count),
        sum=total,
        nan_count=np.add.reduceat(column["nan_count"], start),
        inf_count=np.add.reduceat(column["inf_count"], start),
    )


def _steps_of(
    extremes: npt.NDArray[Any],
    value: npt.NDArray[Any],
    step: npt.NDArray[np.int64],
    start: npt.NDArray[np.int64],
    count: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Return the step at which each stretch first has its extreme; an arbitrary step if the extreme is NaN."""
    hits = np.flatnonzero(value == np.repeat(extremes, count))
    if not hits.size:
        return np.zeros(len(start), np.int64)
    return step[hits[np.minimum(np.searchsorted(hits, start), len(hits) - 1)]]


def statistics_frame(parts: Iterable[Reduced]) -> tuple[list[Series], pl.DataFrame]:
    """Return the scalar series that have values, and a frame with a row for each of them, in the same order.

    The columns are ``dtype, count, first, last, min, min_step, max, max_step, mean, nan_count, inf_count``. Values have
    the type that they have on disk if all series have the same one. Otherwise they are float64, which is exact except
    for integers beyond 2**53. min, max and mean are null if all values are NaN.
    """
    tables = combined(parts)
    frames = [_frame(each) for each in tables]
    if len(frames) > 1:
        frames = [frame.cast(dict.fromkeys(_VALUES, pl.Float64)) for frame in frames]
    if not frames:
        return [], _frame(_nothing())
    return [series for each in tables for series in each.series], pl.concat(frames)


#: The columns that have the type of the series.
_VALUES: Final = ("first", "last", "min", "max")


def _nothing() -> Reduced:
    integers, numbers = np.zeros(0, np.int64), np.zeros(0, np.float64)
    return Reduced(
        series=[],
        dtype="float64",
        counts=integers,
        first=numbers,
        last=numbers,
        min=numbers,
        min_step=integers,
        max=numbers,
        max_step=integers,
        sum=numbers,
        nan_count=integers,
        inf_count=integers,
    )


def _frame(each: Reduced) -> pl.DataFrame:
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = each.sum / (each.counts - each.nan_count)
    frame = pl.DataFrame(
        {
            "dtype": pl.Series([each.dtype] * len(each.series), dtype=pl.String),
            "count": each.counts,
            "first": each.first,
            "last": each.last,
            "min": each.min,
            "min_step": each.min_step,
            "max": each.max,
            "max_step": each.max_step,
            "mean": mean,
            "nan_count": each.nan_count,
            "inf_count": each.inf_count,
        }
    )
    has_numbers = pl.Series(each.has_numbers, dtype=pl.Boolean)
    numbers = ("min", "min_step", "max", "max_step", "mean")
    return frame.with_columns(pl.when(has_numbers).then(pl.col(name)).alias(name) for name in numbers)
