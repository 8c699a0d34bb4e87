"""The formats: every cell survives in each of them; pieces and whole tables, alone and together."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import warnings
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from converted import READERS
from event_files import event, image, scalar, simple_value, text, write_run
from hypothesis import given, settings
from hypothesis import strategies as st
from make_expected import SAMPLE_LOGS
from tables import parse_lines, read_index, read_tree

import tb2csv
from tb2csv.cli import table_options
from tb2csv.errors import OptionError
from tb2csv.formula_escaping import escape_formulas, unescape_formulas
from tb2csv.sinks import append_writer, row_buffer
from tb2csv.sinks import csv as csv_format
from tb2csv.sinks.append_writer import AppendWriter, TableRows
from tb2csv.sinks.csv import CsvFormat
from tb2csv.sinks.format_protocols import TextFormat, WholeFormat
from tb2csv.sinks.formats import FORMATS, choose_format
from tb2csv.sinks.jsonl import JsonLinesFormat
from tb2csv.sinks.output_folder import OutputFolder
from tb2csv.sinks.row_buffer import RowBuffer
from tb2csv.sinks.table_writer import TableWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: The character that is left out is what the reader of Zstandard in converted.py takes for a separator.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1e"), max_size=8)
CELLS: dict[Any, st.SearchStrategy[Any]] = {
    pl.Float32: st.floats(width=32),
    pl.Float64: st.floats(),
    pl.Int64: st.integers(-(2**63), 2**63 - 1),
    pl.UInt64: st.integers(0, 2**64 - 1),
    pl.UInt8: st.integers(0, 255),
    pl.Boolean: st.booleans(),
    pl.String: TEXTS,
    pl.Datetime("us", "UTC"): st.datetimes().map(lambda moment: moment.replace(tzinfo=None)),
}


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    """Return a frame of the types that tables have, with cells missing."""
    dtypes = draw(st.lists(st.sampled_from(list(CELLS)), min_size=1, max_size=4))
    size = draw(st.integers(0, 12))
    names = draw(st.lists(TEXTS, min_size=len(dtypes), max_size=len(dtypes), unique=True))
    columns = []
    for name, dtype in zip(names, dtypes, strict=True):
        cells = draw(st.lists(st.one_of(st.none(), CELLS[dtype]), min_size=size, max_size=size))
        if dtype == pl.Datetime("us", "UTC"):
            columns.append(pl.Series(name, cells, dtype=pl.Datetime("us")).dt.replace_time_zone("UTC"))
        else:
            columns.append(pl.Series(name, cells, dtype=dtype))
    return pl.DataFrame(columns)


def dtypes_of(frame: pl.DataFrame) -> dict[str, str]:
    return {name: "datetime" if dtype.is_temporal() else str(dtype).lower() for name, dtype in frame.schema.items()}


def same(rows: list[Any], frame: pl.DataFrame) -> bool:
    """Say whether rows are those of a frame, bit for bit, once they have its types."""
    found = pl.DataFrame(
        [
            pl.Series(name, cells, dtype=dtype, strict=False)
            for (name, dtype), cells in zip(
                frame.schema.items(), zip(*rows, strict=True) if rows else [[]] * frame.width, strict=True
            )
        ]
    )
    signs = [
        (pl.nth(number).is_nan() | (1 / pl.nth(number) == -pl.lit(float("inf")))).alias(name)
        for number, (name, dtype) in enumerate(frame.schema.items())
        if dtype.is_float()
    ]
    return found.equals(frame) and (not signs or found.select(signs).equals(frame.select(signs)))


READER_KEYS = {
    "csv": ("csv", ""),
    "csv.gz": ("csv", "gz"),
    "csv.zst": ("csv", "zst"),
    "jsonl": ("jsonl", ""),
    "parquet": ("parquet", ""),
    "arrow": ("arrow", ""),
}


@pytest.mark.parametrize("name", READER_KEYS)
@settings(deadline=None, max_examples=60)
@given(frame=frames(), cut=st.integers(0, 12))
@pytest.mark.slow
def test_every_cell_reads_back(
    name: str, tmp_path_factory: pytest.TempPathFactory, frame: pl.DataFrame, cut: int
) -> None:
    table_format = choose_format(name)
    path = tmp_path_factory.mktemp("format") / f"table{table_format.suffix}"
    if isinstance(table_format, TextFormat):
        pieces = [frame[:cut], frame[cut:]]
        for is_first, piece in zip((True, False), pieces, strict=True):
            with path.open("ab") as file:
                table_format.append(piece, file, is_first=is_first)
    else:
        table_format.write(frame.lazy(), str(path))
    names, rows = READERS[READER_KEYS[name]](path.read_bytes(), dtypes_of(frame))
    assert names == frame.columns
    assert same(rows, frame)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("tag", ["*", "^.*$", "^loss$", 'say "x"', "two\nlines", '",\n"'])
def test_any_name_of_a_column_reads_back(tmp_path: Path, name: str, tag: str) -> None:
    """To polars, a column chosen by the name ``*`` is all columns, and one by ``^…$`` all that match."""
    write_run(tmp_path / "logs", event(scalar("loss", 1.5), scalar(tag, 2.5), text("note", "=1")))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="wide", format=name, escape_formulas=True)
    tables = tb2csv.open_tables(tmp_path / "out")
    (wide,) = (tables[path] for path in tables if path.startswith("scalars."))
    assert wide.rows(named=True) == [{"step": 0, "wall_time": 0.0, "loss": 1.5, tag: 2.5}]


def test_formulas_in_a_column_named_as_a_pattern_are_escaped_and_back() -> None:
    frame = pl.DataFrame({"a": ["=1", "'=1"], "*": ["+2", "x"], "^a$": ["-3", None]})
    escaped = escape_formulas(frame)
    assert escaped.rows() == [("'=1", "'+2", "'-3"), ("''=1", "x", None)]
    assert unescape_formulas(escaped).equals(frame)


def test_json_lines_with_null_write_numbers_only(tmp_path: Path) -> None:
    """As text, the same cells make DuckDB, pandas and polars take the column for text."""
    values = [0.1, float("nan"), float("inf"), -float("inf"), -0.0]
    events = [event(scalar("loss", value, "float64"), text("note", "NaN"), step=s) for s, value in enumerate(values)]
    write_run(tmp_path / "logs", *events)
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", format="jsonl-null")
    lines = (tmp_path / "out" / "scalars" / "loss.jsonl").read_text("utf-8").splitlines()
    assert lines[1] == '{"wall_time":0.0,"step":1,"value":null}'
    assert [json.loads(line)["value"] for line in lines] == [0.1, None, None, None, -0.0]
    notes = (tmp_path / "out" / "text" / "note.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["text"] for line in notes] == ["NaN"] * 5
    table = tb2csv.open_tables(tmp_path / "out")["scalars/loss.jsonl"]
    assert table["value"].to_list() == [0.1, None, None, None, -0.0]


def test_json_lines_are_strict_json() -> None:
    frame = pl.DataFrame(
        {
            'a"b\n': pl.Series([0.1, float("nan"), float("inf"), -float("inf"), None], dtype=pl.Float32),
            "n": pl.Series([2**64 - 1, 0, None, 1, 2], dtype=pl.UInt64),
            "t": ['x\n"\\\0\u2028ä', "", None, "}", "null"],
        }
    )
    assert JsonLinesFormat().lines(frame).decode().splitlines(keepends=True)[0].startswith('{"a\\"b\\n":0.1,"n":')

    def refuse(word: str) -> None:
        raise AssertionError(word)

    lines = JsonLinesFormat().lines(frame).decode().split("\n")[:-1]
    assert [json.loads(line, parse_constant=refuse) for line in lines] == [
        {'a"b\n': 0.1, "n": 2**64 - 1, "t": 'x\n"\\\0\u2028ä'},
        {'a"b\n': "NaN", "n": 0, "t": ""},
        {'a"b\n': "Infinity", "n": None, "t": None},
        {'a"b\n': "-Infinity", "n": 1, "t": "}"},
        {'a"b\n': None, "n": 2, "t": "null"},
    ]


def test_members_of_compressed_tables_read_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_format, "MEMBER_BYTES", 500)
    write_run(tmp_path / "logs", *(event(scalar("x", i), text("t", f"line\n{i}"), step=i) for i in range(300)))
    for name in ("csv", "csv.gz", "csv.zst"):
        tb2csv.convert(tmp_path / "logs", tmp_path / f"{name}-parts", format=name, chunk_size=1000)
        tb2csv.convert(tmp_path / "logs", tmp_path / f"{name}-at-once", format=name)
        assert read_tree(tmp_path / f"{name}-parts") == read_tree(tmp_path / f"{name}-at-once")
    plain = (tmp_path / "csv-parts" / "scalars" / "x.csv").read_bytes()
    packed = (tmp_path / "csv.gz-parts" / "scalars" / "x.csv.gz").read_bytes()
    assert gzip.decompress(packed) == plain
    assert packed.count(b"\x1f\x8b\x08") > 1
    assert packed[4:8] == bytes(4)  # no time of writing, which would make each conversion another
    expected = pl.read_csv(plain)
    assert pl.read_csv(tmp_path / "csv.gz-parts" / "scalars" / "x.csv.gz").equals(expected)
    assert pl.read_csv(tmp_path / "csv.zst-parts" / "scalars" / "x.csv.zst").equals(expected)


@settings(deadline=None, max_examples=60)
@given(
    pieces=st.lists(st.tuples(frames(), st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=4),
    name=st.sampled_from([name for name, each in FORMATS.items() if isinstance(each, TextFormat)]),
    large=st.integers(0, 13),
    waiting=st.integers(0, 30),
)
@pytest.mark.slow
def test_tables_are_the_same_together_and_alone(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[tuple[pl.DataFrame, int, int]],
    name: str,
    large: int,
    waiting: int,
) -> None:
    text_format = FORMATS[name]
    assert isinstance(text_format, TextFormat)
    out = tmp_path_factory.mktemp("sink") / "out"
    expected: dict[str, bytes] = {}
    with pytest.MonkeyPatch.context() as patch, OutputFolder(out) as folder:
        patch.setattr(append_writer, "_LARGE", large)
        patch.setattr(append_writer, "_WAITING", waiting)
        sink = AppendWriter(folder, text_format)
        for number, (frame, *cuts) in enumerate(pieces * 2):
            borders = [0, *sorted(min(cut, len(frame)) for cut in cuts), len(frame)]
            tables = [
                TableRows(f"{number % len(pieces)}/{i}", *rows, is_first=number < len(pieces))
                for i, rows in enumerate(itertools.pairwise(borders))
            ]
            sink.append(frame, tables)
            for path, start, stop, _ in tables:
                alone = io.BytesIO()
                text_format.append(frame[start:stop], alone, is_first=path not in expected)
                expected[path] = expected.get(path, b"") + alone.getvalue()
        sink.flush()
    assert read_tree(out) == expected


# Rows that are held


@settings(deadline=None, max_examples=100)
@given(
    pieces=st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3), min_size=1, max_size=8),
    budget=st.sampled_from([0, 100, 400, 1 << 30]),
    rows=st.integers(1, 12),
    sparse=st.sampled_from([1, 8]),
    order=st.permutations(range(3)),
)
@pytest.mark.slow
def test_buffered_rows_keep_their_order(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[list[int]],
    budget: int,
    rows: int,
    sparse: int,
    order: list[int],
) -> None:
    """Three tables of two sorts of columns, which share their pieces."""
    expected: list[list[tuple[int, str | None]]] = [[], [], []]
    numbers = itertools.count()
    with pytest.MonkeyPatch.context() as patch, OutputFolder(tmp_path_factory.mktemp("held") / "out") as folder:
        patch.setattr(row_buffer, "_BATCH_ROWS", rows)
        patch.setattr(row_buffer, "_SPARSE", sparse)
        held = RowBuffer(folder, budget)
        for sizes in pieces:
            cells = [(next(numbers), None if size % 2 else "text") for size in sizes for _ in range(size)]
            bounds = [0, *itertools.accumulate(sizes)]
            frame = pl.DataFrame(cells, {"n": pl.Int64, "t": pl.String}, orient="row")
            held.append(frame, [TableRows(str(i), *bounds[i : i + 2], is_first=True) for i in range(3)])
            held.append(
                frame.select("n"), [TableRows(f"other {i}", *bounds[i : i + 2], is_first=True) for i in range(3)]
            )
            for i in range(3):
                expected[i] += cells[bounds[i] : bounds[i + 1]]
        batches = list(held.batches(str(i) for i in order))
        found = [
            (order[owner], row) for batch in batches for owner, row in zip(batch.table, batch.frame.rows(), strict=True)
        ]
        assert found == [(i, row) for i in order for row in expected[i]]
        sizes = [len(batch.frame) for batch in batches]
        assert all(size == rows for size in sizes[:-1])  # the number of rows alone decides the end of a batch
        for i in range(3):
            parts = [part.read() for part in held.parts(f"other {i}")]
            assert [number for part in parts for number in part["n"]] == [number for number, _ in expected[i]]
            held.release(str(i))
            held.release(f"other {i}")
        assert held._used == 0


def test_a_table_in_pieces_is_written_whole_from_files(tmp_path: Path) -> None:
    """In their order, even if there are more files than digits in a name."""
    pieces = [pl.DataFrame({"n": range(i * 10, i * 10 + 10), "t": [str(i)] * 10}) for i in range(23)]
    with OutputFolder(tmp_path / "out") as folder:
        writer = TableWriter(folder, FORMATS["parquet"], RowBuffer(folder))
        writer.write("many.parquet", pieces)
        writer.write("one.parquet", pieces[:1])
    assert pl.read_parquet(tmp_path / "out" / "many.parquet").equals(pl.concat(pieces))
    assert pl.read_parquet(tmp_path / "out" / "one.parquet").equals(pieces[0])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["many.parquet", "one.parquet"]


@pytest.mark.parametrize("sparse", [1, 1 << 30])
def test_the_name_of_a_folder_is_not_a_pattern(sparse: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that waited in its files are found: those of tables in pieces, and those that were too many to hold."""
    monkeypatch.setattr(row_buffer, "_SPARSE", sparse)
    pieces = [pl.DataFrame({"n": range(i * 10, i * 10 + 10)}) for i in range(3)]
    for name in ("out[1]", "{out,in}", "out"):
        with OutputFolder(tmp_path / "a[b]c" / name) as folder:
            held = RowBuffer(folder, budget=0)
            for piece in pieces:
                held.append(piece, [TableRows("x", 2, 7, is_first=True)])
            assert pl.concat(batch.frame for batch in held.batches(["x"])).equals(pl.concat(p[2:7] for p in pieces))
            TableWriter(folder, FORMATS["parquet"], held).write("many.parquet", pieces)
        written = (tmp_path / "a[b]c" / name / "many.parquet").read_bytes()
        assert pl.read_parquet(written).equals(pl.concat(pieces))


