"""Sub-runs that ``add_scalars`` and ``add_hparams`` of PyTorch and tensorboardX make below the writer's run.

``writer.add_scalars("loss", {"train": …, "test": …})`` puts each curve into its own run below the writer's, because
TensorBoard shows one curve of a tag for each run; ``add_hparams`` puts each trial into its own run. The files do not
record this, so sub-runs are recognised by the name of the run together with its tags.

Source: ``add_scalars`` and ``add_hparams`` in torch/utils/tensorboard/writer.py and tensorboardX/writer.py,
``_clean_tag`` in tensorboardX/summary.py.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.logdir import ROOT_RUN
from tb2csv.notes import Note

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tb2csv.time_series import Series, Tagged

#: The method that makes a sub-run for a trial.
ADD_HPARAMS: Final = "add_hparams"
#: The three values of ``add_hparams``; TensorFlow's own API writes the first and the second to different runs.
_TRIAL_TAGS: Final = {"_hparams_/experiment", "_hparams_/session_start_info", "_hparams_/session_end_info"}
#: The kinds of values that define a trial.
UNFOLDED_KINDS: Final = frozenset({"hparams"})
#: The characters that tensorboardX replaces by ``_`` in a tag, but not in the name of the run.
_UNCLEAN: Final = re.compile(r"[^-/\w.]")


class Subrun(NamedTuple):
    """A run that belongs to another one."""

    run: str
    parent: str
    #: The part of the name that differs between sibling sub-runs.
    name: str
    #: The method that makes such runs.
    made_by: str

    def fold(self, series: Series) -> Series:
        """Return a series of the sub-run as a series of its parent, with the name of the sub-run added to its tag.

        The values that define a trial keep their tags, because they are not curves.
        """
        if series.kind in UNFOLDED_KINDS:
            return series._replace(run=self.parent)
        tag_bytes = self.fold_tag(series.tag_bytes)
        return series._replace(run=self.parent, tag=f"{series.tag}/{self.name}", tag_bytes=tag_bytes)

    def fold_tag(self, tag: bytes) -> bytes:
        """Return a tag with the name of the sub-run added."""
        return tag + b"/" + self.name.encode("utf-8", "surrogateescape")


def find_subruns(series_by_run: Mapping[str, Collection[Tagged]]) -> dict[str, Subrun]:
    """Return the sub-runs among some runs, by name; the parent of each is one of the runs as well."""
    found = {}
    for run, series in series_by_run.items():
        for parent in _parents(run):
            if parent in series_by_run:
                subrun = _subrun_of(run, parent, series)
                if subrun:
                    found[run] = subrun
                break  # a sub-run is directly below the run of its writer
    return {run: subrun for run, subrun in found.items() if subrun.parent not in found}


def run_and_parents(run: str) -> Iterator[str]:
    """Yield a run and its possible parents, from the nearest to the root."""
    yield run
    yield from _parents(run)


def _parents(run: str) -> Iterator[str]:
    """Yield the possible parents of a run, from the nearest to the root."""
    if run == ROOT_RUN:
        return
    while "/" in run:
        run = run.rpartition("/")[0]
        yield run
    yield ROOT_RUN


def _subrun_of(run: str, parent: str, series: Collection[Tagged]) -> Subrun | None:
    below = run if parent == ROOT_RUN else run[len(parent) + 1 :]
    tags = {each.tag for each in series if each.kind == "hparams"}
    if tags == _TRIAL_TAGS and "/" not in below and all(each.kind in {"hparams", "scalars"} for each in series):
        return Subrun(run, parent, below, ADD_HPARAMS)
    tags = {each.tag for each in series}
    if len(tags) == 1 and {each.kind for each in series} == {"scalars"}:
        (tag,) = tags
        for start in (f"{tag.replace('/', '_')}_", f"{tag}/"):
            name = below[len(start) :]
            if name and (below.startswith(start) or _UNCLEAN.sub("_", below).startswith(start)):
                return Subrun(run, parent, name, "add_scalars")
    return None


def notes_on(subruns: Mapping[str, Subrun]) -> list[Note]:
    """Return a note for each parent."""
    by_parent: dict[tuple[str, str], list[Subrun]] = {}
    for subrun in subruns.values():
        by_parent.setdefault((subrun.parent, subrun.made_by), []).append(subrun)
    return [
        Note("subruns", parent, count=len(members), details={"made_by": made_by, "example": members[0].run})
        for (parent, made_by), members in by_parent.items()
    ]
