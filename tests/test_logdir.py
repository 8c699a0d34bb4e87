"""Log directories: which folders are runs, which files are event files, and what they are called."""

from __future__ import annotations

import bz2
import io
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import fsspec
import pytest
from event_files import event, event_file, file_name, records, simple_value, write_run
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

import tb2csv
from tb2csv.errors import LogdirError
from tb2csv.logdir import EventFile, discover
from tb2csv.sources.local_files import readable

if TYPE_CHECKING:
    from collections.abc import Iterator

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")


def touch(path: Path, data: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def found(logdir: Path | str) -> dict[str, list[str]]:
    """Return the runs and their files."""
    return {run.name: [file.path for file in run.files] for run in discover(logdir).runs}


def write_one(folder: Path, name: str | None = None) -> Path:
    return write_run(folder, event(simple_value("loss", 1.0), step=1, wall_time=1.0), name=name)


# Runs and files


def test_a_run_is_a_folder_with_event_files(tmp_path: Path) -> None:
    for run in ("", "train", "train/deep/er", "a b"):
        write_one(tmp_path / run)
    name = file_name()
    assert found(tmp_path) == {
        ".": [name],
        "a b": [f"a b/{name}"],
        "train": [f"train/{name}"],
        "train/deep/er": [f"train/deep/er/{name}"],
    }


@pytest.mark.parametrize(
    "name", ["events.out.tfevents.1.h", "tfevents", "my.tfevents.v2", "x.tfevents.gz", ".tfevents"]
)
def test_a_file_with_tfevents_in_its_name_is_an_event_file(tmp_path: Path, name: str) -> None:
    touch(tmp_path / name)
    assert found(tmp_path) == {".": [name]}


@pytest.mark.parametrize(
    "name",
    [
        "events.out.tfevents.1.host.profile-empty",
        "projector_config.pbtxt",
        "00000/default/tensors.tsv",
        "plugins/profile/2026_01_01/host.xplane.pb",
        "events.out.TFEVENTS",
        "tfevents/other.txt",
        "checkpoint",
    ],
)
def test_other_files_are_ignored(tmp_path: Path, name: str) -> None:
    write_one(tmp_path)
    touch(tmp_path / name)
    assert found(tmp_path) == {".": [file_name()]}


def test_a_folder_may_be_named_like_an_event_file(tmp_path: Path) -> None:
    write_one(tmp_path / "tfevents")
    assert found(tmp_path) == {"tfevents": [f"tfevents/{file_name()}"]}


def test_runs_and_files_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    for run in ("b", "a", "a/b", "a b", "A"):
        for number in (2, 0, 1):
            write_one(tmp_path / run, file_name(number))
    runs = found(tmp_path)
    assert list(runs) == ["A", "a", "a b", "a/b", "b"]
    assert runs["a"] == [f"a/{file_name(number)}" for number in range(3)]


def test_a_single_event_file_is_a_log_directory(tmp_path: Path) -> None:
    path = write_one(tmp_path)
    write_one(tmp_path, file_name(1))
    assert found(path) == {".": [file_name()]}
    assert tb2csv.check(path).values_read == 1


@pytest.mark.parametrize("ending", ["", "/", "/.", "//"])
def test_the_spelling_of_a_folder_makes_no_difference(tmp_path: Path, ending: str) -> None:
    write_one(tmp_path / "run")
    assert found(f"{tmp_path}{ending}") == {"run": [f"run/{file_name()}"]}


def test_relative_paths_lead_to_the_same_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_one(tmp_path / "logs" / "run")
    monkeypatch.chdir(tmp_path / "logs")
    for path in (".", "../logs", "./"):
        assert found(path) == {"run": [f"run/{file_name()}"]}


def test_total_bytes_counts_what_can_be_read(tmp_path: Path) -> None:
    sizes = [write_one(tmp_path / run).stat().st_size for run in "ab"]
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / file_name()).symlink_to("nowhere")
    assert discover(tmp_path).total_bytes() == sum(sizes)


# Links


