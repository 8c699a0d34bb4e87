"""``log.sql`` and ``tb2csv sql``: what queries give, what they decode, and what they must not do."""

from __future__ import annotations

import datetime as dt
import fnmatch
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from commands import run_here
from event_files import event, field, raw_event, raw_value, scalar, tensor, text, write_run
from polars.testing import assert_frame_equal

import tb2csv
import tb2csv.late_modules
import tb2csv.scanned_logdir
from tb2csv.cli import table_output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tb2csv import LogdirFrames

SAMPLE_LOGS = Path(__file__).resolve().parent.parent / "sample_logs"
KINDS = ("scalars", "histograms", "tensors", "text", "pr_curves", "custom_scalars", "meshes")


@pytest.fixture(scope="module")
def log() -> LogdirFrames:
    return tb2csv.open_logdir(SAMPLE_LOGS)


# What queries give


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with the tables of a conversion of the sample logs to Parquet."""
    out = tmp_path_factory.mktemp("sql") / "out"
    tb2csv.convert(SAMPLE_LOGS, out, layout="long", format="parquet")
    index = pl.read_csv(out / "index.csv")
    database = duckdb.connect()
    for kind in (*KINDS, "hparams"):
        paths = [str(out / path) for path in index.filter(kind=kind)["path"]]
        database.read_parquet(paths, union_by_name=True).create_view(kind)
    yield database
    database.close()


QUERIES = [
    *(f"select * from {kind}" for kind in KINDS),
    (
        "select run, min(value) as low, max(value) as high, avg(value) as mean, count(*) as n from scalars "
        "where tag like '%loss' group by run"
    ),
    "select run, tag, step, value from scalars where run = 'tf2' and tag in ('loss', 'not_finite') order by step",
    "select tag, count(distinct run) as runs from scalars group by tag having count(distinct run) > 1",
    (
        "select a.step, a.value as training, b.value as validation from scalars a join scalars b on a.step = b.step "
        "where a.run = 'keras/train' and b.run = 'keras/validation' and a.tag = 'epoch_loss' and b.tag = 'epoch_loss'"
    ),
    (
        "with last as (select run, max(step) as step from scalars where tag = 'loss' group by run) "
        "select last.run, value from last join scalars on scalars.run = last.run and scalars.step = last.step "
        "where tag = 'loss'"
    ),
    (
        "select run, step, value - lag(value) over (partition by run order by step) as change from scalars "
        "where tag = 'epoch_loss'"
    ),
    (
        "select run, step, avg(value) over (partition by run order by step rows between 2 preceding and current row) "
        "as smooth from scalars where tag = 'loss' and run like 'tf_'"
    ),
    'select run, tag, step, sum(count) as values_seen, min("left") as low from histograms group by run, tag, step',
    "select run, tag, text from text where text ilike '%LOSS%'",
    "select run, rate from hparams where status = 'success' and rate is not null",
    "select run from scalars where tag = 'loss' union select run from text",
    (
        "select run, tag from scalars where value > (select max(value) from scalars where tag = 'epoch_loss') "
        "and value <= cast('inf' as double)"
    ),
    "select case when step < 10 then 'early' else 'late' end as part, count(*) as n from scalars group by part",
]


@pytest.mark.parametrize("query", QUERIES)
def test_against_duckdb(query: str, log: LogdirFrames, converted: duckdb.DuckDBPyConnection) -> None:
    """DuckDB reads the converted tables; rows in any order, floats to the last digits of a sum."""
    expected = sorted_rows(converted.sql(query).pl())
    assert_frame_equal(sorted_rows(log.sql(query)), expected, check_dtypes=False, rel_tol=1e-12)
    assert len(expected)


def sorted_rows(frame: pl.DataFrame) -> pl.DataFrame:
    # Floats are float64 in both, and a sum is an integer of another width.
    wide = frame.with_columns(pl.selectors.float().cast(pl.Float64), pl.selectors.integer().cast(pl.Int64))
    wide = wide.with_columns(pl.selectors.decimal().cast(pl.Int64))
    return wide.sort(pl.all(), nulls_last=True)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> LogdirFrames:
    """4000 float32 numbers, and a tensor of uint64."""
    folder = tmp_path_factory.mktemp("many")
    losses = [event(scalar("loss", 0.1), step=step) for step in range(4000)]
    write_run(folder / "a", *losses, event(tensor("seeds", np.array([2**64 - 4, 1, 1], np.uint64)), step=0))
    return tb2csv.open_logdir(folder)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("select run, sum(value) from scalars group by run", 4000),
        ("select step % 2 as half, SUM ( value ) from scalars group by half order by half", 2000),
        ("select step % 2 as half, sum(value) filter (where step < 100) from scalars group by half", 50),
        ("select run, sum(case when (step >= 100) then (value) end) from scalars group by run", 3900),
        ("select step, sum(value) over (partition by run) from scalars", 4000),
        ("select 0, sum(value) over (order by step) from scalars order by step desc", 4000),
        ("select 0, (select sum(value) from scalars) from tags", 4000),
        ("with s as (select run, sum(value) as t from scalars group by run) select run, t from s", 4000),
        ("select '/* sum(', sum(/* sum( */ value -- sum(\n) from scalars group by run", 4000),
        ("select run, sum(distinct value) from scalars group by run", 1),
    ],
)
def test_float32_numbers_are_added_in_float64(query: str, count: int, many: LogdirFrames) -> None:
    """polars adds them in float32, and then the sum of a large group is far off."""
    total = math.fsum([float(np.float32(0.1))] * count)
    assert many.sql(query).row(0)[1] == pytest.approx(total, rel=1e-12)


def test_sums_of_other_types_are_exact_and_keep_their_type(many: LogdirFrames) -> None:
    seeds = many.sql("select tag, sum(value) as total from tensors group by tag")
    assert (seeds["total"].dtype, seeds["total"].to_list()) == (pl.UInt64, [2**64 - 2])
    row = many.sql("select sum(step) as steps, sum(step = 1) as ones from scalars group by run")
    assert row.rows() == [(7998000, 1)]


def test_runs_and_tags_have_a_row_each(log: LogdirFrames, converted: duckdb.DuckDBPyConnection) -> None:
    """The index of a conversion counts the same, except for tables of several tags and those next to others."""
    query = "select run, sum(points) as points from tags where kind = 'scalars' group by run order by run"
    counted = converted.sql("select run, count(*) as points from scalars group by run order by run").fetchall()
    assert log.sql(query).rows() == counted
    runs = log.sql("select * from runs")
    assert runs["run"].to_list() == log.runs
    assert runs.filter(pl.col("run") == "damaged").row(0)[:5] == ("damaged", 1, 119, 0, 119)


def test_a_run_without_values_is_a_row_of_runs(tmp_path: Path) -> None:
    write_run(tmp_path / "a", event(scalar("loss", 1.0), step=3, wall_time=5.0))
    write_run(tmp_path / "b", event())
    rows = tb2csv.sql(tmp_path, "select * from runs").rows()
    assert rows == [("a", 1, 1, 3, 3, 5.0, 5.0), ("b", 0, 0, None, None, None, None)]


def test_tables_of_a_run_have_its_rows_only(log: LogdirFrames) -> None:
    assert log["tf2"].sql("select distinct run from scalars").rows() == [("tf2",)]
    assert log["tf2"].sql("select run, tags from runs").rows() == [("tf2", 29)]
    assert log["torch/trial_0"].sql("select run, rate from hparams").rows() == [("torch/trial_0", 0.1)]
    assert log["tf1"].sql("select count(*) from tags").item() == len(log["tf1"].series())


def test_minimum_and_maximum_skip_nan_and_those_of_duckdb_do_not(tmp_path: Path) -> None:
    """What docs/sql.md says about NaN, in both programs."""
    events = [event(scalar("loss", value), step=step) for step, value in enumerate((1.0, math.nan, 3.0))]
    write_run(tmp_path, *events)
    query = "select min(value) as low, max(value) as high, avg(value) as mean from scalars"
    scalars = tb2csv.open_logdir(tmp_path).scalars()
    assert scalars.height == 3
    assert repr(tb2csv.sql(tmp_path, query).row(0)) == repr((1.0, 3.0, math.nan))
    assert repr(duckdb.sql(query).fetchall()[0]) == repr((1.0, math.nan, math.nan))
    kept = "select count(*) from scalars where value <= cast('inf' as double)"
    assert tb2csv.sql(tmp_path, kept).item() == 2
    assert tb2csv.sql(tmp_path, kept.replace("<=", ">")).item() == 1
    assert tb2csv.sql(tmp_path, "select count(*) from scalars where value > 2").item() == 2  # NaN is above all numbers


def test_the_order_of_a_query_is_kept(log: LogdirFrames) -> None:
    values = log.sql("select value from scalars where tag = 'loss' and run = 'tf2' order by value desc")["value"]
    assert values.to_list() == sorted(values, reverse=True)
    assert len(values) > 10


@pytest.mark.parametrize("query", ["select 1 as x;", "select 1 as x -- the end", "/* a; b */ select 1 as x ;\n; "])
def test_comments_and_semicolons_at_the_end_do_not_matter(query: str, log: LogdirFrames) -> None:
    assert log.sql(query).rows() == [(1,)]


def test_an_expression_of_the_query_may_hide_a_table(log: LogdirFrames) -> None:
    assert log.sql("with runs as (select 7 as n), b as (select n + 1 as n from runs) select n from b").item() == 8


def test_frames_of_a_log_are_arrow_streams(log: LogdirFrames) -> None:
    scalars, rows = log.scalars(tag="loss"), log.sql("select run, value from scalars where tag = 'loss'")
    counted = duckdb.sql("select run, count(*) as n from scalars group by run order by run").fetchall()
    assert counted == scalars.group_by("run").len().sort("run").rows()
    assert pa.table(rows).column("value").to_pylist() == scalars["value"].to_list()
    assert pa.RecordBatchReader.from_stream(log["tf2"].scalars("loss")).schema.names[:2] == ["run", "tag"]


def test_layer_errors_are_an_arrow_stream(tmp_path: Path) -> None:
    write_run(tmp_path, *(event(tensor("layer_errors/dense", [1.0, 2.0]), step=step) for step in range(3)))
    errors = tb2csv.layer_errors(tmp_path)
    assert duckdb.sql("select batch, error_1 from errors").fetchall() == [(step, 2.0) for step in range(3)]
    assert pa.table(errors).num_rows == 3


# What is decoded


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str, str]]:
    """Collect the kind, run and tag of each series whose rows are decoded, beyond the first value of each."""
    found: set[tuple[str, str, str]] = set()
    real = tb2csv.scanned_logdir.series_frames

    def record(run: Any, chosen: Any, rows: Any, read: Any, kind: str = "") -> Any:
        if read.__name__ != "samples":
            found.update((each.series.kind, each.series.run, each.series.tag) for each in chosen)
        return real(run, chosen, rows, read, kind)

    monkeypatch.setattr(tb2csv.scanned_logdir, "series_frames", record)
    return found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select * from tags", set()),
        ("select count(*) from text", {("text", "t*", "*")}),
        ("select * from scalars where tag = 'loss' and run like 'tf%' and value > 0", {("scalars", "tf*", "loss")}),
        ("select * from scalars where tag like 'epoch%' and not run = 'keras/train'", {("*", "keras/val*", "epoch*")}),
        ("select * from scalars where run = 'tf1' or run = 'tf2'", {("scalars", "tf1", "*"), ("scalars", "tf2", "*")}),
        ("select * from scalars where run = 'nothing'", set()),
        (
            (
                "select a.value, b.value from scalars a join scalars b using (step) "
                "where a.run = 'tf1' and b.run = 'tf2' and a.tag = 'loss' and b.tag = 'loss'"
            ),
            {("scalars", "tf1", "loss"), ("scalars", "tf2", "loss")},
        ),
    ],
)
def test_only_what_a_query_needs_is_decoded(
    query: str, expected: set[tuple[str, str, str]], decoded: set[tuple[str, str, str]], log: LogdirFrames
) -> None:
    log.sql(query)
    assert bool(decoded) == bool(expected)
    assert all(any(all(map(matches, each, pattern)) for pattern in expected) for each in decoded)


def matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern)


@pytest.mark.parametrize("count", [1, 300, 900])
def test_a_condition_on_the_first_rows_selects_among_them(count: int, log: LogdirFrames) -> None:
    query = f"select * from (select * from scalars limit {count}) as x where tag = 'loss'"
    assert_frame_equal(log.sql(query), log.scalars().head(count).filter(tag="loss"))


def test_tags_of_custom_scalars_are_apart_from_their_tag(log: LogdirFrames) -> None:
    rows = log.sql('select tag, "custom_scalars:tag" as line from custom_scalars order by line').rows()
    assert rows == log.custom_scalars().select("tag", "custom_scalars:tag").sort("custom_scalars:tag").rows()
    assert rows


# What a query must not do

STATEMENTS = [
    "drop table scalars",
    "drop table if exists scalars",
    "delete from scalars",
    "delete from scalars where value > 1",
    "truncate table scalars",
    "truncate scalars",
    "create table x as select * from scalars",
    "create or replace table scalars as select 1",
    "create table x (a int)",
    "create temp table x as select 1",
    "insert into scalars values (1)",
    "update scalars set value = 1",
    "with a as (select 1) delete from scalars",
    "with a as (select 1) insert into scalars values (1)",
    "select * into x from scalars",
    "copy scalars to 'x.csv'",
    "attach 'x' as y",
    "set x = 1",
    "show tables",
    "describe scalars",
    "explain select * from scalars",
    "select 1; select 2",
    "select 1; drop table scalars",
    "select 1) select * from (select 2",
    'select 1) select * from scalars; drop table scalars; with "tb2csv query" as (select 1',
    "scalars",
    "",
    ";",
    "-- only a comment",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_only_one_select_statement_is_run(statement: str, log: LogdirFrames) -> None:
    with pytest.raises(tb2csv.OptionError) as refused:
        log.sql(statement)
    assert "\n" not in str(refused.value)
    assert log.sql("select count(*) from scalars").item() == len(log.scalars())


#: The table functions of polars 2.1, and names that later versions may have.
TABLE_FUNCTIONS = ["read_csv", "read_parquet", "read_ipc", "read_json", "read_ndjson", "generate_series"]
#: Places for a table, in which {} is a call.
PLACES = [
    "select * from {}",
    "from {}",
    "select * from scalars join {} on true",
    "select * from scalars, {}",
    "select * from scalars left join lateral (select * from {}) on true",
    "select (select count(*) from {}) as n",
    "select * from scalars where exists (select 1 from {})",
    "select * from scalars where value in (select a from {})",
    "select * from scalars order by (select max(a) from {})",
    "select tag from scalars group by tag having count(*) > (select max(a) from {})",
    "select sum(value) over (partition by (select max(a) from {})) from scalars",
    "select * from scalars limit (select max(a) from {})",
    "select 1 union all select a from {}",
    "with x as (select * from {}) select * from x",
    "with x as (with y as (select * from {}) select * from y) select * from x",
    "select * from (select * from {}) as x",
    "select case when (select max(a) from {}) > 1 then 1 end as x",
]


@pytest.mark.parametrize("function", TABLE_FUNCTIONS)
@pytest.mark.parametrize("place", PLACES)
def test_no_table_function_is_called(place: str, function: str, log: LogdirFrames, tmp_path: Path) -> None:
    """polars 2.0 has neither lateral joins nor computed limits, so there it says that they are not supported."""
    with pytest.raises(tb2csv.OptionError, match=f"{function}|(LATERAL|LIMIT).*not supported"):
        log.sql(place.format(f"{function}('{bait(tmp_path)}')"))


@pytest.mark.parametrize(
    "call",
    [
        "READ_CSV('{}')",
        "\"read_csv\"('{}')",
        "\"Read_Csv\"('{}')",
        "read_csv /* ( */ ('{}')",
        "read_csv -- (\n('{}')",
        "read_csv('{}') as scalars",
        "read_csv.scalars('{}')",
        "scalars.read_csv('{}')",
        "(read_csv('{}'))",
        "table(read_csv('{}'))",
        "lateral read_csv('{}')",
        "read_csv(['{}'])",
        "scalars('{}')",
        "'{}'",
        '"{}"',
        "`{}`",
    ],
)
def test_no_spelling_reads_a_file(call: str, log: LogdirFrames, tmp_path: Path) -> None:
    with pytest.raises(tb2csv.OptionError) as refused:
        log.sql(f"select * from {call.format(bait(tmp_path))}")
    assert "bait" not in str(refused.value).replace(str(bait(tmp_path)), "")


def test_an_expression_with_the_name_of_a_table_function_is_refused(log: LogdirFrames, tmp_path: Path) -> None:
    with pytest.raises(tb2csv.OptionError, match="read_csv"):
        log.sql(f"with read_csv as (select 1 as a) select * from read_csv('{bait(tmp_path)}')")


def bait(folder: Path) -> Path:
    place = folder / "x.csv"
    place.write_text("a\n'bait'\n", encoding="utf-8")
    return place


def test_frames_of_the_caller_are_not_tables(log: LogdirFrames) -> None:
    secret = pl.DataFrame({"a": [1]})
    with pytest.raises(tb2csv.OptionError, match="secret"):
        log.sql("select * from secret")
    assert secret.height


def test_without_the_names_of_tables_no_query_is_run(log: LogdirFrames, monkeypatch: pytest.MonkeyPatch) -> None:
    """polars gives them in a function that is not public; a version without it must not read files."""
    import polars._plr

    monkeypatch.setattr(polars._plr, "PySQLContext", object)
    with pytest.raises(tb2csv.Tb2csvError, match="polars"):
        log.sql("select 1")


@pytest.mark.parametrize("version", ["1.38.1", "1.44.2"])
def test_an_older_polars_answers_no_query(version: str, log: LogdirFrames, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers may be wrong: a table hides an expression of its name."""
    monkeypatch.setattr(tb2csv.late_modules.pl, "__version__", version)
    with pytest.raises(tb2csv.Tb2csvError, match=f"polars 2.0 or later.*polars {version}.*pip install 'polars>=2.0'"):
        log.sql("select 1")


