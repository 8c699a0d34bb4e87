"""Logs for the tests of stores, and their tables from the same local folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from event_files import event, file_name, histogram, simple_value, write_run

import tb2csv

if TYPE_CHECKING:
    from pathlib import Path


def write_logs(folder: Path) -> Path:
    """Write runs with several files, a run in the root, a name with odd characters, and a file of another kind."""
    for run in ("", "train", "train/deep", "odd name+%41&é"):
        for number in range(2):
            events = [event(simple_value(f"tag/{i % 3}", i), step=i, wall_time=i) for i in range(50)]
            bars = event(histogram("bars", [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]]), step=1, wall_time=1.0)
            write_run(folder / run, *events, bars, name=file_name(number), wall_time=10 - number)
    (folder / "train" / "checkpoint").write_bytes(b"weights")
    return folder


def tables_below(out: Path) -> dict[str, bytes]:
    """Return every file of a conversion but those that say how to update it, which name the place of the log."""
    files = (path.relative_to(out) for path in out.rglob("*") if path.is_file())
    return {path.as_posix(): (out / path).read_bytes() for path in files if not path.parts[0].startswith(".")}


def assert_converts_as_local(url: str, logdir: Path, folder: Path) -> None:
    """Convert a URL and the local folder with the same files, and compare every file."""
    local = tb2csv.convert(logdir, folder / "local", overwrite=True)
    remote = tb2csv.convert(url, folder / "remote", overwrite=True)
    assert remote.to_dict() == local.to_dict()
    assert tables_below(folder / "remote") == tables_below(folder / "local")
