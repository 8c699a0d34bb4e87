"""Write the tables of one run, and collect their entries for the index."""

from __future__ import annotations

import contextlib
import functools
import math
from array import array
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.decoders.strings import encode_cell
from tb2csv.late_modules import np, pl
from tb2csv.layouts.held_tables import HeldTable, RunTable, SavedTable
from tb2csv.layouts.manifest import TableEntry
from tb2csv.layouts.run_tables import RunTables
from tb2csv.layouts.table_paths import UNDECODABLE_PART
from tb2csv.notes import Note
from tb2csv.report import RunReport
from tb2csv.runs.decoded_rows import UndecodableValue
from tb2csv.runs.merged_runs import ORIGINAL_RUN
from tb2csv.runs.series_metadata import readable
from tb2csv.runs.step_orders import notes_on_steps
from tb2csv.sinks.append_writer import TableRows

if TYPE_CHECKING:
    from collections.abc import Container, Generator, Iterator, Sequence

    import numpy.typing as npt

    from tb2csv.decoders import TablePart
    from tb2csv.layouts.converted_run import ConvertedRun
    from tb2csv.layouts.output import Output
    from tb2csv.layouts.table_paths import TreePlace
    from tb2csv.report import UndecodableEntry
    from tb2csv.runs.decoded_rows import Rows
    from tb2csv.runs.series_reader import ReadRun
    from tb2csv.time_series import Series

#: Undecodable payloads are written as soon as they have more bytes than this.
_UNDECODABLE_BYTES: Final = 8 << 20


class Stretch(NamedTuple):
    """The rows ``start`` to ``stop`` of a frame, which are of one series, and the cells of the first and the last."""

    start: int
    stop: int
    first_step: int
    last_step: int
    first_wall_time: float
    last_wall_time: float


