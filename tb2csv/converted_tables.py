"""Open the tables of a conversion as frames, with their original types."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tb2csv.display import count, displayed
from tb2csv.errors import NameNotFoundError, Tb2csvError
from tb2csv.formula_escaping import unescape_formulas
from tb2csv.late_modules import pl
from tb2csv.layouts.manifest import INDEX, column_type
from tb2csv.local_paths import home_expanded
from tb2csv.plain_data import ANYTHING, ListOf, fits
from tb2csv.selection import nearest
from tb2csv.sinks.arrow import ArrowFormat
from tb2csv.sinks.csv import read_csv
from tb2csv.sinks.output_folder import DATA_PACKAGE
from tb2csv.sinks.parquet import ParquetFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    _Read = Callable[[Path, Mapping[str, pl.DataType]], pl.DataFrame]


def open_tables(out: str | os.PathLike[str]) -> ConvertedTables:
    """Open the folder that ``convert`` wrote, in any layout and format.

    A table is read when it is accessed.

    Raises:
        Tb2csvError: the folder does not contain a ``datapackage.json`` of a conversion.
    """
    folder = Path(home_expanded(out))
    try:
        package = json.loads(file_inside(folder, DATA_PACKAGE).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise Tb2csvError(_no_package(folder)) from error
    described = package.get("resources") if isinstance(package, dict) else None
    account = package.get("tb2csv") if isinstance(package, dict) else None
    if not isinstance(account, dict) or not isinstance(described, list) or not all(map(_is_resource, described)):
        raise Tb2csvError(_no_package(folder))
    resources = {resource["path"]: resource for resource in described}
    return ConvertedTables(folder, resources, is_escaped=bool(account.get("escape_formulas")))


def _no_package(folder: Path) -> str:
    return f"{folder} does not contain the {DATA_PACKAGE} of a conversion; give the folder that convert wrote."


def _is_resource(resource: Any) -> bool:
    """Return whether a resource of a data package has what is needed to read its table."""
    members = {"path": str, "format": str, "schema": {"fields": ListOf(ANYTHING)}}
    if not isinstance(resource, dict) or not isinstance(resource.get("schema"), dict):
        return False
    found = {name: resource.get(name) for name in members} | {"schema": {"fields": resource["schema"].get("fields")}}
    fields = found["schema"]["fields"] if fits(found, members) else [None]
    wanted = {"name": str, "tb2csv:dtype": str}
    return all(isinstance(each, dict) and fits({name: each.get(name) for name in wanted}, wanted) for each in fields)


@displayed(is_brief=True)
class ConvertedTables(Mapping[str, "pl.DataFrame"]):
    """The tables in an output folder; ``tables[path]`` is a table by its path in the index, with exact types.

    Missing cells are null; NaN is NaN. ``path`` columns are relative to the folder of the table, as written.
    """

    def __init__(self, folder: Path, resources: dict[str, dict[str, Any]], *, is_escaped: bool) -> None:
        """Open the tables of ``folder``; ``resources`` describes them by path."""
        self.folder = folder
        self._resources = resources
        self._is_escaped = is_escaped

    @property
    def index(self) -> pl.DataFrame:
        """The index of all tables; docs/tables.md has its columns."""
        return self[INDEX]

    def __getitem__(self, path: str) -> pl.DataFrame:
        """Return the table at a path in the folder.

        Raises:
            NameNotFoundError: there is no table at this path.
            Tb2csvError: the file is gone, was changed since it was written, or is not in the folder.
        """
        resource = self._resources.get(path)
        if resource is None:
            message = f"{self.folder} has no table {path!r}; {nearest([path], self._resources)}."
            raise NameNotFoundError(message)
        return self._read(resource)

    def __iter__(self) -> Iterator[str]:
        """Yield the paths of all tables, without the index."""
        return (path for path in self._resources if path != INDEX)

    def __len__(self) -> int:
        """Return the number of tables, without the index."""
        return sum(1 for _ in self)

    def __contains__(self, path: object) -> bool:
        """Return whether there is a table at a path."""
        return path in self._resources

    # Mapping would read and compare all tables.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def table(self, run: str, tag: str, kind: str | None = None) -> pl.DataFrame:
        """Return the table of a tag of a run, in a conversion with the tree layout.

        Raises:
            NameNotFoundError: there is no such table, or there are several.
        """
        index = self.index
        found = index.filter(pl.col("run") == run, pl.col("tag") == tag)
        if kind is not None:
            found = found.filter(pl.col("kind") == kind)
        if len(found) == 1:
            return self[found["path"][0]]
        if len(found):
            message = f"Tag {tag!r} of run {run!r} has several tables: {', '.join(found['path'])}; give a path."
        else:
            near = nearest([tag], index["tag"].drop_nulls())
            message = f"{self.folder} has no table of tag {tag!r} of run {run!r}; {near}."
        raise NameNotFoundError(message)

    def _display(self) -> Iterator[object]:
        yield f"<ConvertedTables {str(self.folder)!r}: {count(len(self), 'table')}>"
        yield list(self)

    def _read(self, resource: dict[str, Any]) -> pl.DataFrame:
        path = file_inside(self.folder, resource["path"])
        try:
            schema = {field["name"]: column_type(field["tb2csv:dtype"]) for field in resource["schema"]["fields"]}
            read = _READERS[resource["format"]]
        except KeyError as error:
            message = (
                f"{path} has the format or type {error} in {DATA_PACKAGE}, which is unknown; convert the log again."
            )
            raise Tb2csvError(message) from error
        try:
            frame = read(path, schema)
        except (OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            message = f"{path} differs from its description in {DATA_PACKAGE}; convert the log again."
            raise Tb2csvError(message) from error
        return unescape_formulas(frame) if self._is_escaped and resource["format"] == "csv" else frame


def file_inside(folder: Path, path: str) -> Path:
    """Return the place of a file in a folder.

    Raises:
        Tb2csvError: the path, or a link on it, leads out of the folder, or it is not a regular file.
    """
    root = folder.resolve()
    place = Path(os.path.normpath(root / path))
    try:
        is_inside = "\0" not in path and place.is_relative_to(root) and place.resolve() == place
        is_file = is_inside and (place.is_file() or not place.exists())
    except OSError:  # such as a name that is too long
        is_file = False
    if not is_file:
        message = f"{folder} names {path!r}, which is not a file in it; open only folders that convert wrote."
        raise Tb2csvError(message)
    return folder / path


def _read_parquet(path: Path, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return ParquetFormat().read(str(path), schema).collect()


def _read_arrow(path: Path, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return ArrowFormat().read(str(path), schema).collect()


#: The texts for numbers that JSON does not have.
_ODD_NUMBERS: Final = {"NaN": "NaN", "Infinity": "inf", "-Infinity": "-inf"}


def _read_json_lines(path: Path, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    # As text first, which keeps every digit, and the texts for numbers that JSON does not have.
    with path.open("rb") as file:  # polars would read the path as a pattern
        text = pl.read_ndjson(file, schema=dict.fromkeys(schema, pl.String))
    return text.select(
        _parsed(pl.nth(number), dtype).alias(name) if dtype != pl.String else pl.nth(number)
        for number, (name, dtype) in enumerate(schema.items())
    )


def _parsed(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if dtype.is_temporal():
        return column.str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC")
    if dtype == pl.Boolean:
        return column == "true"
    return (column.replace(_ODD_NUMBERS) if dtype.is_float() else column).cast(dtype)


#: Readers by the name of the format in a data package.
_READERS: Final[dict[str, _Read]] = {
    "csv": read_csv,
    "parquet": _read_parquet,
    "arrow": _read_arrow,
    "jsonl": _read_json_lines,
}
