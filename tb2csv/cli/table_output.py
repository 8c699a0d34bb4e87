"""Output of a single table to standard output or a file, and the options for its format."""

from __future__ import annotations

import enum
import json as json_module
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import typer

from tb2csv.analysis.table_text import TABLE_TEXTS, table_text, text_format
from tb2csv.atomic_files import check_place, whole_file
from tb2csv.cli import options
from tb2csv.cli.terminal import is_terminal, plural, print_result, prints_unicode
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
        autocompletion=options.one_of((*TABLE_TEXTS, *_FILE_FORMATS)),
        help=f"Format of the table: {', '.join(TABLE_TEXTS)}; with --output also {', '.join(_FILE_FORMATS)}. "
        "Default: by the ending of FILE, or CSV.",
    ),
]
OutputOption = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="File to write, atomically; - is standard output."),
]


@dataclass(eq=False, repr=False)
class _TableOutput:
    """Where and how a command writes its table."""

    #: The formats in addition to those of text.
    file_formats: ClassVar[tuple[str, ...]] = ()

    output: OutputOption = None
    format: TextFormat | str | None = None
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False
    escape_formulas: options.FormulasOption = False
    overwrite: options.OverwriteFileOption = False

    @property
    def _file(self) -> str | None:
        """The file to write; None for standard output."""
        return None if self.output == "-" else self.output

    @property
    def is_drawn(self) -> bool:
        """Whether the table is drawn for a person: on a terminal, unless a format or a file is chosen."""
        return self.format is None and self.output is None and not self.json and is_terminal(sys.stdout)

    def check(self) -> None:
        """Check the options; call this before the work, so that errors come early.

        Raises:
            OptionError: they contradict each other.
            OutputError: the file cannot be written.
        """
        if self._file is not None:
            check_place(self._file, overwrite=self.overwrite)
        self._chosen_format()

    def show(self, table: pl.DataFrame, *, quiet: bool, rows: int | None = None) -> None:
        """Draw the table if it is for a person; write it otherwise. ``rows`` is as in ``print_table``."""
        if self.is_drawn:
            from tb2csv.cli.drawn_table import print_table

            print_table(table, rows=rows)
        else:
            self.write(table, quiet=quiet)

    def write(self, table: pl.DataFrame, *, quiet: bool) -> None:
        """Write the table to the file, or print it if there is none."""
        name = self._chosen_format()
        if self._file is None:
            self._print(table, name)
            return
        if name in TABLE_TEXTS:
            text = table_text(table, name, escape_formulas=self.escape_formulas)
            with whole_file(self._file, overwrite=self.overwrite) as place:
                place.write_text(text, encoding="utf-8", newline="\n")
        else:
            if isinstance(FORMATS[name], TextTableFormat):
                table = plain_columns(table)
            write_table_file(
                self._file,
                table.schema,
                iter([table]),
                format=name,
                escape_formulas=self.escape_formulas,
                overwrite=self.overwrite,
            )
        if not quiet:
            print_result(f"{plural(len(table), 'row')}: see {self._file}")

    def _print(self, table: pl.DataFrame, name: str) -> None:
        text = table_text(table, name, escape_formulas=self.escape_formulas)
        if name == "json" and not prints_unicode():
            text = re.sub(r"[^\x00-\x7f]", lambda match: json_module.dumps(match.group())[1:-1], text)
        print_result(text.removesuffix("\n"))

    def _chosen_format(self) -> str:
        """Return the name of the format.

        Raises:
            OptionError: the options contradict each other, or the ending of the file is unknown.
        """
        name = None if self.format is None else str(getattr(self.format, "value", self.format))
        if self.json and name not in {None, "json"}:
            message = f"--json and --format {name} are two formats; give one of them."
            raise OptionError(message)
        if self.json:
            name = "json"
        if name is None and self._file is not None:
            name = next((each for each in self.file_formats if self._file.lower().endswith(FORMATS[each].suffix)), None)
        if name not in self.file_formats:
            return text_format(name, self._file)
        if self._file is None:
            message = f"The format {name} is for files"
            raise OptionError(message, advice("give {}", Option("output", "FILE")))
        return name


@dataclass(eq=False, repr=False)
class TableOutput(_TableOutput):
    """Where and how a command writes a small table."""

    format: TextFormatOption = None


@dataclass(eq=False, repr=False)
class AnyTableOutput(_TableOutput):
    """Where and how a command writes a table of any size."""

    file_formats = _FILE_FORMATS

    format: AnyFormatOption = None
