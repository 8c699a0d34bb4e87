"""The routes of the Export tab: what they answer, and what they refuse."""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import logging
import socket
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from event_files import event, file_name, frames, histogram, scalar, tensor, tensor_of, text, write_run
from hypothesis import given
from hypothesis import strategies as st
from plugin_server import Tab, context_of
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

from tb2csv import ls
from tb2csv.tensorboard_plugin.export_request import ExportRequest
from tb2csv.tensorboard_plugin.preview import preview_series
from tb2csv.tensorboard_plugin.web_api import MAX_BODY, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Two runs: scalars of some length, a histogram, a text; and a run within a run."""
    logs = tmp_path / "logs"
    points = [event(scalar("loss", 1 / (step + 1)), step=step, wall_time=100.0 + step) for step in range(1500)]
    write_run(logs / "train", *points, event(histogram("weights", np.ones((3, 3))), step=7))
    write_run(logs / "train" / "eval", event(scalar("loss", float("nan")), step=2**60), event(text("note", ["=1+1"])))
    return logs


@pytest.fixture
def tab(logs: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Tab]:
    """The tab of a TensorBoard whose log holds no warning of its validator in the end."""
    with caplog.at_level(logging.WARNING):
        tab = Tab(context_of(logs))
        yield tab
        tab.close()
    assert "In 3.0" not in caplog.text  # what TensorBoard says of a response without a type, and the like


def series_of(index: Any, *columns: str) -> list[tuple[Any, ...]]:
    """Return the index as rows of run, tag, kind and these columns."""
    series = index["series"]
    names = {name: [index[f"{name}s"][place] for place in series[name]] for name in ("run", "tag", "kind")}
    return list(zip(names["run"], names["tag"], names["kind"], *(series[name] for name in columns), strict=True))


def error_of(response: Any, status: int) -> tuple[str, str]:
    """Return the code and the message of a refusal, which is JSON without a path."""
    assert response.status_code == status, response.data
    assert response.mimetype == "application/json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    error = response.json["error"]
    assert error["message"].endswith(".")
    assert "/tmp" not in error["message"]  # noqa: S108 - where the tests' logs are
    return error["code"], error["message"]


def test_index_has_every_series_with_all_its_points(tab: Tab, logs: Path) -> None:
    index = tab.index()
    assert index["state"] == "ready"
    assert index["error"] is None
    assert index["runs"] == ["train", "train/eval"]
    listed, _ = ls(logs)
    expected = [(each.run, each.tag, each.kind, each.points) for each in listed]
    assert series_of(index, "points") == expected
    assert ("train", "loss", "scalars", 1500, 1000, 0, 1499, 1500) in series_of(
        index, "points", "shown", "first_step", "last_step", "rows"
    )


def test_steps_beyond_exact_doubles_are_text(tab: Tab) -> None:
    rows = series_of(tab.index(), "first_step", "last_step")
    assert ("train/eval", "loss", "scalars", str(2**60), str(2**60)) in rows


def test_index_is_unchanged_until_something_is_written(tab: Tab, logs: Path) -> None:
    index = tab.index()
    again = tab.get(f"index?known={index['version']}").json
    assert again == {"version": index["version"], "unchanged": True}
    with (logs / "train" / file_name()).open("ab") as file:
        file.write(frames([event(scalar("loss", 0.5), step=1500)]))
    grown = tab.get(f"index?known={index['version']}").json
    assert grown["version"] != index["version"]
    assert ("train", "loss", "scalars", 1501, 1500) in series_of(grown, "points", "last_step")


def test_index_reads_a_rewritten_run_again(tab: Tab, logs: Path) -> None:
    version = tab.index()["version"]
    write_run(logs / "train", event(scalar("other", 1), step=3))
    assert ("train", "other", "scalars", 1, 3) in series_of(
        tab.get(f"index?known={version}").json, "points", "last_step"
    )
    assert ("train", "loss", "scalars") not in series_of(tab.index())


def test_index_follows_runs_that_come_and_go(tab: Tab, logs: Path) -> None:
    version = tab.index()["version"]
    write_run(logs / "late", event(scalar("loss", 1)))
    index = tab.get(f"index?known={version}").json
    assert index["runs"] == ["late", "train", "train/eval"]
    (logs / "late" / file_name()).unlink()
    assert tab.get(f"index?known={index['version']}").json["runs"] == ["train", "train/eval"]


def test_index_of_an_empty_folder_says_why_and_fills_later(tmp_path: Path) -> None:
    tab = Tab(context_of(tmp_path / "nowhere"))
    index = tab.index()
    assert (index["state"], index["error"]["code"]) == ("failed", "no_data")
    assert str(tmp_path) not in json.dumps(index)
    assert error_of(tab.post("export", {}), 404)[0] == "no_data"
    write_run(tmp_path / "nowhere" / "run", event(scalar("loss", 1)))
    index = tab.get(f"index?known={index['version']}").json
    assert (index["state"], index["runs"]) == ("ready", ["run"])
    tab.close()


def test_a_tensorboard_without_event_files_has_an_inactive_tab_that_says_why() -> None:
    tab = Tab(context_of())
    assert not tab.plugin.is_active()
    assert error_of(tab.get("index"), 404)[0] == "no_logdir"


def test_index_is_compressed_for_clients_that_accept_gzip(tab: Tab) -> None:
    tab.index()
    response = tab.get("index", headers={"Accept-Encoding": "gzip"})
    assert json.loads(gzip.decompress(response.data))["runs"] == ["train", "train/eval"]


@pytest.mark.parametrize(("hints", "limit"), [({}, 500), ({"histograms": 3}, 3), ({"histograms": 0}, 800)])
def test_shown_points_equal_those_of_tensorboard(tmp_path: Path, hints: dict[str, int], limit: int) -> None:
    events = [event(histogram("weights", np.ones((2, 3))), step=step) for step in range(800)]
    write_run(tmp_path / "run", *events)
    guidance = {"scalars": 1000, "histograms": 500} | hints
    multiplexer = EventMultiplexer(tensor_size_guidance=guidance).AddRunsFromDirectory(str(tmp_path)).Reload()
    assert len(multiplexer.Tensors("run", "weights")) == limit
    tab = Tab(context_of(tmp_path, multiplexer=multiplexer, sampling_hints=hints))
    assert series_of(tab.index(), "shown") == [("run", "weights", "histograms", limit)]
    tab.close()


def test_preview_has_both_ends_and_a_chart(tab: Tab) -> None:
    tab.index()
    preview = tab.get("preview?run=train&tag=loss&kind=scalars").json
    assert preview["columns"] == ["wall_time", "step", "value"]
    assert preview["first"] == [
        [100.0, 0, 1.0],
        [101.0, 1, 0.5],
        [102.0, 2, 0.33333334],
        [103.0, 3, 0.25],
        [104.0, 4, 0.2],
    ]
    assert [row[1] for row in preview["last"]] == [1495, 1496, 1497, 1498, 1499]
    assert preview["chart"]["step"] == list(range(0, 1500, 5))
    assert preview["chart"]["value"][1] == pytest.approx(1 / 6)
    assert (preview["rows"], preview["points"], preview["shown"]) == (1500, 1500, 1000)


def test_preview_has_nan_and_large_integers_as_text(tab: Tab) -> None:
    tab.index()
    preview = tab.get("preview?run=train/eval&tag=loss&kind=scalars").json
    assert preview["first"] == [[0.0, str(2**60), "NaN"]]
    assert preview["chart"] == {"step": [str(2**60)], "value": ["NaN"]}


def test_preview_of_a_histogram_has_rows_of_the_table_and_no_chart(tab: Tab) -> None:
    tab.index()
    preview = tab.get("preview?run=train&tag=weights&kind=histograms").json
    assert preview["columns"] == ["wall_time", "step", "bucket", "left", "right", "count"]
    assert [row[2] for row in preview["first"]] == [0, 1, 2]
    assert preview["chart"] is None
    assert preview["rows"] == 3


def test_preview_cuts_long_texts(tmp_path: Path) -> None:
    write_run(tmp_path, event(text("note", ["a" * 10_000])))
    tab = Tab(context_of(tmp_path))
    tab.index()
    assert len(tab.get("preview?run=.&tag=note&kind=text").json["first"][0][-1]) == 501
    tab.close()


def test_preview_leaves_out_values_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tb2csv.tensorboard_plugin.preview._LARGE", 100)
    write_run(tmp_path, event(tensor("a", np.zeros(1000)), step=1), event(tensor("a", np.zeros(2)), step=2))
    tab = Tab(context_of(tmp_path))
    tab.index()
    assert [row[1] for row in tab.get("preview?run=.&tag=a&kind=tensors").json["first"]] == [2, 2]
    tab.close()


@pytest.mark.parametrize(
    ("sizes", "first", "last"),
    [
        ([3], [0, 1, 2], []),
        ([7], [0, 1, 2, 3, 4], [5, 6]),
        ([2, 5, 1], [0, 1, 2, 3, 4], [5, 6, 7]),
        ([0, 0, 4, 0, 0, 0, 5], [0, 1, 2, 3, 4], [5, 6, 7, 8]),
        ([12, 1], [0, 1, 2, 3, 4], [8, 9, 10, 11, 12]),
        ([1] * 5 + [0] * 6 + [3] * 5, [0, 1, 2, 3, 4], [15, 16, 17, 18, 19]),
    ],
    ids=str,
)
def test_preview_shows_no_row_of_a_tensor_twice(
    tmp_path: Path, sizes: list[int], first: list[int], last: list[int]
) -> None:
    """Tensors of several sizes give a row for each element; the elements are numbered through all of them."""
    ends = list(accumulate(sizes, initial=0))
    tensors = [np.arange(start, stop, dtype=np.int32) for start, stop in pairwise(ends)]
    write_run(tmp_path, *(event(tensor("t", each), step=step) for step, each in enumerate(tensors)))
    tab = Tab(context_of(tmp_path))
    tab.index()
    preview = tab.get("preview?run=.&tag=t&kind=tensors").json
    assert preview["columns"] == ["wall_time", "step", "i0", "value"]
    assert [row[-1] for row in preview["first"]] == first
    assert [row[-1] for row in preview["last"]] == last
    tab.close()


def test_preview_of_a_table_whose_first_values_cannot_be_decoded(tmp_path: Path) -> None:
    broken = [event(tensor("t", tensor_of("DT_INT32", (1,), tensor_content=b"abc")), step=step) for step in range(5)]
    sound = [event(tensor("t", np.array([step], np.int32)), step=step) for step in range(5, 8)]
    write_run(tmp_path, *broken, *sound)
    tab = Tab(context_of(tmp_path))
    tab.index()
    preview = tab.get("preview?run=.&tag=t&kind=tensors").json
    assert preview["columns"] == ["wall_time", "step", "i0", "value"]
    assert [row[1] for row in preview["first"] + preview["last"]] == [5, 6, 7]
    tab.close()


@pytest.mark.parametrize("count", [1, 4, 5, 6, 9, 10, 11, 301])
def test_preview_over_several_chunks_is_the_head_and_tail_of_all(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tb2csv.tensorboard_plugin.preview._CHUNK_SIZE", 256)
    values = [event(scalar("other", 9), scalar("loss", step), step=step) for step in range(count)]
    write_run(tmp_path, *values)
    tab = Tab(context_of(tmp_path))
    tab.index()
    service = tab.plugin._served()
    logdir, found = service._index.logdir, service._index.state.snapshot.find(".", "loss", "scalars")
    assert logdir is not None
    assert found is not None
    preview = preview_series(logdir.runs[0], found)
    assert [row[1] for row in preview["first"]] == list(range(count))[:5]
    assert [row[1] for row in preview["last"]] == list(range(count))[5:][-5:]
    stride = -(-count // 300)
    assert preview["chart"]["step"] == list(range(0, count, stride))
    tab.close()


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("run=train&tag=loss", 400, "option"),
        ("run=train&tag=loss&kind=text", 404, "no_series"),
        ("run=../../etc&tag=passwd&kind=scalars", 404, "no_series"),
    ],
)
def test_preview_of_a_missing_series_is_not_found(tab: Tab, query: str, status: int, code: str) -> None:
    tab.index()
    assert error_of(tab.get(f"preview?{query}"), status)[0] == code


@pytest.mark.parametrize("query", [b"run=\xff&tag=loss&kind=text", b"\x80", b"run=a&t\xc3=b", b"known=\xed\xa0\x80"])
@pytest.mark.parametrize("route", ["preview", "index", "options"])
def test_a_query_that_is_not_utf_8_is_refused(tab: Tab, route: str, query: bytes) -> None:
    response = tab.get(route, environ_overrides={"QUERY_STRING": query.decode("latin-1")})
    assert error_of(response, 400)[0] == "query"


def test_options_equal_those_of_an_export(tab: Tab) -> None:
    options = tab.get("options").json
    lists = {"files": "file", "layouts": "layout", "formats": "format", "tensors": "tensors", "restarts": "restarts"}
    for plural, name in lists.items():
        for choice in options[plural]:
            assert getattr(ExportRequest.from_json({name: choice}), name) == choice
    assert ExportRequest.from_json({"time": options["times"]}).time == tuple(options["times"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"runs": ["nope"]}, 404, "no_run"),
        ({"tags": ["nope"]}, 404, "no_tag"),
        ({"runs": ["train/eval"], "tags": ["weights"]}, 404, "nothing"),
        ({"runs": []}, 404, "nothing"),
        ({"kinds": ["nope"]}, 400, "option"),
        ({"runs": "train"}, 400, "option"),
        ({"runs": [1]}, 400, "option"),
        ({"layout": "nope"}, 400, "option"),
        ({"layout": []}, 400, "option"),
        ({"format": "xlsx"}, 400, "option"),
        ({"tensors": "nope"}, 400, "option"),
        ({"restarts": "nope"}, 400, "option"),
        ({"time": []}, 400, "option"),
        ({"time": ["nope"]}, 400, "option"),
        ({"time": "epoch"}, 400, "option"),
        ({"archive": 1}, 400, "option"),
        ({"escape_formulas": None}, 400, "option"),
        ({"out": "/etc"}, 400, "option"),
        ({"archive": False}, 400, "needs_archive"),
        ([], 400, "json"),
        (None, 400, "json"),
    ],
)
@pytest.mark.parametrize("route", ["plan", "export"])
def test_impossible_exports_are_refused_at_once(tab: Tab, route: str, body: Any, status: int, code: str) -> None:
    tab.index()
    assert error_of(tab.post(route, body), status)[0] == code
    assert not tab.jobs._jobs


@given(
    st.dictionaries(
        st.sampled_from(["runs", "tags", "kinds", "what", "archive", "layout", "format", "time", "restarts"])
        | st.text(),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from(["csv", "tree", "epoch"]),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_any_json_is_a_request_or_refused(body: dict[str, Any]) -> None:
    with contextlib.suppress(RequestError):
        assert ExportRequest.from_json(body).conversion


def test_a_body_that_is_not_json_is_refused(tab: Tab) -> None:
    assert error_of(tab.post("export", data=b"{", content_type="application/json"), 400)[0] == "json"
    deep = b"[" * 100_000
    assert error_of(tab.post("export", data=deep, content_type="application/json"), 400)[0] == "json"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
@pytest.mark.parametrize("route", ["plan", "export", "cancel/x"])
def test_forms_of_another_site_are_refused(tab: Tab, route: str, kind: str) -> None:
    assert error_of(tab.post(route, data=b"{}", content_type=kind), 415)[0] == "content_type"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
@pytest.mark.parametrize("route", ["index", "options", "preview", "status/x", "download/x"])
def test_reads_by_another_site_are_refused(tab: Tab, route: str, site: str) -> None:
    assert error_of(tab.get(route, headers={"Sec-Fetch-Site": site}), 403)[0] == "cross_site"


def test_writes_by_another_site_are_refused(tab: Tab) -> None:
    for route in ("plan", "export", "cancel/x"):
        assert error_of(tab.post(route, {}, headers={"Sec-Fetch-Site": "cross-site"}), 403)[0] == "cross_site"
    for site in ("same-origin", "none"):
        assert tab.post("plan", {}, headers={"Sec-Fetch-Site": site}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("rebound.example", "rebound.example:6006", "localhost.rebound.example", "127.0.0.1.rebound.example"),
        *("xn--bcher-kva.example", "server.example.org.", "a b", "[::1", "127.1"),
    ],
)
def test_requests_for_a_host_of_another_name_are_refused(tab: Tab, host: str) -> None:
    for response in (tab.get("index", headers={"Host": host}), tab.post("export", {}, headers={"Host": host})):
        code, message = error_of(response, 403)
        assert code == "host"
        assert host in message
        assert "--tb2csv_hosts" in message
    script = tab.client.get("/data/plugin/tb2csv/static/index.js", headers={"Host": host})
    assert script.status_code == 200, "the page can show the refusal"


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST:6006", "tab.localhost", "127.0.0.1", "127.8.0.1:80", "[::1]:6006", "10.1.2.3"),
        *("[fe80::1]", "board.example.org", "Board.Example.Org:6006", "board.example.org.", "proxy.example.org:443"),
        *("other.example.org", socket.gethostname(), f"{socket.gethostname()}:6006"),
    ],
)
def test_requests_for_hosts_of_this_server_are_answered(logs: Path, host: str) -> None:
    flags = argparse.Namespace(host="board.example.org", tb2csv_hosts="proxy.example.org, other.example.org")
    tab = Tab(context_of(logs, more_flags=vars(flags)))
    assert tab.get("options", headers={"Host": host}).status_code == 200
    tab.close()


@pytest.mark.parametrize("route", ["index", "options", "preview", "status/x", "download/x"])
def test_routes_that_read_refuse_post(tab: Tab, route: str) -> None:
    response = tab.post(route, {})
    assert error_of(response, 405)[0] == "method"
    assert response.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("route", ["plan", "export", "cancel/x"])
def test_routes_that_change_something_refuse_get(tab: Tab, route: str) -> None:
    response = tab.get(route)
    assert error_of(response, 405)[0] == "method"
    assert response.headers["Allow"] == "POST"


def test_a_body_that_is_too_large_is_not_read(tab: Tab) -> None:
    response = tab.post(
        "export", data=b"", content_type="application/json", environ_overrides={"CONTENT_LENGTH": str(MAX_BODY + 1)}
    )
    assert error_of(response, 413)[0] == "too_large"


def test_a_body_of_unknown_length_is_not_read(tab: Tab) -> None:
    overrides = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    response = tab.post("export", data=b"{}", content_type="application/json", environ_overrides=overrides)
    assert error_of(response, 411)[0] == "length"


@pytest.mark.parametrize("route", ["status/x", "download/x", "status/..%2f..%2fx"])
def test_an_unknown_token_is_refused(tab: Tab, route: str) -> None:
    assert error_of(tab.get(route), 404)[0] == "no_export"


@pytest.mark.parametrize(
    "name", ["nope.js", "../plugin.py", "..%2fplugin.py", "%2e%2e/plugin.py", "/etc/passwd", "index.js/", "a/index.js"]
)
def test_only_the_page_s_own_files_are_served(tab: Tab, name: str) -> None:
    assert error_of(tab.client.get(f"/data/plugin/tb2csv/static/{name}"), 404)[0] == "no_file"


def test_the_script_is_served_as_one(tab: Tab) -> None:
    response = tab.client.get("/data/plugin/tb2csv/static/index.js")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert b"render" in response.data


def test_an_unexpected_error_is_json_and_in_the_log(
    tab: Tab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tab.index()

    def fail(*_: object) -> None:
        message = "no such luck in /home/somebody"
        raise RuntimeError(message)

    monkeypatch.setattr("tb2csv.tensorboard_plugin.export_service.preview_series", fail)
    code, message = error_of(tab.get("preview?run=train&tag=loss&kind=scalars"), 500)
    assert code == "internal"
    assert "somebody" not in message
    assert "no such luck" in caplog.text
