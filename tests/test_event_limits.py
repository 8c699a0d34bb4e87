"""Tensors that leave elements out are limited by their own bytes, in every face, update and scanner alike."""

from __future__ import annotations

import gzip
import json
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import run_here
from event_files import AnyEvent, event, frames, simple_value, tensor, tensor_of, write_run
from tables import read_rows, read_tree
from tensorboard.util import tensor_util

import tb2csv
from tb2csv.errors import StateError
from tb2csv.event_files.scanner_choice import SCANNER_VARIABLE
from tb2csv.runs.row_selection import RowSelection
from tb2csv.tensorboard_plugin.option_titles import page_spelling

if TYPE_CHECKING:
    from pathlib import Path

#: Ones that TensorBoard's own ``make_tensor_proto`` stores as one element: the limit is between the two.
SMALL = tensor_util.make_tensor_proto(1.0, shape=[1000])
LARGE = tensor_util.make_tensor_proto(1.0, shape=[100, 1000])
STRINGS = tensor_of("DT_STRING", (1 << 20,), string_val=[b"a"])


def events(first: int = 1) -> list[AnyEvent]:
    return [
        event(
            tensor("small", SMALL),
            tensor("large", LARGE),
            tensor("stored", np.ones((10, 1000), np.float32)),
            tensor("strings", STRINGS, "text"),
            tensor("images", STRINGS, "images"),
            simple_value("loss", 0.5),
            step=step,
        )
        for step in (first, first + 1)
    ]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_run(tmp_path / "log", *events()).parent


def refused(report: Any) -> list[str]:
    assert all(entry.exceeds_limit for run in report.runs for entry in run.undecodable)
    return sorted(entry.tag for run in report.runs for entry in run.undecodable)


def test_a_value_beyond_its_limit_is_kept_undecoded_and_the_others_are_read(log: Path, tmp_path: Path) -> None:
    report = tb2csv.convert(log, tmp_path / "out")
    assert refused(report) == sorted(["large", "strings", "images"] * 2)
    assert len(read_rows(tmp_path / "out/tensors/small.csv")) == 2000
    assert (tmp_path / "out/tensors/stored.csv").read_bytes().count(b"\n") == 1 + 2 * 10_000
    assert len(read_rows(tmp_path / "out/scalars/loss.csv")) == 2
    (reason,) = {row["reason"] for row in read_rows(tmp_path / "out/blobs/large.undecodable.csv")}
    assert reason == (
        "A tensor of shape (100, 1000) and 19 bytes leaves out 99,999 elements of 8 bytes, "
        "and the limit is 20,900 bytes"
    )


def test_rows_grow_with_the_file_alone(tmp_path: Path) -> None:
    """Any number of such values has at most 138 rows per byte of the file, whatever its types."""
    values = [tensor("", tensor_of("DT_BOOL", (count,), bool_val=[True])) for count in range(1000, 3000, 100)]
    size = write_run(tmp_path / "log", event(*values * 10)).stat().st_size
    report = tb2csv.convert(tmp_path / "log", tmp_path / "out")
    assert 0 < report.values_undecodable < report.values_read
    rows = sum(len(read_rows(path)) for path in (tmp_path / "out/tensors").iterdir())
    assert size < rows <= 138 * size


