"""What commands print: progress and errors to standard error, results to standard output; and their exit statuses."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final, TextIO

import typer

from tb2csv.errors import UNREADABLE, DamagedError, OptionError, OutputError, Tb2csvError
from tb2csv.messages import command_line_spelling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tb2csv.errors import Damage
    from tb2csv.logdir import Logdir
    from tb2csv.report import Report

EXIT_ERROR: Final = 1
EXIT_USAGE: Final = 2
#: Converted or checked, but some bytes were damaged.
EXIT_DAMAGED: Final = 3
#: ``diagnose --fail-on`` found what it was to fail on.
EXIT_FOUND: Final = 4

_SHOWN: Final = 20


@contextlib.contextmanager
def error_messages(*, debug: bool) -> Iterator[None]:
    """Turn an exception into one sentence on standard error and exit status 1, or 2 where it is an OptionError."""
    try:
        yield
    except typer.Exit:
        raise
    except BrokenPipeError:  # whoever read our output, such as head, has had enough
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(EXIT_ERROR) from None
    except KeyboardInterrupt:
        print_message("tb2csv: interrupted; nothing was changed.")
        raise typer.Exit(130) from None
    except Exception as error:
        if debug:
            raise
        if isinstance(error, Tb2csvError):
            print_message(f"tb2csv: {error.spelled(command_line_spelling)}")
        else:
            detail = f"{type(error).__name__}: {error}"
            print_message(f"tb2csv: this should not happen, please report it with what --debug shows: {detail}")
        raise typer.Exit(EXIT_USAGE if isinstance(error, OptionError) else EXIT_ERROR) from None


@contextlib.contextmanager
def progress(logdir: Logdir, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Give a function that moves a progress bar on by so many bytes; the bar is shown only on a terminal."""
    if not shown or not is_terminal(sys.stderr):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=logdir.total_bytes())
        yield lambda count: bar.advance(task, count)


def is_terminal(stream: TextIO | None) -> bool:
    """Say whether a standard stream is a terminal; None is one that was closed before we started."""
    return stream is not None and stream.isatty()


def print_message(text: str) -> None:
    """Print to standard error; where that cannot be written, there is nobody to tell."""
    with contextlib.suppress(OSError):
        typer.echo(text, err=True)


def print_result(text: str) -> None:
    """Print what a command was asked for to standard output."""
    try:
        typer.echo(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"Standard output cannot be written ({error.strerror})."
        raise OutputError(message) from error


def print_json(value: Any) -> None:
    """Print a value as JSON, in ASCII where standard output is not known to take more."""
    encoding = getattr(sys.stdout, "encoding", None) or ""
    ensure_ascii = encoding.lower().replace("-", "") != "utf8"
    print_result(json.dumps(value, indent=1, ensure_ascii=ensure_ascii, allow_nan=False))


def printable(text: str) -> str:
    """Return a name as one line: it comes from the log, and may hold what moves a terminal's cursor."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def print_problems(report: Report) -> None:
    """Print what was damaged, left unfinished, kept undecoded or otherwise deserves a word, to standard error."""
    lines = [f"{printable(each.path)}: {_told(each)}" for each in report.damage]
    lines += [
        f"{printable(account.path)}: the last record is unfinished "
        f"({plural(account.incomplete_tail_bytes, 'byte')}), "
        "as in a log that is still being written"
        for _, account in report.sources
        if account.incomplete_tail_bytes
    ]
    lines += [
        f"run {entry.run!r}, tag {entry.tag!r}, step {entry.step}: kept undecoded: {entry.detail}"
        for run in report.runs
        for entry in run.undecodable
    ]
    lines += report.notes_in(command_line_spelling)
    for line in lines[:_SHOWN]:
        print_message(line)
    if len(lines) > _SHOWN:
        print_message(f"… and {len(lines) - _SHOWN} more; --json lists them all")


def _told(damage: Damage) -> str:
    if damage.kind == UNREADABLE:
        return damage.detail
    fate = "lost" if damage.lost else "repaired"
    return f"byte {damage.offset}: {plural(damage.length, 'byte')} {fate}: {damage.detail}"


def damage_counted(report: Report) -> str:
    """Say how many stretches are damaged, and how many files and folders cannot be read, if any."""
    unreadable = sum(damage.kind == UNREADABLE for damage in report.damage)
    stretches = plural(len(report.damage) - unreadable, "damaged stretch", "es")
    return stretches + (f", {plural(unreadable, 'path')} that cannot be read" if unreadable else "")


def exit_status(report: Report, *, strict: bool = False) -> int:
    """Return the exit status that a report stands for; raises DamagedError where damage is to be an error."""
    if strict and report.damage:
        message = f"{damage_counted(report)}, the first in {printable(report.damage[0].path)}."
        raise DamagedError(message)
    return EXIT_DAMAGED if report.damage else 0


def plural(count: int, noun: str, ending: str = "s") -> str:
    """Return a count and its noun."""
    return f"{count:,} {noun}{'' if count == 1 else ending}"
