"""The frames of a log that grows, and the values of each update."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tb2csv.dataframes import LogdirFrames, scan
from tb2csv.following.follow_update import NewValues
from tb2csv.report import UpdateSummary
from tb2csv.runs.run_changes import run_changes

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from tb2csv.logdir import Logdir
    from tb2csv.runs.run_reader import RunReader
    from tb2csv.selection import Selection


class _Place(NamedTuple):
    """How far a run has been read: its reader, the number of its blocks, and the number of its values."""

    reader: RunReader
    blocks: int
    values: int


class LiveLog:
    """The selected runs of a log as frames, which keep the columns of all values."""

    def __init__(self, selection: Selection, workers: int | None) -> None:
        """Prepare to read; ``refresh`` starts."""
        self.frames = LogdirFrames("", workers=workers)
        self._selection = selection
        self._places: dict[str, _Place] = {}

    def refresh(self, found: Logdir, changed: AbstractSet[str] | None) -> tuple[UpdateSummary, tuple[NewValues, ...]]:
        """Read what is new in the runs that may have changed, or in all if None.

        Raises:
            LogdirError: no run is selected, or no file is an event file.
        """
        scanned = scan(self.frames)
        selected = replace(found, runs=tuple(self._selection.choose_runs(found)))
        reasons = {}
        for run in selected.runs:
            if run.name in self._places and (changed is None or run.name in changed):
                reason = run_changes(run, self._places[run.name].reader.saved_files()).reason
                if reason:
                    reasons[run.name] = reason
                    del scanned.runs[run.name]
        scanned.refresh(lambda _: None, selected, changed)
        removed = [name for name in self._places if name not in scanned.runs]
        for name in removed:
            del self._places[name]
        present = {run.name for run in selected.runs}
        summary = UpdateSummary(0, [], [], {}, removed, [name for name in scanned.runs if name not in present])
        values = []
        for name, each in scanned.runs.items():
            earlier, place = self._places.get(name), _Place(each.reader, each.block_count, each.stats.values_read)
            if earlier == place:
                continue
            self._places[name] = place
            is_continued = earlier is not None and earlier.reader is place.reader
            begin = earlier if earlier is not None and is_continued else _Place(place.reader, 0, 0)
            summary.values += place.values - begin.values
            if is_continued:
                summary.grown.append(name)
            elif earlier is None:
                summary.added.append(name)
            else:
                summary.renewed[name] = reasons.get(name, "its files were replaced")
            values.append(NewValues(each, each.blocks_since(begin.blocks)))
        return summary, tuple(values)
