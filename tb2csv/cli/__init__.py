"""The command line: one module per command, and no logic of its own."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, cast

import typer
from typer.main import get_command

from tb2csv.cli.terminal import EXIT_ERROR, error_messages, print_message, print_result
from tb2csv.cli.usage_errors import UsageCommand, UsageGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The commands in the order of the help. A command is a function in the module of the same name; a group of commands
#: is the ``app`` of its module.
COMMANDS: Final = (
    "convert",
    "follow",
    "ls",
    "check",
    "repair",
    "metrics",
    "summary",
    "best",
    "hparams",
    "sql",
    "reduce",
    "plot",
    "diagnose",
    "layer-errors",
    "predict",
    "state",
    "mcp",
)


def load_commands(name: str) -> dict[str, Callable[..., None]]:
    """Import a command and return its function by name, or the functions of a group by group and name."""
    app = _load(name)
    group = f"{app.info.name} " if app.info.name else ""
    functions = [each.callback for each in app.registered_commands if each.callback is not None]
    return {group + function.__name__.replace("_", "-"): function for function in functions}


def _load(name: str) -> typer.Typer:
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    if hasattr(module, "app"):
        return cast("typer.Typer", module.app)
    from tb2csv.cli.option_groups import ungrouped  # it imports what reads logs, which --version does not need

    app = typer.Typer(add_completion=False)
    app.command(name, cls=UsageCommand)(ungrouped(getattr(module, module.__name__.rpartition(".")[2])))
    return app


@functools.cache
def _command(name: str) -> Any:
    """Return a command for the parser, which asks for it more than once."""
    return get_command(_load(name))


class _LoadedWhenCalled(Mapping[str, Any]):
    """The commands by name, imported on demand: importing all takes half as long as a small conversion."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        return _command(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Commands(UsageGroup):
    """The group of all commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings | {"commands": _LoadedWhenCalled()})


app = typer.Typer(
    name="tb2csv",
    cls=_Commands,
    help="Every number in your TensorBoard logs, as tables.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:
    if requested:
        from tb2csv.event_files.scanner_choice import default_scanner_name
        from tb2csv.version import __version__

        with error_messages(debug=False):
            print_result(f"tb2csv {__version__} ({default_scanner_name()} scanner)")
        raise typer.Exit


def _install_completion(requested: bool) -> None:
    if requested:
        from tb2csv.cli import completion

        with error_messages(debug=False):
            print_result(completion.install())
        raise typer.Exit


def _show_completion(requested: bool) -> None:
    if requested:
        from tb2csv.cli import completion

        with error_messages(debug=False):
            print_result(completion.script())
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_print_version, is_eager=True, help="Show version and scanner, and exit."
        ),
    ] = False,
    install_completion: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            callback=_install_completion,
            is_eager=True,
            help="Install completion for this shell: bash, zsh or fish.",
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            callback=_show_completion,
            is_eager=True,
            help="Print the script that --install-completion installs.",
        ),
    ] = False,
) -> None:
    """Every number in your TensorBoard logs, as tables."""


def main() -> NoReturn:
    """Run the command line, and end the process with its exit status."""
    signal.signal(signal.SIGTERM, _end)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup ignores it
        signal.signal(signal.SIGHUP, _end)
    streams = [
        stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, TextIOWrapper)
    ]  # a closed one is None
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")
    status = 0
    try:
        if request := os.environ.get("_TB2CSV_COMPLETE"):
            from tb2csv.cli import completion

            if found := completion.answer(get_command(app), request):
                print_result(found)
        else:
            app(prog_name="tb2csv")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except Exception:  # noqa: BLE001 - with --debug, which shows the traceback; names in it are escaped
        for line in traceback.format_exc().splitlines():
            print_message(line)
        status = EXIT_ERROR
    for stream in streams:
        with contextlib.suppress(OSError):
            stream.flush()
    # All is written. The regular shutdown of the interpreter takes a tenth of a short conversion's time.
    os._exit(status)


def _end(number: int, _: object) -> NoReturn:
    """End as after an interrupt: temporary files are removed."""
    sys.exit(128 + number)
