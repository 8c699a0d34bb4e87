"""Notes are values, and each face gives their sentences in its own words."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
from pathlib import Path
from typing import get_args

import pytest

from tb2csv import Note
from tb2csv.installation import install_command
from tb2csv.messages import command_line_spelling
from tb2csv.note_sentences import SENTENCES
from tb2csv.notes import NoteKind
from tb2csv.tensorboard_plugin.option_titles import page_spelling

PAGE = Path(__file__).parents[1] / "docs" / "python.md"

#: A note of each kind, and its sentences in Python, on the command line and in the Export tab.
NOTES: dict[NoteKind, tuple[Note, str, str, str]] = {}


def add(note: Note, in_python: str, command_line: str | None = None, page: str | None = None) -> None:
    """Add a note and its sentences, which are the same for all faces if only one is given."""
    command_line = in_python if command_line is None else command_line
    NOTES[note.kind] = note, in_python, command_line, in_python if page is None else page


add(
    Note("file_copy", "a", details={"path": "a/f (1)", "original": "a/f"}),
    "a/f (1) is a copy of a/f, and is left out",
)
add(
    Note("not_event_file", "a", details={"path": "a/f.zip", "reason": "it is a ZIP archive; unpack it first"}),
    "a/f.zip is not an event file: it is a ZIP archive; unpack it first, and is left out",
)
add(
    Note("empty_values", "a", count=1002, counts=(("x", 1000), ("y", 2))),
    "run 'a': values without a payload or plugin content are not in a table: 1,000 of tag 'x', 2 of tag 'y'",
)
add(
    Note("type_changed", "a", "x", details={"type": "int64"}),
    "tag 'x' of run 'a' changes its type or shape: values of int64 are in their own table",
)
add(
    Note("kind_changed", "a", "x", details={"kinds": ("scalars", "tensors")}),
    "tag 'x' of run 'a' changes its type or shape: its values are scalars and tensors, each kind in its own table",
)
add(
    Note("restarted", "a", count=2),
    "run 'a' has 2 sessions, as after a restart; see restarts and sessions",
    "run 'a' has 2 sessions, as after a restart; see --restarts and --sessions",
    "run 'a' has 2 sessions, as after a restart; see Restarts and Add the session of each row",
)
add(
    Note("times_unknown", "a", count=1002),
    "run 'a': values without a known time are left out: 1,002",
)
add(
    Note("clocks_differ", "a", details={"slow": "epoch_loss", "fast": "batch_loss", "times": 5.25}),
    "run 'a': steps of tag 'batch_loss' advance 5.2 times as fast as those of tag 'epoch_loss', as if they were "
    "batches and epochs, but share rows by step; tag selects tags that fit together",
    "run 'a': steps of tag 'batch_loss' advance 5.2 times as fast as those of tag 'epoch_loss', as if they were "
    "batches and epochs, but share rows by step; --tag selects tags that fit together",
    "run 'a': steps of tag 'batch_loss' advance 5.2 times as fast as those of tag 'epoch_loss', as if they were "
    "batches and epochs, but share rows by step",
)
add(
    Note("tables_left_out", count=1002, counts=(("histogram_stats", 1000), ("undecodable", 2))),
    "rows of tables that accompany others are not in the file: 1,000 of histogram_stats, 2 of undecodable; a folder or "
    "an archive (.zip) has them",
)
add(
    Note("files_left_out", count=2),
    "stored files, such as images, are not in the file: 2; a folder or an archive (.zip) has them",
)
add(
    Note("texts_cut", count=2, details={"limit": 32767}),
    "texts of more than 32,767 characters are cut, because no cell of Excel has more: 2; CSV and Parquet have them "
    "whole",
)
add(
    Note("steps_missing", "a", count=3, counts=(("x", 3),)),
    "run 'a': all values have step 0, as if the writer was given no step: 3 of tag 'x'; restarts would keep only the "
    "last value",
    "run 'a': all values have step 0, as if the writer was given no step: 3 of tag 'x'; --restarts would keep only the "
    "last value",
    "run 'a': all values have step 0, as if the writer was given no step: 3 of tag 'x'; Restarts would keep only the "
    "last value",
)
add(
    Note("steps_repeated", "a", count=3, counts=(("x", 3),)),
    "run 'a': values repeat the step of the value before: 3 of tag 'x'; if several parts of a program write one tag at "
    "a step, as Keras 3.8 does for the weights of layers, give each its own tag (tb2csv.recorders.TrainingRecorder "
    "names weights by their layers)",
)
add(
    Note("steps_back", "a", count=4, counts=tuple(zip("vwxyz", [1, 1, 1, 1, 1], strict=True))),
    "run 'a': steps go back within a file, as if the training was restarted: 1 of tag 'v', 1 of tag 'w', 1 of tag 'x' "
    "and 2 more; see restarts",
    "run 'a': steps go back within a file, as if the training was restarted: 1 of tag 'v', 1 of tag 'w', 1 of tag 'x' "
    "and 2 more; see --restarts",
    "run 'a': steps go back within a file, as if the training was restarted: 1 of tag 'v', 1 of tag 'w', 1 of tag 'x' "
    "and 2 more; see Restarts",
)
add(
    Note("duplicates_left_out", "a", count=4, details={"kept": "last"}),
    "run 'a': only the last value of a tag and step is kept; left out: 4",
)
add(
    Note("subruns", "a", count=1, details={"made_by": "add_hparams", "example": "a/b"}),
    "run 'a' has 1 run below it that add_hparams seems to have made, such as 'a/b'; merge_subruns folds them back",
    "run 'a' has 1 run below it that add_hparams seems to have made, such as 'a/b'; --merge-subruns folds them back",
    "run 'a' has 1 run below it that add_hparams seems to have made, such as 'a/b'; Merge sub-runs folds them back",
)
add(
    Note(
        "made_null",
        count=5001,
        counts=(("x.jsonl", 5000), ("y.jsonl", 1)),
        details={"cells": "NaN and infinities", "kept_by": "jsonl"},
    ),
    "NaN and infinities became null, 5,001 in all: 5,000 in x.jsonl, 1 in y.jsonl; format='jsonl' keeps them",
    "NaN and infinities became null, 5,001 in all: 5,000 in x.jsonl, 1 in y.jsonl; --format jsonl keeps them",
    'NaN and infinities became null, 5,001 in all: 5,000 in x.jsonl, 1 in y.jsonl; Format "JSON Lines" keeps them',
)
add(
    Note("metrics_missing", count=4, details={"metrics": ("a", "b", "c", "d"), "nearest": "'e' and 'f'"}),
    "no trial has 4 metrics, such as 'a' and 'b' and 'c', which the log's experiments name; the nearest are "
    "'e' and 'f'",
)
add(
    Note("placeholders_left_out", tag="hp_metric", count=2),
    "hp_metric begins with Lightning's placeholder -1 in 2 trials; min and max leave it out",
)
add(
    Note("placeholders_only", tag="hp_metric", count=1),
    "hp_metric is only Lightning's placeholder -1 in 1 trial",
)
add(
    Note("trials_without_metrics", count=2, details={"tags": ("a", "b", "c", "d")}),
    "2 trials without metrics, but with scalars in the runs above, such as 'a', 'b', 'c'; tag of hparams makes metrics "
    "of them",
    "2 trials without metrics, but with scalars in the runs above, such as 'a', 'b', 'c'; --tag of hparams makes "
    "metrics of them",
    "2 trials without metrics, but with scalars in the runs above, such as 'a', 'b', 'c'",
)
add(
    Note("hparams_left_out", count=2, details={"names": ("x", "y")}),
    "hyperparameters that few trials have, such as 'x', 'y', are not in the table of trials, because nearly all of its "
    "cells would be empty: 2; run selects trials",
    "hyperparameters that few trials have, such as 'x', 'y', are not in the table of trials, because nearly all of its "
    "cells would be empty: 2; --run selects trials",
    "hyperparameters that few trials have, such as 'x', 'y', are not in the table of trials, because nearly all of its "
    "cells would be empty: 2",
)
add(
    Note("trials_share_run", counts=(("a", 2), ("b", 3))),
    "run 'a' has 2 trials below it, and so has 1 more run; the log does not store which trial a scalar of such a run "
    "belongs to, so it is in the row of the trial that was started last",
)
add(
    Note("trials_share_run", counts=(("a", 2), ("b", 3), ("c", 2))),
    "run 'a' has 2 trials below it, and so have 2 more runs; the log does not store which trial a scalar of such a run "
    "belongs to, so it is in the row of the trial that was started last",
)
add(Note("runs_in_no_group", count=1, details={"runs": ("a",)}), "1 run in no group: 'a'")
add(
    Note("groups_of_one", count=2, details={"groups": ("g", "h"), "runs": ("a", "b")}),
    "2 groups have one run only: 'g' of 'a', 'h' of 'b'",
)
add(
    Note("group_tags_missing", count=2, counts=(("x", 1),), details={"group": "g"}),
    "group 'g': tags that some of its 2 runs lack: 'x' in 1",
)
add(
    Note("group_steps_missing", counts=(("x", 1),), details={"group": "g", "steps": (3,), "align": "exact"}),
    "group 'g': steps that some runs with the tag lack, see n: 'x' 1 of 3; align gives runs common steps",
    "group 'g': steps that some runs with the tag lack, see n: 'x' 1 of 3; --align gives runs common steps",
    "group 'g': steps that some runs with the tag lack, see n: 'x' 1 of 3",
)
add(
    Note("group_values_replaced", counts=(("x", 1), ("y", 2)), details={"group": "g"}),
    "group 'g': values that a later one of the same run and step replaced: 'x' 1, 'y' 2",
)
add(
    Note("group_nan", counts=(("x", 1),), details={"group": "g", "nan": "omit"}),
    "group 'g': NaN, which are left out: 'x' 1",
)
add(
    Note("group_steps_apart", counts=(("x", 2),), details={"group": "g", "steps": (3,)}),
    "group 'g': positions with a value of one run only: 'x' 2 of 3; align='interpolate' gives its runs common ones",
    "group 'g': positions with a value of one run only: 'x' 2 of 3; --align interpolate gives its runs common ones",
    "group 'g': positions with a value of one run only: 'x' 2 of 3",
)
add(
    Note("log_axis_chosen", count=4, details={"tags": ["a", "b", "c", "d"]}),
    "the axis of values is logarithmic, because they span three powers of ten or more: 'a', 'b', 'c' and 1 more; "
    "log=False makes it linear",
    "the axis of values is logarithmic, because they span three powers of ten or more: 'a', 'b', 'c' and 1 more; "
    "--no-log makes it linear",
    "the axis of values is logarithmic, because they span three powers of ten or more: 'a', 'b', 'c' and 1 more",
)
add(
    Note("outliers_hidden", count=1234),
    "outliers, which are not in the plot: 1,234; all_points=True shows them",
    "outliers, which are not in the plot: 1,234; --all-points shows them",
    "outliers, which are not in the plot: 1,234",
)
add(
    Note("runs_without_tag", tag="x", count=4, details={"runs": ("a", "b", "c")}),
    "4 runs not ranked: no values of 'x': 'a', 'b', 'c' and 1 more",
)
add(
    Note("runs_without_value", tag="x", count=1, details={"runs": ("a",), "at": "step 3"}),
    "1 run not ranked: no value of 'x' for step 3: 'a'",
)
add(
    Note("goal_by_name", tag="acc", details={"goal": "max"}),
    "the highest value of 'acc' is best, judging by its name; goal='min' turns this around",
    "the highest value of 'acc' is best, judging by its name; --min turns this around",
    "the highest value of 'acc' is best, judging by its name",
)
add(
    Note("hparam_files_need_yaml", count=2),
    f"2 files hparams.yaml not read, because PyYAML is not installed; run {install_command('yaml')}",
)
add(
    Note("hparam_files_unread", count=2, details={"path": "a/trial.json", "reason": "it is not UTF-8"}),
    "2 files with hyperparameters not used, such as a/trial.json: it is not UTF-8",
)
add(
    Note("hparams_not_plain", count=1, details={"names": ("model",), "path": "a/hparams.yaml"}),
    "1 hyperparameter that is not plain data and left out, such as 'model' in a/hparams.yaml",
)
add(Note("curves_thinned"), "long curves are thinned to the resolution of the picture; their extremes are kept")
add(
    Note("histograms_thinned", count=1234, details={"shown": 30}),
    "a panel shows at most 30 histograms, evenly spaced; the longest series has 1,234",
)
add(
    Note("columns_merged", details={"columns": 400}),
    "a map has at most 400 columns, and there are more positions: a column shows its largest value",
)
add(Note("values_not_positive", count=2), "values of 0 or less, which a logarithmic axis cannot show: 2")
add(
    Note("other_kinds", count=3, counts=(("histograms", 1), ("tensors", 2))),
    "there are other tags that match, 1 of histograms and 2 of tensors; select these with kind",
    "there are other tags that match, 1 of histograms and 2 of tensors; select these with --kind",
    "there are other tags that match, 1 of histograms and 2 of tensors; select these with Kinds",
)
add(Note("values_undecodable", count=2), "values that could not be decoded, and are left out: 2")
add(Note("values_dateless", count=2), "values whose wall times are not dates, which are left out: 2")


@pytest.mark.parametrize("kind", get_args(NoteKind))
def test_each_face_words_every_kind_of_note(kind: NoteKind) -> None:
    note, in_python, command_line, page = NOTES[kind]
    assert str(note) == in_python
    assert note.spelled(command_line_spelling) == command_line
    assert note.spelled(page_spelling) == page


@pytest.mark.parametrize("kind", [kind for kind, (note, *_) in NOTES.items() if note.count is not None])
def test_one_of_a_thing_has_a_verb_in_the_singular(kind: NoteKind) -> None:
    assert not re.search(r"\b1 [^:;]*\bare\b", str(dataclasses.replace(NOTES[kind][0], count=1)))


def test_every_kind_has_a_sentence_and_a_description() -> None:
    """docs/python.md has a row for each kind."""
    section = PAGE.read_text("utf-8").split("## Notes\n")[1].split("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
    assert set(get_args(NoteKind)) == set(SENTENCES)
    assert sorted(documented) == sorted(SENTENCES)


@pytest.mark.parametrize("kind", get_args(NoteKind))
def test_the_described_fields_of_a_note_are_its_fields(kind: NoteKind) -> None:
    note = NOTES[kind][0]
    (cell,) = re.findall(rf"^\| `{kind}` \|.*\|(.*)\|$", PAGE.read_text("utf-8"), re.MULTILINE)
    fields = set(re.findall(r"`([\w.]+)`", cell))
    given = {name for name in ("run", "tag", "count", "counts") if getattr(note, name) not in (None, ())}
    assert fields == given | {f"details.{name}" for name in note.details}


def test_notes_are_frozen_hashable_and_survive_copies() -> None:
    for note, *_ in NOTES.values():
        assert pickle.loads(pickle.dumps(note)) == copy.deepcopy(note) == note
    assert len({note for note, *_ in NOTES.values()}) == len(NOTES)
    with pytest.raises(dataclasses.FrozenInstanceError):
        NOTES["restarted"][0].run = "b"  # type: ignore[misc]
