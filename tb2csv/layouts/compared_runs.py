"""Scalars of several runs side by side: one row for each step or bin, one column for each run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tb2csv.late_modules import pl
from tb2csv.layouts.bins import AXES, Bins
from tb2csv.layouts.clocks import notes_on_clocks
from tb2csv.layouts.held_tables import shared_cell
from tb2csv.layouts.joined_parts import JoinedPart, JoinedParts
from tb2csv.layouts.layout import JoinedTables
from tb2csv.layouts.manifest import TableEntry
from tb2csv.layouts.table_paths import SCALARS, with_variant
from tb2csv.layouts.time_columns import WALL_TIME, TimeColumns
from tb2csv.layouts.wide_rows import WideColumn, WideRows, empty_rows, wide_columns
from tb2csv.notes import Note
from tb2csv.sinks.file_names import UniqueNames, tag_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tb2csv.layouts.held_tables import HeldTable
    from tb2csv.layouts.output import Output


def write_compared_runs(output: Output, held: Sequence[HeldTable]) -> JoinedTables:
    """Write a table for each tag, or one for all tags, with the series of all runs side by side.

    Raises:
        Tb2csvError: a series has several values for a step, and ``on_duplicate`` is ``error``.
    """
    by_tag: dict[bytes, list[HeldTable]] = {}
    for member in held:
        by_tag.setdefault(member.series.tag_bytes, []).append(member)
    groups = (
        [[member for group in by_tag.values() for member in group]] if output.options.is_one_table else by_tag.values()
    )
    names = UniqueNames()
    joined = JoinedTables()
    duplicates: Counter[str] = Counter()
    timeless: Counter[str] = Counter()
    for group in groups:
        series = group[0].series
        stem = names.claim(f"{SCALARS}/{tag_path(series.tag)}", repr(series.tag_bytes))
        if output.options.is_one_table:
            stem = SCALARS
            joined.notes += notes_on_clocks(group)
        rows = _write(output, stem, group, joined)
        duplicates.update(rows.duplicates)
        timeless.update(rows.without_bin)
    joined.entries.sort(key=lambda entry: entry.path.split("/"))
    joined.left_out = duplicates + timeless
    kept = {"kept": output.options.on_duplicate}
    joined.notes += [Note("duplicates_left_out", run, count=n, details=kept) for run, n in (+duplicates).items()]
    joined.notes += [Note("times_unknown", run, count=n) for run, n in (+timeless).items()]
    return joined


def _write(output: Output, stem: str, members: Sequence[HeldTable], joined: JoinedTables) -> WideRows:
    """Write one table, and return its rows, which have been read."""
    writer, options = output.joined_writer(), output.options
    columns = _columns(members)
    tags = [member.series.tag for member in members]
    rows = WideRows(columns, output.held, options.on_duplicate, bins=options.bins)
    entry = TableEntry(
        stem + writer.format.suffix,
        None,
        shared_cell(tags),
        SCALARS,
        shared_cell([member.table.entry.plugin_name for member in members]),
        _with_axis(empty_rows(columns, members), options.bins, options.times).schema,
        shared_cell([member.table.entry.metadata for member in members]) if shared_cell(tags) is not None else None,
    )

    def frames() -> Iterator[pl.DataFrame]:
        for frame in rows:
            finished = _with_axis(frame, options.bins, options.times)
            entry.schema = finished.schema
            if len(frame) and finished.columns[0] == "step":
                steps = finished.to_series(0)
                entry.first_step, entry.last_step = steps[0] if not entry.rows else entry.first_step, steps[-1]
            entry.rows += len(frame)
            yield finished

    writer.write(entry.path, frames())
    for member in members:
        output.held.release(member.path)
    joined.entries.append(entry)
    joined.parts[entry.path] = JoinedParts.of([JoinedPart.of(member, "") for member in members], entry.schema)
    return rows


def _columns(members: Sequence[HeldTable]) -> list[WideColumn]:
    """Return the columns: named by run if there is one tag, by tag if there is one run, else by both."""
    runs = [member.series.run for member in members]
    tags = [with_variant(member.series.tag, member.series.variant) for member in members]
    if len({member.series.tag_bytes for member in members}) == 1:
        labels = [with_variant(run, member.series.variant) for run, member in zip(runs, members, strict=True)]
        return wide_columns(members, labels, "run")
    if len(set(runs)) == 1:
        return wide_columns(members, tags, "tag")
    return wide_columns(members, [f"{run}: {tag}" for run, tag in zip(runs, tags, strict=True)], "run")


def _with_axis(frame: pl.DataFrame, bins: Bins | None, times: TimeColumns) -> pl.DataFrame:
    """Return rows of ``step, wall_time`` and series with one column of steps or times before the series."""
    steps, _, *series = frame.get_columns()
    if bins is None:
        return pl.DataFrame([steps, *series])
    positions = bins.positions(steps)
    placed = pl.DataFrame([positions.alias(AXES[bins.axis]), *series])
    return times.replace(placed, positions.to_numpy()) if WALL_TIME in placed.columns else placed
