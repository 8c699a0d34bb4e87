"""Diagnosis of the trainings in a log directory: read, apply every rule, and collect the findings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tb2csv.analysis.diagnosis.network import DEFAULT_STEPS, Network
from tb2csv.analysis.diagnosis.observations import observe
from tb2csv.analysis.diagnosis.rules import FOUND, RULES, THRESHOLDS
from tb2csv.analysis.diagnosis.rules.rule import MESSAGE, found_frame
from tb2csv.analysis.diagnosis.scalar_series import step_count
from tb2csv.analysis.diagnosis.tag_families import SCALAR_FAMILIES, TagFamilies
from tb2csv.display import count, displayed
from tb2csv.errors import OptionError
from tb2csv.logdir import logdir_of
from tb2csv.selection import nearest, select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import polars as pl

    from tb2csv.analysis.diagnosis.scalar_series import ScalarSeries
    from tb2csv.logdir import LogdirSource
    from tb2csv.report import Report
    from tb2csv.selection import Patterns, Selection


@displayed()
class Diagnosis(NamedTuple):
    """What ``diagnose`` returns.

    ``findings`` has a row for each rule that fired of each layer, the worst problem of a run first: ``run, problem,
    rule, family, layer, first_step, last_step, points, observed, value, threshold, message``. ``points`` is at how many
    recorded steps it was so, of all that were ``observed``; ``value`` is the worst number that was compared with
    ``threshold``. Of a loss or another scalar, ``layer`` is its tag.

    ``judged`` says what could be judged at all: ``run, family, layers, first_step, last_step, points, sources``.
    """

    findings: pl.DataFrame
    judged: pl.DataFrame
    report: Report

    def _display(self) -> Iterator[object]:
        judged = count(self.judged["run"].n_unique(), "run")
        yield f"<Diagnosis: {count(len(self.findings), 'finding')}; {judged} could be judged>"
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
        logdir: a folder, an event file, an fsspec URL, what ``discover`` returned for it, or open frames.
        run: runs: a shell pattern, several of them, or None for all.
        tag: tags, in the same way.
        exclude_run: runs to leave out.
        exclude_tag: tags to leave out.
        selection: a Selection, for the arguments that are not given.
        families: ``FAMILY=GLOB`` for tags whose names do not say what they are; see docs/diagnose.md.
        thresholds: other numbers than those of THRESHOLDS, by their names.
        steps: how many consecutive recorded steps a fault must last; one NaN is enough.
        workers: runs to read at once.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        LogdirError: there is nothing to read.
        OptionError: a threshold or a family is not known, or ``steps`` is less than 1.
        Tb2csvError: no tag matches the selection.
    """
    known = thresholds_with(thresholds or {})
    if steps < 1:
        message = f"steps is {steps}; give at least 1."
        raise OptionError(message)
    found = logdir_of(logdir)
    selected = select(selection, run=run, tag=tag, exclude_run=exclude_run, exclude_tag=exclude_tag)
    observations = observe(found, TagFamilies(families), selected, workers=workers, report_bytes=progress)
    network = Network(observations, steps)
    runs = [report.run for report in observations.report.runs]
    return Diagnosis(_in_order(_findings(network, known), runs), _in_order(_judged(network), runs), observations.report)


def thresholds_with(given: Mapping[str, float]) -> dict[str, float]:
    """Return all thresholds by their names, those that are given among them; raises OptionError for what is none."""
    for name, number in given.items():
        if name not in THRESHOLDS:
            message = f"Unknown threshold {name!r}; the nearest are {nearest([name], THRESHOLDS)}."
            raise OptionError(message)
        if math.isnan(number):
            message = f"The threshold {name} is NaN; give a number."
            raise OptionError(message)
    return {name: threshold.default for name, threshold in THRESHOLDS.items()} | dict(given)


def _findings(network: Network, thresholds: Mapping[str, float]) -> pl.DataFrame:
    import polars as pl

    parts = []
    for name, rule in RULES.items():
        is_read = network.families.intersection(rule.families)
        found = rule.find(network, thresholds) if is_read else found_frame(())
        words = found[MESSAGE] if MESSAGE in found.columns else [None] * len(found)
        texts = [
            (given or rule.message).format(value=value, size=abs(value))
            for given, value in zip(words, found["value"], strict=True)
        ]
        parts.append(
            found.select(
                "run",
                pl.lit(rule.problem).alias("problem"),
                pl.lit(name).alias("rule"),
                *FOUND[1:],
                pl.lit(thresholds[next(iter(rule.thresholds))], pl.Float64).alias("threshold"),
                pl.Series(MESSAGE, texts, dtype=pl.String),
            )
        )
    return pl.concat(parts)


def _in_order(rows: pl.DataFrame, runs: list[str]) -> pl.DataFrame:
    import polars as pl

    places = {run: place for place, run in enumerate(runs)}
    return rows.sort(pl.col("run").replace_strict(places, return_dtype=pl.Int64), maintain_order=True)


def _judged(network: Network) -> pl.DataFrame:
    import polars as pl

    observations = network.observations
    of_layers = observations.variables.group_by("run", "family", maintain_order=True).agg(
        pl.col("layer").n_unique().cast(pl.Int64).alias("layers"),
        pl.col("step").min().alias("first_step"),
        pl.col("step").max().alias("last_step"),
        pl.col("step").n_unique().cast(pl.Int64).alias("points"),
        pl.col("source").unique(maintain_order=True).str.join(", ").alias("sources"),
    )
    of_scalars = []
    for family in SCALAR_FAMILIES:
        by_run: dict[str, list[ScalarSeries]] = {}
        for series in network.scalars(family):
            by_run.setdefault(series.run, []).append(series)
        for run, several in by_run.items():
            first, last = (min(int(each.step.min()) for each in several), max(int(each.step.max()) for each in several))
            of_scalars.append((run, family, len(several), first, last, step_count(several), "scalar"))
    return pl.concat([of_layers, pl.DataFrame(of_scalars, of_layers.schema, orient="row")])
