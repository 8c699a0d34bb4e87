"""Output of a single table to standard output or a file, and the options for its format."""

from __future__ import annotations

import enum
import json as json_module
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tb2csv.analysis.table_text import TABLE_TEXTS, table_text, text_format
from tb2csv.atomic_files import check_place, whole_file
from tb2csv.cli.terminal import plural, print_result
from tb2csv.errors import OptionError

if TYPE_CHECKING:
    import polars as pl

TextFormat = enum.Enum("TextFormat", {name: name for name in TABLE_TEXTS}, type=str)  # type: ignore[misc]
TextFormatOption = Annotated[
    TextFormat | None,
    typer.Option("--format", metavar="NAME", help="Format of the table. Default: by the ending of FILE, or CSV."),
]
OutputOption = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="File to write, atomically."),
]
TableJsonOption = Annotated[bool, typer.Option("--json", help="The same as --format json.")]


def chosen_format(named: TextFormat | None, out: str | None, *, json: bool, overwrite: bool) -> str:
    """Return the format of a table; call this before the work, so that errors come early.

    Raises:
        OptionError: the options contradict each other.
        OutputError: ``out`` cannot be written.
    """
    if out is not None:
        check_place(out, overwrite=overwrite)
    if json and named is not None and named.value != "json":
        message = f"--json and --format {named.value} are two formats; give one of them."
        raise OptionError(message)
    return "json" if json else text_format(named and named.value, out)


def write_table(
    table: pl.DataFrame, name: str, out: str | None, *, escape_formulas: bool, overwrite: bool, quiet: bool
) -> None:
    """Write the table in the format ``name`` to the file ``out``, or print it if ``out`` is None."""
    text = table_text(table, name, escape_formulas=escape_formulas)
    if out is None:
        if name == "json" and not _prints_unicode():
            text = re.sub(r"[^\x00-\x7f]", lambda match: json_module.dumps(match.group())[1:-1], text)
        print_result(text.removesuffix("\n"))
        return
    with whole_file(out, overwrite=overwrite) as place:
        place.write_text(text, encoding="utf-8", newline="\n")
    if not quiet:
        print_result(f"{plural(len(table), 'row')}: see {out}")


def _prints_unicode() -> bool:
    """Return whether standard output can print any character."""
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
