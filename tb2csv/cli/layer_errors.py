"""``tb2csv layer-errors``: write the wide table of layer errors."""

from __future__ import annotations

import enum
from typing import Annotated, Final

import typer

from tb2csv.cli import option_groups, options
from tb2csv.cli.terminal import error_messages, exit_status, opened_logdir, plural, print_problems, print_result

_PER: Final = ("sample", "batch")
Per = enum.Enum("Per", {name: name for name in _PER}, type=str)  # type: ignore[misc]
_SAMPLE: Final = Per("sample")


def layer_errors(
    logdir: options.LogdirArgument,
    *,
    filters: option_groups.TagFilter,
    per: Annotated[
        Per, typer.Option("--per", help="What has a row: a sample, or a batch with the mean over its samples.")
    ] = _SAMPLE,
    min_step: options.MinStepOption = None,
    max_step: options.MaxStepOption = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File to write, atomically; its ending gives the format, as in convert --format. "
            "Default, and -: CSV to standard output.",
        ),
    ] = None,
    escape_formulas: options.FormulasOption = False,
    overwrite: options.OverwriteFileOption = False,
    reading: option_groups.TableReading,
) -> None:
    """Write the layer errors below LOGDIR as one wide table: epoch, batch, layer, sample, error_0, error_1 and so on.

    Layer errors are tensors with tags layer_errors/<layer>. A row is one sample of a batch in one layer: batch is the
    step, and sample the number of the sample in the batch. With --per batch, a row is the mean over the samples of a
    batch. Errors that were summed over the batch have one row without a sample. Layers with fewer units than the widest
    have empty cells at the end. With several runs, the first column is run. Use convert for the long table with a row
    for each number.
    """
    with error_messages(debug=reading.debug):
        from tb2csv.analysis import layer_errors as wide_table
        from tb2csv.analysis.table_text import csv_text
        from tb2csv.sinks.table_file import check_table_file, write_table_file

        if output == "-":
            output = None
        if output is not None:
            check_table_file(output, overwrite=overwrite)
        with opened_logdir(logdir, reading.max_expansion, shown=not reading.quiet) as (found, report_bytes):
            table = wide_table.layer_errors(
                found,
                selection=filters.selection,
                per=per.value,
                min_step=min_step,
                max_step=max_step,
                workers=reading.workers,
                progress=report_bytes,
            )
        if not reading.quiet:
            print_problems(table.report)
        status = exit_status(table.report, strict=reading.strict)
        if output is None:
            for number, piece in enumerate(table.pieces()):
                text = csv_text(piece, has_header=not number, escape_formulas=escape_formulas)
                print_result(text.removesuffix("\n"))
        else:
            rows = write_table_file(
                output, table.schema, table.pieces(), escape_formulas=escape_formulas, overwrite=overwrite
            )
            if not reading.quiet:
                print_result(f"{plural(rows, 'row')}: see {output}")
        raise typer.Exit(status)
