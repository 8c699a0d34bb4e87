"""A conversion that is opened again: the same frames that went into it, in every layout and format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from event_files import event, simple_value, tensor, text, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

import tb2csv
from tb2csv.converted_tables import _READERS
from tb2csv.sinks.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Those that keep NaN and infinities.
EXACT_FORMATS = [name for name in FORMATS if name != "jsonl-null"]

SAMPLES = Path(__file__).parents[1] / "sample_logs"


@pytest.mark.parametrize("layout", ["tree", "tags", "wide", "long"])
@pytest.mark.slow
def test_all_formats_give_the_same_frames(layout: str, tmp_path: Path) -> None:
    frames = {}
    # Whether a text is compressed does not depend on the layout.
    for name in EXACT_FORMATS if layout == "tree" else ("csv", "jsonl", "parquet", "arrow"):
        out = tmp_path / f"{name} tables"
        tb2csv.convert(SAMPLES, out, layout=layout, format=name, time=("epoch", "iso", "relative"))
        tables = tb2csv.open_tables(out)
        frames[name] = {path.removesuffix(f".{name}"): tables[path] for path in tables}
    for found in frames.values():
        assert found.keys() == frames["parquet"].keys()
        for path, frame in found.items():
            assert frame.schema == frames["parquet"][path].schema, path
            assert frame.equals(frames["parquet"][path]), path


@pytest.mark.slow
def test_tables_are_the_frames_of_the_log(tmp_path: Path) -> None:
    tb2csv.convert(SAMPLES, tmp_path / "out")
    tables, frames = tb2csv.open_tables(tmp_path / "out"), tb2csv.open_logdir(SAMPLES)
    compared = 0
    for run, tag, kind in tables.index.filter(pl.col("run").is_not_null()).select("run", "tag", "kind").rows():
        if kind in {"histogram_stats", "images", "audio", "graphs", "hparams"}:  # parts, and tables with paths
            continue
        assert tables.table(run, tag, kind).equals(frames.table(run, tag, kind))
        compared += 1
    assert compared > 50


numbers32 = st.floats(width=32) | st.sampled_from([0.1, 3.4e38, 1e-45, -0.0, 16777216.0])
numbers64 = st.floats() | st.sampled_from([0.1, 1.7e308, 5e-324, -0.0, 2.0**53 + 2])


@pytest.mark.parametrize("name", EXACT_FORMATS)
@settings(max_examples=25)  # each is a conversion, and has many numbers
@given(st.lists(st.tuples(numbers32, numbers64, st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=80))
@pytest.mark.slow
def test_numbers_come_back_with_all_their_bits(
    name: str, tmp_path_factory: pytest.TempPathFactory, cells: Sequence[tuple[float, float, int]]
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    singles, doubles, steps = zip(*cells, strict=True)
    events = [
        event(simple_value("single", single), tensor("double", np.float64(double)), step=step)
        for single, double, step in zip(singles, doubles, steps, strict=True)
    ]
    write_run(folder / "logs", *events)
    tb2csv.convert(folder / "logs", folder / "out", format=name)
    tables = tb2csv.open_tables(folder / "out")
    for tag, dtype, expected in (("single", np.float32, singles), ("double", np.float64, doubles)):
        table = tables.table(".", tag)
        assert table["step"].to_list() == list(steps)
        found, wanted = table["value"].to_numpy(), np.array(expected, dtype)
        assert found.dtype == dtype
        is_nan = np.isnan(wanted)
        assert (np.isnan(found) == is_nan).all()
        assert (found[~is_nan].view(f"u{found.itemsize}") == wanted[~is_nan].view(f"u{found.itemsize}")).all()


@pytest.mark.parametrize("name", FORMATS)
def test_texts_come_back_whatever_is_in_them(name: str, tmp_path: Path) -> None:
    texts = ["", '"', "a,b", "two\nlines", "\r\n", "=1+1", "'=1", "NaN", "\\", "ü€🜚", " blanks ", "null"]
    write_run(tmp_path / "logs", *(event(text("t", each), step=step) for step, each in enumerate(texts)))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", format=name)
    assert tb2csv.open_tables(tmp_path / "out").table(".", "t")["text"].to_list() == texts


@pytest.mark.parametrize("name", FORMATS)
def test_names_with_pattern_characters_are_names(name: str, tmp_path: Path) -> None:
    """Neither of a table nor of the folder: file names have brackets as they are."""
    tags = {"loss0": 1.0, "loss[0]": 2.0}
    for number, folder in enumerate(("out", "o[u]t", "{out,o[u]t}") + ("o*t",) * (os.name != "nt")):
        values = [simple_value(tag, value + 10 * number) for tag, value in tags.items()]
        write_run(tmp_path / f"logs {number}", event(*values, step=0))
        tb2csv.convert(tmp_path / f"logs {number}", tmp_path / folder, format=name)
        tables = tb2csv.open_tables(tmp_path / folder)
        assert {tag: tables.table(".", tag)["value"].to_list() for tag in tags} == {
            tag: [value + 10 * number] for tag, value in tags.items()
        }


def test_escaped_formulas_come_back_as_they_were(tmp_path: Path) -> None:
    texts = ["=1+1", "'=1", "+x", "plain", "'"]
    write_run(tmp_path / "logs", *(event(text("@t", each), step=step) for step, each in enumerate(texts)))
    for layout in ("tree", "long"):
        out = tmp_path / layout
        tb2csv.convert(tmp_path / "logs", out, layout=layout, escape_formulas=True)
        tables = tb2csv.open_tables(out)
        (path,) = tables
        assert "'=1+1" in (out / path).read_text("utf-8")
        assert tables[path]["text"].to_list() == texts
        assert set(tables.index["tag"].drop_nulls()) <= {"@t"}


def test_a_folder_that_is_not_a_conversion_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tb2csv.Tb2csvError, match=r"does not contain the datapackage\.json"):
        tb2csv.open_tables(tmp_path)
    (tmp_path / "datapackage.json").write_text('{"resources": [{"path": "a.csv"}]}')
    with pytest.raises(tb2csv.Tb2csvError, match=r"does not contain the datapackage\.json"):
        tb2csv.open_tables(tmp_path)


def test_unknown_names_suggest_the_nearest(tmp_path: Path) -> None:
    tb2csv.convert(SAMPLES, tmp_path / "out", selection=tb2csv.Selection(runs=("tf2",)))
    tables = tb2csv.open_tables(tmp_path / "out")
    with pytest.raises(tb2csv.Tb2csvError, match=r"tf2/scalars/loss\.csv"):
        tables["tf2/scalars/lost.csv"]
    with pytest.raises(tb2csv.Tb2csvError, match="'loss'"):
        tables.table("tf2", "lost")
    assert "tf2/scalars/loss.csv" in tables
    assert repr(tables).endswith(f"{len(tables)} tables>")


def test_a_tag_of_two_kinds_needs_a_kind(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", event(simple_value("x", 1.0), text("y", "z"), step=0), event(text("x", "w"), step=1))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    tables = tb2csv.open_tables(tmp_path / "out")
    with pytest.raises(tb2csv.Tb2csvError, match="several tables"):
        tables.table(".", "x")
    assert tables.table(".", "x", "text")["text"].to_list() == ["w"]


def test_a_changed_table_is_refused(tmp_path: Path) -> None:
    tb2csv.convert(SAMPLES, tmp_path / "out", selection=tb2csv.Selection(runs=("tf2",)))
    (tmp_path / "out" / "tf2" / "scalars" / "loss.csv").write_text("wall_time,step,value\nx,y,z\n")
    tables = tb2csv.open_tables(tmp_path / "out")
    with pytest.raises(tb2csv.Tb2csvError, match="convert the log again"):
        tables.table("tf2", "loss")


def test_every_format_can_be_read() -> None:
    assert {each.properties["format"] for each in FORMATS.values()} == set(_READERS)
