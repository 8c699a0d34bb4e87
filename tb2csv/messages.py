"""Messages whose advice names options, which each face spells in its own way.

An option is called by its name in Python: ``on_duplicate`` is ``--on-duplicate`` on the command line and may have a
title, or be missing, in a page. Advice that names only options that a face lacks is left out there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias


class Option(NamedTuple):
    """An option of a function or command, and the value to give it, if one is meant; True and False are flags.

    A dictionary is one argument in Python, and repeats the option for each of its entries on the command line.
    """

    name: str
    value: str | bool | Mapping[str, str] | None = None


class Function(Option):
    """A public function, by its name in ``tb2csv``; the command line has a command for it, and a page may have none."""

    __slots__ = ()


#: Spell an option or a function; None if the face does not have it.
Spelling: TypeAlias = Callable[[Option], "str | None"]


class Advice(NamedTuple):
    """Something to do, such as ``leave out {}``: the options take the place of the braces."""

    text: str
    options: tuple[Option, ...] = ()

    def spelled(self, spelling: Spelling) -> str | None:
        """Return the advice in the words of a face; None if the face has none of its options."""
        if not self.options:
            return self.text
        known = [name for name in map(spelling, self.options) if name]
        return self.text.format(" and ".join(known)) if known else None


class Message(NamedTuple):
    """A fact and the advice on it; ``str`` gives the message in the words of Python."""

    fact: str
    advice: tuple[Advice, ...] = ()

    def spelled(self, spelling: Spelling) -> str:
        """Return the message in the words of a face."""
        known = [text for each in self.advice if (text := each.spelled(spelling))]
        return f"{self.fact}; {', or '.join(known)}" if known else self.fact

    def __str__(self) -> str:
        """Return the message with options as arguments."""
        return self.spelled(python_spelling)


def advice(text: str, *options: str | Option) -> Advice:
    """Return advice on options, each given by its name, or with a value."""
    return Advice(text, tuple(Option(each) if isinstance(each, str) else each for each in options))


#: How many items a note lists.
LISTED: Final = 3


def listed(items: Iterable[str]) -> str:
    """Return the first items of a list, and the number of the others: ``a, b, c and 2 more``."""
    texts = list(items)
    more = len(texts) - LISTED
    return ", ".join(texts[:LISTED]) + (f" and {more:,} more" if more > 0 else "")


def python_spelling(option: Option) -> str:
    """Spell an option as an argument of a Python function, and a function as an attribute of ``tb2csv``."""
    if isinstance(option, Function):
        return f"tb2csv.{option.name}"
    return option.name if option.value is None else f"{option.name}={option.value!r}"


#: Options with another name on the command line, which takes one entry each time.
_COMMAND_LINE_NAMES: Final = {"renames": "map"}


#: Arguments of functions that have a place, and not a name, on the command line.
_ARGUMENTS: Final = {"out": "OUT"}


#: Options with a value that are flags on the command line.
_FLAGS: Final = {("goal", "max"): "--max", ("goal", "min"): "--min"}


#: Functions whose command has another name.
_COMMANDS: Final = {"recorded_state": "state from-logs"}


def command_line_spelling(option: Option) -> str:
    """Spell an option as the command line takes it, and a function as the command of the same name."""
    if isinstance(option, Function):
        return f"tb2csv {_COMMANDS.get(option.name, option.name.replace('_', '-'))}"
    if option.name in _ARGUMENTS:
        return _ARGUMENTS[option.name]
    if isinstance(option.value, str) and (option.name, option.value) in _FLAGS:
        return _FLAGS[option.name, option.value]
    name = f"--{_COMMAND_LINE_NAMES.get(option.name, option.name).replace('_', '-')}"
    if isinstance(option.value, Mapping):
        return " ".join(f"{name} {key}={value}" for key, value in option.value.items())
    if option.value is False:
        return f"--no-{name[2:]}"
    return name if option.value is None or option.value is True else f"{name} {option.value}"