@pytest.mark.skipif(pl.__version__.startswith("2.0."), reason="the sum of a constant is the constant in polars 2.0")
def test_a_sum_of_a_constant_counts_the_rows(log: LogdirFrames) -> None:
    sums = log.sql("select sum(1) as n, sum(0.5) as half, sum(interval '1 hour') as hours from runs")
    assert sums.rows() == [(20, 10, dt.timedelta(hours=20))]
    assert sums["hours"].dtype == pl.Duration


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select lost from scalars", r"unable to find column \"lost\"; valid columns: .*\"value\"\]\.?$"),
        ("selct 1", r"found: selct at Line: 1, Column: 1\.?$"),
        ("select 1\nfrom scalars\nwhere )", r"Line: 3"),
        ("select * from lost", r"relation 'lost' was not found; the tables are scalars, .*, tags\.$"),
        ("select sum(tag) from scalars", "sum"),
        ("select cast(tag as int) from scalars", "failed|not supported"),
    ],
)
def test_errors_are_one_line(query: str, message: str, log: LogdirFrames) -> None:
    with pytest.raises(tb2csv.OptionError, match=message) as failed:
        log.sql(query)
    assert "\n" not in str(failed.value)


def test_a_kind_that_the_log_lacks_is_named(tmp_path: Path) -> None:
    write_run(tmp_path, event(scalar("loss", 1.0)))
    with pytest.raises(tb2csv.NameNotFoundError, match="histograms"):
        tb2csv.sql(tmp_path, "select * from histograms")


