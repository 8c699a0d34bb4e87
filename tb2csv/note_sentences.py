"""The sentence of a note: a function for each kind of note, which makes its message from its fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.installation import install_command
from tb2csv.messages import LISTED, Message, Option, advice, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tb2csv.notes import Note, NoteKind

#: The advice if something does not fit into one file.
_FOLDER: Final = advice("a folder or an archive (.zip) has them")


def _file_copy(note: Note) -> Message:
    return Message(f"{note.details['path']} is a copy of {note.details['original']}, and is left out")


def _not_event_file(note: Note) -> Message:
    return Message(f"{note.details['path']} is not an event file: {note.details['reason']}, and is left out")


def _empty_values(note: Note) -> Message:
    return Message(
        f"run {note.run!r}: values without a payload or plugin content are not in a table: {_values_of_tags(note)}"
    )


def _type_changed(note: Note) -> Message:
    return Message(
        f"tag {note.tag!r} of run {note.run!r} changes its type or shape: values of {note.details['type']} are in "
        "their own table"
    )


def _kind_changed(note: Note) -> Message:
    return Message(
        f"tag {note.tag!r} of run {note.run!r} changes its type or shape: its values are "
        f"{' and '.join(note.details['kinds'])}, each kind in its own table"
    )


def _restarted(note: Note) -> Message:
    return Message(
        f"run {note.run!r} has {note.count} sessions, as after a restart", (advice("see {}", "restarts", "sessions"),)
    )


def _steps_missing(note: Note) -> Message:
    return Message(
        f"run {note.run!r}: all values have step 0, as if the writer was given no step: {_values_of_tags(note)}",
        (advice("{} would keep only the last value", "restarts"),),
    )


def _steps_repeated(note: Note) -> Message:
    return Message(
        f"run {note.run!r}: values repeat the step of the value before: {_values_of_tags(note)}; if several parts of a "
        "program write one tag at a step, as Keras 3.8 does for the weights of layers, give each its own tag "
        "(tb2csv.recorders.TrainingRecorder names weights by their layers)"
    )


def _steps_back(note: Note) -> Message:
    return Message(
        f"run {note.run!r}: steps go back within a file, as if the training was restarted: {_values_of_tags(note)}",
        (advice("see {}", "restarts"),),
    )


def _duplicates_left_out(note: Note) -> Message:
    return Message(
        f"run {note.run!r}: only the {note.details['kept']} value of a tag and step is kept; left out: {note.count}"
    )


def _times_unknown(note: Note) -> Message:
    return Message(f"run {note.run!r}: values without a known time are left out: {note.count:,}")


def _clocks_differ(note: Note) -> Message:
    return Message(
        f"run {note.run!r}: steps of tag {note.details['fast']!r} advance {note.details['times']:.1f} times as fast as "
        f"those of tag {note.details['slow']!r}, as if they were batches and epochs, but share rows by step",
        (advice("{} selects tags that fit together", "tag"),),
    )


def _subruns(note: Note) -> Message:
    return Message(
        f"run {note.run!r} has {note.count} run{_s(note.count)} below it that {note.details['made_by']} seems to have "
        f"made, such as {note.details['example']!r}",
        (advice("{} folds them back", "merge_subruns"),),
    )


def _made_null(note: Note) -> Message:
    tables = listed(f"{count:,} in {path}" for path, count in note.counts)
    return Message(
        f"{note.details['cells']} became null, {note.count:,} in all: {tables}",
        (advice("{} keeps them", Option("format", note.details["kept_by"])),),
    )


def _tables_left_out(note: Note) -> Message:
    kinds = listed(f"{count:,} of {kind}" for kind, count in note.counts)
    return Message(f"rows of tables that accompany others are not in the file: {kinds}", (_FOLDER,))


def _files_left_out(note: Note) -> Message:
    return Message(f"stored files, such as images, are not in the file: {note.count:,}", (_FOLDER,))


def _texts_cut(note: Note) -> Message:
    return Message(
        f"texts of more than {note.details['limit']:,} characters are cut, because no cell of Excel has more: "
        f"{note.count:,}",
        (advice("CSV and Parquet have them whole"),),
    )


def _hparams_left_out(note: Note) -> Message:
    return Message(
        f"hyperparameters that few trials have, such as {', '.join(map(repr, note.details['names']))}, are not in the "
        f"table of trials, because nearly all of its cells would be empty: {note.count:,}",
        (advice("{} selects trials", "run"),),
    )


def _metrics_missing(note: Note) -> Message:
    count = "the metric" if note.count == 1 else f"{note.count:,} metrics, such as"
    near = f"; the nearest are {note.details['nearest']}" if note.details["nearest"] else ""
    labels = " and ".join(map(repr, note.details["metrics"][:LISTED]))
    return Message(f"no trial has {count} {labels}, which the log's experiments name{near}")


def _placeholders_left_out(note: Note) -> Message:
    return Message(
        f"{note.tag} begins with Lightning's placeholder -1 in {_trials(note.count)}; min and max leave it out"
    )


def _placeholders_only(note: Note) -> Message:
    return Message(f"{note.tag} is only Lightning's placeholder -1 in {_trials(note.count)}")


def _trials_without_metrics(note: Note) -> Message:
    names = ", ".join(map(repr, note.details["tags"][:LISTED]))
    return Message(
        f"{_trials(note.count)} without metrics, but with scalars in the runs above, such as {names}",
        (advice("{} of hparams makes metrics of them", "tag"),),
    )


def _trials_share_run(note: Note) -> Message:
    (run, count), *others = note.counts
    verb = "has" if len(others) == 1 else "have"
    more = f", and so {verb} {len(others):,} more run{_s(len(others))}" if others else ""
    return Message(
        f"run {run!r} has {_trials(count)} below it{more}; the log does not store which trial a scalar of such a run "
        "belongs to, so it is in the row of the trial that was started last"
    )


def _runs_in_no_group(note: Note) -> Message:
    return Message(f"{note.count:,} run{_s(note.count)} in no group: {listed(map(repr, note.details['runs']))}")


def _groups_of_one(note: Note) -> Message:
    groups = zip(note.details["groups"], note.details["runs"], strict=True)
    have = " has" if note.count == 1 else "s have"
    return Message(
        f"{note.count:,} group{have} one run only: {listed(f'{group!r} of {run!r}' for group, run in groups)}"
    )


def _group_tags_missing(note: Note) -> Message:
    tags = listed(f"{tag!r} in {count}" for tag, count in note.counts)
    return _on_group(note, f"tags that some of its {note.count} runs lack: {tags}")


def _group_steps_missing(note: Note) -> Message:
    steps = zip(note.counts, note.details["steps"], strict=True)
    tags = listed(f"{tag!r} {count} of {of}" for (tag, count), of in steps)
    fact = f"group {note.details['group']!r}: steps that some runs with the tag lack, see n: {tags}"
    is_exact = note.details.get("align", "exact") == "exact"
    return Message(fact, (advice("{} gives runs common steps", "align"),) if is_exact else ())


def _group_values_replaced(note: Note) -> Message:
    return _on_group(note, f"values that a later one of the same run and step replaced: {_numbers_of_tags(note)}")


def _group_nan(note: Note) -> Message:
    fate = "are left out" if note.details["nan"] == "omit" else "make the statistics of their steps NaN"
    return _on_group(note, f"NaN, which {fate}: {_numbers_of_tags(note)}")


def _group_steps_apart(note: Note) -> Message:
    steps = zip(note.counts, note.details["steps"], strict=True)
    tags = listed(f"{tag!r} {count} of {of}" for (tag, count), of in steps)
    fact = f"group {note.details['group']!r}: positions with a value of one run only: {tags}"
    return Message(fact, (advice("{} gives its runs common ones", Option("align", "interpolate")),))


def _log_axis_chosen(note: Note) -> Message:
    return Message(
        "the axis of values is logarithmic, because they span three powers of ten or more: "
        + listed(map(repr, note.details["tags"])),
        (advice("{} makes it linear", Option("log", value=False)),),
    )


def _outliers_hidden(note: Note) -> Message:
    return Message(
        f"outliers, which are not in the plot: {note.count:,}",
        (advice("{} shows them", Option("all_points", value=True)),),
    )


def _runs_without_tag(note: Note) -> Message:
    return Message(f"{_runs(note)} not ranked: no values of {note.tag!r}: {_listed_runs(note)}")


def _runs_without_value(note: Note) -> Message:
    return Message(f"{_runs(note)} not ranked: no value of {note.tag!r} for {note.details['at']}: {_listed_runs(note)}")


def _goal_by_name(note: Note) -> Message:
    goal = note.details["goal"]
    high, other = ("highest", "min") if goal == "max" else ("lowest", "max")
    return Message(
        f"the {high} value of {note.tag!r} is best, judging by its name",
        (advice("{} turns this around", Option("goal", other)),),
    )


def _hparam_files_need_yaml(note: Note) -> Message:
    files = f"{note.count:,} file{_s(note.count)} hparams.yaml"
    return Message(f"{files} not read, because PyYAML is not installed", (advice(f"run {install_command('yaml')}"),))


def _hparam_files_unread(note: Note) -> Message:
    path, reason = note.details["path"], note.details["reason"]
    return Message(f"{note.count:,} file{_s(note.count)} with hyperparameters not used, such as {path}: {reason}")


def _hparams_not_plain(note: Note) -> Message:
    names = ", ".join(map(repr, note.details["names"]))
    are = "is" if note.count == 1 else "are"
    return Message(
        f"{note.count:,} hyperparameter{_s(note.count)} that {are} not plain data and left out, such as {names} in "
        f"{note.details['path']}"
    )


def _curves_thinned(_: Note) -> Message:
    return Message("long curves are thinned to the resolution of the picture; their extremes are kept")


def _histograms_thinned(note: Note) -> Message:
    shown = note.details["shown"]
    return Message(f"a panel shows at most {shown} histograms, evenly spaced; the longest series has {note.count:,}")


def _columns_merged(note: Note) -> Message:
    columns = note.details["columns"]
    return Message(
        f"a map has at most {columns} columns, and there are more positions: a column shows its largest value"
    )


def _values_not_positive(note: Note) -> Message:
    return Message(f"values of 0 or less, which a logarithmic axis cannot show: {note.count:,}")


def _other_kinds(note: Note) -> Message:
    more = " and ".join(f"{count:,} of {kind}" for kind, count in note.counts)
    return Message(f"there are other tags that match, {more}", (advice("select these with {}", "kind"),))


def _values_undecodable(note: Note) -> Message:
    return Message(f"values that could not be decoded, and are left out: {note.count:,}")


def _values_dateless(note: Note) -> Message:
    return Message(f"values whose wall times are not dates, which are left out: {note.count:,}")


#: The function that makes the message of a note, by kind.
SENTENCES: Final[Mapping[NoteKind, Callable[[Note], Message]]] = {
    "file_copy": _file_copy,
    "not_event_file": _not_event_file,
    "empty_values": _empty_values,
    "type_changed": _type_changed,
    "kind_changed": _kind_changed,
    "restarted": _restarted,
    "steps_missing": _steps_missing,
    "steps_repeated": _steps_repeated,
    "steps_back": _steps_back,
    "duplicates_left_out": _duplicates_left_out,
    "times_unknown": _times_unknown,
    "clocks_differ": _clocks_differ,
    "subruns": _subruns,
    "made_null": _made_null,
    "tables_left_out": _tables_left_out,
    "files_left_out": _files_left_out,
    "texts_cut": _texts_cut,
    "hparams_left_out": _hparams_left_out,
    "metrics_missing": _metrics_missing,
    "placeholders_left_out": _placeholders_left_out,
    "placeholders_only": _placeholders_only,
    "trials_without_metrics": _trials_without_metrics,
    "trials_share_run": _trials_share_run,
    "runs_in_no_group": _runs_in_no_group,
    "groups_of_one": _groups_of_one,
    "group_tags_missing": _group_tags_missing,
    "group_steps_missing": _group_steps_missing,
    "group_values_replaced": _group_values_replaced,
    "group_nan": _group_nan,
    "group_steps_apart": _group_steps_apart,
    "log_axis_chosen": _log_axis_chosen,
    "outliers_hidden": _outliers_hidden,
    "runs_without_tag": _runs_without_tag,
    "runs_without_value": _runs_without_value,
    "goal_by_name": _goal_by_name,
    "hparam_files_need_yaml": _hparam_files_need_yaml,
    "hparam_files_unread": _hparam_files_unread,
    "hparams_not_plain": _hparams_not_plain,
    "curves_thinned": _curves_thinned,
    "histograms_thinned": _histograms_thinned,
    "columns_merged": _columns_merged,
    "values_not_positive": _values_not_positive,
    "other_kinds": _other_kinds,
    "values_undecodable": _values_undecodable,
    "values_dateless": _values_dateless,
}


def _values_of_tags(note: Note) -> str:
    return listed(f"{count:,} of tag {tag!r}" for tag, count in note.counts)


def _numbers_of_tags(note: Note) -> str:
    return listed(f"{tag!r} {count}" for tag, count in note.counts)


def _on_group(note: Note, fact: str) -> Message:
    return Message(f"group {note.details['group']!r}: {fact}")


def _trials(count: int | None) -> str:
    return f"{count:,} trial{_s(count)}"


def _runs(note: Note) -> str:
    return f"{note.count:,} run{_s(note.count)}"


def _listed_runs(note: Note) -> str:
    more = (note.count or 0) - len(note.details["runs"])
    return ", ".join(map(repr, note.details["runs"])) + (f" and {more:,} more" if more else "")


def _s(count: int | None) -> str:
    return "" if count == 1 else "s"
