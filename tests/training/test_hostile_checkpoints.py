"""Checkpoints of TensorFlow and SavedModels from strangers: no file elsewhere is read, nothing foreign is replaced."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import tensorflow as tf

from tb2csv.errors import OutputError, StateError
from tb2csv.model_state import export_state, restore_file, state_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Return a folder with a checkpoint."""
    tf.train.Checkpoint(w=tf.Variable([1.0, 2.0], name="w")).save(str(tmp_path / "given" / "ckpt"))
    return tmp_path / "given"


@pytest.fixture
def saved_model(tmp_path: Path) -> Path:
    module = tf.Module()
    module.w = tf.Variable([1.0, 2.0], name="w")
    tf.saved_model.save(module, str(tmp_path / "saved"))
    return tmp_path / "saved"


def refused(path: Path, match: str) -> None:
    with pytest.raises(StateError, match=match):
        export_state(path, path.parent / "out.csv")
    assert not (path.parent / "out.csv").exists()


def test_sound_folders_are_read(checkpoint: Path, saved_model: Path) -> None:
    assert {"w"} <= {each.name for each in state_of(checkpoint).tensors}
    assert {"w"} <= {each.name for each in state_of(saved_model).tensors}


@pytest.mark.parametrize("is_absolute", [True, False])
def test_a_checkpoint_in_another_folder_is_refused(is_absolute: bool, checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "secret")
    name = str(tmp_path / "secret" / "ckpt-1") if is_absolute else "../secret/ckpt-1"
    (checkpoint / "checkpoint").write_text(f'model_checkpoint_path: "{name}"\nall_model_checkpoint_paths: "{name}"\n')
    refused(checkpoint, "not in it")


@pytest.mark.parametrize("ending", ["index", "data-00000-of-00001"])
def test_files_of_a_checkpoint_that_are_links_are_refused(ending: str, checkpoint: Path, tmp_path: Path) -> None:
    """The bytes of any file would become numbers."""
    (checkpoint / f"ckpt-1.{ending}").rename(tmp_path / "secret")
    (checkpoint / f"ckpt-1.{ending}").symlink_to(tmp_path / "secret")
    refused(checkpoint, "link")
    refused(checkpoint / "ckpt-1", "link")


@pytest.mark.parametrize("place", ["assets/x", "variables/more", "x"])
def test_links_in_a_saved_model_are_refused(place: str, saved_model: Path, tmp_path: Path) -> None:
    """A restored model is a copy of the folder, and would have the content of the file."""
    (tmp_path / "secret").write_text("secret")
    (saved_model / place).symlink_to(tmp_path / "secret")
    refused(saved_model, "link")


@pytest.mark.parametrize("what", ["file", "link"])
def test_a_saved_model_with_anything_else_is_not_replaced(what: str, saved_model: Path, tmp_path: Path) -> None:
    export_state(saved_model, tmp_path / "s.csv")
    out = tmp_path / "restored"
    restore_file(tmp_path / "s.csv", saved_model, out)
    restore_file(tmp_path / "s.csv", saved_model, out, overwrite=True)
    if what == "file":
        (out / "notes.txt").write_text("mine")
    else:
        (out / "assets" / "notes.txt").symlink_to(tmp_path / "s.csv")
    with pytest.raises(OutputError):
        restore_file(tmp_path / "s.csv", saved_model, out, overwrite=True)
    assert (tmp_path / "s.csv").exists()
