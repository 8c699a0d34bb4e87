"""``tb2csv hparams``: the trials of a log directory, one row each."""

from __future__ import annotations

import typer

from tb2csv.cli import options, table_output
from tb2csv.cli.terminal import error_messages, exit_status, print_problems, progress
from tb2csv.errors import LogdirError


def hparams(  # noqa: PLR0913, PLR0917 - one parameter for each option
    logdir: options.LogdirArgument,
    run: options.RunOption = [],  # noqa: B006 - typer copies it
    tag: options.TagOption = [],  # noqa: B006
    exclude_run: options.ExcludeRunOption = [],  # noqa: B006
    exclude_tag: options.ExcludeTagOption = [],  # noqa: B006
    output: table_output.OutputOption = None,
    format: table_output.TextFormatOption = None,  # noqa: A002 - the option's name
    json: table_output.TableJsonOption = False,
    overwrite: options.OverwriteFileOption = False,
    strict: options.StrictOption = False,
    quiet: options.QuietOption = False,
    workers: options.WorkersOption = None,
    debug: options.DebugOption = False,
) -> None:
    """Write the hyperparameters of every trial below LOGDIR and what its metrics came to, a row for each.

    A metric has its last value, its least and its greatest, and the steps of these. --tag chooses metrics. All trials
    are there, however many.
    """
    with error_messages(debug=debug):
        from tb2csv.dataframes import LogdirFrames
        from tb2csv.logdir import discover

        name = table_output.chosen_format(format, output, json=json, overwrite=overwrite)
        frames = LogdirFrames(logdir, workers=workers)
        with progress(discover(logdir), shown=not quiet) as on_bytes:
            frames.refresh(on_bytes)
        report = frames.report
        if not quiet:
            print_problems(report)
        status = exit_status(report, strict=strict)
        table = frames.hparams(options.selection_of(run, tag, [], exclude_run, exclude_tag))
        if table.is_empty():
            message = f"{logdir} has no trials in these runs: nothing there was written by the plugin hparams."
            raise LogdirError(message)
        table_output.write_table(table, name, output, overwrite=overwrite, quiet=quiet)
        raise typer.Exit(status)
