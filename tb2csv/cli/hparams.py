"""``tb2csv hparams``: list the trials of a log directory."""

from __future__ import annotations

import typer

from tb2csv.cli import options, table_output
from tb2csv.cli.terminal import error_messages, exit_status, print_message, print_problems, progress
from tb2csv.errors import LogdirError
from tb2csv.messages import command_line_spelling


def hparams(
    logdir: options.LogdirArgument,
    run: options.RunOption = [],
    tag: options.TagOption = [],
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
    max_expansion: options.ExpansionOption = options.DEFAULT_EXPANSION,
    debug: options.DebugOption = False,
) -> None:
    """List the hyperparameters and metrics below LOGDIR, one row per trial.

    A metric has its last value, and its minimum and maximum with their steps. With --tag, all scalars that match become
    metrics: those of the trial's run, of the runs below it, and of the run whose add_hparams made it. A terminal shows
    the columns that fit; elsewhere, or with --format, there are all columns.
    """
    with error_messages(debug=debug):
        from tb2csv.dataframes import open_logdir
        from tb2csv.logdir import discover

        is_drawn = table_output.is_drawn(format, output, json=json)
        name = table_output.chosen_format(format, output, json=json, overwrite=overwrite)
        found = discover(logdir, max_expansion=max_expansion)
        with progress(found, shown=not quiet) as report_bytes:
            frames = open_logdir(found, workers=workers, progress=report_bytes)
        report = frames.report
        if not quiet:
            print_problems(report)
        status = exit_status(report, strict=strict)
        trials = frames.trials(options.selection_of(run, tag, [], exclude_run, exclude_tag))
        if trials.table.is_empty():
            message = f"{found.path} has no trials in these runs: they have no values of the plugin hparams."
            raise LogdirError(message)
        if not quiet:
            for note in trials.notes:
                print_message(note.spelled(command_line_spelling))
        if is_drawn:
            from tb2csv.cli.drawn_table import print_table

            print_table(trials.table)
        else:
            table_output.write_table(
                trials.table, name, output, escape_formulas=escape_formulas, overwrite=overwrite, quiet=quiet
            )
        raise typer.Exit(status)
