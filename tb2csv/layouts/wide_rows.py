"""Scalars side by side: one row for each step, one column for each tag."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.column_names import free_name
from tb2csv.concat_frames import fitted, joint_schema
from tb2csv.late_modules import np, pl
from tb2csv.layouts.held_tables import shared_cell
from tb2csv.layouts.manifest import TableEntry
from tb2csv.layouts.table_paths import SCALARS, with_variant
from tb2csv.layouts.time_columns import TIME_COLUMN_NAMES
from tb2csv.messages import advice
from tb2csv.wide_frames import all_steps, check_cells, is_first, one_for_each_step, parts_side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tb2csv.layouts.bins import Bins
    from tb2csv.layouts.held_tables import HeldTable
    from tb2csv.layouts.output import Output
    from tb2csv.sinks.row_buffer import HeldPart, RowBuffer
    from tb2csv.wide_frames import Steps, StepValues

#: The number of values that are put side by side at once, which bounds memory unless a single step has more.
_RANGE_VALUES: Final = 1 << 21
#: One of this many values is sampled, to find ranges of steps with about _RANGE_VALUES values.
_SAMPLED: Final = 1 << 8

#: What to do if nearly all cells would be empty.
_WAYS_OUT: Final = (advice("select fewer tags or runs"), advice("choose another layout"))

#: Names of columns that series do not get, even if the table does not have such a column.
RESERVED_NAMES: Final = ("step", *TIME_COLUMN_NAMES)


def write_wide_table(output: Output, run: str, members: Sequence[HeldTable]) -> tuple[TableEntry, int]:
    """Write the scalars of a run side by side.

    Returns:
        The index entry of the table, and the number of values that are left out because another value of the same tag
        and step is kept.

    Raises:
        Tb2csvError: a tag has several values for a step, and ``on_duplicate`` is ``error``.
    """
    writer = output.joined_writer()
    entry = _entry(output.paths.below(run, SCALARS) + writer.format.suffix, run, members)
    columns = _columns_of_tags(members)
    rows = WideRows(columns, output.held, output.options.on_duplicate)
    earlier = output.earlier_wide.get(run)
    if earlier and earlier.has_all_columns(members):
        old = earlier.entry
        if all(output.held.earlier_rows(member.path) == member.table.entry.rows for member in members):
            writer.lost_cells[old.path] = old.lost_cells
            return old, earlier.left_out
        new_rows = WideRows(columns, output.held, output.options.on_duplicate, is_new=True)
        if writer.is_appended and old.last_step is not None and new_rows.min_step > old.last_step:
            writer.resume(old.path, old.schema, old.rows, old.lost_cells, earlier.length)
            entry, rows = old, new_rows
            rows.duplicates[run] = earlier.left_out

    def frames() -> Iterator[pl.DataFrame]:
        for frame in rows:
            timed = output.options.times.replace(frame, np.full(len(frame), members[0].origin))
            entry.schema = timed.schema
            _count(entry, frame)
            yield timed

    writer.write(entry.path, frames())
    for member in members:
        output.held.release(member.table.entry.path)
    return entry, rows.duplicates[run]


def write_wide_runs(output: Output, members: Sequence[HeldTable]) -> tuple[TableEntry, dict[str, int]]:
    """Write the scalars of all runs into one table, with a column ``run`` first and one for each tag of any run.

    Returns:
        As ``write_wide_table``, with the number of values for each run.

    Raises:
        Tb2csvError: as ``write_wide_table``, or two runs have types of one tag that do not fit into one column.
    """
    writer = output.joined_writer()
    entry = _entry(SCALARS + writer.format.suffix, None, members)
    duplicates: dict[str, int] = {}
    by_run: dict[str, list[HeldTable]] = {}
    for member in members:
        by_run.setdefault(member.series.run, []).append(member)

    def with_run(run: str, frame: pl.DataFrame) -> pl.DataFrame:
        timed = output.options.times.replace(frame, np.full(len(frame), by_run[run][0].origin))
        return pl.DataFrame([pl.Series("run", [run] * len(frame), dtype=pl.String), *timed.get_columns()])

    columns = {run: _columns_of_tags(own, ("run", *RESERVED_NAMES)) for run, own in by_run.items()}
    schemas = [with_run(run, empty_rows(columns[run], own)).schema for run, own in by_run.items()]
    leading = {"run": pl.String(), **{name: schemas[0][name] for name in schemas[0] if name in RESERVED_NAMES}}
    entry.schema = pl.Schema({**leading, **joint_schema(schemas, "the table of scalars")})

    def frames() -> Iterator[pl.DataFrame]:
        for run in by_run:
            rows = WideRows(columns[run], output.held, output.options.on_duplicate)
            for frame in rows:
                _count(entry, frame)
                yield fitted(with_run(run, frame), entry.schema)
            duplicates[run] = rows.duplicates[run]

    writer.write(entry.path, frames())
    return entry, duplicates


def _entry(path: str, run: str | None, members: Sequence[HeldTable]) -> TableEntry:
    plugin_name = shared_cell([member.table.entry.plugin_name for member in members])
    return TableEntry(path, run, None, SCALARS, plugin_name, {})


def _count(entry: TableEntry, frame: pl.DataFrame) -> None:
    """Add rows of ``step, wall_time`` and others to the entry of their table."""
    if len(frame):
        if not entry.rows:
            entry.first_step, entry.first_wall_time = frame["step"][0], frame["wall_time"][0]
        entry.last_step, entry.last_wall_time = frame["step"][-1], frame["wall_time"][-1]
    entry.rows += len(frame)


def _columns_of_tags(members: Sequence[HeldTable], reserved: Iterable[str] = RESERVED_NAMES) -> list[WideColumn]:
    """Return the columns of one run's series, named by their tags."""
    labels = [with_variant(member.series.tag, member.series.variant) for member in members]
    return wide_columns(members, labels, "tag", reserved)


