"""open_logdir: what its frames hold, what is read for them, and what happens to a log that grows."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from event_files import (
    HistogramProto,
    Value,
    bare_scalar,
    event,
    event_file,
    field,
    file_name,
    histogram,
    image,
    legacy_histogram,
    legacy_image,
    raw_event,
    raw_value,
    scalar,
    simple_value,
    tensor,
    tensor_of,
    text,
    write_run,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from scenarios import SCENARIOS
from tables import read_index
from test_scenarios import write_logs

import tb2csv
from tb2csv.errors import Tb2csvError
from tb2csv.selection import SECONDARY_KINDS
from tb2csv.sources.local_files import LocalFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.usefixtures("scanner")
def test_tables_equal_those_of_a_conversion(name: str, tmp_path: Path) -> None:
    """Every table that a tag has alone, of every scenario, is the same text from a frame."""
    scenario = SCENARIOS[name]()
    logdir = write_logs(tmp_path / "logs", scenario)
    tb2csv.convert(logdir, tmp_path / "out")
    rows = read_index(tmp_path / "out")
    frames = tb2csv.open_logdir(logdir)
    places = [(row["run"], row["tag"], row["kind"]) for row in rows]
    for row, place in zip(rows, places, strict=True):
        written = (tmp_path / "out" / row["path"]).read_bytes().decode()
        is_stored = written.partition("\n")[0].endswith(',"path"')
        if places.count(place) > 1 or row["kind"] == "hparams" or is_stored:
            continue
        if row["path"].endswith(".undecodable.csv"):
            continue
        frame = frames.table(*place)
        header = frame.clear().write_csv(quote_style="always" if pl.String in frame.dtypes else "necessary")
        assert header + frame.write_csv(include_header=False) == written, row["path"]


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


def test_runs_and_tags_are_selected_by_pattern_or_list(logdir: Path) -> None:
    frames = tb2csv.open_logdir(logdir)
    assert frames.scalars(run="b")["tag"].to_list() == ["loss", "acc"]
    assert frames.scalars(tag="a*")["run"].to_list() == ["b"]
    assert set(frames.scalars(tag=["acc", "lo*"], run=("b",))["tag"]) == {"acc", "loss"}


def test_tensors_have_a_row_for_each_element(logdir: Path) -> None:
    frame = tb2csv.open_logdir(logdir).tensors(run="a")
    assert frame.columns == ["run", "tag", "wall_time", "step", "i0", "i1", "value"]
    assert frame["value"].to_list() == [*np.arange(6.0), *(np.arange(6.0) + 5)]


def test_types_are_joined_if_nothing_is_lost(tmp_path: Path) -> None:
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
    read_at = LocalFile.read_at
    monkeypatch.setattr(LocalFile, "read_at", lambda *args: (opened.append(args[1:]), read_at(*args))[1])
    narrowed = lazy.filter(pl.col("i1") == 2).select("step", "value")
    assert not opened
    assert narrowed.collect().equals(expected.filter(pl.col("i1") == 2).select("step", "value"))
    assert opened
    assert lazy.collect().equals(expected)
    assert lazy.head(3).collect().equals(expected.head(3))


def payloads_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the length of each read but those of the first bytes, which show a compressed file."""
    lengths: list[int] = []
    read_at = LocalFile.read_at

    def counted(file: LocalFile, offset: int, length: int) -> bytes:
        if offset:
            lengths.append(length)
        return read_at(file, offset, length)

    monkeypatch.setattr(LocalFile, "read_at", counted)
    return lengths


