"""``tb2csv summary`` and what it is made of, against statistics that numpy and pandas find by themselves."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from commands import environment, run_here, run_process
from event_files import event, scalar, simple_value, tensor, text, write_run
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from tables import parse_rows, read_index

import tb2csv
from tb2csv.analysis.summaries import Summary, with_short_numbers
from tb2csv.cli.summary_table import sparkline, summary_table
from tb2csv.errors import LogdirError, Tb2csvError
from tb2csv.selection import Selection

SAMPLE_LOGS = Path(__file__).resolve().parents[2] / "sample_logs"
BARS = "▁▂▃▄▅▆▇█"

Series = dict[str, list[tuple[int, float]]]


def expected(points: list[tuple[int, float]]) -> dict[str, Any]:
    """Return what one float32 series comes to, found value by value."""
    values = np.array([value for _, value in points], np.float32)
    steps = [step for step, _ in points]
    kept = [(float(value), step) for value, step in zip(values, steps, strict=True) if not math.isnan(value)]
    least = min(kept, key=lambda pair: pair[0], default=(None, None))  # the first of several
    greatest = max(kept, key=lambda pair: pair[0], default=(None, None))
    with np.errstate(invalid="ignore"):
        mean = float(np.mean([value for value, _ in kept])) if kept else None
    return {
        "points": len(points),
        "first_step": steps[0],
        "last_step": steps[-1],
        "first": float(values[0]),
        "last": float(values[-1]),
        "min": least[0],
        "min_step": least[1],
        "max": greatest[0],
        "max_step": greatest[1],
        "mean": mean,
        "nan_count": int(np.isnan(values).sum()),
        "inf_count": int(np.isinf(values).sum()),
    }


def same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-12) or (math.isnan(left) and math.isnan(right))
    return bool(left == right)


def assert_summarized(summary: Summary, run: str, series: Series) -> None:
    rows = {row["tag"]: row for row in summary.table.iter_rows(named=True) if row["run"] == run}
    assert list(rows) == list(series)
    for tag, points in series.items():
        known = expected(points)
        found = {name: rows[tag][name] for name in known}
        assert [name for name in known if not same(found[name], known[name])] == [], (tag, found, known)


NUMBERS = st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, -math.inf])
WRITTEN = st.lists(st.tuples(st.sampled_from("abc"), st.integers(-5, 2**40), NUMBERS), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(written=WRITTEN, chunk_size=st.sampled_from([200, 700, 1 << 20]))
def test_statistics_equal_those_of_a_loop_over_the_values(
    written: list[tuple[str, int, float]], chunk_size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("summary")
    series: Series = defaultdict(list)
    for tag, step, value in written:
        series[tag].append((step, value))
    write_run(folder, *(event(simple_value(tag, value), step=step, wall_time=1.0) for tag, step, value in written))
    summary = tb2csv.summary(folder, chunk_size=chunk_size, curve_points=8)
    assert_summarized(summary, ".", series)
    assert (summary.table["dtype"] == "float32").all()
    assert summary.report.values_read == len(written)


def test_statistics_equal_those_of_pandas_over_converted_tables(tmp_path: Path) -> None:
    tb2csv.convert(SAMPLE_LOGS, tmp_path / "out")
    rows = {(row["run"], row["tag"]): row for row in tb2csv.summary(SAMPLE_LOGS).table.iter_rows(named=True)}
    tables = [entry for entry in read_index(tmp_path / "out") if entry["kind"] == "scalars"]
    assert len(tables) > 20
    for entry in tables:
        row = rows[entry["run"], entry["tag"]]
        table = pd.read_csv(tmp_path / "out" / entry["path"], dtype={"value": np.float64})
        values = table["value"].astype(row["dtype"]).astype(np.float64)
        assert row["points"] == len(table)
        assert (row["first"], row["last"]) == (values.iloc[0], values.iloc[-1])
        assert (row["min"], row["max"]) == (values.min(), values.max())
        assert row["min_step"] == table["step"][values.idxmin()]
        assert row["max_step"] == table["step"][values.idxmax()]
        with np.errstate(invalid="ignore"):
            assert same(row["mean"], float(values.mean()))
        assert row["nan_count"] == values.isna().sum()
        assert row["inf_count"] == np.isinf(values).sum()


def test_every_series_that_ls_lists_has_a_row() -> None:
    table = tb2csv.summary(SAMPLE_LOGS).table
    accounts, _ = tb2csv.ls(SAMPLE_LOGS)
    listed = [(each.run, each.tag, each.kind, each.points, each.first_step) for each in accounts]
    assert table.select("run", "tag", "kind", "points", "first_step").rows() == listed
    others = table.filter(pl.col("kind") != "scalars")
    assert others["kind"].n_unique() > 5
    assert others.select("dtype", "first", "last", "min", "mean", "nan_count").null_count().row(0) == (len(others),) * 6


def test_files_and_chunks_of_a_run_make_one_series(tmp_path: Path) -> None:
    series: Series = {"loss": [(step, float(value)) for step, value in enumerate([3, 9, 1, 4, 9, 1])]}
    for number, part in enumerate((series["loss"][:2], series["loss"][2:])):
        events = [event(scalar("loss", value), step=step, wall_time=10.0 * number + 1) for step, value in part]
        write_run(tmp_path, *events, name=f"events.out.tfevents.{number}", wall_time=10.0 * number)
    assert_summarized(tb2csv.summary(tmp_path), ".", series)


def test_points_per_second_use_the_time_from_first_to_last(tmp_path: Path) -> None:
    write_run(tmp_path / "ten", *(event(scalar("loss", 1), step=step, wall_time=5 + step / 10) for step in range(11)))
    write_run(tmp_path / "one", event(scalar("loss", 1), wall_time=5.0))
    write_run(tmp_path / "back", event(scalar("loss", 1), wall_time=5.0), event(scalar("loss", 1), wall_time=4.0))
    write_run(tmp_path / "never", event(scalar("loss", 1), wall_time=5.0), event(scalar("loss", 1), wall_time=math.inf))
    rates = dict(tb2csv.summary(tmp_path).table.select("run", "points_per_second").rows())
    assert rates.pop("ten") == pytest.approx(10)
    assert rates == {"one": None, "back": None, "never": None}


def test_columns_keep_the_type_of_the_values_unless_types_differ(tmp_path: Path) -> None:
    write_run(tmp_path / "int", event(scalar("big", 2**60 + 1, "int64")))
    write_run(tmp_path / "float", event(scalar("rate", 0.1)))
    write_run(tmp_path / "flag", event(scalar("flag", number=True, dtype="bool")))
    big = tb2csv.summary(tmp_path, selection=Selection(runs=("int",))).table
    assert (big.schema["last"], big["max"].to_list()) == (pl.Int64, [2**60 + 1])
    rate = tb2csv.summary(tmp_path, selection=Selection(runs=("float",))).table
    assert rate.schema["last"] == pl.Float32
    flag = tb2csv.summary(tmp_path, selection=Selection(runs=("flag",))).table
    assert flag.select("dtype", "first", "mean").row(0) == ("boolean", 1, 1.0)
    mixed = tb2csv.summary(tmp_path).table
    assert mixed.schema["last"] == pl.Float64
    assert mixed["dtype"].to_list() == ["boolean", "float32", "int64"]
    assert mixed["last"].to_list() == [1.0, float(np.float32(0.1)), float(2**60)]
    assert with_short_numbers(mixed)["last"].to_list() == [1.0, 0.1, float(2**60)]


@given(value=st.floats(width=32))
def test_short_numbers_read_back_to_the_float32(value: float) -> None:
    table = pl.DataFrame(
        {"dtype": ["float32", "float64"], **{name: [value, value] for name in ("first", "last", "min", "max")}}
    )
    short = with_short_numbers(table)
    assert same(float(np.float32(short["first"][0])), value)
    assert same(short["first"][0], float(str(np.float32(value))))
    assert same(short["first"][1], value)


def test_a_tag_that_changes_its_type_has_a_row_for_each(tmp_path: Path) -> None:
    write_run(tmp_path, event(scalar("n", 1, "int64")), event(scalar("n", 0.5), step=1))
    assert tb2csv.summary(tmp_path).table.select("tag", "dtype", "last").rows() == [
        ("n", "int64", 1.0),
        ("n", "float32", 0.5),
    ]


def test_undecodable_values_are_counted_and_reported(tmp_path: Path) -> None:
    broken = tensor("loss", np.float32(1), "scalars")
    broken.tensor.tensor_content = b"\0" * 3
    write_run(tmp_path, event(scalar("loss", 2)), event(broken, step=7), event(scalar("other", 1)))
    summary = tb2csv.summary(tmp_path)
    assert summary.table.select("tag", "points", "last").rows() == [("loss", 2, 2.0), ("other", 1, 1.0)]
    assert [(each.tag, each.step) for each in summary.report.runs[0].undecodable] == [("loss", 7)]


def test_unknown_names_raise_an_error_with_the_nearest() -> None:
    with pytest.raises(Tb2csvError, match="'loss'"):
        tb2csv.summary(SAMPLE_LOGS, selection=Selection(tags=("los",)))
    with pytest.raises(LogdirError, match="'tf2'"):
        tb2csv.summary(SAMPLE_LOGS, selection=Selection(runs=("tf3",)))


# Curves


LOSSES = [event(simple_value("loss", step), step=step).SerializeToString() for step in range(3000)]


@settings(deadline=None)
@given(length=st.integers(0, 3000), limit=st.sampled_from([8, 100, 256]), chunk_size=st.sampled_from([300, 5000]))
@pytest.mark.slow
def test_curves_are_every_nth_value(
    length: int, limit: int, chunk_size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("curve")
    write_run(folder, event(text("note", "x")), *LOSSES[:length])
    summary = tb2csv.summary(folder, curve_points=limit, chunk_size=chunk_size)
    assert len(summary.curves[0]) == 0  # of the text
    if length:
        curve = summary.curves[1]
        stride = 1
        while -(-length // stride) > limit:
            stride *= 2
        assert curve.tolist() == list(range(0, length, stride))


def test_curves_are_made_only_on_request() -> None:
    assert tb2csv.summary(SAMPLE_LOGS).curves == []


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([], ""),
        ([5.0], "▄"),
        ([2.0, 2.0, 2.0], "▄▄▄"),
        ([0.0, 1.0], "▁█"),
        ([0.0, math.nan, 1.0], "▁ █"),
        ([math.inf, 0.0, 1.0, -math.inf], " ▁█ "),
        ([math.nan, math.nan], "  "),
        ([-1.7e308, 0.0, 1.7e308], "▁▅█"),
        (list(range(8)), BARS),
    ],
)
def test_sparklines_show_the_shape_of_a_curve(values: list[float], bars: str) -> None:
    assert sparkline(np.array(values, np.float64), 8) == bars


@given(values=st.lists(st.floats(), max_size=300), width=st.integers(1, 20))
def test_any_values_make_a_sparkline(values: list[float], width: int) -> None:
    drawn = sparkline(np.array(values, np.float64), width)
    assert len(drawn) == min(width, len(values))
    assert set(drawn) <= {*BARS, " "}


# The table on a terminal


def drawn(summary: Summary, width: int, **more: Any) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, no_color=True).print(summary_table(summary, width, **more))
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_table_fits_and_has_a_line_for_each_series(width: int) -> None:
    summary = tb2csv.summary(SAMPLE_LOGS, curve_points=64)
    lines = drawn(summary, width)
    assert max(map(len, lines)) <= width
    runs = list(dict.fromkeys(summary.table["run"]))
    assert len(lines) == 1 + len(runs) + len(summary.table)
    assert [line for line in lines[1:] if not line.startswith(" ")] == runs  # none of these is wider than 60


@pytest.mark.parametrize("width", [8, 14, 20, 30, 40])
def test_a_narrow_table_cuts_names_once_and_numbers_never(width: int) -> None:
    summary = tb2csv.summary(SAMPLE_LOGS, run="keras/*", curve_points=64)
    header, *lines = drawn(summary, width)
    assert max(map(len, lines)) <= width
    assert not any("……" in line for line in lines)
    points = {f"{number}" for number in summary.table["points"]}
    last = {f"{number:.5g}" for number in summary.table["last"].drop_nulls()}
    cells = {cell for line in lines for cell in line.split()[1:]}
    assert cells == ((last if "last" in header else set()) | (points if "points" in header else set()))
    assert ("last" in header, "points" in header) == (width >= 14, width >= 30)
    tags = [line for line in lines if line.startswith("  ")]
    assert len({line.split()[0] for line in tags}) == summary.table["tag"].n_unique()


def test_a_wider_terminal_shows_more() -> None:
    summary = tb2csv.summary(SAMPLE_LOGS, selection=Selection(runs=("tf2",), kinds=("scalars",)), curve_points=64)
    narrow, wide = drawn(summary, 80), drawn(summary, 200)
    assert narrow[0].split() == ["run,", "tag", "points", "steps", "last", "min", "max", "not", "finite"]
    assert wide[0].split("  ")[-1] == "points/s"
    loss = next(line for line in wide if line.startswith("  loss"))
    assert loss.split()[:8] == ["loss", "60", "0…59", "1.9206", "0.065252", "0.065252", "59", "1.9206"]
    assert loss.endswith("▁")
    odd = next(line for line in narrow if line.startswith("  not_finite"))
    assert "1 NaN 2 inf" in odd
    assert not set("".join(drawn(summary, 200, has_curves=False))) & set(BARS)


def test_names_from_the_log_cannot_move_the_cursor(tmp_path: Path) -> None:
    write_run(tmp_path, event(scalar("[bold]x\x1b[2J", 1)), event(scalar("y" * 300, 1)))
    lines = drawn(tb2csv.summary(tmp_path), 80)
    assert lines[2].startswith("  [bold]x\\x1b[2J")
    assert lines[3].startswith("  yyyy")
    assert "…" in lines[3]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize("width", [80, 200])
def test_on_a_terminal_there_is_a_table(width: int) -> None:
    printed = on_terminal(width, "summary", str(SAMPLE_LOGS), "--run", "keras/*", "--kind", "scalars")
    assert "keras/validation" in printed
    assert "█▄▁" in printed
    assert "45 values of 9 tags in 2 runs" in printed
    assert ("points/s" in printed) == (width == 200)


def on_terminal(width: int, *arguments: str) -> str:
    import fcntl
    import pty
    import termios

    process, descriptor = pty.fork()
    if not process:
        env = environment(TERM="xterm")
        del env["COLUMNS"]
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
        # With an environment of its own: a library may have put COLUMNS into that of C.
        os.execve(sys.executable, [sys.executable, "-m", "tb2csv", *arguments], env)  # noqa: S606 - ours
    printed = b""
    with os.fdopen(descriptor, "rb", buffering=0) as terminal:
        while True:
            try:
                data = terminal.read(1 << 16)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            printed += data
    os.waitpid(process, 0)
    return printed.decode()


# The command


def test_without_a_terminal_the_command_prints_csv(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run_here(capsys, "summary", SAMPLE_LOGS, "--run", "tf2", "--tag", "*rate*")
    assert (ran.status, ran.stderr) == (0, "")
    (row,) = parse_rows(ran.stdout)
    assert row["last"] == "0.016578007"
    table = tb2csv.summary(SAMPLE_LOGS, selection=Selection(runs=("tf2",), tags=("*rate*",))).table
    header = ",".join(f'"{name}"' for name in table.columns)
    assert ran.stdout == f"{header}\n{table.write_csv(include_header=False)}"


def test_json_is_strict_and_has_every_cell(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run_here(capsys, "summary", SAMPLE_LOGS, "--run", "tf2", "--json")
    rows = json.loads(ran.stdout, parse_constant=pytest.fail)
    table = tb2csv.summary(SAMPLE_LOGS, selection=Selection(runs=("tf2",))).table
    assert [list(row) for row in rows] == [table.columns] * len(table)
    odd = next(row for row in rows if row["tag"] == "not_finite")
    assert {name: odd[name] for name in ("min", "max", "mean", "nan_count")} == {
        "min": "-Infinity",
        "max": "Infinity",
        "mean": "NaN",
        "nan_count": 1,
    }
    assert next(row for row in rows if row["tag"] == "learning_rate")["first"] == 0.1


@pytest.mark.slow
def test_json_is_ascii_if_standard_output_is_not_utf8(tmp_path: Path) -> None:
    write_run(tmp_path, event(scalar("Verlust ü 🙂", 1)))
    ran = run_process("summary", tmp_path, "--json", env={"PYTHONIOENCODING": "ascii"})
    assert ran.stdout.isascii()
    assert [row["tag"] for row in json.loads(ran.stdout)] == ["Verlust ü 🙂"]


@pytest.mark.parametrize(
    ("name", "start"), [("s.csv", '"run","tag",'), ("s.json", '[\n{"run":'), ("s.md", "| run | tag |")]
)
def test_a_file_has_the_format_of_its_ending(
    name: str, start: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run_here(capsys, "summary", SAMPLE_LOGS, "--run", "tf2", "-o", tmp_path / name)
    assert ran.stdout == f"29 rows: see {tmp_path / name}\n"
    assert (tmp_path / name).read_text("utf-8").startswith(start)
    again = run_here(capsys, "summary", SAMPLE_LOGS, "--run", "tf2", "-o", tmp_path / name)
    assert again.status == 1
    assert "--overwrite" in again.stderr
    assert run_here(capsys, "summary", SAMPLE_LOGS, "-q", "--run", "tf1", "-o", tmp_path / name, "--overwrite") == (
        0,
        "",
        "",
    )
    assert "tf1" in (tmp_path / name).read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--json", "--format", "csv"], "two formats"),
        (["-o", "summary.xlsx"], ".csv, .json"),
        (["--format", "excel"], "excel"),
    ],
)
def test_incompatible_options_are_a_usage_error(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run_here(capsys, "summary", SAMPLE_LOGS, *arguments)
    assert (ran.status, ran.stdout) == (2, "")
    assert told in ran.stderr


def test_damage_is_reported_and_sets_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run_here(capsys, "summary", SAMPLE_LOGS, "--run", "damaged")
    assert ran.status == 3
    assert "42 bytes lost" in ran.stderr
    assert parse_rows(ran.stdout)[0]["points"] == "119"
    strict = run_here(capsys, "summary", SAMPLE_LOGS, "--run", "damaged", "--strict")
    assert (strict.status, strict.stdout) == (1, "")
