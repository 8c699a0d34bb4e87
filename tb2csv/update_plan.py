"""The plan of an update: which runs of a log directory have changed since their conversion, and how."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.errors import UNREADABLE, LogdirError, OutputError
from tb2csv.event_files.event_file import add_fault
from tb2csv.layouts.converted_run import ConvertedRun, EarlierReport
from tb2csv.logdir import ROOT_RUN
from tb2csv.messages import Option, advice
from tb2csv.notes import NOTE_SHAPE, Note
from tb2csv.plain_data import ANYTHING, COUNT, DictOf, ListOf, check
from tb2csv.report import UpdateSummary
from tb2csv.runs.run_changes import present_version, run_changes, with_versions
from tb2csv.runs.run_metrics import METRICS_FACT
from tb2csv.runs.run_reader import RunReader
from tb2csv.sources.source import fault_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence
    from pathlib import Path

    from tb2csv.errors import Damage
    from tb2csv.event_files.event_file import FileStats
    from tb2csv.layouts.output import Output
    from tb2csv.logdir import EventFile, Logdir, Run
    from tb2csv.messages import Advice
    from tb2csv.report import Report, RunReport
    from tb2csv.runs.saved_run import SavedFile
    from tb2csv.sinks.ledger import Ledger
    from tb2csv.sources.source import Fault

#: Why all runs are read from their start if sub-runs are merged.
_MERGED: Final = "its sub-runs are merged"
_RENAMED: Final = "another run has a similar name, so its folder is another one"

_FACT_SHAPES: Final = {
    "options": DictOf(ANYTHING),
    "shared": (COUNT, ListOf(NOTE_SHAPE)),
    "shared_files": ListOf(str),
    "folder_damage": ListOf((str, COUNT, COUNT, str, str, bool)),
}

#: The version of a file that could not be read, which is tried again.
_UNREADABLE_VERSION: Final = "unreadable"


class EarlierRuns:
    """The runs of an earlier conversion, from its ledger.

    Their tables are loaded when they are needed. The states of their readers stay in the ledger.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Load the runs of a ledger."""
        self.ledger = ledger
        #: The files of each run and their versions, see ``versions_of``.
        self.files = ledger.files()
        with ledger.errors():
            self.reports = {name: EarlierReport.from_data(name, data) for name, data in ledger.reports()}
        self._results: dict[str, ConvertedRun] = {}

    def results(self, names: Iterable[str]) -> dict[str, ConvertedRun]:
        """Return the results of some runs, by run."""
        names = list(names)
        with self.ledger.errors():
            for name, data in self.ledger.tables(name for name in names if name not in self._results):
                self._results[name] = ConvertedRun.from_data(name, self.reports[name], data)
        return {name: self._results[name] for name in names}

    def hidden(self, found: Logdir) -> list[str]:
        """Return the runs with files in folders of a log directory that cannot be read now."""
        if not found.damage:
            return []
        return [
            name
            for name, earlier in self.reports.items()
            if any(found.hides(stats.path.rpartition("/")[0] or ROOT_RUN) for stats in earlier.report.sources)
        ]

    def put(
        self, converted: Mapping[str, tuple[str, Any]], removed: Iterable[str], versions: Mapping[str, str]
    ) -> None:
        """Take over what was put into the ledger.

        Args:
            converted: the files and the report of each run that was converted.
            removed: the runs that are gone.
            versions: new versions of the files of unchanged runs.
        """
        for name in removed:
            del self.files[name], self.reports[name]
            self._results.pop(name, None)
        self.files |= versions
        with self.ledger.errors():
            for name, (files, report) in converted.items():
                self.files[name] = files
                self.reports[name] = EarlierReport.from_data(name, json.loads(json.dumps(report)))
                self._results.pop(name, None)


class GrownRun(NamedTuple):
    """A run whose files have only grown."""

    earlier: ConvertedRun
    #: The state of its reader; None if that is larger than the run, which is then read again as far as it was read.
    state: Any
    #: The paths of the files that have not changed.
    unchanged_files: frozenset[str]
    #: The statistics of its scalars, see ``RunMetrics``; None if no trial needed them.
    metrics: Any


@dataclass(slots=True, eq=False, repr=False)
class UpdatePlan:
    """The runs of a log directory, by what an update does with them."""

    #: Runs that are left as they are.
    unchanged: dict[str, EarlierReport] = field(default_factory=dict)
    #: Runs whose new bytes are read.
    grown: dict[str, GrownRun] = field(default_factory=dict)
    #: Runs that are read from their start, with the reason as the end of a sentence; empty for new runs.
    renewed: dict[str, str] = field(default_factory=dict)
    #: The earlier results of runs that are no longer converted, or that are renewed.
    replaced: dict[str, ConvertedRun] = field(default_factory=dict)
    #: Runs that are gone.
    removed: list[str] = field(default_factory=list)
    #: Those of the unchanged runs that cannot be read now, or not as a whole.
    kept: list[str] = field(default_factory=list)
    #: The new versions of the files of unchanged runs, if they differ from those in the ledger.
    versions: dict[str, str] = field(default_factory=dict)

    #: Whether the folders that cannot be read have changed.
    is_damage_new: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing has changed."""
        return not (self.grown or self.renewed or self.removed or self.is_damage_new)

    def summary(self, report: Report) -> UpdateSummary:
        """Return what the update did; ``report`` has the counts of all runs after it."""
        values = {run.run: run.values_read for run in report.runs}
        read = sum(values[run] for run in self.renewed)
        read += sum(values[run] - grown.earlier.report.values_read for run, grown in self.grown.items())
        renewed = {run: reason for run, reason in self.renewed.items() if reason}
        added = [run for run, reason in self.renewed.items() if not reason]
        return UpdateSummary(read, list(self.grown), added, renewed, self.removed, self.kept)