def test_lazy_frames_decode_one_value_of_each_tag_for_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next ones only if that cannot be decoded."""
    arrays = [event(tensor("w", np.arange(4.0)), step=step) for step in range(50)]
    write_run(tmp_path, *arrays, raw_event(bad_tensor(b"b", "DT_FLOAT", (2,))), *arrays)
    frames = tb2csv.open_logdir(tmp_path)
    read = payloads_read(monkeypatch)
    lazy = frames.tensors(tag="w", lazy=True)
    assert read == [32]
    assert len(lazy.collect()) == 400
    assert frames.tensors(tag="b", lazy=True).collect().shape == (0, 0)


def bad_tensor(tag: bytes, dtype: str, shape: tuple[int, ...]) -> bytes:
    """Return a value whose payload is not what it says."""
    return raw_value(tag, field(8, tensor_of(dtype, shape, tensor_content=b"\0" * 7).SerializeToString()))


#: What polars makes of an error of ours while it collects: before version 2 it is one of its own that names ours.
OF_COLLECT = (
    tb2csv.Tb2csvError
    if int(pl.__version__.partition(".")[0]) >= 2
    else (tb2csv.Tb2csvError, pl.exceptions.ComputeError)
)

#: What may be drawn, by name: a value of a tag.
VALUES: dict[str, Callable[[str], Any]] = {
    "float32": lambda tag: simple_value(tag, 0.1),
    "float64": lambda tag: bare_scalar(tag, 0.1, "float64"),
    "int64": lambda tag: bare_scalar(tag, 3, "int64"),
    "large": lambda tag: bare_scalar(tag, 2**53 + 1, "int64"),
    "bool": lambda tag: bare_scalar(tag, True, "bool"),  # noqa: FBT003 - the number
    "bad scalar": lambda tag: bad_tensor(tag.encode(), "DT_INT16", ()),
    "vector": lambda tag: tensor(tag, np.array([0.1, 0.2], "f4"), None),
    "doubles": lambda tag: tensor(tag, np.array([[0.1, 0.2]]), None),
    "integers": lambda tag: tensor(tag, np.array([1, 2, 3]), None),
    "complex": lambda tag: tensor(tag, np.array([1j, 2]), None),
    "no elements": lambda tag: tensor(tag, np.zeros((0, 2), "f2"), None),
    "rank unknown": lambda tag: tensor(tag, unknown_rank([1.0, 2.0, 3.0]), None),
    "bad vector": lambda tag: bad_tensor(tag.encode(), "DT_FLOAT", (2,)),
    "bad doubles": lambda tag: bad_tensor(tag.encode(), "DT_DOUBLE", (1, 2)),
    "buckets": lambda tag: histogram(tag, [[0, 1, 2], [1, 2, 3]]),
    "legacy buckets": lambda tag: legacy_histogram(tag, [1.0, 2.0], [3.0, 4.0]),
    "bad buckets": lambda tag: legacy_histogram(tag, [1.0, 2.0], [3.0]),
}


def unknown_rank(numbers: list[float]) -> Any:
    proto = tensor_of("DT_DOUBLE", None, double_val=numbers)
    proto.tensor_shape.unknown_rank = True
    return proto


SELECTIONS = [
    None,
    tb2csv.RowSelection(sessions=True),
    tb2csv.RowSelection(min_step=3, max_step=5),
    tb2csv.RowSelection(every=2, last=True),
    tb2csv.RowSelection(restarts="supersede", sessions=True, max_step=4),
    tb2csv.RowSelection(min_step=100),
]

runs_of_values = st.lists(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(list(VALUES)), st.integers(0, 6)), max_size=8),
    min_size=1,
    max_size=3,
)


@settings(deadline=None, max_examples=150)
@given(files=runs_of_values, places=st.lists(st.booleans(), min_size=3, max_size=3), rows=st.sampled_from(SELECTIONS))
@example(files=[[("a", "vector", 0), ("a", "bad vector", 1)]], places=[True] * 3, rows=None)
@example(files=[[("a", "vector", 0), ("b", "doubles", 0), ("b", "bad doubles", 1)]], places=[True] * 3, rows=None)
@example(files=[[("a", "vector", 0)]], places=[True] * 3, rows=SELECTIONS[1])
@example(files=[[("a", "integers", 0), ("a", "vector", 5)]], places=[True] * 3, rows=SELECTIONS[2])
@example(files=[[("a", "no elements", 0), ("b", "vector", 0), ("c", "no elements", 3)]], places=[True] * 3, rows=None)
@pytest.mark.slow
def test_lazy_frames_equal_eager_frames(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[tuple[str, str, int]]],
    places: list[bool],
    rows: tb2csv.RowSelection | None,
) -> None:
    """Of any mixture of values, in any selection of rows: the same columns, types and rows, or the same error."""
    folder = tmp_path_factory.mktemp("logs")
    for number, values in enumerate(files):
        events = [raw_event(VALUES[name](tag), step=step, wall_time=100.0 * number) for tag, name, step in values]
        run = folder / ("first" if places[number] else "second")
        write_run(run, *events, name=file_name(number), wall_time=100.0 * number)
    frames = tb2csv.open_logdir(folder)
    kinds = {each.kind for each in frames.series()} if frames.report.values_read else set()
    for method in (frames.scalars, frames.histograms, frames.tensors):
        if method.__name__ not in kinds:
            continue
        try:
            expected = method(rows=rows)
        except tb2csv.Tb2csvError as error:
            with pytest.raises(OF_COLLECT, match=re.escape(str(error))):
                method(rows=rows, lazy=True).collect()
            continue
        lazy = method(rows=rows, lazy=True)
        assert lazy.collect_schema() == expected.schema
        assert_frame_equal(lazy.collect(), expected, check_exact=True)
        assert_frame_equal(lazy.head(3).collect(), expected.head(3), check_exact=True)
        if expected.columns:
            narrowed = lazy.filter(pl.col("step") > 2).select("tag", expected.columns[-1])
            assert_frame_equal(narrowed.collect(), expected.filter(pl.col("step") > 2)[:, [1, -1]], check_exact=True)


def test_the_type_of_a_late_series_is_known_before_its_rows_are_read(tmp_path: Path) -> None:
    values = [event(scalar("a", step), step=step) for step in range(5000)]
    write_run(tmp_path, *values, event(scalar("b", 0.1, "float64"), step=5000), event(scalar("a", 1), step=5001))
    frames = tb2csv.open_logdir(tmp_path)
    lazy = frames.scalars(lazy=True)
    assert lazy.collect_schema()["value"] == pl.Float64
    assert_frame_equal(lazy.collect(), frames.scalars())
    assert lazy.filter(tag="b").collect()["value"].to_list() == [0.1]


def test_a_lazy_frame_decodes_one_value_for_each_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the first runs with a signature have no value that can be decoded."""
    for number in range(40):
        is_bad = number < 3
        write_run(
            tmp_path / f"run_{number:02}",
            event(tensor("a", np.arange(4.0)), step=number),
            raw_event(bad_tensor(b"b", "DT_FLOAT", (2,)) if is_bad else tensor("b", np.zeros(2, np.float32))),
        )
    frames = tb2csv.open_logdir(tmp_path)
    read = payloads_read(monkeypatch)
    lazy = frames.tensors(lazy=True)
    assert len(read) == 4  # of the first run, and of those up to the first with a sound b
    eager = frames.tensors()
    assert_frame_equal(lazy.collect(), eager, check_exact=True)
    assert eager.group_by("tag").len().sort("tag").rows() == [("a", 40 * 4), ("b", 37 * 2)]


