"""The places of temporary folders for exports."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tb2csv.errors import OutputError
from tb2csv.tensorboard_plugin import export_folders
from tb2csv.tensorboard_plugin.export_folders import ExportFolders

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The folders for temporary files, by the order in which they are tried."""
    found = {name: tmp_path / name / "temporary" for name in ("system", "shared", "cache")}
    for place in found.values():
        place.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(found["system"]))
    monkeypatch.setattr(export_folders, "SHARED", str(found["shared"]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(found["cache"]))
    return found


def left(places: dict[str, Path]) -> Iterator[Path]:
    return (path for place in places.values() for path in place.iterdir() if path.is_dir())


@pytest.mark.parametrize("excluded", [[], ["system"], ["system", "shared"]], ids=len)
def test_exports_are_never_in_a_log_directory(excluded: list[str], places: dict[str, Path]) -> None:
    """TensorBoard would read what an export has written; a folder above is a log directory as well."""
    folders = ExportFolders([str(places[name].parent) for name in excluded])
    made = folders.make("export")
    chosen = list(places)[len(excluded)]
    assert places[chosen] in made.parents
    folders.close()
    assert not list(left(places))


def test_a_log_directory_above_all_places_is_an_error(places: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"no temporary folder outside the log directory; set TMPDIR"):
        ExportFolders([str(tmp_path)]).make("export")
    assert not list(left(places))


def test_a_place_that_is_full_is_an_error_that_names_the_way_out(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = ExportFolders([])
    first = folders.make("first")

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(OutputError, match=r"cannot be created \(No space left on device\); set TMPDIR"):
        folders.make("second")
    assert first.exists()
    folders.close()
    assert not list(left(places))


def test_a_place_that_is_cleaned_meanwhile_is_made_again(places: dict[str, Path]) -> None:
    """Systems remove old files from their temporary folders while TensorBoard runs for weeks."""
    folders = ExportFolders([])
    first = folders.make("first")
    first.rmdir()
    for path in left(places):
        for lock in path.iterdir():
            lock.unlink()
        path.rmdir()
    assert folders.make("second").is_dir()
    folders.close()
    assert not list(left(places))
