"""The command line: one module for each command, and no logic that the library lacks."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from tb2csv.cli.check import check
from tb2csv.cli.convert import convert
from tb2csv.cli.diagnose import diagnose
from tb2csv.cli.hparams import hparams
from tb2csv.cli.layer_errors import layer_errors
from tb2csv.cli.ls import ls
from tb2csv.cli.plot import plot
from tb2csv.cli.predict import predict
from tb2csv.cli.reduce import reduce
from tb2csv.cli.state import app as state
from tb2csv.cli.summary import summary
from tb2csv.cli.terminal import EXIT_USAGE, error_messages, print_result

app = typer.Typer(
    name="tb2csv",
    help="Every number in your TensorBoard logs, as tables.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(convert)
app.command()(ls)
app.command()(check)
app.command()(summary)
app.command()(hparams)
app.command()(reduce)
app.command()(plot)
app.command()(diagnose)
app.command()(layer_errors)
app.command()(predict)
app.add_typer(state, name="state")


def _print_version(requested: bool) -> None:  # noqa: FBT001 - typer calls it so
    if requested:
        from tb2csv.event_files.scanners import default_scanner
        from tb2csv.report import __version__

        with error_messages(debug=False):
            print_result(f"tb2csv {__version__} ({default_scanner().name} scanner)")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback does it
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show version and scanner, and exit."),
    ] = False,
) -> None:
    """Every number in your TensorBoard logs, as tables."""
    if context.invoked_subcommand is None:  # typer's own way ends with another status in each of its versions
        with error_messages(debug=False):
            print_result(context.get_help())
        raise typer.Exit(EXIT_USAGE)


def main() -> NoReturn:
    """Run the command line of this process, and end the process with its exit status."""
    signal.signal(signal.SIGTERM, _end)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup ignores it
        signal.signal(signal.SIGHUP, _end)
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, TextIOWrapper)]  # None where closed
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")
    status = 0
    try:
        app(prog_name="tb2csv")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    for stream in streams:
        with contextlib.suppress(OSError):
            stream.flush()
    # All is written. To take the interpreter and its libraries apart first takes a tenth of a short conversion's time.
    os._exit(status)


def _end(number: int, _: object) -> NoReturn:
    """End as by an interrupt: what was begun beside OUT is removed."""
    sys.exit(128 + number)
