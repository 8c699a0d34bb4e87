"""Outputs in an object store: complete or visibly unfinished, and never with the objects of others replaced."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from commands import run_here
from event_files import event, event_file, file_name, simple_value
from installed import skip_module_without
from remote_logs import tables_below, write_logs
from slow_cases import slow

import tb2csv
from tb2csv.sinks.store_folder import StoreFolder

if TYPE_CHECKING:
    from pathlib import Path

    from s3_bucket import Bucket

skip_module_without("moto", "s3fs")


def write_run(folder: Path, tag: str = "loss") -> Path:
    folder.mkdir(parents=True)
    (folder / file_name()).write_bytes(event_file([event(simple_value(tag, step), step=step) for step in range(9)]))
    return folder


@pytest.mark.slow
def test_the_objects_are_the_files_of_a_local_output(bucket: Bucket, tmp_path: Path) -> None:
    logdir = write_logs(tmp_path / "logs")
    tb2csv.convert(logdir, tmp_path / "out")
    bucket.requests()
    report = tb2csv.convert(logdir, f"{bucket.url}/out")
    puts = [each.partition("/out/")[2] for each in bucket.requests() if each.startswith("PUT")]
    assert puts[0] == ".tb2csv/unfinished.json"
    assert puts[-2:] == ["index.csv", "datapackage.json"]
    assert report.tables == len(puts) - 3
    expected = tables_below(tmp_path / "out")
    assert bucket.objects("out/").keys() == expected.keys()
    assert {path: data for path, data in bucket.objects("out/").items() if path != "datapackage.json"} == {
        path: data for path, data in expected.items() if path != "datapackage.json"
    }


def test_the_command_shows_the_address_of_the_index(
    bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_here(capsys, "convert", write_run(tmp_path / "a"), f"{bucket.url}/out/")
    assert (done.status, done.stdout) == (0, f"9 values of 1 run in 1 table: see {bucket.url}/out/index.csv\n")


@pytest.mark.slow
def test_an_output_is_replaced_only_with_overwrite(bucket: Bucket, tmp_path: Path) -> None:
    out = f"{bucket.url}/out"
    tb2csv.convert(write_run(tmp_path / "a"), out)
    with pytest.raises(tb2csv.OutputError, match="only a local one is brought up to date"):
        tb2csv.convert(write_run(tmp_path / "b", "other"), out)
    tb2csv.convert(tmp_path / "b", out, overwrite=True)
    assert set(bucket.objects("out/")) == {"scalars/other.csv", "index.csv", "datapackage.json"}


@pytest.mark.slow
def test_objects_of_others_are_not_replaced(bucket: Bucket, tmp_path: Path) -> None:
    logdir, out = write_run(tmp_path / "a"), f"{bucket.url}/out"
    tb2csv.convert(logdir, out)
    bucket.put("out/notes.txt", b"mine")
    before = bucket.objects("out/")
    with pytest.raises(tb2csv.OutputError, match=r"contains notes\.txt"):
        tb2csv.convert(logdir, out, overwrite=True)
    assert bucket.objects("out/") == before


@pytest.mark.slow
@pytest.mark.parametrize("failing", ["scalars/", "index.csv", "datapackage.json"])
def test_an_interrupted_output_has_no_data_package_and_can_be_replaced(
    bucket: Bucket, tmp_path: Path, failing: str
) -> None:
    out = f"{bucket.url}/out"
    tb2csv.convert(write_run(tmp_path / "a"), out)
    bucket.faults(status=403, times=1000, path=f"out/{failing}", method="PUT")
    with pytest.raises(tb2csv.OutputError, match=r"access is refused .*AWS_PROFILE"):
        tb2csv.convert(write_run(tmp_path / "b", "other"), out, overwrite=True)
    bucket.faults()
    assert "datapackage.json" not in bucket.objects("out/")
    tb2csv.convert(tmp_path / "b", out, overwrite=True)
    assert set(bucket.objects("out/")) == {"scalars/other.csv", "index.csv", "datapackage.json"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "state"),
    [
        ("_put", "is not complete, so another conversion must replace it"),
        *slow([("_mark", ""), ("_publish", "is complete")]),
    ],
)
def test_an_interrupt_says_what_became_of_the_objects(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, state: str
) -> None:
    """It comes after a call of a method of the folder."""
    out = f"{bucket.url}/out"
    tb2csv.convert(write_run(tmp_path / "a"), out)
    call = getattr(StoreFolder, method)

    def interrupted(*arguments: Any, **options: Any) -> None:
        call(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(StoreFolder, method, interrupted)
        with pytest.raises(KeyboardInterrupt) as interrupt:
            tb2csv.convert(write_run(tmp_path / "b", "other"), out, overwrite=True)
    assert str(interrupt.value) == (f"{out} {state}" if state else "")
    assert ("datapackage.json" in bucket.objects("out/")) == ("not complete" not in state)
    tb2csv.convert(tmp_path / "b", out, overwrite=True)
    assert set(bucket.objects("out/")) == {"scalars/other.csv", "index.csv", "datapackage.json"}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["_mark", *slow(["_listed"])])
@pytest.mark.parametrize("is_earlier", [False, *slow([True])])
def test_an_interrupt_before_the_first_change_leaves_no_marker(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, *, is_earlier: bool
) -> None:
    """It comes after the marker was put, or while the objects are listed again."""
    out = f"{bucket.url}/out"
    if is_earlier:
        tb2csv.convert(write_run(tmp_path / "a"), out)
    before = bucket.objects("out/")
    call, marked = getattr(StoreFolder, method), []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        result = call(*arguments, **options)
        if not marked and (method == "_mark" or ".tb2csv/unfinished.json" in result):
            marked.append(True)
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(StoreFolder, method, interrupted)
    with pytest.raises(KeyboardInterrupt) as interrupt:
        tb2csv.convert(write_run(tmp_path / "b", "other"), out, overwrite=is_earlier)
    assert marked
    assert str(interrupt.value) == ""
    assert bucket.objects("out/") == before
    tb2csv.convert(tmp_path / "b", out, overwrite=is_earlier)
    assert set(bucket.objects("out/")) == {"scalars/other.csv", "index.csv", "datapackage.json"}


@pytest.mark.slow
def test_the_marker_of_another_conversion_is_not_removed(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = StoreFolder._mark

    def mark_second(folder: StoreFolder, *arguments: Any, **options: Any) -> None:
        bucket.put("out/.tb2csv/unfinished.json", b'["index.csv"]')
        mark(folder, *arguments, **options)

    monkeypatch.setattr(StoreFolder, "_mark", mark_second)
    with pytest.raises(tb2csv.OutputError, match="Another conversion writes"):
        tb2csv.convert(write_run(tmp_path / "a"), f"{bucket.url}/out")
    assert bucket.objects("out/") == {".tb2csv/unfinished.json": b'["index.csv"]'}


def test_the_folder_for_temporary_files_may_be_in_the_log_directory(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    write_run(tmp_path / "a")
    tb2csv.convert(tmp_path, f"{bucket.url}/out")
    assert set(bucket.objects("out/")) == {"a/scalars/loss.csv", "index.csv", "datapackage.json"}


@pytest.mark.slow
def test_of_conversions_at_once_one_writes(bucket: Bucket, tmp_path: Path) -> None:
    """All of them find the place empty before the first one has put an object."""
    names = [f"tag{number}" for number in range(6)]
    folders = [write_run(tmp_path / name, name) for name in names]
    out, ready = f"{bucket.url}/out", threading.Barrier(len(names))
    outcomes: dict[str, Any] = {}

    def convert(folder: Path) -> None:
        def wait(count: int) -> None:
            if count:
                ready.wait()

        try:
            outcomes[folder.name] = tb2csv.convert(folder, out, progress=wait)
        except tb2csv.OutputError as error:
            outcomes[folder.name] = error

    threads = [threading.Thread(target=convert, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = (name for name, outcome in outcomes.items() if isinstance(outcome, tb2csv.Report))
    assert set(bucket.objects("out/")) == {f"scalars/{winner}.csv", "index.csv", "datapackage.json"}


@pytest.mark.slow
def test_a_conversion_that_another_one_precedes_is_refused(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that is still writing nor one that has ended since is replaced."""
    logdir, out = write_run(tmp_path / "a"), f"{bucket.url}/out"
    monkeypatch.setattr("tb2csv.sinks.store_folder.StoreFolder._replaced", lambda _: [])
    bucket.put("out/.tb2csv/unfinished.json", b"[]")
    with pytest.raises(tb2csv.OutputError, match="Another conversion writes"):
        tb2csv.convert(logdir, out)
    bucket.remove("out/.tb2csv/unfinished.json")
    bucket.put("out/datapackage.json", b"{}")
    with pytest.raises(tb2csv.OutputError, match="Another conversion writes"):
        tb2csv.convert(logdir, out)
    assert set(bucket.objects("out/")) == {"datapackage.json"}


