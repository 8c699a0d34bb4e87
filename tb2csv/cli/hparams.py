"""``tb2csv hparams``: list the trials of a log directory."""

from __future__ import annotations

import typer

from tb2csv.cli import option_groups, options, table_output
from tb2csv.cli.terminal import error_messages, print_notes
from tb2csv.errors import LogdirError


def hparams(
    logdir: options.LogdirArgument,
    filters: option_groups.TagFilter,
    output: table_output.TableOutput,
    reading: option_groups.TableReading,
) -> None:
    """List the hyperparameters and metrics below LOGDIR, one row per trial.

    A metric has its last value, and its minimum and maximum with their steps. With --tag, all scalars that match become
    metrics: those of the trial's run, of the runs below it, and of the run whose add_hparams made it. A terminal shows
    the columns that fit; elsewhere, or with --format, there are all columns.
    """
    with error_messages(debug=reading.debug):
        output.check()
        frames, status = reading.frames(logdir, filters.selection)
        trials = frames.trials(filters.selection)
        if trials.table.is_empty():
            message = f"{frames.logdir.path} has no trials in these runs: they have no values of the plugin hparams."
            raise LogdirError(message)
        if not reading.quiet:
            print_notes(trials.notes)
        output.show(trials.table, quiet=reading.quiet)
        raise typer.Exit(status)
