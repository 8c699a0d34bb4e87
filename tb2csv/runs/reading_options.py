"""Options for reading runs, and the readers that they need."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

from tb2csv.runs.filtered_run import FilteredRun
from tb2csv.runs.merged_runs import MergedRun
from tb2csv.runs.run_reader import RunReader
from tb2csv.runs.scanned_run import ScannedRun
from tb2csv.runs.series_registry import SeriesRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tb2csv.decoders import DecodeOptions
    from tb2csv.logdir import Run
    from tb2csv.runs.row_selection import RowSelection
    from tb2csv.runs.series_reader import SeriesReader
    from tb2csv.runs.subruns import Subrun
    from tb2csv.selection import Selection


class ReadingOptions(NamedTuple):
    """Which series and rows to read, and how to decode them."""

    selection: Selection
    rows: RowSelection
    decoding: DecodeOptions
    #: Bytes of an event file to hold at once.
    chunk_size: int

    def reader(
        self,
        run: Run,
        report_bytes: Callable[[int], None],
        *,
        subrun: Subrun | None = None,
        registry: SeriesRegistry | None = None,
    ) -> SeriesReader:
        """Return a reader of a run; the arguments are those of RunReader."""
        new_reader = functools.partial(
            RunReader,
            selection=self.selection,
            options=self.decoding,
            subrun=subrun,
            registry=registry or SeriesRegistry(),
            chunk_size=self.chunk_size,
        )
        if self.rows.is_everything:
            return new_reader(run, report_bytes=report_bytes)
        scanned = ScannedRun(run, new_reader=new_reader, chunk_size=self.chunk_size)
        return FilteredRun(scanned, self.rows, report_bytes)

    def merged_reader(
        self, name: str, runs: Sequence[Run], subruns: Mapping[str, Subrun], report_bytes: Callable[[int], None]
    ) -> SeriesReader:
        """Return a reader that presents several runs as the run ``name``; ``subruns`` has the sub-runs among them."""
        registry = SeriesRegistry()
        parts = [self.reader(run, report_bytes, subrun=subruns.get(run.name), registry=registry) for run in runs]
        return MergedRun(name, parts, registry)