def test_a_lazy_frame_of_files_that_were_replaced_is_refused(logdir: Path) -> None:
    """Rather than to have fewer rows, or columns that are not those of what is there now."""
    frames = tb2csv.open_logdir(logdir)
    lazy = frames.scalars(run="a", lazy=True)
    (path,) = (logdir / "a").iterdir()
    path.write_bytes(event_file([event(simple_value("loss", 2.0), step=1)]))
    assert frames.refresh()
    with pytest.raises(OF_COLLECT, match="request them again"):
        lazy.collect()


def test_a_lazy_frame_has_values_added_since(tmp_path: Path) -> None:
    """But for what its columns cannot hold: values of which there were none before that could be decoded."""
    path = write_run(
        tmp_path, event(tensor("w", np.ones(2, "f4"), None)), raw_event(bad_tensor(b"b", "DT_DOUBLE", (2,)))
    )
    frames = tb2csv.open_logdir(tmp_path)
    lazy = frames.tensors(lazy=True)
    with path.open("ab") as file:
        file.write(event_file([event(tensor("w", np.zeros(2, "f4"), None))]))
    frames.refresh()
    assert lazy.collect()["value"].to_list() == [1.0, 1.0, 0.0, 0.0]
    with path.open("ab") as file:
        file.write(event_file([event(tensor("b", np.array([0.1, 0.2]), None))]))
    frames.refresh()
    with pytest.raises(OF_COLLECT, match="request them again"):
        lazy.collect()
    assert frames.tensors()["value"].to_list()[-1] == 0.2


