"""``tb2csv sql``: run a query over the tables of a log directory."""

from __future__ import annotations

from typing import Annotated

import typer

from tb2csv.cli import options, table_output
from tb2csv.cli.terminal import (
    error_messages,
    exit_status,
    plural,
    print_message,
    print_problems,
    progress,
)


def sql(
    logdir: options.LogdirArgument,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One SELECT statement; quote it for the shell.")],
    output: table_output.OutputOption = None,
    format: table_output.AnyFormatOption = None,
    json: table_output.TableJsonOption = False,
    escape_formulas: options.FormulasOption = False,
    overwrite: options.OverwriteFileOption = False,
    strict: options.StrictOption = False,
    quiet: options.QuietOption = False,
    workers: options.WorkersOption = None,
    max_expansion: options.ExpansionOption = options.DEFAULT_EXPANSION,
    debug: options.DebugOption = False,
) -> None:
    """Run one SELECT statement over the tables of LOGDIR: scalars, histograms, text, hparams, runs, tags and others.

    The result is drawn on a terminal and CSV elsewhere. A query cannot change anything, nor read other files. Tables
    that it does not name are not decoded.
    """
    with error_messages(debug=debug):
        from tb2csv.dataframes import open_logdir
        from tb2csv.logdir import discover

        is_drawn = table_output.is_drawn(format, output, json=json)
        name = table_output.any_format(format, output, json=json, overwrite=overwrite)
        found = discover(logdir, max_expansion=max_expansion)
        with progress(found, shown=not quiet) as report_bytes:
            frames = open_logdir(found, workers=workers, progress=report_bytes)
        if not quiet:
            print_problems(frames.report)
        status = exit_status(frames.report, strict=strict)
        table = frames.sql(query)
        undecodable = frames.report.values_undecodable
        if undecodable and not quiet:
            print_message(f"{plural(undecodable, 'value')} could not be decoded and took no part in the query")
        if is_drawn:
            from tb2csv.cli.drawn_table import print_table

            print_table(table.head(_DRAWN_ROWS), rows=len(table), all_rows="--format csv")
        else:
            table_output.write_any(
                table, name, output, escape_formulas=escape_formulas, overwrite=overwrite, quiet=quiet
            )
        raise typer.Exit(status)


#: The number of rows on a terminal.
_DRAWN_ROWS = 100
