"""``FollowUpdate``: what was added to a log while it was followed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tb2csv.concat_frames import joined
from tb2csv.dataframes import scan
from tb2csv.display import count, displayed
from tb2csv.late_modules import pl
from tb2csv.selection import Patterns, select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tb2csv.dataframes import LogdirFrames
    from tb2csv.report import Report, UpdateSummary
    from tb2csv.runs.decoded_rows import Rows, UndecodableValue
    from tb2csv.runs.row_selection import RowSelection
    from tb2csv.runs.scanned_run import ScannedRun, StoredBlock
    from tb2csv.selection import Selection


class NewValues(NamedTuple):
    """The values of a run that were read together."""

    run: ScannedRun
    blocks: list[StoredBlock]

    def read(
        self, run: ScannedRun, is_wanted: Callable[[Any], bool], _: RowSelection | None
    ) -> Iterator[Rows | UndecodableValue]:
        """Yield the rows of the wanted series."""
        return run.decode_blocks(self.blocks, is_wanted)


@displayed()
@dataclass(frozen=True, repr=False)
class FollowUpdate:
    """What was added to a log since the last update; the first update has everything until then.

    Attributes:
        summary: the number of new values, and the runs that grew, were added, renewed or removed.
        log: the frames of everything so far, the same object in every update.
        findings: the findings of ``diagnose`` that hold for the first time, with its columns; no rows if there are none
            or ``diagnose`` is not set.
        report: the report on the tables in ``out``; None without ``out``.
    """

    summary: UpdateSummary
    log: LogdirFrames
    findings: pl.DataFrame
    report: Report | None = None
    _selection: Selection = field(default_factory=select)
    _values: tuple[NewValues, ...] = ()

    def scalars(self, run: Patterns = None, tag: Patterns = None) -> pl.DataFrame:
        """Return the new scalars: ``run, tag, wall_time, step, value``, one row for each value.

        Args:
            run: which runs, by shell patterns; all if None.
            tag: which tags, in the same way.

        Raises:
            Tb2csvError: the log has changed so that these rows can no longer be read.
        """
        return self.rows("scalars", run, tag)

    def rows(self, kind: str, run: Patterns = None, tag: Patterns = None) -> pl.DataFrame:
        """Return the new rows of any kind, with the columns that the method of this name of ``log`` gives.

        If there are no new rows, the frame is empty. Payloads are read from the event files now, so call it before the
        log may change.

        Args:
            kind: the kind, such as ``scalars`` or ``histograms``.
            run: which runs, by shell patterns; all if None.
            tag: which tags, in the same way.

        Raises:
            OptionError: the kind is unknown.
            Tb2csvError: the log has changed so that these rows can no longer be read.
        """
        wanted = select(run=run, tag=tag, kind=kind)
        scanned = scan(self.log)
        frames: list[pl.DataFrame] = []
        for values in self._values:
            stats = [
                each
                for each in values.run.stats.series
                if wanted.includes(each.series.tag, each.series.kind)
                and self._selection.includes(each.series.tag, each.series.kind)
            ]
            if wanted.includes_run(values.run.run.name) and stats:
                frames += scanned.frames([(values.run, stats)], None, with_names=True, read=values.read)
        if not frames:
            value = {"value": pl.Float32} if kind == "scalars" else {}
            keys = {"run": pl.String, "tag": pl.String, "wall_time": pl.Float64, "step": pl.Int64}
            return pl.DataFrame(schema={**keys, **value})
        return joined(frames, f"these {kind}")

    def _display(self) -> Iterator[object]:
        summary = self.summary
        yield f"<FollowUpdate: {count(summary.values, 'new value')}, {count(len(self.findings), 'finding')}>"
        yield summary.notes()
        if len(self.findings):
            yield self.findings


def no_findings() -> pl.DataFrame:
    """Return the frame of a diagnosis without findings."""
    return pl.DataFrame(
        schema={
            **dict.fromkeys(("run", "problem", "rule", "family", "layer"), pl.String),
            **dict.fromkeys(("first_step", "last_step", "points", "observed"), pl.Int64),
            **dict.fromkeys(("value", "threshold"), pl.Float64),
            "message": pl.String,
        }
    )
