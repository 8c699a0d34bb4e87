"""``tb2csv check``: verify every byte of every event file."""

from __future__ import annotations

import typer

from tb2csv.cli import options
from tb2csv.cli.terminal import (
    damage_summary,
    error_messages,
    exit_status,
    plural,
    print_json,
    print_problems,
    print_result,
    progress,
)


def check(
    logdir: options.LogdirArgument,
    run: options.RunOption = [],
    exclude_run: options.ExcludeRunOption = [],
    strict: options.StrictOption = False,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    workers: options.WorkersOption = None,
    debug: options.DebugOption = False,
) -> None:
    """Verify the checksums of every record of every event file below LOGDIR; write nothing.

    The exit status is 3 if bytes are damaged. An unfinished last record is not damage: the log may still be growing.
    """
    with error_messages(debug=debug):
        from tb2csv import series_listing
        from tb2csv.logdir import discover

        found = discover(logdir)
        with progress(found, shown=not (quiet or json)) as report_bytes:
            report = series_listing.check(
                found,
                selection=options.selection_of(run, [], [], exclude_run, []),
                workers=workers,
                progress=report_bytes,
            )
        if json:
            print_json(report.to_dict())
        elif not quiet:
            print_problems(report)
            files = [stats for _, stats in report.sources]
            print_result(
                f"{plural(len(files), 'event file')}, {plural(sum(each.bytes for each in files), 'byte')}, "
                f"{plural(sum(each.records for each in files), 'record')}: "
                f"{damage_summary(report)}, "
                f"{plural(sum(each.lost_bytes for each in files), 'byte')} lost"
            )
        raise typer.Exit(exit_status(report, strict=strict))
