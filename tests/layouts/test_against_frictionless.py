"""Against frictionless: the data package is valid, and every cell of every table is of the type it says."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from event_files import (
    event,
    hparams_start,
    image,
    legacy_histogram,
    scalar,
    simple_value,
    tensor,
    tensor_of,
    text,
    write_run,
)
from make_expected import SAMPLE_LOGS

import tb2csv
from tb2csv.layouts.layouts import LAYOUTS

if TYPE_CHECKING:
    from pathlib import Path


def validate(out: Path) -> list[str]:
    """Return what frictionless finds wrong; in a process of its own, because it warns of its own dependencies."""
    command = [sys.executable, "-m", "frictionless", "validate", "--json", "datapackage.json"]
    done = subprocess.run(command, capture_output=True, cwd=out, check=False)
    report = json.loads(done.stdout)
    assert report["stats"]["tasks"] == len(json.loads((out / "datapackage.json").read_text("utf-8"))["resources"])
    errors = [*report["errors"], *(error for task in report["tasks"] for error in task["errors"])]
    assert report["valid"] == (not errors)
    return [error["message"] for error in errors]


@pytest.mark.slow
def test_data_packages_of_sample_logs_are_valid(tmp_path: Path) -> None:
    tb2csv.convert(SAMPLE_LOGS, tmp_path / "out")
    assert validate(tmp_path / "out") == []


@pytest.mark.parametrize("style", ["elements", "wide", "base64", "npy"])
@pytest.mark.slow
def test_every_kind_of_cell_is_valid(style: str, tmp_path: Path) -> None:
    write_run(
        tmp_path / "logs" / "a run, odd",
        *(
            event(simple_value("numbers", number), step=i)
            for i, number in enumerate([float("nan"), float("inf"), -0.0])
        ),
        event(scalar("int", 2**63 - 1, "int64"), scalar("uint", 2**64 - 1, "uint64"), scalar("bool", 1, "bool")),
        event(text("text", 'quotes " and, commas\nand lines'), text("empty", ""), scalar("Numbers", 1)),
        event(tensor("../tensor", [[1.5, 2.5]]), tensor("complex", [1 + 2j]), image("image", 1, 1, b"png")),
        event(
            legacy_histogram("histogram", [1], [2]), tensor("broken", tensor_of("DT_FLOAT", (2,), tensor_content=b"1"))
        ),
        event(hparams_start({"bool": True, "number": 0.5, "text": "x", "mixed": 1})),
        wall_time=float("nan"),
    )
    write_run(tmp_path / "logs" / "other", event(hparams_start({"bool": False, "mixed": "y"})))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", tensors=style)
    assert validate(tmp_path / "out") == []


#: frictionless reads no Zstandard, no Arrow, and JSON Lines and Parquet only with packages of its own.
@pytest.mark.parametrize(("layout", "format_name"), [*((each, "csv") for each in LAYOUTS), ("long", "csv.gz")])
@pytest.mark.slow
def test_every_layout_is_valid(layout: str, format_name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    time = ("epoch",) if layout == "compare" else ("epoch", "iso", "relative")
    tb2csv.convert(SAMPLE_LOGS, out, layout=layout, format=format_name, time=time)
    assert validate(out) == []


@pytest.mark.slow
def test_the_download_header_is_valid(tmp_path: Path) -> None:
    numbers = [float("nan"), float("inf"), -float("inf"), 1e-5, 0.1]
    write_run(tmp_path / "logs", *(event(scalar("x", number), scalar("b", 1, "bool")) for number in numbers))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", header="tensorboard")
    assert validate(tmp_path / "out") == []


def test_frictionless_rejects_a_wrong_cell(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", event(scalar("x", 1)))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    table = tmp_path / "out" / "scalars" / "x.csv"
    table.write_text(table.read_text("utf-8").replace("1.0", "one"), "utf-8")
    assert len(validate(tmp_path / "out")) == 1
