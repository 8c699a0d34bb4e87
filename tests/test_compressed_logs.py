"""Compressed event files, and members of archives: the tables are those of the files that they unpack to."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import shutil
import sys
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zstandard
from commands import run_here
from event_files import event, event_file, file_name, frame, records, scalar, simple_value, tensor, text
from slow_cases import quick_if
from tables import read_index, read_rows, read_tree

import tb2csv
from tb2csv import size_limits

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE_LOGS = Path(__file__).parents[1] / "sample_logs"

DATA = event_file([event(scalar("loss", step / 8), simple_value("rate", 1 / step), step=step) for step in range(1, 99)])


def in_members(data: bytes) -> bytes:
    return b"".join(gzip.compress(data[start : start + 1000]) for start in range(0, len(data), 1000))


def in_frames(data: bytes) -> bytes:
    return b"".join(zstandard.compress(data[start : start + 1000]) for start in range(0, len(data), 1000))


def streamed(data: bytes) -> bytes:
    """Return a Zstandard frame without its size, as ``zstd`` makes it of a pipe."""
    packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": (".gz", gzip.compress),
    "gzip members": (".gz", in_members),
    "gzip with zeros at its end": (".gz", lambda data: gzip.compress(data) + bytes(100)),
    "zstd": (".zst", zstandard.compress),
    "zstd frames": (".zst", in_frames),
    "zstd stream": (".zst", streamed),
}
every_packer = pytest.mark.parametrize("packer", PACKERS)


def write(folder: Path, data: bytes, name: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or file_name())
    path.write_bytes(data)
    return path


def packed_logs(folder: Path, packer: str) -> Path:
    ending, pack = PACKERS[packer]
    shutil.copytree(SAMPLE_LOGS, folder)
    for path in [path for path in folder.rglob("*tfevents*") if path.is_file()]:
        write(path.parent, pack(path.read_bytes()), path.name + ending)
        path.unlink()
    return folder


def tables(log: Any, out: Path, **options: Any) -> dict[str, bytes]:
    """Return the files of a conversion; of the data package only the tables."""
    tb2csv.convert(log, out, **options)
    files = read_tree(out)
    files["datapackage.json"] = json.dumps(json.loads(files["datapackage.json"])["resources"]).encode()
    return files


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the tables of the sample logs."""
    return tables(SAMPLE_LOGS, tmp_path_factory.mktemp("expected") / "out")


@every_packer
def test_tables_are_those_of_the_unpacked_files(packer: str, tmp_path: Path, expected: dict[str, bytes]) -> None:
    log = packed_logs(tmp_path / "log", packer)
    assert tables(log, tmp_path / "out") == expected


@pytest.mark.parametrize("packer", quick_if(lambda packer: packer in {"gzip", "zstd stream"}, PACKERS))
def test_other_functions_read_them_as_well(packer: str, tmp_path: Path) -> None:
    log = packed_logs(tmp_path / "log", packer)
    assert tb2csv.ls(log).series == tb2csv.ls(SAMPLE_LOGS).series
    assert tb2csv.summary(log).table.equals(tb2csv.summary(SAMPLE_LOGS).table)
    assert tb2csv.open_logdir(log).tensors().equals(tb2csv.open_logdir(SAMPLE_LOGS).tensors())
    for found, expected in zip(tb2csv.check(log).damage, tb2csv.check(SAMPLE_LOGS).damage, strict=True):
        assert (found.offset, found.length, found.kind) == (expected.offset, expected.length, expected.kind)
    tb2csv.repair(log, tmp_path / "clean")
    tb2csv.repair(SAMPLE_LOGS, tmp_path / "expected")
    clean, expected = read_tree(tmp_path / "clean"), read_tree(tmp_path / "expected")
    assert clean.keys() == expected.keys()
    assert [name for name in clean if clean[name] != expected[name]] == ["datapackage.json"]


@every_packer
def test_content_and_not_the_name_decides(packer: str, tmp_path: Path) -> None:
    write(tmp_path / "log" / "a", PACKERS[packer][1](DATA))
    write(tmp_path / "log" / "b", DATA, f"{file_name()}{PACKERS[packer][0]}")
    report = tb2csv.check(tmp_path / "log")
    assert report.values_read == 2 * 2 * 98
    assert report.damage == []


