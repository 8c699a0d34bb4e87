"""Scalars side by side: one row for each step, one column for each tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from tb2csv.column_names import free_name
from tb2csv.layouts.held_tables import shared_cell
from tb2csv.layouts.manifest import TableEntry
from tb2csv.layouts.table_paths import SCALARS, with_variant
from tb2csv.layouts.time_columns import TIME_COLUMN_NAMES
from tb2csv.messages import advice
from tb2csv.wide_frames import is_first, one_for_each_step, side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tb2csv.layouts.held_tables import HeldTable
    from tb2csv.layouts.output import Output
    from tb2csv.sinks.row_buffer import HeldPart, RowBuffer
    from tb2csv.wide_frames import Steps, StepValues

#: The number of values that are put side by side at once, which bounds memory unless a single step has more.
_RANGE_VALUES: Final = 1 << 21
#: One of this many values is sampled, to find ranges of steps with about _RANGE_VALUES values.
_SAMPLED: Final = 1 << 8

#: Names of columns that tags do not get, even if the table does not have such a column.
_RESERVED: Final = ("step", *TIME_COLUMN_NAMES)


def write_wide_table(output: Output, run: str, members: Sequence[HeldTable]) -> tuple[TableEntry, int]:
    """Write the scalars of a run side by side.

    Returns:
        The index entry of the table, and the number of values that are left out because another value of the same tag
        and step is kept.

    Raises:
        Tb2csvError: a tag has several values for a step, and ``on_duplicate`` is ``error``.
    """
    writer = output.joined_writer()
    entry = TableEntry(
        output.paths.below(run, SCALARS) + writer.format.suffix,
        run,
        None,
        SCALARS,
        shared_cell([member.table.entry.plugin_name for member in members]),
        {},
    )
    columns = [WideColumn(member.series.tag, member.series.variant, member.path) for member in members]
    rows = WideRows(run, columns, output.held, output.options.on_duplicate)
    earlier = output.earlier_wide.get(run)
    if earlier and earlier.has_all_columns(members):
        old = earlier.entry
        if all(output.held.earlier_rows(member.path) == member.table.entry.rows for member in members):
            writer.lost_cells[old.path] = old.lost_cells
            return old, earlier.left_out
        new_rows = WideRows(run, columns, output.held, output.options.on_duplicate, is_new=True)
        if writer.is_appended and old.last_step is not None and new_rows.min_step > old.last_step:
            writer.resume(old.path, old.schema, old.rows, old.lost_cells, earlier.length)
            entry, rows = old, new_rows
            rows.duplicates = earlier.left_out

    def frames() -> Iterator[pl.DataFrame]:
        for frame in rows:
            timed = output.options.times.replace(frame, np.full(len(frame), members[0].origin))
            entry.schema = timed.schema
            if len(frame):
                if not entry.rows:
                    entry.first_step, entry.first_wall_time = frame["step"][0], frame["wall_time"][0]
                entry.last_step, entry.last_wall_time = frame["step"][-1], frame["wall_time"][-1]
            entry.rows += len(frame)
            yield timed

    writer.write(entry.path, frames())
    for member in members:
        output.held.release(member.table.entry.path)
    return entry, rows.duplicates


class WideColumn(NamedTuple):
    """A series of scalars: its tag and variant, and the path under which its rows are held."""

    tag: str
    variant: str
    path: str


class _Part(NamedTuple):
    """A part of a series' rows, and the minimum and maximum of their steps; 0 and -1 if it has no rows."""

    rows: HeldPart
    min_step: int
    max_step: int


class WideRows:
    """The rows of a run's wide table, in several frames; ``duplicates`` is complete after the last one."""

    def __init__(
        self, run: str, columns: Sequence[WideColumn], held: RowBuffer, on_duplicate: str, *, is_new: bool = False
    ) -> None:
        """Prepare to put these series side by side, in their order; ``is_new`` leaves out restored rows.

        ``on_duplicate`` is one of ON_DUPLICATE. With ``error``, a tag with several values for a step raises
        Tb2csvError.
        """
        #: The number of values that were left out because another value of the same series and step is kept.
        self.duplicates = 0
        self._run = run
        self._columns = columns
        self._held = held
        self._on_duplicate = on_duplicate
        self._is_new = is_new
        names: dict[str, None] = dict.fromkeys(_RESERVED)
        for column in columns:
            names.setdefault(free_name(with_variant(column.tag, column.variant), "tag", names))
        self._names = list(names)[len(_RESERVED) :]

    @property
    def min_step(self) -> int:
        """The first step of all rows; there must be one."""
        parts = (part for column in self._columns for part in self._parts(column, []))
        return min(part.min_step for part in parts if part.min_step <= part.max_step)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield ``step, wall_time`` and the tags, in the order of the steps, in at least one frame.

        ``wall_time`` is the earliest of the row's values, in seconds since 1970. A tag without a value at a step has an
        empty cell.
        """
        samples: list[Steps] = []
        parts = [list(self._parts(column, samples)) for column in self._columns]
        for start, stop in _ranges(samples):
            pairs = zip(self._columns, parts, strict=True)
            series = [self._read(column, each, start, stop) for column, each in pairs]
            steps, wall_times, columns = side_by_side(series, self._names)
            yield pl.DataFrame([pl.Series("step", steps), pl.Series("wall_time", wall_times), *columns])

    def _parts(self, column: WideColumn, samples: list[Steps]) -> Iterator[_Part]:
        """Yield the parts of a series' rows, and add a sorted sample of each part's steps to ``samples``."""
        for rows in self._held.parts(column.path, is_new=self._is_new):
            steps = np.sort(rows.read()["step"].to_numpy())
            samples.append(steps[max(len(steps) - 1, 0) % _SAMPLED // 2 :: _SAMPLED])
            yield _Part(rows, int(steps[0]) if len(steps) else 0, int(steps[-1]) if len(steps) else -1)

    def _read(self, column: WideColumn, parts: list[_Part], start: int, stop: int) -> StepValues:
        """Return the values of a series with steps from ``start`` to ``stop``, both included."""
        frames = []
        for part in parts:
            if part.min_step <= part.max_step and part.min_step <= stop and part.max_step >= start:
                frame = part.rows.read().select("step", "wall_time", "value")
                if part.min_step < start or part.max_step > stop:
                    frame = frame.filter(pl.col("step").is_between(start, stop))
                frames.append(frame)
        frame = pl.concat(frames, rechunk=True) if frames else parts[0].rows.read().clear()
        values, left_out = one_for_each_step(
            frame, self._run, column.tag, self._on_duplicate, advice("keep all values with another layout")
        )
        self.duplicates += left_out
        return values


def _ranges(samples: list[Steps]) -> Iterator[tuple[int, int]]:
    """Yield the first and last step of each range, with about _RANGE_VALUES values in a range."""
    limits = np.iinfo(np.int64)
    sampled = np.sort(np.concatenate(samples)) if samples else np.empty(0, np.int64)
    each = _RANGE_VALUES // _SAMPLED
    borders = sampled[each::each]
    inner = borders[is_first(borders)].tolist() if borders.size else []
    yield from zip([int(limits.min), *inner], [*(border - 1 for border in inner), int(limits.max)], strict=True)