def check_options(ledger: Ledger, options: Mapping[str, Any], out: Path) -> None:
    """Raise OutputError if the folder ``out`` was converted with other options."""
    with ledger.errors():
        for name, shape in _FACT_SHAPES.items():
            check(ledger.fact(name), shape)
        for note in ledger.fact("shared")[1]:
            Note.from_data(note)
        earlier = ledger.fact("options")
        if isinstance(earlier.get("logdir"), list):
            check(earlier["logdir"], ListOf((str, str)))
    differing = [name for name in {**options, **earlier} if earlier.get(name) != options.get(name)]
    replace = advice("{} to convert everything anew", Option("overwrite", value=True))
    if "logdir" in differing:
        fact = _other_place(out, earlier.get("logdir"), options["logdir"])
        raise OutputError(fact, advice("choose another folder"), replace)
    if differing:
        fact = f"{out} was converted with other options, so it cannot be brought up to date"
        # Another layout has options that the earlier one did not have.
        known = [name for name in differing if name in earlier] or differing
        raise OutputError(fact, _same_options({name: earlier.get(name) for name in known}), replace)


def _other_place(out: Path, earlier: Any, value: Any) -> str:
    if isinstance(earlier, list) and isinstance(value, list):
        return _other_logdirs(out, earlier, value)
    return f"{out} has the tables of {_places(earlier)}, and not of {_places(value)}"


def _other_logdirs(out: Path, earlier: list[Any], value: list[Any]) -> str:
    """Return which of several log directories were not converted, and which are missing."""
    added = [place for place in value if place not in earlier]
    missing = [place for place in earlier if place not in value]
    parts = [f"not those of {_places(added)}"] if added else []
    parts += [f"also those of {_places(missing)}"] if missing else []
    return f"{out} has the tables of other log directories: {', and '.join(parts)}"


def _places(recorded: Any) -> str:
    """Return the places of recorded log directories; one has only its path, several have prefixes."""
    return recorded if isinstance(recorded, str) else ", ".join(f"{path} (as {prefix})" for prefix, path in recorded)


def _same_options(earlier: Mapping[str, Any]) -> Advice:
    """Return the advice to give options their earlier values."""
    given = {name: value for name, value in earlier.items() if value not in (None, False, [])}
    if not given:
        return advice("leave out {}", *earlier)
    if len(given) < len(earlier):
        return advice("give the same {} as before", *earlier)
    texts = {name: ",".join(map(str, value)) if isinstance(value, list) else value for name, value in given.items()}
    return advice(
        "give {} as before", *(Option(name, text if text is True else str(text)) for name, text in texts.items())
    )


def plan_update(
    earlier_runs: EarlierRuns | None,
    runs: Mapping[str, Sequence[Run]],
    output: Output,
    folder_damage: list[Damage],
    *,
    is_continued: bool,
    changed: Container[str] | None = None,
) -> UpdatePlan:
    """Compare the runs of a log directory with those of an earlier conversion; without one, all are new.

    Args:
        earlier_runs: the runs of the earlier conversion.
        runs: the runs of the output, each with the runs that it is read from.
        output: the output as it will be.
        folder_damage: the folders that cannot be read.
        is_continued: whether runs that grow are continued; else they are read from their start.
        changed: the runs whose files may have changed; all if None. The files of others are not looked at.

    Raises:
        LogdirError: a run must be converted anew and cannot be read, so that its rows would be lost.
    """
    if earlier_runs is None:
        return UpdatePlan(renewed=dict.fromkeys(runs, ""))
    plan = UpdatePlan()
    runs = with_versions(runs)
    reports = earlier_runs.reports
    for name, parts in runs.items():
        earlier = reports.get(name)
        if changed is not None and name not in changed and earlier is not None:
            versions = earlier_runs.files[name]
        else:
            versions = versions_of(file for run in parts for file in run.files)
        if earlier is None:
            plan.renewed[name] = ""
        elif output.paths.folder(name) != earlier.folder:
            plan.renewed[name] = _RENAMED
        elif versions == earlier_runs.files[name] and _are_known(versions):
            plan.unchanged[name] = earlier
        elif output.options.merge_subruns:
            plan.renewed[name] = _MERGED
        elif not (is_continued and parts):
            plan.renewed[name] = "its tables cannot be appended to"
        else:
            _add(plan, parts[0], earlier_runs, versions)
    plan.removed = [name for name in reports if name not in runs]
    plan.is_damage_new = [[damage.path, *damage.to_data()] for damage in folder_damage] != list(
        earlier_runs.ledger.fact("folder_damage")
    )
    if output.options.merge_subruns and not plan.is_empty:
        plan.renewed |= {name: plan.renewed.get(name, _MERGED) for name in runs}
        plan.unchanged.clear()
    _keep_unreadable(plan, runs, reports)
    plan.replaced = earlier_runs.results(name for name in (*plan.renewed, *plan.removed) if name in reports)
    return plan


