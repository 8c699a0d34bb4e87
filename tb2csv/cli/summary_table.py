"""The table of ``tb2csv summary`` on a terminal: as many columns as fit, by priority."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np

from tb2csv.cli.short_names import short_names
from tb2csv.cli.terminal import plural, print_result, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt
    from rich.console import Group, RenderableType

    from tb2csv.analysis.summaries import Summary

#: From the lowest to the highest.
_BARS: Final = "▁▂▃▄▅▆▇█"
#: The bar of values that are not finite.
_NO_BAR: Final = " "
_CURVE_WIDTH: Final = 16
_GAP: Final = 2
#: The minimum width of names.
_LEAST_NAME: Final = 20
_LEAST_WIDTH: Final = 40

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


def _count_of_odd(row: _Row) -> str:
    """Return the numbers of NaN and infinite values as text; empty if there are none."""
    counts = {"NaN": row["nan_count"] or 0, "inf": row["inf_count"] or 0}
    return " ".join(f"{count:,} {name}" for name, count in counts.items() if count)


#: The columns in order, between the name and the curve.
_COLUMNS: Final = (
    _Column("kind", lambda row: row["kind"], 5, is_number=False),
    _Column("points", _integer("points"), 0),
    _Column("steps", _steps, 4),
    _Column("first", _number("first"), 6),
    _Column("last", _number("last"), 0),
    _Column("min", _number("min"), 1),
    _Column("at", _integer("min_step"), 7),
    _Column("max", _number("max"), 1),
    _Column("at", _integer("max_step"), 7),
    _Column("mean", _number("mean"), 6),
    _Column("not finite", _count_of_odd, 2),
    _Column("points/s", _number("points_per_second"), 8),
)
_CURVE_RANK: Final = 3


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
    """Return the table for a terminal of this width, with a section for each run and a row for each tag."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    rows = list(summary.table.iter_rows(named=True))
    curves = [sparkline(curve, _CURVE_WIDTH) for curve in summary.curves] if has_curves else [""] * len(rows)
    kinds = {row["kind"] for row in rows}
    cells = {
        column: [column.cell(row) for row in rows]
        for column in _COLUMNS
        if column.title != "kind" or kinds != {"scalars"}
    }
    cells = {column: texts for column, texts in cells.items() if any(texts)}
    widths = {column: max(map(len, [column.title, *texts])) for column, texts in cells.items()}
    names = [printable(row["tag"]) for row in rows]
    headings = [printable(row["run"]) for row in rows]
    wanted = max(map(len, ["run, tag", *(f"  {name}" for name in names)]))
    room = max(width, _LEAST_WIDTH) - min(wanted, _LEAST_NAME)
    shown, has_curves = _fitting(widths, room, has_curves=any(curves))
    used = sum(widths[column] + _GAP for column in shown) + has_curves * (_CURVE_WIDTH + _GAP)
    name_width = min(wanted, max(width, _LEAST_WIDTH) - used)
    tags, runs = short_names(names, name_width - 2), short_names(headings, width)

    def new_table(*, show_header: bool) -> Table:
        table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim", show_header=show_header)
        table.add_column("run, tag", width=name_width, no_wrap=True)
        for column in shown:
            justify: Literal["left", "right"] = "right" if column.is_number else "left"
            table.add_column(column.title, width=widths[column], no_wrap=True, justify=justify)
        if has_curves:
            table.add_column("", width=_CURVE_WIDTH, no_wrap=True)
        return table

    # One table per run, so that a run's name has a whole line.
    parts: list[RenderableType] = [new_table(show_header=True)]
    for number, (heading, name) in enumerate(zip(headings, names, strict=True)):
        if not number or rows[number]["run"] != rows[number - 1]["run"]:
            table = new_table(show_header=False)
            parts += [Text(runs[heading], style="bold"), table]
        texts = [*(cells[column][number] for column in shown), *(curves[number:][:1] if has_curves else [])]
        table.add_row(*map(Text, [f"  {tags[name]}", *texts]))
    return Group(*parts)


def _fitting(widths: dict[_Column, int], room: int, *, has_curves: bool) -> tuple[list[_Column], bool]:
    """Return the columns that fit, and whether the curves fit; columns of one rank fit together or not at all."""
    ranked: dict[int, int] = {_CURVE_RANK: _CURVE_WIDTH + _GAP} if has_curves else {}
    for column, width in widths.items():
        ranked[column.rank] = ranked.get(column.rank, 0) + width + _GAP
    fitting = set()
    for rank, width in sorted(ranked.items()):
        if rank and width > room:
            continue
        fitting.add(rank)
        room -= width
    return [column for column in widths if column.rank in fitting], _CURVE_RANK in fitting


def sparkline(values: npt.NDArray[np.float64], width: int) -> str:
    """Return a curve of at most ``width`` bars, each the mean of a share of the finite values."""
    if not values.size:
        return ""
    shares = np.array_split(values, min(width, values.size))
    means = [_mean(share) for share in shares]
    finite = [mean for mean in means if mean is not None]
    if not finite:
        return _NO_BAR * len(means)
    least, greatest = min(finite), max(finite)
    return "".join(_bars(means, least, greatest))


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    with np.errstate(over="ignore"):  # rounding may take the sum of the largest numbers to infinity
        mean = (finite / finite.size).sum()
    return float(np.clip(mean, finite.min(), finite.max()))


def _bars(means: Iterable[float | None], least: float, greatest: float) -> Iterable[str]:
    top = len(_BARS) - 1
    span = greatest / 2 - least / 2  # of halves, because the whole may overflow
    for mean in means:
        if mean is None:
            yield _NO_BAR
        elif not span:
            yield _BARS[top // 2]
        else:
            yield _BARS[round((mean / 2 - least / 2) / span * top)]
