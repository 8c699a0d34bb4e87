"""``tb2csv summary``: show statistics of every tag."""

from __future__ import annotations

import sys

import typer

from tb2csv.cli import options, table_output
from tb2csv.cli.terminal import error_messages, exit_status, is_terminal, print_problems, progress


def summary(
    logdir: options.LogdirArgument,
    run: options.RunOption = [],
    tag: options.TagOption = [],
    kind: options.KindOption = [],
    exclude_run: options.ExcludeRunOption = [],
    exclude_tag: options.ExcludeTagOption = [],
    output: table_output.OutputOption = None,
    format: table_output.TextFormatOption = None,
    json: table_output.TableJsonOption = False,
    escape_formulas: options.FormulasOption = False,
    overwrite: options.OverwriteFileOption = False,
    strict: options.StrictOption = False,
    quiet: options.QuietOption = False,
    workers: options.WorkersOption = None,
    debug: options.DebugOption = False,
) -> None:
    """Show points, steps, first, last, min, max and mean of every tag below LOGDIR.

    On a terminal, the table has a curve per tag and fits the width; elsewhere, or with --format, it has all columns.
    All values are read; only the curves are sampled.
    """
    with error_messages(debug=debug):
        from tb2csv.analysis import summaries
        from tb2csv.logdir import discover

        is_drawn = output is None and format is None and not json and is_terminal(sys.stdout)
        name = table_output.chosen_format(format, output, json=json, overwrite=overwrite)
        found = discover(logdir)
        with progress(found, shown=not quiet) as report_bytes:
            summed = summaries.summary(
                found,
                selection=options.selection_of(run, tag, kind, exclude_run, exclude_tag),
                curve_points=_CURVE_POINTS if is_drawn else 0,
                workers=workers,
                progress=report_bytes,
            )
        if not quiet:
            print_problems(summed.report)
        status = exit_status(summed.report, strict=strict)
        if is_drawn:
            from tb2csv.cli.summary_table import print_summary

            print_summary(summed)
        else:
            table = summaries.with_short_numbers(summed.table)
            table_output.write_table(
                table, name, output, escape_formulas=escape_formulas, overwrite=overwrite, quiet=quiet
            )
        raise typer.Exit(status)


#: More points than a curve has columns on a terminal, so that each column is a mean.
_CURVE_POINTS = 256
