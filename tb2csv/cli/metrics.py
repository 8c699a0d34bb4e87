"""``tb2csv metrics``: write the metrics of each epoch side by side."""

from __future__ import annotations

import typer

from tb2csv.cli import option_groups, options, table_output
from tb2csv.cli.terminal import error_messages, exit_status, opened_logdir, print_notes, print_problems


def metrics(
    logdir: options.LogdirArgument,
    filters: option_groups.TagFilter,
    output: table_output.TableOutput,
    reading: option_groups.TableReading,
) -> None:
    """Write the metrics of each epoch below LOGDIR: epoch, loss, accuracy, val_loss and so on, one row per epoch.

    These are the scalars with tags epoch/<metric> of tb2csv's recorders and epoch_<metric> of Keras' TensorBoard
    callback, whose runs train and validation become one. --tag selects other scalars whose step is the epoch. With
    several runs, the first column is run. A terminal shows the columns that fit; elsewhere there are all columns.
    """
    with error_messages(debug=reading.debug):
        from tb2csv.analysis import epoch_metrics

        output.check()
        with opened_logdir(logdir, reading.max_expansion, shown=not reading.quiet) as (found, report_bytes):
            result = epoch_metrics.metrics(
                found,
                selection=filters.selection,
                workers=reading.workers,
                progress=report_bytes,
            )
        if not reading.quiet:
            print_problems(result.report)
            print_notes(result.notes)
        output.show(result.table, quiet=reading.quiet)
        raise typer.Exit(exit_status(result.report, strict=reading.strict))
