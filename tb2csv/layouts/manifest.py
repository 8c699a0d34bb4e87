"""What a conversion wrote: ``index.csv``, its table of contents, and ``datapackage.json``, with every table's schema.

The data package follows https://specs.frictionlessdata.io; the account of the source files rides in it under
``tb2csv``.
"""

from __future__ import annotations

import base64
import functools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tb2csv.decoders.meshes import mesh_content_type
from tb2csv.sinks.csv import CsvFormat
from tb2csv.sinks.formula_escaping import escape_formula
from tb2csv.sinks.output_folder import DATA_PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl

    from tb2csv.report import Report
    from tb2csv.sinks.format_protocols import Format
    from tb2csv.sinks.output_folder import OutputFolder
    from tb2csv.time_series import SeriesMetadata

INDEX: Final = "index.csv"


@dataclass(slots=True)
class TableEntry:
    """One table that was written: a row of the index. Cells that do not apply are None."""

    path: str
    run: str | None
    tag: str | None
    kind: str
    plugin_name: str | None
    schema: Mapping[str, pl.DataType]
    #: What the writer stored about the tag.
    metadata: SeriesMetadata | None = None
    #: The format, where it is not that of the conversion.
    format: Format | None = None
    rows: int = 0
    first_step: int | None = None
    last_step: int | None = None
    first_wall_time: float | None = None
    last_wall_time: float | None = None
    #: How many cells the format wrote as missing ones although they are not.
    lost_cells: int = 0

    @property
    def content_type(self) -> str | None:
        """What the tensors of a mesh are; None for other kinds."""
        return mesh_content_type(self.metadata.plugin_content) if self.kind == "meshes" and self.metadata else None


def write_manifest(
    folder: OutputFolder,
    entries: Iterable[TableEntry],
    stored: Iterable[str],
    report: Report,
    table_format: Format,
    *,
    escape_formulas: bool = False,
) -> None:
    """Write ``index.csv`` and ``datapackage.json``.

    ``stored`` are the folders of files that tables point to; ``table_format`` is that of tables that name no other.
    ``escape_formulas`` is for the index, which is CSV whatever the tables are.
    """
    entries = list(entries)
    index = _index_frame(entries)
    own = CsvFormat(escapes_formulas=escape_formulas)
    with folder.open(INDEX) as file:
        own.append(index, file, is_first=True)
    names = _ResourceNames()
    told_by_writer = functools.cache(_told_by_writer)  # many runs say the same of their tags
    resources = [_resource(names.name(INDEX), INDEX, own, index.schema)]
    resources += [
        _resource(names.name(entry.path), entry.path, entry.format or table_format, entry.schema)
        + (told_by_writer(entry.metadata) if entry.metadata else "")
        + (f', "tb2csv:content_type": {_json(entry.content_type)}' if entry.content_type else "")
        + (f', "tb2csv:made_null": {entry.lost_cells}' if entry.lost_cells else "")
        for entry in entries
    ]
    account = {**report.to_dict(), "escape_formulas": escape_formulas, "folders": sorted(stored)}
    # A line for each table and each source: json's own indentation is ten times slower, and a line for each word.
    text = (
        '{\n"profile": "tabular-data-package",\n"name": "tensorboard-tables",\n'
        f'"resources": {_listed(f"{{{resource}}}" for resource in resources)},\n'
        f'"tb2csv": {{\n{_members(account)}\n}}\n}}\n'
    )
    folder.append(DATA_PACKAGE, text.encode())


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _listed(lines: Iterable[str]) -> str:
    return "[\n" + ",\n".join(lines) + "\n]"


def _members(values: Mapping[str, Any]) -> str:
    return ",\n".join(
        f"{_json(name)}: {_listed(map(_json, value)) if value and isinstance(value, list) else _json(value)}"
        for name, value in values.items()
    )


def _index_frame(entries: list[TableEntry]) -> pl.DataFrame:
    import polars as pl

    columns: dict[str, Any] = {
        "path": pl.String,
        "run": pl.String,
        "tag": pl.String,
        "kind": pl.String,
        "plugin_name": pl.String,
        "rows": pl.Int64,
        "first_step": pl.Int64,
        "last_step": pl.Int64,
        "first_wall_time": pl.Float64,
        "last_wall_time": pl.Float64,
        "content_type": pl.String,
    }
    return pl.DataFrame([[getattr(entry, name) for entry in entries] for name in columns], columns, orient="col")


class _ResourceNames:
    """Gives every resource the name that the specification asks for: lower case, of few characters, and unique."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def name(self, path: str) -> str:
        name = re.sub(r"[^a-z0-9._/-]", "-", path.lower())
        count = self._taken[name] = self._taken.get(name, 0) + 1
        return name if count == 1 else self.name(f"{name}-{count}")


#: polars' types in the words of the specification.
_FIELD_TYPES: Final = {"Float": "number", "Int": "integer", "UInt": "integer", "Boolean": "boolean", "String": "string"}

#: What a moment is called: its type in polars has a unit and a zone, of which there is one each.
_DATETIME: Final = "datetime"
_DATETIME_PATTERN: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


def _resource(name: str, path: str, table_format: Format, schema: Mapping[str, pl.DataType]) -> str:
    """Return what the data package says of a table, as the members of a JSON object."""
    own = f'"profile": "tabular-data-resource", "name": {_json(name)}, "path": {_json(path)}'
    # Where a format has a word for what is missing, an empty cell is an empty text.
    missing = "" if table_format.properties["format"] == "csv" else None
    columns = tuple(schema.items())
    if isinstance(table_format, CsvFormat) and table_format.escapes_formulas:  # names are cells of the first line
        columns = tuple((escape_formula(column), dtype) for column, dtype in columns)
    return f"{own}, {_json(dict(table_format.properties))[1:-1]}, {_schema(columns, missing)}"


@functools.lru_cache(maxsize=1024)  # ten thousand tables have but a few sorts of columns
def _schema(columns: tuple[tuple[str, pl.DataType], ...], missing: str | None) -> str:
    fields = [_field(column, dtype) for column, dtype in columns]
    return f'"schema": {_json({"fields": fields, "missingValues": [] if missing is None else [missing]})}'


def _told_by_writer(metadata: SeriesMetadata) -> str:
    """Return what the writer stored about a tag, as further members; nothing where it stored nothing."""
    properties = {
        "title": metadata.display_name,
        "description": metadata.description,
        "tb2csv:plugin_content": base64.b64encode(metadata.plugin_content).decode("ascii"),
    }
    return "".join(f", {_json(name)}: {_json(text)}" for name, text in properties.items() if text)


def _field(name: str, dtype: pl.DataType) -> dict[str, str]:
    if dtype.is_temporal():
        return {"name": name, "type": _DATETIME, "format": _DATETIME_PATTERN, "tb2csv:dtype": _DATETIME}
    exact = str(dtype)
    return {"name": name, "type": _FIELD_TYPES[exact.rstrip("0123456789")], "tb2csv:dtype": exact.lower()}


def column_type(name: str) -> pl.DataType:
    """Return the type that a column has in polars by the ``tb2csv:dtype`` of its field; raises KeyError for none."""
    import polars as pl

    known = [
        *(pl.Float32(), pl.Float64(), pl.Boolean(), pl.String()),
        *(pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64(), pl.UInt8(), pl.UInt16(), pl.UInt32(), pl.UInt64()),
    ]
    return {_DATETIME: pl.Datetime("us", "UTC"), **{str(dtype).lower(): dtype for dtype in known}}[name]
