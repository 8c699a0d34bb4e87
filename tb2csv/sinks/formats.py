"""The formats of tables by name.

A new format needs a module here and a line in FORMATS. A package outside needs an entry point of the group
``tb2csv.sinks`` with the format's name that gives a TextFormat or a WholeFormat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.errors import OptionError, check_flag, check_type
from tb2csv.sinks.arrow import ArrowFormat
from tb2csv.sinks.csv import CompressedCsvFormat, CsvFormat
from tb2csv.sinks.jsonl import JsonLinesFormat, NullJsonLinesFormat
from tb2csv.sinks.parquet import ParquetFormat

if TYPE_CHECKING:
    from tb2csv.sinks.format_protocols import TextFormat, WholeFormat

FORMATS: Final[dict[str, TextFormat | WholeFormat]] = {
    "csv": CsvFormat(),
    "csv.gz": CompressedCsvFormat("gzip"),
    "csv.zst": CompressedCsvFormat("zstd"),
    "parquet": ParquetFormat(),
    "arrow": ArrowFormat(),
    "jsonl": JsonLinesFormat(),
    "jsonl-null": NullJsonLinesFormat(),
}


def choose_format(name: str, *, escape_formulas: bool = False) -> TextFormat | WholeFormat:
    """Return the format with a name.

    ``escape_formulas`` is for CSV, which spreadsheets open; the other formats have a text type and need no escapes.

    Raises:
        OptionError: there is no such format.
    """
    check_type("format", name, str, "the name of a format")
    check_flag("escape_formulas", escape_formulas)
    own = FORMATS.get(name)
    if own is not None:
        return own.escaping_formulas() if escape_formulas and isinstance(own, CsvFormat) else own
    from importlib.metadata import entry_points

    installed = {entry_point.name: entry_point for entry_point in entry_points(group="tb2csv.sinks")}
    if name in installed:
        loaded: TextFormat | WholeFormat = installed[name].load()
        return loaded
    message = f"Unknown format {name!r}; choose from {', '.join([*FORMATS, *installed])}."
    raise OptionError(message)
