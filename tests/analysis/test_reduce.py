"""``tb2csv reduce`` and what it is made of, against numpy, fnmatch and TensorBoard's own reader."""

from __future__ import annotations

import json
import math
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from commands import run_here
from event_files import event, histogram, scalar, simple_value, write_run
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import parse_rows, read_columns, read_index, read_rows, read_tree
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tb2csv
from tb2csv.analysis.aggregates import STATISTICS
from tb2csv.analysis.reduction import reduce
from tb2csv.analysis.run_groups import GroupPattern
from tb2csv.errors import DamagedError, LogdirError, OptionError, OutputError, Tb2csvError
from tb2csv.selection import Selection

SAMPLE_LOGS = Path(__file__).resolve().parents[2] / "sample_logs"

#: Of each run, what was written of each tag: step and value, in this order.
Log = dict[str, dict[str, list[tuple[int, float]]]]


def write_log(folder: Path, log: Log) -> Path:
    for number, (run, tags) in enumerate(log.items()):
        events = [
            event(simple_value(tag, value), step=step, wall_time=1_700_000_000.0 + 100 * number + place)
            for tag, points in tags.items()
            for place, (step, value) in enumerate(points)
        ]
        write_run(folder / run, *events)
    return folder


# Groups


@pytest.mark.parametrize(
    ("pattern", "run", "group"),
    [
        ("seed_*", "seed_0", "."),
        ("seed_*", "seed_0/train", "train"),
        ("seed_*/train", "seed_0/train", "train"),
        ("seed_*/train", "seed_0/validation", None),
        ("lr=*/seed_*", "lr=0.1/seed_0", "lr=0.1"),
        ("lr=*/seed_*", "lr=0.1/seed_0/train", "lr=0.1/train"),
        ("lr=*/seed_*", "seed_0", None),
        ("lr=*/seed_*", "x/lr=0.1/seed_0", None),
        ("lr=*/seed_*/train/*", "lr=1/seed_2/train/a", "lr=1/seed_2/train"),
        ("{*}_seed*", "big_seed0", "big"),
        ("{*}_seed*", "big_seed0/train", "big/train"),
        ("seed_*/{lr=*}", "seed_0/lr=0.1", "lr=0.1"),
        ("{model_*}/seed_*/{*}", "model_a/seed_1/train", "model_a/train"),
        ("{lr=*/bs=*}/seed_*", "lr=1/bs=2/seed_3", "lr=1/bs=2"),
        ("run_[0-9]", "run_7", "."),
        ("run_[!0-9]", "run_7", None),
        ("run_?", "run_/", None),
        ("run_[!a]x", "run_/x", None),
        ("[{]a[}]*", "{a}1", "."),
        ("fixed/run", "fixed/run", "fixed"),
        ("/seed_*/", "seed_1", "."),
        ("*", ".", None),
        ("Seed_*", "seed_0", None),
    ],
)
def test_patterns_assign_runs_to_groups(pattern: str, run: str, group: str | None) -> None:
    assert GroupPattern(pattern).group_of(run) == group


@pytest.mark.parametrize("pattern", ["", "/", "{a", "a}", "}{", "{a{b}}", "{a}}"])
def test_invalid_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(OptionError):
        GroupPattern(pattern)


FOLDER = st.text("ab.-[]!^\\&|~", min_size=1, max_size=4).filter(lambda name: name != ".")


@pytest.mark.slow
@settings(max_examples=300)
@given(
    pattern=st.lists(st.text("ab*?[]!^-\\&|~", min_size=1, max_size=5), min_size=1, max_size=3),
    run=st.lists(FOLDER, min_size=1, max_size=4),
)
def test_folders_match_as_shell_patterns_do(pattern: list[str], run: list[str]) -> None:
    matches = len(run) >= len(pattern) and all(map(fnmatchcase, run, pattern))
    group = GroupPattern("/".join(pattern)).group_of("/".join(run))
    assert (group is not None) == matches
    if group is not None:
        varying = max((i for i, each in enumerate(pattern) if re.search(r"[*?]|\[!?\]?[^\]]*\]", each)), default=-1)
        varying = varying if varying >= 0 else len(pattern) - 1
        assert group == ("/".join(run[:varying] + run[varying + 1 :]) or ".")


