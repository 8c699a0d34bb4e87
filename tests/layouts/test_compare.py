"""The layout ``compare``: the scalars of several runs side by side."""

from __future__ import annotations

import io
import random
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from event_files import event, file_name, frames, scalar, simple_value, write_run
from make_expected import SAMPLE_LOGS
from tables import parse_lines, read_index, read_tree
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

import tb2csv
from tb2csv.errors import OptionError, Tb2csvError
from tb2csv.layouts import wide_rows

if TYPE_CHECKING:
    from pathlib import Path

NAN = float("nan")


def table_of(logdir: Path, **options: Any) -> list[list[str]]:
    """Return the lines of one table with everything selected."""
    file = io.BytesIO()
    tb2csv.convert(logdir, file, layout="compare", **options)
    return parse_lines(file.getvalue().decode())


def accumulated(folder: Path, tag: str) -> pd.Series[float]:
    """Return the last value of each step, as TensorBoard reads them, without sampling."""
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}, purge_orphaned_data=False)
    found.Reload()
    if tag in found.Tags()["scalars"]:
        rows = [(each.step, np.float32(each.value)) for each in found.Scalars(tag)]
    else:
        rows = [(each.step, np.float32(make_ndarray(each.tensor_proto))) for each in found.Tensors(tag)]
    return pd.DataFrame(rows, columns=["step", "value"]).groupby("step")["value"].last()


def test_comparisons_equal_pandas_outer_join_of_the_event_accumulator(tmp_path: Path) -> None:
    """Runs with other steps, steps that repeat and a restart."""
    generator = random.Random(20)
    for run in ("a", "b/c", "d"):
        steps = [generator.randrange(60) for _ in range(80)]
        for number, part in enumerate((steps[:50], steps[50:])):
            write_run(
                tmp_path / "logs" / run,
                *(
                    event(simple_value("x", generator.random()), step=s, wall_time=number * 100 + i)
                    for i, s in enumerate(part)
                ),
                name=file_name(number),
            )
    series = {run: accumulated(tmp_path / "logs" / run, "x") for run in ("a", "b/c", "d")}
    expected = pd.concat(series, axis=1).sort_index()
    tb2csv.convert(tmp_path / "logs", tmp_path / "x.parquet", layout="compare")
    found = pd.read_parquet(tmp_path / "x.parquet").set_index("step")
    pd.testing.assert_frame_equal(found, expected, check_index_type=False)


@pytest.mark.parametrize("values", [4, 1 << 21])
def test_frames_of_any_length_have_the_same_rows(values: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide_rows, "_RANGE_VALUES", values)
    monkeypatch.setattr(wide_rows, "_SAMPLED", 2)
    for run in "ab":
        write_run(
            tmp_path / "logs" / run, *(event(simple_value("x", s), step=s) for s in range(0, 50, 1 + (run == "b")))
        )
    steps = range(50)
    expected = [[str(s), f"{s}.0", "" if s % 2 else f"{s}.0"] for s in steps]
    assert table_of(tmp_path / "logs")[1:] == expected
    means = [[str(s), f"{s + 4.5}", f"{s + 4.0}"] for s in range(0, 50, 10)]
    assert table_of(tmp_path / "logs", align="bin:10")[1:] == means


def test_a_folder_has_a_table_for_each_tag(tmp_path: Path) -> None:
    tb2csv.convert(SAMPLE_LOGS, tmp_path / "out", layout="compare", run="keras/*")
    lines = parse_lines((tmp_path / "out" / "scalars" / "epoch_loss.csv").read_text())
    assert lines[0] == ["step", "keras/train", "keras/validation"]
    train, validation = (accumulated(SAMPLE_LOGS / "keras" / run, "epoch_loss") for run in ("train", "validation"))
    assert [[np.float32(cell) for cell in line[1:]] for line in lines[1:]] == list(
        map(list, zip(train, validation, strict=True))
    )
    index = {row["path"]: row for row in read_index(tmp_path / "out")}
    row = index["scalars/epoch_loss.csv"]
    assert (row["run"], row["tag"], row["kind"], row["rows"]) == ("", "epoch_loss", "scalars", "3")
    assert (row["first_step"], row["last_step"], row["first_wall_time"]) == ("0", "2", "")
    assert "keras/train/graphs/keras.nodes.csv" in index


