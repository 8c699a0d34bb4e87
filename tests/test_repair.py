"""Repaired logs: every sound record, and nothing else, in files that TensorBoard's own readers read to the end."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import run_here
from data_server import data_server
from event_files import (
    HEAD_SIZE,
    cut,
    event,
    event_file,
    file_name,
    flip,
    frame,
    frames,
    records,
    scalar,
    simple_value,
    tensor,
    text,
    with_length_broken,
    with_length_crc_broken,
    with_payload,
    with_payload_broken,
    with_payload_crc_broken,
    write_run,
)
from slow_cases import quick_if
from tables import read_index, read_rows, read_tree
from tensorboard.backend.event_processing.event_accumulator import DEFAULT_SIZE_GUIDANCE, EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.context import RequestContext

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE_LOGS = Path(__file__).parents[1] / "sample_logs"

#: Record 0 is the version; records 1 to 8 have two values each.
EVENTS = [event(scalar("loss", step / 8), simple_value("rate", 1 / step), step=step) for step in range(1, 9)]
DATA = event_file(EVENTS, wall_time=0.5)
RECORDS = records(DATA)


def without(data: bytes, *numbers: int) -> bytes:
    """Return a file without some of its records."""
    return b"".join(data[each.start : each.stop] for n, each in enumerate(records(data)) if n not in numbers)


def write(folder: Path, data: bytes, name: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or file_name())
    path.write_bytes(data)
    return path


def repaired(folder: Path, data: bytes) -> bytes:
    """Return the clean file of an event file."""
    path = write(folder / "log" / "run", data)
    report = tb2csv.repair(folder / "log", folder / "out", overwrite=True)
    (written,) = report.files
    assert (written.written, written.run) == (f"run/{path.name}", "run")
    clean = (folder / "out" / written.written).read_bytes()
    assert (written.bytes, written.records) == (len(clean), len(records(clean)))
    return clean


# The bytes


BREAKS_THAT_ARE_REPAIRED = [with_length_broken, with_length_crc_broken]
BREAKS_THAT_LOSE_THE_RECORD = [
    with_payload_broken,
    with_payload_crc_broken,
    lambda data, number: with_payload(data, number, b"\xff" * 20),
]


@pytest.mark.parametrize("number", range(len(RECORDS)))
@pytest.mark.parametrize("damaged", BREAKS_THAT_ARE_REPAIRED)
def test_a_damaged_head_is_made_anew(damaged: Callable[[bytes, int], bytes], number: int, tmp_path: Path) -> None:
    assert repaired(tmp_path, damaged(DATA, number)) == DATA


@pytest.mark.parametrize("number", range(len(RECORDS)))
@pytest.mark.parametrize("damaged", BREAKS_THAT_LOSE_THE_RECORD)
def test_a_damaged_payload_is_left_out(damaged: Callable[[bytes, int], bytes], number: int, tmp_path: Path) -> None:
    assert repaired(tmp_path, damaged(DATA, number)) == without(DATA, number)


def test_several_damages_in_a_row(tmp_path: Path) -> None:
    data = with_length_broken(with_length_crc_broken(with_payload_broken(with_payload_broken(DATA, 3), 5), 2), 4)
    assert repaired(tmp_path, data) == without(DATA, 3, 5)


@pytest.mark.parametrize("foreign", [b"\0" * 5000, b"text between records " * 99, bytes(range(256)) * 20])
def test_foreign_bytes_are_left_out(foreign: bytes, tmp_path: Path) -> None:
    place = RECORDS[4].start
    assert repaired(tmp_path, DATA[:place] + foreign + DATA[place:]) == DATA


@pytest.mark.parametrize("size", range(RECORDS[-1].start, len(DATA)))
def test_an_unfinished_tail_is_left_out(size: int, tmp_path: Path) -> None:
    assert repaired(tmp_path, cut(DATA, size)) == without(DATA, len(RECORDS) - 1)


def test_a_record_with_a_damaged_head_and_a_payload_that_is_not_an_event(tmp_path: Path) -> None:
    data = with_length_broken(with_payload(DATA, 3, b"\xff" * 20), 3)
    assert repaired(tmp_path, data) == without(DATA, 3)


@pytest.mark.parametrize("data", [DATA, frames(EVENTS), b""])
def test_a_sound_file_is_copied(data: bytes, tmp_path: Path) -> None:
    assert repaired(tmp_path, data) == data


# The tables


def mutated(data: bytes, seed: int) -> bytes:
    """Return a file with a few random damages: flips, cuts, copies, and moved bytes."""
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data))
        stop = min(len(data), start + chance.choice([1, 4, 16, 300]))
        data = chance.choice(
            [
                lambda data=data, start=start: flip(data, start, chance.randint(1, 255)),
                lambda data=data, start=start, stop=stop: data[:start] + data[stop:],
                lambda data=data, start=start, stop=stop: data[:stop] + data[start:],
                lambda data=data, start=start: data[:start] + chance.randbytes(50) + data[start:],
                lambda data=data, start=start, stop=stop: data[:start] + bytes(stop - start) + data[stop:],
            ]
        )()
    return data


def tables(logdir: Path, out: Path) -> tuple[dict[str, bytes], Any]:
    """Return the files of a conversion, and the data package without its account of the sources."""
    tb2csv.convert(logdir, out)
    files = read_tree(out)
    package = json.loads(files.pop("datapackage.json"))
    account = package.pop("tb2csv")
    return files, [package, account["values_written"], account["undecodable"], account["notes"]]


def assert_same_tables(folder: Path) -> None:
    report = tb2csv.repair(folder / "log", folder / "clean")
    assert tables(folder / "clean", folder / "b") == tables(folder / "log", folder / "a")
    checked = tb2csv.check(folder / "clean")
    assert not checked.damage
    assert checked.values_read == report.values_written


@pytest.mark.parametrize("seed", quick_if(lambda seed: seed < 2, range(12)))
def test_the_tables_of_a_mutated_log_are_those_of_its_repair(seed: int, tmp_path: Path) -> None:
    shutil.copytree(SAMPLE_LOGS, tmp_path / "log")
    for number, path in enumerate(sorted((tmp_path / "log").rglob("*tfevents*"))):
        path.write_bytes(mutated(path.read_bytes(), 100 * seed + number))
    assert_same_tables(tmp_path)


def test_files_without_their_first_record_keep_their_order(tmp_path: Path) -> None:
    """Their names are in the opposite order of their times; one goes on with an event without values."""
    late = frames([event(step=7, wall_time=4.0, file_version="brain.Event:2"), event(simple_value("a", 3), step=7)])
    early = event_file(
        [event(simple_value("a", step), step=step, wall_time=5.0 + step) for step in range(3)], wall_time=5.0
    )
    write(tmp_path / "log", flip(early, 0), name=file_name(2))
    write(tmp_path / "log", frames([b"\xff" * 9]) + late, name=file_name(1))
    assert_same_tables(tmp_path)
    assert [row["value"] for row in read_rows(tmp_path / "a/scalars/a.csv")] == ["3.0", "0.0", "1.0", "2.0"]


# TensorBoard's own readers


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Return a damaged log, its repair and its tables: scalars, tensors and texts in three runs."""
    folder = tmp_path_factory.mktemp("damaged")
    events = [
        event(scalar("loss", 1 / step), tensor("t", np.arange(4.0) * step), text("words", f"w{step}"), step=step)
        for step in range(1, 101)
    ]
    data = event_file(events)
    places = records(data)
    #: A byte of every thirteenth record: of its payload, its length, and the checksum of its payload.
    for number, offset in enumerate([HEAD_SIZE + 9, 0, -1]):
        broken = data
        for each in places[10:100:13]:
            broken = flip(broken, (each.stop if offset < 0 else each.start) + offset, 1)
        start = places[5].start
        write(folder / "log" / f"run{number}", broken[:start] + b"\0" * 99 + broken[start:])
    tb2csv.repair(folder / "log", folder / "clean")
    tb2csv.convert(folder / "log", folder / "out")
    return folder / "log", folder / "clean", folder / "out"


