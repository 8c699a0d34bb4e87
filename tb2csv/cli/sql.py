"""``tb2csv sql``: run a query over the tables of a log directory."""

from __future__ import annotations

from typing import Annotated

import typer

from tb2csv.cli import option_groups, options, table_output
from tb2csv.cli.terminal import error_messages, plural, print_message


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
        output.check()
        frames, status = reading.frames(logdir)
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