def test_a_removed_file_raises_an_error(tmp_path: Path) -> None:
    """A file whose payloads are requested; the values in the columns are still there."""
    path = write_run(tmp_path, event(tensor("a", np.ones(2), None), simple_value("l", 1.0)))
    write_run(tmp_path / "b", event(tensor("a", np.ones(2), None)))
    frames = tb2csv.open_logdir(tmp_path)
    lazy = frames.tensors(lazy=True)
    path.unlink()
    gone = r"can no longer be read .*refresh"
    for ask in (frames.tensors, lambda: frames.table(".", "a"), lambda: frames.tensors(lazy=True)):
        with pytest.raises(tb2csv.LogdirError, match=gone):
            ask()
    with pytest.raises(OF_COLLECT, match=gone):
        lazy.collect()
    assert len(frames.scalars()) == 1
    assert frames.refresh()
    assert frames.tensors()["run"].to_list() == ["b", "b"]


def test_values_without_a_payload_add_no_bytes_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever they are said to be, and however far from one another."""
    empty = event(Value(tag="x", histo=HistogramProto()))
    filler = [event(text("t", "x" * 1000)) for _ in range(600)]
    write_run(tmp_path, empty, event(tensor("x", np.ones(2, "f4"), None)), empty, *filler, empty)
    frames = tb2csv.open_logdir(tmp_path)
    run = frames._scanned.runs["."]
    for offset in (0, 1, 10**6):
        for block in run._blocks:
            block.columns.payload_offset[block.columns.payload_length == 0] = offset
        with monkeypatch.context() as patch:
            read = payloads_read(patch)
            items = list(run.decode(lambda series: series.tag == "x"))
        assert sum(len(item.part.frame) for item in items if not item.part.kind) == 2
        assert read == [8]


def test_only_the_requested_payloads_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = np.arange(1 << 18, dtype=np.float64)
    write_run(
        tmp_path,
        event(tensor("first", np.arange(3.0)), step=0),
        event(tensor("large", large), step=0),
        event(tensor("last", np.arange(4.0)), step=0),
    )
    frames = tb2csv.open_logdir(tmp_path)
    read = payloads_read(monkeypatch)
    assert len(frames.tensors(tag=["first", "last"])) == 7
    assert sum(read) == 7 * 8
    assert frames.tensors(tag="large")["value"].to_list() == large.tolist()


def test_scalars_are_read_once(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = tb2csv.open_logdir(logdir)
    monkeypatch.setattr(LocalFile, "__init__", None)
    assert len(frames.scalars()) == 12


def test_refresh_reads_added_records(tmp_path: Path) -> None:
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


def test_tags_list_every_series(logdir: Path) -> None:
    tags = tb2csv.open_logdir(logdir).tags()
    assert tags.columns[:5] == ["run", "tag", "kind", "plugin_name", "points"]
    assert tags.row(0) == ("a", "loss", "scalars", "scalars", 10, 0, 9, 100.0, 109.0)
    assert tags.filter(kind="tensors").height == 1


def test_unknown_names_suggest_the_nearest(logdir: Path) -> None:
    frames = tb2csv.open_logdir(logdir)
    with pytest.raises(tb2csv.Tb2csvError, match="'loss'"):
        frames.scalars(tag="lsos")
    with pytest.raises(tb2csv.LogdirError, match="'a'"):
        frames.scalars(run="aa")
    with pytest.raises(tb2csv.Tb2csvError, match="Unknown kind 'scalar'"):
        frames.tags(kind="scalar")
    with pytest.raises(tb2csv.Tb2csvError, match="the log has scalars, tensors"):
        frames.histograms()


def test_a_name_of_another_kind_is_not_proposed(tmp_path: Path) -> None:
    write_run(tmp_path, event(simple_value("loss", 1.0), text("losses", "words")))
    frames = tb2csv.open_logdir(tmp_path)
    with pytest.raises(tb2csv.NameNotFoundError) as of_name:
        frames.text(tag="loss")
    assert str(of_name.value) == "No tag that matches 'loss' has values of the kind text; there are scalars."
    with pytest.raises(tb2csv.NameNotFoundError) as of_left:
        tb2csv.summary(tmp_path, kind="text", exclude_tag="losses")
    assert str(of_left.value) == "No tag that is not excluded has values of the kind text; there are scalars."
    with pytest.raises(tb2csv.NameNotFoundError) as of_typo:
        frames.text(tag="los")
    assert str(of_typo.value) == "No tag matches 'los'; the nearest is 'losses'."


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


def test_tags_that_read_alike_keep_their_own_bytes(tmp_path: Path) -> None:
    """One of them is not UTF-8, and reads like the other; both have a file of the same name."""
    pictures = [b"\x89PNG\r\n\x1a\nA", b"\x89PNG\r\n\x1a\nB"]
    values = [legacy_image("t_xx", 1, 1, pictures[0]), legacy_image(r"t_\xff\xfe", 1, 1, pictures[1])]
    serialized = [raw_event(value, step=step) for step, value in enumerate(values)]
    write_run(tmp_path, serialized[0].replace(b"t_xx", b"t_\xff\xfe"), serialized[1])
    table = tb2csv.open_logdir(tmp_path).table(".", r"t_\xff\xfe")
    assert table.select("step", "data").rows() == list(enumerate(pictures))


def test_frames_become_those_of_pandas(logdir: Path) -> None:
    frame = tb2csv.open_logdir(logdir).scalars().to_pandas()
    assert list(frame.columns) == ["run", "tag", "wall_time", "step", "value"]
    assert frame["value"].dtype == np.float32
    assert frame["step"].tolist() == [*range(10), 3, 3]


def test_the_repr_counts_runs_and_values(logdir: Path) -> None:
    frames = tb2csv.open_logdir(logdir)
    assert repr(frames) == f"<LogdirFrames {os.fspath(logdir)!r}: 2 runs, 3 tags, 14 values>"
    assert "<table" in frames._repr_html_()


def with_contents(tag: str, number: float, content: bytes) -> Any:
    """Return a scalar whose plugin keeps something in its metadata."""
    return tensor(tag, np.float32(number), "scalars", content=content)


def test_plugin_contents_have_a_table_of_their_own(tmp_path: Path) -> None:
    contents = [b"a", b"a", b"b", b"a"]
    events = [event(with_contents("x", s, each), step=s, wall_time=2.0) for s, each in enumerate(contents)]
    write_run(tmp_path, *events)
    log = tb2csv.open_logdir(tmp_path)
    expected = [(2.0, 0, "YQ=="), (2.0, 2, "Yg=="), (2.0, 3, "YQ==")]
    for _ in range(2):  # the second call begins anew
        frame = log.table(".", "x", "plugin_contents")
        assert frame.columns == ["wall_time", "step", "content"]
        assert frame.rows() == expected
    assert log.table(".", "x")["value"].to_list() == [0.0, 1.0, 2.0, 3.0]
    assert log.table(".", "x", "scalars").equals(log.table(".", "x"))


def test_plugin_contents_are_those_of_the_selected_rows(tmp_path: Path) -> None:
    events = [event(with_contents("x", s, each), step=s) for s, each in enumerate([b"a", b"b", b"b", b"c"])]
    write_run(tmp_path, *events)
    frame = tb2csv.open_logdir(tmp_path).table(".", "x", "plugin_contents", rows=tb2csv.RowSelection(min_step=2))
    assert frame["content"].to_list() == ["Yg==", "Yw=="]


def test_statistics_of_legacy_histograms_have_a_table_of_their_own(tmp_path: Path) -> None:
    write_run(tmp_path, event(legacy_histogram("h", [1.0, 2.0], [3.0, 4.0], min=0.5, max=1.5, num=7, sum=9), step=4))
    frame = tb2csv.open_logdir(tmp_path).table(".", "h", "histogram_stats")
    assert frame.select("step", "min", "max", "num", "sum").rows() == [(4, 0.5, 1.5, 7.0, 9.0)]


@pytest.mark.parametrize("kind", SECONDARY_KINDS)
def test_a_tag_without_a_secondary_table_is_refused(tmp_path: Path, kind: str) -> None:
    write_run(tmp_path, event(with_contents("x", 1.5, b"a")), event(with_contents("x", 2.5, b"a"), step=1))
    with pytest.raises(Tb2csvError, match=rf"'x' of run '\.' does not have a table of the kind '{kind}'"):
        tb2csv.open_logdir(tmp_path).table(".", "x", kind)
    with pytest.raises(Tb2csvError, match="nothing"):
        tb2csv.open_logdir(tmp_path).table(".", "nothing", kind)
