"""The metrics of trials: the scalars that count as metrics, and the run that each one is read from.

Without an experiment, TensorBoard's rule applies: a run with scalars belongs to the nearest trial at or above it, and
the rest of its path, such as ``validation``, is the group of its metrics.

Source: ``_compute_metric_names`` in tensorboard/plugins/hparams/backend_context.py and
``run_tag_from_session_and_metric`` in metrics.py, TensorBoard 2.21.0.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from tb2csv.errors import Tb2csvError
from tb2csv.logdir import ROOT_RUN
from tb2csv.notes import Note
from tb2csv.runs.placeholders import PLACEHOLDER_TAG
from tb2csv.runs.subruns import ADD_HPARAMS, find_subruns, run_and_parents
from tb2csv.selection import Selection, nearest, nearest_names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from tb2csv.runs.run_metrics import MetricSummary
    from tb2csv.time_series import Tagged

#: Returns the statistics of each scalar tag of a run; an empty mapping for an unknown run.
MetricsOfRun: TypeAlias = "Callable[[str], Mapping[str, MetricSummary]]"

#: The number of names that a note lists.
_SHOWN: Final = 3


class Metric(NamedTuple):
    """The name of a metric: a scalar tag, and the path from the trial's run to the run with the scalar."""

    group: str
    tag: str

    @property
    def label(self) -> str:
        """The name of the metric's column."""
        return f"{self.group}/{self.tag}" if self.group else self.tag

    def run(self, trial_run: str) -> str:
        """Return the run that has the metric of a trial."""
        if not self.group:
            return trial_run
        return self.group if trial_run == ROOT_RUN else f"{trial_run}/{self.group}"


class LogScalars:
    """The scalars of a log directory, from which the metrics of its trials are chosen."""

    def __init__(self, series_by_run: Mapping[str, Collection[Tagged]], metrics_of: MetricsOfRun) -> None:
        """Find the runs that have scalars, and the runs that ``add_hparams`` made below others."""
        self.of_run = metrics_of
        self.runs = [run for run, series in series_by_run.items() if any(each.kind == "scalars" for each in series)]
        subruns = find_subruns(series_by_run).items()
        #: The parent of each trial's run that ``add_hparams`` made.
        self.parents = {run: subrun.parent for run, subrun in subruns if subrun.made_by == ADD_HPARAMS}


class Experiment(NamedTuple):
    """The metrics that one experiment names, and the run that it was written to."""

    run: str
    metrics: list[Metric]


