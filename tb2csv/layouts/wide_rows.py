"""Scalars side by side: one row for each step, one column for each tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tb2csv.column_names import free_name
from tb2csv.errors import Tb2csvError
from tb2csv.layouts.held_tables import shared_cell
from tb2csv.layouts.manifest import TableEntry
from tb2csv.layouts.table_paths import ON_DUPLICATE, SCALARS, with_variant
from tb2csv.layouts.time_columns import TIME_COLUMN_NAMES
from tb2csv.messages import Option, advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt
    import polars as pl

    from tb2csv.layouts.held_tables import HeldTable
    from tb2csv.layouts.output import Output
    from tb2csv.sinks.row_buffer import HeldPart, RowBuffer

    _Steps = npt.NDArray[np.int64]

#: Values that are laid side by side at once, where no step alone has more: it keeps memory bounded.
_RANGE_VALUES: Final = 1 << 21
#: One value of so many is looked at to find out between which steps so many are.
_SAMPLED: Final = 1 << 8

#: Columns whose names no tag takes, whether they are there or not.
_RESERVED: Final = ("step", *TIME_COLUMN_NAMES)


def _is_last(steps: _Steps) -> npt.NDArray[np.bool_]:
    return np.append(steps[1:] != steps[:-1], True)


def _is_first(steps: _Steps) -> npt.NDArray[np.bool_]:
    return np.append(True, steps[1:] != steps[:-1])


#: Which of the steps in their order are kept, by the names of ON_DUPLICATE; None where none may be left out.
_KEPT: Final[dict[str, Callable[[_Steps], npt.NDArray[np.bool_]] | None]] = dict(
    zip(ON_DUPLICATE, (_is_last, _is_first, None), strict=True)
)


def write_wide_table(output: Output, run: str, members: Sequence[HeldTable]) -> tuple[TableEntry, int]:
    """Write the scalars of a run side by side.

    Returns what the index says of the table, and how many values are left out because another value of the same tag and
    step is kept. Raises Tb2csvError if there are such values and ``on_duplicate`` is ``error``.
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
    columns = [WideColumn(member.series.tag, member.series.variant, member.table.entry.path) for member in members]
    rows = WideRows(run, columns, output.held, output.options.on_duplicate)

    def pieces() -> Iterator[pl.DataFrame]:
        for frame in rows:
            timed = output.options.times.replace(frame, np.full(len(frame), members[0].origin))
            entry.schema = timed.schema
            if len(frame):
                if not entry.rows:
                    entry.first_step, entry.first_wall_time = frame["step"][0], frame["wall_time"][0]
                entry.last_step, entry.last_wall_time = frame["step"][-1], frame["wall_time"][-1]
            entry.rows += len(frame)
            yield timed

    writer.write(entry.path, pieces())
    for member in members:
        output.held.release(member.table.entry.path)
    return entry, rows.duplicates


class WideColumn(NamedTuple):
    """One series of scalars: its tag and variant, and the path by which its rows are held."""

    tag: str
    variant: str
    path: str


class _Part(NamedTuple):
    """A part of a series' rows, and the least and the greatest of their steps; of none, the greatest is less."""

    rows: HeldPart
    least: int
    greatest: int


class _Values(NamedTuple):
    """Values of one series, each of another step, in the order of their steps."""

    steps: _Steps
    wall_times: npt.NDArray[np.float64]
    values: pl.Series


