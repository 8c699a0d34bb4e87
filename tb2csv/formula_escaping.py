"""Escape text cells that a spreadsheet would run as formulas, with an apostrophe.

A log may come from a stranger, and a spreadsheet runs a cell that starts with one of ``= + - @``, a tab or a carriage
return. The apostrophe makes it text. Cells that already have apostrophes before such a character get one more, so that
removing one apostrophe restores every cell exactly. Numbers are unchanged.
"""

from __future__ import annotations

import re
from typing import Final

from tb2csv.late_modules import pl

#: Cells to escape or unescape: any number of apostrophes, and a character that starts a formula.
_PATTERN: Final = r"^'*[=+\-@\t\r]"
_STARTS_FORMULA: Final = re.compile(_PATTERN)
_WAS_ESCAPED: Final = r"^'('*[=+\-@\t\r])"


def escape_formula(text: str) -> str:
    """Return a cell that a spreadsheet does not run as a formula; most cells are unchanged."""
    return f"'{text}" if _STARTS_FORMULA.match(text) else text


def unescape_formula(text: str) -> str:
    """Undo ``escape_formula``."""
    return text[1:] if text.startswith("'") and _STARTS_FORMULA.match(text) else text


def escape_apostrophes(text: str) -> str:
    """Return a cell from which ``unescape_formula`` gives the text, but which may start a formula."""
    return escape_formula(text) if text.startswith("'") else text


def unescaped(text: pl.Expr) -> pl.Expr:
    """Return a column of text with ``unescape_formula`` applied to each cell."""
    return text.str.replace(_WAS_ESCAPED, "${1}")


def escape_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with its text columns and the names of its columns, which are the first line, escaped.

    The frame itself is returned if its types and names need no escapes.
    """
    names = {name: escape_formula(name) for name in frame.columns if _STARTS_FORMULA.match(name)}
    texts = _texts(frame)
    if texts:
        frame = frame.with_columns(
            pl.when(text.str.contains(_PATTERN)).then("'" + text).otherwise(text).alias(name)
            for name, text in texts.items()
        )
    return frame.rename(names) if names else frame


def unescape_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """Undo ``escape_formulas``: return the frame with the columns and names that it had before."""
    names = {name: unescape_formula(name) for name in frame.columns}
    texts = _texts(frame)
    return frame.with_columns(unescaped(text).alias(name) for name, text in texts.items()).rename(names)


def _texts(frame: pl.DataFrame) -> dict[str, pl.Expr]:
    """Return the text columns by name, each selected by its number: the name ``*`` would select all columns."""
    return {name: pl.nth(i) for i, (name, dtype) in enumerate(frame.schema.items()) if dtype == pl.String}