def test_runs_that_no_pattern_matches_name_the_nearest() -> None:
    groups, left = GroupPattern("a_*").group(["b", "a_1", "a_2", "c"])
    assert (groups, left) == ({".": ["a_1", "a_2"]}, ["b", "c"])
    with pytest.raises(LogdirError, match="'seed_1'"):
        GroupPattern("sed_*").group(["seed_1", "other"])


# Statistics

VALUES = st.floats(-1e6, 1e6, width=32) | st.sampled_from([math.nan, math.inf, -math.inf])
POINTS = st.lists(st.tuples(st.integers(-3, 8), VALUES), max_size=12)
LOGS = st.dictionaries(
    st.sampled_from(["s0", "s1", "s2", "s3"]), st.dictionaries(st.sampled_from("xyz"), POINTS, min_size=1), min_size=1
)


def of_step(values: list[float]) -> dict[str, float]:
    """Return the statistics of one step by numpy, in which NaN spreads."""
    numbers = np.array(values, np.float64)
    with np.errstate(all="ignore"):
        return {
            "mean": float(np.mean(numbers)),
            "std": float(np.std(numbers, ddof=1)) if len(numbers) > 1 else math.nan,
            "min": float(np.min(numbers)),
            "median": float(np.median(numbers)),
            "max": float(np.max(numbers)),
        }


def expected(log: Log, tag: str, *, omits_nan: bool) -> dict[int, list[float]]:
    """Return the values of each step, of each run the last one."""
    found: dict[int, list[float]] = {}
    for run in sorted(log):
        for step, value in dict(log[run].get(tag, [])).items():
            if not (omits_nan and math.isnan(value)):
                found.setdefault(step, []).append(float(np.float32(value)))
    return dict(sorted(found.items()))


