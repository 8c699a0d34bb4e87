"""Formula escaping: no cell of text starts a formula, numbers stay as they are, and all of it can be undone."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import polars as pl
import pytest
from event_files import event, scalar, text, write_run
from hypothesis import example, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tb2csv import convert
from tb2csv.formula_escaping import escape_formula, escape_formulas, unescape_formula, unescape_formulas

if TYPE_CHECKING:
    from pathlib import Path

STARTS = "=+-@\t\r"
TEXTS = st.text(st.sampled_from([*STARTS, "'", "a", "\n", " ", "ü", '"']), max_size=6)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd()", "'=cmd()"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("'=1", "''=1"),
        ("''=1", "'''=1"),
        ("'quoted'", "'quoted'"),
        ("loss", "loss"),
        ("a=b", "a=b"),
        ("", ""),
        (" =1", " =1"),
        ("\n=1", "\n=1"),
    ],
)
def test_a_cell_that_would_be_a_formula_gets_an_apostrophe(text: str, cell: str) -> None:
    assert escape_formula(text) == cell
    assert unescape_formula(cell) == text
    frame = pl.DataFrame({"text": [text, None]})
    assert escape_formulas(frame)["text"].to_list() == [cell, None]
    assert_frame_equal(unescape_formulas(escape_formulas(frame)), frame)


@pytest.mark.slow
@given(st.lists(st.none() | TEXTS | st.text(), min_size=1))
@example(["=", "'=", "''="])
def test_escaping_is_undone_exactly_and_leaves_no_formula(cells: list[str | None]) -> None:
    frame = pl.DataFrame({"text": cells}, {"text": pl.String})
    escaped = escape_formulas(frame)
    assert_frame_equal(unescape_formulas(escaped), frame)
    assert not any(cell and cell[0] in STARTS for cell in escaped["text"])
    assert escaped["text"].to_list() == [None if cell is None else escape_formula(cell) for cell in cells]


@given(st.lists(TEXTS, unique=True, min_size=1))
def test_names_of_columns_are_cells_of_the_first_line(names: list[str]) -> None:
    frame = pl.DataFrame({name: [1] for name in names})
    escaped = escape_formulas(frame)
    assert not any(name and name[0] in STARTS for name in escaped.columns)
    assert_frame_equal(unescape_formulas(escaped), frame)


def test_numbers_are_never_touched() -> None:
    frame = pl.DataFrame({"step": [-1, 2], "value": [-0.5, float("-inf")], "done": [True, None]})
    assert escape_formulas(frame) is frame


def test_the_text_of_a_table_holds_the_escaped_cells() -> None:
    frame = pl.DataFrame({"step": [-1], "text": ['=HYPERLINK("http://x","y")']})
    text = escape_formulas(frame).write_csv()
    assert list(csv.reader(io.StringIO(text))) == [["step", "text"], ["-1", '\'=HYPERLINK("http://x","y")']]


@pytest.mark.parametrize("layout", ["tree", "tags", "wide", "long"])
@pytest.mark.parametrize("format_name", ["csv", "csv.gz"])
def test_a_conversion_leaves_no_formula_and_all_of_it_can_be_undone(
    tmp_path: Path, layout: str, format_name: str
) -> None:
    import frictionless  # takes half a second

    texts = ["=1+1", "'=1", "-", "+", "@x", "fine", "'"]
    write_run(tmp_path / "logs" / "=run", event(scalar("=cmd()", -1), text("@note", texts), scalar("ok", -0.5)))
    convert(tmp_path / "logs", tmp_path / "plain", layout=layout, format=format_name)
    convert(tmp_path / "logs", tmp_path / "escaped", layout=layout, format=format_name, escape_formulas=True)
    paths = [path.relative_to(tmp_path / "plain") for path in (tmp_path / "plain").rglob(f"*.{format_name}")]
    assert paths
    for path in [*paths, "index.csv"]:
        plain, escaped = (pl.read_csv(tmp_path / made / path) for made in ("plain", "escaped"))
        assert_frame_equal(unescape_formulas(escaped), plain)
        cells = [*escaped.columns, *(cell for name in escaped.columns for cell in escaped[name])]
        assert not [cell for cell in cells if isinstance(cell, str) and cell and cell[0] in STARTS]
    if format_name == "csv":  # of compressed files it leaves some open
        report = frictionless.validate(str(tmp_path / "escaped" / "datapackage.json"))
        assert report.valid, report.flatten(["rowNumber", "fieldName", "type", "note"])


def test_formats_with_text_columns_escape_the_index_only(tmp_path: Path) -> None:
    write_run(tmp_path / "logs" / "=run", event(text("note", ["=1"])))
    convert(tmp_path / "logs", tmp_path / "out", format="parquet", escape_formulas=True)
    (table,) = (tmp_path / "out").rglob("note.parquet")
    assert pl.read_parquet(table)["text"].to_list() == ["=1"]
    assert pl.read_csv(tmp_path / "out" / "index.csv")["run"].to_list() == ["'=run"]