def test_arrow_files_have_types_that_every_reader_knows(tmp_path: Path) -> None:
    """Text as LargeUtf8, whose name no file with view types has."""
    FORMATS["arrow"].write(
        pl.LazyFrame({"t": ["a long text, which a view would not hold itself"]}), str(tmp_path / "x")
    )  # type: ignore[union-attr]
    assert (tmp_path / "x").read_bytes()[:6] == b"ARROW1"
    assert pl.read_ipc(tmp_path / "x")["t"].to_list() == ["a long text, which a view would not hold itself"]


# Formats from outside


class Shouting(CsvFormat):
    """CSV that is recognized by its ending."""

    def __init__(self) -> None:
        super().__init__()
        self.suffix = ".shout"


def test_an_installed_format_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("shout", f"{__name__}:Shouting", "tb2csv.sinks")]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points if group == "tb2csv.sinks" else [])
    monkeypatch.setattr(EntryPoint, "load", lambda _: Shouting())
    write_run(tmp_path / "logs", event(scalar("x", 1)))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", format="shout")
    assert (tmp_path / "out" / "scalars" / "x.shout").read_text() == "wall_time,step,value\n0.0,0,1.0\n"
    with pytest.raises(OptionError, match="arrow, jsonl, jsonl-null, shout"):
        choose_format("whisper")


