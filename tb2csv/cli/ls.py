"""``tb2csv ls``: list the runs and tags of a log directory without decoding payloads."""

from __future__ import annotations

import dataclasses
import math
import shutil
import sys
from typing import Any, Final

import typer

from tb2csv.cli import option_groups, options
from tb2csv.cli.short_names import short_names
from tb2csv.cli.terminal import (
    error_messages,
    exit_status,
    is_terminal,
    opened_logdir,
    print_json,
    print_problems,
    print_result,
)
from tb2csv.display import printable
from tb2csv.series_info import SeriesInfo

_FIELDS: Final = tuple(each.name for each in dataclasses.fields(SeriesInfo))
_COLUMNS: Final = ("run", "tag", "kind", "plugin_name", "points", "first_step", "last_step")
_NUMBERS: Final = ("points", "first_step", "last_step")
_GAP: Final = "  "
#: The columns that are dropped to fit a terminal, in this order.
_DROPPABLE: Final = ("plugin_name", "first_step", "last_step")
#: The columns that are then shortened, down to _MIN_WIDTH.
_SHORTENABLE: Final = ("run", "tag")
_MIN_WIDTH: Final = 12
#: The largest width of a column that is not shortened: one long name would add its length to every row.
_MAX_PADDED: Final = 200


def ls(
    logdir: options.LogdirArgument,
    filters: option_groups.SeriesFilter,
    reading: option_groups.ReportReading,
) -> None:
    """List the runs and tags below LOGDIR with their kind, number of points, and first and last step.

    On a narrow terminal, columns are dropped and long names are shortened; a pipe and --json receive everything.
    """
    with error_messages(debug=reading.debug):
        from tb2csv import series_listing

        with opened_logdir(logdir, reading.max_expansion, shown=reading.shows_progress) as (found, report_bytes):
            series, report = series_listing.ls(
                found,
                selection=filters.selection,
                workers=reading.workers,
                progress=report_bytes,
            )
        rows = [_row(each) for each in series]
        if reading.json:
            print_json(rows)
        else:
            if not reading.quiet:
                print_problems(report)
            _print_aligned(rows)
        raise typer.Exit(exit_status(report, strict=reading.strict))


def _row(series: SeriesInfo) -> dict[str, Any]:
    row = {name: getattr(series, name) for name in _FIELDS}  # asdict would copy each cell
    return row | {name: _finite(row[name]) for name in ("first_wall_time", "last_wall_time")}


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _print_aligned(rows: list[dict[str, Any]]) -> None:
    """Print the rows below a header, with numbers right-aligned; on a terminal, each row is one line."""
    columns = {name: [_cell(row[name]) for row in rows] for name in _COLUMNS}
    # A longer name is not cut in a pipe, but the other rows are not padded to its length.
    widths = {name: min(max(map(len, (name, *cells))), _MAX_PADDED) for name, cells in columns.items()}
    if is_terminal(sys.stdout):
        widths = _fitting(widths, shutil.get_terminal_size().columns)
        for name in _SHORTENABLE:
            texts = short_names(columns[name], widths[name])
            columns[name] = [texts[cell] for cell in columns[name]]
    for line in zip(*([name, *columns[name]] for name in widths), strict=True):
        cells = [
            cell.rjust(width) if name in _NUMBERS else cell.ljust(width)
            for cell, (name, width) in zip(line, widths.items(), strict=True)
        ]
        print_result(_GAP.join(cells).rstrip())


def _fitting(widths: dict[str, int], total: int) -> dict[str, int]:
    """Return the widths of the columns to show: drop columns first, then shorten names."""
    fitting = dict(widths)

    def excess() -> int:
        return sum(fitting.values()) + len(_GAP) * (len(fitting) - 1) - total

    for name in _DROPPABLE:
        if excess() > 0:
            del fitting[name]
    while excess() > 0:
        widest = max(_SHORTENABLE, key=lambda name: fitting[name])
        if fitting[widest] <= _MIN_WIDTH:
            break
        fitting[widest] -= 1
    return fitting


def _cell(value: str | int) -> str:
    return printable(str(value) or "-")
