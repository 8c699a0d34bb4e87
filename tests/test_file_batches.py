"""Small files that are read and written in batches, by the functions in Python and by the compiled ones."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from permissions import enforced_permissions

from tb2csv.file_batches import IMPLEMENTATIONS, FileBatches

if TYPE_CHECKING:
    from collections.abc import Callable

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


@pytest.fixture(params=["python", "compiled"])
def batches(request: pytest.FixtureRequest) -> FileBatches:
    if request.param not in IMPLEMENTATIONS:
        pytest.skip("the compiled functions were not built")
    return IMPLEMENTATIONS[request.param]


def _status(path: Path) -> tuple[int, int]:
    return path.stat().st_mtime_ns, path.stat().st_ino


def test_files_are_read_one_after_the_other(tmp_path: Path, batches: FileBatches) -> None:
    one, other = tmp_path / "one", tmp_path / "other é"
    one.write_bytes(b"first")
    other.write_bytes(b"second!")
    os.utime(other, ns=(1, 1_700_000_000_123_456_789))
    buffer = bytearray(b"." * 30)

    found = batches.read_files([str(one), str(other)], memoryview(buffer), 10)

    assert found == [(0, 5, *_status(one)), (5, 7, 1_700_000_000_123_456_789, _status(other)[1])]
    assert buffer == b"firstsecond!" + b"." * 18


def test_reading_ends_before_a_file_that_may_not_fit_in(tmp_path: Path, batches: FileBatches) -> None:
    for name in "abcd":
        (tmp_path / name).write_bytes(4 * name.encode())
    buffer = bytearray(13)

    found = batches.read_files([str(tmp_path / name) for name in "abcd"], memoryview(buffer), 5)

    assert [file and file[:2] for file in found] == [(0, 4), (4, 4), (8, 4)]
    assert buffer == b"aaaabbbbcccc\0"


def test_a_file_of_the_limit_is_small(tmp_path: Path, batches: FileBatches) -> None:
    for size in (0, 1, 5, 6):
        (tmp_path / str(size)).write_bytes(b"x" * size)

    found = batches.read_files([str(tmp_path / str(size)) for size in (0, 1, 5, 6)], memoryview(bytearray(20)), 5)

    assert [file and file[:2] for file in found] == [None, (0, 1), (1, 5), None]


def _unreadable(path: Path) -> None:
    path.write_bytes(b"secret")
    path.chmod(0)


def _socket(path: Path) -> None:
    current = Path.cwd()
    os.chdir(path.parent)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(current)


_UNREADABLE: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "a folder": os.mkdir,
    "a pipe": lambda path: os.mkfifo(path, 0o600),
    "a socket": _socket,
    "a link to nothing": lambda path: path.symlink_to("missing"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a file without permission": _unreadable,
}


@posix_only
@pytest.mark.parametrize("kind", _UNREADABLE)
def test_what_cannot_be_read_is_left_out(tmp_path: Path, batches: FileBatches, kind: str) -> None:
    _UNREADABLE[kind](tmp_path / "odd")
    (tmp_path / "file").write_bytes(b"bytes")
    buffer = bytearray(20)

    with enforced_permissions():
        found = batches.read_files([str(tmp_path / name) for name in ("odd", "file")], memoryview(buffer), 9)

    assert found == [None, (0, 5, *_status(tmp_path / "file"))]
    assert buffer[:5] == b"bytes"


@posix_only
def test_links_and_names_of_any_bytes_are_followed(tmp_path: Path, batches: FileBatches) -> None:
    if sys.platform == "darwin":
        pytest.skip("the file system takes UTF-8 only")
    odd = tmp_path / os.fsdecode(b"\xff\n")
    odd.write_bytes(b"bytes")
    (tmp_path / "link").symlink_to(odd.name)
    paths = [str(odd), str(tmp_path / "link")]

    found = batches.read_files(paths, memoryview(bytearray(20)), 5)

    assert [file and file[:2] for file in found] == [(0, 5), (5, 5)]
    assert batches.file_sizes([*paths, str(tmp_path / "missing")]) == [5, 5, -1]
    assert batches.append_pieces([], [(str(odd), 0, 2, False)], b"!!", b"") == [7]
    assert odd.read_bytes() == b"bytes!!"


@pytest.mark.parametrize("call", ["read_files", "file_sizes", "append_pieces", "folders"])
def test_a_name_does_not_end_at_a_null_byte(tmp_path: Path, batches: FileBatches, call: str) -> None:
    path = f"{tmp_path}/a\0b"
    calls: dict[str, Callable[[], object]] = {
        "read_files": lambda: batches.read_files([path], memoryview(bytearray(9)), 9),
        "file_sizes": lambda: batches.file_sizes([path]),
        "append_pieces": lambda: batches.append_pieces([], [(path, 0, 1, False)], b"x", b""),
        "folders": lambda: batches.append_pieces([path], [], b"", b""),
    }
    with pytest.raises(ValueError, match="null"):
        calls[call]()
    assert os.listdir(tmp_path) == []


def test_pieces_are_appended_in_their_order(tmp_path: Path, batches: FileBatches) -> None:
    (tmp_path / "old").write_bytes(b"before\n")
    folders = [f"{tmp_path}/run", f"{tmp_path}/run/scalars"]
    new, old = f"{tmp_path}/run/scalars/new.csv", f"{tmp_path}/old"
    pieces = [(new, 0, 2, True), (old, 2, 4, False), (new, 4, 8, False), (old, 8, 8, False)]

    for _ in range(2):  # the folders exist the second time
        lengths = batches.append_pieces(folders, pieces, b"1\n2\n3\n4\n", b"head\n")

    assert Path(new).read_bytes() == b"head\n1\n3\n4\nhead\n1\n3\n4\n"
    assert Path(old).read_bytes() == b"before\n2\n2\n"
    assert lengths == [18, 11, 22, 11]


@posix_only
def test_new_files_and_folders_have_the_permissions_of_the_umask(tmp_path: Path, batches: FileBatches) -> None:
    before = os.umask(0o027)
    try:
        batches.append_pieces([f"{tmp_path}/run"], [(f"{tmp_path}/run/a", 0, 1, False)], b"x", b"")
    finally:
        os.umask(before)

    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "run" / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("folders", "file", "number", "odd"),
    [
        (["taken"], "file", errno.EEXIST, "taken"),
        (["missing/run"], "file", errno.ENOENT, "missing/run"),
        ([], "missing/file", errno.ENOENT, "missing/file"),
        pytest.param([], "folder", errno.EISDIR, "folder", marks=posix_only),
        pytest.param([], "taken/file", errno.ENOTDIR, "taken/file", marks=posix_only),
        pytest.param([], "long" * 100, errno.ENAMETOOLONG, "long" * 100, marks=posix_only),
    ],
)
def test_an_error_has_its_number_and_its_path(
    tmp_path: Path, batches: FileBatches, folders: list[str], file: str, number: int, odd: str
) -> None:
    (tmp_path / "taken").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    pieces = [(f"{tmp_path}/{name}", 0, 1, False) for name in ("first", file, "last")]

    with pytest.raises(OSError, match=r".") as failure:
        batches.append_pieces([f"{tmp_path}/{folder}" for folder in folders], pieces, b"x", b"")

    assert (failure.value.errno, failure.value.filename) == (number, f"{tmp_path}/{odd}")
    assert type(failure.value) is type(OSError(number, ""))
    assert not (tmp_path / "last").exists()
    assert (tmp_path / "first").exists() == (not folders)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full disk to write to")
def test_a_full_disk_is_an_error(batches: FileBatches) -> None:
    with pytest.raises(OSError, match=r".") as failure:
        batches.append_pieces([], [("/dev/full", 0, 1, True)], b"x", b"head")
    assert (failure.value.errno, failure.value.filename) == (errno.ENOSPC, "/dev/full")


@posix_only
@pytest.mark.parametrize("limit", [3, 11])
def test_a_write_that_is_cut_short_is_an_error(tmp_path: Path, batches: FileBatches, limit: int) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OSError, match=r".") as failure:
            batches.append_pieces([], [(f"{tmp_path}/table", 0, 12, True)], b"rows of text", b"header")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert (failure.value.errno, failure.value.filename) == (errno.EFBIG, f"{tmp_path}/table")
    assert (tmp_path / "table").read_bytes() == b"headerrows of text"[:limit]


@pytest.mark.parametrize(
    ("text", "rows", "starts"),
    [
        (b"a\nbcd\n\ne\n", [0, 1, 1, 2, 3, 4], [0, 2, 2, 6, 7, 9]),
        (b"a\nbcd\n\ne\n", [3, 0, 2, 4, 1], [7, 0, 6, 9, 2]),
        (b"no end", [0, 0], [0, 0]),
        (b"", [0], [0]),
        (b"", [], []),
    ],
)
def test_rows_start_after_line_feeds(batches: FileBatches, text: bytes, rows: list[int], starts: list[int]) -> None:
    assert batches.row_starts(text, rows) == starts


@pytest.mark.parametrize(("text", "rows"), [(b"a\nb\n", [3]), (b"a\nb", [0, 2]), (b"", [1])])
def test_a_row_that_the_text_lacks_is_an_error(batches: FileBatches, text: bytes, rows: list[int]) -> None:
    with pytest.raises(IndexError):
        batches.row_starts(text, rows)


@posix_only
def test_no_descriptor_stays_open(tmp_path: Path, batches: FileBatches) -> None:
    (tmp_path / "file").write_bytes(b"bytes")
    before = os.dup(0)
    os.close(before)

    batches.read_files([str(tmp_path), str(tmp_path / "file"), str(tmp_path / "file")], memoryview(bytearray(9)), 4)
    batches.append_pieces([], [(f"{tmp_path}/new", 0, 1, False)], b"x", b"")
    with pytest.raises(OSError, match=r"."):
        batches.append_pieces([], [("/dev/full" if os.path.exists("/dev/full") else "/", 0, 1, False)], b"x", b"")

    after = os.dup(0)
    os.close(after)
    assert after == before
