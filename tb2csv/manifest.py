"""What a conversion wrote: ``index.csv``, its table of contents, and ``datapackage.json``, with every table's schema.

The data package follows https://specs.frictionlessdata.io; the account of the source files rides in it under
``tb2csv``.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from tb2csv.sinks.folder import DATA_PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl

    from tb2csv.report import Report
    from tb2csv.sinks.folder import TableFolder
    from tb2csv.time_series import SeriesMetadata

INDEX: Final = PurePosixPath("index.csv")


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
    rows: int = 0
    first_step: int | None = None
    last_step: int | None = None
    first_wall_time: float | None = None
    last_wall_time: float | None = None


def write_manifest(folder: TableFolder, entries: Iterable[TableEntry], stored: Iterable[str], report: Report) -> None:
    """Write ``index.csv`` and ``datapackage.json``; ``stored`` are the folders of files that tables point to."""
    entries = list(entries)
    index = _index_frame(entries)
    with folder.open(INDEX) as file:
        index.write_csv(file)
    names = _ResourceNames()
    resources = [
        _resource(names.name(str(INDEX)), str(INDEX), index.schema),
        *(
            _resource(names.name(entry.path), entry.path, entry.schema) | _told_by_writer(entry.metadata)
            for entry in entries
        ),
    ]
    account = {**report.to_json(), "folders": sorted(stored)}
    # A line for each table and each source: json's own indentation is ten times slower, and a line for each word.
    text = (
        '{\n"profile": "tabular-data-package",\n"name": "tensorboard-tables",\n'
        f'"resources": {_lines(resources)},\n'
        f'"tb2csv": {{\n{_members(account)}\n}}\n}}\n'
    )
    folder.append(PurePosixPath(DATA_PACKAGE), text.encode())


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _lines(values: Iterable[Any]) -> str:
    return "[\n" + ",\n".join(map(_json, values)) + "\n]"


def _members(values: Mapping[str, Any]) -> str:
    return ",\n".join(
        f"{_json(name)}: {_lines(value) if value and isinstance(value, list) else _json(value)}"
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


def _resource(name: str, path: str, schema: Mapping[str, pl.DataType]) -> dict[str, Any]:
    return {
        "profile": "tabular-data-resource",
        "name": name,
        "path": path,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "schema": {"fields": [_field(column, dtype) for column, dtype in schema.items()], "missingValues": [""]},
    }


def _told_by_writer(metadata: SeriesMetadata | None) -> dict[str, str]:
    """Return what the writer stored about a tag, as properties of its table; nothing where it stored nothing."""
    if metadata is None:
        return {}
    properties = {
        "title": metadata.display_name,
        "description": metadata.description,
        "tb2csv:plugin_content": base64.b64encode(metadata.plugin_content).decode("ascii"),
    }
    return {name: text for name, text in properties.items() if text}


def _field(name: str, dtype: pl.DataType) -> dict[str, str]:
    exact = str(dtype)
    return {"name": name, "type": _FIELD_TYPES[exact.rstrip("0123456789")], "tb2csv:dtype": exact.lower()}