# The command

LOSSES = (
    "select run, tag, count(*) as n from scalars where tag = 'loss' and run like 'tf%' group by run, tag order by run"
)


def test_a_pipe_receives_csv(capsys: pytest.CaptureFixture[str]) -> None:
    done = run_here(capsys, "sql", SAMPLE_LOGS / "tf2", LOSSES.replace("tf%", "."))
    assert done == (0, '"run","tag","n"\n.,loss,60\n', "")


def test_a_dash_is_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    query = LOSSES.replace("tf%", ".")
    plain = run_here(capsys, "sql", SAMPLE_LOGS / "tf2", query)
    assert run_here(capsys, "sql", SAMPLE_LOGS / "tf2", query, "-o", "-") == plain
    as_json = run_here(capsys, "sql", SAMPLE_LOGS / "tf2", query, "-o", "-", "--format", "json")
    assert json.loads(as_json.stdout) == [{"run": ".", "tag": "loss", "n": 60}]


@pytest.mark.parametrize("name", ["parquet", "arrow", "csv.gz", "csv.zst", "jsonl", "json", "csv", "md", "tex"])
def test_the_ending_of_a_file_sets_its_format(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], log: LogdirFrames
) -> None:
    place = tmp_path / f"table.{name}"
    done = run_here(capsys, "sql", SAMPLE_LOGS, LOSSES, "-o", place, "--quiet")
    assert (done.status, done.stdout) == (3, "")  # a sample log is damaged
    readers = {
        "parquet": pl.read_parquet,
        "arrow": pl.read_ipc,
        "csv.gz": pl.read_csv,
        "csv.zst": pl.read_csv,
        "jsonl": pl.read_ndjson,
        "json": pl.read_json,
        "csv": pl.read_csv,
    }
    if name in readers:
        assert_frame_equal(readers[name](place), log.sql(LOSSES), check_dtypes=False)  # type: ignore[operator]
    else:
        assert "tf2" in place.read_text(encoding="utf-8")


