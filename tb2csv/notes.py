"""Notes of reports: remarks on a log or on the tables made of it, as values with fields.

A note has no text of its own: ``note_sentences`` makes its message from its fields, and each face then spells the
options that the message names. docs/python.md describes the fields of each kind.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from tb2csv.messages import python_spelling
from tb2csv.note_sentences import SENTENCES
from tb2csv.plain_data import ANYTHING, DictOf, ListOf, Maybe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tb2csv.messages import Spelling

#: The kinds of notes.
NoteKind: TypeAlias = Literal[
    # Files that are left out.
    "file_copy",
    "not_event_file",
    # Values and tables of a run.
    "empty_values",
    "type_changed",
    "kind_changed",
    "restarted",
    "steps_missing",
    "steps_repeated",
    "steps_back",
    "duplicates_left_out",
    "times_unknown",
    "clocks_differ",
    "subruns",
    "made_null",
    "tables_left_out",
    "files_left_out",
    "texts_cut",
    # Trials.
    "hparams_left_out",
    "metrics_missing",
    "placeholders_left_out",
    "placeholders_only",
    "trials_without_metrics",
    "trials_share_run",
    # Groups of runs.
    "runs_in_no_group",
    "groups_of_one",
    "group_tags_missing",
    "group_steps_missing",
    "group_values_replaced",
    "group_nan",
    "group_steps_apart",
    # Rankings.
    "runs_without_tag",
    "runs_without_value",
    "goal_by_name",
    "hparam_files_need_yaml",
    "hparam_files_unread",
    "hparams_not_plain",
    # Plots.
    "log_axis_chosen",
    "outliers_hidden",
    "curves_thinned",
    "histograms_thinned",
    "columns_merged",
    "values_not_positive",
    "other_kinds",
    "values_undecodable",
    "values_dateless",
]


@dataclass(frozen=True, slots=True)
class Note:
    """A remark of a report, such as that a run was restarted; ``str`` gives it as a sentence without a full stop."""

    #: What happened; the values are stable.
    kind: NoteKind
    #: The run, if the note is on one run.
    run: str | None = None
    #: The tag, if the note is on one tag.
    tag: str | None = None
    #: The number of values, runs or other things that the note counts.
    count: int | None = None
    #: Numbers by name, such as the number of values of each tag.
    counts: tuple[tuple[str, int], ...] = ()
    #: Other facts, by name.
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def spelled(self, spelling: Spelling) -> str:
        """Return the note as a sentence, with options named by ``spelling``."""
        return SENTENCES[self.kind](self).spelled(spelling)

    def __str__(self) -> str:
        """Return the note as a sentence, with options named as in Python."""
        return self.spelled(python_spelling)

    def to_data(self) -> list[Any]:
        """Return the note as data for JSON."""
        return [self.kind, self.run, self.tag, self.count, self.counts, dict(self.details)]

    @classmethod
    def from_data(cls, data: Sequence[Any]) -> Note:
        """Return the note that ``to_data`` described; ``NOTE_SHAPE`` is the shape of the data.

        Raises:
            ValueError: there is no such note.
        """
        kind, run, tag, number, counts, details = data
        note = cls(kind, run, tag, number, tuple((name, each) for name, each in counts), details)
        try:
            str(note)
        except (LookupError, TypeError, AttributeError) as error:
            message = f"there is no note {kind!r} with these facts"
            raise ValueError(message) from error
        return note


#: The shape of ``Note.to_data``.
NOTE_SHAPE: Final = (str, Maybe(str), Maybe(str), Maybe(int), ListOf((str, int)), DictOf(ANYTHING))