class TrialMetrics:
    """The chosen metrics of the trials that get rows, and notes on what the table does not show.

    Attributes:
        chosen: the metrics that get columns.
        notes: the notes for the report.
    """

    def __init__(
        self,
        trial_runs: Mapping[str, float],
        chosen_runs: Collection[str],
        experiments: list[Experiment],
        scalars: LogScalars,
        selection: Selection | None,
    ) -> None:
        """Choose metrics.

        Args:
            trial_runs: the runs of all trials, with the wall time of the last start of each.
            chosen_runs: the runs that get rows.
            experiments: the experiments in the order of the log.
            scalars: the scalars of the log directory.
            selection: the metrics to choose by tag. If it names tags, any scalar can be a metric.

        Raises:
            Tb2csvError: no metric matches the selection.
        """
        self._scalars = scalars
        self._runs = chosen_runs
        self._below = _runs_below(trial_runs, scalars.runs)
        named = list(dict.fromkeys(metric for each in experiments for metric in each.metrics))
        self._covered = {each.run for each in experiments if each.metrics}
        has_patterns = selection is not None and bool(selection.tags)
        self._last_trials = last_trials(trial_runs, scalars.parents) if has_patterns else {}
        found = self._any_scalars() if has_patterns else self._default_scalars(named)
        known = list(dict.fromkeys((*named, *found)))
        self.chosen = known if selection is None or not chosen_runs else _matching(known, selection)
        self.notes: list[Note] = [
            *self._notes_on_missing([metric for metric in named if metric in set(self.chosen)], found),
            *self._notes_on_placeholders(),
            *(self._notes_on_shared_parents() if has_patterns else self._notes_on_silent_trials()),
        ]

    def find(self, run: str, metric: Metric) -> MetricSummary | None:
        """Return the statistics of a trial's metric, or None."""
        found = self._scalars.of_run(metric.run(run)).get(metric.tag)
        if found is None and not metric.group and run in self._last_trials:
            return self._scalars.of_run(self._last_trials[run]).get(metric.tag)
        return found

    def _own(self, run: str) -> Iterator[Metric]:
        """Yield the scalars of the runs that belong to a trial, as metrics."""
        for below in self._below.get(run, ()):
            group = "" if below == run else below if run == ROOT_RUN else below[len(run) + 1 :]
            for tag in self._scalars.of_run(below):
                yield Metric(group, tag)

    def _default_scalars(self, named: list[Metric]) -> list[Metric]:
        """Return the scalars of the trials without an experiment.

        These trials have none of the named metrics, and no experiment at or above their runs.
        """
        found: dict[Metric, None] = {}
        for run in self._runs:
            if not self._covered.isdisjoint(run_and_parents(run)) or any(self.find(run, each) for each in named):
                continue
            found |= dict.fromkeys(self._own(run))
        return list(found)

    def _any_scalars(self) -> list[Metric]:
        """Return every scalar that can be a metric, in the runs of the trials and in their parents."""
        found = {metric: None for run in self._runs for metric in self._own(run)}
        parents = [self._scalars.parents[run] for run in self._runs if run in self._scalars.parents]
        found |= {Metric("", tag): None for parent in dict.fromkeys(parents) for tag in self._scalars.of_run(parent)}
        return list(found)

    def _notes_on_missing(self, named: list[Metric], found: list[Metric]) -> Iterator[Note]:
        missing = [metric for metric in named if not any(self.find(run, metric) for run in self._runs)]
        if not self._runs or not missing:
            return
        known = [metric.label for metric in (*named, *found, *self._any_scalars()) if metric not in missing]
        near = ", ".join(map(repr, nearest_names((each.tag for each in missing[:_SHOWN]), known)))
        labels = tuple(metric.label for metric in missing)
        yield Note("metrics_missing", count=len(missing), details={"metrics": labels, "nearest": near})

    def _notes_on_placeholders(self) -> Iterator[Note]:
        found = [each for metric in self.chosen for run in self._runs if (each := self.find(run, metric))]
        only = sum(each.placeholders > 0 and each.is_placeholder for each in found)
        begun = sum(each.placeholders > 0 for each in found) - only
        if begun:
            yield Note("placeholders_left_out", tag=PLACEHOLDER_TAG, count=begun)
        if only:
            yield Note("placeholders_only", tag=PLACEHOLDER_TAG, count=only)

    def _notes_on_silent_trials(self) -> Iterator[Note]:
        silent = [run for run in self._runs if not any(self.find(run, metric) for metric in self.chosen)]
        above = [self._scalars.parents[run] for run in silent if run in self._scalars.parents]
        tags = sorted({tag for parent in dict.fromkeys(above) for tag in self._scalars.of_run(parent)})
        if tags:
            yield Note("trials_without_metrics", count=len(above), details={"tags": tuple(tags)})

    def _notes_on_shared_parents(self) -> Iterator[Note]:
        parents = [self._scalars.parents[run] for run in self._runs if run in self._scalars.parents]
        tags = {metric.tag for metric in self.chosen if not metric.group}
        counts = {parent: count for parent, count in Counter(parents).items() if count > 1}
        shared = [parent for parent in counts if not tags.isdisjoint(self._scalars.of_run(parent))]
        if shared:
            yield Note("trials_share_run", counts=tuple((run, counts[run]) for run in shared))


def _runs_below(trial_runs: Collection[str], runs: list[str]) -> dict[str, list[str]]:
    """Return the runs that belong to each trial; a run belongs to the nearest trial at or above it."""
    below: dict[str, list[str]] = {}
    for run in runs:
        trial = next((each for each in run_and_parents(run) if each in trial_runs), None)
        if trial is not None:
            below.setdefault(trial, []).append(run)
    return below


def last_trials(trial_runs: Mapping[str, float], parents: Mapping[str, str]) -> dict[str, str]:
    """Return the trial that was started last below each parent, as a dict from the trial to the parent."""
    last: dict[str, str] = {}
    for run, parent in parents.items():
        if run in trial_runs and (parent not in last or trial_runs[run] >= trial_runs[last[parent]]):
            last[parent] = run
    return {run: parent for parent, run in last.items()}


def _matching(known: list[Metric], selection: Selection) -> list[Metric]:
    """Return the metrics that are selected by their tags or by the names of their columns."""
    wanted, kept = Selection(tags=selection.tags), Selection(exclude_tags=selection.exclude_tags)

    def is_selected(metric: Metric) -> bool:
        names = {metric.tag, metric.label}
        return any(wanted.includes(name, "scalars") for name in names) and all(
            kept.includes(name, "scalars") for name in names
        )

    chosen = [metric for metric in known if is_selected(metric)]
    if not chosen and (known or selection.tags):
        near = nearest(selection.tags, (metric.tag for metric in known))
        message = f"No scalar of these trials matches the selected tags; {near}."
        raise Tb2csvError(message)
    return chosen
