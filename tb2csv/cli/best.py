"""``tb2csv best``: rank runs by a scalar."""

from __future__ import annotations

from typing import Annotated

import typer

from tb2csv.cli import options, table_output
from tb2csv.cli.terminal import error_messages, exit_status, print_message, print_problems, progress
from tb2csv.errors import OptionError
from tb2csv.messages import command_line_spelling


def best(
    logdir: options.LogdirArgument,
    by: Annotated[str, typer.Option("--by", metavar="TAG", help="The scalar, or a pattern that matches one tag.")],
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
    run: options.RunOption = [],
    exclude_run: options.ExcludeRunOption = [],
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
    """Rank the runs below LOGDIR by a scalar: rank, run, value, step, duration and hyperparameters, best run first.

    Without --max and --min, the name of the tag decides: loss, error or perplexity are minimized, accuracy, auc or f1
    maximized. Hyperparameters are those of the log, of Lightning's hparams.yaml and of Keras Tuner's trial.json.
    """
    with error_messages(debug=debug):
        from tb2csv.logdir import discover
        from tb2csv.ranking import best as ranking

        is_drawn = table_output.is_drawn(format, output, json=json)
        name = table_output.chosen_format(format, output, json=json, overwrite=overwrite)
        if highest and lowest:
            message = "--max and --min contradict each other; give one of them."
            raise OptionError(message)
        found = discover(logdir, max_expansion=max_expansion)
        with progress(found, shown=not quiet) as report_bytes:
            ranked = ranking.best(
                found,
                by,
                goal="max" if highest else "min" if lowest else None,
                at=at,
                top=_DRAWN_ROWS if top is None and is_drawn else top,
                selection=options.selection_of(run, [], [], exclude_run, []),
                workers=workers,
                progress=report_bytes,
            )
        if not quiet:
            print_problems(ranked.report)
            for note in ranked.notes:
                print_message(note.spelled(command_line_spelling))
        status = exit_status(ranked.report, strict=strict)
        if is_drawn:
            from tb2csv.cli.drawn_table import print_table

            print_table(ranked.table, rows=ranked.runs)
        else:
            table_output.write_table(
                ranked.table, name, output, escape_formulas=escape_formulas, overwrite=overwrite, quiet=quiet
            )
        raise typer.Exit(status)


#: The number of rows on a terminal, so that the best run stays in view.
_DRAWN_ROWS = 10
