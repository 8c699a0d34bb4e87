"""The series of one run and their counts, from all records, without their values.

A series of a large log takes a few kilobytes here, whereas its columns would be as large as the log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from tb2csv.decoders.histograms import STATS_KIND, STATS_PART
from tb2csv.decoders.protocol import MAIN_PART
from tb2csv.event_files.values import ValueKind
from tb2csv.late_modules import np
from tb2csv.layouts.table_paths import TreeTable
from tb2csv.runs.plugin_contents import CONTENTS_KIND, CONTENTS_PART
from tb2csv.runs.run_reader import RunReader
from tb2csv.runs.scanned_run import file_changes
from tb2csv.tensorboard_plugin.table_sizes import bytes_of_table, size_of_value

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from tb2csv.event_files.values import ValueBlock, ValueSchema
    from tb2csv.logdir import Run
    from tb2csv.time_series import Series, SeriesStats

_Number = TypeVar("_Number", bound="np.generic")

#: Smaller than for a conversion, because there are two chunks in memory per processor.
_CHUNK_SIZE: Final = 4 << 20


#: Kinds whose tables may differ in their columns.
_OF_SEVERAL_COLUMNS: Final = frozenset({"scalars", "tensors", "meshes", "text", "blobs"})
#: Floats without a column type of their own; their columns are float32.
_SMALL_FLOAT: Final = re.compile(r"^(b?float16|float8\w*?)(?=-|$)")


class CountedTable(NamedTuple):
    """A table in the tree layout, and what its columns depend on: no layout joins tables that differ in it."""

    table: TreeTable
    columns: str


@dataclass(slots=True)
class CountedSeries:
    """The values of one tag and one kind in one run, in one table or in several."""

    tag: str
    kind: str
    plugin_name: str
    points: int = 0
    first_step: int = 0
    last_step: int = 0
    #: The tables of the tree layout.
    tables: tuple[CountedTable, ...] = ()
    #: Estimates: see table_sizes.py.
    rows: int = 0
    text_bytes: int = 0
    #: The size of the values in the event files, in bytes.
    payload_bytes: int = 0
    #: The position of the last value among the run's values.
    last_row: int = -1


class CountedRun:
    """One run; ``refresh`` reads it, and continues there at the next call.

    One thread may read while others use the counts.
    """

    def __init__(self) -> None:
        """Start without counts."""
        self._reader: RunReader | None = None
        self._is_reading = False
        self._counted: list[CountedSeries] = []

    def _begin(self, run: Run) -> RunReader:
        self._series_of_schema: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self._values: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._payload: npt.NDArray[np.float64] = np.empty(0, np.float64)
        #: The latest plugin content of each series by number, and the series in which it has changed.
        self._contents: dict[int, bytes] = {}
        self._changing: set[int] = set()
        return RunReader(run, chunk_size=_CHUNK_SIZE)

    @property
    def series(self) -> list[CountedSeries]:
        """The counts; incomplete while ``refresh`` runs in another thread."""
        return self._count() if self._is_reading else self._counted

    @property
    def damage_count(self) -> int:
        """The number of damaged stretches in the run's files."""
        files = self._reader.stats.files if self._reader else []
        return sum(file.damaged_records for file in files if not file.left_out)

    def unread(self, run: Run) -> int | None:
        """Return the number of bytes that ``refresh`` would read, or None if nothing has changed.

        ``run`` has the present files. If a file is gone or shorter than before, the whole run is read again.
        """
        files = self._reader.stats.files if self._reader else []
        growth = file_changes(run, files)
        if not files or growth.is_replaced:
            self._reader = self._begin(run)
            return file_changes(run, []).unread
        return None if growth.is_unchanged else growth.unread

    def refresh(self, run: Run, report_bytes: Callable[[int], None]) -> None:
        """Read the bytes that ``unread`` counted."""
        reader = self._reader = self._reader or self._begin(run)
        reader.run = run
        reader.report_bytes = report_bytes
        self._is_reading = True
        for block in reader.scan():
            reader.group(block)
            size = len(block)
            schema_id = block.columns.schema_id[:size]
            schemas = len(reader.schemas)
            self._series_of_schema = _longer(self._series_of_schema, schemas)
            numbers = self._series_of_schema[schema_id] = reader.series_numbers(block)
            self._compare_contents(block, numbers)
            self._values = _longer(self._values, schemas) + np.bincount(schema_id, minlength=schemas)
            payload = np.bincount(schema_id, block.columns.payload_length[:size], schemas)
            self._payload = _longer(self._payload, schemas) + payload
        self._counted = self._count()
        self._is_reading = False

    def _compare_contents(self, block: ValueBlock, numbers: npt.NDArray[np.int32]) -> None:
        """Find the series whose plugin content changes: the contents have a side table."""
        if not block.columns.has_contents:
            return
        for row, offset, length in block.columns.contents.tolist():
            number, content = int(numbers[row]), bytes(block.bytes_at(offset, length))
            if self._contents.setdefault(number, content) != content:
                self._changing.add(number)
                self._contents[number] = content

    def _count(self) -> list[CountedSeries]:
        if self._reader is None:
            return []
        counted: dict[tuple[str, str], CountedSeries] = {}
        schemas = self._schemas_by_series(self._reader)
        for number, stats in enumerate(list(self._reader.stats.series)):
            if stats.points:
                series = stats.series
                whole = counted.setdefault(
                    (series.tag, series.kind),
                    CountedSeries(series.tag, series.kind, series.plugin_name, first_step=stats.first_step),
                )
                signature = series.signature if series.kind in _OF_SEVERAL_COLUMNS else ""
                columns = _SMALL_FLOAT.sub("float32", signature)
                _add(whole, stats, columns, schemas.get(number, []))
                if number in self._changing and not getattr(self._reader.decoder(number), "reads_content", False):
                    whole.tables += (_table(series, CONTENTS_KIND, CONTENTS_PART),)
        return list(counted.values())

    def _schemas_by_series(self, reader: RunReader) -> dict[int, list[tuple[ValueSchema, int, float]]]:
        """Return the value schemas of each series, with the number of their values and the mean size of a payload."""
        by_series: dict[int, list[tuple[ValueSchema, int, float]]] = {}
        columns = (self._series_of_schema.tolist(), self._values.tolist(), self._payload.tolist())
        for schema, number, values, payload in zip(reader.schemas, *columns, strict=False):
            if values:
                by_series.setdefault(number, []).append((schema, values, payload / values))
        return by_series


