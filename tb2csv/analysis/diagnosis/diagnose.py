"""``diagnose``: the findings of all rules in a log directory, and what could be examined."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, NamedTuple

from tb2csv.analysis.diagnosis.network import DEFAULT_STEPS, Network
from tb2csv.analysis.diagnosis.observations import observe
from tb2csv.analysis.diagnosis.rules import FINDING_COLUMNS, RULES, THRESHOLDS
from tb2csv.analysis.diagnosis.rules.rule import MESSAGE, findings_frame
from tb2csv.analysis.diagnosis.scalar_series import step_count
from tb2csv.analysis.diagnosis.tag_families import SCALAR_FAMILIES, TagFamilies
from tb2csv.display import count, displayed
from tb2csv.errors import OptionError, check_type
from tb2csv.late_modules import pl
from tb2csv.logdir import logdir_of
from tb2csv.selection import nearest, select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries
    from tb2csv.logdir import LogdirSource
    from tb2csv.report import Report
    from tb2csv.selection import Patterns, Selection


@displayed()
class Diagnosis(NamedTuple):
    """Findings of a diagnosis, and what could be examined.

    ``findings`` has a row for each layer and rule that fired, the worst problem of a run first: ``run, problem, rule,
    family, layer, first_step, last_step, points, observed, value, threshold, message``. The rule fired at ``points`` of
    ``observed`` recorded steps; ``value`` is the worst number that was compared with ``threshold``. For scalars,
    ``layer`` holds the tag.

    ``coverage`` has a row for each family that a run recorded: ``run, family, layers, first_step, last_step, points,
    sources``. Problems of anything else cannot be found.
    """

    findings: pl.DataFrame
    coverage: pl.DataFrame
    report: Report

    def _display(self) -> Iterator[object]:
        runs = count(self.coverage["run"].n_unique(), "run")
        yield f"<Diagnosis: {count(len(self.findings), 'finding')}; {runs} could be judged>"
        yield self.findings
        yield self.report


def diagnose(
    logdir: LogdirSource,
    *,
    run: Patterns = None,
    tag: Patterns = None,
    exclude_run: Patterns = None,
    exclude_tag: Patterns = None,
    selection: Selection | None = None,
    families: Iterable[str] = (),
    thresholds: Mapping[str, float] | None = None,
    steps: int = DEFAULT_STEPS,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Diagnosis:
    """Find training problems in a log directory, layer by layer.

    Args:
        logdir: a folder, an event file, an fsspec URL, several of them, what ``discover`` returned, or open frames.
        run: one or more shell patterns for run names; None selects all runs.
        tag: one or more shell patterns for tags; None selects all tags.
        exclude_run: shell patterns for runs to leave out.
        exclude_tag: shell patterns for tags to leave out.
        selection: a Selection to use for the filters that are not passed individually.
        families: ``FAMILY=GLOB`` assigns tags to a family if their names do not show it; see docs/diagnose.md.
        thresholds: overrides of the default thresholds, by name.
        steps: the number of consecutive recorded steps that a problem must last; one NaN is enough.
        workers: the number of runs to read at once; by default one per processor.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        LogdirError: there is nothing to read.
        OptionError: a threshold or a family is unknown, or ``steps`` is less than 1.
        Tb2csvError: no tag matches the selection.
    """
    families, overrides = checked_options(families, thresholds, steps)
    all_thresholds = merged_thresholds(overrides)
    found = logdir_of(logdir)
    selected = select(selection, run=run, tag=tag, exclude_run=exclude_run, exclude_tag=exclude_tag)
    observations = observe(found, TagFamilies(families), selected, workers=workers, report_bytes=progress)
    network = Network(observations, steps)
    runs = [report.run for report in observations.report.runs]
    findings = _sorted_by_run(_findings(network, all_thresholds), runs)
    return Diagnosis(findings, _sorted_by_run(_coverage(network), runs), observations.report)


def checked_options(
    families: Iterable[str], thresholds: Mapping[str, float] | None, steps: int
) -> tuple[tuple[str, ...], dict[str, float]]:
    """Check arguments of ``diagnose``, and return the families and the overrides of thresholds.

    Raises:
        OptionError: a threshold or a family is unknown, or ``steps`` is less than 1.
    """
    check_type("families", families, Iterable, "texts such as loss=*cost*")
    if thresholds is not None:
        check_type("thresholds", thresholds, Mapping, "a dictionary of numbers by name")
    check_type("steps", steps, Integral, "a whole number from 1")
    texts, overrides = tuple(families), dict(thresholds or {})
    for each in texts:
        check_type("families", each, str, "texts such as loss=*cost*")
    merged_thresholds(overrides)
    TagFamilies(texts)
    if steps < 1:
        message = f"steps is {steps}; give at least 1."
        raise OptionError(message)
    return texts, overrides


def merged_thresholds(overrides: Mapping[str, float]) -> dict[str, float]:
    """Return all thresholds by name, with these overrides.

    Raises:
        OptionError: a name is unknown, or a value is not a number.
    """
    for name, number in overrides.items():
        if name not in THRESHOLDS:
            message = f"Unknown threshold {name!r}; {nearest([name], THRESHOLDS)}."
            raise OptionError(message)
        check_type(f"The threshold {name}", number, Real, "a number")
        if math.isnan(number):
            message = f"The threshold {name} is NaN; give a number."
            raise OptionError(message)
    return {name: threshold.default for name, threshold in THRESHOLDS.items()} | dict(overrides)


def _findings(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    parts = []
    for name, rule in RULES.items():
        has_data = network.families.intersection(rule.families)
        found = rule.find(network, thresholds) if has_data else findings_frame(())
        overrides = found[MESSAGE] if MESSAGE in found.columns else [None] * len(found)
        messages = [
            (override or rule.message).format(
                value=value, size=abs(value), times="once" if value == 1 else f"{value:,.0f} times"
            )
            for override, value in zip(overrides, found["value"], strict=True)
        ]
        parts.append(
            found.select(
                "run",
                pl.lit(rule.problem).alias("problem"),
                pl.lit(name).alias("rule"),
                *FINDING_COLUMNS[1:],
                pl.lit(thresholds[next(iter(rule.thresholds))], pl.Float64).alias("threshold"),
                pl.Series(MESSAGE, messages, dtype=pl.String),
            )
        )
    return pl.concat(parts)


def _sorted_by_run(rows: pl.DataFrame, runs: list[str]) -> pl.DataFrame:
    ranks = {run: rank for rank, run in enumerate(runs)}
    return rows.sort(pl.col("run").replace_strict(ranks, return_dtype=pl.Int64), maintain_order=True)


def _coverage(network: Network) -> pl.DataFrame:
    observations = network.observations
    layers = observations.variables.group_by("run", "family", maintain_order=True).agg(
        pl.col("layer").n_unique().cast(pl.Int64).alias("layers"),
        pl.col("step").min().alias("first_step"),
        pl.col("step").max().alias("last_step"),
        pl.col("step").n_unique().cast(pl.Int64).alias("points"),
        pl.col("source").unique(maintain_order=True).str.join(", ").alias("sources"),
    )
    scalars = []
    for family in SCALAR_FAMILIES:
        by_run: dict[str, list[ScalarSeries]] = {}
        for series in network.scalars(family):
            by_run.setdefault(series.run, []).append(series)
        for run, series_of_run in by_run.items():
            first = min(int(series.step.min()) for series in series_of_run)
            last = max(int(series.step.max()) for series in series_of_run)
            scalars.append((run, family, len(series_of_run), first, last, step_count(series_of_run), "scalar"))
    return pl.concat([layers, pl.DataFrame(scalars, layers.schema, orient="row")])
