"""The sample logs, which real writers made: their tables byte for byte, and what must be in them in any case.

``tests/expected`` was reviewed by hand, and its numbers are those that test_against_protos.py finds in the logs.
make_expected.py makes it anew.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import make_expected
import pytest
from make_expected import EXPECTED, SAMPLE_LOGS, comparable_package, sample_logs
from tables import read_columns, read_index, read_rows, read_tree

import tb2csv

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = "datapackage.json"


@pytest.fixture(params=sample_logs())
def log(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.usefixtures("scanner")
def test_tables_are_the_expected_ones(log: str, tmp_path: Path) -> None:
    tb2csv.convert(SAMPLE_LOGS / log, tmp_path / "out")
    written, expected = read_tree(tmp_path / "out"), read_tree(EXPECTED / log)
    assert comparable_package(written.pop(PACKAGE)) == json.loads(expected.pop(PACKAGE))
    assert sorted(written) == sorted(expected)
    for path, content in expected.items():
        assert written[path] == content, path


@pytest.mark.usefixtures("scanner")
def test_the_chunk_size_does_not_change_tables(log: str, tmp_path: Path) -> None:
    """The order of the index is that in which tables were begun, so it may change; nothing else may."""
    tb2csv.convert(SAMPLE_LOGS / log, tmp_path / "out", chunk_size=500)
    written, expected = read_tree(tmp_path / "out"), read_tree(EXPECTED / log)
    for tree in (written, expected):
        del tree[PACKAGE]
        tree["index.csv"] = b"\n".join(sorted(tree["index.csv"].splitlines()))
    assert written == expected


def test_the_expected_tables_are_what_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file, hidden ones among them; the index and the others are compared above."""
    monkeypatch.setattr(make_expected, "EXPECTED", tmp_path)
    make_expected.main()
    made, kept = ({path.relative_to(top) for path in top.rglob("*")} for top in (tmp_path, EXPECTED))
    assert made == kept


def test_every_expected_table_is_written() -> None:
    assert sorted(path.name for path in EXPECTED.iterdir()) == sample_logs()


def test_the_index_describes_every_table(log: str) -> None:
    """Rows, steps and times are counted again in the tables themselves."""
    for entry in read_index(EXPECTED / log):
        rows = read_rows(EXPECTED / log / entry["path"])
        assert int(entry["rows"]) == len(rows)
        if rows and entry["kind"] != "hparams":
            assert (entry["first_step"], entry["last_step"]) == (rows[0]["step"], rows[-1]["step"])
            times = (entry["first_wall_time"], entry["last_wall_time"])
            assert times == (rows[0]["wall_time"], rows[-1]["wall_time"])


def test_everything_is_accounted_for(log: str) -> None:
    account = json.loads((EXPECTED / log / PACKAGE).read_text("utf-8"))["tb2csv"]
    assert account["values_read"] == account["values_written"] == sum(run["values_read"] for run in account["runs"])
    for source in account["sources"]:
        assert source["bytes"] == (SAMPLE_LOGS / log / source["path"]).stat().st_size
        assert source["bytes"] == source["record_bytes"] + source["lost_bytes"] + source["incomplete_tail_bytes"]


# What sample_logs/README.md says of them, and what wall times show


def test_a_damaged_log_keeps_its_sound_steps() -> None:
    """The payload of step 39 is wrong; of step 79 only the length is, so that its value is saved."""
    assert steps("damaged", "scalars/loss.csv") == [*range(39), *range(40, 120)]


def test_an_unfinished_log_keeps_its_whole_steps() -> None:
    assert steps("unfinished", "scalars/loss.csv") == list(range(29))


def test_a_restarted_log_keeps_the_steps_of_both_sessions() -> None:
    """What the second session repeated is there twice."""
    assert steps("restarted", "scalars/loss.csv") == [*range(10), *range(6, 12)]
    assert steps("restarted", "scalars/first_session_only.csv") == list(range(10))


def steps(log: str, path: str) -> list[int]:
    return [int(step) for step in read_columns(EXPECTED / log, path)["step"]]


@pytest.mark.parametrize(
    ("log", "trials"),
    {
        "tf2_hparams": ["session_0,trial_0,,0.1,2,true,sgd,0.2", "session_1,trial_1,success,0.01,4,false,adam,0.1"],
        "torch": ["trial_0,,success,0.1,16,1,sgd,0.8,0.2", "trial_1,,success,0.01,32,0,sgd,0.89,0.02"],
        "tensorboardx": ["trial_0,,success,0.1,16,true,sgd,0.8", "trial_1,,success,0.01,32,false,sgd,0.89"],
    }.items(),
)
def test_trials_equal_the_recorded_hyperparameters(log: str, trials: list[str]) -> None:
    """As the scripts that made the logs set them, with the last of each metric; PyTorch makes a number of a boolean."""
    rows = read_rows(EXPECTED / log / "hparams.csv")
    told = [name for name in rows[0] if name not in {"start_time", "end_time", "duration"} and ":" not in name]
    assert [",".join(row[name] for name in told) for row in rows] == trials