def test_each_face_names_its_option(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run_here(capsys, "convert", log, tmp_path / "out", "--tag", "large")
    assert ran.status == 0
    sentence = "the limit is 20,900 bytes; raise --max-expansion if you trust the file\n"
    assert ran.stderr.count(sentence) == 2
    entry = tb2csv.convert(log, tmp_path / "python", tag="large").runs[0].undecodable[0]
    assert str(entry.message).endswith("the limit is 20,900 bytes; raise max_expansion if you trust the file")
    report = tb2csv.convert(log, tmp_path / "page", tag="large").to_dict(page_spelling)
    assert report["undecodable"][0]["detail"].endswith("the limit is 20,900 bytes")


def test_the_option_lifts_the_limit(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needed = -(-8 * 99_999 // LARGE.ByteSize())
    for factor, count in ((needed - 1, 0), (needed, 2)):
        out = tmp_path / str(factor)
        ran = run_here(capsys, "convert", log, out, "--tag", "large", "--max-expansion", factor, "--json")
        assert json.loads(ran.stdout)["values_written"] == count
    lifted = tb2csv.open_logdir(tb2csv.discover(log, max_expansion=needed))
    assert len(lifted["."].tensors("large")) == 2 * 100_000
    assert len(tb2csv.open_logdir(log)["."].tensors("large")) == 0


def test_an_update_refuses_what_a_conversion_refuses(log: Path, tmp_path: Path) -> None:
    tb2csv.convert(log, tmp_path / "updated")
    (path,) = log.iterdir()
    with path.open("ab") as file:
        file.write(frames(events(3)))
    updated = tb2csv.convert(log, tmp_path / "updated")
    whole = tb2csv.convert(log, tmp_path / "whole")
    assert updated.update is not None
    assert refused(updated) == refused(whole)
    trees = [read_tree(tmp_path / name) for name in ("updated", "whole")]
    for tree in trees:  # it lists the values in the order in which they were read
        del tree["datapackage.json"]
    assert trees[0] == trees[1]
    assert refused(tb2csv.convert(log, tmp_path / "updated")) == refused(whole)


@pytest.mark.parametrize("how", ["reference scanner", "small chunks", "rows"])
def test_the_same_values_are_refused(how: str, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a file is read, a value is judged by its own bytes."""
    tb2csv.convert(log, tmp_path / "expected", tag=["large", "small"])
    if how == "reference scanner":
        monkeypatch.setenv(SCANNER_VARIABLE, "reference")
    options: dict[str, Any] = {"small chunks": {"chunk_size": 100}, "rows": {"rows": RowSelection(min_step=1)}}.get(
        how, {}
    )
    tb2csv.convert(log, tmp_path / "out", tag=["large", "small"], **options)
    names = ("tensors/small.csv", "blobs/large.undecodable.csv")
    assert [(tmp_path / "out" / name).read_bytes() for name in names] == [
        (tmp_path / "expected" / name).read_bytes() for name in names
    ]


def members(log: Path, path: Path) -> tuple[Path | str, ...]:
    """Return the places of a log as it is, compressed, and in archives."""
    (file,) = log.iterdir()
    packed = path / "packed" / f"{file.name}.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(file.read_bytes()))
    with zipfile.ZipFile(path / "log.zip", "w") as archive:
        archive.write(file, file.name)
    with tarfile.open(path / "log.tar", "w") as tar:
        tar.add(file, file.name)
    return log, packed.parent, f"zip://::{path}/log.zip", f"tar://::{path}/log.tar"


def test_unpacked_tensors_leave_out_no_more_than_they_store(log: Path, tmp_path: Path) -> None:
    """Both limits together are about one: of the whole factor, 1,100 is for unpacking."""
    plain, *others = members(log, tmp_path)
    assert "small" not in refused(tb2csv.convert(plain, tmp_path / "out"))
    for number, place in enumerate(others):
        report = tb2csv.convert(place, tmp_path / f"refused{number}")
        assert refused(report).count("small") == 2
        assert len(tb2csv.open_logdir(place)["."].tensors("small")) == 0
        found = tb2csv.discover(place, max_expansion=1100 * 600)
        assert "small" not in refused(tb2csv.convert(found, tmp_path / f"lifted{number}"))
        assert len(tb2csv.open_logdir(found)["."].tensors("small")) == 2000


def test_recorded_weights_are_limited_as_well(tmp_path: Path) -> None:
    log = write_run(tmp_path / "log", event(tensor("weights/w", LARGE), step=1)).parent
    with pytest.raises(StateError, match=r"leaves out.*; raise max_expansion if you trust the file\.$"):
        tb2csv.recorded_state(log, 1)
    (state,) = tb2csv.recorded_state(tb2csv.discover(log, max_expansion=50_000), 1).tensors
    assert state.shape == (100, 1000)
