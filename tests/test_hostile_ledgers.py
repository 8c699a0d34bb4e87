"""Output folders from strangers: a damaged or hostile ledger is one sentence, and nothing outside changes."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from event_files import event, event_file, file_name, frames, hparams_start, image, simple_value
from tables import read_tree

import tb2csv
from tb2csv.layouts import converted_run

if TYPE_CHECKING:
    from collections.abc import Callable

LEDGER = ".tb2csv/ledger.sqlite"


def _events(first: int) -> list[Any]:
    values = [
        event(simple_value("loss", step), image("picture", 1, 1, b"png"), step=step, wall_time=2.0)
        for step in range(first, first + 3)
    ]
    return [event(hparams_start({"lr": 0.5}), wall_time=1.5), *values]


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a log ``log`` that has grown since it was converted to ``out``."""
    folder = tmp_path_factory.mktemp("converted")
    for run in ("a", "b", "gone"):
        path = folder / f"log/{run}/{file_name()}"
        path.parent.mkdir(parents=True)
        path.write_bytes(event_file(_events(0), wall_time=1.0)[:-4])  # an unfinished record: reading has a state
    tb2csv.convert(folder / "log", folder / "out")
    for run in ("a", "b"):
        with (folder / f"log/{run}/{file_name()}").open("ab") as file:
            file.write(event_file(_events(0), wall_time=1.0)[-4:] + frames(_events(3)))
    shutil.rmtree(folder / "log/gone")
    (folder / "outside").mkdir()
    (folder / "outside/file.csv").write_bytes(b"precious " * 200)
    return folder


@pytest.fixture
def folder(converted: Path, tmp_path: Path) -> Path:
    """Return a copy of it."""
    return Path(shutil.copytree(converted, tmp_path / "copy"))


def update(folder: Path) -> str:
    """Update the copy; return the error, if there is one. The ledger names the log by its path, so it is rewritten."""
    try:
        tb2csv.convert(folder / "log", folder / "out")
    except tb2csv.Tb2csvError as error:
        return str(error)
    return ""


def change(folder: Path, script: str, *arguments: Any) -> None:
    connection = sqlite3.connect(folder / "out" / LEDGER)
    with connection:
        connection.execute(script, arguments)
    connection.close()


def values(folder: Path) -> list[tuple[str, str, Any]]:
    """Return all JSON values of the ledger: table, key and value."""
    connection = sqlite3.connect(folder / "out" / LEDGER)
    found = [(f"facts {name}", "value", json.loads(value)) for name, value in connection.execute("SELECT * FROM facts")]
    for name, *row in connection.execute("SELECT name, report, tables, state FROM runs"):
        columns = zip(("report", "tables", "state"), row, strict=True)
        found += [(f"runs {name}", column, json.loads(text)) for column, text in columns]
    connection.close()
    return found


def put(folder: Path, where: str, column: str, value: Any) -> None:
    table, name = where.split(" ", 1)
    change(folder, f"UPDATE {table} SET {column} = ? WHERE name = ?", json.dumps(value), name)


@pytest.fixture(autouse=True)
def _use_the_copy(folder: Path) -> None:
    (options,) = (value for where, _, value in values(folder) if where == "facts options")
    put(folder, "facts options", "value", options | {"logdir": os.path.realpath(folder / "log")})


def assert_nothing_outside_changed(folder: Path) -> None:
    assert read_tree(folder / "outside") == {"file.csv": b"precious " * 200}
    assert {path.name for path in folder.iterdir()} == {"log", "out", "outside"}
    assert not any("tmp" in path.name for path in folder.iterdir())


