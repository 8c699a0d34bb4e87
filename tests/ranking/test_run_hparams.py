"""The hyperparameters of ranked runs: of the log, and of the files of Lightning and Keras Tuner beside it."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from event_files import event, hparams_end, hparams_experiment, hparams_start, simple_value, write_run

import tb2csv
from tb2csv.logdir import HPARAM_FILES, EventFile
from tb2csv.ranking import hparam_files
from tb2csv.ranking.hparam_files import MAX_BYTES, MAX_VALUES, HparamFileError, read_hparam_file

if TYPE_CHECKING:
    from pathlib import Path

#: As Lightning 2.6.6 writes it, with PyYAML 6.0.
LIGHTNING = """\
act: !!python/name:torch.nn.modules.activation.ReLU ''
attr: !!python/object/new:lightning_fabric.utilities.data.AttributeDict
  dictitems:
    b: 2
betas: !!python/tuple
- 0.9
- 0.999
big: 1180591620717411303424
by: !!binary |
  eA==
c: !!python/complex '1.0j'
data: !!python/object/apply:pathlib.PosixPath
- /
- data
- x
dev: !!python/object/apply:torch.device
- cpu
flag: true
layers:
- 1
- 2
lr: 1.0e-05
nan: .nan
ns: !!python/object:argparse.Namespace
  a: 1
opt:
  name: adam
  wd: null
