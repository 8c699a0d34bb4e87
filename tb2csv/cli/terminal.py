"""Output of commands: progress and errors to standard error, results to standard output, and exit statuses."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final, TextIO

import typer

from tb2csv.cli.interrupts import interruptible
from tb2csv.display import printable
from tb2csv.errors import UNREADABLE, DamagedError, LateInterrupt, OptionError, OutputError, Tb2csvError
from tb2csv.messages import command_line_spelling, listed
from tb2csv.sources.request_watch import WATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tb2csv.errors import Damage
    from tb2csv.logdir import Logdir
    from tb2csv.notes import Note
    from tb2csv.report import Report

EXIT_ERROR: Final = 1
EXIT_USAGE: Final = 2
#: The work is done, but some bytes are damaged.
EXIT_DAMAGED: Final = 3
#: ``diagnose --fail-on`` found a problem.
EXIT_FOUND: Final = 4

_MAX_PROBLEMS: Final = 20
#: What differs between notes that say the same of several runs.
_NAMES_AND_NUMBERS: Final = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d[\d,.]*""")

#: The name of the exception, a BaseException, that polars raises if its own code fails.
_PANIC: Final = "PanicException"

#: The width of a terminal from which on the progress bar has a line with its number of bytes and its speed.
_WIDE: Final = 70
#: The text of the progress bar while no request is late.
_READING: Final = "reading"


@contextlib.contextmanager
def error_messages(*, debug: bool) -> Iterator[None]:
    """Turn an exception into one sentence on standard error and exit status 1, or 2 for an OptionError.

    A slow request to a store prints a line there as well.
    """
    try:
        with interruptible(), WATCH.listen(lambda line: print_message(f"tb2csv: {line}")):
            yield
    except typer.Exit:
        raise
    except BrokenPipeError:  # the reader of our output, such as head, has ended
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(EXIT_ERROR) from None
    except KeyboardInterrupt as interrupt:
        change = printable(str(interrupt)) if isinstance(interrupt, LateInterrupt) else "nothing was changed"
        print_message(f"tb2csv: interrupted; {change}.")
        raise typer.Exit(130) from None
    except BaseException as error:
        if debug or not (isinstance(error, Exception) or type(error).__name__ == _PANIC):
            raise
        print_message(f"tb2csv: {_sentence(error)}")
        raise typer.Exit(EXIT_USAGE if isinstance(error, OptionError) else EXIT_ERROR) from None


def _sentence(error: BaseException) -> str:
    if isinstance(error, Tb2csvError):
        return error.spelled(command_line_spelling)
    detail = f" ({error})" if str(error) else ""
    if isinstance(error, MemoryError):
        return f"There is not enough memory{detail}; end other programs, or use a machine with more of it."
    if isinstance(error, ImportError):
        return f"A package cannot be loaded{detail}; install tb2csv again, or end other programs if memory is short."
    if what := _failed_for_want(error):
        return f"{what} failed{detail}; there may be too little memory, or too many threads or open files."
    return f"unexpected error, please report it with the output of --debug: {type(error).__name__}: {error}"


def _failed_for_want(error: BaseException) -> str | None:
    """Return the name of what raises such an error if it gets no memory, thread or file; None for other errors."""
    if type(error).__name__ == _PANIC:
        return "polars"
    if isinstance(error, SystemError):
        return "A compiled library"
    if isinstance(error, RuntimeError) and str(error).startswith(("can't allocate", "can't start new thread")):
        return "Python"
    return None


@contextlib.contextmanager
def opened_logdir(
    paths: list[str], max_expansion: int, *, shown: bool
) -> Iterator[tuple[Logdir, Callable[[int], None]]]:
    """Find event files; yield them, and a function to call with the number of bytes read since the last call.

    On a terminal, a progress bar shows these bytes if ``shown`` is true.

    Raises:
        LogdirError: there are no event files.
    """
    from tb2csv.logdir import discover

    logdir = discover(paths, max_expansion=max_expansion)
    with _progress(logdir, shown=shown) as report_bytes:
        yield logdir, report_bytes