HOSTILE: list[Any] = [
    *(
        "../outside/file.csv",
        "/etc/hostname",
        "a/../../outside/file.csv",
        "a//b",
        ".",
        "",
        ".tb2csv/ledger.sqlite",
        "\0",
    ),
    *(-1, 2**63, 2**100, 1e300, float("nan"), None, True, [], {}, [[]], {"a": 1}, "\udcff\n", "x" * 10_000),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all places in nested data."""
    found = [path]
    if isinstance(value, list):
        found += [place for index, each in enumerate(value) for place in places(each, (*path, index))]
    if isinstance(value, dict):
        found += [place for name, each in value.items() for place in places(each, (*path, name))]
    return found


def with_change(value: Any, place: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    if not place:
        return change(value)
    copy = value.copy()
    copy[place[0]] = with_change(copy[place[0]], place[1:], change)
    return copy


def with_other_keys(value: Any, key: str) -> Any:
    return {key if number == 0 else name: each for number, (name, each) in enumerate(value.items())}


def mutations(generator: random.Random, all_values: list[tuple[str, str, Any]]) -> tuple[str, str, Any]:
    where, column, value = generator.choice(all_values)
    place = generator.choice(places(value))
    new = generator.choice(HOSTILE)

    def change(old: Any) -> Any:
        kind = generator.randrange(4)
        if isinstance(old, dict) and old and kind:
            return with_other_keys(old, str(new))
        if isinstance(old, list) and old and kind:
            return generator.choice([old[1:], old * 2, [*old, new], [new, *old[1:]]])
        if isinstance(old, int) and kind:
            return generator.choice([old + 1, old * 1000, -old, 0, 7, 2**40])
        return new

    return where, column, with_change(value, place, change)


COUNT = int(os.environ.get("TB2CSV_MUTATIONS", "150"))


@pytest.mark.slow
def test_a_changed_ledger_is_one_sentence_at_most(folder: Path, tmp_path: Path) -> None:
    generator = random.Random(11)
    original = shutil.copytree(folder / "out", tmp_path / "original")
    all_values = values(folder)
    refused = 0
    for _ in range(COUNT):
        where, column, value = mutations(generator, all_values)
        shutil.rmtree(folder / "out")
        shutil.copytree(original, folder / "out")
        put(folder, where, column, value)
        message = update(folder)
        assert "\n" not in message, (where, value)
        refused += bool(message)
        assert_nothing_outside_changed(folder)
    assert refused > COUNT / 10


@pytest.mark.parametrize("path", ["../outside/file.csv", "outside/file.csv", "/{folder}/outside/file.csv"])
@pytest.mark.parametrize("member", ["lengths", "stored", "removed", "shared_files"])
def test_a_path_that_leads_outside_is_refused(folder: Path, path: str, member: str) -> None:
    path = path.format(folder=folder)
    if member in {"removed", "shared_files"}:
        change(folder, "INSERT OR REPLACE INTO facts VALUES (?, ?)", member, json.dumps([path]))
    else:
        (tables,) = (value for where, column, value in values(folder) if (where, column) == ("runs gone", "tables"))
        bad = tables | (
            {"stored": [path]} if member == "stored" else {"lengths": {path: 3}, "entries": tables["entries"][:1]}
        )
        put(folder, "runs gone", "tables", bad)
    (folder / "out/.tb2csv/updating").touch()
    (folder / "out/outside").symlink_to(folder / "outside")
    update(folder)
    assert_nothing_outside_changed(folder)


@pytest.mark.parametrize(
    "bad",
    [
        {"lengths": {"../outside/file.csv": 3}},
        {"stored": ["/etc"]},
        {"schemas": [[["step", "object"]]]},
        {"tables": [[0, 99, "", False]]},
        {"more": 1},
    ],
)
def test_the_tables_of_an_unchanged_run_are_checked_when_they_are_needed(folder: Path, bad: dict[str, Any]) -> None:
    assert update(folder) == ""
    (tables,) = (value for where, column, value in values(folder) if (where, column) == ("runs b", "tables"))
    put(folder, "runs b", "tables", tables | bad)
    assert update(folder) == ""  # nothing has changed, so only the report is needed
    with (folder / f"log/a/{file_name()}").open("ab") as file:
        file.write(frames(_events(6)))
    assert "its ledger is damaged" in update(folder)
    assert_nothing_outside_changed(folder)


@pytest.mark.parametrize(
    "bad",
    [
        '{"lengths": {"../outside/file.csv": 3}}',
        '{"lengths": []}',
        '{"series": {}}',
        '{"more": 1}',
        "[1]",
        '"lengths"',
        "[" * 100_000,
        "no JSON",
        None,
        5,
        b"bytes",
    ],
)
@pytest.mark.parametrize("is_cut_short", [False, True])
def test_more_tables_of_a_run_are_checked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, bad: str | bytes | int | None, *, is_cut_short: bool
) -> None:
    monkeypatch.setattr(converted_run, "_AT_ONCE", 1)
    tb2csv.convert(folder / "log", folder / "out", overwrite=True)
    with (folder / f"log/a/{file_name()}").open("ab") as file:
        file.write(frames(_events(6)))
    if is_cut_short:
        (folder / "out/.tb2csv/updating").touch()
    change(folder, "UPDATE more_tables SET tables = ? WHERE run = 'a' AND part = 1", bad)
    assert "cannot be brought up to date, because" in update(folder)
    assert_nothing_outside_changed(folder)


@pytest.mark.parametrize("part", [0, 1, 5])
def test_more_tables_that_lack_a_part_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr(converted_run, "_AT_ONCE", 1)
    tb2csv.convert(folder / "log", folder / "out", overwrite=True)
    with (folder / f"log/a/{file_name()}").open("ab") as file:
        file.write(frames(_events(6)))
    change(folder, "DELETE FROM more_tables WHERE run = 'a' AND part = ?", part)
    assert "its ledger is damaged" in update(folder)


@pytest.mark.parametrize("where", ["ledger.sqlite", "", "waiting-0", "waiting-1", "updating", "holder.json", "rows"])
def test_a_link_in_the_private_folder_is_refused(folder: Path, where: str) -> None:
    place = folder / "out/.tb2csv" / where
    target = folder / "outside" / ("file.csv" if "." in where or where == "updating" else "")
    if where in {"", "ledger.sqlite"}:
        place.rename(folder / "out/moved")
        place.symlink_to(folder / "out/moved")
    else:
        place.symlink_to(target)
    message = update(folder)
    assert "overwrite=True" in message
    assert_nothing_outside_changed(folder)


@pytest.mark.parametrize("table", ["a/scalars/loss.csv", "a/scalars", "a"])
def test_a_table_that_is_a_link_is_not_written(folder: Path, table: str) -> None:
    place = folder / "out" / table
    if place.is_dir():
        shutil.rmtree(place)
        place.symlink_to(folder / "outside")
    else:
        place.unlink()
        place.symlink_to(folder / "outside/file.csv")
    assert "remove it" in update(folder)
    assert_nothing_outside_changed(folder)


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TRIGGER t AFTER INSERT ON facts BEGIN DELETE FROM runs; END",
        "CREATE VIEW more AS SELECT * FROM facts",
        "CREATE TABLE more (a)",
        "CREATE INDEX more ON runs (files)",
        "ALTER TABLE runs ADD COLUMN more",
        "DROP TABLE runs",
        "PRAGMA application_id = 5",
    ],
)
def test_a_ledger_with_other_tables_is_refused(folder: Path, script: str) -> None:
    change(folder, script)
    assert "its ledger is damaged" in update(folder)


def test_a_ledger_of_another_version_is_refused(folder: Path) -> None:
    change(folder, "PRAGMA user_version = 1")
    assert "another version of tb2csv" in update(folder)
    assert "overwrite=True" in update(folder)


@pytest.mark.parametrize("content", [b"", b"not SQLite at all " * 500, b"SQLite format 3\0" + bytes(5000)])
def test_a_file_that_is_not_a_ledger_is_refused(folder: Path, content: bytes) -> None:
    (folder / "out" / LEDGER).write_bytes(content)
    assert "its ledger is damaged" in update(folder)
    tb2csv.convert(folder / "log", folder / "out", overwrite=True)
    assert update(folder) == ""


@pytest.mark.slow
def test_flipped_bytes_of_a_ledger_are_one_sentence_at_most(folder: Path) -> None:
    generator = random.Random(3)
    original = (folder / "out" / LEDGER).read_bytes()
    for _ in range(60):
        changed = bytearray(original)
        for _ in range(generator.choice([1, 4, 100])):
            changed[generator.randrange(len(changed))] ^= generator.randrange(1, 256)
        (folder / "out" / LEDGER).write_bytes(changed)
        assert "\n" not in update(folder)
        assert_nothing_outside_changed(folder)


def test_a_journal_that_names_another_file_is_refused(folder: Path) -> None:
    (folder / "out" / f"{LEDGER}-journal").write_bytes(bytes(600) + bytes.fromhex("d9d505f920a163d7"))
    assert "ledger.sqlite-journal" in update(folder)


@pytest.mark.parametrize("name", ["note.txt", "waiting-x", "rows/other.csv"])
def test_a_foreign_file_in_the_private_folder_is_not_deleted(folder: Path, name: str) -> None:
    place = folder / "out/.tb2csv" / name
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"mine")
    assert name in update(folder)
    with pytest.raises(tb2csv.OutputError, match="did not write"):
        tb2csv.convert(folder / "log", folder / "out", overwrite=True)
    assert place.read_bytes() == b"mine"


def test_a_conversion_without_a_ledger_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "out/.tb2csv")
    assert "which this command cannot bring up to date" in update(folder)
    tb2csv.convert(folder / "log", folder / "out", overwrite=True)
    assert update(folder) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not text")
def test_odd_names_are_kept(tmp_path: Path) -> None:
    """Names with line feeds, tabs and bytes that are not UTF-8."""
    for name in (b"a\nb", b"a\tb", b"\xff\xfe", b'"quoted"', "é\u2028".encode()):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xfflog/" + name)) / file_name()
        path.parent.mkdir(parents=True)
        path.write_bytes(event_file([event(simple_value("x\n\t\udcff".encode("utf-8", "replace").decode(), 1))]))
    logdir = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xfflog"))
    first = tb2csv.convert(logdir, tmp_path / "out")
    again = tb2csv.convert(logdir, tmp_path / "out")
    assert again.update
    assert (again.update.values, again.update.added, again.update.renewed) == (0, [], {})
    with next(logdir.glob("a\n*/*")).open("ab") as file:
        file.write(frames([event(simple_value("y", 1))]))
    report = tb2csv.convert(logdir, tmp_path / "out")
    assert report.update
    assert (report.update.grown, report.values_read) == (["a\nb"], first.values_read + 1)
