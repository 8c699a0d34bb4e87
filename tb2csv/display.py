"""Text and HTML of results, for consoles and notebooks."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_Class = TypeVar("_Class", bound=type)

#: What is shown in place of the middle of a long name.
OMITTED: Final = "…"

#: The number of lines of a list that are shown.
_SHOWN_LINES: Final = 10


def displayed(*, is_brief: bool = False) -> Callable[[_Class], _Class]:
    """Give a class ``__repr__`` and, for notebooks, ``_repr_html_``.

    Its method ``_display`` yields what is shown: first a title, then lists of lines, polars frames, and other results
    that are displayed. Names in logs are hostile text: they are escaped.

    Args:
        is_brief: let ``__repr__`` return only the title.
    """

    def decorate(cls: _Class) -> _Class:
        def as_text(self: Any) -> str:
            texts = map(_text, self._display())
            return next(texts) if is_brief else "\n".join(filter(None, texts))

        def as_html(self: Any) -> str:
            return "".join(map(_html, self._display()))

        for name, method in {"__repr__": as_text, "_repr_html_": as_html}.items():
            method.__name__, method.__qualname__ = name, f"{cls.__qualname__}.{name}"
            setattr(cls, name, method)
        return cls

    return decorate


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number and its noun, such as ``1 run`` and ``2 runs``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str, *, kept: str = "") -> str:
    """Return text with the characters escaped with which a name could change what a terminal shows.

    These are control characters, line feeds among them, and characters without a shape of their own, such as marks of
    the direction of writing. The characters in ``kept`` are not escaped.
    """
    if text.isprintable():
        return text
    return "".join(each if _is_harmless(each) or each in kept else repr(each)[1:-1] for each in text)


def shortened(name: str, width: int) -> str:
    """Return a name, with its middle omitted if it is too long: names differ at either end."""
    if len(name) <= width:
        return name
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}{OMITTED}{name[len(name) - end :]}"


def _is_harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"  # a space


def _text(part: Any) -> str:
    if isinstance(part, str):
        return printable(part)
    if isinstance(part, list):
        return "\n".join(f"- {printable(line)}" for line in _shortened(part))
    return str(part)


def _html(part: Any) -> str:
    import html  # few processes show results as HTML

    if isinstance(part, str):
        return f"<p>{html.escape(part)}</p>"
    if isinstance(part, list):
        items = (f"<li>{html.escape(line)}</li>" for line in _shortened(part))
        return f"<ul>{''.join(items)}</ul>" if part else ""
    page: str = part._repr_html_()
    return page


def _shortened(lines: Iterable[object]) -> list[str]:
    texts = [str(line) for line in lines]
    more = len(texts) - _SHOWN_LINES
    return [*texts[:_SHOWN_LINES], *([f"and {more:,} more"] if more > 0 else [])]
