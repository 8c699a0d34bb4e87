"""``tb2csv convert``: write every value of every event file to tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tb2csv.atomic_files import local_path
from tb2csv.cli import options
from tb2csv.cli.terminal import (
    after_change,
    error_messages,
    exit_status,
    plural,
    print_json,
    print_problems,
    print_result,
    progress,
)
from tb2csv.sources.urls import is_url, shown

if TYPE_CHECKING:
    from tb2csv.report import Report


def _index_of(out: str) -> str:
    return f"{shown(out.rstrip('/'))}/index.csv" if is_url(out) else str(local_path(out) / "index.csv")


def convert(
    logdir: options.LogdirArgument,
    out: Annotated[str, typer.Argument(metavar="OUT", help="Folder for the tables, or of an earlier conversion.")],
    run: options.RunOption = [],
    tag: options.TagOption = [],
    kind: options.KindOption = [],
    exclude_run: options.ExcludeRunOption = [],
    exclude_tag: options.ExcludeTagOption = [],
    min_step: options.MinStepOption = None,
    max_step: options.MaxStepOption = None,
    every: options.EveryOption = 1,
    last: options.LastOption = False,
    restarts: options.RestartsOption = options.Restarts["keep"],
    sessions: options.SessionsOption = False,
    merge_subruns: options.MergeOption = False,
    layout: options.LayoutOption = options.Layout["tree"],
    format: options.FormatOption = "csv",
    header: options.HeaderOption = options.Header["plain"],
    on_duplicate: options.DuplicateOption = options.Duplicate["last"],
    time: options.TimeOption = "epoch",
    relative_to: options.OriginOption = options.Origin["run"],
    tensors: options.TensorsOption = options.TensorStyle["elements"],
    escape_formulas: options.FormulasOption = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT if it holds only an earlier conversion.")
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
    debug: options.DebugOption = False,
) -> None:
    """Write every value below LOGDIR to tables in OUT: one per run and tag, listed in index.csv.

    If OUT has the tables of an earlier conversion of LOGDIR with the same options, only new bytes are read, and their
    rows are appended. Nothing is sampled. Damaged bytes are skipped and reported, and the exit status is then 3.
    """
    with error_messages(debug=debug):
        from tb2csv import conversion
        from tb2csv.logdir import discover
        from tb2csv.runs.row_selection import RowSelection

        found = discover(logdir)
        with progress(found, shown=not (quiet or json)) as report_bytes:
            report = conversion.convert(
                found,
                out,
                selection=options.selection_of(run, tag, kind, exclude_run, exclude_tag),
                rows=RowSelection(min_step, max_step, every, last, restarts.value, sessions),
                layout=layout.value,
                format=format,
                header=header.value,
                on_duplicate=on_duplicate.value,
                time=time.split(","),
                relative_to=relative_to.value,
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
        with after_change(shown(out)):
            if json:
                print_json(report.to_dict())
            elif not quiet:
                _print_report(report, out)
        raise typer.Exit(exit_status(report))


def _print_report(report: Report, out: str) -> None:
    print_problems(report)
    left_out = f", {plural(report.values_filtered, 'value')} left out" if report.values_filtered else ""
    runs = sum(run.values_written > 0 for run in report.runs)
    new = f", {plural(report.update.values, 'new value')}" if report.update else ""
    print_result(
        f"{plural(report.values_written, 'value')} of {plural(runs, 'run')} "
        f"in {plural(report.tables, 'table')}{left_out}{new}: see {_index_of(out)}"
    )
