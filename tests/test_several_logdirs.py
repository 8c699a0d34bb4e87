"""Several log directories as one: names of runs, what is refused, and every face that takes them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import fsspec
import pytest
from commands import environment, run_here
from event_files import event, event_file, frames, simple_value, tensor, write_run
from test_mcp import answer, in_process

import tb2csv
from tb2csv.errors import LogdirError, LogdirNotFoundError, OutputError
from tb2csv.logdir_prefixes import LogdirPlace, prefixes

if TYPE_CHECKING:
    from pathlib import Path

NAME = "events.out.tfevents.1.host"


def losses(*values: float) -> list[object]:
    return [event(simple_value("loss", value), step=step) for step, value in enumerate(values)]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two log directories that end alike: the first is a run, and the second has runs below."""
    write_run(tmp_path / "exp1" / "train", *losses(3, 2), name=NAME)
    write_run(tmp_path / "exp2" / "train" / "a", *losses(5, 4), name=NAME)
    write_run(tmp_path / "exp2" / "train" / "b", *losses(7, 6), name=NAME)
    return tmp_path / "exp1" / "train", tmp_path / "exp2" / "train"


RUNS = ["exp1/train", "exp2/train/a", "exp2/train/b"]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (["/x/a", "/x/b"], ["a", "b"]),
        (["/x/exp1/train", "/x/exp2/train", "/y/other"], ["exp1/train", "exp2/train", "other"]),
        (["/x/1/logs/train", "/x/2/logs/train"], ["1/logs/train", "2/logs/train"]),
        # The run b of /x/a would be a/b, which is the second one.
        (["/x/a", "/y/a/b", "/z/q/b"], ["x/a", "a/b", "q/b"]),
        (["/a", "/y/a/b", "/z/q/b"], ["a", "y/a/b", "q/b"]),
        (["s3://bucket/logs", "/x/logs"], ["bucket/logs", "x/logs"]),
        (["s3://one/logs", "gs://one/logs"], ["s3:/one/logs", "gs:/one/logs"]),
        (["https://me:secret@host/a%20b/?token=secret", "/x/c"], ["a b", "c"]),
        (["zip://logs::s3://bucket/one.zip", "zip://logs::s3://bucket/two.zip"], ["one.zip/logs", "two.zip/logs"]),
    ],
    ids=str,
)
def test_prefixes_are_the_shortest_distinct_ends(places: list[str], expected: list[str]) -> None:
    assert prefixes([LogdirPlace.of(place) for place in places]) == expected


def test_runs_and_files_have_the_prefix(two: tuple[Path, Path]) -> None:
    found = tb2csv.discover(list(two))
    assert [run.name for run in found.runs] == RUNS
    assert [file.path for run in found.runs for file in run.files] == [f"{run}/{NAME}" for run in RUNS]
    assert found.parts == (("exp1/train", str(two[0])), ("exp2/train", str(two[1])))


def test_one_in_a_list_is_the_log_directory_itself(two: tuple[Path, Path]) -> None:
    assert tb2csv.discover([two[1]]) == tb2csv.discover(two[1])


def test_event_files_belong_to_the_runs_of_their_folders(two: tuple[Path, Path]) -> None:
    second = two[1] / "a" / "events.out.tfevents.2.host"
    second.write_bytes(event_file(losses(9)))
    found = tb2csv.discover([two[0] / NAME, two[1] / "a" / NAME, second])
    assert [(run.name, len(run.files)) for run in found.runs] == [("train", 1), ("a", 2)][::-1]


def test_hyperparameters_beside_the_logs_are_found(two: tuple[Path, Path]) -> None:
    (two[0] / "hparams.yaml").write_text("lr: 0.5\n")
    (two[1] / "b" / "hparams.yaml").write_text("lr: 0.25\n")
    ranked = tb2csv.best(two, "loss", at="last")
    assert ranked.table["run"].to_list() == RUNS
    assert ranked.table["lr"].to_list() == [0.5, None, 0.25]


@pytest.mark.parametrize("inner", ["exp2/train", "exp2/train/a", "exp2/train/a/" + NAME, "link"], ids=str)
def test_what_would_be_read_twice_is_refused(two: tuple[Path, Path], tmp_path: Path, inner: str) -> None:
    (tmp_path / "link").symlink_to(two[1] / "b")
    with pytest.raises(LogdirError, match=r"twice"):
        tb2csv.discover([two[0], two[1], tmp_path / inner])
    with pytest.raises(LogdirError, match=r"twice"):
        tb2csv.discover(["s3://bucket/logs/", "s3://bucket/logs"])