def steps_of(out: Path, run: str, tag: str) -> list[int]:
    (row,) = (row for row in read_index(out) if (row["run"], row["tag"]) == (run, tag))
    return list(dict.fromkeys(int(each["step"]) for each in read_rows(out / row["path"])))


RUNS = ["run0", "run1", "run2"]
TAGS = ["loss", "t", "words"]


@pytest.mark.parametrize("run", RUNS)
def test_event_accumulator_shows_every_row(run: str, damaged: tuple[Path, Path, Path]) -> None:
    log, clean, out = damaged
    keep_all = dict.fromkeys(DEFAULT_SIZE_GUIDANCE, 0)
    shown = EventAccumulator(str(clean / run), size_guidance=keep_all).Reload()
    for tag in TAGS:
        assert [each.step for each in shown.Tensors(tag)] == steps_of(out, run, tag)
    fewer = EventAccumulator(str(log / run), size_guidance=keep_all).Reload()
    assert len(fewer.Tensors("loss")) < len(shown.Tensors("loss"))


def test_the_loader_of_tensorboard_reads_every_record(damaged: tuple[Path, Path, Path]) -> None:
    clean = damaged[1]
    for path in clean.rglob("*tfevents*"):
        data = path.read_bytes()
        assert list(RawEventFileLoader(str(path)).Load()) == [data[each.payload] for each in records(data)]
        assert (
            len(list(RawEventFileLoader(str(path)).Load())) == {"run0": 94, "run1": 101, "run2": 94}[path.parent.name]
        )


