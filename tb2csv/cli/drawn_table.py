"""Any table on a terminal: as many columns as fit, with a line on those that do not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from tb2csv.cli.short_names import short_names
from tb2csv.cli.terminal import plural, print_result
from tb2csv.display import printable
from tb2csv.late_modules import pl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.table import Table

_GAP: Final = 2
_MAX_TEXT_WIDTH: Final = 40
#: The minimum width of the widest column of text, which is shortened first.
_MIN_TEXT_WIDTH: Final = 12
#: Columns that are dropped first if there is not enough room, by the end of their names.
_LATE: Final = ("_step", ":min", ":max", "_time", "session_group")


def print_table(table: pl.DataFrame, *, rows: int | None = None, all_rows: str = "--top {rows}") -> None:
    """Draw a table on standard output, which is a terminal.

    ``rows`` is the number of rows that there are in all, and ``all_rows`` the option that shows them.
    """
    from rich.console import Console

    console = Console(highlight=False)
    drawn, dropped = table_for(table, console.width)
    console.print(drawn)
    notes = []
    if dropped:
        notes.append(f"{plural(len(dropped), 'more column')}: --format csv shows all")
    if rows is not None and rows > len(table):
        notes.append(f"{plural(rows - len(table), 'more row')}: {all_rows.format(rows=rows)} shows all")
    for note in notes:
        print_result(note)
    sys.stdout.flush()


def table_for(table: pl.DataFrame, width: int) -> tuple[Table, list[str]]:
    """Return the table for a terminal of this width, and the names of the columns that it lacks.

    Columns without values are left out. Numbers are rounded to five digits.
    """
    from rich.table import Table
    from rich.text import Text

    columns = {column.name: _cells(column) for column in table if column.null_count() < len(table) or not len(table)}
    is_number = {column.name: column.dtype.is_numeric() for column in table}
    widths = {
        name: min(max(map(len, [printable(name), *cells])), 10**9 if is_number[name] else _MAX_TEXT_WIDTH)
        for name, cells in columns.items()
    }
    dropped = _fit(widths, is_number, _drop_order(pl.DataFrame([table[name] for name in widths])), width)
    drawn = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    for name, column_width in widths.items():
        title = short_names([printable(name)], column_width)[printable(name)]
        drawn.add_column(Text(title), width=column_width, no_wrap=True, justify="right" if is_number[name] else "left")
    shown = []
    for name, column_width in widths.items():
        texts = columns[name] if is_number[name] else _shortened(columns[name], column_width)
        shown.append([Text(text) for text in texts])
    for cells in zip(*shown, strict=True):
        drawn.add_row(*cells)
    return drawn, dropped


def _shortened(cells: Sequence[str], width: int) -> list[str]:
    texts = short_names(cells, width)
    return [texts[cell] for cell in cells]


def _cells(column: pl.Series) -> list[str]:
    write = _WRITERS.get(column.name) or (_float if column.dtype.is_float() else _text)
    return ["" if value is None else write(value) for value in column]


def _float(value: float) -> str:
    return f"{value:.5g}"


def _text(value: Any) -> str:
    return printable(str(value))


def _seconds(value: float) -> str:
    """Return a duration as 12.3 s, or as hours, minutes and seconds."""
    if value < 60:
        return f"{round(value, 3):.3g} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


#: Columns whose cells are written differently.
_WRITERS: Final[dict[str, Callable[[Any], str]]] = {"duration": _seconds}


def _drop_order(table: pl.DataFrame) -> list[str]:
    """Return the columns after the first in the order in which they are dropped.

    Extremes and times come first, then columns that are the same in all rows, then those that few rows have, then those
    on the right.
    """

    def interest(place: int) -> tuple[bool, bool, float, int]:
        column = table[table.columns[place]]
        is_late = column.name.endswith(_LATE)
        return is_late, column.n_unique() == 1 and len(column) > 1, column.null_count() / max(1, len(column)), place

    places = sorted(range(1, table.width), key=interest, reverse=True)
    return [table.columns[place] for place in places]


def _fit(widths: dict[str, int], is_number: dict[str, bool], droppable: list[str], room: int) -> list[str]:
    """Narrow columns of text and drop columns until the others fit, and return the dropped ones."""

    def excess() -> int:
        return sum(widths.values()) + _GAP * (len(widths) - 1) - room

    dropped = []
    for name in droppable:
        spare = sum(max(0, width - _MIN_TEXT_WIDTH) for each, width in widths.items() if not is_number[each])
        if excess() <= spare:
            break
        del widths[name]
        dropped.append(name)
    while excess() > 0:
        texts = {each: width for each, width in widths.items() if not is_number[each]}
        widest = max(texts, key=texts.__getitem__, default=None)
        if widest is None or texts[widest] <= min(_MIN_TEXT_WIDTH, room):
            break
        widths[widest] -= 1
    return dropped