def test_a_format_may_differ_from_the_ending(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "table.bin"
    done = run_here(capsys, "sql", SAMPLE_LOGS / "tf2", "select 1 as x", "-o", place, "--format", "parquet")
    assert (done.status, pl.read_parquet(place).rows()) == (0, [(1,)])


@pytest.mark.parametrize(
    "options", [["--format", "parquet"], ["--format", "jsonl-null"], ["-o", "x.xyz"], ["--json", "--format", "csv"]]
)
def test_options_that_cannot_be_are_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    done = run_here(capsys, "sql", SAMPLE_LOGS, "select 1", *options)
    assert done.status == 2
    assert done.stderr.count("\n") == 1


def test_bytes_and_times_become_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query = "select data, date '2020-01-02' as day, interval '90 minutes' as gap from images limit 1"
    done = run_here(capsys, "sql", SAMPLE_LOGS / "tf2", query, "--json")
    assert done.status == 0
    assert '"data":"iVBORw0KGgo' in done.stdout  # the signature of PNG
    assert '"day":"2020-01-02","gap":"PT1H30M"' in done.stdout


def test_lists_need_a_format_that_has_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query = "select array_agg(step) as steps from scalars where tag = 'loss'"
    done = run_here(capsys, "sql", SAMPLE_LOGS / "tf2", query)
    assert done.status == 2
    assert "'steps'" in done.stderr
    place = tmp_path / "x.parquet"
    assert run_here(capsys, "sql", SAMPLE_LOGS / "tf2", query, "-o", place).status == 0
    assert pl.read_parquet(place)["steps"].list.len().to_list() == [60]


def test_undecodable_values_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, event(text("notes", [b"good"])), event(text("notes", [b"\xff"])))
    done = run_here(capsys, "sql", tmp_path, "select text from text")
    assert done.stdout == '"text"\ngood\n'
    assert done.stderr == "1 value could not be decoded and took no part in the query\n"
    assert run_here(capsys, "sql", tmp_path, "select run from runs").stderr == ""


