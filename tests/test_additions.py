"""Decoders, formats and layouts that a package of its own adds, as ARCHITECTURE.md says."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import environment
from event_files import event, file_name, frames, simple_value, tensor, write_run
from tables import read_tree

import tb2csv

TOYS = Path(__file__).parent / "toys"
#: The line that adds the layout, before the command line is imported.
COMMAND = """
from tb2csv.layouts.layouts import LAYOUTS
from tb2csv_toys.runs_layout import RunsLayout
LAYOUTS["runs"] = RunsLayout()
from tb2csv.cli import main
main()
"""


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    for run, number in (("a", 1.0), ("b", 2.0)):
        write_run(
            tmp_path / "logs" / run,
            event(simple_value("loss", number), simple_value("rate", 0.5), step=1),
            event(tensor("weights", np.array([number, 10.0]), "sums"), step=2),
            event(tensor("weights", np.array([[number]]), "sums"), step=3),
        )
    return tmp_path / "logs"


def convert_with_toys(logdir: Path, out: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tb2csv", "convert", str(logdir), str(out), "--workers", "1"],
        env=environment(PYTHONPATH=f"{TOYS}:{Path(tb2csv.__file__).parents[1]}"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(params=[40, pytest.param(1, marks=pytest.mark.slow)])
def growing(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return a log of one run, or of so many small ones that they are read together."""
    for number in range(request.param):
        write_run(tmp_path / f"logs/{number}", event(tensor("weights", np.array([1.0, 10.0]), "sums"), step=2))
    return tmp_path / "logs"


def grow(logdir: Path) -> None:
    with (logdir / "0" / file_name()).open("ab") as file:
        file.write(frames([event(tensor("weights", np.array([1.0, 10.0]), "sums"), step=3)]))


@pytest.mark.slow
def test_an_update_without_a_decoder_of_the_tables_names_it(growing: Path, tmp_path: Path) -> None:
    """Small runs are read again, so their tag is named; of others, the plugin is known."""
    logdir, out = growing, tmp_path / "out"
    convert_with_toys(logdir, out)
    before = read_tree(out)
    grow(logdir)
    with pytest.raises(tb2csv.OutputError, match=r"install .* again, or overwrite=True") as error:
        tb2csv.convert(logdir, out, workers=1)
    assert ("'weights'" if len(list(logdir.iterdir())) > 1 else "'sums'") in str(error.value)
    assert read_tree(out) == before
    convert_with_toys(logdir, out)
    convert_with_toys(logdir, tmp_path / "fresh")
    assert read_tree(out) == read_tree(tmp_path / "fresh")


@pytest.mark.parametrize("growing", [40], indirect=True)
def test_an_update_with_a_new_decoder_of_small_runs_is_refused(growing: Path, tmp_path: Path) -> None:
    tb2csv.convert(growing, tmp_path / "out", workers=1)
    grow(growing)
    with pytest.raises(AssertionError, match="'weights' of the run '0' has the kind tensors"):
        convert_with_toys(growing, tmp_path / "out")


def test_a_package_adds_a_decoder_a_format_and_a_layout(logdir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", COMMAND, "convert", str(logdir), str(out), "--layout", "runs"]
    path = f"{TOYS}:{Path(tb2csv.__file__).parents[1]}"
    done = subprocess.run(
        [*command, "--format", "semicolons"],
        env=environment(PYTHONPATH=path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for run, number in (("a", 1.0), ("b", 2.0)):
        assert (out / run / "scalars.semi").read_text() == f"loss;0.0;1;{number}\nrate;0.0;1;0.5\n"
        assert (out / run / "sums.semi").read_text() == f"weights;0.0;2;{number + 10}\n"
        assert (out / run / "tensors.semi").read_text() == f"weights;0.0;3;0;0;{number}\n"
    with (out / "index.csv").open() as file:
        index = {row["path"]: (row["run"], row["tag"], row["kind"], row["rows"]) for row in csv.DictReader(file)}
    assert index == {
        f"{run}/{kind}.semi": (run, "", kind, rows)
        for run in ("a", "b")
        for kind, rows in (("scalars", "2"), ("sums", "1"), ("tensors", "1"))
    }
