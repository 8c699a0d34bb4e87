"""Write the manifest of a conversion: ``index.csv`` lists the tables, and ``datapackage.json`` has their schemas.

The data package follows https://specs.frictionlessdata.io; its property ``tb2csv`` has the report on the source files.
"""

from __future__ import annotations

import base64
import functools
import itertools
import json
import operator
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tb2csv.decoders.meshes import mesh_content_type
from tb2csv.formula_escaping import escape_formula
from tb2csv.late_modules import pl
from tb2csv.plain_data import ANYTHING, COUNT, Maybe, check
from tb2csv.runs.saved_run import metadata_from_data, metadata_to_data
from tb2csv.sinks.csv import CsvFormat
from tb2csv.sinks.output_folder import DATA_PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tb2csv.report import Report
    from tb2csv.sinks.format_protocols import Format
    from tb2csv.sinks.table_folder import TableFolder
    from tb2csv.time_series import SeriesMetadata

INDEX: Final = "index.csv"


@dataclass(slots=True, eq=False, repr=False)
class TableEntry:
    """A table that was written, as a row of the index. Cells that do not apply are None."""

    path: str
    run: str | None
    tag: str | None
    kind: str
    plugin_name: str | None
    schema: Mapping[str, pl.DataType]
    #: The metadata that the writer stored for the tag.
    metadata: SeriesMetadata | None = None
    #: The format, if it differs from that of the conversion.
    format: Format | None = None
    rows: int = 0
    first_step: int | None = None
    last_step: int | None = None
    first_wall_time: float | None = None
    last_wall_time: float | None = None
    #: The number of cells that the format wrote as missing although they have a value.
    lost_cells: int = 0

    def to_data(self) -> list[Any]:
        """Return the entry of a table of a run as data for JSON, without its run, path and schema."""
        metadata = None
        if self.metadata:
            first, *rest = metadata_to_data(self.metadata)
            metadata = [first, *rest] if any(rest) else first
        return [*_saved_cells(self), metadata]

    @classmethod
    def from_data(cls, run: str, path: str, schema: Mapping[str, pl.DataType], data: Sequence[Any]) -> TableEntry:
        """Return the entry that ``to_data`` described; ``ENTRY_SHAPE`` is the shape of the data.

        Raises:
            ValueError: the metadata are not those of a series.
        """
        tag, kind, plugin_name, rows, first_step, last_step, first_time, last_time, lost_cells, metadata = data
        known = None
        if metadata is not None:
            parts = [metadata, "", "", ""] if isinstance(metadata, str) else metadata
            check(parts, (str, str, str, str))
            known = metadata_from_data(parts)
        bounds = first_step, last_step, first_time, last_time
        return cls(path, run, tag, kind, plugin_name, schema, known, None, rows, *bounds, lost_cells)

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """The names and types of the columns, from which ``columns_from_data`` makes the schema."""
        return _column_types(tuple(self.schema.items()))

    @property
    def content_type(self) -> str | None:
        """The content of a mesh tensor, such as its vertices; None for other kinds."""
        return mesh_content_type(self.metadata.plugin_content) if self.kind == "meshes" and self.metadata else None


_SAVED: Final = (
    *("tag", "kind", "plugin_name", "rows", "first_step", "last_step", "first_wall_time", "last_wall_time"),
    "lost_cells",
)

#: The shape of ``TableEntry.to_data``.
ENTRY_SHAPE: Final = (
    *(Maybe(str), str, Maybe(str), COUNT, Maybe(int), Maybe(int), Maybe(float), Maybe(float), COUNT),
    ANYTHING,
)
_saved_cells: Final = operator.attrgetter(*_SAVED)


def in_index_order(entries: Iterable[TableEntry]) -> list[TableEntry]:
    """Return entries in the order of the index: folder by folder, by name."""
    # No name has a NUL, so the paths are compared as lists of names would be.
    return sorted(entries, key=lambda entry: entry.path.replace("/", "\0"))


class AllEntries(Collection[TableEntry]):
    """The entries of several runs, one run after the other."""

    def __init__(self, parts: Sequence[Sequence[TableEntry]]) -> None:
        """Refer to the entries of each run."""
        self._parts = parts

    def __iter__(self) -> Iterator[TableEntry]:
        """Yield the entries."""
        return itertools.chain.from_iterable(self._parts)

    def __len__(self) -> int:
        """Return the number of entries."""
        return sum(map(len, self._parts))

    def __contains__(self, entry: object) -> bool:
        """Return whether an entry is one of these."""
        return any(entry in part for part in self._parts)