def test_a_terminal_receives_a_table_of_the_first_rows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(table_output, "is_terminal", lambda _: True)
    monkeypatch.setenv("COLUMNS", "80")
    write_run(tmp_path, *(event(scalar("\x1b[31mloss", 0.5), step=step) for step in range(150)))
    lines = run_here(capsys, "sql", tmp_path, "select tag, step, value from scalars order by step").stdout.splitlines()
    assert lines[0].split() == ["tag", "step", "value"]
    assert [line.split() for line in lines[1:-1]] == [["\\x1b[31mloss", str(step), "0.5"] for step in range(100)]
    assert lines[-1] == "50 more rows: --format csv shows all"
    assert run_here(capsys, "sql", tmp_path, "select array_agg(step) as s, tag from scalars group by tag").status == 0


@pytest.mark.parametrize("chain", [["value"] * 302, ["'-'"] * 302, ["select 1"] * 302], ids=["+", "||", "union"])
def test_a_query_with_too_many_operators_is_refused(chain: list[str], log: LogdirFrames) -> None:
    operator = {"value": " + ", "'-'": "||", "select 1": " union "}[chain[0]]
    beginning = "" if chain[0] == "select 1" else "select "
    with pytest.raises(tb2csv.OptionError, match=r"The query has 30\d operators"):
        log.sql(f"{beginning}{operator.join(chain)}")


def test_operators_in_strings_names_and_comments_are_not_counted(log: LogdirFrames) -> None:
    """A list of values may be long."""
    tags = ", ".join(f"'{number}/{'-' * 10}and'" for number in range(2000))
    query = (
        f"""select tag as "{"+-" * 200}" from scalars where run = 'tf2' and tag in ({tags}, 'loss') -- {"- " * 400}"""
    )
    assert len(log.sql(query)) == len(log.sql("select tag from scalars where run = 'tf2' and tag = 'loss'")) > 0
