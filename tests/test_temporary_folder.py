"""The temporary folder of the tests."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest
import temporary_folder
from temporary_folder import folder_in_memory, use_memory

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "statvfs"), reason="no file system in memory")


@pytest.fixture(autouse=True)
def _decided_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let a folder on any file system be the one in memory, and leave the tests theirs."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(temporary_folder, "_IN_MEMORY", tmp_path)
    monkeypatch.setattr(temporary_folder, "_ENOUGH", 1)


def test_temporary_files_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "")
    monkeypatch.delenv("TMPDIR")
    use_memory()
    assert os.environ["TMPDIR"] == tempfile.gettempdir() == str(tmp_path)


def test_a_folder_that_the_user_chose_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    monkeypatch.setenv("TMPDIR", str(chosen))
    use_memory()
    assert tempfile.gettempdir() == str(chosen)


@pytest.mark.parametrize(("name", "value"), [("_ENOUGH", 1 << 80), ("_IN_MEMORY", "a folder that is missing")])
def test_a_memory_that_is_small_or_missing_is_not_used(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setattr(temporary_folder, name, value)
    assert folder_in_memory() is None
