"""Text cells that a spreadsheet would take for a formula, and an apostrophe before each of them.

Names and texts of a log come from whoever wrote it; a spreadsheet runs a cell that starts with one of ``= + - @``, a
tab or a carriage return. The apostrophe makes text of it. Cells that have apostrophes before such a character already
get one more: so what is escaped is known by its looks, and taking one apostrophe away gives back every cell exactly.
Numbers are never touched.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

#: What is escaped, or was: a character that starts a formula, behind any number of apostrophes.
_PATTERN: Final = r"^'*[=+\-@\t\r]"
_STARTS_FORMULA: Final = re.compile(_PATTERN)
_WAS_ESCAPED: Final = r"^'('*[=+\-@\t\r])"


def escape_formula(text: str) -> str:
    """Return one cell so that no spreadsheet takes it for a formula; most stay as they are."""
    return f"'{text}" if _STARTS_FORMULA.match(text) else text


def unescape_formula(text: str) -> str:
    """Undo ``escape_formula``."""
    return text[1:] if text.startswith("'") and _STARTS_FORMULA.match(text) else text


def escape_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with its columns of text escaped, and the names of its columns, which are the first line.

    The frame itself comes back where there is nothing to escape by its types and names.
    """
    import polars as pl

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
    return frame.with_columns(
        text.str.replace(_WAS_ESCAPED, "${1}").alias(name) for name, text in texts.items()
    ).rename(names)


def _texts(frame: pl.DataFrame) -> dict[str, pl.Expr]:
    """Return the columns of text by name, each chosen by its number: by its name, ``*`` would be all columns."""
    import polars as pl

    return {name: pl.nth(i) for i, (name, dtype) in enumerate(frame.schema.items()) if dtype == pl.String}
