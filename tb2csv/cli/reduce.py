"""``tb2csv reduce``: write statistics of scalars across groups of runs."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from tb2csv.analysis.alignment import DEFAULT_ALIGNMENTS
from tb2csv.cli import group_options, option_groups, options, table_options
from tb2csv.cli.terminal import error_messages, exit_status, opened_logdir, plural, print_report
from tb2csv.local_paths import local_path

Along = enum.Enum("Along", {name: name for name in DEFAULT_ALIGNMENTS}, type=str)  # type: ignore[misc]


def reduce(
    logdir: options.LogdirArgument,
    out: Annotated[str, typer.Argument(metavar="OUT", help="Folder for the tables, written atomically.")],
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="GLOB",
            help="Pattern for groups of runs: 'lr=*/seed_*' groups the seeds of each lr. * does not match /; braces "
            "mark the part that names the group, as in '{*}_seed*'.",
        ),
    ],
    *,
    filters: option_groups.TagFilter,
    nan: Annotated[
        group_options.NanPolicy,
        typer.Option(
            "--nan",
            help="How NaN is handled: keep makes the step's statistics NaN; omit drops the value, which lowers n.",
        ),
    ] = group_options.NanPolicy["keep"],
    align: group_options.AlignOption = None,
    band: Annotated[
        group_options.BandName | None,
        typer.Option(
            "--band",
            help="Add columns low and high: the mean with the standard deviation, standard error, 95 % bootstrap "
            "interval, or minimum and maximum; or the quartiles.",
        ),
    ] = None,
    x: Annotated[
        Along, typer.Option("--x", help="The first column: steps, or the time since the run's first event.")
    ] = Along["step"],
    event_files: Annotated[
        bool, typer.Option("--event-files", help="Also write event files: runs <group>/mean, <group>/std and so on.")
    ] = False,
    format: table_options.FormatOption = "csv",
    escape_formulas: options.FormulasOption = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT if it holds only output of tb2csv.")
    ] = False,
    reading: option_groups.ReportReading,
) -> None:
    """Reduce the scalars of groups of runs, such as seeds, to tables of n, mean, std, min, median and max.

    A table has one row per step of any run; n is the number of runs with this step. std is the sample standard
    deviation, which divides by n - 1, and is empty if n is 1. If runs have different steps, --align gives them common
    ones.
    """
    with error_messages(debug=reading.debug):
        from tb2csv.analysis import reduction

        with opened_logdir(logdir, reading.max_expansion, shown=reading.shows_progress) as (found, report_bytes):
            report = reduction.reduce(
                found,
                out,
                by=by,
                selection=filters.selection,
                nan=nan.value,
                align=align,
                band=band and band.value,
                x=x.value,
                format=format,
                escape_formulas=escape_formulas,
                event_files=event_files,
                overwrite=overwrite,
                strict=reading.strict,
                workers=reading.workers,
                progress=report_bytes,
            )
        runs = sum(len(group.runs) for group in report.groups)
        result = (
            f"{plural(runs, 'run')} in {plural(len(report.groups), 'group')}, "
            f"{plural(report.tables, 'table')}: see {local_path(out) / 'index.csv'}"
        )
        print_report(report, [result], json=reading.json, quiet=reading.quiet)
        raise typer.Exit(exit_status(report))
