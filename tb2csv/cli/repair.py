"""``tb2csv repair``: write clean event files with every sound record."""

from __future__ import annotations

from typing import Annotated

import typer

from tb2csv.cli import option_groups, options
from tb2csv.cli.terminal import error_messages, exit_status, opened_logdir, plural, print_report
from tb2csv.sources.urls import shown


def repair(
    logdir: options.LogdirArgument,
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="Folder for the event files, written atomically; not in LOGDIR.")
    ],
    filters: option_groups.RunFilter,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT if it holds only output of tb2csv.")
    ] = False,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    workers: options.WorkersOption = None,
    max_expansion: options.ExpansionOption = options.DEFAULT_EXPANSION,
    debug: options.DebugOption = False,
) -> None:
    """Write clean event files with every sound record below LOGDIR to OUT, so that TensorBoard shows every value again.

    The records are those whose values convert gives, in the same order, with correct checksums; files keep their names
    and folders. The exit status is 3 if bytes of LOGDIR are damaged.
    """
    with error_messages(debug=debug):
        from tb2csv import log_repair

        with opened_logdir(logdir, max_expansion, shown=not (quiet or json)) as (found, report_bytes):
            report = log_repair.repair(
                found,
                out,
                selection=filters.selection,
                overwrite=overwrite,
                workers=workers,
                progress=report_bytes,
            )
        lost = sum(stats.lost_bytes for _, stats in report.sources)
        result = (
            f"{plural(sum(each.records for each in report.files), 'record')} "
            f"in {plural(len(report.files), 'event file')}, {plural(lost, 'byte')} lost: see {shown(out)}"
        )
        print_report(report, [result], json=json, quiet=quiet)
        raise typer.Exit(exit_status(report))