def _longer(column: npt.NDArray[_Number], size: int) -> npt.NDArray[_Number]:
    """Return an array padded with zeros to ``size``."""
    return np.concatenate((column, np.zeros(size - len(column), column.dtype)))


def _add(whole: CountedSeries, stats: SeriesStats, columns: str, schemas: list[tuple[ValueSchema, int, float]]) -> None:
    """Add the counts of one table's values."""
    series = stats.series
    whole.points += stats.points
    if stats.last_row > whole.last_row:
        whole.last_row, whole.last_step = stats.last_row, stats.last_step
    for schema, values, payload in schemas:
        size = size_of_value(series.kind, schema, payload)
        rows = values * size.rows
        whole.rows += round(rows)
        whole.text_bytes += bytes_of_table(rows, size.row_bytes, stats.last_step)
        whole.payload_bytes += round(values * payload)
    whole.tables += (_table(series, series.kind, MAIN_PART, columns),)
    if series.kind == "histograms" and any(schema.kind == ValueKind.HISTO for schema, _, _ in schemas):
        whole.tables += (_table(series, STATS_KIND, STATS_PART),)


def _table(series: Series, kind: str, part: str, columns: str = "") -> CountedTable:
    """Return a table of a series."""
    return CountedTable(TreeTable(series.run, series.tag_bytes, series.kind, kind, part, series.variant), columns)
