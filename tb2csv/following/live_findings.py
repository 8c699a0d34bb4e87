"""The findings of ``diagnose`` on a log that grows, each reported once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.diagnose import checked_options, diagnose
from tb2csv.analysis.diagnosis.network import DEFAULT_STEPS
from tb2csv.analysis.diagnosis.tag_families import data_name
from tb2csv.errors import NameNotFoundError, OptionError
from tb2csv.following.follow_update import no_findings
from tb2csv.late_modules import pl
from tb2csv.messages import Option, advice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from typing_extensions import Self

    from tb2csv.logdir import Logdir
    from tb2csv.selection import Selection

#: What makes two findings the same; for scalars, ``layer`` has the tag.
_KEY: Final = ("run", "rule", "family", "layer")


@dataclass(frozen=True, slots=True)
class DiagnosisOptions:
    """How to diagnose; the fields are as the arguments of ``diagnose``, which ``of`` checks."""

    families: Sequence[str] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    steps: int = DEFAULT_STEPS

    @classmethod
    def of(
        cls, families: Iterable[str], thresholds: Mapping[str, float] | None, steps: int, *, diagnose: bool
    ) -> Self | None:
        """Return the options, or None if nothing is to be diagnosed.

        Raises:
            OptionError: there are options although nothing is to be diagnosed, or one has a wrong value.
        """
        options = cls(*checked_options(families, thresholds, steps), steps)
        if diagnose:
            return options
        if options != cls():
            fact = "Families, thresholds and numbers of steps are those of a diagnosis"
            raise OptionError(fact, advice("{} to diagnose", Option("diagnose", value=True)))
        return None


class LiveFindings:
    """The findings so far."""

    def __init__(self, selection: Selection, workers: int | None, options: DiagnosisOptions) -> None:
        """Begin without findings."""
        self._options = options
        self._selection = selection
        self._workers = workers
        self._reported: set[tuple[str, ...]] = set()

    def new(self, found: Logdir, changed: Iterable[str]) -> pl.DataFrame:
        """Return the findings that hold for the first time, in runs that have changed.

        The rules read these runs from their start, with the runs of the same model: one may have the training loss, and
        another the validation loss.
        """
        models = {data_name(run, "") for run in changed}
        runs = tuple(run for run in found.runs if data_name(run.name, "") in models)
        try:
            findings = diagnose(
                replace(found, runs=runs),
                selection=self._selection,
                families=self._options.families,
                thresholds=self._options.thresholds,
                steps=self._options.steps,
                workers=self._workers,
            ).findings
        except NameNotFoundError:  # the selected tags may come later
            return no_findings()
        keys = list(findings.select(_KEY).iter_rows())
        is_new = [key not in self._reported for key in keys]
        self._reported.update(keys)
        return findings.filter(pl.Series(is_new, dtype=pl.Boolean))