def test_linked_folders_are_read(tmp_path: Path) -> None:
    write_one(tmp_path / "elsewhere" / "run")
    logdir = tmp_path / "logs"
    logdir.mkdir()
    (logdir / "linked").symlink_to(tmp_path / "elsewhere")
    (logdir / "tfevents.link").symlink_to(tmp_path / "elsewhere" / "run" / file_name())
    assert found(logdir) == {".": ["tfevents.link"], "linked/run": [f"linked/run/{file_name()}"]}


def test_the_log_directory_may_be_a_link(tmp_path: Path) -> None:
    write_one(tmp_path / "logs" / "run")
    (tmp_path / "link").symlink_to("logs")
    assert found(tmp_path / "link") == {"run": [f"run/{file_name()}"]}


def test_a_folder_is_one_run_by_its_own_name_and_not_by_that_of_a_link(tmp_path: Path) -> None:
    write_one(tmp_path / "logs" / "run_5")
    write_one(tmp_path / "elsewhere")
    (tmp_path / "logs" / "latest").symlink_to("run_5")
    (tmp_path / "logs" / "b").symlink_to("../elsewhere")
    (tmp_path / "logs" / "a").symlink_to("../elsewhere")
    assert list(found(tmp_path / "logs")) == ["a", "run_5"]


def test_links_that_multiply_are_followed_once(tmp_path: Path) -> None:
    for number in range(16):
        write_one(tmp_path / f"{number:02}")
        for name in "ab" * (number < 15):
            (tmp_path / f"{number:02}" / name).symlink_to(f"../{number + 1:02}")
    runs = found(tmp_path)
    assert list(runs) == [f"{number:02}" for number in range(16)]


@linux_only
def test_folders_nested_deeper_than_the_stack_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logdir, depth = tmp_path / "logs", 1200
    write_one(logdir)
    write_one(logdir / "z")
    monkeypatch.chdir(logdir)
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    write_one(Path())
    monkeypatch.chdir(tmp_path)
    try:
        assert list(found(logdir)) == [".", "/".join("d" * depth), "z"]
    finally:  # pytest could not
        subprocess.run(["rm", "-r", str(logdir)], check=True)


@pytest.mark.parametrize("target", [".", "..", "../..", "../../run"])
def test_a_loop_of_links_ends(tmp_path: Path, target: str) -> None:
    write_one(tmp_path / "run" / "deep")
    (tmp_path / "run" / "deep" / "loop").symlink_to(target)
    assert "run/deep" in found(tmp_path)
    assert len(found(tmp_path)) < 5


def test_two_folders_that_link_to_each_other_are_read_once(tmp_path: Path) -> None:
    for here, there in ("ab", "ba"):
        write_one(tmp_path / here)
        (tmp_path / here / "other").symlink_to(f"../{there}")
    assert list(found(tmp_path)) == ["a", "b"]


def test_a_link_to_itself_is_not_a_folder(tmp_path: Path) -> None:
    write_one(tmp_path)
    (tmp_path / "self").symlink_to("self")
    assert list(found(tmp_path)) == ["."]


# What cannot be read


def test_a_broken_link_is_an_unreadable_file(tmp_path: Path) -> None:
    write_one(tmp_path / "good")
    (tmp_path / file_name()).symlink_to("nowhere")
    report = tb2csv.check(tmp_path)
    (damage,) = report.damage
    assert (damage.path, damage.kind) == (file_name(), "unreadable")
    assert "it is a link to a file that does not exist" in damage.detail
    assert report.values_read == 1


