"""Write the help texts of all commands into docs/cli.md, between its two marks.

    python docs/make_cli_reference.py

The texts are those of the commands' own functions. They are laid out here and not by ``--help``, whose frames and line
breaks change with the terminal and from one version of typer to the next.
"""

from __future__ import annotations

import enum
import inspect
import textwrap
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tb2csv.cli import COMMANDS, load_commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE: Final = Path(__file__).with_name("cli.md")
START: Final = "<!-- help:start -->\n"
END: Final = "<!-- help:end -->\n"

_WIDTH: Final = 100
_TERM: Final = 26


class Parameter(typing.NamedTuple):
    """An argument or an option of a command."""

    is_argument: bool
    names: tuple[str, ...]
    #: The placeholder of its value; empty for a flag.
    value: str
    choices: tuple[str, ...]
    default: str
    help: str


def commands() -> dict[str, Callable[..., None]]:
    """Return the function of every command, by the command's name; a command of a group has that before its own."""
    return {name: function for each in COMMANDS for name, function in load_commands(each).items()}


def parameters(function: Callable[..., None]) -> list[Parameter]:
    """Return the arguments and options of a command, ``--help`` aside."""
    hints = typing.get_type_hints(function, include_extras=True)
    return [
        _parameter(name, hints[name], each.default) for name, each in inspect.signature(function).parameters.items()
    ]


def _parameter(name: str, hint: Any, default: Any) -> Parameter:
    if typing.get_origin(hint) is not typing.Annotated:  # Python 3.10 makes it optional if the default is None
        hint = next(each for each in typing.get_args(hint) if typing.get_origin(each) is typing.Annotated)
    kind, info = typing.get_args(hint)
    is_argument = type(info).__name__ == "ArgumentInfo"
    inner = (typing.get_args(kind) or (kind,))[0]
    choices = tuple(each.value for each in inner) if isinstance(inner, enum.EnumMeta) else ()
    value = "" if inner is bool else info.metavar or ("NAME" if choices else "VALUE")
    # Without Annotated, typer has the default in place of the first name.
    given = [each for each in (info.default, *(info.param_decls or ())) if isinstance(each, str)]
    given = [one for each in given for one in each.split("/")]  # a flag and its opposite
    names = (value,) if is_argument else tuple(sorted(given or [f"--{name}"], key=len))
    return Parameter(is_argument, names, value, choices, getattr(default, "value", ""), info.help)


def page() -> str:
    """Return docs/cli.md with the help texts as they are now."""
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    texts = [f"### tb2csv {name}\n\n```text\n{_help(name, function)}\n```\n" for name, function in commands().items()]
    return "\n".join([before + START, *texts, END + rest.split(END)[1]])


def _help(name: str, function: Callable[..., None]) -> str:
    known = parameters(function)
    lines = [" ".join(["tb2csv", name, "[OPTIONS]", *(each.value for each in known if each.is_argument)])]
    for paragraph in inspect.cleandoc(function.__doc__ or "").split("\n\n"):
        text = " ".join(paragraph.split())
        lines += ["", *textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="  ")]
    lines.append("")
    for each in known:
        text = each.help
        if each.choices:
            text += f" One of: {', '.join(each.choices)}."
        if each.default:
            text += f" Default: {each.default}."
        lines += _entry(", ".join(each.names) + f" {each.value}" * (bool(each.value) and not each.is_argument), text)
    return "\n".join([*lines, *_entry("-h, --help", "Show this message and exit.")])


def _entry(term: str, text: str) -> Iterator[str]:
    first = f"  {term}".ljust(_TERM)
    if not first.endswith("  "):
        yield first
        first = " " * _TERM
    yield from textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=" " * _TERM, break_on_hyphens=False)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
