"""Small tables as CSV, JSON, Markdown or LaTeX text.

Numbers are written in the shortest form that parses back to the same value of their column's type. A missing cell is
empty, or null in JSON. NaN and infinities in JSON are strings, as in JSON Lines. In Markdown and LaTeX, names and cells
are escaped to look the same as in the log.
"""

from __future__ import annotations

import io
import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import OptionError, check_type
from tb2csv.late_modules import pl
from tb2csv.sinks.csv import CsvFormat
from tb2csv.sinks.jsonl import JsonLinesFormat
from tb2csv.sinks.plain_columns import plain_columns

if TYPE_CHECKING:
    import os
    from collections.abc import Callable


#: Markdown's special characters, without an underscore inside a word.
_MARKDOWN: Final = {
    **{character: f"\\{character}" for character in "\\`*|~$"},
    # Entities, because a renderer that does not know the backslash would show them as HTML.
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    "](": "]\\(",
    "\r\n": "<br>",
    "\n": "<br>",
    "\r": "<br>",
}
_EDGE_OF_A_WORD: Final = r"(^|[^0-9A-Za-z])_|_([^0-9A-Za-z]|$)"

_LATEX: Final = {
    **{character: f"\\{character}" for character in "{}$&#%_"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    # After \\, the end of a row, these would be an option.
    "[": "{[}",
    "*": "{*}",
    "--": "-{}-{}",  # would become a dash
    "\r\n": " ",
    "\n": " ",
    "\r": " ",
}


def csv_text(table: pl.DataFrame, *, has_header: bool = True, escape_formulas: bool = False) -> str:
    """Return the table as CSV, as in a file."""
    file = io.BytesIO()
    CsvFormat(escapes_formulas=escape_formulas).append(table, file, is_first=has_header)
    return file.getvalue().decode()


def json_rows(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Return an object for each row, for strict JSON."""
    return [json.loads(line) for line in JsonLinesFormat().lines(table).splitlines()]


def json_text(table: pl.DataFrame) -> str:
    """Return the table as a JSON array with one object per line."""
    lines = JsonLinesFormat().lines(table).decode().removesuffix("\n").replace("\n", ",\n")
    return f"[\n{lines}\n]\n" if lines else "[]\n"


def markdown_text(table: pl.DataFrame) -> str:
    """Return the table in GitHub's Markdown, with numbers right-aligned."""

    def escaped(text: pl.Expr) -> pl.Expr:
        safe = text.str.replace_many(_MARKDOWN, leftmost=True)
        return (
            pl.when(text.str.contains(_EDGE_OF_A_WORD))
            .then(safe.str.replace_all("_", r"\_", literal=True))
            .otherwise(safe)
        )

    names, rows = _cells(table, escaped)
    rule = ("---:" if dtype.is_numeric() else "---" for dtype in table.dtypes)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (names, rule, *rows))


def latex_text(table: pl.DataFrame) -> str:
    """Return the table as a LaTeX ``tabular`` that needs no package, with numbers right-aligned."""
    names, rows = _cells(table, lambda text: text.str.replace_many(_LATEX, leftmost=True))
    columns = "".join("r" if dtype.is_numeric() else "l" for dtype in table.dtypes)
    head, *body = (f"{' & '.join(cells)} \\\\\n" for cells in (names, *rows))
    return f"\\begin{{tabular}}{{{columns}}}\n\\hline\n{head}\\hline\n{''.join(body)}\\hline\n\\end{{tabular}}\n"


def _cells(table: pl.DataFrame, escaped: Callable[[pl.Expr], pl.Expr]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return the names of the columns and the cells of the rows, as escaped text."""
    names = pl.DataFrame({"name": table.columns}, {"name": pl.String}).select(escaped(pl.col("name")))
    cells = table.select(
        (escaped(pl.nth(number)) if dtype == pl.String else pl.nth(number).cast(pl.String)).alias(name)
        for number, (name, dtype) in enumerate(table.schema.items())
    )
    return names["name"].to_list(), cells.with_columns(pl.all().fill_null("")).rows()


#: Functions from a table to text, by format.
TABLE_TEXTS: Final[dict[str, Callable[[pl.DataFrame], str]]] = {
    "csv": csv_text,
    "json": json_text,
    "markdown": markdown_text,
    "latex": latex_text,
}


def table_text(table: pl.DataFrame, format: str = "csv", *, escape_formulas: bool = False) -> str:
    """Return a small table as text, as ``tb2csv summary`` and others write it.

    Args:
        table: such as the ``table`` of a summary.
        format: ``csv``, ``json``, ``markdown`` or ``latex``.
        escape_formulas: in CSV, put an apostrophe before text that a spreadsheet would take for a formula.

    Raises:
        OptionError: the format is unknown, or a column has lists or structures.
    """
    check_type("table", table, pl.DataFrame, "a polars DataFrame, such as the table of a summary")
    name, table = text_format(format, None), plain_columns(table)
    return csv_text(table, escape_formulas=True) if escape_formulas and name == "csv" else TABLE_TEXTS[name](table)


#: The format of a file by its ending.
TEXT_SUFFIXES: Final = {".csv": "csv", ".json": "json", ".md": "markdown", ".markdown": "markdown", ".tex": "latex"}


def text_format(name: str | None, out: str | os.PathLike[str] | None) -> str:
    """Return the name in TABLE_TEXTS: ``name``, or by the ending of the file ``out``, or CSV without both.

    Raises:
        OptionError: the name, or without one the ending, is unknown.
    """
    if name is not None:
        if name in TABLE_TEXTS:
            return name
        message = f"Unknown format {name!r}; choose from {', '.join(TABLE_TEXTS)}."
        raise OptionError(message)
    if out is None:
        return "csv"
    suffix = PurePath(out).suffix.lower()
    if suffix not in TEXT_SUFFIXES:
        message = f"{out} has an unknown ending; choose from {', '.join(TEXT_SUFFIXES)}, or give the format."
        raise OptionError(message)
    return TEXT_SUFFIXES[suffix]
