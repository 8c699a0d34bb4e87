"""``tb2csv best``: rank runs by a scalar."""

from __future__ import annotations

from typing import Annotated

import typer

from tb2csv.cli import option_groups, options, table_output
from tb2csv.cli.terminal import error_messages, exit_status, opened_logdir, print_notes, print_problems
from tb2csv.errors import OptionError


def best(
    logdir: options.LogdirArgument,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="TAG",
            autocompletion=options.complete_tag,
            help="The scalar, or a pattern that matches one tag.",
        ),
    ],
    *,
    highest: Annotated[bool, typer.Option("--max", help="The highest value is best.")] = False,
    lowest: Annotated[bool, typer.Option("--min", help="The lowest value is best.")] = False,
    at: Annotated[
        str,
        typer.Option(
            "--at", metavar="WHEN", help="The value of a run that counts: best, last, or that of a step (a number)."
        ),
    ] = "best",
    top: Annotated[
        int | None,
        typer.Option(
            "--top", min=1, metavar="N", help="Only the N best runs. Default: 10 on a terminal, otherwise all."
        ),
    ] = None,
    filters: option_groups.RunFilter,
    output: table_output.TableOutput,
    reading: option_groups.TableReading,
) -> None:
    """Rank the runs below LOGDIR by a scalar: rank, run, value, step, duration and hyperparameters, best run first.

    Without --max and --min, the name of the tag decides: loss, error or perplexity are minimized, accuracy, auc or f1
    maximized. Hyperparameters are those of the log, of Lightning's hparams.yaml and of Keras Tuner's trial.json.
    """
    with error_messages(debug=reading.debug):
        from tb2csv.ranking import best as ranking

        output.check()
        if highest and lowest:
            message = "--max and --min contradict each other; give one of them."
            raise OptionError(message)
        with opened_logdir(logdir, reading.max_expansion, shown=not reading.quiet) as (found, report_bytes):
            ranked = ranking.best(
                found,
                by,
                goal="max" if highest else "min" if lowest else None,
                at=at,
                top=_DRAWN_ROWS if top is None and output.is_drawn else top,
                selection=filters.selection,
                workers=reading.workers,
                progress=report_bytes,
            )
        if not reading.quiet:
            print_problems(ranked.report)
            print_notes(ranked.notes)
        status = exit_status(ranked.report, strict=reading.strict)
        output.show(ranked.table, quiet=reading.quiet, rows=ranked.runs)
        raise typer.Exit(status)


#: The number of rows on a terminal, so that the best run stays in view.
_DRAWN_ROWS = 10