@linux_only
def test_a_pipe_is_an_unreadable_file_and_is_not_waited_for(tmp_path: Path) -> None:
    write_one(tmp_path / "good")
    os.mkfifo(tmp_path / "pipe.tfevents")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s.tfevents"))
        report = tb2csv.check(tmp_path)
    assert [(damage.path, damage.kind) for damage in report.damage] == [
        ("pipe.tfevents", "unreadable"),
        ("s.tfevents", "unreadable"),
    ]
    assert report.values_read == 1


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Refuse to open or list the paths in this set, as an ordinary user is refused, whichever user runs the tests."""
    paths: set[str] = set()
    scandir, opened, status = os.scandir, EventFile.open, Path.stat

    def refuse(path: object) -> None:
        if str(path) in paths:
            raise PermissionError(13, "Permission denied", str(path))

    def refusing_scandir(path: Path) -> object:
        refuse(path)
        return scandir(path)

    def refusing_open(file: EventFile, *arguments: int) -> object:
        refuse(file.location)
        return opened(file, *arguments)

    def refusing_stat(path: Path, **options: bool) -> os.stat_result:
        refuse(f"stat {path}")
        return status(path, **options)

    monkeypatch.setattr(os, "scandir", refusing_scandir)
    monkeypatch.setattr(EventFile, "open", refusing_open)
    monkeypatch.setattr(Path, "stat", refusing_stat)
    yield paths
    monkeypatch.undo()


def test_an_unreadable_folder_is_reported_and_the_rest_read(tmp_path: Path, refused: set[str]) -> None:
    for run in ("good", "secret", "secret/deep"):
        write_one(tmp_path / run)
    refused.add(str(tmp_path / "secret"))
    report = tb2csv.check(tmp_path)
    (damage,) = report.damage
    assert (damage.path, damage.kind, damage.detail) == (
        "secret",
        "unreadable",
        "the folder cannot be read: Permission denied",
    )
    assert [run.run for run in report.runs] == ["good"]


def test_an_unreadable_file_is_reported_and_the_rest_read(tmp_path: Path, refused: set[str]) -> None:
    for number in range(3):
        write_one(tmp_path, file_name(number))
    refused.add(str(tmp_path / file_name(1)))
    report = tb2csv.check(tmp_path)
    (damage,) = report.damage
    assert (damage.path, damage.kind) == (file_name(1), "unreadable")
    assert report.values_read == 2
    assert len(report.sources) == 3


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="this user may read everything")
def test_a_folder_without_permission_is_reported(tmp_path: Path) -> None:
    write_one(tmp_path / "good")
    secret = write_one(tmp_path / "secret")
    secret.parent.chmod(0)
    try:
        assert [damage.path for damage in tb2csv.check(tmp_path).damage] == ["secret"]
    finally:
        secret.parent.chmod(stat.S_IRWXU)


# Errors: each says what was found, and what to do


def error_of(path: Path | str) -> str:
    with pytest.raises(LogdirError) as caught:
        discover(path)
    return str(caught.value)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert error_of(missing) == f"There is no folder {missing}; give the folder with the TensorBoard logs."
    touch(tmp_path / "file")
    assert error_of(tmp_path / "file" / "below").startswith("There is no folder ")


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    assert error_of(tmp_path) == f"There are no event files below {tmp_path}: it contains no files."


def test_a_folder_of_other_files_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path / "model.ckpt")
    assert error_of(tmp_path) == (
        f"There are no event files below {tmp_path}, only 1 other file (such as model.ckpt); "
        "event files have 'tfevents' in their name."
    )
    touch(tmp_path / "deep" / "a.txt")
    assert "2 other files (such as deep/a.txt)" in error_of(tmp_path)


OTHER_FILES = {
    "events.out.tfevents.export.csv": (b"wall_time,step,value\n", "it holds no record"),
    "notes.tfevents.md": (b"# Runs\n", "it holds no record"),
    "a.tfevents": (b"short", "it holds no record"),
    "events.out.tfevents.1.zip": (b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(50), "it is a ZIP archive"),
    "events.out.tfevents.1.bz2": (bz2.compress(event_file([event(simple_value("a", 1))])), "bzip2"),
    "events.out.tfevents.2": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS"),
    "events.out.tfevents.3": (b"<!DOCTYPE html><title>Sign in</title>", "it is a web page"),
}


@pytest.mark.parametrize("name", OTHER_FILES)
@pytest.mark.parametrize("is_given", [False, True])
def test_other_files_are_refused_if_there_is_no_event_file(tmp_path: Path, name: str, *, is_given: bool) -> None:
    content, what = OTHER_FILES[name]
    path = touch(tmp_path / "logs" / name, content)
    for read in (tb2csv.check, tb2csv.open_logdir, lambda logdir: tb2csv.convert(logdir, tmp_path / "out")):
        with pytest.raises(LogdirError, match=f"is not an event file: .*{what}"):
            read(path if is_given else tmp_path / "logs")
    assert not (tmp_path / "out").exists()


def test_other_files_beside_event_files_are_noted_and_are_not_damage(tmp_path: Path) -> None:
    write_one(tmp_path / "logs" / "run")
    for name, (content, _) in OTHER_FILES.items():
        touch(tmp_path / "logs" / "run" / name, content)
        touch(tmp_path / "logs" / "others" / name, content)
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "out", strict=True)
    assert (report.values_read, report.values_written, report.damage) == (1, 1, [])
    assert [account.path for _, account in report.sources] == [f"run/{file_name()}"]
    for name, (_, what) in OTHER_FILES.items():
        notes = [note for note in report.notes if note.details["path"].endswith(f"/{name}")]
        assert [(note.kind, note.run) for note in notes] == [("not_event_file", "others"), ("not_event_file", "run")]
        assert all(what in note.details["reason"] for note in notes)


@pytest.mark.parametrize("damage", ["head", "payload", "cut", "begun", "zeros", "empty"])
def test_damaged_event_files_remain_event_files(tmp_path: Path, damage: str) -> None:
    """Whether records come later or not, and whatever was left of the first one."""
    whole = event_file([event(simple_value("loss", 1.0), step=1)])
    second = records(whole)[1].start
    changed = {
        "head": b"some text" + whole[9:],
        "payload": b"\xff" * 8 + whole[8:second],
        "cut": whole[: second - 1],
        "begun": whole[:4],
        "zeros": bytes(1000),
        "empty": b"",
    }[damage]
    touch(tmp_path / "events.out.tfevents.1.h", changed)
    report = tb2csv.check(tmp_path)
    (source,) = [account for _, account in report.sources]
    assert not report.notes
    assert source.bytes == source.record_bytes + source.lost_bytes + source.incomplete_tail_bytes == len(changed)
    assert report.values_read == (damage == "head")


def test_a_file_given_by_name_may_have_any_name(tmp_path: Path, memory: fsspec.AbstractFileSystem) -> None:
    data = event_file([event(simple_value("loss", 1.0), step=1)])
    assert tb2csv.check(touch(tmp_path / "demo.pb", data)).values_read == 1
    assert tb2csv.check(touch(tmp_path / "cut", data[:-1])).values_read == 0
    memory.pipe_file("/bucket/demo.pb", data)
    assert tb2csv.check("memory://bucket/demo.pb").values_read == 1
    for name, content in {"model.ckpt": b"", "other": bytes(100)}.items():
        with pytest.raises(LogdirError, match=f"{name} is not an event file: it holds no record"):
            tb2csv.check(touch(tmp_path / name, content))


@pytest.mark.parametrize("added", [" (1)", "~", ".bak", ".orig", " copy", " - Copy"])
def test_copies_of_event_files_are_left_out(tmp_path: Path, added: str) -> None:
    """Of an older copy, the original has all bytes; what differs in any byte is an event file of its own."""
    original = write_run(tmp_path, *(event(simple_value("loss", step), step=step) for step in range(3)))
    data = original.read_bytes()
    copy = tmp_path / f"{file_name()}{added}"
    for content in (data, data[: records(data)[-1].start]):
        touch(copy, content)
        report = tb2csv.check(tmp_path)
        assert report.values_read == 3
        details = {"path": copy.name, "original": file_name()}
        assert report.notes == [tb2csv.Note("file_copy", ".", details=details)]
    touch(copy, event_file([event(simple_value("loss", 9.0), step=9)]))
    report = tb2csv.check(tmp_path)
    assert (report.values_read, report.notes) == (4, [])


def test_a_folder_with_only_a_copied_archive_is_refused(tmp_path: Path) -> None:
    """The copy comes first, and the reason is the original's."""
    for name in (f"{file_name()} (1)", file_name()):
        touch(tmp_path / name, b"PK\x03\x04" + bytes(100))
    with pytest.raises(LogdirError, match=rf"{file_name()} is not an event file: it is a ZIP archive.*, and 1 more"):
        tb2csv.check(tmp_path)