def wide_columns(
    members: Sequence[HeldTable], labels: Iterable[str], role: str, reserved: Iterable[str] = RESERVED_NAMES
) -> list[WideColumn]:
    """Return the columns of series, named by their labels; ``role`` is a prefix for names that are taken."""
    taken = dict.fromkeys(reserved)
    columns = []
    for member, label in zip(members, labels, strict=True):
        name = free_name(label, role, taken)
        taken[name] = None
        columns.append(WideColumn(name, member.series.run, member.series.tag, member.path, member.origin))
    return columns


class WideColumn(NamedTuple):
    """A series of scalars: its column, its run and tag, the path of its held rows, and the origin of relative times."""

    name: str
    run: str
    tag: str
    path: str
    origin: float


def empty_rows(columns: Sequence[WideColumn], members: Sequence[HeldTable]) -> pl.DataFrame:
    """Return rows side by side without any row; ``members`` are the tables of the columns."""
    types: dict[str, pl.DataType] = {"step": pl.Int64(), "wall_time": pl.Float64()}
    types |= {c.name: member.table.entry.schema["value"] for c, member in zip(columns, members, strict=True)}
    return pl.Schema(types).to_frame()


class _Part(NamedTuple):
    """A part of a series' rows, and the minimum and maximum of their steps; 0 and -1 if it has no rows."""

    rows: HeldPart
    min_step: int
    max_step: int


