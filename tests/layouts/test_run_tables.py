"""The tables of a run are the same whether they are kept as objects or in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from event_files import event, file_name, simple_value, write_run
from growing import LOGS
from scenarios import SCENARIOS
from tables import read_index, read_rows, read_tree
from test_scenarios import check_tables_of, convert_by_function

import tb2csv
from tb2csv.layouts import converted_run, run_tables
from tb2csv.sinks import file_names

if TYPE_CHECKING:
    from pathlib import Path

    from tensorboard.compat.proto.event_pb2 import Event


def keep_in_columns(patch: pytest.MonkeyPatch) -> None:
    """Keep the tables, tags and paths of each run in columns, and not only those of runs with more than 1,024."""
    patch.setattr(run_tables, "_FEW", 0)
    patch.setattr(run_tables, "_SORTED_AT_ONCE", 3)
    patch.setattr(converted_run, "_MOST_SHARED", 0)
    patch.setattr(file_names, "_FEW", 0)


@pytest.mark.parametrize("name", SCENARIOS)
def test_tables_in_columns_are_those_of_the_scenario(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_in_columns(monkeypatch)
    check_tables_of(SCENARIOS[name](), convert_by_function, tmp_path)


@pytest.mark.parametrize("name", [name for name in LOGS if "every_kind" in name])
def test_updates_of_tables_in_columns_equal_one_conversion(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LOGS[name]()
    ((path, content),) = log.writes
    file = tmp_path / "log" / path
    file.parent.mkdir(parents=True)
    with monkeypatch.context() as patch:
        keep_in_columns(patch)
        for stop in (len(content) // 2, len(content)):
            file.write_bytes(content[:stop])
            tb2csv.convert(tmp_path / "log", tmp_path / "updated", **log.options)
    tb2csv.convert(tmp_path / "log", tmp_path / "once", **log.options)
    assert read_tree(tmp_path / "updated") == read_tree(tmp_path / "once")


def _values(step: int, tags: range) -> list[Event]:
    return [event(simple_value(f"t{tag}", tag + step), step=step, wall_time=100.0 + step) for tag in tags]


def test_many_tags_have_their_rows_after_an_update(tmp_path: Path) -> None:
    """More tables than are kept as objects: the update appends to some, and adds others."""
    run, out = tmp_path / "log" / "run", tmp_path / "out"
    write_run(run, *_values(1, range(1500)))
    tb2csv.convert(tmp_path / "log", out)
    write_run(run, *_values(2, range(1400, 1600)), name=file_name(1), wall_time=101.5)
    report = tb2csv.convert(tmp_path / "log", out)
    assert report.update
    assert report.update.values == 200

    written = ((1, range(1500)), (2, range(1400, 1600)))
    expected = {tag: [step for step, tags in written if tag in tags] for tag in range(1600)}
    for tag, steps in expected.items():
        rows = [(row["step"], row["value"]) for row in read_rows(out / f"run/scalars/t{tag}.csv")]
        assert rows == [(str(step), f"{tag + step}.0") for step in steps], tag
    found = {row["tag"]: (row["rows"], row["first_step"], row["last_step"]) for row in read_index(out)}
    assert found == {f"t{tag}": (str(len(steps)), str(steps[0]), str(steps[-1])) for tag, steps in expected.items()}
