"""Updates from stores: the tables are those of one conversion at the end, and only new bytes are read."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import pytest
from event_files import event, event_file, file_name, frames, simple_value
from installed import skip_module_without
from remote_logs import tables_below
from slow_cases import slow

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from s3_bucket import Bucket
    from web_server import WebServer

skip_module_without("moto", "s3fs")

#: Bytes that may be read to see that a file has only grown: two blocks, and the end of what was read.
FINGERPRINTS = 2 * 4096 + 64


def losses(start: int, stop: int, tag: str = "loss") -> list[Any]:
    return [event(simple_value(tag, step / 8), step=step, wall_time=100.0 + step) for step in range(start, stop)]


def bytes_in(requests: Sequence[str]) -> int:
    """Return the number of bytes that the ranges of requests cover."""
    ranges = [match for each in requests if (match := re.search(r"bytes=(\d+)-(\d+)", each))]
    return sum(int(last) + 1 - int(first) for first, last in (match.groups() for match in ranges))


def files_in(requests: Sequence[str]) -> list[str]:
    return [each for each in requests if "tfevents" in each]


@pytest.fixture
def is_updated(tmp_path: Path) -> Callable[[str], tb2csv.Report]:
    """Return a function that updates an output, and compares it with one conversion."""

    def updated(url: str) -> tb2csv.Report:
        report = tb2csv.convert(url, tmp_path / "out")
        tb2csv.convert(url, tmp_path / "fresh", overwrite=True)
        assert tables_below(tmp_path / "out") == tables_below(tmp_path / "fresh")
        return report

    return updated


@pytest.mark.slow
def test_unchanged_objects_cost_only_the_listing(bucket: Bucket, tmp_path: Path) -> None:
    for number in range(3):
        bucket.put(f"logs/run{number}/{file_name()}", event_file(losses(0, 9)))
    tb2csv.convert(f"{bucket.url}/logs", tmp_path / "out")
    bucket.requests()
    report = tb2csv.convert(f"{bucket.url}/logs", tmp_path / "out")
    assert report.update
    assert (report.values_read, report.update.values, report.update.grown) == (27, 0, [])
    (request,) = bucket.requests()
    assert request == f"GET /{bucket.name}"


@pytest.mark.slow
def test_a_grown_object_costs_its_new_bytes(
    bucket: Bucket, tmp_path: Path, is_updated: Callable[[str], tb2csv.Report]
) -> None:
    old, new = event_file(losses(0, 1000)), frames(losses(1000, 1100))
    for name in ("a", "b"):
        bucket.put(f"logs/{name}/{file_name()}", old)
    url = f"{bucket.url}/logs"
    is_updated(url)
    bucket.put(f"logs/a/{file_name()}", old + new)
    bucket.requests()
    report = tb2csv.convert(url, tmp_path / "out")
    requests = files_in(bucket.requests())
    assert report.update
    assert (report.update.grown, report.update.values) == (["a"], 100)
    assert len(requests) == 3
    assert all(request.startswith(f"GET /{bucket.name}/logs/a/") for request in requests)
    assert bytes_in(requests) <= len(new) + FINGERPRINTS
    is_updated(url)


@pytest.mark.slow
def test_a_grown_run_of_several_files_costs_the_new_bytes_of_its_last(
    bucket: Bucket, tmp_path: Path, is_updated: Callable[[str], tb2csv.Report]
) -> None:
    for number in range(3):
        data = event_file(losses(5000 * number, 5000 * number + 5000), wall_time=5000 * number)
        bucket.put(f"logs/{file_name(number)}", data)
    is_updated(bucket.url)
    new = frames(losses(15_000, 15_100))
    bucket.put(f"logs/{file_name(2)}", data + new)
    bucket.requests()
    report = tb2csv.convert(bucket.url, tmp_path / "out")
    assert report.update
    assert report.update.values == 100
    assert bytes_in(files_in(bucket.requests())) <= len(new) + FINGERPRINTS + 3 * 4096
    is_updated(bucket.url)


@pytest.mark.slow
def test_an_object_that_was_replaced_by_one_of_the_same_size_is_read_anew(
    bucket: Bucket, is_updated: Callable[[str], tb2csv.Report]
) -> None:
    bucket.put(f"logs/{file_name()}", event_file(losses(0, 9)))
    is_updated(bucket.url)
    bucket.put(f"logs/{file_name()}", event_file([event(simple_value("loss", 7), step=step) for step in range(9)]))
    report = is_updated(bucket.url)
    assert report.update
    assert list(report.update.renewed) == ["logs"]


def with_other_value(steps: int) -> bytes:
    """Return a file like that of ``losses(0, steps)``, of which one value in the middle is another."""
    middle = steps // 2
    other = event(simple_value("loss", -1), step=middle, wall_time=100.0 + middle)
    return event_file([*losses(0, middle), other, *losses(middle + 1, steps)])


@pytest.mark.slow
def test_an_object_of_which_a_value_in_the_middle_changed_is_read_anew(
    bucket: Bucket, is_updated: Callable[[str], tb2csv.Report]
) -> None:
    """Its first and last bytes are the same; the same bytes, put again, have the same ETag."""
    key, data = f"logs/{file_name()}", event_file(losses(0, 2000))
    bucket.put(key, data)
    is_updated(bucket.url)
    frames_of_log = tb2csv.open_logdir(bucket.url)
    assert frames_of_log.scalars()["value"][1000] != -1
    bucket.put(key, data)
    report = is_updated(bucket.url)
    assert report.update
    assert not report.update.is_something
    assert not frames_of_log.refresh()
    assert len(with_other_value(2000)) == len(data)
    bucket.put(key, with_other_value(2000))
    report = is_updated(bucket.url)
    assert report.update
    assert report.update.renewed == {"logs": f"{key} was replaced"}
    assert frames_of_log.refresh()
    assert frames_of_log.scalars()["value"][1000] == -1
    bucket.put(key, with_other_value(2000) + frames(losses(2000, 2005)))
    report = is_updated(bucket.url)
    assert report.update
    assert (report.update.grown, report.update.values) == (["logs"], 5)


@pytest.mark.slow
def test_new_and_removed_objects_are_noticed(bucket: Bucket, is_updated: Callable[[str], tb2csv.Report]) -> None:
    for name in ("a", "b"):
        bucket.put(f"{name}/{file_name()}", event_file(losses(0, 9)))
    is_updated(bucket.url)
    bucket.remove(f"a/{file_name()}")
    bucket.put(f"c/{file_name()}", event_file(losses(0, 9)))
    report = is_updated(bucket.url)
    assert report.update
    assert (report.update.added, report.update.removed) == (["c"], ["a"])


@contextlib.contextmanager
def after_the_plan(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> Iterator[None]:
    """Let something happen between the plan of an update and its reading."""
    plan_update = tb2csv.update_plan.plan_update

    def plan_and_act(*arguments: Any, **options: Any) -> Any:
        plan = plan_update(*arguments, **options)
        act()
        return plan

    with monkeypatch.context() as patched:
        patched.setattr("tb2csv.folder_conversion.plan_update", plan_and_act)
        yield


@pytest.mark.slow
def test_an_object_that_is_replaced_during_the_update_is_never_mixed(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_updated: Callable[[str], tb2csv.Report]
) -> None:
    """Rows of the new one are not appended to those of the old one; the next update reads it anew."""
    key = f"logs/{file_name()}"
    bucket.put(key, event_file(losses(0, 3000)))
    is_updated(bucket.url)
    before = (tmp_path / "out/logs/scalars/loss.csv").read_bytes()
    bucket.put(key, event_file(losses(0, 3100)))
    with after_the_plan(monkeypatch, lambda: bucket.put(key, event_file(losses(9000, 15_000)))):
        report = tb2csv.convert(bucket.url, tmp_path / "out")
    assert [damage.kind for damage in report.damage] == ["unreadable"]
    assert (tmp_path / "out/logs/scalars/loss.csv").read_bytes() == before
    assert not is_updated(bucket.url).damage


@pytest.mark.slow
def test_an_object_that_grows_during_the_update_is_read_on(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_updated: Callable[[str], tb2csv.Report]
) -> None:
    key = f"logs/{file_name()}"
    bucket.put(key, event_file(losses(0, 3000)))
    is_updated(bucket.url)
    bucket.put(key, event_file(losses(0, 3100)))
    with after_the_plan(monkeypatch, lambda: bucket.put(key, event_file(losses(0, 3200)))):
        assert not tb2csv.convert(bucket.url, tmp_path / "out").damage
    assert is_updated(bucket.url).values_read == 3200


@pytest.mark.slow
def test_a_thousand_unchanged_objects_cost_one_request(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put_empty([f"logs/run{number}/tfevents" for number in range(1500)])
    bucket.put("logs/one/tfevents", event_file(losses(0, 9)))
    url = f"{bucket.url}/logs"
    tb2csv.convert(url, tmp_path / "out")
    bucket.requests()
    report = tb2csv.convert(url, tmp_path / "out")
    assert report.values_read == 9
    assert [request.split()[:2] for request in bucket.requests()] == 2 * [["GET", f"/{bucket.name}"]]


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["simplecache", "filecache", "blockcache"])
def test_a_cache_in_front_is_refused(bucket: Bucket, tmp_path: Path, cache: str) -> None:
    bucket.put(f"logs/{file_name()}", event_file(losses(0, 9)))
    url = f"{cache}::{bucket.url}/logs"
    tb2csv.convert(url, tmp_path / "out")
    with pytest.raises(tb2csv.LogdirError, match=f"has the cache {cache}:: in front"):
        tb2csv.convert(url, tmp_path / "out")


@pytest.mark.slow
def test_archives_in_a_store_are_updated(
    bucket: Bucket, tmp_path: Path, is_updated: Callable[[str], tb2csv.Report]
) -> None:
    import zipfile

    def put(stop: int) -> None:
        with zipfile.ZipFile(tmp_path / "logs.zip", "w") as archive:
            archive.writestr(f"a/{file_name()}", event_file(losses(0, stop)))
            archive.writestr(f"b/{file_name()}", event_file(losses(0, 5)))
        bucket.put("logs.zip", (tmp_path / "logs.zip").read_bytes())

    put(5)
    url = f"zip://::{bucket.url}/logs.zip"
    frames_of_log = tb2csv.open_logdir(url)
    is_updated(url)
    put(8)
    report = is_updated(url)
    assert report.update
    assert (report.update.grown, report.update.values) == (["a"], 3)
    assert frames_of_log.refresh()
    assert len(frames_of_log.scalars()) == 13


# Web servers


@pytest.mark.parametrize(
    ("has_ranges", "has_etags"), [(True, True), *slow([(True, False), (False, True), (False, False)])]
)
def test_updates_from_web_servers(
    server: WebServer, is_updated: Callable[[str], tb2csv.Report], has_ranges: bool, has_etags: bool
) -> None:
    server.has_ranges, server.has_etags = has_ranges, has_etags
    for name in ("a", "b"):
        (server.folder / name).mkdir()
        (server.folder / name / file_name()).write_bytes(event_file(losses(0, 3000)))
    is_updated(server.url)
    (server.folder / "a" / file_name()).write_bytes(event_file(losses(0, 3005)))
    report = is_updated(server.url)
    assert report.update
    assert (report.update.grown, report.update.values) == (["a"], 5)
    report = is_updated(server.url)
    assert report.update
    assert (report.update.grown, report.update.renewed) == ([], {})


@pytest.mark.parametrize("has_etags", [True, False])
def test_a_value_in_the_middle_of_a_file_of_a_web_server(server: WebServer, tmp_path: Path, has_etags: bool) -> None:
    """It is noticed if the server gives versions that are more than a time."""
    server.has_etags = has_etags
    path = server.folder / file_name()
    path.write_bytes(event_file(losses(0, 2000)))
    tb2csv.convert(server.url, tmp_path / "out")
    path.write_bytes(with_other_value(2000))
    report = tb2csv.convert(server.url, tmp_path / "out")
    assert report.update
    assert list(report.update.renewed.values()) == ([f"{file_name()} was replaced"] if has_etags else [])


def test_an_unchanged_file_of_a_web_server_costs_one_request_without_an_answer(
    server: WebServer, tmp_path: Path
) -> None:
    for number in range(5):
        (server.folder / f"run{number}").mkdir()
        (server.folder / f"run{number}" / file_name()).write_bytes(event_file(losses(0, 9)))
    tb2csv.convert(server.url, tmp_path / "out")
    server.requests.clear()
    tb2csv.convert(server.url, tmp_path / "out")
    requests = [method for method, path in server.requests if "tfevents" in path]
    assert requests == 5 * ["HEAD"]
    assert len(server.requests) == 11


def test_a_grown_file_of_a_web_server_costs_its_new_bytes(server: WebServer, tmp_path: Path) -> None:
    path = server.folder / file_name()
    path.write_bytes(event_file(losses(0, 5000)))
    tb2csv.convert(server.url, tmp_path / "out")
    new = frames(losses(5000, 5100))
    with path.open("ab") as file:
        file.write(new)
    server.requests.clear()
    server.bytes_sent = 0
    report = tb2csv.convert(server.url, tmp_path / "out")
    assert report.update
    assert report.update.values == 100
    methods = [method for method, name in server.requests if "tfevents" in name]
    assert methods == ["HEAD", "GET", "GET", "GET"]
    assert server.bytes_sent <= len(new) + FINGERPRINTS + 1000  # the index page
