"""The columns of time, against Python's datetime."""

from __future__ import annotations

import itertools
import math
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from converted import dtypes_of, read_package, read_table
from event_files import event, file_name, image, legacy_histogram, scalar, tensor, tensor_of, text, write_run
from hypothesis import example, given
from hypothesis import strategies as st
from slow_cases import quick_if
from tables import read_rows

import tb2csv
from tb2csv.layouts.time_columns import TIME_STYLES, TimeColumns, utc
from tb2csv.sinks.formats import FORMATS

if TYPE_CHECKING:
    from pathlib import Path

NAN, INFINITY = float("nan"), float("inf")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
ALL = ("epoch", "iso", "relative")
#: Wall times within the calendar, beyond it, and at its borders.
WALL_TIMES = st.one_of(
    st.floats(),
    st.floats(-62135596801, -62135596799),
    st.floats(253402300799, 253402300801),
    st.floats(1.5e9, 2e9),
    st.floats(-1e3, 1e3),
)


def by_datetime(wall_time: float) -> datetime | None:
    """Return the moment that Python's datetime gives; None if the calendar has none."""
    try:
        return datetime.fromtimestamp(wall_time, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


@given(st.lists(WALL_TIMES, max_size=20))
@example([0.0000005, 0.0000015, -0.0000005, 1e-320, -62135596800.0, 253402300799.9999995])
def test_times_equal_those_of_datetime(wall_times: list[float]) -> None:
    found = utc(np.array(wall_times, np.float64))
    assert found.dtype == pl.Datetime("us", "UTC")
    assert found.to_list() == [by_datetime(each) for each in wall_times]


def test_times_outside_the_calendar_are_missing(tmp_path: Path) -> None:
    """Before the year 1 and after the year 9999 there is no date, and none for what is not a number."""
    wall_times = [-62135596800.0, math.nextafter(-62135596800, -INFINITY), 253402300800.0, NAN, INFINITY, -INFINITY]
    events = [event(scalar("x", i), step=i, wall_time=each) for i, each in enumerate(wall_times)]
    write_run(tmp_path / "logs", *events)
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", time=("iso",))
    assert (tmp_path / "out" / "scalars" / "x.csv").read_text() == (
        "time_utc,step,value\n0001-01-01T00:00:00.000000Z,0,0.0\n,1,1.0\n,2,2.0\n,3,3.0\n,4,4.0\n,5,5.0\n"
    )


def write_logs(folder: Path) -> Path:
    """Write two runs: one of two files, the later of which comes first by name, and one whose tags start late."""
    wall_time = 1700000000.25
    for number, start in enumerate((10, 0)):
        values = [
            event(
                scalar("x", start + i),
                *([scalar("late", i), text("note", "a"), legacy_histogram("h", [1], [1])] if start + i > 2 else []),
                step=i,
                wall_time=wall_time + start + i,
            )
            for i in range(5)
        ]
        broken = tensor("note", tensor_of("DT_FLOAT", (2,), tensor_content=b"1"))
        more = [event(broken, image("pic", 1, 1, b"x"), tensor("t", [[1.0]]), step=9, wall_time=wall_time + start + 9)]
        write_run(folder / "a", *values, *more, name=file_name(number), wall_time=wall_time + start - 1)
    write_run(folder / "b", event(scalar("x", 1), wall_time=5.0), event(scalar("x", 1), wall_time=NAN), wall_time=2.0)
    return folder


@pytest.mark.parametrize(
    ("layout", "format_name"),
    quick_if(lambda _, name: name in {"csv", "parquet"}, itertools.product(["tree", "tags", "long", "wide"], FORMATS)),
)
def test_every_table_has_the_chosen_time_columns(layout: str, format_name: str, tmp_path: Path) -> None:
    logdir = write_logs(tmp_path / "logs")
    tb2csv.convert(logdir, tmp_path / "out", layout=layout, format=format_name, time=("relative", "iso", "epoch"))
    tb2csv.convert(logdir, tmp_path / "plain", layout=layout, format=format_name)
    plain = read_package(tmp_path / "plain")
    assert len(plain) >= 6
    for path, resource in read_package(tmp_path / "out").items():
        names = list(dtypes_of(resource))
        place = names.index("wall_time")
        assert names[place : place + 3] == ["wall_time", "time_utc", "relative_time"]
        assert [name for name in names if name not in ("time_utc", "relative_time")] == list(dtypes_of(plain[path]))
        rows = read_table(tmp_path / "out", resource)
        assert [(*row[: place + 1], *row[place + 3 :]) for row in rows] == read_table(tmp_path / "plain", plain[path])
        for row in rows:
            check_times(*row[place : place + 3], origins=(2.0, 1699999999.25))


def check_times(wall: bytes | None, moment: Any, relative: bytes | None, origins: tuple[float, ...]) -> None:
    """Assert that a row's three columns of time agree; NaN is its name, or missing if the format has no NaN."""
    if wall is None or wall == b"NaN":
        assert (moment, relative) == (None, wall)
        return
    assert relative is not None
    wall_time = float(np.frombuffer(wall)[0])
    assert moment == EPOCH + timedelta(seconds=wall_time)
    assert float(np.frombuffer(relative)[0]) in [wall_time - origin for origin in origins]


def relative_times(out: Path, path: str) -> list[str]:
    return [row["relative_time"] for row in read_rows(out / path)]


def test_relative_times_count_from_the_run_or_from_the_tag(tmp_path: Path) -> None:
    logdir = write_logs(tmp_path / "logs")
    for origin in ("run", "first-step"):
        tb2csv.convert(logdir, tmp_path / origin, time=("relative",), relative_to=origin)
    # The run's first event is that of the earlier file, a second before its first value.
    assert relative_times(tmp_path / "run", "a/scalars/late.csv") == ["4.0", "5.0", *(f"{i}.0" for i in range(11, 16))]
    assert relative_times(tmp_path / "first-step", "a/scalars/late.csv")[:3] == ["0.0", "1.0", "7.0"]
    assert relative_times(tmp_path / "first-step", "a/scalars/x.csv")[:3] == ["0.0", "1.0", "2.0"]
    assert relative_times(tmp_path / "run", "b/scalars/x.csv") == ["3.0", "NaN"]
    assert relative_times(tmp_path / "first-step", "a/text/note.csv")[:2] == ["0.0", "1.0"]
    assert relative_times(tmp_path / "first-step", "a/histograms/h.stats.csv")[:2] == ["0.0", "1.0"]
    for layout in ("tags", "long"):
        tb2csv.convert(logdir, tmp_path / layout, layout=layout, time=("relative",), relative_to="first-step")
    tags = read_rows(tmp_path / "tags" / "scalars" / "late.csv")
    assert [row["relative_time"] for row in tags][:3] == ["0.0", "1.0", "7.0"]
    both = read_rows(tmp_path / "long" / "scalars.csv")
    assert [row["relative_time"] for row in both if row["tag"] == "late"][:3] == ["0.0", "1.0", "7.0"]


def test_the_wide_layout_counts_from_the_run(tmp_path: Path) -> None:
    write_run(
        tmp_path / "logs",
        event(scalar("x", 1), step=1, wall_time=8.5),
        event(scalar("y", 1), step=1, wall_time=7.5),
        wall_time=7.0,
    )
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="wide", time=ALL)
    assert (tmp_path / "out" / "scalars.csv").read_text() == (
        "step,wall_time,time_utc,relative_time,x,y\n1,7.5,1970-01-01T00:00:07.500000Z,0.5,1.0,1.0\n"
    )


def test_a_run_without_a_known_start_has_no_relative_times() -> None:
    frame = pl.DataFrame({"wall_time": [1.0, NAN], "step": [1, 2]})
    for origin in (NAN, INFINITY, -INFINITY):
        found = TimeColumns(("relative",)).replace(frame, np.full(2, origin))
        assert found.rows() == [(None, 1), (None, 2)]


def test_times_have_the_type_of_the_format(tmp_path: Path) -> None:
    logdir = write_logs(tmp_path / "logs")
    for name, read in {"parquet": pl.read_parquet, "arrow": pl.read_ipc}.items():
        tb2csv.convert(logdir, tmp_path / name, format=name, time=("iso",))
        assert read(tmp_path / name / "a" / "scalars" / f"x.{name}").schema["time_utc"] == pl.Datetime("us", "UTC")


def test_each_column_is_there_once_and_in_its_place(tmp_path: Path) -> None:
    logdir = write_logs(tmp_path / "logs")
    tb2csv.convert(logdir, tmp_path / "out", time=("iso", "epoch", "iso"))
    header = (tmp_path / "out" / "a" / "scalars" / "x.csv").read_text().splitlines()[0]
    assert header == "wall_time,time_utc,step,value"
    assert ALL == TIME_STYLES