def _keep_unreadable(plan: UpdatePlan, runs: Mapping[str, Sequence[Run]], reports: Mapping[str, EarlierReport]) -> None:
    """Keep the tables of runs that would be converted anew without a file that was read and cannot be read now."""
    renewed = {name: reason for name, reason in plan.renewed.items() if name in reports}
    # A sub-run that cannot be read is not known as one.
    files = {file.path: file for parts in runs.values() for run in parts for file in run.files} if renewed else {}
    for name, reason in renewed.items():
        report, faults = reports[name].report, _faults(files, reports[name].report)
        if not faults and runs[name]:
            continue
        if reason in {_MERGED, _RENAMED}:
            path = next(iter(faults), name)
            message = (
                f"The run {name!r} must be converted anew, because {reason}, but {path} cannot be read now; the tables "
                "stay as they were until it can."
            )
            raise LogdirError(message)
        del plan.renewed[name]
        sources = [
            _with_fault(stats, faults[stats.path]) if stats.path in faults else stats for stats in report.sources
        ]
        plan.unchanged[name] = reports[name]._replace(report=replace(report, sources=sources))
        plan.kept.append(name)


def _faults(files: Mapping[str, EventFile], report: RunReport) -> dict[str, Fault]:
    """Return why files that were read cannot be opened now, by their paths; a file that is gone is not one of them."""
    faults = {}
    for path in (stats.path for stats in report.sources if stats.records and stats.path in files):
        try:
            with files[path].open():
                pass
        except FileNotFoundError:
            continue
        except OSError as error:
            faults[path] = fault_of(error)
    return faults


def _with_fault(stats: FileStats, fault: Fault) -> FileStats:
    """Return the statistics of what was read of a file, which cannot be read now."""
    damage = [each for each in stats.damage if each.kind != UNREADABLE]
    damaged = replace(stats, damage=damage)
    add_fault(damaged, fault)
    return damaged


def versions_of(files: Iterable[EventFile], report: RunReport | None = None) -> str:
    """Return the versions of files as a text that changes with any of them; with the report of their reading, of then.

    A file that could not be read makes a text that is not equal to a later one. See ``_are_known`` for files without
    a version.
    """
    read = {stats.path: stats for stats in report.sources} if report else {}
    lines = []
    for file in files:
        stats = read.get(file.path)
        if stats is None:
            version = present_version(file)
        else:
            is_unreadable = any(damage.kind == UNREADABLE for damage in stats.damage)
            version = _UNREADABLE_VERSION if is_unreadable else stats.version
        lines.append(f"{file.path}\t{version}")
    return "\n".join(lines)


def _are_known(versions: str) -> bool:
    """Return whether all files have a version; some web servers send none."""
    return "\t\n" not in f"{versions}\n"


def _add(plan: UpdatePlan, run: Run, earlier_runs: EarlierRuns, versions: str) -> None:
    """Add a run with changed files to the plan."""
    earlier, state = earlier_runs.reports[run.name], earlier_runs.ledger.state(run.name)
    # A small run was read to its end.
    read = [file if state or file.offset else replace(file, offset=file.stats.bytes) for file in earlier.files]
    reason, unchanged = run_changes(run, read)
    if not reason and len(unchanged) == len(run.files):
        plan.unchanged[run.name] = earlier
        plan.versions[run.name] = versions
    elif not reason and _comes_last(run, read, unchanged):
        metrics = earlier_runs.ledger.fact(METRICS_FACT + run.name)
        plan.grown |= {
            name: GrownRun(result, state, unchanged, metrics)
            for name, result in earlier_runs.results([run.name]).items()
        }
    else:
        plan.renewed[run.name] = reason or "a file before its last one has changed"


def _comes_last(run: Run, files: Iterable[SavedFile], unchanged: frozenset[str]) -> bool:
    """Return whether the new bytes of a run come after all that were read, in the order of its files."""
    ordered = [file.path for file in RunReader(run).ordered_files()]
    read = [file.stats.path for file in files if file.offset]
    return ordered[: len(read)] == read and unchanged.issuperset(read[:-1])
