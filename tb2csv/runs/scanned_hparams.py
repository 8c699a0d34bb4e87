"""The table of trials of scanned runs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from tb2csv.runs.decoded_rows import UndecodableValue
from tb2csv.runs.hparams_table import HparamsValue, Trials, trials
from tb2csv.runs.run_metrics import metrics
from tb2csv.runs.trial_metrics import LogScalars

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from tb2csv.runs.run_metrics import MetricSummary
    from tb2csv.runs.scanned_run import ScannedRun
    from tb2csv.selection import Selection


def scanned_hparams(
    runs: Mapping[str, ScannedRun], chosen: Container[str] | None = None, selection: Selection | None = None
) -> Trials:
    """Return the trials of ``runs``, with rows for the chosen ones; see ``trials`` for arguments and errors."""
    values = [
        HparamsValue(name, wall_time, content)
        for name, run in runs.items()
        for item in run.decode(lambda series: series.kind == "hparams")
        if not isinstance(item, UndecodableValue)
        for wall_time, content in item.part.frame.select("wall_time", "content").iter_rows()
    ]

    @functools.cache
    def metrics_of(name: str) -> dict[str, MetricSummary]:
        run = runs.get(name)
        return metrics(run.decode(lambda series: series.kind == "scalars"), run.reader.stats_of) if run else {}

    series = {name: [stats.series for stats in run.stats.series] for name, run in runs.items()}
    return trials(values, LogScalars(series, metrics_of), runs=chosen, selection=selection)