def write_manifest(
    folder: TableFolder,
    entries: Collection[TableEntry],
    stored: Iterable[str],
    report: Report,
    table_format: Format,
    *,
    escape_formulas: bool = False,
) -> None:
    """Write ``index.csv`` and ``datapackage.json``.

    Args:
        folder: the output folder.
        entries: the tables.
        stored: the folders of files that tables refer to.
        report: the report of the conversion.
        table_format: the format of tables whose entry has none.
        escape_formulas: escape formulas in the index, which is CSV even if the tables are not.
    """
    own = CsvFormat(escapes_formulas=escape_formulas)
    with folder.open(INDEX) as file:
        rest = iter(entries)
        for start in range(0, max(len(entries), 1), _AT_ONCE):
            own.append(index_frame(list(itertools.islice(rest, _AT_ONCE))), file, is_first=not start)
    account = [*report.members(), ("escape_formulas", escape_formulas), ("folders", sorted(stored))]
    package = [
        ("profile", [_JSON("tabular-data-package")]),
        ("name", [_JSON("tensorboard-tables")]),
        ("resources", _list(_resources(entries, table_format, own))),
        ("tb2csv", _members((name, _lines(value)) for name, value in account)),
    ]
    with folder.open(DATA_PACKAGE) as file:
        texts = itertools.chain(_members(package), ["\n"])
        while some := "".join(itertools.islice(texts, _TEXTS_AT_ONCE)):
            file.write(some.encode())


#: The number of tables whose rows of the index are in memory at once.
_AT_ONCE: Final = 1 << 13
#: The numbers of texts that are written at once, and of objects in one text.
_TEXTS_AT_ONCE: Final = 1 << 8
_OBJECTS_IN_TEXT: Final = 1 << 7


def _resources(entries: Iterable[TableEntry], table_format: Format, index_format: CsvFormat) -> Iterator[str]:
    """Yield the entries of the tables in the data package as JSON, that of the index first."""
    names, descriptions = _ResourceNames(), _Descriptions()
    yield _resource(names.name(INDEX), INDEX, _JSON(_description(index_format, index_frame([]).schema)))
    for entry in entries:
        description = descriptions.of(entry, entry.format or table_format)
        yield _resource(names.name(entry.path), entry.path, description)


#: json.dumps would make an encoder for each line.
_JSON: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def _lines(value: Any) -> Iterator[str]:
    """Yield JSON text; a list or an iterator, whose objects have no objects in them, has a line for each element.

    An indent of json would take ten times as long, and put each value on a line.
    """
    if isinstance(value, list) and value and not isinstance(value[0], dict):
        yield from _list(map(_JSON, value))
    elif isinstance(value, (list, Iterator)):
        yield from _objects(iter(value))
    else:
        yield _JSON(value)