@contextlib.contextmanager
def _progress(logdir: Logdir, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Yield a function that advances a progress bar by a number of bytes; the bar is shown only on a terminal."""
    if not shown or not is_terminal(sys.stderr):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = [TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()]
    if console.width >= _WIDE:
        columns[2:2] = [DownloadColumn(), TransferSpeedColumn()]
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(_READING, total=logdir.total_bytes())

        def print_above(line: str) -> None:
            bar.console.print(f"tb2csv: {printable(line)}", markup=False, highlight=False)

        def show_waiting(line: str) -> None:
            bar.update(task, description=escape(printable(line)) or _READING)

        with WATCH.listen(print_above, show_waiting):
            yield lambda count: bar.advance(task, count)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a standard stream is a terminal; None is a stream that was closed before the start."""
    return stream is not None and stream.isatty()


def prints_unicode() -> bool:
    """Return whether standard output can print any character."""
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"


def print_message(text: str) -> None:
    """Print a line to standard error, if it can be written. What a name could change on a terminal is escaped."""
    with contextlib.suppress(OSError):
        typer.echo(printable(text), err=True)


def print_notes(notes: Iterable[Note]) -> None:
    """Print notes on a result to standard error."""
    for line in note_lines(notes):
        print_message(line)


def note_lines(notes: Iterable[Note]) -> list[str]:
    """Return notes as sentences; of those on runs that differ only in names and numbers, the first and the runs."""
    alike: dict[tuple[int, str], list[tuple[str, str | None]]] = {}
    for number, note in enumerate(notes):
        text = note.spelled(command_line_spelling)
        key = (number, text) if note.run is None else (-1, _NAMES_AND_NUMBERS.sub("", text))
        alike.setdefault(key, []).append((text, note.run))
    lines = []
    for (text, _), *others in alike.values():
        lines.append(text)
        runs = list(dict.fromkeys(repr(run) for _, run in others))
        if len(runs) > 1:
            lines.append(f"… and likewise {len(runs):,} more runs: {listed(runs)}")
        else:
            lines += [other for other, _ in others]
    return lines


def print_result(text: str) -> None:
    """Print a result to standard output; on a terminal, control characters are escaped, except line feeds and tabs."""
    try:
        # With color, because echo would otherwise remove what looks like a colour from the names and texts of a log.
        typer.echo(printable(text, kept="\n\t") if is_terminal(sys.stdout) else text, color=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"Standard output cannot be written ({error.strerror})."
        raise OutputError(message) from error


def print_json(value: Any) -> None:
    """Print a value as JSON; only in ASCII if standard output may not support other characters."""
    print_result(json.dumps(value, indent=1, ensure_ascii=not prints_unicode(), allow_nan=False))


def print_problems(report: Report) -> None:
    """Print damage, unfinished records, undecodable values and notes to standard error."""
    lines = [f"{each.path}: {_damage_text(each)}" for each in report.damage]
    lines += [
        f"{stats.path}: {plural(stats.unlisted.count, 'more damaged stretch', 'es')}, counted and not listed"
        for _, stats in report.sources
        if stats.unlisted.count
    ]
    lines += [
        f"{stats.path}: the last record is unfinished "
        f"({plural(stats.incomplete_tail_bytes, 'byte')}), "
        "as in a log that is still being written"
        for _, stats in report.sources
        if stats.incomplete_tail_bytes
    ]
    lines += [
        f"run {entry.run!r}, tag {entry.tag!r}, step {entry.step}: kept undecoded: "
        f"{entry.message.spelled(command_line_spelling)}"
        for run in report.runs
        for entry in run.undecodable
    ]
    lines += note_lines(report.notes)
    lines += report.update.notes() if report.update else []
    for line in lines[:_MAX_PROBLEMS]:
        print_message(line)
    if len(lines) > _MAX_PROBLEMS:
        print_message(f"… and {len(lines) - _MAX_PROBLEMS} more; --json lists them all")


def print_report(report: Report, results: Iterable[str], *, json: bool, quiet: bool) -> None:
    """Print a report as JSON; or its problems, and what a command did in ``results``, unless ``quiet`` is true."""
    if json:
        print_json(report.to_dict())
    elif not quiet:
        print_problems(report)
        for line in results:
            print_result(line)


def _damage_text(damage: Damage) -> str:
    text = damage.message.spelled(command_line_spelling)
    if damage.kind == UNREADABLE:
        return text
    fate = "lost" if damage.lost else "repaired"
    return f"byte {damage.offset}: {plural(damage.length, 'byte')} {fate}: {text}"


def damage_summary(report: Report) -> str:
    """Describe how many byte ranges are damaged and, if any, how many files and folders cannot be read."""
    unreadable = sum(damage.kind == UNREADABLE for damage in report.damage)
    stretches = plural(report.damage_count - unreadable, "damaged stretch", "es")
    return stretches + (f", {plural(unreadable, 'path')} that cannot be read" if unreadable else "")


def exit_status(report: Report, *, strict: bool = False) -> int:
    """Return the exit status for a report.

    Raises:
        DamagedError: bytes are damaged, and ``strict`` is true.
    """
    if strict and report.damage:
        message = f"{damage_summary(report)}, the first in {report.damage[0].path}."
        raise DamagedError(message)
    return EXIT_DAMAGED if report.damage else 0


def plural(count: int, noun: str, ending: str = "s") -> str:
    """Return a count and its noun."""
    return f"{count:,} {noun}{'' if count == 1 else ending}"