def test_every_format_is_either_text_or_whole() -> None:
    for name, each in FORMATS.items():
        assert isinstance(each, TextFormat) != isinstance(each, WholeFormat)
        assert each.suffix == f".{name.removesuffix('-null')}"


# As TensorBoard downloads them


@pytest.fixture(scope="module")
def downloaded() -> Callable[[Path, str, str], str]:
    """Return what TensorBoard's own scalars plugin gives for a log, a run and a tag."""
    from tensorboard import context
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.plugins.base_plugin import TBContext

    with warnings.catch_warnings():  # of a package that it brings along
        warnings.simplefilter("ignore", DeprecationWarning)
        from tensorboard.plugins.scalar.scalars_plugin import ScalarsPlugin

    plugins: dict[Path, Any] = {}

    def download(logdir: Path, run: str, tag: str) -> str:
        if logdir not in plugins:
            multiplexer = EventMultiplexer(tensor_size_guidance={"scalars": 0})
            multiplexer.AddRunsFromDirectory(str(logdir))
            multiplexer.Reload()
            provider = MultiplexerDataProvider(multiplexer, str(logdir))
            plugins[logdir] = ScalarsPlugin(TBContext(data_provider=provider, sampling_hints={"scalars": 1 << 30}))
        body, _ = plugins[logdir].scalars_impl(context.RequestContext(), tag, run, "", "csv")
        assert isinstance(body, str)
        return body

    return download


