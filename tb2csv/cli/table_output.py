"""Output of a single table to standard output or a file, and the options for its format."""

from __future__ import annotations

import enum
import json as json_module
import re
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tb2csv.analysis.table_text import TABLE_TEXTS, table_text, text_format
from tb2csv.atomic_files import check_place, whole_file
from tb2csv.cli.terminal import is_terminal, plural, print_result
from tb2csv.errors import OptionError
from tb2csv.messages import Option, advice
from tb2csv.sinks.format_protocols import LossyFormat
from tb2csv.sinks.format_protocols import TextFormat as TextTableFormat
from tb2csv.sinks.formats import FORMATS
from tb2csv.sinks.plain_columns import plain_columns
from tb2csv.sinks.table_file import write_table_file

if TYPE_CHECKING:
    import polars as pl

TextFormat = enum.Enum("TextFormat", {name: name for name in TABLE_TEXTS}, type=str)  # type: ignore[misc]
TextFormatOption = Annotated[
    TextFormat | None,
    typer.Option("--format", metavar="NAME", help="Format of the table. Default: by the ending of FILE, or CSV."),
]
#: Formats of files, which are not printed; those that lose values are not among them.
_FILE_FORMATS: Final = tuple(
    name for name, each in FORMATS.items() if name not in TABLE_TEXTS and not isinstance(each, LossyFormat)
)
AnyFormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help=f"Format of the table: {', '.join(TABLE_TEXTS)}; with --output also {', '.join(_FILE_FORMATS)}. "
        "Default: by the ending of FILE, or CSV.",
    ),
]
OutputOption = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="File to write, atomically."),
]
TableJsonOption = Annotated[bool, typer.Option("--json", help="The same as --format json.")]


def is_drawn(named: object, out: str | None, *, json: bool) -> bool:
    """Return whether a table is drawn for a person: on a terminal, unless a format or a file is chosen."""
    return named is None and out is None and not json and is_terminal(sys.stdout)


def chosen_format(named: TextFormat | None, out: str | None, *, json: bool, overwrite: bool) -> str:
    """Return the format of a table; call this before the work, so that errors come early.

    Raises:
        OptionError: the options contradict each other.
        OutputError: ``out`` cannot be written.
    """
    if out is not None:
        check_place(out, overwrite=overwrite)
    return text_format(_named_format(named and named.value, json=json), out)


def any_format(named: str | None, out: str | None, *, json: bool, overwrite: bool) -> str:
    """Return the format of a table of any size, as ``chosen_format``; errors as there."""
    if out is not None:
        check_place(out, overwrite=overwrite)
    name = _named_format(named, json=json)
    if name is None and out is not None:
        name = next((each for each in _FILE_FORMATS if out.lower().endswith(FORMATS[each].suffix)), None)
    if name not in _FILE_FORMATS:
        return text_format(name, out)
    if out is None:
        message = f"The format {name} is for files"
        raise OptionError(message, advice("give {}", Option("output", "FILE")))
    return name


def _named_format(named: str | None, *, json: bool) -> str | None:
    if json and named not in {None, "json"}:
        message = f"--json and --format {named} are two formats; give one of them."
        raise OptionError(message)
    return "json" if json else named


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


def write_any(
    table: pl.DataFrame, name: str, out: str | None, *, escape_formulas: bool, overwrite: bool, quiet: bool
) -> None:
    """Write a table in the format that ``any_format`` returned, as ``write_table``."""
    if name in TABLE_TEXTS or out is None:
        write_table(table, name, out, escape_formulas=escape_formulas, overwrite=overwrite, quiet=quiet)
        return
    if isinstance(FORMATS[name], TextTableFormat):
        table = plain_columns(table)
    rows = write_table_file(
        out, table.schema, iter([table]), format=name, escape_formulas=escape_formulas, overwrite=overwrite
    )
    if not quiet:
        print_result(f"{plural(rows, 'row')}: see {out}")


def _prints_unicode() -> bool:
    """Return whether standard output can print any character."""
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
