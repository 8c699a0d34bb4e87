"""JSON Lines with null for NaN and infinities says how many numbers became null, and in which tables."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from commands import run_here
from event_files import event, hparams_start, scalar, tensor, text, write_run

import tb2csv

if TYPE_CHECKING:
    from pathlib import Path

ODD = [1.5, math.nan, math.inf, -math.inf, 2.5]
GRID = np.array([[math.nan, 1.0], [math.inf, math.nan]])
COMPLEX = np.array([complex(math.nan, math.inf), complex(1.0, -math.inf)])


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Runs with odd scalars, tensors and wall times; texts, integers and sound numbers have none."""
    logs = tmp_path / "logs"
    write_run(
        logs / "a",
        *(event(scalar("loss", each), scalar("n", 1, "int64"), text("t", "NaN"), step=s) for s, each in enumerate(ODD)),
    )
    write_run(
        logs / "b",
        event(tensor("grid", GRID), tensor("z", COMPLEX), scalar("loss", 0.5), step=0),
        event(tensor("grid", GRID), scalar("rate", math.nan, "float64"), step=1, wall_time=math.inf),
    )
    return logs


def made_null(out: Path) -> dict[str, int]:
    """Return what the data package says of each table that lost numbers."""
    package = json.loads((out / "datapackage.json").read_text("utf-8"))
    return {each["path"]: each["tb2csv:made_null"] for each in package["resources"] if "tb2csv:made_null" in each}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # The wall time of each of the last four elements is infinite.
        (
            {},
            {
                "a/scalars/loss.jsonl": 3,
                "b/scalars/rate.jsonl": 2,
                "b/tensors/grid.jsonl": 6 + 4,
                "b/tensors/z.jsonl": 3,
            },
        ),
        ({"tensors": "wide"}, {"b/tensors/grid.jsonl": 6 + 1, "b/tensors/z.jsonl": 3}),
        ({"tensors": "base64"}, {"b/tensors/grid.jsonl": 1}),
        ({"layout": "tags"}, {"scalars/loss.jsonl": 3, "scalars/rate.jsonl": 2, "tensors/grid.jsonl": 10}),
        # A row has the earliest wall time; a tag without a value for a step is missing, which is not a loss.
        ({"layout": "wide"}, {"a/scalars.jsonl": 3, "b/scalars.jsonl": 2}),
        ({"layout": "long"}, {"scalars.jsonl": 3, "scalars~float64.jsonl": 2}),
        ({"time": ("iso",)}, {"a/scalars/loss.jsonl": 3, "b/scalars/rate.jsonl": 1, "b/tensors/grid.jsonl": 6}),
    ],
)
def test_every_table_counts_its_numbers_that_became_null(
    logs: Path, tmp_path: Path, options: dict[str, str], expected: dict[str, int]
) -> None:
    report = tb2csv.convert(logs, tmp_path / "out", format="jsonl-null", **options)
    found = made_null(tmp_path / "out")
    assert expected.items() <= found.items()
    (note,) = (note for note in report.notes if note.kind == "made_null")
    assert (note.count, dict(note.counts)) == (sum(found.values()), found)
    assert "format='jsonl'" in str(note)
    package = json.loads((tmp_path / "out" / "datapackage.json").read_text("utf-8"))
    (kept,) = (note for note in package["tb2csv"]["notes"] if "null" in note)
    assert "--format jsonl " in kept


def test_counts_do_not_depend_on_the_size_of_tables(tmp_path: Path) -> None:
    """Small tables wait to be written together, and large ones come in pieces."""
    for run, size in {"small": 3, "large": 10_000}.items():
        write_run(tmp_path / "logs" / run, *(event(scalar("x", (1.5, math.nan)[s % 2]), step=s) for s in range(size)))
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "out", format="jsonl-null", chunk_size=50_000)
    assert made_null(tmp_path / "out") == {"large/scalars/x.jsonl": 5000, "small/scalars/x.jsonl": 1}
    (note,) = report.notes
    assert note.count == 5001
    assert note.counts == (("large/scalars/x.jsonl", 5000), ("small/scalars/x.jsonl", 1))


@pytest.mark.parametrize("format_name", ["jsonl", "csv", "parquet"])
def test_formats_that_keep_them_count_nothing(logs: Path, tmp_path: Path, format_name: str) -> None:
    report = tb2csv.convert(logs, tmp_path / "out", format=format_name)
    assert made_null(tmp_path / "out") == {}
    assert "made_null" not in {note.kind for note in report.notes}


def test_sound_numbers_and_missing_cells_are_not_counted(tmp_path: Path) -> None:
    events = [event(scalar("a", 1.5), step=0), event(scalar("b", 2.5), step=1)]
    write_run(tmp_path / "logs", *events)
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "out", format="jsonl-null", layout="wide")
    assert (report.notes, made_null(tmp_path / "out")) == ([], {})


@pytest.mark.parametrize("tag", ["^loss$", "*", "^.*$"])
def test_tags_that_are_patterns_to_polars_are_counted(tmp_path: Path, tag: str) -> None:
    write_run(tmp_path / "logs", event(scalar("loss", math.nan), scalar(tag, math.inf)))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", format="jsonl-null", layout="wide")
    assert made_null(tmp_path / "out") == {"scalars.jsonl": 2}


def test_trials_count_their_numbers(tmp_path: Path) -> None:
    write_run(tmp_path / "logs" / "t", event(hparams_start({"rate": math.inf, "size": 2.0})))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", format="jsonl-null")
    assert made_null(tmp_path / "out") == {"hparams.jsonl": 1}


def test_reduced_tables_count_their_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a step that is NaN in one run, mean, std, min, median and max are NaN."""
    for seed, value in enumerate([1.5, math.nan]):
        write_run(tmp_path / "logs" / f"seed_{seed}", event(scalar("loss", value)), event(scalar("loss", 1.5), step=1))
    ran = run_here(
        capsys, "reduce", tmp_path / "logs", tmp_path / "out", "--by", "seed_*", "--format", "jsonl-null", "--json"
    )
    (path,) = made_null(tmp_path / "out")
    assert made_null(tmp_path / "out")[path] == 5
    assert sum("5 in all" in note for note in json.loads(ran.stdout)["notes"]) == 1


def test_the_command_prints_how_many_numbers_became_null(
    logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run_here(capsys, "convert", logs, tmp_path / "out", "--format", "jsonl-null", "--tag", "loss")
    assert "3 in a/scalars/loss.jsonl; --format jsonl keeps them" in " ".join(ran.stderr.split())