@pytest.mark.parametrize("log", ["own", "samples"])
def test_the_download_header_is_tensorboards(
    log: str, tmp_path: Path, downloaded: Callable[[Path, str, str], str]
) -> None:
    logdir = SAMPLE_LOGS
    if log == "own":
        logdir = tmp_path / "logs"
        numbers = [0.1, 1e-5, 1e16, 123456789.0, float("nan"), float("inf"), -float("inf"), -0.0, 3.4e38, 1e-45]
        for run in (".", "a/b", "a_b"):
            write_run(
                logdir / run,
                *(
                    event(
                        simple_value("legacy", number),
                        scalar("double", number, "float64"),
                        scalar('odd, "tag"/x:y', number),
                        scalar("whole", step - 5, "int64"),
                        scalar("truth", step % 2, "bool"),
                        step=step - 3,
                        wall_time=1.7e9 + step / 7,
                    )
                    for step, number in enumerate(numbers)
                ),
            )
    tb2csv.convert(logdir, tmp_path / "out", header="tensorboard")
    rows = [row for row in read_index(tmp_path / "out") if row["kind"] == "scalars"]
    assert len(rows) > 10
    for row in rows:
        assert row["path"].startswith("run-")
        assert "/" not in row["path"]
        if row["plugin_name"]:  # TensorBoard shows no others
            written = (tmp_path / "out" / row["path"]).read_bytes().decode()
            download = downloaded(logdir, row["run"], row["tag"])
            if row["run"] == "damaged":  # where TensorBoard stops
                written = written[: len(download)]
            assert written == download, row
    if log == "own":
        names = [row["path"] for row in rows if row["tag"] == "legacy"]
        assert names[:2] == ["run-.-tag-legacy.csv", "run-a_b-tag-legacy.csv"]
        assert names[2].startswith("run-a_b-tag-legacy~")


