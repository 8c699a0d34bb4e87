"""open_logdir: what its frames hold, what is read for them, and what happens to a log that grows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from event_files import event, event_file, file_name, image, scalar, simple_value, tensor, text, write_run
from scenarios import SCENARIOS
from tables import read_index
from test_scenarios import write_logs

import tb2csv
from tb2csv.logdir import EventFileSource

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.usefixtures("scanner")
def test_tables_are_those_of_a_conversion(name: str, tmp_path: Path) -> None:
    """Every table that a tag has alone, of every scenario, is the same text from a frame."""
    scenario = SCENARIOS[name]()
    logdir = write_logs(tmp_path / "logs", scenario)
    tb2csv.convert(logdir, tmp_path / "out")
    rows = read_index(tmp_path / "out")
    frames = tb2csv.open_logdir(logdir)
    places = [(row["run"], row["tag"], row["kind"]) for row in rows]
    for row, place in zip(rows, places, strict=True):
        written = (tmp_path / "out" / row["path"]).read_bytes().decode()
        is_stored = ",path\n" in written.partition("\n")[0] + "\n"
        if places.count(place) > 1 or row["kind"] in {"hparams", "histogram_stats"} or is_stored:
            continue
        if row["path"].endswith(".undecodable.csv"):
            continue
        assert frames.table(*place).write_csv() == written, row["path"]


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    events = [event(simple_value("loss", 10.0 - step), step=step, wall_time=100.0 + step) for step in range(10)]
    events += [event(tensor("w", np.arange(6.0).reshape(2, 3) + step), step=step, wall_time=200.0) for step in (0, 5)]
    write_run(tmp_path / "a", *events)
    write_run(
        tmp_path / "b", event(scalar("loss", 0.5), event_tag := simple_value("acc", 0.25), step=3, wall_time=50.0)
    )
    assert event_tag
    return tmp_path


def test_scalars_have_a_row_for_each_value(logdir: Path) -> None:
    frame = tb2csv.open_logdir(logdir).scalars()
    assert frame.columns == ["run", "tag", "wall_time", "step", "value"]
    assert frame["run"].to_list() == ["a"] * 10 + ["b", "b"]
    assert frame["tag"].to_list() == ["loss"] * 10 + ["loss", "acc"]
    assert frame["value"].to_list() == [10.0 - step for step in range(10)] + [0.5, 0.25]
    assert frame.schema["value"] == pl.Float32


def test_runs_and_tags_are_chosen_by_pattern_or_list(logdir: Path) -> None:
    frames = tb2csv.open_logdir(logdir)
    assert frames.scalars(run="b")["tag"].to_list() == ["loss", "acc"]
    assert frames.scalars(tag="a*")["run"].to_list() == ["b"]
    assert set(frames.scalars(tag=["acc", "lo*"], run=("b",))["tag"]) == {"acc", "loss"}


def test_tensors_have_a_row_for_each_element(logdir: Path) -> None:
    frame = tb2csv.open_logdir(logdir).tensors(run="a")
    assert frame.columns == ["run", "tag", "wall_time", "step", "i0", "i1", "value"]
    assert frame["value"].to_list() == [*np.arange(6.0), *(np.arange(6.0) + 5)]


def test_types_that_differ_are_joined_where_nothing_is_lost(tmp_path: Path) -> None:
    write_run(tmp_path, event(tensor("i", np.int64(2**53)), simple_value("f", 0.1), step=1))
    frame = tb2csv.open_logdir(tmp_path).scalars()
    assert frame["value"].to_list() == [float(2**53), float(np.float32(0.1))]
    write_run(tmp_path / "large", event(tensor("i", np.int64(2**53 + 1)), step=1))
    frames = tb2csv.open_logdir(tmp_path)
    with pytest.raises(tb2csv.Tb2csvError, match="too large"):
        frames.scalars()
    assert frames.scalars(run="large")["value"].to_list() == [2**53 + 1]


def test_lazy_frames_decode_when_they_are_collected(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = tb2csv.open_logdir(logdir)
    lazy = frames.tensors(lazy=True)
    expected = frames.tensors()
    opened = []
    read_at = EventFileSource.read_at
    monkeypatch.setattr(EventFileSource, "read_at", lambda *args: (opened.append(args[1:]), read_at(*args))[1])
    narrowed = lazy.filter(pl.col("i1") == 2).select("step", "value")
    assert not opened
    assert narrowed.collect().equals(expected.filter(pl.col("i1") == 2).select("step", "value"))
    assert opened
    assert lazy.collect().equals(expected)
    assert lazy.head(3).collect().equals(expected.head(3))


def test_only_the_payloads_that_are_asked_for_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = np.arange(1 << 18, dtype=np.float64)
    write_run(
        tmp_path,
        event(tensor("first", np.arange(3.0)), step=0),
        event(tensor("large", large), step=0),
        event(tensor("last", np.arange(4.0)), step=0),
    )
    frames = tb2csv.open_logdir(tmp_path)
    read = []
    read_at = EventFileSource.read_at
    monkeypatch.setattr(EventFileSource, "read_at", lambda *args: (read.append(args[2]), read_at(*args))[1])
    assert len(frames.tensors(tag=["first", "last"])) == 7
    assert sum(read) == 7 * 8
    assert frames.tensors(tag="large")["value"].to_list() == large.tolist()


def test_nothing_is_read_where_the_columns_have_it(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = tb2csv.open_logdir(logdir)
    monkeypatch.setattr(EventFileSource, "__init__", None)
    assert len(frames.scalars()) == 12


def test_what_a_writer_adds_is_read_by_refresh(tmp_path: Path) -> None:
    path = tmp_path / "run" / file_name(1)
    path.parent.mkdir()
    first = event_file(event(simple_value("loss", float(step)), step=step) for step in range(100))
    rest = event_file(event(simple_value("loss", float(step)), step=step) for step in range(100, 105))
    path.write_bytes(first)
    frames = tb2csv.open_logdir(tmp_path)
    assert not frames.refresh()
    with path.open("ab") as file:
        file.write(rest[:-3])  # the last record is unfinished
    passed: list[int] = []
    assert frames.refresh(passed.append)
    assert sum(passed) == len(rest) - 3 or sum(passed) == len(rest)
    assert frames.scalars()["step"].to_list() == list(range(104))
    assert frames.report.sources[0][1].incomplete_tail_bytes
    with path.open("ab") as file:
        file.write(rest[-3:])
    assert frames.refresh()
    assert frames.scalars()["step"].to_list() == list(range(105))
    account = frames.report.sources[0][1]
    assert (account.bytes, account.record_bytes, account.incomplete_tail_bytes) == (len(first + rest),) * 2 + (0,)
    assert frames.scalars().equals(tb2csv.open_logdir(tmp_path).scalars())


def test_new_runs_and_new_files_are_found_by_refresh(logdir: Path) -> None:
    frames = tb2csv.open_logdir(logdir)
    write_run(logdir / "c", event(simple_value("loss", 1.0), step=0))
    write_run(
        logdir / "a", event(simple_value("loss", 7.5), step=99, wall_time=1e9), name=file_name(10**9), wall_time=1e9
    )
    assert frames.refresh()
    assert frames.runs == ["a", "b", "c"]
    assert frames.scalars(run="a")["step"].to_list()[-1] == 99
    assert frames.scalars().equals(tb2csv.open_logdir(logdir).scalars())


def test_a_file_that_was_replaced_is_read_again(logdir: Path) -> None:
    frames = tb2csv.open_logdir(logdir)
    (path,) = (logdir / "a").iterdir()
    path.write_bytes(event_file([event(simple_value("other", 2.0), step=1)]))
    assert frames.refresh()
    assert frames.tags(run="a")["tag"].to_list() == ["other"]
    assert frames.scalars(run="a")["value"].to_list() == [2.0]


def test_files_that_grow_in_turn_give_the_rows_of_one_reading(tmp_path: Path) -> None:
    paths = [tmp_path / file_name(second) for second in (1, 2)]
    for number, path in enumerate(paths):
        path.write_bytes(event_file([event(simple_value("loss", 0.0), step=number, wall_time=number + 1.0)]))
    frames = tb2csv.open_logdir(tmp_path)
    for step in range(10, 14):
        with paths[step % 2].open("ab") as file:
            file.write(event_file([event(simple_value("loss", 1.0), step=step, wall_time=50.0)]))
        assert frames.refresh()
    assert frames.scalars().equals(tb2csv.open_logdir(tmp_path).scalars())
    assert frames.scalars()["step"].to_list() == [0, 10, 12, 1, 11, 13]


def test_tags_tell_what_there_is(logdir: Path) -> None:
    tags = tb2csv.open_logdir(logdir).tags()
    assert tags.columns[:5] == ["run", "tag", "kind", "plugin_name", "points"]
    assert tags.row(0) == ("a", "loss", "scalars", "scalars", 10, 0, 9, 100.0, 109.0)
    assert tags.filter(kind="tensors").height == 1


def test_names_that_are_not_there_are_answered_with_the_nearest(logdir: Path) -> None:
    frames = tb2csv.open_logdir(logdir)
    with pytest.raises(tb2csv.Tb2csvError, match="'loss'"):
        frames.scalars(tag="lsos")
    with pytest.raises(tb2csv.LogdirError, match="'a'"):
        frames.scalars(run="aa")
    with pytest.raises(tb2csv.Tb2csvError, match="no kind 'scalar'"):
        frames.tags(kind="scalar")
    with pytest.raises(tb2csv.Tb2csvError, match="there are scalars, tensors"):
        frames.histograms()


def test_a_name_with_pattern_characters_is_a_name(tmp_path: Path) -> None:
    write_run(tmp_path / "r[1]", event(simple_value("a*", 1.0), simple_value("ab", 2.0), step=0))
    assert tb2csv.open_logdir(tmp_path).table("r[1]", "a*")["value"].to_list() == [1.0]


def test_a_tag_of_two_kinds_needs_a_kind(tmp_path: Path) -> None:
    write_run(tmp_path, event(simple_value("x", 1.0), step=0), event(text("x", "words"), step=1))
    frames = tb2csv.open_logdir(tmp_path)
    with pytest.raises(tb2csv.Tb2csvError, match="scalars and text"):
        frames.table(".", "x")
    assert frames.table(".", "x", "text")["text"].to_list() == ["words"]


def test_media_come_with_their_bytes(tmp_path: Path) -> None:
    write_run(tmp_path, event(image("picture", 2, 1, b"\x89PNG\r\n\x1a\n-one"), step=4))
    table = tb2csv.open_logdir(tmp_path).table(".", "picture")
    assert "path" not in table.columns
    assert table["data"].to_list() == [b"\x89PNG\r\n\x1a\n-one"]


def test_frames_become_those_of_pandas(logdir: Path) -> None:
    frame = tb2csv.open_logdir(logdir).scalars().to_pandas()
    assert list(frame.columns) == ["run", "tag", "wall_time", "step", "value"]
    assert frame["value"].dtype == np.float32
    assert frame["step"].tolist() == [*range(10), 3, 3]


def test_the_repr_tells_how_much_there_is(logdir: Path) -> None:
    frames = tb2csv.open_logdir(logdir)
    assert repr(frames) == f"<LogdirFrames {os.fspath(logdir)!r}: 2 runs, 3 tags, 14 values>"
    assert "<table" in frames._repr_html_()
