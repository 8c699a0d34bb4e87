"""Output folders whose files are damaged: an update or opening them is one sentence, and changes nothing."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from event_files import event, frames, scalar, text, write_run
from slow_cases import slow
from tables import read_tree

import tb2csv

#: Damaged files of each kind; a fault of one kind shows in a few.
CASES = 12


def events(first: int, stop: int) -> list[Any]:
    return [event(scalar("loss", step / 8), text("note", [f"{step}"]), step=step) for step in range(first, stop)]


def damaged(data: bytes, seed: int) -> bytes:
    """Return data with some other bytes, or their first half."""
    chance = random.Random(seed)
    changed = bytearray(data)
    for _ in range(chance.choice([1, 2, 8])):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed[: len(changed) // 2] if seed % 4 == 3 else changed)


def check(function: Any, *arguments: Any, **options: Any) -> bool:
    """Call a function, and return whether it succeeded; an error is one sentence of ours."""
    try:
        function(*arguments, **options)
    except tb2csv.Tb2csvError as error:
        message = str(error)
    else:
        return True
    assert "\n" not in message
    return False


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        ({"layout": "long"}, "arrow"),
        *slow(
            [
                ({"format": "parquet"}, "parquet"),
                ({"format": "arrow"}, "arrow"),
                ({"layout": "tags", "format": "parquet"}, "arrow"),
            ]
        ),
    ],
)
def test_an_update_of_damaged_tables_is_one_sentence(tmp_path: Path, options: dict[str, Any], ending: str) -> None:
    logdir, out, before = tmp_path / "logs", tmp_path / "out", tmp_path / "before"
    paths = [write_run(logdir / run, *events(0, 30)) for run in ("a", "b")]
    tb2csv.convert(logdir, before, **options)
    for path in paths:
        with path.open("ab") as file:
            file.write(frames(events(30, 40)))
    names = [path.relative_to(before) for path in sorted(before.rglob(f"*.{ending}"))][:2]
    assert names
    refused = 0
    for name in names:
        for seed in range(CASES):
            shutil.copytree(before, out)
            (out / name).write_bytes(damaged((before / name).read_bytes(), seed))
            found = read_tree(out)
            if not check(tb2csv.convert, logdir, out, **options):
                refused += 1
                assert read_tree(out) == found
            shutil.rmtree(out)
    assert refused


@pytest.mark.parametrize("format_name", ["parquet", *slow(["arrow", "jsonl", "csv"])])
def test_damaged_tables_are_not_opened(tmp_path: Path, format_name: str) -> None:
    write_run(tmp_path / "logs", *events(0, 30))
    out = tmp_path / "out"
    tb2csv.convert(tmp_path / "logs", out, format=format_name)
    name = f"text/note.{format_name}"
    whole = (out / name).read_bytes()
    opened = []
    for seed in range(4 * CASES):
        (out / name).write_bytes(damaged(whole, seed))
        opened.append(check(lambda: tb2csv.open_tables(out)[name]))
    assert not all(opened)


def test_paths_that_no_system_takes_are_one_sentence(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", *events(0, 3))
    for path in ("a\0b", Path("a\0b"), "x" * 5000):
        assert not check(tb2csv.ls, path)
        assert not check(tb2csv.convert, path, tmp_path / "out")
        assert not check(tb2csv.convert, tmp_path / "logs", path)
        assert not check(tb2csv.repair, tmp_path / "logs", path)
        assert not check(tb2csv.open_tables, path)
        assert not check(tb2csv.model_state.read_state, path)
        assert not check(tb2csv.model_state.write_state, tb2csv.model_state.ModelState("", ()), path)
    assert [each.name for each in tmp_path.iterdir()] == ["logs"]


@pytest.mark.parametrize("source", [5, None, b"logs", [b"logs"], ["logs", 5], object()])
def test_another_object_than_a_log_directory_is_refused(source: Any) -> None:
    for function in (tb2csv.check, tb2csv.discover):
        with pytest.raises(tb2csv.LogdirError, match="is not a log directory"):
            function(source)


def test_a_long_path_in_a_data_package_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "logs" / "run", *events(0, 3))
    out = tmp_path / "out"
    tb2csv.convert(tmp_path / "logs", out)
    package = out / "datapackage.json"
    package.write_text(package.read_text("utf-8").replace("run/scalars/loss.csv", "x" * 5000), "utf-8")
    tables = tb2csv.open_tables(out)
    with pytest.raises(tb2csv.Tb2csvError, match="not a file in it"):
        tables["x" * 5000]