def test_a_copy_without_its_original_is_an_event_file(tmp_path: Path) -> None:
    write_one(tmp_path, f"{file_name()}.bak")
    assert tb2csv.check(tmp_path).values_read == 1


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, refused: set[str]) -> None:
    write_one(tmp_path / "logs")
    refused.add(str(tmp_path / "logs"))
    assert error_of(tmp_path / "logs") == (
        f"Nothing below {tmp_path / 'logs'} can be read (.: the folder cannot be read: Permission denied); "
        "check its permissions."
    )
    refused.add(f"stat {tmp_path / 'logs'}")
    assert error_of(tmp_path / "logs") == (
        f"{tmp_path / 'logs'} cannot be read (Permission denied); check its permissions."
    )


@pytest.mark.parametrize("url", ["memory://nothing/here", "nosuchprotocol://bucket/logs"])
def test_a_url_that_leads_nowhere_is_an_error(url: str) -> None:
    assert url in error_of(url)


# Odd names


@linux_only
def test_names_that_are_not_utf8_are_escaped(tmp_path: Path) -> None:
    name = os.fsdecode(b"events.tfevents.\xfe")
    write_one(tmp_path / os.fsdecode(b"caf\xe9"), name)
    assert found(tmp_path) == {"caf\\xe9": ["caf\\xe9/events.tfevents.\\xfe"]}
    assert found(tmp_path / os.fsdecode(b"caf\xe9") / name) == {".": ["events.tfevents.\\xfe"]}
    assert tb2csv.check(tmp_path).values_read == 1


