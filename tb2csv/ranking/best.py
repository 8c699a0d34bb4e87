"""``best``: the runs of a log directory, ranked by the value of a scalar."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from tb2csv.column_names import free_name
from tb2csv.display import count, displayed
from tb2csv.errors import NameNotFoundError, OptionError, check_type
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.late_modules import np, pl
from tb2csv.messages import LISTED
from tb2csv.notes import Note
from tb2csv.ranking.goals import MAX, check_goal, goal_by_name, goal_of
from tb2csv.ranking.moments import BEST, Moment, moment_of
from tb2csv.ranking.run_hparams import hparams_of_runs
from tb2csv.ranking.run_values import SCALARS, RunValueReader, RunValues, Value
from tb2csv.runs.hparams_table import shown_hparams, typed_column
from tb2csv.runs.placeholders import PLACEHOLDER_TAG
from tb2csv.runs.selected_runs import read_runs
from tb2csv.selection import Selection, literal_pattern, raise_no_match, select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tb2csv.logdir import LogdirSource
    from tb2csv.report import Report
    from tb2csv.selection import Patterns
    from tb2csv.time_series import Series

#: The columns before the hyperparameters.
COLUMNS: Final = ("rank", "run", "value", "step", "duration")


@displayed()
class Ranking(NamedTuple):
    """The result of ``best``.

    ``table`` has the columns ``rank, run, value, step, duration`` and one for each hyperparameter, best run first.
    Equal values have the same rank. ``value`` has the type on disk, or float64 if runs differ. ``duration`` is the
    number of seconds from the first to the last value of the run, of any tag.
    """

    table: pl.DataFrame
    tag: str
    #: ``max`` or ``min``.
    goal: str
    #: The number of runs that were ranked; ``table`` may have fewer.
    runs: int
    #: What is not in the table, and why.
    notes: list[Note]
    report: Report

    def _display(self) -> Iterator[object]:
        yield f"<Ranking: {count(self.runs, 'run')} by the {self.goal} of {self.tag!r}>"
        yield self.table
        yield self.notes
        yield self.report


def best(
    logdir: LogdirSource,
    by: str,
    *,
    goal: str | None = None,
    at: str | int = BEST,
    top: int | None = None,
    run: Patterns = None,
    exclude_run: Patterns = None,
    selection: Selection | None = None,
    workers: int | None = None,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    progress: Callable[[int], None] = lambda _: None,
) -> Ranking:
    """Rank the runs by the value of a scalar, best first, with their hyperparameters if there are any.

    All values count, those that a restart wrote again as well. NaN is worse than any number, and infinities are
    numbers. Runs with equal values have the same rank and are in the order of their names. Runs without the value are
    left out, with a note.

    Args:
        logdir: a folder, an event file, an fsspec URL, several of them, what ``discover`` returned, or open frames.
        by: the tag, or a shell pattern that matches one tag.
        goal: ``max`` if a high value is best, ``min`` if a low one is; by default the name of the tag decides: see
            docs/analysis.md.
        at: the value of a run that counts: ``best`` (the first of its best values), ``last`` (the last value that was
            written), or a step (the last value of that step).
        top: the number of rows of the table; all by default.
        run: one or more shell patterns for run names; None selects all runs.
        exclude_run: shell patterns for runs to leave out.
        selection: a Selection to use for the filters that are not passed individually. Only its patterns for runs are
            used.
        workers: the number of runs to read at once; by default one per processor.
        chunk_size: the number of bytes of an event file to hold in memory at once.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        OptionError: an option has an invalid value, several tags match, or the goal does not follow from the tag.
        LogdirError: there is nothing to read, or no run matches.
        NameNotFoundError: no scalar has the tag, or no run has a value at the step.
    """
    check_goal(goal)
    moment = moment_of(at)
    check_type("by", by, str, "a tag or a shell pattern")
    check_type("top", top, (int, NoneType), "a number of rows, or None for all")
    if top is not None and top < 1:
        message = f"The number of rows, {top}, must be at least 1."
        raise OptionError(message)
    chosen_runs = select(selection, run=run, exclude_run=exclude_run)
    tags = Selection(chosen_runs.runs, (by, literal_pattern(by)), (SCALARS,), chosen_runs.exclude_runs)
    # Values of several tags are compared only if the goal is known; which tag is meant is known at the end.
    reading = RunValueReader(moment, goal or goal_by_name(by) or MAX, chunk_size)
    found = read_runs(
        logdir,
        lambda run, report_bytes: reading.read(run, tags, report_bytes),
        selection=tags,
        workers=workers,
        report_bytes=progress,
        # Placeholders are recognised one run at a time.
        read_batch=None if tags.includes_tag(PLACEHOLDER_TAG) else reading.read_batch,
        chunk_size=chunk_size,
    )
    tag = _only_tag(by, tags, found.results)
    goal_of_tag = goal or goal_of(tag)
    if goal_of_tag != reading.goal and moment.name == BEST:  # the pattern did not show the goal of the tag
        return best(
            found.logdir, literal_pattern(tag), goal=goal_of_tag, at=at, top=top, selection=chosen_runs,
            workers=workers, chunk_size=chunk_size, progress=progress,
        )  # fmt: skip
    ranked, notes = _ranked(found.results, tag, goal_of_tag, moment)
    if goal is None:
        notes.append(Note("goal_by_name", tag=tag, details={"goal": goal_of_tag}))
    shown = ranked[:top]
    values = [value for each in found.results for value in each.hparams]
    series_by_run = {each.stats.run: [stats.series for stats in each.stats.series] for each in found.results if values}
    names = [each.run.stats.run for each in shown]
    hparams = hparams_of_runs(names, values, series_by_run, found.logdir.hparam_files)
    table, left_out = _table(shown, hparams.values)
    undecodable = sum(each.undecodable_hparams for each in found.results)
    if undecodable:
        left_out.append(Note("values_undecodable", count=undecodable))
    report = found.report(
        each.stats.report(each.undecodable, values_filtered=each.stats.values_filtered) for each in found.results
    )
    return Ranking(table, tag, goal_of_tag, len(ranked), [*notes, *hparams.notes, *left_out], report)


def _only_tag(by: str, tags: Selection, results: list[RunValues]) -> str:
    """Return the tag that ``by`` means: the tag of this name, or the only one that matches."""
    all_series = [stats.series for each in results for stats in each.stats.series]
    found = {tag for tag in {series.tag for series in all_series if series.kind == SCALARS} if tags.includes_tag(tag)}
    if by in found:
        return by
    if not found:
        _raise_no_scalar(by, all_series)
    if len(found) > 1:
        names = sorted(found)
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        message = f"{by!r} matches several tags, {', '.join(map(repr, names[:LISTED]))}{more}; give one of them."
        raise OptionError(message)
    return next(iter(found))


def _raise_no_scalar(by: str, all_series: list[Series]) -> NoReturn:
    others = sorted(
        {series.kind for series in all_series if Selection(tags=(by, literal_pattern(by))).includes_tag(series.tag)}
    )
    if others:
        message = f"The tag {by!r} has values of the kind {' and '.join(others)}; runs are ranked by scalars."
        raise OptionError(message)
    raise_no_match(Selection(tags=by), (series for series in all_series if series.kind == SCALARS))


class _Ranked(NamedTuple):
    """A run and its value."""

    run: RunValues
    value: Value


def _ranked(results: list[RunValues], tag: str, goal: str, moment: Moment) -> tuple[list[_Ranked], list[Note]]:
    """Return the runs with a value, best first, and notes on the others.

    Raises:
        NameNotFoundError: no run has a value.
    """
    ranked: list[_Ranked] = []
    without_tag: list[str] = []
    without_value: list[str] = []
    for each in results:
        series = each.series_of(tag)
        value = each.value_of(series, goal, moment)
        if value is not None:
            ranked.append(_Ranked(each, value))
        else:
            (without_value if series else without_tag).append(each.stats.run)
    if not ranked:
        what = f"at {moment.name}" if moment.step is not None else "that can be ranked"
        message = f"No run has a value of {tag!r} {what}."
        raise NameNotFoundError(message)
    notes = []
    if without_tag:
        details: dict[str, Any] = {"runs": tuple(without_tag[:LISTED])}
        notes.append(Note("runs_without_tag", tag=tag, count=len(without_tag), details=details))
    if without_value:
        details = {"runs": tuple(without_value[:LISTED]), "at": moment.name}
        notes.append(Note("runs_without_value", tag=tag, count=len(without_value), details=details))
    sign = -1 if goal == MAX else 1
    ranked.sort(key=lambda each: (each.value.is_nan, 0 if each.value.is_nan else sign * each.value.value))
    return ranked, notes


def _table(ranked: list[_Ranked], hparams: list[dict[str, Any]]) -> tuple[pl.DataFrame, list[Note]]:
    """Return the table of the ranked runs, and a note if hyperparameters are left out."""
    dtypes = {each.value.dtype for each in ranked}
    dtype = pl.Series(np.empty(0, dtypes.pop())).dtype if len(dtypes) == 1 else pl.Float64
    value = pl.Series([each.value.value for each in ranked], dtype=dtype)
    columns = {
        "rank": _ranks(ranked),
        "run": pl.Series([each.run.stats.run for each in ranked], dtype=pl.String),
        "value": value,
        "step": pl.Series([each.value.step for each in ranked], dtype=pl.Int64),
        "duration": pl.Series([each.run.duration for each in ranked], dtype=pl.Float64),
    }
    names, notes = shown_hparams(list(dict.fromkeys(name for each in hparams for name in each)), hparams)
    taken = set(COLUMNS)
    for name in names:
        free = free_name(name, "hparam", taken)
        columns[free] = typed_column([each.get(name) for each in hparams])
        taken.add(free)
    return pl.DataFrame(columns), notes


def _ranks(ranked: list[_Ranked]) -> pl.Series:
    """Return the rank of each run; equal values share one, and so do all NaN."""
    ranks: list[int] = []
    for place, each in enumerate(ranked, 1):
        last = ranked[place - 2].value if place > 1 else None
        is_equal = last is not None and (last.value == each.value.value or (last.is_nan and each.value.is_nan))
        ranks.append(ranks[-1] if is_equal else place)
    return pl.Series(ranks, dtype=pl.Int64)