@pytest.mark.slow
def test_the_data_server_shows_every_row(damaged: tuple[Path, Path, Path], tmp_path: Path) -> None:
    _, clean, out = damaged
    with data_server(clean, tmp_path, ["scalars", "text"]) as provider:
        for plugin, tag, read in (
            ("scalars", "loss", provider.read_scalars),
            ("text", "words", provider.read_tensors),
        ):
            served = read(RequestContext(), experiment_id="", plugin_name=plugin, downsample=10_000)
            assert {run: [each.step for each in tags[tag]] for run, tags in served.items()} == {
                run: steps_of(out, run, tag) for run in RUNS
            }


# The output folder


def test_the_output_lists_its_files(tmp_path: Path) -> None:
    import frictionless  # takes half a second

    write_run(tmp_path / "log" / "a", *EVENTS)
    write(tmp_path / "log" / "b" / "c", with_payload_broken(DATA, 3))
    report = tb2csv.repair(tmp_path / "log", tmp_path / "out")
    package = json.loads((tmp_path / "out/datapackage.json").read_bytes())
    assert [each["path"] for each in package["resources"]] == [f"a/{file_name()}", f"b/c/{file_name()}"]
    assert [each["tb2csv:records"] for each in package["resources"]] == [9, 8]
    assert package["tb2csv"]["damage"] == json.loads(json.dumps(report.to_dict()))["damage"]
    assert len(report.damage) == 1
    assert frictionless.Package.metadata_validate(package) is None or not list(
        frictionless.Package.metadata_validate(package)
    )