@pytest.mark.parametrize("start", [0x088B1F, 0x00088B1F + (1 << 24)])
def test_a_record_may_begin_like_gzip(start: int, tmp_path: Path) -> None:
    """Its length has the bytes 1f 8b 08, and a sound checksum."""
    size = start - 100
    more = size - len(event(text("t", b"x" * size), step=1).SerializeToString()) + 100
    data = frame(event(text("t", b"x" * (size + more)), step=1).SerializeToString())
    assert data.startswith(b"\x1f\x8b\x08")
    write(tmp_path / "log", data)
    report = tb2csv.check(tmp_path / "log")
    assert (report.values_read, report.damage) == (1, [])


# Damage


@pytest.mark.parametrize("packer", ["gzip", "zstd stream"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.95])
def test_what_comes_before_a_cut_is_kept(packer: str, part: float, tmp_path: Path) -> None:
    ending, pack = PACKERS[packer]
    noise = np.random.default_rng(1).random((200, 100))
    data = event_file([event(tensor("t", row), step=step) for step, row in enumerate(noise)])
    whole = pack(data)
    write(tmp_path / "log", whole[: 12 + int(part * len(whole))], file_name() + ending)
    report = tb2csv.check(tmp_path / "log")
    assert [(each.kind, each.length) for each in report.damage] == [("unreadable", 0)]
    assert "is cut off" in report.damage[0].detail
    # Zstandard gives blocks of 128 KB.
    assert report.values_read >= 200 * part - (200 * 131072 / len(data) if ending == ".zst" else 20)
    assert report.values_read < 200
    (_, stats) = report.sources[0]
    assert stats.bytes == stats.record_bytes + stats.incomplete_tail_bytes


def test_what_comes_before_damage_is_kept_to_the_byte(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(DATA))
    whole[-8] ^= 0xFF  # of the checksum at the end
    write(tmp_path / "log", bytes(whole), f"{file_name()}.gz")
    report = tb2csv.check(tmp_path / "log")
    assert [each.kind for each in report.damage] == ["unreadable"]
    assert "is damaged" in report.damage[0].detail
    assert (report.values_read, report.sources[0][1].bytes) == (2 * 98, len(DATA))
    assert run_status(tmp_path) == 3


def run_status(folder: Path) -> int:
    try:
        tb2csv.convert(folder / "log", folder / "strict", strict=True)
    except tb2csv.DamagedError:
        return 3
    return 0


