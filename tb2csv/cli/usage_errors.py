"""Errors of a command line that was not understood: one sentence each, with the nearest name, safe for a terminal."""

from __future__ import annotations

import inspect
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from tb2csv.cli.terminal import EXIT_ERROR, EXIT_USAGE, error_messages, print_message, print_result
from tb2csv.errors import OptionError
from tb2csv.messages import command_line_spelling
from tb2csv.sources.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: The parser's message about a value that is not among the choices of an option.
_NOT_A_CHOICE: Final = re.compile(r"(['\"])(?P<value>.*)\1 is not one of ", re.DOTALL)

#: Names that are less alike than this are not proposed.
_LIKENESS: Final = 0.6


class UsageCommand(TyperCommand):
    """A command whose surplus arguments are explained."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        """Join the lines of each paragraph of the help, which typer would break as well as wrap on a terminal."""
        super().__init__(*args, **settings)
        paragraphs = inspect.cleandoc(self.help or "").split("\n\n")
        self.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments.

        Raises:
            OptionError: there are more of them than the command takes.
        """
        ctx.allow_extra_args = True
        try:
            rest = super().parse_args(ctx, args)
        except Exception as error:
            if getattr(error, "ctx", ctx) is None:  # the parser does not know the command of an option without a value
                error.ctx = ctx  # type: ignore[attr-defined]
            raise
        if rest and not ctx.resilient_parsing:
            raise OptionError(_surplus(ctx, rest))
        return rest


class UsageGroup(TyperGroup):
    """A group of commands that answers ``help``, and proposes what an unknown command may mean."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; ``help COMMAND`` is ``COMMAND --help``, and no arguments show the help as well."""
        if not args and not ctx.resilient_parsing:  # typer's exit status differs between its versions
            with error_messages(debug=False):
                print_result(ctx.get_help())
            raise typer.Exit(EXIT_USAGE)
        return super().parse_args(ctx, [*args[1:], "--help"] if args[:1] == ["help"] else args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name, the command and its arguments.

        Raises:
            OptionError: there is no such command.
        """
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            raise OptionError(_no_command(args, self.list_commands(ctx), is_first=ctx.parent is None))
        return super().resolve_command(ctx, args)

    def main(self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **more: Any) -> Any:  # type: ignore[override]
        """Run a command and, in ``standalone_mode``, end the process; an error of usage is one sentence."""
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **more)
        try:
            status = super().main(args, standalone_mode=False, **more)
        except OptionError as error:
            _end(error.spelled(command_line_spelling), EXIT_USAGE)
        except typer.Abort:
            _end("Aborted.", EXIT_ERROR)
        except Exception as error:
            if not hasattr(error, "format_message"):  # that of the parser, whose module depends on typer's version
                raise
            _end(_sentence(error), EXIT_USAGE)
        sys.exit(status if isinstance(status, int) else 0)


def _end(sentence: str, status: int) -> NoReturn:
    print_message(f"tb2csv: {sentence}")
    sys.exit(status)


def _sentence(error: Any) -> str:
    """Return the sentence for an error of the parser."""
    ctx = error.ctx
    message: str = error.format_message().rstrip().removesuffix(".")
    near = ""
    if hasattr(error, "option_name") and hasattr(error, "possibilities"):
        message = f"There is no option {error.option_name}"
        near = _nearest(error.option_name, _options(ctx.command))
    elif _is_first_of_several(ctx, getattr(error, "param", None)):
        # The parser gives the last of several arguments to the parameter after the one that takes any number.
        message = f"{ctx.command_path} takes {_taken(ctx)}, and not all of them are given"
    elif found := _NOT_A_CHOICE.match(getattr(error, "message", "") or ""):
        near = _nearest(found["value"], map(str, error.param.type.choices))
    return f"{message}; {near}" if near else f"{message}; see {ctx.command_path if ctx else 'tb2csv'} --help."


def _options(command: Any) -> list[str]:
    return [name for each in command.params if each.param_type_name == "option" for name in each.opts]


def _nearest(name: str, known: Iterable[str]) -> str:
    """Return a proposal of the known name that resembles a name most; empty if none does."""
    import difflib

    found = difflib.get_close_matches(name, [*known], 1, _LIKENESS)
    return f"did you mean {found[0]!r}?" if found else ""


def _no_command(args: list[str], known: list[str], *, is_first: bool) -> str:
    from tb2csv.local_paths import home_expanded

    name, *rest = args
    if near := _nearest(name, known):
        return f"There is no command {name!r}; {near}"
    if is_first and (is_url(name) or os.path.lexists(home_expanded(name))):
        command = "convert" if rest else "ls"
        return f"{name!r} is not a command; did you mean tb2csv {command} {' '.join(args)}?"
    return f"There is no command {name!r}; choose from {', '.join(known)}."


def _is_first_of_several(ctx: Any, param: Any) -> bool:
    """Return whether a parameter takes any number of arguments, and another one takes the last."""
    return param is not None and param.nargs < 0 and param is not _arguments(ctx)[-1]


def _arguments(ctx: Any) -> list[Any]:
    return [each for each in ctx.command.params if each.param_type_name == "argument"]


def _taken(ctx: Any) -> str:
    """Return the arguments of a command."""
    return " ".join(each.human_readable_name for each in _arguments(ctx))


def _surplus(ctx: Any, rest: list[str]) -> str:
    """Return the sentence for arguments that are too many; a shell may have made them of a pattern without quotes."""
    fact = f"{ctx.command_path} takes {_taken(ctx)}, and {rest[0]!r} comes in addition"
    if all(map(os.path.lexists, rest)):
        return (
            f"{fact}; if the shell has replaced a pattern by the names of files, quote the pattern, as in --tag "
            "'*loss*', or give the folder of the files."
        )
    return f"{fact}; see {ctx.command_path} --help."