class WideRows:
    """The rows of several series side by side, in several frames; ``duplicates`` is complete after the last one."""

    def __init__(
        self,
        columns: Sequence[WideColumn],
        held: RowBuffer,
        on_duplicate: str,
        *,
        bins: Bins | None = None,
        is_new: bool = False,
    ) -> None:
        """Prepare to put these series side by side, in their order; ``is_new`` leaves out restored rows.

        ``on_duplicate`` is one of ON_DUPLICATE. With ``error``, a series with several values for a step raises
        Tb2csvError. With ``bins``, the numbers of bins take the place of steps, and their means that of values.
        """
        #: By run, the number of values that were left out because another value of the same series and step is kept.
        self.duplicates: Counter[str] = Counter()
        #: By run, the number of values that have no bin, because their time is not known.
        self.without_bin: Counter[str] = Counter()
        self._columns = columns
        self._held = held
        self._on_duplicate = on_duplicate
        self._bins = bins
        self._is_new = is_new
        self._cells = self._values = 0

    @property
    def min_step(self) -> int:
        """The first step of all rows; there must be one."""
        parts = (part for column in self._columns for part in self._parts(column, []))
        return min(part.min_step for part in parts if part.min_step <= part.max_step)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield ``step, wall_time`` and the series, in the order of the steps, in at least one frame.

        ``wall_time`` is the earliest of the row's values, in seconds since 1970. A series without a value at a step has
        an empty cell.
        """
        samples: list[Steps] = []
        parts = [list(self._parts(column, samples)) for column in self._columns]
        names = [column.name for column in self._columns]
        for start, stop in _ranges(samples):
            pairs = zip(self._columns, parts, strict=True)
            series = [self._read(column, each, start, stop) for column, each in pairs]
            all_of_range = all_steps(series)
            self._cells += len(all_of_range) * len(series)
            self._values += sum(len(each.steps) for each in series)
            check_cells(self._cells, self._values, *_WAYS_OUT)
            for steps, wall_times, values in parts_side_by_side(series, names, all_of_range):
                yield pl.DataFrame([pl.Series("step", steps), pl.Series("wall_time", wall_times), *values])

    def _parts(self, column: WideColumn, samples: list[Steps]) -> Iterator[_Part]:
        """Yield the parts of a series' rows, and add a sorted sample of each part's steps to ``samples``."""
        for rows in self._held.parts(column.path, is_new=self._is_new):
            frame = self._placed(column, rows)
            self.without_bin[column.run] += sum(stretch.rows for stretch in rows.stretches) - len(frame)
            steps = np.sort(frame["step"].to_numpy())
            samples.append(steps[max(len(steps) - 1, 0) % _SAMPLED // 2 :: _SAMPLED])
            yield _Part(rows, int(steps[0]) if len(steps) else 0, int(steps[-1]) if len(steps) else -1)

    def _placed(self, column: WideColumn, rows: HeldPart) -> pl.DataFrame:
        """Return ``step, wall_time, value`` of a part, with the number of the bin as the step if there are bins."""
        read = rows.read()
        # Eager calls of columns: with thousands of series, queries would take most of the time.
        frame = pl.DataFrame([read.get_column(name) for name in ("step", "wall_time", "value")])
        return self._bins.placed(frame, column.origin) if self._bins else frame

    def _read(self, column: WideColumn, parts: list[_Part], start: int, stop: int) -> StepValues:
        """Return the values of a series with steps from ``start`` to ``stop``, both included."""
        frames = []
        for part in parts:
            if part.min_step <= part.max_step and part.min_step <= stop and part.max_step >= start:
                frame = self._placed(column, part.rows)
                if part.min_step < start or part.max_step > stop:
                    steps = frame.get_column("step").to_numpy()
                    is_within = pl.Series((steps >= start) & (steps <= stop))
                    frame = pl.DataFrame([each.filter(is_within) for each in frame.get_columns()])
                frames.append(frame)
        frame = pl.concat(frames, rechunk=True) if frames else self._placed(column, parts[0].rows).clear()
        if self._bins:
            frame = self._bins.means(frame)
        values, left_out = one_for_each_step(
            frame, column.run, column.tag, self._on_duplicate, advice("keep all values with another layout")
        )
        self.duplicates[column.run] += left_out
        return values


def _ranges(samples: list[Steps]) -> Iterator[tuple[int, int]]:
    """Yield the first and last step of each range, with about _RANGE_VALUES values in a range."""
    limits = np.iinfo(np.int64)
    sampled = np.sort(np.concatenate(samples)) if samples else np.empty(0, np.int64)
    each = _RANGE_VALUES // _SAMPLED
    borders = sampled[each::each]
    inner = borders[is_first(borders)].tolist() if borders.size else []
    yield from zip([int(limits.min), *inner], [*(border - 1 for border in inner), int(limits.max)], strict=True)
