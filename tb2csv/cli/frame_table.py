"""A table of any columns on a terminal: as many rows and columns as can be read there, and a line on the others."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Literal

from tb2csv.cli.short_names import short_names
from tb2csv.cli.terminal import plural, print_result
from tb2csv.display import printable
from tb2csv.messages import listed
from tb2csv.sinks.plain_columns import plain_columns

if TYPE_CHECKING:
    import polars as pl
    from rich.table import Table

#: The number of rows that are drawn.
_MAX_ROWS: Final = 100
#: Columns of text are shortened down to this width before other columns are left out.
_MIN_WIDTH: Final = 12
_GAP: Final = 2


def print_frame(frame: pl.DataFrame) -> None:
    """Draw a frame on standard output, which is a terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    table, left_out = frame_table(frame.head(_MAX_ROWS), console.width)
    console.print(table)
    lines = [plural(len(frame), "row")]
    if len(frame) > _MAX_ROWS:
        lines[0] += f", of which the first {_MAX_ROWS} are shown"
    if left_out:
        lines.append(f"{plural(len(left_out), 'column')} not shown: {listed(map(printable, left_out))}")
    print_result("; ".join(lines))
    sys.stdout.flush()


def frame_table(frame: pl.DataFrame, width: int) -> tuple[Table, list[str]]:
    """Return the table of a frame for a terminal of this width, and the names of the columns that do not fit."""
    from rich.table import Table
    from rich.text import Text

    cells = {
        name: [printable("" if cell is None else str(cell)) for cell in column]
        for name, column in plain_columns(frame).to_dict(as_series=False).items()
    }
    widths = _fitting(frame.schema, {name: max(map(len, [printable(name), *cells[name]])) for name in cells}, width)
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    for name, column_width in widths.items():
        justify: Literal["left", "right"] = "right" if frame.schema[name].is_numeric() else "left"
        table.add_column(Text(printable(name)), width=column_width, no_wrap=True, justify=justify)
        texts = short_names(cells[name], column_width)
        cells[name] = [texts[cell] for cell in cells[name]]
    for row in zip(*(cells[name] for name in widths), strict=True):
        table.add_row(*map(Text, row))
    return table, [name for name in cells if name not in widths]


def _fitting(schema: pl.Schema, widths: dict[str, int], total: int) -> dict[str, int]:
    """Return the widths of the columns to show: shorten texts first, then leave out the last columns."""
    fitting = dict(widths)

    def excess() -> int:
        return sum(fitting.values()) + _GAP * (len(fitting) - 1) - total

    while excess() > 0:
        texts = [name for name in fitting if not schema[name].is_numeric() and fitting[name] > _MIN_WIDTH]
        if texts:
            fitting[max(texts, key=lambda name: fitting[name])] -= 1
        elif len(fitting) > 1:
            fitting.popitem()
        else:
            break
    return fitting
