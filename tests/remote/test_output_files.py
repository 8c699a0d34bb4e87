"""One file as the output in an object store: the bytes of a local one, put whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from commands import run_here
from event_files import event, simple_value, write_run
from installed import skip_module_without

import tb2csv
from tb2csv.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from s3_bucket import Bucket

skip_module_without("moto", "s3fs")


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    for run in ("a", "b"):
        write_run(tmp_path / "logs" / run, *(event(simple_value("loss", step / 4), step=step) for step in range(3)))
    return tmp_path / "logs"


@pytest.mark.parametrize("name", ["losses.csv", "losses.csv.gz", "losses.parquet", "losses.xlsx"])
def test_the_object_is_the_local_file(bucket: Bucket, tmp_path: Path, logdir: Path, name: str) -> None:
    local = tb2csv.convert(logdir, tmp_path / name)
    bucket.requests()
    report = tb2csv.convert(logdir, f"{bucket.url}/out/{name}")
    assert [each for each in bucket.requests() if not each.startswith(("GET", "HEAD"))] == [
        f"PUT /{bucket.name}/out/{name}"
    ]
    assert report.to_dict() == local.to_dict()
    (found,) = bucket.objects("out/").values()
    if name.endswith(".xlsx"):  # it has the time of its making
        assert found.startswith(b"PK")
    else:
        assert found == (tmp_path / name).read_bytes()


def test_the_command_shows_the_address_of_the_file(
    bucket: Bucket, logdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = f"{bucket.url}/losses.csv"
    done = run_here(capsys, "convert", logdir / "a", logdir / "b", out, "--layout", "compare")
    assert (done.status, done.stdout) == (0, f"6 values of 2 runs in 1 table: see {out}\n")
    assert bucket.objects("")["losses.csv"] == b"step,a,b\n0,0.0,0.0\n1,0.25,0.25\n2,0.5,0.5\n"


@pytest.mark.slow
def test_an_object_is_replaced_only_with_overwrite(bucket: Bucket, logdir: Path) -> None:
    bucket.put("losses.csv", b"mine")
    with pytest.raises(OutputError, match="exists already"):
        tb2csv.convert(logdir, f"{bucket.url}/losses.csv")
    assert bucket.objects("")["losses.csv"] == b"mine"
    tb2csv.convert(logdir, f"{bucket.url}/losses.csv", overwrite=True)
    assert bucket.objects("")["losses.csv"].startswith(b'"run","tag"')


def test_an_object_that_appears_meanwhile_is_not_replaced(bucket: Bucket, logdir: Path) -> None:
    with pytest.raises(OutputError, match="exists already"):
        tb2csv.convert(logdir, f"{bucket.url}/losses.csv", progress=lambda _: bucket.put("losses.csv", b"other"))
    assert bucket.objects("")["losses.csv"] == b"other"


@pytest.mark.slow
def test_a_folder_of_the_name_and_a_missing_bucket_are_refused(bucket: Bucket, logdir: Path) -> None:
    bucket.put("losses.csv/part", b"mine")
    with pytest.raises(OutputError, match="is a folder"):
        tb2csv.convert(logdir, f"{bucket.url}/losses.csv", overwrite=True)
    assert list(bucket.objects("losses.csv/")) == ["part"]
    with pytest.raises(OutputError, match=r"no-such-bucket/losses\.csv"):
        tb2csv.convert(logdir, "s3://no-such-bucket/losses.csv")


@pytest.mark.slow
def test_a_refused_put_leaves_nothing(bucket: Bucket, logdir: Path) -> None:
    bucket.faults(status=403, times=1000, path="losses.csv", method="PUT")
    with pytest.raises(OutputError, match="access is refused"):
        tb2csv.convert(logdir, f"{bucket.url}/losses.csv")
    bucket.faults()
    assert bucket.objects("") == {}
