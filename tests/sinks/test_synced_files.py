"""Files that are forced to the disk: a few one by one, many together."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tb2csv.sinks import synced_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def descriptors(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect the descriptors that are synced, and take three files for many."""
    found: list[int] = []
    monkeypatch.setattr(os, "fsync", found.append)
    monkeypatch.setattr(synced_files, "_FEW", 2)
    return found


def test_a_few_files_are_synced_with_their_folders(tmp_path: Path, descriptors: list[int]) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    synced_files.sync_files(str(tmp_path), ["a/file", "b/file"])
    assert len(descriptors) == (2 if sys.platform == "win32" else 4)


@pytest.mark.skipif(sys.platform != "linux", reason="syncfs")
def test_many_files_are_synced_together(tmp_path: Path, descriptors: list[int]) -> None:
    for name in "abc":
        (tmp_path / name).touch()
    synced_files.sync_files(str(tmp_path), "abc")
    assert descriptors == []
    with pytest.raises(FileNotFoundError):
        synced_files.sync_files(str(tmp_path / "missing"), "abc")
