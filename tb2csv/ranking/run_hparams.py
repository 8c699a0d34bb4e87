"""The hyperparameters of runs: those of the hparams plugin, and those in files beside the logs.

A run has the hyperparameters of the nearest trial at or above it, as in the table of trials, so ``trial_1/validation``
has those of ``trial_1``. A run below which ``add_hparams`` made trials has those of the trial that was started last. A
file counts for the runs in its folder and below, unless a nearer file does; a ``trial.json`` in ``trial_7`` counts for
the folder ``7`` beside it as well, which is where Keras Tuner puts the logs of the trial. If a file and the plugin both
have a hyperparameter, that of the plugin counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.decoders.hparams import parse
from tb2csv.errors import MissingExtraError
from tb2csv.logdir import ROOT_RUN
from tb2csv.messages import LISTED
from tb2csv.notes import Note
from tb2csv.ranking.hparam_files import HparamFileError, read_hparam_file
from tb2csv.runs.hparams_table import HparamsValue, TrialLog
from tb2csv.runs.subruns import ADD_HPARAMS, find_subruns, run_and_parents
from tb2csv.runs.trial_metrics import last_trials

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from tb2csv.logdir import EventFile
    from tb2csv.time_series import Series

    Hparams = dict[str, Any]

_TRIAL: Final = "trial_"
_TRIAL_FILE: Final = "trial.json"


class RunHparams(NamedTuple):
    """The hyperparameters of some runs, in their order, and notes on files that could not be used."""

    values: list[Hparams]
    notes: list[Note]


def hparams_of_runs(
    runs: Sequence[str],
    values: Iterable[HparamsValue],
    series_by_run: Mapping[str, Collection[Series]],
    files: Iterable[EventFile],
) -> RunHparams:
    """Return the hyperparameters of runs.

    Args:
        runs: the names of the runs.
        values: the values of the hparams plugin in all runs, in the order of the log.
        series_by_run: the series of each run of the log.
        files: the files with hyperparameters beside the logs.
    """
    of_plugin = _of_plugin(runs, values, series_by_run)
    files_by_folder = _by_folder(files)
    if not files_by_folder:
        return RunHparams(of_plugin, [])
    chosen = [
        next((files_by_folder[each] for each in run_and_parents(run) if each in files_by_folder), None) for run in runs
    ]
    read = _Files()
    of_files = [{} if file is None else read.values(file) for file in chosen]
    return RunHparams([{**own, **others, **own} for own, others in zip(of_plugin, of_files, strict=True)], read.notes())


def _of_plugin(
    runs: Sequence[str], values: Iterable[HparamsValue], series_by_run: Mapping[str, Collection[Series]]
) -> list[Hparams]:
    log = TrialLog()
    for value in values:
        log.add(value, parse(value.content))
    if not log.runs:
        return [{} for _ in runs]
    parents = {each.run: each.parent for each in find_subruns(series_by_run).values() if each.made_by == ADD_HPARAMS}
    last_below = {parent: trial for trial, parent in last_trials(log.started, parents).items()}

    def trial_of(run: str) -> str | None:
        return next((each for each in run_and_parents(run) if each in log.runs), last_below.get(run))

    place = {name: number for number, name in enumerate(log.hparams)}
    found = [log.runs[trial][-1].hparams if (trial := trial_of(run)) is not None else {} for run in runs]
    return [{name: each[name] for name in sorted(each, key=place.__getitem__)} for each in found]


def _by_folder(files: Iterable[EventFile]) -> dict[str, EventFile]:
    found: dict[str, EventFile] = {}
    for file in files:
        folder, _, name = file.path.rpartition("/")
        found[folder or ROOT_RUN] = file
        above, _, last = folder.rpartition("/")
        if name == _TRIAL_FILE and last.startswith(_TRIAL):
            logs = last.removeprefix(_TRIAL)
            found.setdefault(f"{above}/{logs}" if above else logs, file)
    return found


class _Files:
    """The files that have been read so far."""

    def __init__(self) -> None:
        self._values: dict[str, Hparams] = {}
        self._failed: list[tuple[str, str]] = []
        self._left_out: list[tuple[str, str]] = []
        self._missing: MissingExtraError | None = None
        self._unread = 0

    def values(self, file: EventFile) -> Hparams:
        """Return the hyperparameters in a file; none if it cannot be used."""
        if file.path not in self._values:
            self._values[file.path] = self._read(file)
        return self._values[file.path]

    def _read(self, file: EventFile) -> Hparams:
        try:
            found = read_hparam_file(file)
        except HparamFileError as error:
            self._failed.append((file.path, str(error)))
            return {}
        except MissingExtraError as error:
            self._unread += 1
            self._missing = error
            return {}
        self._left_out += [(name, file.path) for name in found.left_out]
        return found.values

    def notes(self) -> list[Note]:
        """Return notes on files and hyperparameters that were left out."""
        notes = []
        if self._missing:
            notes.append(Note("hparam_files_need_yaml", count=self._unread))
        if self._failed:
            details = {"path": self._failed[0][0], "reason": self._failed[0][1]}
            notes.append(Note("hparam_files_unread", count=len(self._failed), details=details))
        if self._left_out:
            names = tuple(dict.fromkeys(name for name, _ in self._left_out))[:LISTED]
            facts: dict[str, Any] = {"names": names, "path": self._left_out[0][1]}
            notes.append(Note("hparams_not_plain", count=len(self._left_out), details=facts))
        return notes