@pytest.mark.parametrize("packer", ["gzip", "zstd stream"])
def test_damage_in_the_middle_costs_the_rest_and_is_reported(packer: str, tmp_path: Path) -> None:
    ending, pack = PACKERS[packer]
    whole = bytearray(pack(DATA))
    whole[len(whole) // 2] ^= 0xFF
    write(tmp_path / "log", bytes(whole), file_name() + ending)
    write(tmp_path / "log" / "other", DATA)
    report = tb2csv.check(tmp_path / "log")
    assert "unreadable" in [each.kind for each in report.damage]
    assert 2 * 98 <= report.values_read < 2 * 2 * 98
    tb2csv.repair(tmp_path / "log", tmp_path / "clean")
    assert tb2csv.check(tmp_path / "clean").values_read == report.values_read


@pytest.mark.parametrize("packer", ["gzip", "zstd"])
def test_data_that_unpacks_to_too_much_is_given_up(
    packer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(size_limits, "_SMALL_EVENTS", 1 << 20)
    ending, pack = PACKERS[packer]
    write(tmp_path / "log", pack(DATA + bytes(100 << 20)), file_name() + ending)
    size = (tmp_path / "log").stat().st_size
    ran = run_here(capsys, "check", tmp_path / "log", "--json", "--max-expansion", 50)
    report = json.loads(ran.stdout)
    assert ran.status == 3
    assert "unpacks to more than" in report["damage"][-1]["detail"]
    assert report["values_read"] == 2 * 98
    assert report["sources"][0]["bytes"] <= max(1 << 20, 50 * size) + len(DATA) + (10 << 20)


@pytest.mark.parametrize("packer", ["gzip", "zstd"])
def test_memory_does_not_grow_with_the_unpacked_file(packer: str, tmp_path: Path) -> None:
    ending, pack = PACKERS[packer]
    data = event_file([event(tensor("t", np.zeros(2000)), step=step) for step in range(2000)])
    write(tmp_path / "log", pack(data), file_name() + ending)
    tb2csv.check(tmp_path / "log")
    tracemalloc.start()
    try:
        report = tb2csv.check(tmp_path / "log", chunk_size=1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.values_read == 2000
    assert len(data) > 30 << 20
    assert peak < 20 << 20


def test_a_missing_package_is_damage_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    write(tmp_path / "log", zstandard.compress(DATA), f"{file_name()}.zst")
    write(tmp_path / "log" / "other", DATA)
    report = tb2csv.check(tmp_path / "log")
    assert report.values_read == 2 * 98
    assert [each.kind for each in report.damage] == ["unreadable"]
    assert "[zst]" in report.damage[0].detail


def test_a_compressed_file_that_is_not_an_event_file_is_left_out(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(SAMPLE_LOGS / "README.md", "README.md")
    write(tmp_path / "log", archive.getvalue(), "tfevents.tar.gz")
    write(tmp_path / "log", gzip.compress(b"some text " * 100), "tfevents.txt.gz")
    write(tmp_path / "log", DATA)
    notes = {str(note) for note in tb2csv.check(tmp_path / "log").notes}
    assert {note.split()[0] for note in notes} == {"tfevents.tar.gz", "tfevents.txt.gz"}
    assert any("tar://::" in note for note in notes)


# Copies and updates


def test_a_compressed_file_beside_its_original_is_a_copy(tmp_path: Path) -> None:
    write(tmp_path / "log", DATA)
    write(tmp_path / "log", gzip.compress(DATA), f"{file_name()}.gz")
    write(tmp_path / "log", zstandard.compress(DATA[: records(DATA)[50].start]), f"{file_name()}.zst")
    report = tb2csv.check(tmp_path / "log")
    assert report.values_read == 2 * 98
    assert [note.kind for note in report.notes] == ["file_copy", "file_copy"]


@pytest.mark.parametrize("packer", ["gzip", "zstd"])
def test_updates_follow_a_compressed_file(packer: str, tmp_path: Path) -> None:
    ending, pack = PACKERS[packer]
    places = records(DATA)
    path = write(tmp_path / "log", pack(DATA[: places[30].start]), file_name() + ending)
    tb2csv.convert(tmp_path / "log", tmp_path / "out")
    assert tb2csv.convert(tmp_path / "log", tmp_path / "out").update.values == 0
    path.write_bytes(pack(DATA))
    assert tb2csv.convert(tmp_path / "log", tmp_path / "out").update.values == 2 * (99 - 30)
    assert len(read_rows(tmp_path / "out/scalars/loss.csv")) == 98
    other = event_file([event(scalar("loss", 7.0), step=1)])
    path.write_bytes(pack(other))
    assert list(tb2csv.convert(tmp_path / "log", tmp_path / "out").update.renewed) == ["."]
    assert [row["value"] for row in read_rows(tmp_path / "out/scalars/loss.csv")] == ["7.0"]


# Archives


def write_zip(path: Path, folder: Path) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(folder.rglob("*tfevents*")):
            archive.write(each, each.relative_to(folder))
    return f"zip://::{path}"


def write_tar(mode: str) -> Callable[[Path, Path], str]:
    def write_archive(path: Path, folder: Path) -> str:
        with tarfile.open(path, mode) as archive:
            for each in sorted(folder.iterdir()):
                archive.add(each, each.name)
        return f"tar://::{path}"

    return write_archive


def write_tar_zst(path: Path, folder: Path) -> str:
    write_tar("w")(path, folder)
    path.write_bytes(zstandard.compress(path.read_bytes()))
    return f"tar://::{path}"


ARCHIVES = {"zip": write_zip, "tar": write_tar("w"), "tar.gz": write_tar("w:gz"), "tar.zst": write_tar_zst}


@pytest.mark.parametrize(
    ("archive", "name"),
    quick_if(lambda *case: case == ("tar.zst", "logs.bin"), itertools.product(ARCHIVES, ["logs", "logs.bin"])),
)
def test_members_of_archives_are_read(archive: str, name: str, tmp_path: Path, expected: dict[str, bytes]) -> None:
    """Several threads read members at once."""
    path = tmp_path / (f"{name}.{archive}" if name == "logs" else name)
    url = ARCHIVES[archive](path, SAMPLE_LOGS)
    assert tables(url, tmp_path / "out", workers=8) == expected
    inner = url.replace("://", "://tf2", 1)
    assert tb2csv.check(inner).values_read == tb2csv.check(SAMPLE_LOGS / "tf2").values_read


def test_names_that_begin_with_a_dot_are_those_below_the_archive(tmp_path: Path, expected: dict[str, bytes]) -> None:
    with tarfile.open(tmp_path / "logs.tar", "w") as archive:
        archive.add(SAMPLE_LOGS, ".")
    assert tables(f"tar://::{tmp_path}/logs.tar", tmp_path / "out") == expected


@pytest.mark.parametrize(
    ("archive", "packer"),
    quick_if(lambda *case: case == ("zip", "gzip"), itertools.product(ARCHIVES, ["gzip", "zstd"])),
)
def test_compressed_members_of_archives_are_read(
    archive: str, packer: str, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    log = packed_logs(tmp_path / "log", packer)
    url = ARCHIVES[archive](tmp_path / f"logs.{archive}", log)
    assert tables(url, tmp_path / "out") == expected
    clean = tb2csv.repair(url, tmp_path / "clean")
    assert {each.written for each in clean.files} == {
        path.relative_to(SAMPLE_LOGS).as_posix() for path in SAMPLE_LOGS.rglob("*tfevents*") if path.is_file()
    }


@pytest.mark.parametrize("archive", ["tar.gz", "tar.zst"])
def test_a_cut_archive_is_an_error(archive: str, tmp_path: Path) -> None:
    path = tmp_path / "logs"
    url = ARCHIVES[archive](path, SAMPLE_LOGS)
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(tb2csv.LogdirError, match="is cut off"):
        tb2csv.check(url)


def test_a_member_that_unpacks_to_too_much_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size_limits, "_SMALL_EVENTS", 1 << 20)
    with zipfile.ZipFile(tmp_path / "logs.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/tfevents", DATA)
        archive.writestr("b/tfevents", bytes(10 << 20))
    log = tb2csv.discover(f"zip://::{tmp_path}/logs.zip", max_expansion=50)
    report = tb2csv.check(log)
    assert report.values_read == 2 * 98
    assert [(each.path, each.kind) for each in report.damage] == [("b/tfevents", "unreadable")]
    assert "unpacks to more than" in report.damage[0].detail


def zip_of_members(path: Path, content: bytes, count: int) -> None:
    """Write a ZIP archive with many members, each of which unpacks to little."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(count):
            archive.writestr(f"{number:03}/tfevents", content)


def tar_of_links(path: Path, content: bytes, count: int) -> None:
    """Write a TAR archive with many links to one member."""
    with tarfile.open(path, "w") as archive:
        first = tarfile.TarInfo("000/tfevents")
        first.size = len(content)
        archive.addfile(first, io.BytesIO(content))
        for number in range(1, count):
            link = tarfile.TarInfo(f"{number:03}/tfevents")
            link.type, link.linkname = tarfile.LNKTYPE, first.name
            archive.addfile(link)


@pytest.mark.parametrize(("kind", "write_archive"), [("zip", zip_of_members), ("tar", tar_of_links)])
def test_an_archive_is_limited_as_a_whole(
    kind: str,
    write_archive: Callable[[Path, bytes, int], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each member is within its limit."""
    monkeypatch.setattr(size_limits, "_SMALL_EVENTS", 1 << 16)
    content = event_file([event(tensor("zeros", np.zeros(10_000, np.float32)))])
    write_archive(tmp_path / "logs", content, 100)
    url = f"{kind}://::{tmp_path}/logs"
    factor = 100 * len(content) // (tmp_path / "logs").stat().st_size
    ran = run_here(capsys, "check", url, "--max-expansion", factor - 1)
    assert ran.status == 1
    assert f"its members unpack to more than {factor - 1} times its size" in ran.stderr
    assert ran.stderr.endswith("; raise --max-expansion if you trust the file.\n")
    ran = run_here(capsys, "ls", url, "--max-expansion", factor + 1)
    assert ran.status == 0


def test_a_compressed_archive_that_unpacks_to_too_much_names_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(size_limits, "_SMALL_EVENTS", 1 << 16)
    with tarfile.open(tmp_path / "logs", "w:gz") as archive:
        member = tarfile.TarInfo("tfevents")
        member.size = 1 << 20
        archive.addfile(member, io.BytesIO(bytes(1 << 20)))
    ran = run_here(capsys, "check", f"tar://::{tmp_path}/logs", "--max-expansion", 50)
    assert ran.status == 1
    assert "cannot be listed: it unpacks to more than 50 times its size; raise --max-expansion if" in ran.stderr


@pytest.mark.parametrize("archive", ["zip", "tar.gz"])
def test_a_compressed_member_is_limited_by_what_is_stored_of_it(
    archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compressing twice packs zeros far more than once."""
    monkeypatch.setattr(size_limits, "_SMALL_EVENTS", 1 << 16)
    (tmp_path / "log").mkdir()
    packed = gzip.compress(event_file([event(simple_value("a", 1.0))]) + bytes(20 << 20))
    (tmp_path / "log" / f"{file_name()}.gz").write_bytes(packed)
    url = ARCHIVES[archive](tmp_path / "logs", tmp_path / "log")
    assert tb2csv.check(tmp_path / "log").sources[0][1].bytes > 20 << 20
    report = tb2csv.check(url)
    assert report.damage[-1].exceeds_limit
    assert report.sources[0][1].bytes < 10 << 20


@pytest.fixture
def zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log whose two records with a tensor of 8,192 zeros each unpack to more than 20 times its size."""
    monkeypatch.setattr(size_limits, "_SMALL_EVENTS", 1 << 10)
    zero = np.zeros(8192, np.float32)
    records = [event(tensor("w", zero), step=step) for step in (1, 2)]
    data = event_file([event(simple_value("loss", 0.5), step=1), *records])
    return write(tmp_path / "log", gzip.compress(data), f"{file_name()}.gz").parent


#: Commands that read logs, with their arguments after LOGDIR.
READERS: dict[str, tuple[str, ...]] = {"ls": (), "check": (), "summary": (), "best": ("--by", "loss", "--max")}


@pytest.mark.parametrize("command", READERS)
def test_max_expansion_limits_each_command(command: str, zeros: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limited = run_here(capsys, command, zeros, *READERS[command], "--max-expansion", 20)
    assert limited.status == 3
    assert "more than 20 times" in limited.stderr + limited.stdout
    assert "raise --max-expansion if you trust the file" in limited.stderr + limited.stdout
    lifted = run_here(capsys, command, zeros, *READERS[command], "--max-expansion", 5000)
    assert lifted.status == 0


def test_max_expansion_must_be_positive(zeros: Path) -> None:
    with pytest.raises(tb2csv.OptionError, match="max_expansion"):
        tb2csv.discover(zeros, max_expansion=0)
    with pytest.raises(tb2csv.OptionError, match="max_expansion"):
        next(iter(tb2csv.follow(zeros, max_expansion=0)))


def test_refresh_keeps_max_expansion(zeros: Path) -> None:
    """The second listing has the limit of the first."""
    log = tb2csv.open_logdir(tb2csv.discover(zeros, max_expansion=20))
    assert log.report.damage
    log.refresh()
    assert log.logdir.limits.max_expansion == 20
    log = tb2csv.open_logdir(tb2csv.discover([zeros], max_expansion=5000))
    log.refresh()
    assert (log.report.damage, log.report.values_read) == ([], 3)


def test_an_update_needs_the_same_max_expansion(zeros: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = tb2csv.convert(tb2csv.discover(zeros, max_expansion=20), out)
    assert [each.kind for each in report.damage] == ["unreadable"]
    for other in (5000, 1100):
        with pytest.raises(tb2csv.OutputError, match="max_expansion"):
            tb2csv.convert(tb2csv.discover(zeros, max_expansion=other), out)
    lifted = tb2csv.convert(tb2csv.discover(zeros, max_expansion=5000), out, overwrite=True)
    assert (lifted.damage, lifted.values_written) == ([], 3)
    with pytest.raises(tb2csv.OutputError, match="max_expansion"):
        tb2csv.convert(zeros, out)


def test_the_index_names_runs_and_not_files(tmp_path: Path) -> None:
    write(tmp_path / "log" / "run", gzip.compress(DATA), f"{file_name()}.gz")
    tb2csv.convert(tmp_path / "log", tmp_path / "out")
    assert {row["run"] for row in read_index(tmp_path / "out")} == {"run"}
