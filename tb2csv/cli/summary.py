"""``tb2csv summary``: show statistics of every tag."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from tb2csv.analysis.wide_summaries import DEFAULT_STATISTICS, STATISTICS, row_order, wide_summary
from tb2csv.cli import option_groups, options, table_output
from tb2csv.cli.terminal import error_messages, exit_status, opened_logdir, print_problems
from tb2csv.errors import OptionError

Statistic = enum.Enum("Statistic", {name: name for name in STATISTICS}, type=str)  # type: ignore[misc]


def summary(
    logdir: options.LogdirArgument,
    *,
    filters: option_groups.SeriesFilter,
    wide: Annotated[
        bool, typer.Option("--wide", help="One row per run, with columns for each scalar tag: last, min and max.")
    ] = False,
    statistic: Annotated[
        list[Statistic],
        typer.Option(
            "--statistic",
            metavar="NAME",
            help=f"Statistics of --wide: {', '.join(STATISTICS)}; repeatable.",
        ),
    ] = [],
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort", metavar="COLUMN", help="Sort the rows by a column; those without a value, and NaN, come last."
        ),
    ] = None,
    descending: Annotated[bool, typer.Option("--descending", help="Sort from high to low.")] = False,
    top: Annotated[int | None, typer.Option("--top", min=1, metavar="N", help="Only the first N rows.")] = None,
    output: table_output.TableOutput,
    reading: option_groups.TableReading,
) -> None:
    """Show points, steps, first, last, min, max and mean of every tag below LOGDIR.

    On a terminal, the table has a curve per tag and fits the width; elsewhere, or with --format, it has all columns.
    All values are read; only the curves are sampled. With --wide, runs are side by side with their metrics: the last
    value of a tag has its name, and other statistics its name with :min, :max and so on.
    """
    with error_messages(debug=reading.debug):
        from tb2csv.analysis import summaries

        output.check()
        if statistic and not wide:
            message = "--statistic chooses the columns of --wide; give --wide as well."
            raise OptionError(message)
        with opened_logdir(logdir, reading.max_expansion, shown=not reading.quiet) as (found, report_bytes):
            summed = summaries.summary(
                found,
                selection=filters.selection,
                curve_points=_CURVE_POINTS if output.is_drawn and not wide else 0,
                workers=reading.workers,
                progress=report_bytes,
            )
        if not reading.quiet:
            print_problems(summed.report)
        status = exit_status(summed.report, strict=reading.strict)
        if output.is_drawn and not wide:
            from tb2csv.cli.summary_table import print_summary

            rows = row_order(summed.table, sort, descending=descending, top=top)
            print_summary(summed._replace(table=summed.table[rows], curves=[summed.curves[row] for row in rows]))
        else:
            table = summaries.with_short_numbers(summed.table)
            if wide:
                table = wide_summary(table, [each.value for each in statistic] or DEFAULT_STATISTICS)
            table = table[row_order(table, sort, descending=descending, top=top)]
            output.show(table, quiet=reading.quiet)
        raise typer.Exit(status)


#: More points than a curve has columns on a terminal, so that each column is a mean.
_CURVE_POINTS = 256
