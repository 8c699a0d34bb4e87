"""``tb2csv metrics``: write the metrics of each epoch side by side."""

from __future__ import annotations

import typer

from tb2csv.cli import options, table_output
from tb2csv.cli.terminal import error_messages, exit_status, print_message, print_problems, progress
from tb2csv.messages import command_line_spelling


def metrics(
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
    """Write the metrics of each epoch below LOGDIR: epoch, loss, accuracy, val_loss and so on, one row per epoch.

    These are the scalars with tags epoch/<metric> of tb2csv's recorders and epoch_<metric> of Keras' TensorBoard
    callback, whose runs train and validation become one. --tag selects other scalars whose step is the epoch. With
    several runs, the first column is run. A terminal shows the columns that fit; elsewhere there are all columns.
    """
    with error_messages(debug=debug):
        from tb2csv.analysis import epoch_metrics
        from tb2csv.logdir import discover

        is_drawn = table_output.is_drawn(format, output, json=json)
        name = table_output.chosen_format(format, output, json=json, overwrite=overwrite)
        found = discover(logdir, max_expansion=max_expansion)
        with progress(found, shown=not quiet) as report_bytes:
            result = epoch_metrics.metrics(
                found,
                selection=options.selection_of(run, tag, [], exclude_run, exclude_tag),
                workers=workers,
                progress=report_bytes,
            )
        if not quiet:
            print_problems(result.report)
            for note in result.notes:
                print_message(note.spelled(command_line_spelling))
        if is_drawn:
            from tb2csv.cli.drawn_table import print_table

            print_table(result.table)
        else:
            table_output.write_table(
                result.table, name, output, escape_formulas=escape_formulas, overwrite=overwrite, quiet=quiet
            )
        raise typer.Exit(exit_status(result.report, strict=strict))