@linux_only
def test_names_that_look_like_escaped_names_stay_different(tmp_path: Path) -> None:
    names = [b"x\xff", rb"x\xff", b"x\\\xff", rb"x\\xff", rb"x\x41", rb"C:\xyz"]
    for name in names:
        write_one(tmp_path / os.fsdecode(name))
    assert list(found(tmp_path)) == sorted([r"x\xff", r"x\\xff", r"x\\\xff", r"x\\\\xff", r"x\x41", r"C:\xyz"])
    assert tb2csv.check(tmp_path).values_read == len(names)


@given(st.lists(st.lists(st.sampled_from([b"\\", b"x", b"f", b"8", b"\xff", b"\x80"])).map(b"".join), unique=True))
def test_paths_are_never_ambiguous(paths: list[bytes]) -> None:
    assert len({readable(os.fsdecode(path)) for path in paths}) == len(paths)


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(LogdirError, match="empty"):
        discover("")


@linux_only
@pytest.mark.parametrize(
    "run", ["new\nline", "tab\there", "quote'\"", "back\\slash", "*", "%2F", "-", "~", " ", "ü", "\u202e"]
)
def test_odd_names_are_names(tmp_path: Path, run: str) -> None:
    write_one(tmp_path / "logs" / run)
    assert list(found(tmp_path / "logs")) == [run]
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    assert report.values_written == 1
    (path,) = (tmp_path / "out").glob("*/scalars/loss.csv")
    assert path.read_text() == "wall_time,step,value\n1.0,1,1.0\n"


# Order of the files of a run


def steps_of(logdir: Path, out: Path) -> list[int]:
    tb2csv.convert(logdir, out)
    rows = (out / "scalars" / "loss.csv").read_text().splitlines()[1:]
    return [int(row.split(",")[1]) for row in rows]


def test_files_are_read_in_the_order_of_their_first_wall_time(tmp_path: Path) -> None:
    logdir = tmp_path / "logs"
    for number, wall_time in enumerate([30.0, 10.0, 20.0]):
        values = event(simple_value("loss", 1.0), step=number, wall_time=0.0)
        write_run(logdir, values, name=file_name(number), wall_time=wall_time)
    assert steps_of(logdir, tmp_path / "out") == [1, 2, 0]


def test_files_of_the_same_time_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    logdir = tmp_path / "logs"
    for number in (2, 0, 1):
        values = event(simple_value("loss", 1.0), step=number)
        write_run(logdir, values, name=file_name(number), wall_time=5.0)
    assert steps_of(logdir, tmp_path / "out") == [0, 1, 2]


def test_files_without_a_wall_time_come_last(tmp_path: Path) -> None:
    logdir = tmp_path / "logs"
    write_run(logdir, event(simple_value("loss", 1.0), step=1), name=file_name(0), wall_time=float("nan"))
    write_run(logdir, event(simple_value("loss", 1.0), step=2), name=file_name(1), wall_time=5.0)
    touch(logdir / file_name(2))
    touch(logdir / file_name(3), b"short")
    assert steps_of(logdir, tmp_path / "out") == [2, 1]