def test_other_kinds_are_not_as_tensorboard_downloads_them(tmp_path: Path) -> None:
    write_run(
        tmp_path / "logs" / "a", event(scalar("x", 1), text("t", "hello"), image("i", 1, 1, b"\x89PNG\r\n\x1a\n"))
    )
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", header="tensorboard")
    assert set(read_tree(tmp_path / "out")) == {
        *("index.csv", "datapackage.json", "run-a-tag-x.csv"),
        *("a/text/t.csv", "a/images/i.csv", "a/images/i.files/000000_0.png"),
    }
    lines = parse_lines((tmp_path / "out" / "run-a-tag-x.csv").read_bytes().decode())
    assert lines == [["Wall time", "Step", "Value"], ["0.0", "0", "1.0"]]
    package = json.loads((tmp_path / "out" / "datapackage.json").read_text("utf-8"))
    dialects = {each["path"]: each.get("dialect") for each in package["resources"]}
    assert dialects["run-a-tag-x.csv"] == {"lineTerminator": "\r\n"}
    assert dialects["a/text/t.csv"] is None


def test_the_help_names_every_format() -> None:
    (option,) = table_options.FormatOption.__metadata__  # type: ignore[attr-defined]
    assert option.help == f"Format of the tables: {', '.join(FORMATS)}."