def _objects(objects: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Yield a list of objects, which have no objects in them, with a line for each."""
    before = "[\n"
    # One call is faster than one for each object. In a text, a backslash would precede the quotation mark.
    while some := list(itertools.islice(objects, _OBJECTS_IN_TEXT)):
        yield before + _JSON(some)[1:-1].replace('}, {"', '},\n{"')
        before = ",\n"
    yield "\n]" if before == ",\n" else "[]"


def _members(members: Iterable[tuple[str, Iterable[str]]]) -> Iterator[str]:
    """Yield an object with a line for each member, whose value is JSON text in parts."""
    yield "{\n"
    for number, (name, parts) in enumerate(members):
        yield f",\n{_JSON(name)}: " if number else f"{_JSON(name)}: "
        yield from parts
    yield "\n}"


def _list(texts: Iterable[str]) -> Iterator[str]:
    """Yield a list with a line for each element, which is JSON text."""
    yield "[\n"
    for number, text in enumerate(texts):
        yield f",\n{text}" if number else text
    yield "\n]"


def index_frame(entries: Sequence[TableEntry]) -> pl.DataFrame:
    """Return the index of tables."""
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
    return pl.DataFrame([list(map(operator.attrgetter(name), entries)) for name in columns], columns, orient="col")


class _ResourceNames:
    """Names of resources that the specification accepts: lower case, a few characters, and unique."""

    _OTHERS: Final = re.compile(r"[^a-z0-9._/-]")

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def name(self, path: str) -> str:
        name = self._OTHERS.sub("-", path.lower())
        name = path if name == path else name  # one text for both
        count = self._taken[name] = self._taken.get(name, 0) + 1
        return name if count == 1 else self.name(f"{name}-{count}")


#: The types of the specification by the names of polars' types, without their number of bits.
_FIELD_TYPES: Final = {"Float": "number", "Int": "integer", "UInt": "integer", "Boolean": "boolean", "String": "string"}

#: The name of the type of times. In polars it has a unit and a zone as well, but all times use the same.
_DATETIME: Final = "datetime"
_DATETIME_PATTERN: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


def _resource(name: str, path: str, description: str) -> str:
    """Return the entry of a table in the data package as JSON; ``description`` has its other properties."""
    return f'{{"profile": "tabular-data-resource", "name": {_JSON(name)}, "path": {_JSON(path)}, {description[1:]}'


class _Descriptions:
    """The properties of tables besides their names and paths, as JSON; thousands of tables share a few."""

    def __init__(self) -> None:
        #: By format and columns: the properties by what else they depend on.
        self._known: dict[tuple[Any, ...], dict[tuple[Any, ...], str]] = {}
        self._last: tuple[Format, Mapping[str, pl.DataType]] | None = None
        self._alike: dict[tuple[Any, ...], str] = {}

    def of(self, entry: TableEntry, table_format: Format) -> str:
        last = self._last
        if last is None or last[0] is not table_format or last[1] is not entry.schema:
            # It takes long to compare columns, and most tables have the schema of the one before.
            self._last = table_format, entry.schema
            self._alike = self._known.setdefault((type(table_format), *entry.schema.items()), {})
        key = entry.metadata, entry.content_type, entry.lost_cells
        text = self._alike.get(key)
        if text is None:
            description = _description(table_format, entry.schema)
            if entry.metadata:
                description |= _metadata_properties(entry.metadata)
            if entry.content_type:
                description["tb2csv:content_type"] = entry.content_type
            if entry.lost_cells:
                description["tb2csv:made_null"] = entry.lost_cells
            text = self._alike[key] = _JSON(description)
        return text


def _description(table_format: Format, schema: Mapping[str, pl.DataType]) -> dict[str, Any]:
    """Return the properties of a table that depend on its format and its columns."""
    # If a format can express missing values, an empty cell is an empty text.
    missing = "" if table_format.properties["format"] == "csv" else None
    columns = tuple(schema.items())
    if isinstance(table_format, CsvFormat) and table_format.escapes_formulas:  # names are cells of the first line
        columns = tuple((escape_formula(column), dtype) for column, dtype in columns)
    return {
        **table_format.properties,
        "schema": {
            "fields": [_field(column, dtype) for column, dtype in columns],
            "missingValues": [] if missing is None else [missing],
        },
    }


def _metadata_properties(metadata: SeriesMetadata) -> dict[str, str]:
    """Return the metadata of a tag; empty properties are left out."""
    properties = {
        "title": metadata.display_name,
        "description": metadata.description,
        "tb2csv:plugin_content": base64.b64encode(metadata.plugin_content).decode("ascii"),
    }
    return {name: text for name, text in properties.items() if text}


def _field(name: str, dtype: pl.DataType) -> dict[str, str]:
    if dtype.is_temporal():
        return {"name": name, "type": _DATETIME, "format": _DATETIME_PATTERN, "tb2csv:dtype": _type_name(dtype)}
    return {"name": name, "type": _FIELD_TYPES[str(dtype).rstrip("0123456789")], "tb2csv:dtype": _type_name(dtype)}


def _type_name(dtype: pl.DataType) -> str:
    """Return the ``tb2csv:dtype`` of a type."""
    return _DATETIME if dtype.is_temporal() else str(dtype).lower()


@functools.lru_cache(maxsize=1024)  # thousands of tables share a few schemas
def _column_types(columns: tuple[tuple[str, pl.DataType], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name, _type_name(dtype)) for name, dtype in columns)


@functools.lru_cache(maxsize=1024)
def columns_from_data(columns: tuple[tuple[str, str], ...]) -> Mapping[str, pl.DataType]:
    """Return the schema of a table from the names and types of its columns.

    Raises:
        KeyError: there is no such type.
    """
    return {name: column_type(dtype) for name, dtype in columns}


def column_type(name: str) -> pl.DataType:
    """Return the polars type for the ``tb2csv:dtype`` of a field.

    Raises:
        KeyError: there is no such type.
    """
    known = [
        *(pl.Float32(), pl.Float64(), pl.Boolean(), pl.String()),
        *(pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64(), pl.UInt8(), pl.UInt16(), pl.UInt32(), pl.UInt64()),
    ]
    return {_DATETIME: pl.Datetime("us", "UTC"), **{str(dtype).lower(): dtype for dtype in known}}[name]
