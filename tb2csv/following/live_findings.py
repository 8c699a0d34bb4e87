"""The findings of ``diagnose`` on a log that grows, each reported once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.analysis.diagnosis.diagnose import diagnose
from tb2csv.analysis.diagnosis.tag_families import data_name
from tb2csv.errors import NameNotFoundError
from tb2csv.following.follow_update import no_findings
from tb2csv.late_polars import pl
from tb2csv.logdir import Logdir

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tb2csv.selection import Selection

#: What makes two findings the same; for scalars, ``layer`` has the tag.
_KEY: Final = ("run", "rule", "family", "layer")


class LiveFindings:
    """The findings so far."""

    def __init__(self, selection: Selection, workers: int | None) -> None:
        """Begin without findings."""
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
                Logdir(found.path, runs, found.damage), selection=self._selection, workers=self._workers
            ).findings
        except NameNotFoundError:  # the selected tags may come later
            return no_findings()
        keys = list(findings.select(_KEY).iter_rows())
        is_new = [key not in self._reported for key in keys]
        self._reported.update(keys)
        return findings.filter(pl.Series(is_new, dtype=pl.Boolean))
