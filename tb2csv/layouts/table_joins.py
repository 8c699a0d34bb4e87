"""The tables that a layout makes of several of the tree's, once all rows of these are held."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tb2csv.column_names import free_name
from tb2csv.layouts.manifest import TableEntry
from tb2csv.layouts.table_paths import FILES_ENDING, SCALARS, with_variant
from tb2csv.layouts.wide_rows import WideColumn, WideRows
from tb2csv.sinks.file_names import UniqueNames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import polars as pl

    from tb2csv.layouts.run_writer import HeldTable, Output
    from tb2csv.layouts.table_paths import RowJoin
    from tb2csv.sinks.row_buffer import Batch

_Cell = TypeVar("_Cell")


def write_joined_by_rows(
    output: Output, join: RowJoin, members: Iterable[HeldTable], reserved: Sequence[str]
) -> tuple[list[TableEntry], list[str]]:
    """Write tables of several runs one below the other, in the order in which they are given.

    ``reserved`` are paths, without endings, that others have. Returns what the index says of the joined tables, in the
    order of their paths, and their folders of files.
    """
    names = UniqueNames()
    for path in reserved:
        names.claim(path, path)
    entries: list[TableEntry] = []
    stored: list[str] = []
    for group in _groups(join, members):
        stem, part = join.path(group.members[0].table.place)
        stem = names.claim(with_variant(stem, group.variant), f"{group.key}\n{group.variant}")
        entries.append(_write_rows(output, join, group.members, stem, part))
        for member in group.members:
            if member.table.has_files:
                folder = f"{stem}{FILES_ENDING}/{join.files(member.table.place)}"
                output.folder.move(member.table.files, folder)
                stored.append(folder)
    return sorted(entries, key=lambda entry: entry.path.split("/")), stored


def write_joined_by_steps(
    output: Output, run: str, members: Sequence[HeldTable], on_duplicate: str
) -> tuple[TableEntry, int]:
    """Write the scalars of a run side by side; return what the index says of them.

    Returns as well how many values gave way to others of the same tag and step, as ``on_duplicate`` says. Raises
    Tb2csvError where that says so.
    """
    entry = TableEntry(
        output.paths.below(run, SCALARS) + output.writer.format.suffix,
        run,
        None,
        SCALARS,
        _shared([member.table.entry.plugin_name for member in members]),
        {},
    )
    columns = [WideColumn(member.series.tag, member.series.variant, member.table.entry.path) for member in members]
    rows = WideRows(run, columns, output.held, on_duplicate)

    def pieces() -> Iterator[pl.DataFrame]:
        for frame in rows:
            timed = output.times.replace(frame, np.full(len(frame), members[0].origin))
            entry.schema = timed.schema
            if len(frame):
                if not entry.rows:
                    entry.first_step, entry.first_wall_time = frame["step"][0], frame["wall_time"][0]
                entry.last_step, entry.last_wall_time = frame["step"][-1], frame["wall_time"][-1]
            entry.rows += len(frame)
            yield timed

    output.writer.write(entry.path, pieces())
    for member in members:
        output.held.release(member.table.entry.path)
    return entry, rows.duplicates


@dataclass(slots=True)
class _Group:
    """Tables that go into one."""

    key: str
    #: Tells the table from others of the same key, which have other columns; empty for the first.
    variant: str
    members: list[HeldTable] = field(default_factory=list)


def _groups(join: RowJoin, members: Iterable[HeldTable]) -> list[_Group]:
    """Return the members by the table that they go into: those of one key, one part and the same columns."""
    groups: dict[tuple[str, str, tuple[tuple[str, pl.DataType], ...]], _Group] = {}
    variants: dict[tuple[str, str], set[str]] = {}
    for member in members:
        place = member.table.place
        key = join.key(place)
        columns = tuple(member.table.entry.schema.items())
        group = groups.get((key, place.part, columns))
        if group is None:
            taken = variants.setdefault((key, place.part), set())
            variant = member.series.signature if taken else ""
            while variant in taken:
                variant = f"{member.series.signature}-{len(taken)}"
            taken.add(variant)
            group = groups[key, place.part, columns] = _Group(key, variant)
        group.members.append(member)
    return list(groups.values())


def _write_rows(output: Output, join: RowJoin, members: list[HeldTable], stem: str, part: str) -> TableEntry:
    first = members[0]
    path = (f"{stem}.{part}" if part else stem) + output.writer.format.suffix
    of_tables = [member.table.entry for member in members]
    counted = [entry for entry in of_tables if entry.rows] or of_tables
    is_of_tag = "tag" not in join.leading
    entry = TableEntry(
        path,
        first.series.run if "run" not in join.leading else None,
        first.series.tag if is_of_tag else None,
        first.table.place.kind,
        _shared([entry.plugin_name for entry in of_tables]),
        {},
        _shared([entry.metadata for entry in of_tables]) if is_of_tag else None,
        format=output.writer.format,
        rows=sum(entry.rows for entry in of_tables),
        first_step=counted[0].first_step,
        last_step=counted[-1].last_step,
        first_wall_time=counted[0].first_wall_time,
        last_wall_time=counted[-1].last_wall_time,
    )
    finished = _Finish(output, join, members, stem)

    def pieces() -> Iterator[pl.DataFrame]:
        for batch in output.held.batches(member.table.entry.path for member in members):
            frame = finished.rows(batch)
            entry.schema = frame.schema
            yield frame

    output.writer.write(path, pieces())
    for each in of_tables:
        output.held.release(each.path)
    return entry


class _Finish:
    """What the rows of joined tables lack yet: whose they are, the columns of time, where their files are."""

    def __init__(self, output: Output, join: RowJoin, members: list[HeldTable], stem: str) -> None:
        import polars as pl

        self._times = output.times
        self._join = join
        self._kind = members[0].table.place.kind
        cells = {"run": [member.series.run for member in members], "tag": [member.series.tag for member in members]}
        self._leading = [pl.Series(name, cells[name], dtype=pl.String) for name in join.leading]
        self._origins = np.array([member.origin for member in members])
        # As seen from the folder of the table.
        name = stem.rpartition("/")[2]
        folders = [f"{name}{FILES_ENDING}/{join.files(member.table.place)}/" for member in members]
        self._folders = pl.Series(folders, dtype=pl.String)
        self._has_files = any(member.table.has_files for member in members)

    def rows(self, batch: Batch) -> pl.DataFrame:
        """Return the rows of a batch as they are to be written."""
        frame = self._times.replace(batch.frame, self._origins[batch.table])
        if self._has_files and "path" in frame.columns:
            frame = frame.with_columns((self._folders.gather(batch.table) + frame["path"]).alias("path"))
        leading = [column.gather(batch.table) for column in self._leading]
        # A column that a kind has by such a name, as custom scalars have a tag, gives way.
        own = [column.alias(free_name(column.name, self._kind, self._join.leading)) for column in frame.get_columns()]
        frame = type(frame)([*leading, *own])
        if self._join.renamed:
            frame = type(frame)([frame[old].alias(new) for new, old in self._join.renamed.items()])
        return frame


def _shared(cells: list[_Cell]) -> _Cell | None:
    """Return what all cells are; None where they differ."""
    return cells[0] if all(cell == cells[0] for cell in cells) else None
