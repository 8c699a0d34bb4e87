"""``tb2csv sql``: run a query over the tables of a log directory."""

from __future__ import annotations

from typing import Annotated

import typer

from tb2csv.cli import option_groups, options, table_output
from tb2csv.cli.terminal import error_messages, exit_status, opened_logdir, plural, print_message, print_problems


def sql(
    logdir: options.LogdirArgument,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One SELECT statement; quote it for the shell.")],
    output: table_output.AnyTableOutput,
    reading: option_groups.TableReading,
) -> None:
    """Run one SELECT statement over the tables of LOGDIR: scalars, histograms, text, hparams, runs, tags and others.

    The result is drawn on a terminal and CSV elsewhere. A query cannot change anything, nor read other files. Tables
    that it does not name are not decoded.
    """
    with error_messages(debug=reading.debug):
        from tb2csv.dataframes import open_logdir

        output.check()
        with opened_logdir(logdir, reading.max_expansion, shown=not reading.quiet) as (found, report_bytes):
            frames = open_logdir(found, workers=reading.workers, progress=report_bytes)
        if not reading.quiet:
            print_problems(frames.report)
        status = exit_status(frames.report, strict=reading.strict)
        table = frames.sql(query)
        undecodable = frames.report.values_undecodable
        if undecodable and not reading.quiet:
            print_message(f"{plural(undecodable, 'value')} could not be decoded and took no part in the query")
        if output.is_drawn:
            from tb2csv.cli.drawn_table import print_table

            print_table(table.head(_DRAWN_ROWS), rows=len(table), all_rows="--format csv")
        else:
            output.write(table, quiet=reading.quiet)
        raise typer.Exit(status)


#: The number of rows on a terminal.
_DRAWN_ROWS = 100
