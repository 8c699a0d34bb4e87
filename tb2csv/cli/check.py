"""``tb2csv check``: verify every byte of every event file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from tb2csv.cli import option_groups, options
from tb2csv.cli.terminal import damage_summary, error_messages, exit_status, opened_logdir, plural, print_report
from tb2csv.display import printable
from tb2csv.messages import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tb2csv.event_files.event_file import FileStats
    from tb2csv.runs.step_gaps import StepGaps
    from tb2csv.series_listing import CheckReport


def check(
    logdir: options.LogdirArgument,
    filters: option_groups.RunFilter,
    reading: option_groups.ReportReading,
) -> None:
    """Verify the checksums of every record of every event file below LOGDIR; write nothing.

    For each file that lost bytes, the steps of its tags show how many values may be missing: gaps in steps that are
    otherwise regular. The exit status is 3 if bytes are damaged. An unfinished last record is not damage: the log may
    still be growing.
    """
    with error_messages(debug=reading.debug):
        from tb2csv import series_listing

        with opened_logdir(logdir, reading.max_expansion, shown=reading.shows_progress) as (found, report_bytes):
            report = series_listing.check(
                found,
                selection=filters.selection,
                workers=reading.workers,
                progress=report_bytes,
            )
        print_report(report, _results(report), json=reading.json, quiet=reading.quiet)
        raise typer.Exit(exit_status(report, strict=reading.strict))


def _results(report: CheckReport) -> Iterator[str]:
    files = [stats for _, stats in report.sources]
    for stats in files:
        if stats.lost_bytes:
            yield _loss(stats, [gaps for gaps in report.gaps if gaps.path == stats.path])
    yield (
        f"{plural(len(files), 'event file')}, {plural(sum(each.bytes for each in files), 'byte')}, "
        f"{plural(sum(each.records for each in files), 'record')}: "
        f"{damage_summary(report)}, "
        f"{plural(sum(each.lost_bytes for each in files), 'byte')} lost"
    )


def _loss(stats: FileStats, gaps: list[StepGaps]) -> str:
    """Describe what a file has lost: bytes and, if steps show them, values."""
    lost = f"{printable(stats.path)}: {plural(stats.lost_bytes, 'byte')} lost"
    if not gaps:
        return f"{lost}; no gap in regular steps shows that values are missing"
    missing = listed(f"{each.missing:,} of tag {each.tag!r}" for each in gaps)
    return f"{lost}; by the steps, {plural(sum(each.missing for each in gaps), 'value')} may be missing: {missing}"
