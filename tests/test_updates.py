"""Updates of a conversion: after any number of them, the tables are those of one conversion at the end."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest
from event_files import event, event_file, file_name, frames, histogram, scalar, simple_value, text, write_run
from scenarios import SCENARIOS
from tables import read_rows, read_tree
from test_scenarios import write_logs

import tb2csv
from tb2csv.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tensorboard.compat.proto.event_pb2 import Event


def losses(start: int, stop: int, tag: str = "loss") -> list[Event]:
    return [event(simple_value(tag, step / 8), step=step, wall_time=100.0 + step) for step in range(start, stop)]


def append(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(data)


def convert_in_steps(
    logdir: Path, content: dict[str, bytes], steps: Sequence[dict[str, int]], out: Path, **options: Any
) -> None:
    """Convert a log that grows: each step has the number of bytes that each file has by then; then all are whole."""
    for step in [*steps, {path: len(data) for path, data in content.items()}]:
        for path, stop in step.items():
            file = logdir / path
            start = file.stat().st_size if file.exists() else 0
            append(file, content[path][start : max(start, stop)])
        try:
            tb2csv.convert(logdir, out, **options)
        except tb2csv.Tb2csvError:
            if step not in steps:  # before the end, there may be nothing to convert
                raise


def assert_same_tables(out: Path, logdir: Path, **options: Any) -> None:
    """Compare every file with those of one conversion."""
    fresh = out.with_name(f"{out.name}-fresh")
    tb2csv.convert(logdir, fresh, **options)
    expected, found = read_tree(fresh), read_tree(out)
    assert found.keys() == expected.keys()
    for path in expected:
        assert found[path] == expected[path], path


def random_cuts(content: dict[str, bytes], generator: random.Random) -> dict[str, int]:
    """Return a stop for each file; later files of a run begin after the earlier ones are whole."""
    return {path: generator.choice([0, len(data), generator.randint(0, len(data))]) for path, data in content.items()}


@pytest.mark.parametrize("numbers", [range(1), pytest.param(range(1, 4), marks=pytest.mark.slow)], ids=["1", "more"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_updates_of_scenarios_equal_one_conversion(tmp_path: Path, name: str, numbers: range) -> None:
    scenario = SCENARIOS[name]()
    patterns = {option: value for option, value in scenario.options.items() if option != "tensors"}
    options = {"selection": Selection(**patterns), **{k: v for k, v in scenario.options.items() if k == "tensors"}}
    whole = write_logs(tmp_path / "whole", scenario)
    content = read_tree(whole)
    for number in numbers:
        generator = random.Random(f"{name} {number}")
        logdir, out = tmp_path / f"log{number}", tmp_path / f"out{number}"
        first = random_cuts(content, generator)
        second = {path: max(stop, generator.randint(0, len(content[path]))) for path, stop in first.items()}
        convert_in_steps(logdir, content, [first, second], out, **options)
        assert_same_tables(out, logdir, **options)


def test_a_second_file_of_a_small_run_is_appended(tmp_path: Path) -> None:
    """Small runs that were converted together are read again, but only as far as they were read."""
    logdir, out = tmp_path / "logs", tmp_path / "out"
    for number in range(40):
        write_run(logdir / f"run{number}", *losses(0, 3), wall_time=1)
    tb2csv.convert(logdir, out)
    write_run(logdir / "run3", *losses(3, 6), name=file_name(1), wall_time=200)
    write_run(logdir / "run4", *losses(3, 6, "new"), name=file_name(1), wall_time=200)
    report = tb2csv.convert(logdir, out)
    assert report.update
    assert (report.update.grown, report.update.values) == (["run3", "run4"], 6)
    assert [row["step"] for row in read_rows(out / "run3/scalars/loss.csv")] == ["0", "1", "2", "3", "4", "5"]
    assert [row["step"] for row in read_rows(out / "run4/scalars/new.csv")] == ["3", "4", "5"]
    assert_same_tables(out, logdir)


@pytest.mark.parametrize("runs", [1, 40])
def test_a_file_that_is_replaced_while_it_is_updated_is_never_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: int
) -> None:
    """The next update reads it anew."""
    logdir, out = tmp_path / "logs", tmp_path / "out"
    paths = [write_run(logdir / f"run{number}", *losses(0, 9), wall_time=1) for number in range(runs)]
    tb2csv.convert(logdir, out)
    append(paths[0], frames(losses(9, 12)))
    plan_update = tb2csv.update_plan.plan_update

    def plan_and_replace(*arguments: Any, **options: Any) -> Any:
        plan = plan_update(*arguments, **options)
        paths[0].write_bytes(event_file(losses(100, 112)))
        return plan

    with monkeypatch.context() as patched:
        patched.setattr("tb2csv.folder_conversion.plan_update", plan_and_replace)
        tb2csv.convert(logdir, out)
    assert [row["step"] for row in read_rows(out / "run0/scalars/loss.csv")] == [str(step) for step in range(9)]
    tb2csv.convert(logdir, out)
    assert_same_tables(out, logdir)


@pytest.mark.parametrize(
    ("earlier", "options", "advice"),
    [
        ({}, {"exclude_tag": ["b*"]}, "leave out exclude_tag"),
        ({}, {"tag": ["a"], "merge_subruns": True}, "leave out tag and merge_subruns"),
        (
            {"tag": ["a*", "b"], "format": "parquet"},
            {},
            "give tag='a*,b' and format='parquet' as before",
        ),
        ({"tag": ["a*"]}, {"exclude_run": ["x"]}, "give the same tag and exclude_run as before"),
        ({}, {"layout": "compare", "align": "bin:9"}, "give layout='tree' as before"),
        ({"layout": "compare", "align": "bin:9"}, {"layout": "compare"}, "give x='step' and align='bin:9' as before"),
    ],
)
def test_all_options_that_differ_are_named(
    tmp_path: Path, earlier: dict[str, Any], options: dict[str, Any], advice: str
) -> None:
    write_run(tmp_path / "logs/run", event(simple_value("a", 1.0), step=1))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", **earlier)
    with pytest.raises(tb2csv.OutputError) as error:
        tb2csv.convert(tmp_path / "logs", tmp_path / "out", **options)
    assert str(error.value).endswith(
        f"was converted with other options, so it cannot be brought up to date; {advice}, or overwrite=True to convert "
        "everything anew."
    )
