"""``tb2csv convert``: write every value of every event file to tables."""

from __future__ import annotations

import enum
import sys
from typing import IO, TYPE_CHECKING, Annotated, Final

import typer

from tb2csv.cli import option_groups, options, table_options
from tb2csv.cli.interrupts import after_change
from tb2csv.cli.terminal import (
    error_messages,
    exit_status,
    is_terminal,
    opened_logdir,
    plural,
    print_json,
    print_message,
    print_problems,
    print_result,
)
from tb2csv.errors import OptionError
from tb2csv.local_paths import local_path
from tb2csv.messages import Option, advice
from tb2csv.sinks.excel_csv import CSV_DIALECTS
from tb2csv.sources.urls import is_url, shown

if TYPE_CHECKING:
    from tb2csv.report import Report


#: The name of standard output.
_STANDARD_OUTPUT: Final = "-"

_Dialect = enum.Enum("Dialect", {name: name for name in CSV_DIALECTS}, type=str)  # type: ignore[misc]
_LayoutOption = Annotated[
    table_options.Layout | None,
    typer.Option("--layout", help=f"{table_options.LAYOUT_HELP} Default: tree, or long for a file with one table."),
]
_FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        autocompletion=table_options.complete_format,
        help=f"{table_options.FORMAT_HELP} Default: that of OUT's ending, or csv.",
    ),
]


def convert(
    logdir: options.LogdirArgument,
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="Folder for the tables, or of an earlier conversion. A file that ends in .csv, .csv.gz, .csv.zst, "
            ".parquet, .arrow or .jsonl is one table, - is standard output, .xlsx an Excel workbook, and .zip an "
            "archive of the folder.",
        ),
    ],
    filters: option_groups.SeriesFilter,
    min_step: options.MinStepOption = None,
    max_step: options.MaxStepOption = None,
    every: table_options.EveryOption = 1,
    last: table_options.LastOption = False,
    restarts: table_options.RestartsOption = table_options.Restarts["keep"],
    sessions: table_options.SessionsOption = False,
    merge_subruns: table_options.MergeOption = False,
    layout: _LayoutOption = None,
    format: _FormatOption = None,
    csv_dialect: Annotated[
        _Dialect | None,
        typer.Option(
            "--csv-dialect",
            help="Write one table in CSV as Excel opens it, with dates: excel, or excel-semicolon for decimal commas.",
        ),
    ] = None,
    header: table_options.HeaderOption = table_options.Header["plain"],
    on_duplicate: table_options.DuplicateOption = table_options.Duplicate["last"],
    time: Annotated[
        str | None,
        typer.Option("--time", metavar="NAMES", help=f"{table_options.TIME_HELP} Default: epoch, or iso for Excel."),
    ] = None,
    relative_to: table_options.OriginOption = table_options.Origin["run"],
    x: table_options.AxisOption = table_options.Axis["step"],
    align: table_options.BinsOption = None,
    tensors: table_options.TensorsOption = table_options.TensorStyle["elements"],
    escape_formulas: options.FormulasOption = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT if it is a file, or holds only an earlier conversion.")
    ] = False,
    strict: options.StrictOption = False,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    workers: options.WorkersOption = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="ADDRESS", help="Convert on the workers of a Dask scheduler (tcp://…)."),
    ] = None,
    scheduler_file: Annotated[
        str | None,
        typer.Option("--scheduler-file", metavar="FILE", help="The same for a scheduler that wrote this file."),
    ] = None,
    max_expansion: options.ExpansionOption = options.DEFAULT_EXPANSION,
    debug: options.DebugOption = False,
) -> None:
    """Write every value below LOGDIR to tables in OUT: one per run and tag, listed in index.csv; or to one file.

    If OUT is a folder with the tables of an earlier conversion of LOGDIR with the same options, only new bytes are
    read, and their rows are appended; a file is written anew, with --overwrite. Nothing is sampled. Damaged bytes are
    skipped and reported, and the exit status is then 3.
    """
    with error_messages(debug=debug):
        from tb2csv import conversion
        from tb2csv.runs.row_selection import RowSelection

        to_stdout = out == _STANDARD_OUTPUT
        target = _stdout(format, json=json) if to_stdout else out
        with opened_logdir(logdir, max_expansion, shown=not (quiet or json)) as (found, report_bytes):
            report = conversion.convert(
                found,
                target,
                selection=filters.selection,
                rows=RowSelection(min_step, max_step, every, last, restarts.value, sessions),
                layout=layout and layout.value,
                format=format,
                csv_dialect=csv_dialect and csv_dialect.value,
                header=header.value,
                on_duplicate=on_duplicate.value,
                time=time and time.split(","),
                relative_to=relative_to.value,
                x=x.value,
                align=align,
                tensors=tensors.value,
                merge_subruns=merge_subruns,
                escape_formulas=escape_formulas,
                overwrite=overwrite,
                strict=strict,
                workers=workers,
                scheduler=scheduler,
                scheduler_file=scheduler_file,
                progress=report_bytes,
            )
        with after_change("standard output" if to_stdout else shown(out)):
            if json:
                print_json(report.to_dict())
            elif not quiet:
                print_problems(report)
                if to_stdout:
                    print_message(_summary(report))
                else:
                    print_result(f"{_summary(report)}: see {_place_of(out, format)}")
        raise typer.Exit(exit_status(report))


def _stdout(format: str | None, *, json: bool) -> IO[bytes]:
    """Return standard output, for a table.

    Raises:
        OptionError: a report is to be printed there, or it is a terminal and the table is not text.
    """
    from tb2csv.sinks.csv import CompressedCsvFormat
    from tb2csv.sinks.format_protocols import TextFormat
    from tb2csv.sinks.formats import choose_format

    if json:
        raise OptionError(
            "Standard output can have either the table or the report",
            advice("leave out {}", Option("json", value=True)),
        )
    chosen = choose_format(format or "csv")
    if is_terminal(sys.stdout) and (not isinstance(chosen, TextFormat) or isinstance(chosen, CompressedCsvFormat)):
        raise OptionError("A terminal cannot show this format", advice("leave out {}", Option("format", format)))
    return sys.stdout.buffer


def _place_of(out: str, format: str | None) -> str:
    """Return the file, or the index of the folder, that has been written."""
    from tb2csv.file_conversion import OneFile

    if OneFile.of(out, format):
        return shown(out)
    return f"{shown(out.rstrip('/'))}/index.csv" if is_url(out) else str(local_path(out) / "index.csv")


def _summary(report: Report) -> str:
    left_out = f", {plural(report.values_filtered, 'value')} left out" if report.values_filtered else ""
    runs = sum(run.values_written > 0 for run in report.runs)
    new = f", {plural(report.update.values, 'new value')}" if report.update else ""
    return (
        f"{plural(report.values_written, 'value')} of {plural(runs, 'run')} "
        f"in {plural(report.tables, 'table')}{left_out}{new}"
    )
