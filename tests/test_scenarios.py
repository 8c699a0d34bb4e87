"""Every scenario through every scanner and every face: the same tables, the same account, a manifest that is right."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import unicodedata
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import run_here, run_process
from event_files import (
    event,
    event_file,
    hparams_start,
    image,
    legacy_histogram,
    scalar,
    tensor,
    text,
    with_payload_broken,
    write_run,
)
from scenarios import SCENARIOS, EventFile, Scenario, Undecodable
from slow_cases import quick_if, slow
from tables import parse_lines, parse_rows, read_index, read_rows, read_tree

import tb2csv
from tb2csv.event_files.scanners import SCANNERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from commands import Ran

#: Written in every conversion, and not listed by scenarios.
MANIFEST = {"index.csv", "datapackage.json"}
#: The files beside tables.
STORED = (".pb", ".json", ".npy", ".png", ".gif", ".bin", ".wav")


def write_logs(folder: Path, scenario: Scenario) -> Path:
    for run, content in scenario.runs.items():
        for each in content:
            if isinstance(each, EventFile):
                write_run(folder / run, *each.events, name=each.name, wall_time=each.wall_time)
        if not any(isinstance(each, EventFile) for each in content):
            write_run(folder / run, *content)
    return folder


# The faces: each converts a log and returns the report as plain objects.


def convert_by_command(run: Callable[..., Ran], logdir: Path, out: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    arguments = [str(logdir), str(out), "--json"]
    for name, value in options.items():
        option = "--" + name.removesuffix("s").replace("_", "-") if name != "tensors" else "--tensors"
        for each in [value] if isinstance(value, str) else value:
            arguments += [option, each]
    ran = run("convert", *arguments)
    assert ran.status in (0, 3), ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    assert ran.status == (3 if report["damage"] else 0)
    return report


def convert_by_function(logdir: Path, out: Path, options: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    patterns = {name: value for name, value in options.items() if name != "tensors"}
    arguments = {name: value for name, value in options.items() if name == "tensors"}
    return tb2csv.convert(logdir, out, selection=tb2csv.Selection(**patterns), **arguments, **more).to_json()


@pytest.fixture
def convert(face: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    faces = {
        "command": partial(convert_by_command, partial(run_here, capsys)),
        "function": convert_by_function,
        "small chunks": partial(convert_by_function, chunk_size=64),
    }
    return faces[face]


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize(
    ("face", "scanner"),
    quick_if(
        lambda face, scanner: face == "function" or (face == "small chunks") == (scanner == "compiled"),
        itertools.product(["command", "function", "small chunks"], SCANNERS),
    ),
    indirect=["scanner"],
)
@pytest.mark.usefixtures("scanner")
def test_tables_are_those_of_the_scenario(name: str, convert: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    check_tables_of(SCENARIOS[name](), convert, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["filter_by_kind", *slow(["an_event_that_is_none_costs_only_its_record"])])
@pytest.mark.usefixtures("scanner")
def test_a_process_writes_the_tables_of_the_scenario(name: str, tmp_path: Path) -> None:
    check_tables_of(SCENARIOS[name](), partial(convert_by_command, run_process), tmp_path)


def check_tables_of(scenario: Scenario, convert: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    logdir = write_logs(tmp_path / "logs", scenario)
    report = convert(logdir, tmp_path / "out", scenario.options)
    written = read_tree(tmp_path / "out")
    assert set(written) == set(scenario.tables) | MANIFEST
    for path, expected in scenario.tables.items():
        assert readable(written[path], expected) == comparable(expected), path
    check_account(report, scenario)
    check_index(written["index.csv"].decode(), scenario)
    check_package(json.loads(written["datapackage.json"]), report, scenario)


def comparable(expected: str | bytes | Undecodable) -> Any:
    return expected.rows if isinstance(expected, Undecodable) else expected


def readable(data: bytes, expected: str | bytes | Undecodable) -> Any:
    """Return what was written in the terms in which it is expected."""
    if isinstance(expected, bytes):
        return data
    text = data.decode("utf-8")
    if isinstance(expected, str):
        return with_plain_header(text, parse_lines(expected)[0])
    header, *rows = parse_lines(text)
    assert header == ["wall_time", "step", "reason", "data"]
    assert all(reason for _, _, reason, _ in rows)
    return [(wall_time, step, base64.b64decode(payload, validate=True)) for wall_time, step, _, payload in rows]


def with_plain_header(text: str, names: list[str]) -> str:
    """Return a table with its header as scenarios write it, if it is quoted as the headers of tables with text are."""
    quoted = io.StringIO()
    csv.writer(quoted, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(names)
    plain = io.StringIO()
    csv.writer(plain, lineterminator="\n").writerow(names)
    rows = text.removeprefix(quoted.getvalue())
    return text if rows == text else plain.getvalue() + rows


def check_account(report: dict[str, Any], scenario: Scenario) -> None:
    names = ("values_read", "values_written", "values_filtered", "values_undecodable")
    read, written, filtered, undecodable = (report[name] for name in names)
    assert report["values_empty"] == scenario.empty
    assert read == written + filtered + undecodable + scenario.empty
    if scenario.account:
        assert (read, written, filtered, undecodable) == scenario.account
    else:
        assert read == written
    for name in (*names, "values_empty"):
        assert report[name] == sum(run[name] for run in report["runs"])
    assert len(report["undecodable"]) == undecodable
    assert len(report["damage"]) == scenario.damaged
    assert len(report["notes"]) == scenario.notes
    assert report["tables"] == len(tables_of(scenario))
    for source in report["sources"]:
        assert source["bytes"] == source["record_bytes"] + source["lost_bytes"] + source["incomplete_tail_bytes"]
        assert not source["incomplete_tail_bytes"]


def tables_of(scenario: Scenario) -> set[str]:
    return {path for path in scenario.tables if not path.endswith(STORED) and path not in MANIFEST}


def check_index(text: str, scenario: Scenario) -> None:
    """Every table is listed, with its rows counted; if every value gives rows, with its first and last step."""
    rows = {row["path"]: row for row in parse_rows(text)}
    assert set(rows) == tables_of(scenario)
    for path, row in rows.items():
        expected = scenario.tables[path]
        if isinstance(expected, Undecodable):
            steps = [step for _, step, _ in expected.rows]
        else:
            assert isinstance(expected, str)
            lines = parse_rows(expected)
            steps = [line.get("step", "") for line in lines]
        assert int(row["rows"]) == len(steps), path
        if scenario.account is None and steps:
            assert (row["first_step"], row["last_step"]) == (steps[0], steps[-1]), path


def check_package(package: dict[str, Any], report: dict[str, Any], scenario: Scenario) -> None:
    """Every table is a resource whose fields are its columns; the report rides in it."""
    fields = {each["path"]: [field["name"] for field in each["schema"]["fields"]] for each in package["resources"]}
    assert set(fields) == tables_of(scenario) | {"index.csv"}
    for path in tables_of(scenario):
        expected = scenario.tables[path]
        if isinstance(expected, str):
            assert fields[path] == parse_lines(expected)[0], path
    names = [each["name"] for each in package["resources"]]
    assert len(set(names)) == len(names)
    assert package["tb2csv"].items() >= report.items()


# What one table of expectations cannot show


@pytest.mark.usefixtures("scanner")
def test_names_never_share_a_file(tmp_path: Path) -> None:
    """Names that some file system takes for equal, or refuses for their length, have files of their own."""
    tags = ["Loss", "loss", "LOSS", "x" * 300, "x" * 301, "a/" * 200 + "b", "a/" * 200 + "c", "é", "e\u0301"]
    runs = ["Run", "run", "con", "r" * 200]
    for run in runs:
        write_run(
            tmp_path / "logs" / run,
            event(*(scalar(tag, i) for i, tag in enumerate(tags)), *(text(tag, tag) for tag in tags)),
        )
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    index = read_index(tmp_path / "out")
    assert {(row["run"], row["tag"], row["kind"]) for row in index} == {
        (run, tag, kind) for run in runs for tag in tags for kind in ("scalars", "text")
    }
    assert len({unicodedata.normalize("NFC", row["path"]).casefold() for row in index}) == len(index)
    for row in index:
        assert all(len(part.encode()) < 250 for part in row["path"].split("/"))
        table = read_rows(tmp_path / "out" / row["path"])
        expected = row["tag"] if row["kind"] == "text" else f"{tags.index(row['tag'])}.0"
        assert [line["text" if row["kind"] == "text" else "value"] for line in table] == [expected]


def test_nothing_is_written_outside_of_the_output_folder(tmp_path: Path) -> None:
    tags = ["../x", "../../../../x", "/x", "..\\x", "a/../../../x", ".", "..", "~/x", "C:\\x"]
    write_run(tmp_path / "in" / "logs", event(*(scalar(tag, 1) for tag in tags)))
    before = set(tmp_path.rglob("*"))
    tb2csv.convert(tmp_path / "in", tmp_path / "some" / "out")
    made = set(tmp_path.rglob("*")) - before - {tmp_path / "some"}
    assert all(path.is_relative_to(tmp_path / "some" / "out") for path in made)
    assert {row["tag"] for row in read_index(tmp_path / "some" / "out")} == set(tags)


def test_the_data_package_gives_every_column_its_type(tmp_path: Path) -> None:
    write_run(
        tmp_path / "logs",
        event(
            scalar("f", 1), scalar("d", 1, "float64"), scalar("u", 1, "uint8"), scalar("b", 1, "bool"), text("t", "")
        ),
    )
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    package = json.loads((tmp_path / "out" / "datapackage.json").read_text("utf-8"))
    types = {
        resource["path"]: [(each["type"], each["tb2csv:dtype"]) for each in resource["schema"]["fields"]]
        for resource in package["resources"]
    }
    time_and_step = [("number", "float64"), ("integer", "int64")]
    assert types["scalars/f.csv"] == [*time_and_step, ("number", "float32")]
    assert types["scalars/d.csv"] == [*time_and_step, ("number", "float64")]
    assert types["scalars/u.csv"] == [*time_and_step, ("integer", "uint8")]
    assert types["scalars/b.csv"] == [*time_and_step, ("boolean", "boolean")]
    assert types["text/t.csv"] == [*time_and_step, ("string", "string")]
    assert package["profile"] == "tabular-data-package"
    assert package["tb2csv"]["sources"][0]["bytes"] == next((tmp_path / "logs").iterdir()).stat().st_size


def test_converting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """Neither the number of workers nor the order in which they end shows in the output."""
    for run in "abcdef":
        write_run(tmp_path / "logs" / run, *(event(scalar("x", i), text("t", run), step=i) for i in range(50)))
    for name, workers in {"one": 1, "two": 2, "six": 6}.items():
        tb2csv.convert(tmp_path / "logs", tmp_path / name, workers=workers)
    assert read_tree(tmp_path / "one") == read_tree(tmp_path / "two") == read_tree(tmp_path / "six")


@pytest.mark.usefixtures("scanner")
@pytest.mark.parametrize("chunk_size", quick_if(lambda size: size == 100, [1, 13, 100, 1000]))
def test_chunks_of_any_size_give_the_same_tables(chunk_size: int, tmp_path: Path) -> None:
    events = [
        event(
            scalar("s", i),
            tensor("t", np.arange(i % 5, dtype=np.float32)),
            legacy_histogram("h", range(1, 2 + i % 3), [1] * (1 + i % 3)),
            image("i", 1, 1, b"%d" % i),
            step=i,
        )
        for i in range(60)
    ]
    write_run(tmp_path / "logs", *events)
    tb2csv.convert(tmp_path / "logs", tmp_path / "whole")
    tb2csv.convert(tmp_path / "logs", tmp_path / "chunks", chunk_size=chunk_size)
    assert len(read_tree(tmp_path / "whole")) == 2 + 4 + 1 + 60
    assert read_tree(tmp_path / "chunks") == read_tree(tmp_path / "whole")


@pytest.mark.usefixtures("scanner")
def test_a_file_without_its_first_record_keeps_its_place(tmp_path: Path) -> None:
    """Where the first record is damaged, the others say when the file was written; a file of nothing comes anywhere."""
    events = {start: [event(scalar("x", start), step=start, wall_time=start + 0.5)] for start in (300, 100, 200)}
    for number, start in enumerate(events):
        write_run(tmp_path / "logs", *events[start], name=f"{number}.tfevents", wall_time=float(start))
    early = tmp_path / "logs" / "1.tfevents"
    early.write_bytes(with_payload_broken(early.read_bytes(), 0))
    (tmp_path / "logs" / "empty.tfevents").write_bytes(b"")
    (tmp_path / "logs" / "begun.tfevents").write_bytes(event_file([])[:5])
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    assert [row["step"] for row in read_rows(tmp_path / "out" / "scalars" / "x.csv")] == ["100", "200", "300"]


def test_a_metric_is_the_last_value_of_its_tag_whatever_its_type(tmp_path: Path) -> None:
    values = [scalar("x", 1), scalar("x", 2, "float64"), scalar("x", 3)]
    write_run(tmp_path / "logs", event(hparams_start({"rate": 1})), *(event(value) for value in values))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    assert [row["x"] for row in read_rows(tmp_path / "out" / "hparams.csv")] == ["3.0"]
