"""Logs in object stores: a real S3 API over HTTP, in a process of its own."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from event_files import event, event_file, file_name, simple_value
from installed import skip_module_without
from remote_logs import assert_converts_as_local, write_logs

import tb2csv

if TYPE_CHECKING:
    from s3_bucket import Bucket

skip_module_without("moto", "s3fs")


def values(count: int, tag: str = "loss") -> bytes:
    return event_file([event(simple_value(tag, step), step=step, wall_time=step) for step in range(count)])


@pytest.mark.slow
def test_tables_equal_those_of_the_folder(bucket: Bucket, tmp_path: Path) -> None:
    logdir = write_logs(tmp_path / "logs")
    bucket.put_folder(logdir)
    bucket.requests()
    assert_converts_as_local(bucket.url, logdir, tmp_path)


def test_a_file_takes_one_request_and_a_listing_one_for_a_thousand(bucket: Bucket) -> None:
    for number in range(5):
        bucket.put(f"logs/run{number}/{file_name()}", values(3))
    bucket.requests()
    assert tb2csv.check(f"{bucket.url}/logs").values_read == 15
    requests = bucket.requests()
    assert sum("tfevents" in each for each in requests) == 5
    assert sum(each.startswith("GET") for each in requests) == 6


@pytest.mark.slow
def test_odd_keys_are_runs_of_their_own(bucket: Bucket, tmp_path: Path) -> None:
    folders = ["a=1", "a%41", "a b", "a+b", "a?b", "a#b", "a*[b]", "a//b", "a/../../b", "..", "a\\b", "é"]
    for folder in folders:
        bucket.put(f"logs/{folder}/{file_name()}", values(2))
    bucket.put("logs/a/", b"")  # the mark of a folder
    bucket.put(f"logs/{file_name()}", values(1))
    bucket.put(f"logs/{file_name()}/below.tfevents", values(1))  # a key that is a file and a folder
    logdir = tb2csv.discover(f"{bucket.url}/logs")
    assert sorted(run.name for run in logdir.runs) == sorted([*folders, ".", file_name()])
    report = tb2csv.convert(logdir, tmp_path / "in" / "out")
    assert report.values_written == 2 * len(folders) + 2
    assert not report.damage
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.parent == tmp_path / "in" or path.is_relative_to(tmp_path / "in" / "out") for path in written)
    assert sum(path.name == "loss.csv" for path in written) == len(folders) + 2


@pytest.mark.slow
def test_each_thousand_keys_take_one_listing(bucket: Bucket) -> None:
    bucket.put_empty([f"logs/run{number}/tfevents" for number in range(20_000)])
    bucket.requests()
    assert len(tb2csv.discover(f"{bucket.url}/logs").runs) == 20_000
    assert len(bucket.requests()) == 20


# Versions


def test_an_object_that_changed_after_the_listing_is_read_in_its_new_version(bucket: Bucket) -> None:
    key = f"logs/{file_name()}"
    bucket.put(key, values(3))
    logdir = tb2csv.discover(f"{bucket.url}/logs")
    bucket.put(key, values(7, "other"))
    report = tb2csv.check(logdir)
    assert (report.values_read, report.damage) == (7, [])


def large(tag: str, count: int, *more: bytes) -> bytes:
    return event_file([event(simple_value(tag * 1000, step), step=step) for step in range(count)]) + b"".join(more)


@pytest.mark.slow
@pytest.mark.parametrize("tag", ["x", "y"])
def test_an_object_that_changes_between_two_reads_is_never_mixed(bucket: Bucket, tag: str) -> None:
    """It is read on if it begins with what was read, and is an error otherwise."""
    key = f"logs/{file_name()}"
    bucket.put(key, large("x", 12_000))
    (run,) = tb2csv.discover(f"{bucket.url}/logs").runs
    with run.files[0].open() as file:
        assert file.read_at(0, 2 << 20) == large("x", 12_000)[: 2 << 20]
        new = large(tag, 12_000, values(9))
        bucket.put(key, new)
        if tag == "x":
            assert file.read_at(8 << 20, 2 << 20) == new[8 << 20 : 10 << 20]
            return
        for _ in range(2):
            with pytest.raises(OSError, match="replaced while it was read"):
                file.read_at(8 << 20, 2 << 20)


def test_listings_are_never_stale(bucket: Bucket) -> None:
    bucket.put(f"logs/a/{file_name()}", values(1))
    frames = tb2csv.open_logdir(f"{bucket.url}/logs")
    bucket.put(f"logs/a/{file_name()}", values(3))
    bucket.put(f"logs/b/{file_name()}", values(1))
    assert frames.refresh()
    assert sorted(frames.scalars()["run"].to_list()) == ["a", "a", "a", "b"]


def test_no_credentials_are_pickled(bucket: Bucket) -> None:
    bucket.put(f"logs/{file_name()}", values(1))
    logdir = tb2csv.discover(f"{bucket.url}/logs")
    pickled = pickle.dumps(logdir)
    assert b"secret-of-test" not in pickled
    assert tb2csv.check(pickle.loads(pickled)).values_read == 1


# Faults


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults", [{"status": 503, "times": 3}, {"status": 500, "times": 2}, {"cut": 1000, "times": 2}]
)
def test_the_retries_of_the_library_mend_passing_faults(bucket: Bucket, faults: dict[str, int]) -> None:
    bucket.put(f"logs/{file_name()}", values(100))
    bucket.faults(path="tfevents", **faults)
    report = tb2csv.check(f"{bucket.url}/logs")
    assert (report.values_read, report.damage) == (100, [])


@pytest.mark.slow
def test_a_connection_that_is_always_cut_makes_the_file_unreadable(bucket: Bucket) -> None:
    bucket.put(f"logs/a/{file_name()}", values(100))
    bucket.put(f"logs/b/{file_name()}", values(100))
    bucket.faults(path="logs/a", cut=1000, times=1000)
    report = tb2csv.check(f"{bucket.url}/logs")
    (damage,) = report.damage
    assert report.values_read == 100
    assert (damage.path, damage.kind) == (f"a/{file_name()}", "unreadable")
    assert damage.detail.startswith("the file cannot be read: the connection was cut")


@pytest.mark.slow
def test_refused_access_names_the_variables(bucket: Bucket) -> None:
    bucket.faults(status=403, times=1000)
    with pytest.raises(tb2csv.LogdirError, match=r"access is refused .*AWS_PROFILE"):
        tb2csv.ls(f"{bucket.url}/logs")


@pytest.mark.slow
def test_missing_credentials_name_the_variables(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(tb2csv.LogdirError, match=r"there are no credentials .*AWS_ACCESS_KEY_ID.*FSSPEC_S3_ANON"):
        tb2csv.ls(f"{bucket.url}/logs")


def test_a_missing_bucket_is_not_found(bucket: Bucket) -> None:
    with pytest.raises(tb2csv.LogdirNotFoundError, match="s3://no-such-bucket/logs"):
        tb2csv.ls("s3://no-such-bucket/logs")


def test_a_missing_folder_has_no_files(bucket: Bucket) -> None:
    with pytest.raises(tb2csv.LogdirError, match=f"{bucket.url}/nothing"):
        tb2csv.ls(f"{bucket.url}/nothing")


@pytest.mark.slow
def test_an_endpoint_that_is_down_is_one_sentence(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(tb2csv.LogdirError, match="cannot be listed: the server does not answer"):
        tb2csv.ls(f"{bucket.url}/logs")


# Chains


@pytest.mark.slow
def test_an_archive_in_a_store(bucket: Bucket, tmp_path: Path) -> None:
    import shutil

    logdir = write_logs(tmp_path / "logs")
    archive = Path(shutil.make_archive(str(tmp_path / "logs"), "zip", logdir))
    bucket.put("logs.zip", archive.read_bytes())
    assert_converts_as_local(f"zip://::{bucket.url}/logs.zip", logdir, tmp_path)


@pytest.mark.slow
def test_a_cache_in_front_is_read(bucket: Bucket) -> None:
    bucket.put(f"logs/a/{file_name()}", values(3))
    assert tb2csv.check(f"simplecache::{bucket.url}/logs").values_read == 3