def test_columns_have_the_types_of_their_series_and_names_that_differ(tmp_path: Path) -> None:
    write_run(tmp_path / "logs" / "step", event(scalar("x", 0.1), step=1))
    write_run(
        tmp_path / "logs" / "wall_time",
        event(scalar("x", 2**60 + 1, "int64"), step=1),
        event(scalar("x", 0.1, "float64"), step=2),
    )
    write_run(tmp_path / "logs" / "wall_time~float64", event(scalar("x", NAN), step=3))
    assert table_of(tmp_path / "logs") == [
        ["step", "run:step", "run:wall_time", "wall_time~float64", "run:wall_time~float64"],
        ["1", "0.1", str(2**60 + 1), "", ""],
        ["2", "", "", "0.1", ""],
        ["3", "", "", "", "NaN"],
    ]


@pytest.mark.parametrize(("on_duplicate", "kept"), [("last", "3.0"), ("first", "1.0")])
def test_repeated_steps_are_counted(on_duplicate: str, kept: str, tmp_path: Path) -> None:
    write_run(tmp_path / "logs" / "a", *(event(simple_value("x", v), step=5) for v in (1, 2, 3)))
    write_run(tmp_path / "logs" / "b", event(simple_value("x", 9), step=5))
    for out in ("out", "x.csv"):
        report = tb2csv.convert(tmp_path / "logs", tmp_path / out, layout="compare", on_duplicate=on_duplicate)
        assert (report.values_read, report.values_written, report.values_filtered) == (4, 2, 2)
        assert [(note.kind, note.run, note.count) for note in report.notes if note.kind == "duplicates_left_out"] == [
            ("duplicates_left_out", "a", 2)
        ]
    assert parse_lines((tmp_path / "x.csv").read_text()) == [["step", "a", "b"], ["5", kept, "9.0"]]
    with pytest.raises(Tb2csvError, match="Tag 'x' of run 'a' has step 5 more than once"):
        tb2csv.convert(tmp_path / "logs", tmp_path / "y.csv", layout="compare", on_duplicate="error")


def test_restarts_purge_rows_before_they_are_compared(tmp_path: Path) -> None:
    """The second session starts at step 2: rows of step 3, which it did not reach again, are those of the first."""
    first = [event(simple_value("x", step), step=step, wall_time=step) for step in (1, 2, 3)]
    write_run(tmp_path / "logs" / "a", *first, name=file_name(0))
    write_run(tmp_path / "logs" / "a", event(simple_value("x", 20), step=2, wall_time=50), name=file_name(50))
    assert table_of(tmp_path / "logs") == [["step", "a"], ["1", "1.0"], ["2", "20.0"], ["3", "3.0"]]
    assert table_of(tmp_path / "logs", rows=tb2csv.RowSelection(restarts="supersede")) == [
        ["step", "a"], ["1", "1.0"], ["2", "20.0"]
    ]  # fmt: skip


def write_timed_runs(folder: Path) -> Path:
    """Write two runs that start at other times; the second has a value without a time."""
    for run, start in (("a", 1000.0), ("b", 5000.0)):
        write_run(
            folder / run,
            *(event(simple_value("x", value), step=value, wall_time=start + 4 * value) for value in range(6)),
            *([event(simple_value("x", 100), step=9, wall_time=NAN)] if run == "b" else []),
            wall_time=start,
        )
    return folder


def test_rows_by_relative_time_are_means_of_bins(tmp_path: Path) -> None:
    logs = write_timed_runs(tmp_path / "logs")
    expected = [["relative_time", "a", "b"], ["0.0", "1.0", "1.0"], ["10.0", "3.5", "3.5"], ["20.0", "5.0", "5.0"]]
    assert table_of(logs, x="relative", align="bin:10") == expected
    report = tb2csv.convert(logs, tmp_path / "x.csv", layout="compare", x="relative", align="bin:10")
    assert (report.values_written, report.values_filtered) == (12, 1)
    assert [(note.kind, note.run, note.count) for note in report.notes if note.kind == "times_unknown"] == [
        ("times_unknown", "b", 1)
    ]