def test_a_log_directory_that_is_missing_or_empty_is_named(two: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(LogdirNotFoundError, match=r"no folder .*nothing"):
        tb2csv.discover([two[0], tmp_path / "nothing"])
    with pytest.raises(LogdirError, match=r"no event files below .*empty"):
        tb2csv.discover([two[0], tmp_path / "empty"])
    with pytest.raises(LogdirNotFoundError, match="one by one, without names"):
        tb2csv.discover(f"first:{two[0]},second:{two[1]}")
    with pytest.raises(LogdirError, match="name of the log directory is empty"):
        tb2csv.discover([])


def test_tables_are_those_of_the_logs_side_by_side(two: tuple[Path, Path], tmp_path: Path) -> None:
    tb2csv.convert(two, tmp_path / "both")
    shutil.move(two[0].parent, tmp_path / "all" / "exp1")
    shutil.move(two[1].parent, tmp_path / "all" / "exp2")
    tb2csv.convert(tmp_path / "all", tmp_path / "expected")
    for run in RUNS:
        table = f"{run}/scalars/loss.csv"
        assert (tmp_path / "both" / table).read_bytes() == (tmp_path / "expected" / table).read_bytes()
    assert (tmp_path / "both" / "index.csv").read_bytes() == (tmp_path / "expected" / "index.csv").read_bytes()


def test_report_and_data_package_name_the_log_directories(two: tuple[Path, Path], tmp_path: Path) -> None:
    report = tb2csv.convert(two, tmp_path / "out")
    expected = [{"prefix": "exp1/train", "path": str(two[0])}, {"prefix": "exp2/train", "path": str(two[1])}]
    assert report.to_dict()["logdirs"] == expected
    assert json.loads((tmp_path / "out" / "datapackage.json").read_bytes())["tb2csv"]["logdirs"] == expected
    assert "logdirs" not in tb2csv.check(two[0]).to_dict()


def test_an_update_continues_the_same_list_and_refuses_another(two: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    tb2csv.convert(two, out)
    with (two[1] / "b" / NAME).open("ab") as file:
        file.write(frames([event(simple_value("loss", 1.0), step=2)]))
    report = tb2csv.convert(two[::-1], out)
    assert report.update is not None
    assert (report.update.values, report.update.grown) == (1, ["exp2/train/b"])
    write_run(tmp_path / "exp3" / "train", *losses(1), name=NAME)
    for other in ([*two, tmp_path / "exp3" / "train"], [two[0], tmp_path / "exp3" / "train"]):
        with pytest.raises(OutputError, match=r"not those of .*exp3") as caught:
            tb2csv.convert(other, out)
        assert ("also those of" in str(caught.value)) == (len(other) == 2)
    with pytest.raises(OutputError, match=r"exp1/train.*and not of .*exp1"):
        tb2csv.convert(two[0], out)


@pytest.mark.parametrize("place", ["exp1/train/out", "exp2/train/out"])
def test_an_output_in_any_of_them_is_refused(two: tuple[Path, Path], tmp_path: Path, place: str) -> None:
    with pytest.raises(OutputError, match="is in the log directory"):
        tb2csv.convert(two, tmp_path / place)


def test_urls_and_paths_mix(two: tuple[Path, Path], tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file(f"/several/run/{NAME}", event_file(losses(8)))
    try:
        log = tb2csv.open_logdir(["memory://several", two[0]])
        assert log.runs == ["several/run", "train"]
        assert log.scalars(run="several/*")["value"].to_list() == [8]
        assert tb2csv.convert(["memory://several", two[0]], tmp_path / "out").values_written == 3
    finally:
        memory.rm("/several", recursive=True)


def test_open_frames_find_new_rows(two: tuple[Path, Path]) -> None:
    log = tb2csv.open_logdir(two)
    with (two[0] / NAME).open("ab") as file:
        file.write(frames([event(simple_value("loss", 1.0), step=2)]))
    assert log.refresh()
    assert log.scalars(run="exp1/train")["value"].to_list() == [3, 2, 1]
    assert log.path == f"{two[0]}, {two[1]}"


def test_follow_watches_all_of_them(two: tuple[Path, Path], tmp_path: Path) -> None:
    updates = tb2csv.follow(two, tmp_path / "out", until_idle="30s")
    next(updates)
    with (two[1] / "a" / NAME).open("ab") as file:
        file.write(frames([event(simple_value("loss", 1.0), step=2)]))
    assert next(updates).summary.grown == ["exp2/train/a"]
    updates.close()
    assert len((tmp_path / "out" / "exp2/train/a/scalars/loss.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("command", "rest", "expected"),
    [
        ("ls", [], "exp2/train/b"),
        ("check", [], "3 event files"),
        ("summary", ["--format", "csv"], "exp1/train,loss,scalars"),
        ("best", ["--by", "loss", "--format", "csv"], "1,exp1/train,2.0,1,"),
        ("sql", ["select run, value from scalars where value > 6"], "exp2/train/b,7.0"),
        ("convert", ["OUT"], "6 values of 3 runs"),
        ("repair", ["OUT"], "3 event files"),
        ("reduce", ["OUT", "--by", "*"], "OUT"),
        ("plot", ["-o", "OUT.svg"], "OUT.svg"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_commands_take_several(
    two: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    rest: list[str],
    expected: str,
) -> None:
    rest = [each.replace("OUT", str(tmp_path / "OUT")) for each in rest]
    done = run_here(capsys, command, *two, *rest)
    assert done.status == 0, done.stderr
    assert expected in done.stdout


def test_recorded_weights_are_those_of_the_run_that_is_named(
    two: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, logdir in enumerate(two):
        write_run(logdir, event(tensor("weights/dense/kernel", [[number, 2.0]]), step=4), name=f"{NAME}.weights")
    done = run_here(
        capsys, "state", "from-logs", *two, "--step", 4, "--run", "exp2/train", "-o", tmp_path / "state.csv"
    )
    assert done.status == 0, done.stderr
    state = tb2csv.recorded_state(two, 4, run="exp2/train")
    assert [each.array().tolist() for each in state.tensors] == [[[1.0, 2.0]]]


@pytest.mark.slow
def test_agents_list_the_runs_of_all(two: tuple[Path, Path]) -> None:
    (listed,) = in_process(two, [("list_runs", {})])
    assert [row[0] for row in answer(listed)["rows"]] == RUNS


@pytest.mark.slow
def test_runs_of_all_on_the_line_are_completed(two: tuple[Path, Path]) -> None:
    line = f"tb2csv ls {two[0]} {two[1]} --run exp"
    asked = environment(_TB2CSV_COMPLETE="complete_fish", _TB2CSV_LINE=line)
    done = subprocess.run([sys.executable, "-m", "tb2csv"], env=asked, capture_output=True, text=True, check=False)
    assert [each.split("\t")[0] for each in done.stdout.splitlines()] == RUNS
