"""The table of ``tb2csv summary`` on a terminal: as many columns as fit, by priority."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from tb2csv.cli.short_names import short_names
from tb2csv.cli.terminal import plural, print_result
from tb2csv.display import printable
from tb2csv.late_modules import np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt
    from rich.console import Group, RenderableType
    from rich.table import Table

    from tb2csv.analysis.summaries import Summary

#: Bars from the lowest to the highest.
_BARS: Final = "▁▂▃▄▅▆▇█"
#: The bar of values that are not finite.
_NO_BAR: Final = " "
_CURVE_WIDTH: Final = 16
_GAP: Final = 2
_NAME_TITLE: Final = "run, tag"
_INDENT: Final = "  "
#: The room for names that columns leave to them, in letters; _FIRST_RANKS leave a share of the terminal.
_MIN_NAME_WIDTH: Final = 20
_MIN_NAME_SHARE: Final = 1 / 3
_FIRST_RANKS: Final = 1

_Row = dict[str, Any]


class _Column(NamedTuple):
    """A column of the table: its name, the function that makes a cell, and its rank; 0 is the most important."""

    title: str
    cell: Callable[[_Row], str]
    rank: int
    is_number: bool = True


def _integer(name: str) -> Callable[[_Row], str]:
    return lambda row: "" if row[name] is None else f"{row[name]:,}"


def _number(name: str) -> Callable[[_Row], str]:
    return lambda row: "" if row[name] is None else f"{row[name]:.5g}"


def _steps(row: _Row) -> str:
    return f"{row['first_step']}…{row['last_step']}"


def _non_finite_counts(row: _Row) -> str:
    """Return the numbers of NaN and infinite values as text; empty if there are none."""
    counts = {"NaN": row["nan_count"] or 0, "inf": row["inf_count"] or 0}
    return " ".join(f"{count:,} {name}" for name, count in counts.items() if count)


#: The columns in order, between the name and the curve.
_COLUMNS: Final = (
    _Column("kind", lambda row: row["kind"], 6, is_number=False),
    _Column("points", _integer("points"), 1),
    _Column("steps", _steps, 5),
    _Column("first", _number("first"), 7),
    _Column("last", _number("last"), 0),
    _Column("min", _number("min"), 2),
    _Column("at", _integer("min_step"), 8),
    _Column("max", _number("max"), 2),
    _Column("at", _integer("max_step"), 8),
    _Column("mean", _number("mean"), 7),
    _Column("not finite", _non_finite_counts, 3),
    _Column("points/s", _number("points_per_second"), 9),
)
_CURVE_RANK: Final = 4


def print_summary(summary: Summary) -> None:
    """Draw the summary on standard output, which is a terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    console.print(summary_table(summary, console.width, has_curves=console.encoding.lower().startswith("utf")))
    points = int(summary.table["points"].sum())
    runs = summary.table["run"].n_unique()
    print_result(f"{plural(points, 'value')} of {plural(len(summary.table), 'tag')} in {plural(runs, 'run')}")
    sys.stdout.flush()


def summary_table(summary: Summary, width: int, *, has_curves: bool = True) -> Group:
    """Return the table for a terminal of this width, with a section per run and a row per tag."""
    from rich.console import Group
    from rich.text import Text

    rows = list(summary.table.iter_rows(named=True))
    curves = [sparkline(curve, _CURVE_WIDTH) for curve in summary.curves] if has_curves else []
    layout = _choose_columns(rows, width, has_curves=any(curves))
    tags = short_names([printable(row["tag"]) for row in rows], layout.name_width - len(_INDENT))
    runs = short_names([printable(row["run"]) for row in rows], width)
    # One table per run, so that a run's name has a whole line.
    parts: list[RenderableType] = [_empty_table(layout, show_header=True)]
    run = None
    for number, row in enumerate(rows):
        if row["run"] != run:
            run = row["run"]
            table = _empty_table(layout, show_header=False)
            parts += [Text(runs[printable(run)], style="bold"), table]
        cells = [layout.cells[column][number] for column in layout.widths]
        curve = [curves[number]] if layout.has_curves else []
        table.add_row(*map(Text, [f"{_INDENT}{tags[printable(row['tag'])]}", *cells, *curve]))
    return Group(*parts)


