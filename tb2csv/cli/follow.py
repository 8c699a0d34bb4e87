"""``tb2csv follow``: keep tables up to date while a training writes."""

from __future__ import annotations

import contextlib
import json as json_text
import signal
import sys
import time as clock
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tb2csv.analysis.diagnosis.network import DEFAULT_STEPS
from tb2csv.cli import option_groups, options, table_options
from tb2csv.cli.diagnose import FamiliesOption, StepsOption, ThresholdOption, thresholds_of
from tb2csv.cli.interrupts import after_change
from tb2csv.cli.terminal import (
    error_messages,
    exit_status,
    is_terminal,
    plural,
    print_message,
    print_problems,
    print_result,
)
from tb2csv.errors import LateInterrupt
from tb2csv.local_paths import local_path
from tb2csv.messages import command_line_spelling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tb2csv.following.follow_update import FollowUpdate
    from tb2csv.following.follower import Follower, FollowStatus
    from tb2csv.report import Report


#: The units of ages, in seconds.
_UNITS: Final = {"h": 3600, "min": 60, "s": 1}


def follow(
    logdir: options.LogdirArgument,
    out: Annotated[str, typer.Argument(metavar="OUT", help="Folder for the tables, or of an earlier conversion.")],
    *,
    every: Annotated[
        str,
        typer.Option(
            "--every",
            metavar="TIME",
            help="Minimum time between two updates, and between two polls: 5s, 2m. Default: none; polls are 0.75 "
            "seconds apart, and those of a URL ten seconds.",
            show_default=False,
        ),
    ] = "",
    until_idle: Annotated[
        str | None,
        typer.Option(
            "--until-idle",
            metavar="TIME",
            help="End when nothing was added for so long: 10m, 1h. Writers hold values back, so give a long time. "
            "Default: never.",
            show_default=False,
        ),
    ] = None,
    poll: Annotated[
        bool, typer.Option("--poll", help="Look at the files at intervals, for file systems without notifications.")
    ] = False,
    diagnose: Annotated[
        bool, typer.Option("--diagnose", help="Print what diagnose finds, each finding when it first holds.")
    ] = False,
    tags_as: FamiliesOption = [],
    steps: StepsOption = DEFAULT_STEPS,
    threshold: ThresholdOption = [],
    filters: option_groups.SeriesFilter,
    min_step: options.MinStepOption = None,
    max_step: options.MaxStepOption = None,
    last: table_options.LastOption = False,
    restarts: table_options.RestartsOption = table_options.Restarts["keep"],
    sessions: table_options.SessionsOption = False,
    merge_subruns: table_options.MergeOption = False,
    layout: table_options.LayoutOption = table_options.Layout["tree"],
    format: table_options.FormatOption = "csv",
    header: table_options.HeaderOption = table_options.Header["plain"],
    on_duplicate: table_options.DuplicateOption = table_options.Duplicate["last"],
    time: table_options.TimeOption = "epoch",
    relative_to: table_options.OriginOption = table_options.Origin["run"],
    x: table_options.AxisOption = table_options.Axis["step"],
    align: table_options.BinsOption = None,
    tensors: table_options.TensorsOption = table_options.TensorStyle["elements"],
    escape_formulas: options.FormulasOption = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT if it holds only an earlier conversion, and start anew.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each update.")] = False,
    quiet: options.QuietOption = False,
    workers: options.WorkersOption = None,
    max_expansion: options.ExpansionOption = options.DEFAULT_EXPANSION,
    debug: options.DebugOption = False,
) -> None:
    """Write tables as convert does, and append rows to them while a training writes below LOGDIR.

    It waits for LOGDIR if it does not exist yet. A row is in its table within a second; the index follows. Ctrl-C and
    SIGTERM end it, and the tables are then complete. docs/follow.md says what writers hold back.
    """
    with error_messages(debug=debug):
        from tb2csv.folder_conversion import ConversionSettings
        from tb2csv.following.durations import seconds
        from tb2csv.following.follower import Follower
        from tb2csv.following.live_findings import DiagnosisOptions
        from tb2csv.layouts.output_options import OutputOptions
        from tb2csv.runs.row_selection import RowSelection
        from tb2csv.watching.log_watch import LogWatch

        def check_stopped(_: int) -> None:
            if follower.is_stopped and follower.report is None:
                raise KeyboardInterrupt  # before the first conversion is complete, there is nothing to keep

        settings = ConversionSettings(
            filters.selection,
            RowSelection(min_step, max_step, last=last, restarts=restarts.value, sessions=sessions),
            OutputOptions.of(
                layout=layout.value,
                format=format,
                header=header.value,
                on_duplicate=on_duplicate.value,
                time=time.split(","),
                relative_to=relative_to.value,
                escape_formulas=escape_formulas,
                merge_subruns=merge_subruns,
                sessions=sessions,
                x=x.value,
                align=align,
            ),
            tensors.value,
            workers=workers,
            progress=check_stopped,
        )
        diagnosis = DiagnosisOptions.of(tags_as, thresholds_of(threshold), steps, diagnose=diagnose)
        pause = seconds("--every", every) if every else 0.0
        idle = None if until_idle is None else seconds("--until-idle", until_idle)
        watch = LogWatch(logdir, polls=poll, interval=pause or None, max_expansion=max_expansion)
        with status_line(shown=not (quiet or json)) as show:
            follower = Follower(
                watch,
                settings,
                out,
                overwrite=overwrite,
                every=pause,
                until_idle=idle,
                diagnosis=diagnosis,
                has_frames=False,
                on_wake=show,
            )
            with ended_by_signals(follower), late_interrupts(follower, out):
                for update in follower.updates():
                    if json:
                        print_line(to_dict(update))
                    elif not quiet:
                        print_update(update, is_appended=settings.is_appended)
        report = follower.report
        if report is None:
            raise typer.Exit(0)
        report.update = None  # printed as it happened
        with after_change(out):
            if not (quiet or json):
                _print_end(report, out)
        raise typer.Exit(exit_status(report))


