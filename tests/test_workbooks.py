"""Conversions into an Excel workbook, read back by openpyxl and by LibreOffice."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import zipfile
from datetime import datetime
from typing import TYPE_CHECKING, Any

import openpyxl
import polars as pl
import pytest
from commands import run_here
from event_files import event, hparams_start, image, simple_value, text, write_run
from openpyxl.utils.escape import unescape

import tb2csv
from tb2csv.errors import MissingExtraError, OptionError, OutputError
from tb2csv.sinks import workbook
from tb2csv.sinks.workbook import Workbook, check_size, sheet_name

if TYPE_CHECKING:
    from pathlib import Path

NAN, INFINITY = float("nan"), float("inf")


def rows_of(path: Path, sheet: str) -> list[tuple[Any, ...]]:
    """Return the cells of a sheet; openpyxl leaves the escapes of Excel in texts."""
    book = openpyxl.load_workbook(path)
    return [
        tuple(unescape(cell) if isinstance(cell, str) else cell for cell in row)
        for row in book[sheet].iter_rows(values_only=True)
    ]


def written(path: Path, **columns: Any) -> list[tuple[Any, ...]]:
    """Write a sheet, and return the cells below its header."""
    frame = pl.DataFrame(columns)
    with Workbook(path) as book:
        book.add_sheet("sheet", frame.schema, [frame])
    return rows_of(path, "sheet")[1:]


def without_zone(text: str) -> datetime:
    """Return a date as Excel has it."""
    return datetime.fromisoformat(f"{text}+00:00").replace(tzinfo=None)


def test_a_workbook_has_an_index_and_a_sheet_for_each_kind(tmp_path: Path) -> None:
    write_run(
        tmp_path / "logs" / "a",
        event(simple_value("loss", 0.1), text("note", "=1+1"), hparams_start({"rate": 0.5}), step=3, wall_time=1.5),
        event(image("pic", 1, 1, b"png"), step=4),
    )
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "x.xlsx")
    assert openpyxl.load_workbook(tmp_path / "x.xlsx").sheetnames == ["index", "images", "scalars", "text", "hparams"]
    header, *rows = rows_of(tmp_path / "x.xlsx", "index")
    assert [dict(zip(header, row, strict=True))["sheet"] for row in rows] == ["images", "scalars", "text", "hparams"]
    assert rows_of(tmp_path / "x.xlsx", "scalars") == [
        ("run", "tag", "time_utc", "step", "value"),
        ("a", "loss", without_zone("1970-01-01T00:00:01.500000"), 3, 0.1),
    ]
    assert rows_of(tmp_path / "x.xlsx", "text")[1][-1] == "=1+1"
    assert [(note.kind, note.count) for note in report.notes] == [("files_left_out", 1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "x.xlsx"]


def test_comparisons_have_a_sheet_for_each_tag(tmp_path: Path) -> None:
    for run in "ab":
        write_run(tmp_path / "logs" / run, event(simple_value("loss/x", ord(run)), simple_value("index", 1), step=2))
    tb2csv.convert(tmp_path / "logs", tmp_path / "x.xlsx", layout="compare")
    assert openpyxl.load_workbook(tmp_path / "x.xlsx").sheetnames == ["index", "index~2", "loss_x"]
    assert rows_of(tmp_path / "x.xlsx", "loss_x") == [("step", "a", "b"), (2, 97, 98)]


def test_headers_are_frozen_and_bold(tmp_path: Path) -> None:
    written(tmp_path / "x.xlsx", x=[1])
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx")["sheet"]
    assert sheet.freeze_panes == "A2"
    assert sheet["A1"].font.bold


def test_numbers_keep_every_digit(tmp_path: Path) -> None:
    """Nine of ten random doubles need 17 digits; float32 get the number of their text."""
    doubles = [0.1 + 0.2, 1795262886.9495573, 5e-324, 1.7976931348623157e308, -0.1, 1 / 3, 100.0]
    assert [row[0] for row in written(tmp_path / "a.xlsx", x=doubles)] == doubles
    singles = pl.Series([0.1, 3.4e38, 1e-45, 16777216.0], dtype=pl.Float32)
    assert [row[0] for row in written(tmp_path / "b.xlsx", x=singles)] == [0.1, 3.4e38, 1e-45, 16777216]


def test_numbers_that_excel_does_not_have_are_text(tmp_path: Path) -> None:
    numbers = [NAN, INFINITY, -INFINITY, None, 2.5]
    assert [row[0] for row in written(tmp_path / "a.xlsx", x=numbers, y=[0] * 5)] == ["NaN", "inf", "-inf", None, 2.5]
    for dtype, integers in (
        (pl.Int64, [2**53, 2**53 + 1, -(2**53), -(2**63)]),
        (pl.UInt64, [2**64 - 1, 0]),
    ):
        expected = [str(each) if abs(each) > 2**53 else each for each in integers]
        assert [row[0] for row in written(tmp_path / "b.xlsx", x=pl.Series(integers, dtype=dtype))] == expected
    assert [row[0] for row in written(tmp_path / "c.xlsx", x=[True, False])] == [True, False]


def test_dates_are_dates(tmp_path: Path) -> None:
    dates = [
        *map(without_zone, ("2026-11-21T12:08:06.949000", "1900-03-01T00:00:00", "9999-12-31T23:59:59")),
        None,
    ]
    early = without_zone("1900-02-28T01:02:03.000004")
    column = pl.Series([*dates, early], dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")
    cells = [row[0] for row in written(tmp_path / "x.xlsx", x=column, y=[0] * 5)]
    assert cells == [*dates, "1900-02-28T01:02:03.000004Z"]
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx")["sheet"]
    assert sheet["A2"].is_date
    assert sheet["A2"].number_format == "yyyy-mm-dd hh:mm:ss.000"


TEXTS = [
    "=1+1", "+1", "-1", "@x", "{=1}", "https://example.org", "mailto:a@example.org", "internal:x!A1", "1", "1e5",
    "TRUE", "2024-01-01", "", " blank ", "a\nb", "<r><t>x</t></r>", "<r>a & b</r>", "_x0041_", "'quoted", "ä\U0001f600",
]  # fmt: skip


def test_texts_stay_texts(tmp_path: Path) -> None:
    cells = [row[0] for row in written(tmp_path / "x.xlsx", x=TEXTS, y=[0] * len(TEXTS))]
    assert cells == TEXTS
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx")["sheet"]
    assert {cell.data_type for cell in sheet["A"]} <= {"s", "inlineStr", "n"}
    assert all(cell.hyperlink is None for cell in sheet["A"])
    with zipfile.ZipFile(tmp_path / "x.xlsx") as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


def test_texts_that_are_too_long_are_cut_and_counted(tmp_path: Path) -> None:
    """Excel counts UTF-16 units, and an emoji has two."""
    fits, long, pairs = "a" * 32_767, "b" * 32_768, "\U0001f600" * 16_384
    write_run(tmp_path / "logs", event(text("t", [fits, long, pairs]), step=1))
    report = tb2csv.convert(tmp_path / "logs", tmp_path / "x.xlsx")
    assert [row[-1] for row in rows_of(tmp_path / "x.xlsx", "text")[1:]] == [fits, long[:-1], pairs[:-1]]
    assert [(note.kind, note.count) for note in report.notes] == [("texts_cut", 2)]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("scalars", "scalars"),
        ("a/b\\c:d*e?f[g]h", "a_b_c_d_e_f_g_h"),
        ("'quoted'", "_quoted_"),
        ("it's", "it's"),
        ("x" * 40, "x" * 31),
        ("\U0001f600" * 20, "\U0001f600" * 15),
        ("History", "History_"),
        ("", "_"),
        (" ", "_"),
        ("a\nb\x00", "a_b_"),
    ],
)
def test_sheet_names_are_those_that_excel_allows(label: str, name: str, tmp_path: Path) -> None:
    assert sheet_name(label) == name
    with Workbook(tmp_path / "x.xlsx") as book:
        book.add_sheet(book.claim(label), {"x": pl.Int64()}, [])
    assert openpyxl.load_workbook(tmp_path / "x.xlsx").sheetnames == [name]


def test_sheet_names_differ_whatever_their_case(tmp_path: Path) -> None:
    with Workbook(tmp_path / "x.xlsx") as book:
        names = [book.claim(label) for label in ("Loss", "loss", "LOSS", "x" * 40, "x" * 41, "loss~2")]
        for name in names:
            book.add_sheet(name, {"x": pl.Int64()}, [])
    assert names == ["Loss", "loss~2", "LOSS~3", "x" * 31, "x" * 29 + "~2", "loss~2~2"]


@pytest.mark.parametrize(("rows", "columns"), [(1 << 20, 1), (1, (1 << 14) + 1)])
def test_tables_that_do_not_fit_are_refused(rows: int, columns: int) -> None:
    check_size("x", (1 << 20) - 1, 1 << 14)
    with pytest.raises(OutputError, match=r"Excel has 1,048,576 rows and 16,384 columns; select fewer values with run"):
        check_size("x", rows, columns)


def test_a_log_that_does_not_fit_is_refused_before_the_workbook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "MAX_ROWS", 3)
    write_run(tmp_path / "logs", *(event(simple_value("x", step), step=step) for step in range(3)))
    monkeypatch.setattr(Workbook, "add_sheet", None)
    with pytest.raises(OutputError, match="'scalars' would have 4 rows"):
        tb2csv.convert(tmp_path / "logs", tmp_path / "x.xlsx")
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_rows_of_several_reads_are_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tb2csv.file_contents._SLICE", 7)
    monkeypatch.setattr(workbook, "_ROWS", 3)
    write_run(tmp_path / "logs", *(event(simple_value("x", step), step=step) for step in range(30)))
    tb2csv.convert(tmp_path / "logs", tmp_path / "x.xlsx", time=("epoch",))
    assert [row[3] for row in rows_of(tmp_path / "x.xlsx", "scalars")[1:]] == list(range(30))


def test_equal_logs_give_equal_workbooks(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", event(simple_value("x", 1), step=1))
    for name in ("a.xlsx", "b.xlsx"):
        tb2csv.convert(tmp_path / "logs", tmp_path / name)
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def test_a_format_beside_a_workbook_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", event(simple_value("x", 1), step=1))
    with pytest.raises(OptionError, match="leave out format='csv'"):
        tb2csv.convert(tmp_path / "logs", tmp_path / "x.xlsx", format="csv")


def test_a_missing_xlsxwriter_is_reported_before_the_log_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "logs", event(simple_value("x", 1), step=1))
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*\[excel\]'"):
        tb2csv.convert(tmp_path / "absent", tmp_path / "x.xlsx")
    ran = run_here(capsys, "convert", tmp_path / "logs", tmp_path / "x.xlsx")
    assert ran.status == 1
    assert "[excel]'" in ran.stderr


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
@pytest.mark.slow
def test_libreoffice_reads_every_cell(tmp_path: Path) -> None:
    texts = [each for each in TEXTS if each]
    frame = pl.DataFrame(
        {
            "text": texts,
            "number": [0.1 + 0.2 + number for number in range(len(texts))],
            "big": [2**60 + 1] * len(texts),
            "odd": [NAN, INFINITY, *([0.5] * (len(texts) - 2))],
        }
    )
    with Workbook(tmp_path / "x.xlsx") as book:
        book.add_sheet("sheet", frame.schema, [frame])
    filters = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false,false,false,-1"
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    command = ["soffice", profile, "--headless", "--convert-to", filters, "--outdir", "read", "x.xlsx"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    with (tmp_path / "read" / "x-sheet.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == frame.columns
    assert [row[0] for row in rows] == texts
    assert [float(row[1]) for row in rows] == pytest.approx(
        frame["number"].to_list(), rel=1e-14
    )  # the CSV has 15 digits
    assert {row[2] for row in rows} == {str(2**60 + 1)}
    assert [row[3] for row in rows][:3] == ["NaN", "inf", "0.5"]