class _Layout(NamedTuple):
    """The columns that fit, between the name and the curve."""

    name_width: int
    widths: dict[_Column, int]
    cells: dict[_Column, list[str]]
    has_curves: bool


def _choose_columns(rows: Sequence[_Row], width: int, *, has_curves: bool) -> _Layout:
    """Return the columns that fit; those whose cells are all empty are dropped."""
    is_scalar = {row["kind"] for row in rows} == {"scalars"}
    cells = {
        column: [column.cell(row) for row in rows] for column in _COLUMNS if column.title != "kind" or not is_scalar
    }
    cells = {column: texts for column, texts in cells.items() if any(texts)}
    widths = {column: max(map(len, [column.title, *texts])) for column, texts in cells.items()}
    longest = max(map(len, [_NAME_TITLE, *(f"{_INDENT}{printable(row['tag'])}" for row in rows)]))
    shown, has_curves = _fitting(widths, longest, width, has_curves=has_curves)
    used = sum(widths[column] + _GAP for column in shown) + has_curves * (_CURVE_WIDTH + _GAP)
    return _Layout(min(longest, width - used), {column: widths[column] for column in shown}, cells, has_curves)


def _empty_table(layout: _Layout, *, show_header: bool) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim", show_header=show_header)
    table.add_column(_NAME_TITLE, width=layout.name_width, no_wrap=True)
    for column, width in layout.widths.items():
        justify: Literal["left", "right"] = "right" if column.is_number else "left"
        table.add_column(column.title, width=width, no_wrap=True, justify=justify)
    if layout.has_curves:
        table.add_column("", width=_CURVE_WIDTH, no_wrap=True)
    return table


def _fitting(
    widths: dict[_Column, int], longest_name: int, total: int, *, has_curves: bool
) -> tuple[list[_Column], bool]:
    """Return the columns that fit, and whether the curves do; columns of a rank are dropped together."""
    ranked: dict[int, int] = {_CURVE_RANK: _CURVE_WIDTH + _GAP} if has_curves else {}
    for column, width in widths.items():
        ranked[column.rank] = ranked.get(column.rank, 0) + width + _GAP
    fitting = set()
    room = total
    for rank, width in sorted(ranked.items()):
        needed = int(total * _MIN_NAME_SHARE) if rank <= _FIRST_RANKS else _MIN_NAME_WIDTH
        if width + min(longest_name, needed) <= room:
            fitting.add(rank)
            room -= width
    return [column for column in widths if column.rank in fitting], _CURVE_RANK in fitting


def sparkline(values: npt.NDArray[np.float64], width: int) -> str:
    """Return a curve of at most ``width`` bars; each bar is the mean of the finite values in its section."""
    if not values.size:
        return ""
    sections = np.array_split(values, min(width, values.size))
    means = [_mean(section) for section in sections]
    finite = [mean for mean in means if mean is not None]
    if not finite:
        return _NO_BAR * len(means)
    minimum, maximum = min(finite), max(finite)
    return "".join(_bars(means, minimum, maximum))


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    with np.errstate(over="ignore"):  # rounding may take the sum of the largest numbers to infinity
        mean = (finite / finite.size).sum()
    return float(np.clip(mean, finite.min(), finite.max()))


def _bars(means: Iterable[float | None], minimum: float, maximum: float) -> Iterable[str]:
    top = len(_BARS) - 1
    span = maximum / 2 - minimum / 2  # of halves, because the whole may overflow
    for mean in means:
        if mean is None:
            yield _NO_BAR
        elif not span:
            yield _BARS[top // 2]
        else:
            yield _BARS[round((mean / 2 - minimum / 2) / span * top)]