text: 1e-5
when: 2020-01-01
"""
EXPECTED = {
    "act": "torch.nn.modules.activation.ReLU",
    "attr/b": 2.0,
    "betas": "[0.9, 0.999]",
    "big": "1180591620717411303424",
    "c": "1.0j",
    "data": "/data/x",
    "flag": True,
    "layers": "[1, 2]",
    "lr": 1e-05,
    "ns/a": 1.0,
    "opt/name": "adam",
    "text": "1e-5",
    "when": "2020-01-01",
}


def read(folder: Path, content: str | bytes, name: str = "hparams.yaml") -> hparam_files.HparamFile:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_hparam_file(EventFile(name, str(path)))


def test_plain_parts_of_a_file_of_lightning_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, LIGHTNING)
    assert str(found.values.pop("nan")) == "nan"
    assert found.values == EXPECTED
    assert found.left_out == ["by", "dev"]


def test_every_named_file_has_a_reader() -> None:
    assert hparam_files._READERS.keys() == HPARAM_FILES


def test_no_object_is_made(tmp_path: Path) -> None:
    made = tmp_path / "made"
    tags = ("object/apply:os.mkdir", "object/new:pathlib.Path.touch", "object:subprocess.Popen", "name:os.mkdir")
    content = "".join(f"x{number}: !!python/{tag} [{made}]\n" for number, tag in enumerate(tags[:3]))
    found = read(tmp_path, f"{content}y: !!python/name:{made} ''\nz: !local 1\n")
    assert (found.values, found.left_out) == ({"y": str(made)}, ["x0", "x1", "x2", "z"])
    assert not made.exists()


@pytest.mark.parametrize(
    "content",
    [
        "- 1\n- 2\n",
        "just text",
        "a: [1, 2",
        "a: {b: 1\n",
        b"a: \xff\n",
        "a: 1\n<<: {b: 2}\n",
        "a: &a {<<: *a}\n",
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
        "a: " + "[" * 3000 + "]" * 3000,
        "a: " + "{b: " * 3000 + "}" * 3000,
        "a: " + "1" * 5000,
        f"a: [{', '.join(['1'] * (MAX_VALUES + 1))}]",
        "a0: &a0 [1, 1, 1, 1]\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9)),
        "a0: &a0 {b: 1}\n" + "".join(f"a{n + 1}: &a{n + 1} {{b: *a{n}, c: *a{n}, d: *a{n}}}\n" for n in range(12)),
        "a: " + "x" * MAX_BYTES,
        "a: 1\n---\na: 2\n",
        "a: !!bool maybe\n",
        "a: !!timestamp now\n",
        "a: !!int ''\n",
        "a: !!python/tuple 1\n",
        "? [1]\n: 2\n",
    ],
    ids=lambda content: str(content[:12]),
)
def test_files_that_cannot_be_used_have_a_reason(content: str | bytes, tmp_path: Path) -> None:
    with pytest.raises(HparamFileError):
        read(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"hyperparameters": []}',
        '{"hyperparameters": {"values": 1}}',
        "[" * 20_000,
        '{"hyperparameters": {"values": {"a": ' + "1" * 5000 + "}}}",
    ],
)
def test_trials_that_cannot_be_used_have_a_reason(content: str, tmp_path: Path) -> None:
    with pytest.raises(HparamFileError):
        read(tmp_path, content, "trial.json")


def test_an_integer_without_end_is_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, f"a: 1{':1' * 9000}\nb: [1{':1' * 9000}]\nc: {2**80}\n")
    assert (found.values, found.left_out) == ({"c": str(2**80)}, ["a", "b"])


def test_an_empty_file_has_no_hyperparameters(tmp_path: Path) -> None:
    assert read(tmp_path, "{}\n").values == read(tmp_path, "").values == {}


def test_what_pyyaml_writes_is_read_back(tmp_path: Path) -> None:
    data = {"a": 1, "b": -2.5, "c": True, "d": "text: with 'quotes'\n", "e": ["x", None], "f": {"g": {"h": 1}}, "i": {}}
    found = read(tmp_path, yaml.dump(data))
    assert found.values == {
        "a": 1.0, "b": -2.5, "c": True, "d": "text: with 'quotes'\n", "e": '["x", null]', "f/g/h": 1.0, "i": "{}",
    }  # fmt: skip
    assert not found.left_out


# Which run they belong to


def trial_json(**values: Any) -> str:
    """Return the part of a trial.json of Keras Tuner 1.4.8 that matters, among its other parts."""
    return json.dumps(
        {
            "trial_id": "0",
            "hyperparameters": {"space": [], "values": values},
            "metrics": {"metrics": {}},
            "score": 0.5,
            "best_step": 0,
            "status": "COMPLETED",
            "message": None,
        }
    )


def write_value(folder: Path, value: float, tag: str = "acc") -> None:
    write_run(folder, event(simple_value(tag, value)))


def hparams_of(log: Any, *names: str, **options: Any) -> dict[str, tuple[Any, ...]]:
    """Return the hyperparameters of each ranked run."""
    table = tb2csv.best(log, "acc", **options).table
    return {row[0]: row[1:] for row in table.select("run", *names).iter_rows()}


def test_files_of_lightning_count_for_their_folders_and_below(tmp_path: Path) -> None:
    for number in range(2):
        write_value(tmp_path / f"version_{number}", number)
        (tmp_path / f"version_{number}" / "hparams.yaml").write_text(f"lr: {number + 0.5}\nn: {number}\n")
    write_value(tmp_path / "version_1" / "sub", 3)
    write_value(tmp_path / "other", 5)
    assert hparams_of(tmp_path, "lr", "n") == {
        "version_0": (0.5, 0),
        "version_1": (1.5, 1),
        "version_1/sub": (1.5, 1),
        "other": (None, None),
    }


def test_a_file_beside_the_only_run_counts(tmp_path: Path) -> None:
    write_value(tmp_path, 1)
    (tmp_path / "hparams.yaml").write_text("lr: 0.5\n")
    assert hparams_of(tmp_path, "lr") == {".": (0.5,)}


def test_trials_of_keras_tuner_count_for_their_logs(tmp_path: Path) -> None:
    """Logs are below the folder of the trial, or in a folder named by the trial's id beside it."""
    for name, units in (("trial_0007", 7), ("trial_0008", 8)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trial.json").write_text(trial_json(units=units, act="relu", **{"tuner/epochs": 2}))
    write_value(tmp_path / "trial_0007" / "logs" / "validation", 1)
    write_value(tmp_path / "0008" / "execution0" / "validation", 2)
    assert hparams_of(tmp_path, "units", "act", "tuner/epochs") == {
        "0008/execution0/validation": (8, "relu", 2),
        "trial_0007/logs/validation": (7, "relu", 2),
    }


def test_hyperparameters_of_the_log_come_before_those_of_files(tmp_path: Path) -> None:
    write_run(tmp_path / "a", event(hparams_start({"lr": 0.25})), event(simple_value("acc", 1)))
    (tmp_path / "a" / "hparams.yaml").write_text("lr: 9.0\nwd: 0.5\n")
    assert hparams_of(tmp_path, "lr", "wd") == {"a": (0.25, 0.5)}


def test_a_run_has_the_hyperparameters_of_the_trial_above(tmp_path: Path) -> None:
    write_run(tmp_path / "t1", event(hparams_start({"lr": 1.0, "name": "x"})), event(hparams_end()))
    write_value(tmp_path / "t1" / "validation", 1)
    write_value(tmp_path / "t2", 2)
    assert hparams_of(tmp_path, "lr", "name") == {"t2": (None, None), "t1/validation": (1, "x")}


def test_a_run_has_the_hyperparameters_of_its_last_trial_of_add_hparams(tmp_path: Path) -> None:
    write_value(tmp_path / "run", 1)
    for number in range(2):
        values = [hparams_experiment([], []), hparams_start({"lr": float(number)}), hparams_end()]
        write_run(tmp_path / "run" / f"17000000{number}", *(event(each, wall_time=100.0 + number) for each in values))
    assert hparams_of(tmp_path, "lr") == {"run": (1,)}


def test_names_that_are_taken_get_a_prefix(tmp_path: Path) -> None:
    write_run(tmp_path / "a", event(hparams_start({"step": 3.0, "run": "x"})), event(simple_value("acc", 1)))
    assert hparams_of(tmp_path, "hparam:run", "hparam:step") == {"a": ("x", 3)}


def test_only_the_files_of_shown_runs_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        write_value(tmp_path / f"v{number}", number)
        (tmp_path / f"v{number}" / "hparams.yaml").write_text(f"lr: {number}\n")
    (tmp_path / "v0" / "hparams.yaml").write_bytes(b"\xff")
    assert [note.kind for note in tb2csv.best(tmp_path, "acc", top=2, goal="max").notes] == []
    assert [note.kind for note in tb2csv.best(tmp_path, "acc", goal="max").notes] == ["hparam_files_unread"]


def test_what_is_left_out_is_noted(tmp_path: Path) -> None:
    for name, content in {"a": "m: !!python/object/apply:torch.device [cpu]\nlr: 1\n", "b": "[", "c": "- 1"}.items():
        write_value(tmp_path / name, 1)
        (tmp_path / name / "hparams.yaml").write_text(content)
    notes = {note.kind: note for note in tb2csv.best(tmp_path, "acc", goal="max").notes}
    assert (notes["hparam_files_unread"].count, notes["hparam_files_unread"].details["path"]) == (2, "b/hparams.yaml")
    assert notes["hparams_not_plain"].details == {"names": ("m",), "path": "a/hparams.yaml"}
    assert hparams_of(tmp_path, "lr")["a"] == (1,)


def test_without_pyyaml_a_note_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_value(tmp_path / "a", 1)
    (tmp_path / "a" / "hparams.yaml").write_text("lr: 1\n")
    monkeypatch.setitem(sys.modules, "yaml", None)
    ranking = tb2csv.best(tmp_path, "acc", goal="max")
    assert [(note.kind, note.count) for note in ranking.notes] == [("hparam_files_need_yaml", 1)]
    assert "[yaml]" in str(ranking.notes[0])


def test_files_in_an_archive_are_read(tmp_path: Path) -> None:
    write_value(tmp_path / "log" / "v0", 1)
    (tmp_path / "log" / "v0" / "hparams.yaml").write_text("lr: 0.5\n")
    shutil.make_archive(str(tmp_path / "log"), "zip", tmp_path / "log")
    assert zipfile.is_zipfile(tmp_path / "log.zip")
    assert hparams_of(f"zip://::{tmp_path / 'log.zip'}", "lr") == {"v0": (0.5,)}
