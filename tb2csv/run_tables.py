"""The tables of one run while they are written: where each piece of rows goes, and what the index will say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.layouts import FILES_ENDING, UNDECODABLE_KIND, UNDECODABLE_PART
from tb2csv.manifest import TableEntry
from tb2csv.report import RunReport, UndecodableEntry
from tb2csv.runs import UndecodableValue
from tb2csv.sinks.csv import TableRows

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    import polars as pl

    from tb2csv.decoders import Piece
    from tb2csv.layouts import TreeLayout
    from tb2csv.runs import Rows, RunReader, SeriesAccount
    from tb2csv.sinks.csv import CsvSink
    from tb2csv.sinks.folder import TableFolder

#: Payload bytes that could not be decoded are written out when so many have come together.
_UNDECODABLE_BYTES: Final = 8 << 20


class RunTables:
    """Writes what a RunReader yields; one run, one worker, one of these."""

    def __init__(self, layout: TreeLayout, folder: TableFolder, sink: CsvSink) -> None:
        """Write to where ``layout`` says, in ``folder``: tables by ``sink``, which is to be flushed by its owner."""
        self.entries: dict[PurePosixPath, TableEntry] = {}
        #: Folders of files beside the tables.
        self.stored: set[str] = set()
        #: Rows for tables of the whole log directory, by kind.
        self.gathered: dict[str, list[pl.DataFrame]] = {}
        self._layout = layout
        self._folder = folder
        self._sink = sink
        self._accounts: dict[PurePosixPath, SeriesAccount] = {}
        self._undecodable: list[UndecodableValue] = []
        self._report: list[UndecodableEntry] = []

    def write(self, reader: RunReader) -> RunReport:
        """Write all that ``reader`` yields, and return the account of the run."""
        held = 0
        for item in reader.decode():
            if isinstance(item, UndecodableValue):
                self._report.append(UndecodableEntry(item.series.run, item.series.tag, item.step, item.detail))
                self._undecodable.append(item)
                held += len(item.payload)
                if held > _UNDECODABLE_BYTES:
                    self._write_undecodable()
                    held = 0
            else:
                self._write_rows(item)
        self._write_undecodable()
        for path, account in self._accounts.items():
            entry = self.entries[path]
            if not entry.rows:  # its values have no elements, but they have steps
                entry.first_step, entry.last_step = account.first_step, account.last_step
                entry.first_wall_time, entry.last_wall_time = account.first_wall_time, account.last_wall_time
        return self._finished(reader)

    def _finished(self, reader: RunReader) -> RunReport:
        selected = [account for account in reader.series if account.is_selected]
        return RunReport(
            run=reader.run.name,
            values_read=sum(account.points for account in reader.series),
            values_written=sum(account.points - account.undecodable for account in selected),
            values_filtered=sum(account.points for account in reader.series if not account.is_selected),
            values_undecodable=sum(account.undecodable for account in selected),
            tables=len(self.entries),
            sources=reader.files,
            undecodable=self._report,
            notes=[
                f"tag {account.series.tag!r} of run {account.series.run!r} changes its type or shape: "
                f"what is {account.series.variant} has a table of its own"
                for account in selected
                if account.series.variant and account.points > account.undecodable
            ],
        )

    def _write_rows(self, rows: Rows) -> None:
        piece = rows.piece
        if piece.is_gathered:
            self.gathered.setdefault(rows.series[0].series.kind, []).append(piece.frame)
            return
        tables = []
        for i, account in enumerate(rows.series):
            start, stop = int(rows.bounds[i]), int(rows.bounds[i + 1])
            if start == stop and account.undecodable:
                continue  # of values that have no elements there is a table, of undecodable ones another
            path = self._path(account, piece)
            if start < stop:
                self._count(self.entries[path], piece.frame, start, stop)
            tables.append(TableRows(path, start, stop))
        if piece.files:
            self._store(rows, tables)
        else:
            self._sink.append(piece.frame, tables)

    @staticmethod
    def _count(entry: TableEntry, frame: pl.DataFrame, start: int, stop: int) -> None:
        """Add rows to what the index says of a table."""
        steps, wall_times = frame["step"], frame["wall_time"]
        if not entry.rows:
            entry.first_step, entry.first_wall_time = steps[start], wall_times[start]
        entry.last_step, entry.last_wall_time = steps[stop - 1], wall_times[stop - 1]
        entry.rows += stop - start

    def _path(self, account: SeriesAccount, piece: Piece) -> PurePosixPath:
        series = account.series
        table = self._layout.table_path(series)
        path = table.with_name(f"{table.name}{'.' * bool(piece.part)}{piece.part}{self._sink.suffix}")
        if path not in self.entries:
            kind = piece.kind or series.kind
            self.entries[path] = TableEntry(
                str(path), series.run, series.tag, kind, series.plugin_name, piece.schema, series.metadata
            )
            self._accounts[path] = account
        return path

    def _store(self, rows: Rows, tables: list[TableRows]) -> None:
        """Write the files of a piece beside their tables, and the tables with the paths as seen from there."""
        import polars as pl

        piece = rows.piece
        for file in piece.files:
            table = self._layout.table_path(rows.series_of(file.row).series)
            folder = table.with_name(table.name + FILES_ENDING)
            self.stored.add(str(folder))
            with self._folder.open(folder / file.name) as opened:
                opened.write(file.data)
        if "path" not in piece.frame.columns:
            self._sink.append(piece.frame, tables)
            return
        for path, start, stop in tables:
            stem = path.name.removesuffix(self._sink.suffix)
            part = piece.frame.slice(start, stop - start)
            part = part.with_columns(pl.lit(f"{stem}{FILES_ENDING}/").add(pl.col("path")).alias("path"))
            self._sink.append(part, [TableRows(path, 0, len(part))])

    def _write_undecodable(self) -> None:
        """Write the payloads that could not be decoded to tables of their own."""
        import polars as pl

        from tb2csv.decoders.strings import encode_cell

        by_path: dict[PurePosixPath, list[UndecodableValue]] = {}
        for value in self._undecodable:
            path = self._layout.undecodable_path(value.series)
            path = path.with_name(f"{path.name}.{UNDECODABLE_PART}{self._sink.suffix}")
            by_path.setdefault(path, []).append(value)
        self._undecodable = []
        for path, values in by_path.items():
            frame = pl.DataFrame(
                {
                    "wall_time": [value.wall_time for value in values],
                    "step": [value.step for value in values],
                    "reason": [value.detail for value in values],
                    "data": [encode_cell(value.payload) for value in values],
                },
                {"wall_time": pl.Float64, "step": pl.Int64, "reason": pl.String, "data": pl.String},
            )
            series = values[0].series
            if path not in self.entries:
                self.entries[path] = TableEntry(
                    str(path), series.run, series.tag, UNDECODABLE_KIND, series.plugin_name, frame.schema
                )
            self._count(self.entries[path], frame, 0, len(frame))
            self._sink.append(frame, [TableRows(path, 0, len(frame))])
