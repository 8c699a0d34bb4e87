"""Updates of conversions in every layout and format: the files equal those of one conversion at the end."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import math
import random
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from event_files import event, event_file, file_name, frames, image, scalar, simple_value, tensor, text, write_run
from scenarios import SCENARIOS
from tables import read_rows, read_tree
from test_scenarios import write_logs
from test_updates import append, assert_same_tables, convert_in_steps, random_cuts

import tb2csv
from tb2csv.errors import OutputError
from tb2csv.event_files.scanners import SCANNERS
from tb2csv.layouts.layouts import LAYOUTS
from tb2csv.runs import run_batch
from tb2csv.selection import Selection
from tb2csv.sinks import row_buffer
from tb2csv.sinks.formats import FORMATS
from tb2csv.sources.local_files import LocalFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tensorboard.compat.proto.event_pb2 import Event


PNG = b"\x89PNG\r\n\x1a\n"

#: The options of all kinds of tables: each layout in each format, and TensorBoard's own header.
TABLES = [
    *({"layout": layout, "format": format_name} for layout in LAYOUTS for format_name in FORMATS),
    {"header": "tensorboard"},
    {"layout": "tags", "time": ("relative", "iso"), "relative_to": "first-step"},
    {"layout": "long", "format": "csv.gz", "escape_formulas": True},
    {"layout": "wide", "on_duplicate": "first"},
]


#: One table of a layout that joins runs, and one of a layout that joins columns.
QUICK_TABLES = [{"layout": "tags", "format": "parquet"}, {"layout": "wide", "format": "csv"}]


def id_of(options: dict[str, Any]) -> str:
    return "-".join(str(value) for value in options.values())


@pytest.mark.parametrize(
    ("name", "layout", "format_name"),
    [
        (name, layout, list(FORMATS)[(row + column) % len(FORMATS)])
        for row, name in enumerate(SCENARIOS)
        for column, layout in enumerate(LAYOUTS)
    ],
)
@pytest.mark.slow
def test_updates_of_scenarios_equal_one_conversion(tmp_path: Path, name: str, layout: str, format_name: str) -> None:
    """Convert each scenario in each layout, in one of the formats, which take turns."""
    scenario = SCENARIOS[name]()
    patterns = {option: value for option, value in scenario.options.items() if option != "tensors"}
    options = {
        "selection": Selection(**patterns),
        **{k: v for k, v in scenario.options.items() if k == "tensors"},
        "layout": layout,
        "format": format_name,
    }
    content = read_tree(write_logs(tmp_path / "whole", scenario))
    generator = random.Random(f"{name} {layout} {format_name}")
    logdir, out = tmp_path / "log", tmp_path / "out"
    first = random_cuts(content, generator)
    second = {path: max(stop, generator.randint(0, len(content[path]))) for path, stop in first.items()}
    convert_in_steps(logdir, content, [first, second], out, **options)
    assert_same_tables(out, logdir, **options)


@pytest.mark.parametrize("layout", ["tags", "long", "wide"])
def test_rows_of_a_tag_that_sorts_after_a_later_one_stay_in_order(tmp_path: Path, layout: str) -> None:
    """The tag ``a`` begins with the second update, so its rows are only in the file that has the last rows of ``b``."""
    steps = [
        [event(scalar("b", 0.5), step=0)],
        [event(scalar("b", 1.5), step=1), event(scalar("a", 1.0), step=1)],
        [event(scalar("b", 2.5), step=2)],
    ]
    path = write_run(tmp_path / "logs" / "run", *steps[0])
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout=layout)
    write_run(tmp_path / "logs" / "later", event(scalar("b", 9.5), step=9))
    for events in steps[1:]:
        append(path, frames(events))
        tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout=layout)
    assert_same_tables(tmp_path / "out", tmp_path / "logs", layout=layout)


def test_a_tag_that_begins_later_has_its_own_metadata(tmp_path: Path) -> None:
    early = [event(tensor(tag, np.float32([0]), "flight", content=tag.encode()), step=0) for tag in ("a", "b")]
    late = [event(tensor(tag, np.float32([1]), "flight", content=tag.encode()), step=1) for tag in ("a", "b", "c")]
    write_run(tmp_path / "logs", *early, *late)
    size = len(event_file(early))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", chunk_size=size)
    package = json.loads((tmp_path / "out" / "datapackage.json").read_text("utf-8"))
    contents = {each["path"]: each.get("tb2csv:plugin_content") for each in package["resources"]}
    assert contents["tensors/c.csv"] == base64.b64encode(b"c").decode()


def values(step: int, *tags: str) -> Event:
    return event(*(simple_value(tag, step / 8) for tag in tags), step=step, wall_time=1000.0 + step)


def picture(step: int, *, count: int = 1) -> Event:
    return event(image("=picture", 1, 1, *[PNG + bytes([step])] * count), step=step, wall_time=1000.0 + step)


#: What happens to a log between two conversions; each step changes some of its runs.
HISTORY: dict[str, Callable[[Path], object]] = {
    "begin": lambda logs: [
        write_run(logs / run, *(values(step, "loss", "acc") for step in range(4)), picture(4)) for run in ("b", "d")
    ],
    "grow the last run": lambda logs: extend(logs / "d", values(5, "loss", "acc"), picture(6)),
    "grow the first run": lambda logs: extend(
        logs / "b", values(5, "loss"), picture(5), event(simple_value("loss", math.nan), step=5, wall_time=1005.0)
    ),
    "add a run at the end": lambda logs: write_run(logs / "e", values(0, "loss", "lr"), picture(1)),
    "add a tag": lambda logs: extend(logs / "b", values(6, "Loss", "zeta"), event(text("note", "=1+1"), step=6)),
    "change a type": lambda logs: extend(
        logs / "d", event(scalar("loss", 7, "float64"), scalar("lr", 7, "int64"), step=7, wall_time=1007.0)
    ),
    "repeat steps": lambda logs: extend(logs / "d", *(values(step, "loss", "acc") for step in (6, 2, 2))),
    "grow after repeated steps": lambda logs: extend(
        logs / "d", *(values(step, "loss", "acc") for step in (20, 20)), picture(21)
    ),
    "add only an image": lambda logs: extend(logs / "d", picture(22)),
    "add a run at the start with other types": lambda logs: write_run(
        logs / "a",
        event(scalar("loss", 1, "float64"), scalar("LOSS", 1, "float64"), step=1, wall_time=900.0),
        picture(2),
    ),
    "change nothing": lambda logs: None,
    "replace a run": lambda logs: write_run(logs / "d", values(0, "loss", "other"), picture(3, count=2)),
    "add a file": lambda logs: write_run(
        logs / "b", values(9, "loss"), picture(9), name=file_name(1), wall_time=1008.0
    ),
    "remove the first run": lambda logs: shutil.rmtree(logs / "a"),
    "remove all images": lambda logs: write_run(logs / "d", values(0, "loss", "other")),
}


def extend(run: Path, *events: Event) -> None:
    append(run / file_name(), frames(events))


@pytest.mark.parametrize(
    ("options", "scanner"),
    [
        pytest.param(
            options,
            scanner,
            id=f"{id_of(options)}-{scanner}",
            marks=() if options in QUICK_TABLES else pytest.mark.slow,
        )
        for options, scanner in zip(TABLES, itertools.cycle(SCANNERS))  # which take turns: they know no tables
    ],
)
@pytest.mark.slow
def test_each_change_of_a_log_gives_the_tables_of_one_conversion(
    tmp_path: Path, options: dict[str, Any], scanner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TB2CSV_SCANNER", scanner)
    logs = tmp_path / "logs"
    for number, (name, change) in enumerate(HISTORY.items()):
        change(logs)
        report = tb2csv.convert(logs, tmp_path / "out", **options)
        fresh = tmp_path / f"fresh{number}"
        tb2csv.convert(logs, fresh, **options)
        found, expected = read_tree(tmp_path / "out"), read_tree(fresh)
        assert found.keys() == expected.keys(), name
        assert [path for path in found if found[path] != expected[path]] == [], name
        if report.update:
            changed = {"replace a run": ["d"], "remove all images": ["d"]}.get(name, [])
            assert list(report.update.renewed) == changed, name


@pytest.mark.parametrize("options", TABLES, ids=id_of)
def test_updates_read_no_event_file_from_its_start(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_batch, "SMALL_FILE", 0)
    for run in ("a", "b"):
        write_run(tmp_path / "logs" / run, *(values(step, "loss", "acc") for step in range(500)))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", **options)
    sizes = {run: (tmp_path / "logs" / run / file_name()).stat().st_size for run in ("a", "b")}
    extend(tmp_path / "logs" / "a", values(3, "loss", "new"))
    reads: list[tuple[str, int, int]] = []
    read_into = LocalFile.read_into

    def counted(self: LocalFile, offset: int, buffer: memoryview) -> int:
        reads.append((self.path.partition("/")[0], offset, len(buffer)))
        return read_into(self, offset, buffer)

    monkeypatch.setattr(LocalFile, "read_into", counted)
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "out", **options)
    assert report.update is not None
    assert report.update.grown == ["a"]
    assert reads
    assert {run for run, _, _ in reads} == {"a"}
    assert sum(min(length, sizes["a"]) for _, offset, length in reads if offset < sizes["a"]) < sizes["a"] // 10


def test_tables_of_runs_that_did_not_change_are_not_touched(tmp_path: Path) -> None:
    for run in ("a", "b"):
        write_run(tmp_path / "logs" / run, values(0, "loss", run))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="tags", format="parquet")
    before = {name: (tmp_path / "out" / f"scalars/{name}.parquet").stat() for name in ("a", "b", "loss")}
    extend(tmp_path / "logs" / "b", values(1, "b"))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="tags", format="parquet")
    after = {name: (tmp_path / "out" / f"scalars/{name}.parquet").stat() for name in ("a", "b", "loss")}
    assert [name for name in before if before[name].st_ino != after[name].st_ino] == ["b"]


def test_rows_at_the_end_of_a_joined_table_are_appended_in_place(tmp_path: Path) -> None:
    for run in ("a", "b"):
        write_run(tmp_path / "logs" / run, values(0, "loss"))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="long")
    table = tmp_path / "out" / "scalars.csv"
    number = table.stat().st_ino
    extend(tmp_path / "logs" / "b", values(1, "loss"))
    write_run(tmp_path / "logs" / "c", values(0, "loss"))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="long")
    assert table.stat().st_ino == number
    assert [(row["run"], row["step"]) for row in read_rows(table)] == [("a", "0"), ("b", "0"), ("b", "1"), ("c", "0")]
    extend(tmp_path / "logs" / "a", values(1, "loss"))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="long")
    assert table.stat().st_ino != number
    assert [row["run"] for row in read_rows(table)] == ["a", "a", "b", "b", "c"]


def test_later_steps_are_appended_to_scalars_side_by_side(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", values(0, "loss", "acc"), values(2, "loss"), values(2, "loss"))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="wide")
    table = tmp_path / "out" / "scalars.csv"
    number = table.stat().st_ino
    extend(tmp_path / "logs", values(4, "loss"), values(4, "loss"), values(3, "acc"))
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="wide")
    assert table.stat().st_ino == number
    assert [row["step"] for row in read_rows(table)] == ["0", "2", "3", "4"]
    assert [note.count for note in report.notes if note.kind == "duplicates_left_out"] == [2]
    extend(tmp_path / "logs", values(1, "acc"))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="wide")
    assert table.stat().st_ino != number
    assert [row["acc"] for row in read_rows(table)] == ["0.0", "0.125", "", "0.375", ""]


@pytest.mark.parametrize("format_name", ["csv", "parquet"])
def test_many_updates_leave_few_files_of_kept_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_name: str
) -> None:
    monkeypatch.setattr(row_buffer, "_SMALL_FILES", 4)
    for step in range(20):
        for run in ("a", "b"):
            path = tmp_path / "logs" / run / file_name()
            append(path, frames([values(step, "loss")]) if step else event_file([values(step, "loss")]))
        tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="wide", format=format_name)
    assert len(list((tmp_path / "out" / ".tb2csv" / "rows").iterdir())) <= 5
    assert_same_tables(tmp_path / "out", tmp_path / "logs", layout="wide", format=format_name)


@pytest.mark.parametrize("format_name", ["parquet", "csv.zst"])
def test_a_table_that_another_program_changed_is_not_continued(tmp_path: Path, format_name: str) -> None:
    write_run(tmp_path / "logs", values(0, "loss"), values(1, "loss"))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", format=format_name)
    table = tmp_path / "out" / f"scalars/loss.{format_name}"
    write_run(tmp_path / "other", values(0, "loss"))
    tb2csv.convert(tmp_path / "other", tmp_path / "one row", format=format_name)
    table.write_bytes((tmp_path / "one row" / f"scalars/loss.{format_name}").read_bytes())
    extend(tmp_path / "logs", values(2, "loss"))
    with pytest.raises(OutputError, match=r"it has 1 rows instead of 2; overwrite=True"):
        tb2csv.convert(tmp_path / "logs", tmp_path / "out", format=format_name)
    table.unlink()
    with pytest.raises(OutputError, match="was changed since the last update"):
        tb2csv.convert(tmp_path / "logs", tmp_path / "out", format=format_name)


@pytest.mark.parametrize(("layout", "format_name"), [("tags", "csv"), ("long", "parquet"), ("wide", "jsonl")])
def test_a_changed_cell_of_kept_rows_is_noticed_when_they_are_read(
    tmp_path: Path, layout: str, format_name: str
) -> None:
    """A later update notices it as well if the first one did not read the rows, but only appended others."""
    options = {"layout": layout, "format": format_name}
    write_run(tmp_path / "logs" / "a", event(scalar("loss", 0.3125), step=1), event(scalar("loss", 0.5), step=2))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", **options)
    (kept,) = (tmp_path / "out" / ".tb2csv" / "rows").iterdir()
    data = kept.read_bytes()
    cell = next(stored for stored in (np.float32(0.3125).tobytes(), np.float64(0.3125).tobytes()) if stored in data)
    kept.write_bytes(data.replace(cell, cell[:-1] + bytes([cell[-1] ^ 1]), 1))
    assert 0.3125 not in pl.read_ipc(kept.read_bytes())["value"]
    write_run(tmp_path / "logs" / "b", event(scalar("loss", 1.5), step=3))
    with contextlib.suppress(OutputError):
        tb2csv.convert(tmp_path / "logs", tmp_path / "out", **options)
    extend(tmp_path / "logs" / "a", event(scalar("loss", 2.5), step=0))
    with pytest.raises(OutputError, match=r"000000\.arrow does not have its checksum\); overwrite=True"):
        tb2csv.convert(tmp_path / "logs", tmp_path / "out", **options)


@pytest.mark.parametrize("is_removed", [False, True])
def test_kept_rows_that_cannot_be_read_are_an_error(tmp_path: Path, is_removed: bool) -> None:
    write_run(tmp_path / "logs", values(1, "loss"), values(2, "loss"))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="wide")
    (kept,) = (tmp_path / "out" / ".tb2csv" / "rows").iterdir()
    if is_removed:
        kept.unlink()
    else:
        kept.write_bytes(b"ARROW1")
    extend(tmp_path / "logs", values(0, "loss"))
    with pytest.raises(OutputError, match="Rows that were stored for the tables are damaged"):
        tb2csv.convert(tmp_path / "logs", tmp_path / "out", layout="wide")