def _print_end(report: Report, out: str) -> None:
    print_problems(report)
    print_result(
        f"{plural(report.values_written, 'value')} of {plural(len(report.runs), 'run')} "
        f"in {plural(report.tables, 'table')}: see {local_path(out) / 'index.csv'}"
    )


@contextlib.contextmanager
def ended_by_signals(follower: Follower) -> Iterator[None]:
    """Let SIGINT and SIGTERM end a follow after its present update; the second SIGINT interrupts as usual."""

    def stop(number: int, _: object) -> None:
        signal.signal(number, earlier[signal.Signals(number)])
        follower.stop()

    earlier = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def late_interrupts(follower: Follower, out: str) -> Iterator[None]:
    """Let an interrupt say that the output has been changed, once it has."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if follower.report is None:
            raise
        raise LateInterrupt(f"{out} has the tables of the last complete update") from interrupt


@contextlib.contextmanager
def status_line(*, shown: bool) -> Iterator[Callable[[FollowStatus], None]]:
    """Yield a function that shows the status: in a line on a terminal, and else only what the follow waits for."""
    waits_for = ""

    def report_wait(status: FollowStatus) -> None:
        nonlocal waits_for
        error = status.waits_for
        text = error.spelled(command_line_spelling) if error else ""
        if text and text != waits_for and shown:
            print_message(f"tb2csv: waiting: {text}")
        waits_for = text

    if not shown or not is_terminal(sys.stderr):
        yield report_wait
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:
        shown_text = ""

        def show(status: FollowStatus) -> None:
            nonlocal shown_text
            report_wait(status)
            age = age_text(clock.monotonic() - status.last_growth)
            counts = f"{plural(status.runs, 'run')}, {plural(status.values, 'value')} read, the last one {age} ago"
            text = counts if status.runs else f"waiting for {age}"
            if text != shown_text:
                live.update(Text(text), refresh=True)
                shown_text = text

        yield show


def age_text(seconds: float) -> str:
    """Return an age in hours or minutes if it is at least two of them, and else in seconds."""
    return next(f"{int(seconds / size)} {unit}" for unit, size in _UNITS.items() if seconds >= 2 * size or size == 1)


def print_update(update: FollowUpdate, *, is_appended: bool) -> None:
    """Print the findings of an update, and the runs that were removed or converted anew."""
    if is_appended:  # otherwise each update converts runs anew
        for note in update.summary.notes():
            print_message(note)
    for row in update.findings.iter_rows(named=True):
        print_result(
            f"run {row['run']!r}, {row['layer']}, steps {row['first_step']} to {row['last_step']}: {row['rule']}: "
            f"{row['message']}"
        )


def to_dict(update: FollowUpdate) -> dict[str, Any]:
    """Return an update as data for JSON."""
    report = update.report
    summary = update.summary
    return {
        "values": summary.values,
        "grown": summary.grown,
        "added": summary.added,
        "renewed": summary.renewed,
        "removed": summary.removed,
        "kept": summary.kept,
        "findings": update.findings.to_dicts(),
        "runs": len(report.runs) if report else 0,
        "values_read": report.values_read if report else 0,
        "damage": report.damage_count if report else 0,
    }


def print_line(value: Any) -> None:
    """Print a value as one line of JSON, at once."""
    print_result(json_text.dumps(value, allow_nan=False))
    sys.stdout.flush()
