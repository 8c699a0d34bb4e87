"""``tb2csv summary``: show statistics of every tag."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from tb2csv.analysis.wide_summaries import DEFAULT_STATISTICS, STATISTICS, row_order, wide_summary
from tb2csv.cli import options, table_output
from tb2csv.cli.terminal import error_messages, exit_status, print_problems, progress
from tb2csv.errors import OptionError

Statistic = enum.Enum("Statistic", {name: name for name in STATISTICS}, type=str)  # type: ignore[misc]


def summary(
    logdir: options.LogdirArgument,
    run: options.RunOption = [],
    tag: options.TagOption = [],
    kind: options.KindOption = [],
    exclude_run: options.ExcludeRunOption = [],
    exclude_tag: options.ExcludeTagOption = [],
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
    output: table_output.OutputOption = None,
    format: table_output.TextFormatOption = None,
    json: table_output.TableJsonOption = False,
    escape_formulas: options.FormulasOption = False,
    overwrite: options.OverwriteFileOption = False,
    strict: options.StrictOption = False,
    quiet: options.QuietOption = False,
    workers: options.WorkersOption = None,
    max_expansion: options.ExpansionOption = options.DEFAULT_EXPANSION,
    debug: options.DebugOption = False,
) -> None:
    """Show points, steps, first, last, min, max and mean of every tag below LOGDIR.

    On a terminal, the table has a curve per tag and fits the width; elsewhere, or with --format, it has all columns.
    All values are read; only the curves are sampled. With --wide, runs are side by side with their metrics: the last
    value of a tag has its name, and other statistics its name with :min, :max and so on.
    """
    with error_messages(debug=debug):
        from tb2csv.analysis import summaries
        from tb2csv.logdir import discover

        is_drawn = table_output.is_drawn(format, output, json=json)
        name = table_output.chosen_format(format, output, json=json, overwrite=overwrite)
        if statistic and not wide:
            message = "--statistic chooses the columns of --wide; give --wide as well."
            raise OptionError(message)
        found = discover(logdir, max_expansion=max_expansion)
        with progress(found, shown=not quiet) as report_bytes:
            summed = summaries.summary(
                found,
                selection=options.selection_of(run, tag, kind, exclude_run, exclude_tag),
                curve_points=_CURVE_POINTS if is_drawn and not wide else 0,
                workers=workers,
                progress=report_bytes,
            )
        if not quiet:
            print_problems(summed.report)
        status = exit_status(summed.report, strict=strict)
        if is_drawn and not wide:
            from tb2csv.cli.summary_table import print_summary

            rows = row_order(summed.table, sort, descending=descending, top=top)
            print_summary(summed._replace(table=summed.table[rows], curves=[summed.curves[row] for row in rows]))
        else:
            table = summaries.with_short_numbers(summed.table)
            if wide:
                table = wide_summary(table, [each.value for each in statistic] or DEFAULT_STATISTICS)
            table = table[row_order(table, sort, descending=descending, top=top)]
            if is_drawn:
                from tb2csv.cli.drawn_table import print_table

                print_table(table)
                raise typer.Exit(status)
            table_output.write_table(
                table, name, output, escape_formulas=escape_formulas, overwrite=overwrite, quiet=quiet
            )
        raise typer.Exit(status)


#: More points than a curve has columns on a terminal, so that each column is a mean.
_CURVE_POINTS = 256
