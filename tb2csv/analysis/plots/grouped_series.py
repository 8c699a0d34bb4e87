"""The curves of groups of runs, such as seeds: a middle and a band for each tag and group."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from tb2csv.analysis.aggregates import check_nan_policy, last_of_steps, statistics_of
from tb2csv.analysis.alignment import DEFAULT_ALIGNMENTS, EXACT, Alignment, alignment_of
from tb2csv.analysis.bands import BANDS, LIMITS, check_band
from tb2csv.analysis.plots.plotted_series import PlottedSeries, PlottedValues, Spread
from tb2csv.analysis.plots.smoothing import smoothed
from tb2csv.analysis.run_groups import GroupPattern
from tb2csv.errors import OptionError
from tb2csv.late_modules import np, pl
from tb2csv.messages import Option, advice
from tb2csv.notes import Note

#: The band if none is chosen.
DEFAULT_BAND: Final = "std"


class Grouping(NamedTuple):
    """How runs are grouped, aligned and reduced."""

    pattern: GroupPattern
    band: str
    alignment: Alignment
    nan: str


def grouping_of(by: str | None, *, band: str | None, align: str | None, nan: str | None, x: str) -> Grouping | None:
    """Return the grouping that options describe, or None without groups.

    Raises:
        OptionError: an option is unknown, or does not go with the others.
    """
    if by is None:
        given = [name for name, value in {"band": band, "align": align, "nan": nan}.items() if value is not None]
        if given:
            raise OptionError(f"Only groups of runs have {given[0]}", advice("give {} as well", "by"))
        return None
    if x == "wall":
        fact = "The wall times of runs have no common start, so groups of runs cannot be drawn by them"
        raise OptionError(fact, advice("draw them by {}", Option("x", "relative")))
    check_band(band)
    check_nan_policy(nan or "keep")
    alignment = alignment_of(align or DEFAULT_ALIGNMENTS[x])
    return Grouping(GroupPattern(by), band or DEFAULT_BAND, alignment, nan or "keep")


class Grouped(NamedTuple):
    """The curves of groups: each series has the name of a group as its ``run``. ``notes`` name what they lack."""

    values: PlottedValues
    #: The number of runs in groups.
    runs: int
    notes: list[Note]


def grouped(values: PlottedValues, grouping: Grouping, *, smooth: float) -> Grouped:
    """Return the middle and the band of each tag and group, sorted by group.

    Each run is smoothed before the statistics are computed, with the weight ``smooth``. Of values at the same position
    of a run, the last counts.

    Raises:
        LogdirError: no run is in a group.
    """
    groups, unmatched = grouping.pattern.group(dict.fromkeys(series.run for series in values.series))
    group_of = {run: group for group, runs in groups.items() for run in runs}
    members: dict[tuple[str, str], list[PlottedSeries]] = {}
    for series in values.series:
        if series.run in group_of:
            members.setdefault((group_of[series.run], series.tag), []).append(series)
    tags = list(dict.fromkeys(series.tag for series in values.series))
    chosen = [(group, tag) for group in groups for tag in tags if (group, tag) in members]
    result = [_reduced(*key, members[key], grouping, smooth) for key in chosen]
    notes = []
    if unmatched:
        notes.append(Note("runs_in_no_group", count=len(unmatched), details={"runs": tuple(unmatched)}))
    alone = {group: runs[0] for group, runs in groups.items() if len(runs) == 1}
    if alone:
        details = {"groups": tuple(alone), "runs": tuple(alone.values())}
        notes.append(Note("groups_of_one", count=len(alone), details=details))
    notes += _notes_on_steps(result, members, grouping.alignment)
    count = sum(len(series.x) for each in members.values() for series in each)
    return Grouped(replace(values, series=result, values=count), len(group_of), notes)


def _reduced(group: str, tag: str, members: list[PlottedSeries], grouping: Grouping, smooth: float) -> PlottedSeries:
    rows = pl.concat(
        pl.DataFrame(
            {
                "series": pl.Series(np.zeros(len(series.x)), dtype=pl.UInt32),
                "run": pl.Series(np.full(len(series.x), number), dtype=pl.UInt32),
                "wall_time": np.zeros(len(series.x)),
                "step": series.x,
                "value": smoothed(series.y, smooth),
            }
        )
        for number, series in enumerate(members)
    )
    found = statistics_of(last_of_steps(rows), grouping.nan, alignment=grouping.alignment, band=grouping.band)
    low, high = (found[name].fill_null(float("nan")).to_numpy() for name in LIMITS)
    middle = found[BANDS[grouping.band].middle].to_numpy()
    return PlottedSeries(group, tag, found["step"].to_numpy(), middle, Spread(low, high, found["n"].to_numpy()))


def _notes_on_steps(
    result: list[PlottedSeries], members: dict[tuple[str, str], list[PlottedSeries]], alignment: Alignment
) -> list[Note]:
    """Return notes on groups in which most positions have a value of one run only."""
    if alignment != EXACT:
        return []
    notes: dict[str, list[tuple[str, int, int]]] = {}
    for each in result:
        assert each.spread is not None
        alone = int((each.spread.n == 1).sum())
        if len(members[each.run, each.tag]) > 1 and 2 * alone > len(each.x):
            notes.setdefault(each.run, []).append((each.tag, alone, len(each.x)))
    return [
        Note(
            "group_steps_apart",
            counts=tuple((tag, alone) for tag, alone, _ in tags),
            details={"group": group, "steps": tuple(steps for _, _, steps in tags)},
        )
        for group, tags in notes.items()
    ]