@pytest.mark.parametrize(
    ("time", "name", "starts"),
    [
        ("epoch", "wall_time", ["1000.0", "1020.0", "5000.0", "5020.0"]),
        (
            "iso",
            "time_utc",
            [f"{datetime.fromtimestamp(s, timezone.utc):%Y-%m-%dT%H:%M:%S.%fZ}" for s in (1000, 1020, 5000, 5020)],
        ),
    ],
)
def test_rows_by_wall_time_are_means_of_bins(time: str, name: str, starts: list[str], tmp_path: Path) -> None:
    logs = write_timed_runs(tmp_path / "logs")
    found = table_of(logs, x="wall", align="bin:20", time=time)
    cells = [["2.0", ""], ["5.0", ""], ["", "2.0"], ["", "5.0"]]
    assert found == [[name, "a", "b"], *([start, *own] for start, own in zip(starts, cells, strict=True))]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"x": "relative"}, "need bins; give the seconds of a row, such as align='bin:60'"),
        ({"x": "epoch"}, "Unknown axis 'epoch'; choose from step, relative, wall"),
        ({"align": "bin:0.5"}, "whole number of steps"),
        ({"align": "bin:0", "x": "wall"}, "number of seconds"),
        ({"align": "nearest"}, "give bin:N"),
        ({"align": "bin:5", "layout": "wide"}, "layout='compare', or leave out x and align"),
        ({"time": "iso"}, "leave out time"),
        ({"time": "relative", "x": "wall", "align": "bin:5"}, "leave out time"),
        ({"rows": tb2csv.RowSelection(sessions=True)}, "leave out sessions"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    write_run(tmp_path / "logs", event(scalar("x", 1)))
    with pytest.raises(OptionError) as refused:
        tb2csv.convert(tmp_path / "logs", tmp_path / "out", **{"layout": "compare"} | options)
    assert said in str(refused.value)


@pytest.mark.parametrize("options", [{}, {"x": "relative", "align": "bin:3"}])
def test_an_update_gives_the_tables_of_one_conversion(options: dict[str, str], tmp_path: Path) -> None:
    """Rows at the end and between others, a new tag, a new run, and values that another one replaces."""
    logs, out = tmp_path / "logs", tmp_path / "out"

    def grow(run: str, *steps: int, tag: str = "x") -> None:
        events = [event(simple_value(tag, step / 2), step=step, wall_time=100 + step) for step in steps]
        path = logs / run / file_name()
        if path.exists():
            path.write_bytes(path.read_bytes() + frames(events))
        else:
            write_run(logs / run, *events)

    grow("a", 1, 3, 3)
    grow("b", 1)
    for changes in ([("a", 4)], [("b", 2), ("b", 2)], [("c", 1)], [("b", 9)]):
        tb2csv.convert(logs, out, layout="compare", **options)
        for run, step in changes:
            grow(run, step)
    grow("a", 5, tag="later")
    updated = tb2csv.convert(logs, out, layout="compare", **options)
    whole = tb2csv.convert(logs, tmp_path / "whole", layout="compare", **options)
    assert read_tree(out) == read_tree(tmp_path / "whole")
    assert updated.values_filtered == whole.values_filtered == (0 if options else 2)


# Clocks


def write_clocks(folder: Path, rates: dict[str, float], *, seconds: int = 100) -> Path:
    """Write tags whose steps advance at these rates per second; one with a negative rate ends early."""
    events = [
        event(simple_value(tag, 1), step=int(abs(rate) * second), wall_time=1000 + second)
        for second in range(seconds)
        for tag, rate in rates.items()
        if rate > 0 or second < seconds / 4
    ]
    write_run(folder, *events)
    return folder


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ({"batch_loss": 10.0, "epoch_loss": 0.2}, True),
        ({"train": 10.0, "validation": 10.0}, False),
        ({"train": 10.0, "warm_up": -100.0}, False),
    ],
)
def test_tags_with_other_clocks_are_noted(rates: dict[str, float], said: bool, tmp_path: Path) -> None:
    logs = write_clocks(tmp_path / "logs", rates)
    for name, layout in (("out", "wide"), ("w.csv", "wide"), ("c.csv", "compare")):
        report = tb2csv.convert(logs, tmp_path / name, layout=layout)
        notes = [note for note in report.notes if note.kind == "clocks_differ"]
        found = [(note.run, note.details["slow"], note.details["fast"]) for note in notes]
        assert found == ([(".", "epoch_loss", "batch_loss")] if said else [])
    report = tb2csv.convert(logs, tmp_path / "compared", layout="compare")  # a table for each tag
    assert [note for note in report.notes if note.kind == "clocks_differ"] == []


def test_python_frames_have_the_columns_of_the_file(tmp_path: Path) -> None:
    """``log.wide`` is the same join in memory."""
    for run in "ab":
        write_run(tmp_path / "logs" / run, *(event(simple_value("x", ord(run) + s), step=s) for s in range(3)))
    tb2csv.convert(tmp_path / "logs", tmp_path / "x.parquet", layout="compare")
    assert pl.read_parquet(tmp_path / "x.parquet").equals(tb2csv.open_logdir(tmp_path / "logs").wide(tag="x"))