class WideRows:
    """The rows of a run's wide table, in pieces; ``duplicates`` is complete when all have been taken."""

    def __init__(self, run: str, columns: Sequence[WideColumn], held: RowBuffer, on_duplicate: str) -> None:
        """Lay these series side by side, in their order.

        ``on_duplicate`` is one of ON_DUPLICATE. With ``error``, a tag that has a step twice is a Tb2csvError.
        """
        #: How many values gave way to others of the same series and step.
        self.duplicates = 0
        self._run = run
        self._columns = columns
        self._held = held
        self._kept = _KEPT[on_duplicate]
        names: dict[str, None] = dict.fromkeys(_RESERVED)
        for column in columns:
            names.setdefault(free_name(with_variant(column.tag, column.variant), "tag", names))
        self._names = list(names)[len(_RESERVED) :]

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield ``step, wall_time`` and the tags, in the order of the steps; one frame at the least.

        ``wall_time`` is the earliest of the row's values, in seconds since 1970. Empty is where a tag has no value.
        """
        samples: list[_Steps] = []
        parts = [list(self._parts(column, samples)) for column in self._columns]
        for start, stop in _ranges(samples):
            pairs = zip(self._columns, parts, strict=True)
            yield _side_by_side([self._read(column, each, start, stop) for column, each in pairs], self._names)

    def _parts(self, column: WideColumn, samples: list[_Steps]) -> Iterator[_Part]:
        """Yield the parts of a series' rows, and put a sample of each one's steps, sorted, to the others."""
        for rows in self._held.parts(column.path):
            steps = np.sort(rows.read()["step"].to_numpy())
            samples.append(steps[max(len(steps) - 1, 0) % _SAMPLED // 2 :: _SAMPLED])
            yield _Part(rows, int(steps[0]) if len(steps) else 0, int(steps[-1]) if len(steps) else -1)

    def _read(self, column: WideColumn, parts: list[_Part], start: int, stop: int) -> _Values:
        """Return a series' values whose steps are from ``start`` to ``stop``."""
        import polars as pl

        frames = []
        for part in parts:
            if part.least <= part.greatest and part.least <= stop and part.greatest >= start:
                frame = part.rows.read().select("step", "wall_time", "value")
                if part.least < start or part.greatest > stop:
                    frame = frame.filter(pl.col("step").is_between(start, stop))
                frames.append(frame)
        frame = pl.concat(frames, rechunk=True) if frames else parts[0].rows.read().clear()
        steps = frame["step"].to_numpy()
        if (steps[1:] > steps[:-1]).all():
            return _Values(steps, frame["wall_time"].to_numpy(), frame["value"])
        order = np.argsort(steps, kind="stable")
        steps = steps[order]
        is_last = _is_last(steps)
        if self._kept is None and not is_last.all():
            step = steps[~is_last][0]
            raise Tb2csvError(
                f"Tag {column.tag!r} of run {self._run!r} has step {step} more than once",
                advice("choose one value with {} or last", Option("on_duplicate", "first")),
                advice("keep all in another layout"),
            )
        kept = self._kept(steps) if self._kept else is_last
        self.duplicates += len(steps) - int(kept.sum())
        chosen = order[kept]
        return _Values(steps[kept], frame["wall_time"].to_numpy()[chosen], frame["value"].gather(chosen))


def _ranges(samples: list[_Steps]) -> Iterator[tuple[int, int]]:
    """Yield ranges of steps, first and last, with about as many values as can be laid side by side."""
    least, greatest = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    sampled = np.sort(np.concatenate(samples)) if samples else np.empty(0, np.int64)
    each = _RANGE_VALUES // _SAMPLED
    borders = sampled[each::each]
    inner = borders[_is_first(borders)].tolist() if borders.size else []
    yield from zip([int(least), *inner], [*(border - 1 for border in inner), int(greatest)], strict=True)


def _side_by_side(series: list[_Values], names: list[str]) -> pl.DataFrame:
    import polars as pl

    steps = series[0].steps
    if any(not np.array_equal(steps, each.steps) for each in series[1:]):
        # Sorted stretches, which a stable sort merges; unique would hash them.
        merged = np.sort(np.concatenate([each.steps for each in series]), kind="stable")
        steps = merged[_is_first(merged)]
    earliest = np.full(len(steps), np.nan)
    columns = []
    for name, each in zip(names, series, strict=True):
        rows = np.searchsorted(steps, each.steps)
        earliest[rows] = np.fmin(earliest[rows], each.wall_times)  # NaN only where all of them are
        column = each.values
        if len(rows) < len(steps):
            source = np.zeros(len(steps), np.int64)
            source[rows] = np.arange(1, len(rows) + 1)
            missing = pl.Series([None], dtype=column.dtype)
            column = missing.append(column).gather(source)
        columns.append(column.alias(name))
    return pl.DataFrame([pl.Series("step", steps), pl.Series("wall_time", earliest), *columns])