def test_an_output_in_its_log_directory_is_refused(bucket: Bucket) -> None:
    bucket.put(f"logs/{file_name()}", event_file([event(simple_value("loss", 1))]))
    with pytest.raises(tb2csv.OutputError, match="is in the log directory"):
        tb2csv.convert(f"{bucket.url}/logs", f"{bucket.url}/logs/out")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/out", "simplecache::s3://bucket/out", "zip://out::s3://bucket/a.zip"]
)
def test_other_urls_are_refused_as_outputs(tmp_path: Path, url: str) -> None:
    with pytest.raises(tb2csv.OutputError, match="is a URL"):
        tb2csv.convert(write_run(tmp_path / "a"), url)


@pytest.mark.slow
def test_a_repair_is_written_to_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "log" / "run")
    data = (folder / file_name()).read_bytes()
    (folder / file_name()).write_bytes(data[:1] + b"\x01" + data[2:])  # the length of the first record
    out = f"{bucket.url}/clean"
    tb2csv.repair(tmp_path / "log", out)
    assert bucket.objects("clean/")[f"run/{file_name()}"] == data
    assert set(bucket.objects("clean/")) == {f"run/{file_name()}", "datapackage.json"}
    with pytest.raises(tb2csv.OutputError, match="overwrite"):
        tb2csv.repair(tmp_path / "log", out)
    tb2csv.repair(out, tmp_path / "again")
    assert (tmp_path / "again" / "run" / file_name()).read_bytes() == data
    with pytest.raises(tb2csv.OutputError, match="is in the log directory"):
        tb2csv.repair(bucket.url, out, overwrite=True)