def test_runs_are_selected(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_run(tmp_path / "log" / name, *EVENTS)
    tb2csv.repair(tmp_path / "log", tmp_path / "out", run=["a", "b"], exclude_run="b")
    assert set(read_tree(tmp_path / "out")) == {f"a/{file_name()}", "datapackage.json"}


def test_outputs_are_refused_as_those_of_convert(tmp_path: Path) -> None:
    log = write_run(tmp_path / "log" / "a", *EVENTS).parents[1]
    before = read_tree(tmp_path)
    for out in (log, log / "clean", tmp_path):
        with pytest.raises(tb2csv.OutputError):
            tb2csv.repair(log, out, overwrite=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(tb2csv.OutputError):
            tb2csv.repair(log, tmp_path / "mine", overwrite=overwrite)
    assert {**before, "mine/notes.txt": b"mine"} == read_tree(tmp_path)


def test_an_earlier_output_is_replaced_with_overwrite_alone(tmp_path: Path) -> None:
    log = write_run(tmp_path / "log" / "a", *EVENTS).parents[1]
    tb2csv.convert(log, tmp_path / "out")
    with pytest.raises(tb2csv.OutputError, match="overwrite"):
        tb2csv.repair(log, tmp_path / "out")
    tb2csv.repair(log, tmp_path / "out", overwrite=True)
    with pytest.raises(tb2csv.OutputError, match="overwrite"):
        tb2csv.repair(log, tmp_path / "out")
    with pytest.raises(tb2csv.OutputError, match="overwrite"):
        tb2csv.convert(log, tmp_path / "out")
    (tmp_path / "out" / "a" / "mine").write_text("mine")
    with pytest.raises(tb2csv.OutputError, match="did not write"):
        tb2csv.repair(log, tmp_path / "out", overwrite=True)
    (tmp_path / "out" / "a" / "mine").unlink()
    tb2csv.convert(log, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "index.csv").exists()


def test_an_interrupted_repair_leaves_nothing(tmp_path: Path) -> None:
    log = write_run(tmp_path / "log" / "a", *EVENTS).parents[1]

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tb2csv.repair(log, tmp_path / "out", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_copies_and_other_files_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "log", DATA)
    shutil.copy(path, f"{path} (1)")
    write(tmp_path / "log", b"<html>", name="tfevents.html")
    report = tb2csv.repair(tmp_path / "log", tmp_path / "out")
    assert sorted(note.kind for note in report.notes) == ["file_copy", "not_event_file"]
    assert set(read_tree(tmp_path / "out")) == {path.name, "datapackage.json"}


@pytest.mark.parametrize("run", [".scratch", ".tb2csv", "datapackage.json", ".hidden", "a b", "x=1"])
def test_names_of_runs_are_kept(run: str, tmp_path: Path) -> None:
    write(tmp_path / "log" / run, DATA)
    (written,) = tb2csv.repair(tmp_path / "log", tmp_path / "out").files
    folder = {".scratch": "%2Escratch", ".tb2csv": "%2Etb2csv", "datapackage.json": "%64atapackage.json"}.get(run, run)
    assert written.written == f"{folder}/{file_name()}"
    assert (tmp_path / "out" / written.written).read_bytes() == DATA


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not text")
def test_names_that_are_not_text_are_kept(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "log") + b"/a\xff\\x"
    os.makedirs(folder)
    with open(folder + b"/tfevents\xfe", "wb") as file:
        file.write(DATA)
    tb2csv.repair(tmp_path / "log", tmp_path / "out")
    with open(os.fsencode(tmp_path / "out") + b"/a\xff\\x/tfevents\xfe", "rb") as file:
        assert file.read() == DATA
    tb2csv.repair(tmp_path / "log", tmp_path / "out", overwrite=True)


def test_a_single_file_of_any_name_can_be_found_afterwards(tmp_path: Path) -> None:
    path = write(tmp_path / "log", with_length_broken(DATA, 1), name="events.bin")
    tb2csv.repair(path, tmp_path / "out")
    assert tb2csv.check(tmp_path / "out").values_read == 16
    assert not tb2csv.check(tmp_path / "out").damage


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not stop this user")
def test_an_unreadable_file_is_reported(tmp_path: Path) -> None:
    write(tmp_path / "log" / "a", DATA)
    write(tmp_path / "log" / "b", DATA).chmod(0)
    report = tb2csv.repair(tmp_path / "log", tmp_path / "out")
    assert [each.kind for each in report.damage] == ["unreadable"]
    assert set(read_tree(tmp_path / "out")) == {f"a/{file_name()}", "datapackage.json"}


def test_a_file_that_is_replaced_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "log", DATA)

    def replace(count: int) -> None:
        path.write_bytes(with_payload_broken(DATA, 2))

    with pytest.raises(tb2csv.LogdirError, match="was replaced"):
        tb2csv.repair(tmp_path / "log", tmp_path / "out", progress=replace)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    value = tensor("t", np.zeros(2000))
    data = event_file([event(value, step=step) for step in range(2000)])
    write(tmp_path / "log", with_payload_broken(data, 1000))
    tb2csv.repair(tmp_path / "log", tmp_path / "first", chunk_size=1 << 20)
    tracemalloc.start()
    try:
        tb2csv.repair(tmp_path / "log", tmp_path / "out", chunk_size=1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(data) > 30 << 20
    assert peak < 16 << 20


# The command


def test_the_command_reports_what_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = with_length_broken(with_payload_broken(DATA, 5), 2)
    write(tmp_path / "log", damaged)
    ran = run_here(capsys, "repair", tmp_path / "log", tmp_path / "out")
    lost = RECORDS[5].stop - RECORDS[5].start
    assert ran.status == 3
    assert ran.stdout == f"8 records in 1 event file, {lost} bytes lost: see {tmp_path / 'out'}\n"
    assert f"{lost} bytes lost" in ran.stderr
    ran = run_here(capsys, "repair", tmp_path / "out", tmp_path / "again", "--json")
    assert ran.status == 0
    assert [each["records"] for each in json.loads(ran.stdout)["files"]] == [8]
    assert run_here(capsys, "repair", tmp_path / "log", tmp_path / "out").status == 1


def test_sound_frames_that_are_not_events_are_left_out(tmp_path: Path) -> None:
    assert repaired(tmp_path, DATA + frame(b"\x0a\xff") + frames(EVENTS[:1])) == DATA + frames(EVENTS[:1])