# URLs


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    filesystem = fsspec.filesystem("memory")
    yield filesystem
    filesystem.rm("/", recursive=True)


def tables_below(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.csv")}


def test_a_url_gives_the_same_tables_as_the_folder(tmp_path: Path, memory: fsspec.AbstractFileSystem) -> None:
    logdir = tmp_path / "logs"
    for run in ("", "train", "train/deep"):
        for number in range(2):
            events = [event(simple_value(f"tag/{i}", i), step=i, wall_time=i) for i in range(50)]
            write_run(logdir / run, *events, name=file_name(number), wall_time=10 - number)
    touch(logdir / "train" / "checkpoint")
    memory.put(str(logdir), "/bucket/logs", recursive=True)
    local = tb2csv.convert(logdir, tmp_path / "local")
    for number, url in enumerate(["memory://bucket/logs", "memory:///bucket/logs/", f"file://{logdir}"]):
        remote = tb2csv.convert(url, tmp_path / f"remote{number}")
        assert tables_below(tmp_path / f"remote{number}") == tables_below(tmp_path / "local")
        assert remote.to_json() == local.to_json()


def test_a_url_of_a_single_file_is_read(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe_file("/bucket/run/tfevents.1", event_file([event(simple_value("loss", 1.0))]))
    assert found("memory://bucket/run/tfevents.1") == {".": ["tfevents.1"]}
    assert tb2csv.check("memory://bucket/run/tfevents.1", chunk_size=16).values_read == 1


def test_a_url_of_other_files_is_an_error(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe_file("/bucket/run/model.ckpt", b"")
    assert "1 other file (such as run/model.ckpt)" in error_of("memory://bucket")


def test_output_is_refused_in_the_folder_of_a_file_url(tmp_path: Path) -> None:
    write_one(tmp_path / "logs")
    with pytest.raises(tb2csv.OutputError, match="is in the log directory"):
        tb2csv.convert(f"file://{tmp_path}/logs", tmp_path / "logs" / "out")


def test_outputs_may_be_beside_a_single_event_file(tmp_path: Path) -> None:
    file = write_one(tmp_path)
    before = file.read_bytes()
    assert tb2csv.convert(file, tmp_path / "out").values_written == 1
    assert tb2csv.convert(file, tmp_path / "out").values_read == 1, "an update reads no more than this file"
    for out in (file, tmp_path):
        with pytest.raises(tb2csv.OutputError):
            tb2csv.convert(file, out, overwrite=True)
    assert file.read_bytes() == before


class Store(MemoryFileSystem):
    """A store that remembers its listings and needs credentials, as those of clouds do."""

    protocol = "store"
    has_credentials = True
    listing: ClassVar[dict[str, dict[str, object]]] = {}

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("store://")))

    def find(self, path: str, *_: object, **options: object) -> dict[str, object]:
        if not self.has_credentials:
            message = "Unable to locate credentials"
            raise NotImplementedError(message)  # in place of an exception of the store's own
        return self.listing.setdefault(path, super().find(path, **options))

    def invalidate_cache(self, path: str | None = None) -> None:
        self.listing.clear()


@pytest.fixture
def store(memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch) -> fsspec.AbstractFileSystem:
    fsspec.register_implementation("store", Store, clobber=True)
    monkeypatch.setattr(Store, "listing", {})
    memory.pipe_file("/logs/a/tfevents.1", event_file([event(simple_value("loss", 1.0), step=1)]))
    return memory


def test_files_added_after_a_store_was_listed_are_found(store: fsspec.AbstractFileSystem) -> None:
    read = tb2csv.open_logdir("store://logs")
    store.pipe_file("/logs/b/tfevents.1", event_file([event(simple_value("loss", 2.0), step=1)]))
    assert read.refresh()
    assert read.scalars()["value"].to_list() == [1.0, 2.0]


@pytest.mark.usefixtures("store")
def test_an_error_of_a_store_is_one_of_the_log_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "has_credentials", False)
    assert error_of("store://logs") == "store://logs cannot be listed: Unable to locate credentials."