@settings(max_examples=60, deadline=None)
@given(
    log=LOGS.filter(lambda log: any(any(tags.values()) for tags in log.values())), nan=st.sampled_from(["keep", "omit"])
)
@pytest.mark.slow
def test_statistics_equal_those_of_numpy(log: Log, nan: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("reduce")
    write_log(folder / "log", log)
    report = reduce(folder / "log", folder / "out", by="s*", nan=nan)
    written = {tag for tags in log.values() for tag, points in tags.items() if points}
    assert {entry["tag"] for entry in read_index(folder / "out")} == written
    (group,) = report.groups
    accounts = {each.tag: each for each in group.tags}
    for tag in written:
        rows = read_rows(folder / "out" / "scalars" / f"{tag}.csv")
        steps = expected(log, tag, omits_nan=nan == "omit")
        assert [int(row["step"]) for row in rows] == list(steps)
        for row, values in zip(rows, steps.values(), strict=True):
            assert int(row["n"]) == len(values)
            known = of_step(values)
            found = {name: float(row[name] or "nan") for name in STATISTICS[1:]}
            for name in ("min", "max"):  # written as the float32 that they are
                found[name] = float(np.float32(found[name]))
            assert found == pytest.approx(known, rel=1e-9, abs=1e-9 * max(map(abs, values)), nan_ok=True)
            assert bool(row["std"]) == (len(values) > 1)
        having = [dict(tags[tag]) for tags in log.values() if tags.get(tag)]
        account = accounts[tag]
        assert account.runs == len(having)
        assert account.steps == len(steps)
        assert account.replaced == sum(len(tags.get(tag, [])) for tags in log.values()) - sum(map(len, having))
        assert account.nan == sum(math.isnan(value) for points in having for value in points.values())
        counts = [len(values) for values in steps.values()]
        assert (account.least_n, account.greatest_n) == (min(counts, default=0), max(counts, default=0))
        assert account.partial_steps == sum(count < len(having) for count in counts)


def test_extremes_have_the_type_of_the_values(tmp_path: Path) -> None:
    for number in range(2):
        write_run(
            tmp_path / "log" / f"s{number}",
            event(scalar("single", 0.1), scalar("double", 0.1, "float64"), scalar("count", 2 + number, "int64")),
            event(scalar("mixed", 0.1, "float64" if number else "float32"), scalar("flag", number, "bool"), step=1),
        )
    reduce(tmp_path / "log", tmp_path / "out", by="s*")
    types = {
        tag: read_columns(tmp_path / "out", f"scalars/{tag}.csv")["max"].dtype.name for tag in ("single", "double")
    }
    assert types == {"single": "float32", "double": "float64"}
    count = read_rows(tmp_path / "out" / "scalars" / "count.csv")
    assert count == [
        {"step": "0", "n": "2", "mean": "2.5", "std": "0.7071067811865476", "min": "2", "median": "2.5", "max": "3"}
    ]
    (mixed,) = read_rows(tmp_path / "out" / "scalars" / "mixed.csv")
    assert (mixed["min"], mixed["max"]) == ("0.1", "0.10000000149011612")
    (flag,) = read_rows(tmp_path / "out" / "scalars" / "flag.csv")
    assert (flag["min"], flag["mean"], flag["max"]) == ("0", "0.5", "1")


SEEDS: Log = {
    f"lr={rate}/seed_{seed}": {"loss": [(step, 1 / (1 + step) + seed) for step in range(5 - seed)]}
    for rate in ("0.1", "0.01")
    for seed in range(3)
}


def test_groups_are_folders_and_are_listed_in_the_index(tmp_path: Path) -> None:
    write_log(
        tmp_path / "log", {**SEEDS, "lr=0.1/seed_0/validation": {"a/b": [(0, 1.0)]}, "other": {"loss": [(0, 1.0)]}}
    )
    report = reduce(tmp_path / "log", tmp_path / "out", by="lr=*/seed_*")
    places = [(entry["path"], entry["run"], entry["tag"], entry["rows"]) for entry in read_index(tmp_path / "out")]
    assert places == [
        ("lr%3D0.01/scalars/loss.csv", "lr=0.01", "loss", "5"),
        ("lr%3D0.1/scalars/loss.csv", "lr=0.1", "loss", "5"),
        ("lr%3D0.1/validation/scalars/a/b.csv", "lr=0.1/validation", "a/b", "1"),
    ]
    assert set(read_tree(tmp_path / "out")) == {place[0] for place in places} | {"index.csv", "datapackage.json"}
    assert [(group.group, len(group.runs)) for group in report.groups] == [
        ("lr=0.01", 3),
        ("lr=0.1", 3),
        ("lr=0.1/validation", 1),
    ]
    assert report.unmatched_runs == ["other"]
    counts = [row["n"] for row in read_rows(tmp_path / "out" / "lr%3D0.1" / "scalars" / "loss.csv")]
    assert counts == ["3", "3", "3", "2", "1"]


def test_differences_are_reported(tmp_path: Path) -> None:
    log: Log = {
        "s0": {"loss": [(0, 1.0), (0, 2.0), (1, 1.0)], "alone": [(0, math.nan)]},
        "s1": {"loss": [(0, 1.0)]},
        "other": {"loss": [(0, 1.0)]},
    }
    write_log(tmp_path / "log", log)
    assert [str(note) for note in reduce(tmp_path / "log", tmp_path / "out", by="s*").notes] == [
        "1 run in no group: 'other'",
        "group '.': tags that some of its 2 runs lack: 'alone' in 1",
        "group '.': steps that some runs with the tag lack, see n: 'loss' 1 of 2; align gives runs common steps",
        "group '.': values that a later one of the same run and step replaced: 'loss' 1",
        "group '.': NaN, which make the statistics of their steps NaN: 'alone' 1",
    ]
    single = reduce(tmp_path / "log", tmp_path / "single", by="*0").notes
    assert "1 group has one run only: '.' of 's0'" in map(str, single)


def test_the_values_of_the_report_add_up(tmp_path: Path) -> None:
    write_run(tmp_path / "log" / "s0", event(scalar("loss", 1), scalar("acc", 1), histogram("h", [[0, 1, 2]])))
    write_run(tmp_path / "log" / "s1", event(scalar("loss", 1), scalar("acc", 1)))
    write_run(tmp_path / "log" / "t", event(scalar("loss", 1)))
    report = reduce(tmp_path / "log", tmp_path / "out", by="s*", selection=Selection(tags=("loss",)))
    assert (report.values_read, report.values_written, report.values_filtered) == (6, 2, 4)
    told = json.loads((tmp_path / "out" / "datapackage.json").read_text("utf-8"))["tb2csv"]
    assert told["groups"] == json.loads(json.dumps(report.to_dict()))["groups"]
    assert told["tables"] == 1


def test_groups_that_differ_in_case_stay_apart(tmp_path: Path) -> None:
    write_log(tmp_path / "log", {"A/s0": {"x": [(0, 1.0)]}, "a/s0": {"x": [(0, 2.0)]}})
    reduce(tmp_path / "log", tmp_path / "out", by="*/s*", event_files=True)
    paths = [entry["path"] for entry in read_index(tmp_path / "out")]
    assert len({path.lower() for path in paths}) == 2
    means = [read_rows(tmp_path / "out" / path)[0]["mean"] for path in paths]
    assert means == ["1.0", "2.0"]


def test_every_format_has_the_same_rows(tmp_path: Path) -> None:
    write_log(tmp_path / "log", SEEDS)
    reduce(tmp_path / "log", tmp_path / "csv", by="lr=*/seed_*")
    reduce(tmp_path / "log", tmp_path / "parquet", by="lr=*/seed_*", format="parquet")
    table = pl.read_parquet(tmp_path / "parquet" / "lr%3D0.1" / "scalars" / "loss.parquet")
    assert table.columns == ["step", *STATISTICS]
    assert table.write_csv() == (tmp_path / "csv" / "lr%3D0.1" / "scalars" / "loss.csv").read_text("utf-8")


# Event files


def test_tensorboard_reads_the_event_files(tmp_path: Path) -> None:
    write_log(tmp_path / "log", SEEDS)
    reduce(tmp_path / "log", tmp_path / "out", by="lr=*/seed_*", event_files=True)
    assert tb2csv.check(tmp_path / "out").damage == []
    accounts, _ = tb2csv.ls(tmp_path / "out")
    assert [account.run for account in accounts] == [
        f"lr={rate}/{name}" for rate in ("0.01", "0.1") for name in sorted(STATISTICS)
    ]
    for rate in ("0.01", "0.1"):
        rows = read_rows(tmp_path / "out" / f"lr%3D{rate}" / "scalars" / "loss.csv")
        for name in STATISTICS:
            accumulator = EventAccumulator(str(tmp_path / "out" / f"lr={rate}" / name), {"scalars": 0})
            accumulator.Reload()
            shown = [(each.step, each.value) for each in accumulator.Scalars("loss")]
            assert shown == [(int(row["step"]), float(np.float32(row[name]))) for row in rows if row[name]]
    times = [each.wall_time for each in accumulator.Scalars("loss")]
    assert times == [1_700_000_000.0 + step for step in range(5)]  # of the first seed


def test_events_are_in_the_order_of_steps_and_keep_what_is_not_finite(tmp_path: Path) -> None:
    log: Log = {f"s{seed}": {"b": [(3, 1.0), (1, math.nan)], "a": [(2, math.inf), (1, 1e300)]} for seed in range(2)}
    write_log(tmp_path / "log", {run: {"b": tags["b"], "a": [(2, math.inf)]} for run, tags in log.items()})
    reduce(tmp_path / "log", tmp_path / "out", by="s*", event_files=True)
    frame = tb2csv.open_logdir(tmp_path / "out").scalars(run="mean")
    assert frame.sort("step").select("tag", "step").rows() == [("b", 1), ("a", 2), ("b", 3)]
    (file,) = (tmp_path / "out" / "mean").iterdir()
    assert file.name == "events.out.tfevents.1700000001.tb2csv"
    values = dict(frame.select("step", "value").rows())
    assert math.isnan(values[1])
    assert (values[2], values[3]) == (math.inf, 1.0)


def test_a_statistic_that_no_step_has_has_no_event_file(tmp_path: Path) -> None:
    write_log(tmp_path / "log", {"s0": {"loss": [(0, 1.0)]}})
    reduce(tmp_path / "log", tmp_path / "out", by="s*", event_files=True)
    folders = {path.parent.name for path in (tmp_path / "out").rglob("*tfevents*")}
    assert folders == set(STATISTICS) - {"std"}


# What is there already, and what goes wrong


def test_an_earlier_reduction_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    write_log(tmp_path / "log", SEEDS)
    arguments: dict[str, Any] = {"by": "lr=*/seed_*", "event_files": True}
    reduce(tmp_path / "log", tmp_path / "out", **arguments)
    before = read_tree(tmp_path / "out")
    with pytest.raises(OutputError, match="overwrite=True"):
        reduce(tmp_path / "log", tmp_path / "out", **arguments)
    reduce(tmp_path / "log", tmp_path / "out", **arguments, overwrite=True)
    assert read_tree(tmp_path / "out") == before
    (tmp_path / "out" / "lr=0.1" / "mean" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"mine\.txt"):
        reduce(tmp_path / "log", tmp_path / "out", **arguments, overwrite=True)


def test_errors_leave_no_files(tmp_path: Path) -> None:
    write_log(tmp_path / "log", SEEDS)
    cases: list[tuple[type[Tb2csvError], str, dict[str, Any]]] = [
        (LogdirError, "lr=0", {"by": "x_*"}),
        (OptionError, "brace", {"by": "{x"}),
        (OptionError, "NaN", {"by": "lr=*/*", "nan": "drop"}),
        (OptionError, "format", {"by": "lr=*/*", "format": "xlsx"}),
        (OptionError, "scalars", {"by": "lr=*/*", "selection": Selection(kinds=("text",))}),
        (Tb2csvError, "'loss'", {"by": "lr=*/*", "selection": Selection(tags=("los",))}),
    ]
    for kind, told, arguments in cases:
        with pytest.raises(kind, match=told):
            reduce(tmp_path / "log", tmp_path / "out", **arguments)
    with pytest.raises(OutputError, match="log directory"):
        reduce(tmp_path / "log", tmp_path / "log" / "out", by="lr=*/*")
    with pytest.raises(DamagedError, match="damaged"):
        reduce(SAMPLE_LOGS, tmp_path / "out", by="*", strict=True)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


# The command


def reduce_here(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    return run_here(capsys, "reduce", *arguments)


def test_the_command_describes_its_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(tmp_path / "log", SEEDS)
    ran = reduce_here(capsys, tmp_path / "log", tmp_path / "out", "--by", "lr=*/seed_*")
    assert ran.status == 0
    assert ran.stdout == f"6 runs in 2 groups, 2 tables: see {tmp_path / 'out'}/index.csv\n"
    assert "steps that some runs with the tag lack, see n: 'loss' 2 of 5" in ran.stderr
    assert len(parse_rows((tmp_path / "out" / "lr%3D0.1" / "scalars" / "loss.csv").read_text("utf-8"))) == 5


def test_json_is_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(tmp_path / "log", SEEDS)
    ran = reduce_here(
        capsys, tmp_path / "log", tmp_path / "out", "--by", "lr=*/seed_*", "--json", "--event-files", "--nan", "omit"
    )
    report = json.loads(ran.stdout, parse_constant=pytest.fail)
    assert report["groups"][0] == {
        "group": "lr=0.01",
        "runs": [f"lr=0.01/seed_{seed}" for seed in range(3)],
        "tags": [
            {
                "tag": "loss",
                "runs": 3,
                "steps": 5,
                "least_n": 1,
                "greatest_n": 3,
                "partial_steps": 2,
                "replaced": 0,
                "nan": 0,
            }
        ],
    }
    assert report["unmatched_runs"] == []
    assert (tmp_path / "out" / "lr=0.1" / "std").is_dir()


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ([], 2, "--by"),
        (["--by", "{"], 2, "braces"),
        (["--by", "lr=*/*", "--nan", "zero"], 2, "zero"),
        (["--by", "sed_*"], 1, "nearest"),
        (["--by", "lr=*/*", "--tag", "los"], 1, "'loss'"),
    ],
)
def test_wrong_command_lines_are_refused(
    arguments: list[str], status: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(tmp_path / "log", SEEDS)
    ran = reduce_here(capsys, tmp_path / "log", tmp_path / "out", *arguments)
    assert (ran.status, ran.stdout) == (status, "")
    assert told in ran.stderr
    assert not (tmp_path / "out").exists()


def test_damage_sets_the_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = reduce_here(capsys, SAMPLE_LOGS, tmp_path / "out", "--by", "[du]*")
    assert ran.status == 3
    assert "42 bytes lost" in ran.stderr
    assert read_rows(tmp_path / "out" / "scalars" / "loss.csv")[0]["n"] == "2"