class RunWriter:
    """A writer of the tables of one run, which one thread uses."""

    def __init__(self, output: Output, reader: ReadRun) -> None:
        """Prepare to write the rows of the run that ``reader`` reads."""
        #: Rows for tables of the whole log directory, by kind.
        self.gathered: dict[str, list[pl.DataFrame]] = {}
        self._output = output
        self._writer = output.tree_writer()
        self._times = output.options.times
        self._reader = reader
        #: Several series may share a table: those of merged runs, and those with undecodable payloads.
        self._tables = RunTables(reader.stats.series)
        #: The numbers of the tables by part and the id of the series, or -1, so that each path is made once.
        self._known: dict[str, array[int]] = {}
        self._undecodable: list[UndecodableValue] = []
        self._undecodable_bytes = 0
        self._report: list[UndecodableEntry] = []

    def write(self, items: Generator[Rows | UndecodableValue, None, None]) -> RunReport:
        """Write all tables that are not joined, and return the report of the run; ``items`` yields all its rows.

        If that fails, the files that are being read are closed at once, and not with the last reference to the error.
        """
        with contextlib.closing(items):
            for item in items:
                self.add(item)
        return self.finish()

    def add(self, item: Rows | UndecodableValue) -> None:
        """Write rows of the run, or keep a payload until several can be written together."""
        if not isinstance(item, UndecodableValue):
            self._write_rows(item)
            return
        self._report.append(item.entry)
        self._undecodable.append(item)
        self._undecodable_bytes += len(item.payload)
        if self._undecodable_bytes > _UNDECODABLE_BYTES:
            self._write_undecodable()

    def finish(self) -> RunReport:
        """Complete the tables after the last rows, and return the report of the run."""
        self._write_undecodable()
        for table in self._tables.without_rows():  # their values have no elements, but they have steps
            entry, stats = table.entry, self._reader.stats_of(table.series)
            entry.first_step, entry.last_step = stats.first_step, stats.last_step
            entry.first_wall_time, entry.last_wall_time = stats.first_wall_time, stats.last_wall_time
            self._tables.keep(table)
        for table in () if self._writer.is_appended else self._tables:
            if not table.is_joined:
                self._writer.finish(table.entry.path)
        return self._finished()

    def save(self, entries: Sequence[TableEntry]) -> Iterator[SavedTable]:
        """Return the tables as data with which ``resume`` continues; ``entries`` are those of the run."""
        return self._tables.save(entries)

    def resume(self, saved: ConvertedRun) -> None:
        """Continue the tables of an earlier conversion; the reader has resumed already."""
        for number, series_id, part, has_files in saved.tables:
            series, entry = self._reader.stats.series[series_id].series, saved.entries[number]
            path = entry.path
            if part is None:
                place = self._output.paths.undecodable(series)
            else:
                place = self._output.paths.place(series, entry.kind, part)
            table = self._restore(RunTable.at(place, entry, is_joined=False, has_files=has_files))
            if part is not None:
                self._remember(series, part, table)
            self._writer.resume(path, entry.schema, entry.rows, entry.lost_cells, saved.lengths[path])
        for held in saved.held:
            series = self._reader.stats.series[held.series.id].series
            place = held.table.place._replace(series=series)
            self._output.paths.restore(place)
            table = RunTable.at(place, held.table.entry, is_joined=True, has_files=held.table.has_files)
            table = self._restore(table)
            if place.part != UNDECODABLE_PART:
                self._remember(series, place.part, table)
        self._report = saved.report.undecodable

    def _restore(self, table: RunTable) -> RunTable:
        table.is_begun = True
        return self._tables.add(table)

    @property
    def entries(self) -> Sequence[TableEntry]:
        """The index entries of the tables that are not joined, in the order of their paths."""
        return self._tables.entries()

    @property
    def stored(self) -> list[str]:
        """The folders of files next to the tables that are not joined."""
        return [table.files for table in self._tables.with_files() if not table.is_joined]

    @property
    def held(self) -> list[HeldTable]:
        """The tables whose rows are held, in the order of their series' first values."""
        return [
            HeldTable(table, self._origin(table.series))
            for table in sorted(self._tables.joined(), key=lambda table: (table.series.id, table.part))
        ]

    def _finished(self) -> RunReport:
        stats = self._reader.stats
        decodable = undecodable = 0
        for each in stats.series:
            if each.is_selected:
                decodable += each.points - each.undecodable - each.left_out
                undecodable += each.undecodable
        return RunReport(
            run=stats.run,
            values_read=stats.values_read,
            values_written=decodable,
            values_filtered=stats.values_filtered,
            values_undecodable=undecodable,
            sources=stats.files,
            undecodable=self._report,
            notes=self._notes(),
            empty=stats.empty,
        )

    def _notes(self) -> list[Note]:
        run, sessions = self._reader.run.name, self._reader.session_count
        notes = [
            Note("type_changed", run, stats.series.tag, details={"type": stats.form.variant})
            for stats in self._reader.stats.series
            if stats.form.variant and stats.is_selected and stats.points > stats.left_out + stats.undecodable
        ]
        notes += self._notes_on_kinds()
        if sessions > 1:
            notes.append(Note("restarted", run, count=sessions))
        return notes + notes_on_steps(run, self._reader.step_orders(), is_restarted=sessions > 1)

    def _notes_on_kinds(self) -> Iterator[Note]:
        """Yield a note for each tag whose values have the same plugin but several kinds."""
        every = self._reader.stats.series
        if len({stats.form.kind for stats in every}) < 2:
            return
        tags: set[bytes] = set()
        several: set[bytes] = set()
        for stats in every:
            (several if stats.series.tag_bytes in tags else tags).add(stats.series.tag_bytes)
        kinds: dict[tuple[bytes, str], dict[str, None]] = {}
        for stats in every:
            series = stats.series
            if series.tag_bytes in several and stats.is_selected and stats.points > stats.left_out:
                kinds.setdefault((series.tag_bytes, series.plugin_name), {})[series.kind] = None
        for (tag, _), found in kinds.items():
            if len(found) > 1:
                yield Note("kind_changed", self._reader.run.name, readable(tag), details={"kinds": tuple(found)})

    def _write_rows(self, rows: Rows) -> None:
        part = rows.part
        if not part.kind:
            self._output.check_kind(rows.series[0].kind)
        if part.is_log_wide:
            self.gathered.setdefault(rows.series[0].kind, []).append(part.frame)
            return
        for some in rows.in_parts():
            self._write_part(some)

    def _write_part(self, rows: Rows) -> None:
        part = rows.part
        is_joined = self._output.layout.joins(part.kind or rows.series[0].kind)
        frame = part.frame if is_joined else self._with_times(part.frame, rows.series, rows.bounds)
        schema = part.schema if frame is part.frame else frame.schema
        with_files = {rows.series_of(file.row).id for file in part.files}
        placed = self.place(part, rows.series, stretches(rows), schema, with_files, is_joined=is_joined)
        tables, targets = [table for table, _ in placed], [target for _, target in placed]
        if part.files:
            frame = self._store(rows, frame, tables, targets)
        self._append(frame, targets, is_joined=is_joined)

    def place(
        self,
        part: TablePart,
        series: Sequence[Series],
        stretches: Sequence[Stretch],
        schema: pl.Schema,
        with_files: Container[int] = (),
        *,
        is_joined: bool = False,
    ) -> list[tuple[RunTable, TableRows]]:
        """Return the tables of some series of the run and the rows of each, and add the rows to the index entries.

        Args:
            part: the part that has the rows.
            series: the series.
            stretches: the rows of each series.
            schema: the columns of the tables.
            with_files: the ids of the series that have files in the part.
            is_joined: whether the layout joins the tables.
        """
        placed = []
        for each, stretch in zip(series, stretches, strict=True):
            is_empty = stretch.start == stretch.stop
            if is_empty and each.id not in with_files and self._reader.stats_of(each).undecodable:
                continue  # values without elements get a table, but undecodable values are in another one
            table = self._table_of(each, part.part)
            if table is None:
                place = self._output.paths.place(each, part.kind or each.kind, part.part)
                table = self._table(place, schema, is_joined=is_joined)
                table.entry.metadata = each.metadata
                self._remember(each, part.part, table)
            if not is_empty:
                _count(table.entry, stretch)
            placed.append((table, self._next_rows(table, stretch.start, stretch.stop)))
        return placed

    def _table_of(self, series: Series, part: str) -> RunTable | None:
        """Return the table with a part of a series; None if it has none yet."""
        known = self._known.get(part, ())
        number = known[series.id] if series.id < len(known) else -1
        return None if number < 0 else self._tables[number]

    def _remember(self, series: Series, part: str, table: RunTable) -> None:
        known = self._known.get(part)
        if known is None:
            known = self._known[part] = array("i")
        if series.id < len(known):
            known[series.id] = table.number
            return
        if series.id > len(known):
            known.extend([-1] * (series.id - len(known)))
        known.append(table.number)

    def _table(self, place: TreePlace, schema: pl.Schema, *, is_joined: bool) -> RunTable:
        """Return the table at a place; a new one for its first rows."""
        path, series = place.path + self._writer.format.suffix, place.series
        entry = TableEntry(path, series.run, series.tag, place.kind, series.plugin_name, schema)
        return self._tables.add(RunTable.at(place, entry, is_joined=is_joined))

    def _next_rows(self, table: RunTable, start: int, stop: int) -> TableRows:
        """Return the next rows of a table, which is kept with its changes."""
        is_first, table.is_begun = not table.is_begun, True
        self._tables.keep(table)
        return TableRows(table.entry.path, start, stop, is_first)

    def _with_times(self, frame: pl.DataFrame, series: list[Series], bounds: npt.NDArray[np.int64]) -> pl.DataFrame:
        """Return rows with the selected time columns; the rows between two bounds are of one series."""
        if self._times.is_stored:
            return frame
        origins = np.array([self._origin(each) for each in series])
        return self._times.replace(frame, np.repeat(origins, np.diff(bounds)))

    def _origin(self, series: Series) -> float:
        """Return the origin of a series' relative times in seconds since 1970; NaN if no column needs it."""
        if self._times.is_since_tag:
            return self._reader.stats_of(series).first_wall_time
        return self._started

    @functools.cached_property
    def _started(self) -> float:
        return self._reader.started if self._times.is_since_run else math.nan

    def _append(self, frame: pl.DataFrame, targets: list[TableRows], *, is_joined: bool) -> None:
        if is_joined:
            self._output.held.append(frame, targets, is_kept=self._output.options.keeps_rows)
        else:
            self._writer.append(frame, targets)

    def _store(self, rows: Rows, frame: pl.DataFrame, tables: list[RunTable], targets: list[TableRows]) -> pl.DataFrame:
        """Write the files of a part next to their tables, and return the rows with paths relative to the table.

        The files of joined tables go to the scratch folder for now, and their paths get a folder when they are joined.
        """
        by_series = {table.series.id: table for table in tables}
        for file in rows.part.files:
            table = by_series[rows.series_of(file.row).id]
            table.has_files = table.has_new_files = True
            self._tables.keep(table)
            with self._output.folder.open(f"{table.files}/{file.name}") as opened:
                opened.write(file.data)
        if "path" not in frame.columns or tables[0].is_joined:
            return frame
        names = [f"{table.files.rpartition('/')[2]}/" for table in tables]
        owners = np.repeat(np.arange(len(tables)), [rows.stop - rows.start for rows in targets])
        folders = pl.Series(names, dtype=pl.String).gather(owners)
        return frame.with_columns((folders + frame["path"]).alias("path"))

    def _write_undecodable(self) -> None:
        """Write the payloads that cannot be decoded to their own tables."""
        by_path: dict[str, list[UndecodableValue]] = {}
        places: dict[str, TreePlace] = {}
        for value in self._undecodable:
            place = self._output.paths.undecodable(value.series)
            places[place.path] = place
            by_path.setdefault(place.path, []).append(value)
        self._undecodable = []
        self._undecodable_bytes = 0
        for path, values in by_path.items():
            place = places[path]
            raw = pl.DataFrame(
                {
                    "wall_time": [value.wall_time for value in values],
                    "step": [value.step for value in values],
                    "reason": [value.detail for value in values],
                    "data": [encode_cell(value.payload) for value in values],
                },
                {"wall_time": pl.Float64, "step": pl.Int64, "reason": pl.String, "data": pl.String},
            )
            series = [value.series for value in values]
            if values[0].original_run is not None:
                runs = [value.original_run for value in values]
                raw = raw.with_columns(pl.Series(ORIGINAL_RUN, runs, dtype=pl.String))
            is_joined = self._output.layout.joins(place.kind)
            frame = raw if is_joined else self._with_times(raw, series, np.arange(len(values) + 1))
            table = self._table(place._replace(series=series[0]), frame.schema, is_joined=is_joined)
            first, last = values[0], values[-1]
            _count(
                table.entry,
                Stretch(0, len(raw), first.step, last.step, first.wall_time, last.wall_time),
            )
            self._append(frame, [self._next_rows(table, 0, len(frame))], is_joined=is_joined)


def stretches(rows: Rows) -> list[Stretch]:
    """Return the rows of each series; a stretch without rows has cells of others."""
    starts, stops = rows.bounds[:-1], rows.bounds[1:]
    frame = rows.part.frame
    if not len(frame):
        pairs = zip(starts.tolist(), stops.tolist(), strict=True)
        return [Stretch(start, stop, 0, 0, math.nan, math.nan) for start, stop in pairs]
    steps, wall_times = frame["step"].to_numpy(), frame["wall_time"].to_numpy()
    first, last = np.minimum(starts, len(frame) - 1), np.maximum(stops - 1, 0)
    columns = (starts, stops, steps[first], steps[last], wall_times[first], wall_times[last])
    return list(map(Stretch, *(column.tolist() for column in columns)))


def _count(entry: TableEntry, stretch: Stretch) -> None:
    """Add rows to the index entry of a table."""
    if not entry.rows:
        entry.first_step, entry.first_wall_time = stretch.first_step, stretch.first_wall_time
    entry.last_step, entry.last_wall_time = stretch.last_step, stretch.last_wall_time
    entry.rows += stretch.stop - stretch.start
