"""The values of a plot: those of each selected tag and run, in the order of the files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tb2csv.analysis.plots.histogram_bins import Histograms
from tb2csv.analysis.plots.x_axis import of_values
from tb2csv.late_modules import np, pl

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from tb2csv.runs.row_selection import RowSelection
    from tb2csv.scanned_logdir import ScannedLogdir
    from tb2csv.selection import Selection

    Numbers = npt.NDArray[np.float64]


@dataclass(slots=True)
class Spread:
    """The band around the middle of a group of runs; all arrays have an element for each position.

    ``low`` and ``high`` are float64, and NaN if a single value has no band. ``n`` is the number of runs with a value.
    """

    low: Numbers
    high: Numbers
    n: npt.NDArray[np.int64]


@dataclass(slots=True)
class PlottedSeries:
    """The numbers of one tag of one run: a scalar, or the Euclidean norm of a tensor, for each value.

    With a ``spread``, they are the middle of a group of runs, whose name is ``run``.
    """

    run: str
    tag: str
    #: The position of each value on the x axis, which is finite, and the value; both float64.
    x: Numbers
    y: Numbers
    spread: Spread | None = None


@dataclass(slots=True)
class PlottedHistograms:
    """The histograms of one tag of one run; ``x`` has the position of each histogram, which is finite."""

    run: str
    tag: str
    x: Numbers
    histograms: Histograms


@dataclass(slots=True)
class PlottedValues:
    """All series of a plot, run by run."""

    series: list[PlottedSeries]
    histograms: list[PlottedHistograms]
    #: The number of values in the plot, of values that could not be decoded, and of values without a date.
    values: int = 0
    undecodable: int = 0
    dateless: int = 0


def read_values(
    frames: ScannedLogdir, selection: Selection, kind: str, rows: RowSelection | None, axis: str
) -> PlottedValues:
    """Read the selected values of the kind scalars, tensors or histograms; ``axis`` is one of POSITIONS.

    Tensors are read tag by tag, because they may be large.

    Raises:
        Tb2csvError: nothing is selected.
    """
    found = PlottedValues([], [])
    for run, accounts in frames.choose(selection):
        stretches = [accounts] if kind == "scalars" else [[account] for account in accounts]
        by_tag: dict[str, list[pl.DataFrame]] = {}
        for stretch in stretches:
            for account, frame in frames.rows_of(run, stretch, rows):
                by_tag.setdefault(account.series.tag, []).append(_REDUCED[kind](frame))
            found.undecodable += sum(account.undecodable for account in stretch)
        for tag, parts in by_tag.items():
            _add(found, run.run.name, tag, _concatenated(parts), kind, axis, run.reader.started)
    return found


def _add(found: PlottedValues, run: str, tag: str, frame: pl.DataFrame, kind: str, axis: str, started: float) -> None:
    x = of_values(axis, _numbers(frame["step"]), _numbers(frame["wall_time"]), started)
    is_dated = np.isfinite(x)
    if kind == "histograms":
        first = frame["bucket"].to_numpy() == 0
        number = np.cumsum(first) - 1
        kept = is_dated[first]
        histograms = Histograms.from_buckets(
            np.where(is_dated, (np.cumsum(kept) - 1)[number], -1) if len(number) else number,
            *(_numbers(frame[name]) for name in ("left", "right", "count")),
        )
        found.histograms.append(PlottedHistograms(run, tag, x[first][kept], histograms))
        is_dated = kept
    else:
        found.series.append(PlottedSeries(run, tag, x[is_dated], _numbers(frame["value"])[is_dated]))
    found.values += int(is_dated.sum())
    found.dateless += int((~is_dated).sum())


def _numbers(column: pl.Series) -> Numbers:
    numbers: Numbers = column.cast(pl.Float64).to_numpy()
    return numbers


def _concatenated(parts: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(parts, how="vertical_relaxed")


def _scalars(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("value").cast(pl.Float64))


def _norms(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the Euclidean norm of each tensor of a table of elements."""
    indices = [pl.col(name) for name in frame.columns if name[0] == "i" and name[1:].isdecimal()]
    squares = [pl.col(name).cast(pl.Float64) ** 2 for name in ("value", "real", "imag") if name in frame.columns]
    is_first = pl.all_horizontal(index == 0 for index in indices) if indices else pl.lit(value=True)
    return (
        frame.select(
            "wall_time", "step", is_first.cum_sum().alias("tensor"), pl.sum_horizontal(squares).alias("square")
        )
        .group_by("tensor", maintain_order=True)
        .agg(pl.col("wall_time").first(), pl.col("step").first(), pl.col("square").sum().sqrt().alias("value"))
    )


#: By kind, the function that reduces a table of rows to what is drawn.
_REDUCED: Final[dict[str, Callable[[pl.DataFrame], pl.DataFrame]]] = {
    "scalars": _scalars,
    "tensors": _norms,
    "histograms": lambda frame: frame,
}
