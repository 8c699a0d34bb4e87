"""Joined tables: several per-tag tables concatenated into one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tb2csv.column_names import free_name
from tb2csv.concat_frames import fitted, joint_schema
from tb2csv.late_modules import np, pl
from tb2csv.layouts.held_tables import shared_cell
from tb2csv.layouts.joined_parts import JoinedPart, JoinedParts
from tb2csv.layouts.layout import JoinedTables
from tb2csv.layouts.manifest import TableEntry, in_index_order
from tb2csv.layouts.table_paths import FILES_ENDING, HPARAMS_PATH, INDEX_PATH, with_variant
from tb2csv.sinks.file_names import UniqueNames
from tb2csv.sinks.row_buffer import Batch

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from tb2csv.layouts.held_tables import HeldTable
    from tb2csv.layouts.output import Output
    from tb2csv.layouts.row_layout import RowLayout
    from tb2csv.sinks.table_writer import TableWriter

#: Paths, without endings, that joined tables must not have.
_RESERVED: Final = (INDEX_PATH, HPARAMS_PATH)


def write_joined_rows(output: Output, layout: RowLayout, held: Iterable[HeldTable]) -> JoinedTables:
    """Write the rows of the held tables, in their order; return the joined tables in the order of their paths.

    Tables of an earlier conversion are left as they are or appended to if possible.
    """
    names = UniqueNames()
    for path in _RESERVED:
        names.claim(path, path)
    writer = output.joined_writer()
    joined = JoinedTables()
    earlier_folders = {part.path: part.folder for table in output.earlier.values() for part in table.parts}
    for group in _groups(layout, held, is_one_table=output.options.is_one_table):
        place = group.members[0].table.place
        stem, part = layout.path(place)
        stem = names.claim(with_variant(stem, group.variant), f"{layout.name_source(place)}\n{group.variant}")
        table = _JoinedTable(output, layout, group.members, stem, part)
        joined.parts[table.entry.path] = table.write(writer)
        joined.entries.append(table.entry)
        for member in group.members:
            if member.table.has_files:
                folder = table.folder(member)
                _place_files(output, member, earlier_folders.get(member.path, ""), folder)
                joined.stored.append(folder)
    joined.entries = in_index_order(joined.entries)
    return joined


def _place_files(output: Output, member: HeldTable, earlier: str, folder: str) -> None:
    """Put the files of a table into their folder; ``earlier`` is the folder of those of an earlier conversion."""
    if member.table.has_new_files:
        output.folder.move(member.table.files, folder)
    if earlier and earlier != folder and output.held.is_restored(member.path):
        assert output.folder.earlier
        output.folder.earlier.copy_published(earlier, folder)


@dataclass(slots=True, eq=False, repr=False)
class _Group:
    """Tables of the tree that are joined into one table."""

    #: Distinguishes the table from others with the same key but other columns; empty for the first.
    variant: str
    members: list[HeldTable] = field(default_factory=list)


def _groups(layout: RowLayout, held: Iterable[HeldTable], *, is_one_table: bool) -> list[_Group]:
    """Return the held tables in groups, one per joined table.

    Tables with different columns are in different groups, unless ``is_one_table``.
    """
    groups: dict[Hashable, _Group] = {}
    variants: dict[tuple[str, str], set[str]] = {}
    for member in held:
        table = member.table.place.table
        columns = () if is_one_table else tuple(member.table.entry.schema.items())
        identity = layout.identity(table, columns)
        group = groups.get(identity)
        if group is None:
            taken = variants.setdefault((layout.key(table), table.part), set())
            variant = member.series.signature if taken else ""
            while variant in taken:
                variant = f"{member.series.signature}-{len(taken)}"
            taken.add(variant)
            group = groups[identity] = _Group(variant)
        group.members.append(member)
    return list(groups.values())


class _JoinedTable:
    """A joined table with these members."""

    def __init__(self, output: Output, layout: RowLayout, members: Sequence[HeldTable], stem: str, part: str) -> None:
        first = members[0]
        entries = [member.table.entry for member in members]
        counted = [entry for entry in entries if entry.rows] or entries
        is_of_tag = "tag" not in layout.leading
        written = layout.table_format(output.options)
        self._output = output
        self._layout = layout
        self._members = members
        self._stem = stem
        self.entry = TableEntry(
            path=(f"{stem}.{part}" if part else stem) + written.suffix,
            run=first.series.run if "run" not in layout.leading else None,
            tag=first.series.tag if is_of_tag else None,
            kind=first.table.place.kind,
            plugin_name=shared_cell([entry.plugin_name for entry in entries]),
            schema=self._schema(first.table.place.kind),
            metadata=shared_cell([entry.metadata for entry in entries]) if is_of_tag else None,
            format=written,
            rows=sum(entry.rows for entry in entries),
            first_step=counted[0].first_step,
            last_step=counted[-1].last_step,
            first_wall_time=counted[0].first_wall_time,
            last_wall_time=counted[-1].last_wall_time,
        )

    def _schema(self, kind: str) -> pl.Schema:
        """Return the columns of the table: those of its members, or those that the rows of all members fit into."""
        schemas = [
            _RowFinisher(self._output, self._layout, alike[:1], self._stem).schema(alike[0])
            for alike in _alike(self._members)
        ]
        return schemas[0] if len(schemas) == 1 else joint_schema(schemas, f"the table of {kind}")

    def folder(self, member: HeldTable) -> str:
        """Return the folder of the files of a member."""
        return f"{self._stem}{FILES_ENDING}/{self._layout.files(member.table.place)}"

    def write(self, writer: TableWriter) -> JoinedParts:
        """Write the rows that an earlier conversion has not written, or all, and return the parts of the table."""
        output, members, path = self._output, self._members, self.entry.path
        parts = JoinedParts.of([JoinedPart.of(each, self.folder(each)) for each in members], self.entry.schema)
        earlier = output.earlier.get(path)
        kept = [output.held.earlier_rows(member.path) for member in members]
        first_new = parts.first_new(earlier, kept) if earlier else None
        if earlier and first_new == len(members):
            writer.lost_cells[path] = earlier.lost_cells
        elif earlier and first_new is not None and writer.is_appended:
            writer.resume(path, self.entry.schema, sum(kept), earlier.lost_cells, earlier.length)
            writer.write(path, self._frames(members[first_new:], is_new=True))
        else:
            writer.write(path, self._frames(members, is_new=False))
        for member in members:
            output.held.release(member.path)
        return parts

    def _frames(self, members: Sequence[HeldTable], *, is_new: bool) -> Iterator[pl.DataFrame]:
        for alike in _alike(members):
            finish = _RowFinisher(self._output, self._layout, alike, self._stem)
            for batch in self._output.held.batches([member.path for member in alike], is_new=is_new):
                yield fitted(finish.rows(batch), self.entry.schema)


def _alike(members: Sequence[HeldTable]) -> Iterator[list[HeldTable]]:
    """Yield the members in stretches with the same columns; there is one stretch, except in a file of one table."""
    for _, stretch in itertools.groupby(members, key=lambda member: tuple(member.table.entry.schema.items())):
        yield list(stretch)


class _RowFinisher:
    """Completes the rows of a joined table: adds run and tag, the time columns, and the folders of their files."""

    def __init__(self, output: Output, layout: RowLayout, members: Sequence[HeldTable], stem: str) -> None:
        self._times = output.options.times
        self._layout = layout
        self._kind = members[0].table.place.kind
        cells = {"run": [member.series.run for member in members], "tag": [member.series.tag for member in members]}
        self._leading = [pl.Series(name, cells[name], dtype=pl.String) for name in layout.leading]
        self._origins = np.array([member.origin for member in members])
        # Relative to the folder of the table.
        name = stem.rpartition("/")[2]
        folders = [f"{name}{FILES_ENDING}/{layout.files(member.table.place)}/" for member in members]
        self._folders = pl.Series(folders, dtype=pl.String)
        self._has_files = any(member.table.has_files for member in members)

    def schema(self, member: HeldTable) -> pl.Schema:
        """Return the columns of the joined table."""
        return self.rows(Batch(pl.Schema(member.table.entry.schema).to_frame(), np.empty(0, np.int64))).schema

    def rows(self, batch: Batch) -> pl.DataFrame:
        """Return the complete rows of a batch."""
        frame = self._times.replace(batch.frame, self._origins[batch.table])
        if self._has_files and "path" in frame.columns:
            frame = frame.with_columns((self._folders.gather(batch.table) + frame["path"]).alias("path"))
        leading = [column.gather(batch.table) for column in self._leading]
        # A column of the kind with such a name is renamed: custom scalars have a column "tag".
        own = [column.alias(free_name(column.name, self._kind, self._layout.leading)) for column in frame.get_columns()]
        frame = type(frame)([*leading, *own])
        if self._layout.renamed:
            frame = type(frame)([frame[old].alias(new) for new, old in self._layout.renamed.items()])
        return frame
