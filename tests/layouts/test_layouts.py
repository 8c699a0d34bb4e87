"""The layouts: whatever the shape and the format, the rows are those of the tree."""

from __future__ import annotations

import functools
import json
import re
import shutil
import struct
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from commands import run_here
from converted import dtypes_of, read_package, read_series, read_table
from event_files import (
    audio,
    custom_scalars,
    event,
    file_name,
    hparams_start,
    image,
    legacy_histogram,
    scalar,
    simple_value,
    string_tensor,
    tensor,
    tensor_of,
    text,
    write_run,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from make_expected import SAMPLE_LOGS
from tables import read_index, read_rows, read_tree

import tb2csv
from tb2csv.cli.table_options import Duplicate, Layout
from tb2csv.errors import OptionError, OutputError, Tb2csvError
from tb2csv.layouts import output, wide_rows
from tb2csv.layouts.layouts import LAYOUTS
from tb2csv.sinks import row_buffer
from tb2csv.sinks.formats import FORMATS
from tb2csv.sinks.row_buffer import RowBuffer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl
    from converted import Row, Series

NAN, INFINITY = float("nan"), float("inf")
ROW_LAYOUTS = ["tree", "tags", "long"]
#: Each layout and each format once: most behaviour does not depend on the pair.
EACH_ONCE = [*((layout, "csv") for layout in LAYOUTS), *(("tree", name) for name in FORMATS if name != "csv")]


def write_odd_logs(folder: Path) -> Path:
    """Write runs that agree on nothing: types, shapes, times, steps; with files, odd names and broken payloads."""
    texts = ['quotes " and, commas\nand lines', "", "'=1+1", "ä\u2028\t\\"]
    write_run(
        folder,
        event(scalar("loss", 0.1), scalar("only/here", 1, "int64"), image("pic", 1, 1, b"root"), step=-1),
        event(custom_scalars({"chart": ["loss.*"]})),
        event(scalar("loss", 0.1, "float64"), scalar("step", 3), scalar("wall_time", 4), step=2**63 - 1),
    )
    for number, run in enumerate(["a", "A", "a/b", "scalars", "000000_0.png", "long name, with \n and \\"]):
        write_run(
            folder / run,
            *(
                event(
                    simple_value("loss", value),
                    scalar("Loss", step, ["float32", "float64", "int64", "bool", "uint64", "float16"][number]),
                    text("notes", texts[: step % 3] if number % 2 else texts[step % 4]),
                    legacy_histogram("histogram", range(step % 4), range(step % 4), min=-1.0, max=INFINITY, num=3.0),
                    tensor("tensor", [[float(step)] * number]),
                    tensor("complex", [1 + 2j]),
                    image("pic", 1, 1, b"%d %d" % (number, step), b"second"),
                    audio("clip", (b"RIFF1234WAVE" + run.encode(), b"label")),
                    step=step,
                    wall_time=[0.1, 1.7e9 + step / 3, NAN, INFINITY][number % 4],
                )
                for step, value in enumerate([0.1, NAN, INFINITY, -INFINITY, -0.0, 3.4e38, 1e-45])
            ),
            event(tensor("broken", tensor_of("DT_FLOAT", (2,), tensor_content=b"1")), step=1),
            event(tensor("notes", string_tensor([b"\xff"], ()), "text"), hparams_start({"rate": number}), step=2),
        )
    return folder


@pytest.fixture(scope="module")
def odd_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_odd_logs(tmp_path_factory.mktemp("odd") / "logs")


@pytest.fixture(scope="module")
def converted(odd_logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Convert the odd log by one worker into a layout and format, once, for tests that change nothing in it."""

    @functools.cache
    def convert(layout: str, format_name: str) -> Path:
        out = tmp_path_factory.mktemp("converted") / "out"
        tb2csv.convert(odd_logs, out, layout=layout, format=format_name, workers=1)
        return out

    return convert


@pytest.fixture(scope="module")
def converted_rows(converted: Callable[[str, str], Path]) -> Callable[[str, str], dict[Series, list[Row]]]:
    """Return the rows of the odd log in a layout and format."""
    return functools.cache(lambda layout, format_name: read_series(converted(layout, format_name)))


@pytest.fixture(scope="module")
def trees(
    odd_logs: Path, converted: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[Path, Path]:
    """Return the tree of CSV tables of each log, which other tests look at."""
    samples = tmp_path_factory.mktemp("tree") / "out"
    tb2csv.convert(SAMPLE_LOGS, samples)
    return {odd_logs: converted("tree", "csv"), SAMPLE_LOGS: samples}


@pytest.fixture(scope="module")
def series_of_trees(trees: dict[Path, Path]) -> dict[Path, dict[Series, list[Row]]]:
    """Return the rows in the tree of each log."""
    return {logdir: read_series(tree) for logdir, tree in trees.items()}


# The same rows


@pytest.mark.parametrize("format_name", [name for name in FORMATS if name != "jsonl-null"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.slow
def test_every_layout_has_the_rows_of_the_tree(
    layout: str,
    format_name: str,
    converted: Callable[[str, str], Path],
    converted_rows: Callable[[str, str], dict[Series, list[Row]]],
    series_of_trees: dict[Path, dict[Series, list[Row]]],
    tmp_path: Path,
) -> None:
    """Each pair has the odd log, each layout and each format the sample logs."""
    found_in = {converted(layout, format_name): converted_rows(layout, format_name)}
    if (layout, format_name) in EACH_ONCE:
        tb2csv.convert(SAMPLE_LOGS, tmp_path / "out", layout=layout, format=format_name)
        found_in[tmp_path / "out"] = read_series(tmp_path / "out")
    # The odd log comes first.
    for tree, (out, rows_found) in zip(series_of_trees.values(), found_in.items(), strict=False):
        expected, found = tree, rows_found
        if layout in ("wide", "compare"):
            expected, found = without_scalars(expected), without_scalars(found)
        if layout in ("tags", "long"):  # a series without rows leaves no trace among others
            expected = {series: rows for series, rows in expected.items() if rows}
        assert found == expected
        report = json.loads((out / "datapackage.json").read_text("utf-8"))["tb2csv"]
        assert report["tables"] == len(read_package(out)) == len(read_index(out))
        read, *others = (report[f"values_{name}"] for name in ("read", "written", "filtered", "undecodable"))
        assert read == sum(others)
        assert [hidden.name for hidden in out.glob(".*")] == [".tb2csv"]


def without_scalars(found: dict[Series, list[Row]]) -> dict[Series, list[Row]]:
    """Return all but scalars."""
    return {series: rows for series, rows in found.items() if series.kind != "scalars"}


@pytest.mark.parametrize(
    ("layout", "format_name", "options"),
    [
        (layout, format_name, [{"workers": 4}, {"chunk_size": 1000}][(row + column) % 2])
        for row, layout in enumerate(LAYOUTS)
        for column, format_name in enumerate(FORMATS)
    ],
)
@pytest.mark.slow
def test_workers_and_chunks_do_not_change_the_tables(
    layout: str,
    format_name: str,
    options: dict[str, Any],
    odd_logs: Path,
    converted: Callable[[str, str], Path],
    tmp_path: Path,
) -> None:
    """Workers and chunks take turns, so that each layout and each format meets both."""
    tb2csv.convert(odd_logs, tmp_path / "out", layout=layout, format=format_name, **options)
    assert read_tree(tmp_path / "out") == read_tree(converted(layout, format_name))


@pytest.mark.parametrize(
    ("layout", "format_name"), [*((layout, "csv") for layout in LAYOUTS), ("tree", "parquet"), ("long", "arrow")]
)
@pytest.mark.parametrize(("budget", "batch", "values"), [(0, 3, 256), (100, 20, 512), (200, 1 << 18, 1 << 21)])
@pytest.mark.slow
def test_rows_that_are_spilled_are_the_same(
    layout: str,
    format_name: str,
    budget: int,
    batch: int,
    values: int,
    odd_logs: Path,
    converted: Callable[[str, str], Path],
    converted_rows: Callable[[str, str], dict[Series, list[Row]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_memory = converted(layout, format_name)  # before the limits are lowered
    spilled: list[int] = []
    store = RowBuffer._store

    def counted(buffer: RowBuffer, frame: pl.DataFrame, *, is_kept: bool = False) -> str:
        spilled.append(len(frame))
        return store(buffer, frame, is_kept=is_kept)

    monkeypatch.setattr(RowBuffer, "_store", counted)
    monkeypatch.setattr(output, "RowBuffer", functools.partial(RowBuffer, budget=budget))
    monkeypatch.setattr(row_buffer, "_BATCH_ROWS", batch)
    monkeypatch.setattr(wide_rows, "_RANGE_VALUES", values)
    tb2csv.convert(odd_logs, tmp_path / "spilled", layout=layout, format=format_name, chunk_size=2000)
    assert bool(spilled) == ((layout, format_name) != ("tree", "csv"))
    assert read_series(tmp_path / "spilled") == converted_rows(layout, format_name)
    if format_name == "csv":
        assert read_tree(tmp_path / "spilled") == read_tree(in_memory)


# Paths and order


def test_tags_have_one_table_each(tmp_path: Path) -> None:
    for run in ("b", "a"):
        events = [
            event(scalar("x/y", step), scalar("z", step, "int64" if run == "b" else "float32"), step=step)
            for step in (2, 1)
        ]
        write_run(tmp_path / "logs" / run, *events)
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="tags")
    assert (tmp_path / "out" / "scalars" / "x" / "y.csv").read_text() == (
        '"run","wall_time","step","value"\na,0.0,2,2.0\na,0.0,1,1.0\nb,0.0,2,2.0\nb,0.0,1,1.0\n'
    )
    assert (tmp_path / "out" / "scalars" / "z~int64.csv").read_text() == (
        '"run","wall_time","step","value"\nb,0.0,2,2\nb,0.0,1,1\n'
    )
    assert [(row["path"], row["run"], row["tag"], row["rows"]) for row in read_index(tmp_path / "out")] == [
        ("scalars/x/y.csv", "", "x/y", "4"),
        ("scalars/z.csv", "", "z", "2"),
        ("scalars/z~int64.csv", "", "z", "2"),
    ]


def test_kinds_have_one_table_each(tmp_path: Path) -> None:
    for run in ("b", "."):
        values = [[scalar("y", step), scalar("x", step), legacy_histogram("h", [1], [step])] for step in (2, 1)]
        write_run(tmp_path / "logs" / run, *(event(*each, step=2 - i) for i, each in enumerate(values)))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="long")
    assert (tmp_path / "out" / "scalars.csv").read_text() == (
        '"run","tag","wall_time","step","value"\n.,y,0.0,2,2.0\n.,y,0.0,1,1.0\n.,x,0.0,2,2.0\n.,x,0.0,1,1.0\n'
        "b,y,0.0,2,2.0\nb,y,0.0,1,1.0\nb,x,0.0,2,2.0\nb,x,0.0,1,1.0\n"
    )
    assert [(row["path"], row["run"], row["tag"], row["kind"]) for row in read_index(tmp_path / "out")] == [
        ("histogram_stats.csv", "", "", "histogram_stats"),
        ("histograms.csv", "", "", "histograms"),
        ("scalars.csv", "", "", "scalars"),
    ]


def test_a_run_is_one_wide_table(tmp_path: Path) -> None:
    write_run(
        tmp_path / "logs" / "a",
        event(scalar("x", 1), step=5, wall_time=7.5),
        event(scalar("y", NAN, "float64"), text("note", "hello"), step=5, wall_time=6.5),
        event(scalar("y", 3, "float64"), scalar("z", 2**60, "int64"), step=-1, wall_time=NAN),
    )
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="wide")
    assert (tmp_path / "out" / "a" / "scalars.csv").read_text() == (
        f"step,wall_time,x,y,z\n-1,NaN,,3.0,{2**60}\n5,6.5,1.0,NaN,\n"
    )
    assert [
        (row["path"], row["run"], row["tag"], row["rows"], row["first_step"]) for row in read_index(tmp_path / "out")
    ] == [
        ("a/scalars.csv", "a", "", "2", "-1"),
        ("a/text/note.csv", "a", "note", "1", "5"),
    ]


def test_every_run_has_its_own_stored_files(odd_logs: Path, tmp_path: Path) -> None:
    """Though they have files of the same name, and one run is called like a file; ``read_series`` looks at bytes."""
    for layout in ("tags", "long"):
        out = tmp_path / layout
        tb2csv.convert(odd_logs, out, layout=layout, tensors="npy")
        paths = [
            (out / path).parent / row[-1]
            for path, resource in read_package(out).items()
            if "path" in dtypes_of(resource)
            for row in read_table(out, resource)
        ]
        stored = [path for path in out.rglob("*") if path.is_file() and ".tb2csv" not in path.parts]
        stored = [path for path in stored if path.suffix not in (".csv", ".json")]
        assert sorted(paths) == sorted(stored)
        assert len(paths) == len(set(paths)) > 100


def test_columns_that_clash_get_the_prefix_of_their_kind(converted: Callable[[str, str], Path]) -> None:
    (row,) = read_rows(converted("long", "csv") / "custom_scalars.csv")
    assert list(row)[:2] == ["run", "tag"]
    assert (row["tag"], row["custom_scalars:tag"]) == ("custom_scalars__config__", "loss.*")


# Wide


#: Distinguishes a table of a second type from that of the first.
VARIANT = re.compile(r"(~(float|int|uint)[0-9]+)\.csv\Z")


def joined_by_pandas(out: Path, run: str, keep: str) -> tuple[pd.Series[Any], pd.DataFrame]:
    """Return what pandas makes of the tree's scalars of a run: the earliest times, and values by tag.

    Values are their bits, so that NaN is not a missing cell.
    """
    columns: dict[str, pd.Series[Any]] = {}
    times = []
    index = {row["path"]: row for row in read_index(out)}
    for path, resource in read_package(out).items():
        if index[path]["kind"] == "scalars" and index[path]["run"] == run:
            frame = pd.DataFrame(read_table(out, resource), columns=list(dtypes_of(resource)), dtype=object)
            frame["step"] = frame["step"].astype("int64")
            frame = frame.drop_duplicates("step", keep=keep).set_index("step")  # type: ignore[call-overload]
            variant = VARIANT.search(path)
            columns[index[path]["tag"] + (variant[1] if variant else "")] = frame["value"]
            times.append(frame["wall_time"].map(lambda bits: NAN if bits == b"NaN" else struct.unpack("<d", bits)[0]))
    joined = pd.concat(columns, axis="columns", join="outer").sort_index()
    return pd.concat(times, axis="columns").min(axis="columns").sort_index(), joined


def check_wide(tree: Path, out: Path, keep: str) -> None:
    """Assert that the wide tables hold what pandas joins."""
    runs = {row["run"] for row in read_index(tree) if row["kind"] == "scalars"}
    found = {row["run"]: row["path"] for row in read_index(out) if row["kind"] == "scalars"}
    assert set(found) == runs
    package = read_package(out)
    for run, path in found.items():
        expected_times, expected = joined_by_pandas(tree, run, keep)
        names = [name.removeprefix("tag:") for name in list(dtypes_of(package[path]))[2:]]
        assert sorted(names) == sorted(expected.columns)
        rows = read_table(out, package[path])
        assert [row[0] for row in rows] == list(expected.index)
        times = [NAN if row[1] == b"NaN" else struct.unpack("<d", row[1])[0] for row in rows]
        assert times == pytest.approx(list(expected_times), nan_ok=True, rel=0, abs=0)
        for place, name in enumerate(names, 2):
            cells = [None if isinstance(cell, float) else cell for cell in expected[name]]
            assert [row[place] for row in rows] == cells, (run, name)


@pytest.mark.parametrize("keep", ["first", "last"])
@pytest.mark.slow
def test_wide_is_an_outer_join_by_pandas(keep: str, trees: dict[Path, Path], tmp_path: Path) -> None:
    for number, (logdir, tree) in enumerate(trees.items()):
        tb2csv.convert(logdir, tmp_path / str(number), layout="wide", on_duplicate=keep)
        check_wide(tree, tmp_path / str(number), keep)


STEPS = st.one_of(st.integers(-3, 6), st.sampled_from([-(2**63), 2**63 - 1]))


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(
        st.tuples(STEPS, st.sampled_from("xyz"), st.sampled_from([1.0, NAN]), st.sampled_from([1.0, 2.0, NAN])),
        min_size=1,
        max_size=40,
    ),
    batch=st.integers(1, 10),
    most=st.integers(1, 20),
    budget=st.sampled_from([0, 200, 1 << 20]),
    keep=st.sampled_from(["first", "last"]),
)
@pytest.mark.slow
def test_wide_is_an_outer_join_of_random_steps(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[tuple[int, str, float, float]],
    batch: int,
    most: int,
    budget: int,
    keep: str,
) -> None:
    folder = tmp_path_factory.mktemp("wide")
    events = [event(scalar(tag, number), step=step, wall_time=time) for step, tag, number, time in values]
    write_run(folder / "logs", *events)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "RowBuffer", functools.partial(RowBuffer, budget=budget))
        patch.setattr(row_buffer, "_BATCH_ROWS", batch)
        patch.setattr(wide_rows, "_SAMPLED", 2)
        patch.setattr(wide_rows, "_RANGE_VALUES", 2 * most)
        report = tb2csv.convert(folder / "logs", folder / "wide", layout="wide", on_duplicate=keep)
    tb2csv.convert(folder / "logs", folder / "tree")
    check_wide(folder / "tree", folder / "wide", keep)
    assert report.values_written == len({(step, tag) for step, tag, _, _ in values})
    assert report.values_filtered == len(values) - report.values_written


def test_duplicates_are_counted_and_reported(tmp_path: Path) -> None:
    write_run(tmp_path / "logs" / "a", *(event(scalar("x", i), scalar("y", i), step=i % 3) for i in range(5)))
    found = {}
    for keep in ("last", "first"):
        report = tb2csv.convert(tmp_path / "logs", tmp_path / keep, layout="wide", on_duplicate=keep)
        found[keep] = [row["x"] for row in read_rows(tmp_path / keep / "a" / "scalars.csv")]
        assert (report.values_read, report.values_written, report.values_filtered) == (10, 6, 4)
        assert report.to_dict()["notes"][-1] == f"run 'a': only the {keep} value of a tag and step is kept; left out: 4"
    assert found == {"last": ["3.0", "4.0", "2.0"], "first": ["0.0", "1.0", "2.0"]}
    with pytest.raises(Tb2csvError, match=r"'x'.*'a'.*step 0\b.*on_duplicate='first'"):
        tb2csv.convert(tmp_path / "logs", tmp_path / "error", layout="wide", on_duplicate="error")
    assert not (tmp_path / "error").exists()


def test_values_without_duplicates_raise_no_error(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", *(event(scalar("x", i), step=i - 5) for i in range(5)))
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="wide", on_duplicate="error")
    assert (report.values_written, report.values_filtered) == (5, 0)
    assert not report.to_dict()["notes"]


def test_columns_keep_their_names_apart(tmp_path: Path) -> None:
    tags = ["step", "wall_time", "time_utc", "tag:step", "x", "x~int64", 'a,b"\n']
    write_run(tmp_path / "logs", event(*(scalar(tag, i) for i, tag in enumerate(tags)), scalar("x", 1, "int64")))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="wide")
    (row,) = read_rows(tmp_path / "out" / "scalars.csv")
    names = ["tag:step", "tag:wall_time", "tag:time_utc", "tag:tag:step", "x", "x~int64", 'a,b"\n', "tag:x~int64"]
    assert list(row) == ["step", "wall_time", *names]
    assert [row[name] for name in names] == [*(f"{i}.0" for i in range(len(tags))), "1"]


# What belongs to a conversion


@pytest.mark.parametrize(("layout", "format_name"), EACH_ONCE)
@pytest.mark.slow
def test_a_conversion_of_any_shape_can_be_replaced(
    layout: str, format_name: str, odd_logs: Path, converted: Callable[[str, str], Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(converted(layout, format_name), out)
    stored = next(out.rglob("*.bin"))
    tb2csv.convert(odd_logs, out, layout=layout, format=format_name, overwrite=True)
    (stored.parent / "mine.txt").write_text("mine")
    before = read_tree(out)
    with pytest.raises(OutputError, match=r"mine\.txt"):
        tb2csv.convert(odd_logs, out, overwrite=True)
    assert read_tree(out) == before


@pytest.mark.slow
def test_the_data_package_names_the_format(converted: Callable[[str, str], Path]) -> None:
    told = {
        "csv": {"format": "csv", "mediatype": "text/csv", "encoding": "utf-8"},
        "csv.gz": {"format": "csv", "mediatype": "text/csv", "encoding": "utf-8", "compression": "gz"},
        "csv.zst": {"format": "csv", "mediatype": "text/csv", "encoding": "utf-8", "compression": "zst"},
        "jsonl": {"format": "jsonl", "mediatype": "application/jsonl", "encoding": "utf-8"},
        "jsonl-null": {"format": "jsonl", "mediatype": "application/jsonl", "encoding": "utf-8"},
        "parquet": {"format": "parquet", "mediatype": "application/vnd.apache.parquet"},
        "arrow": {"format": "arrow", "mediatype": "application/vnd.apache.arrow.file"},
    }
    assert set(told) == set(FORMATS)
    for format_name, properties in told.items():
        out = converted("tree", format_name)
        package = read_package(out)
        ending = format_name.removesuffix("-null")
        assert f"hparams.{ending}" in package
        for path, resource in package.items():
            assert path.endswith(f".{ending}")
            own = {name: value for name, value in resource.items() if name in {"compression", *told["csv"]}}
            assert own == properties
        index = json.loads((out / "datapackage.json").read_text("utf-8"))["resources"][0]
        assert (index["path"], index["format"]) == ("index.csv", "csv")


# Options


def test_the_choices_of_the_command_are_the_registries() -> None:
    assert [each.value for each in Layout] == list(LAYOUTS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layout": "deep"}, "'deep'; choose from tree, tags, wide, long, compare."),
        ({"format": "xlsx"}, "Unknown format 'xlsx'; choose from csv, csv.gz, "),
        ({"header": "mine"}, "'mine'; choose from plain, tensorboard."),
        ({"on_duplicate": "mean"}, "'mean'; choose from last, first, error."),
        ({"time": ("epoch", "local")}, "'local'; choose from epoch, iso, relative."),
        ({"time": ()}, "choose from epoch, iso, relative."),
        ({"time": "soon"}, "'soon'; choose from epoch"),
        ({"relative_to": "now"}, "'now'; choose from run, first-step."),
        ({"layout": "wide", "time": ("relative",), "relative_to": "first-step"}, "leave out relative_to='first-step'"),
        ({"header": "tensorboard", "layout": "wide"}, "leave out layout='wide'."),
        ({"header": "tensorboard", "format": "parquet"}, "leave out format='parquet'."),
        ({"header": "tensorboard", "time": ("iso",)}, "leave out time."),
        ({"header": "tensorboard", "merge_subruns": True}, "leave out merge_subruns."),
        ({"tensors": "deep"}, "Unknown tensor style 'deep'"),
    ],
)
def test_impossible_combinations_are_refused(
    options: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "logs", event(scalar("x", 1)))
    with pytest.raises(OptionError) as refused:
        tb2csv.convert(tmp_path / "logs", tmp_path / "out", **options)
    assert said in str(refused.value)
    assert isinstance(refused.value, Tb2csvError)
    arguments = []
    for name, value in options.items():
        arguments.append(f"--{name.replace('_', '-')}")
        if value is not True:
            arguments.append(value if isinstance(value, str) else ",".join(value))
    ran = run_here(capsys, "convert", tmp_path / "logs", tmp_path / "out", *arguments)
    assert (ran.status, ran.stdout) == (2, "")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_accepts_every_combination(
    odd_logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"layout": "wide", "format": "jsonl", "on-duplicate": "first", "time": "iso,relative,epoch"}
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    ran = run_here(capsys, "convert", odd_logs, tmp_path / "out", *arguments)
    assert ran.status == 0, ran.stderr
    tb2csv.convert(
        odd_logs,
        tmp_path / "same",
        layout="wide",
        format="jsonl",
        on_duplicate="first",
        time=("epoch", "iso", "relative"),
    )
    assert read_tree(tmp_path / "out") == read_tree(tmp_path / "same")


def test_layouts_keep_rows_of_several_files_and_restarts(tmp_path: Path) -> None:
    """Rows of a run are in the order of its files, whichever layout."""
    for number, start in enumerate((20, 0, 10)):
        events = [event(scalar("x", start + i), step=i, wall_time=float(start + i)) for i in range(5)]
        write_run(tmp_path / "logs", *events, name=file_name(number), wall_time=float(start))
    for layout in ROW_LAYOUTS:
        tb2csv.convert(tmp_path / "logs", tmp_path / layout, layout=layout)
        (path,) = read_package(tmp_path / layout)
        values = [row["value"] for row in read_rows(tmp_path / layout / path)]
        assert values == [f"{start + i}.0" for start in (0, 10, 20) for i in range(5)]
