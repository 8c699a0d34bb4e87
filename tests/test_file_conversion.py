"""Conversions into one file: a table, standard output, or an archive."""

from __future__ import annotations

import csv
import gzip
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from commands import environment, run_here, run_process
from event_files import (
    event,
    flip,
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
from tables import parse_lines, read_tree

import tb2csv
from tb2csv.errors import OptionError, OutputError, Tb2csvError


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Return two runs with the same scalars."""
    for run, factor in (("a", 1.0), ("b", 2.0)):
        write_run(
            tmp_path / "logs" / run,
            *(
                event(simple_value("loss", factor * step), simple_value("rate", 0.5), step=step, wall_time=100 + step)
                for step in (1, 2)
            ),
        )
    return tmp_path / "logs"


LOSSES = [
    ["run", "tag", "wall_time", "step", "value"],
    ["a", "loss", "101.0", "1", "1.0"],
    ["a", "loss", "102.0", "2", "2.0"],
    ["b", "loss", "101.0", "1", "2.0"],
    ["b", "loss", "102.0", "2", "4.0"],
]


def lines_of(path: Path) -> list[list[str]]:
    return parse_lines(path.read_text("utf-8"))


def test_a_name_that_ends_like_a_table_is_one_table(logs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "losses.csv"
    out.parent.mkdir()
    report = tb2csv.convert(logs, out, tag="loss")
    assert lines_of(out) == LOSSES
    assert (report.tables, report.values_written, report.values_filtered) == (1, 4, 4)
    assert list(out.parent.iterdir()) == [out]  # neither an index nor temporary files


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("x.CSV", lambda path: lines_of(path)[1:]),
        ("x.csv.gz", lambda path: parse_lines(gzip.decompress(path.read_bytes()).decode())[1:]),
        ("x.csv.zst", lambda path: [[str(c) for c in row] for row in pl.read_csv(path).rows()]),
        ("x.parquet", lambda path: [[str(c) for c in row] for row in pl.read_parquet(path).rows()]),
        ("x.arrow", lambda path: [[str(c) for c in row] for row in pl.read_ipc(path).rows()]),
        ("x.jsonl", lambda path: [[str(c) for c in row] for row in pl.read_ndjson(path).rows()]),
    ],
)
def test_the_ending_chooses_the_format(name: str, read: Any, logs: Path, tmp_path: Path) -> None:
    tb2csv.convert(logs, tmp_path / name, tag="loss")
    assert read(tmp_path / name) == LOSSES[1:]


LAYOUTS: list[tuple[dict[str, Any], list[list[str]]]] = [
    ({"layout": "tree", "run": "a", "tag": "loss"}, [["wall_time", "step", "value"], *(r[2:] for r in LOSSES[1:3])]),
    ({"layout": "tags", "tag": "loss"}, [[row[0], *row[2:]] for row in LOSSES]),
    (
        {"layout": "wide"},
        [
            ["run", "step", "wall_time", "loss", "rate"],
            ["a", "1", "101.0", "1.0", "0.5"],
            ["a", "2", "102.0", "2.0", "0.5"],
            ["b", "1", "101.0", "2.0", "0.5"],
            ["b", "2", "102.0", "4.0", "0.5"],
        ],
    ),
    ({"layout": "compare", "tag": "loss"}, [["step", "a", "b"], ["1", "1.0", "2.0"], ["2", "2.0", "4.0"]]),
    (
        {"layout": "compare"},
        [
            ["step", "a: loss", "b: loss", "a: rate", "b: rate"],
            ["1", "1.0", "2.0", "0.5", "0.5"],
            ["2", "2.0", "4.0", "0.5", "0.5"],
        ],
    ),
    (
        {"header": "tensorboard", "run": "a", "tag": "loss"},
        [["Wall time", "Step", "Value"], *(r[2:] for r in LOSSES[1:3])],
    ),
]


@pytest.mark.parametrize(
    ("options", "expected"), LAYOUTS, ids=lambda each: "-".join(each.values()) if isinstance(each, dict) else ""
)
def test_each_layout_fits_into_one_file(
    options: dict[str, Any], expected: list[list[str]], logs: Path, tmp_path: Path
) -> None:
    tb2csv.convert(logs, tmp_path / "x.csv", **options)
    assert lines_of(tmp_path / "x.csv") == expected


@pytest.mark.parametrize(("layout", "options"), [("tree", {}), ("tags", {}), ("tree", {"tag": "loss"})])
def test_a_layout_with_several_tables_is_refused(
    layout: str, options: dict[str, str], logs: Path, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match=r"tables of the scalars.* another layout, or select one with run and tag"):
        tb2csv.convert(logs, tmp_path / "x.csv", layout=layout, **options)
    assert not (tmp_path / "x.csv").exists()


def test_several_kinds_are_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "logs", event(scalar("x", 1), text("note", ["n"]), hparams_start({"rate": 1.0}), step=1))
    ran = run_here(capsys, "convert", tmp_path / "logs", tmp_path / "x.csv")
    assert ran.status == 1
    assert "scalars, text and hparams; choose one with --kind" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]
    tb2csv.convert(tmp_path / "logs", tmp_path / "x.csv", kind="hparams")
    assert lines_of(tmp_path / "x.csv")[0][-1] == "duration"


def test_several_kinds_are_refused_at_the_first_value_of_a_second_one(tmp_path: Path) -> None:
    values = [event(scalar("x", 1), *([text("note", ["n"])] if step == 3 else []), step=step) for step in range(1000)]
    path = write_run(tmp_path / "logs", *values)
    passed: list[int] = []
    with pytest.raises(tb2csv.OutputError, match="scalars and text; choose one with kind"):
        tb2csv.convert(tmp_path / "logs", tmp_path / "x.csv", chunk_size=1 << 10, progress=passed.append)
    assert sum(passed) < path.stat().st_size / 10


def test_columns_that_differ_share_a_table_without_loss(tmp_path: Path) -> None:
    """float32 becomes float64, which is exact; an index that a text lacks is missing."""
    write_run(tmp_path / "logs" / "a", event(scalar("x", 0.1), text("t", "plain"), step=1))
    write_run(tmp_path / "logs" / "b", event(scalar("x", 0.1, "float64"), text("t", ["p", "q"]), step=1))
    tb2csv.convert(tmp_path / "logs", tmp_path / "x.csv", tag="x")
    assert [row[-1] for row in lines_of(tmp_path / "x.csv")[1:]] == ["0.10000000149011612", "0.1"]
    tb2csv.convert(tmp_path / "logs", tmp_path / "t.csv", tag="t")
    header, *rows = lines_of(tmp_path / "t.csv")
    assert header == ["run", "tag", "wall_time", "step", "i0", "text"]
    assert [row[4:] for row in rows] == [["", "plain"], ["0", "p"], ["1", "q"]]


def test_integers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "logs" / "a", event(scalar("x", 2**53 + 1, "int64"), step=1))
    write_run(tmp_path / "logs" / "b", event(scalar("x", 0.5), step=1))
    with pytest.raises(Tb2csvError, match="too large"):
        tb2csv.convert(tmp_path / "logs", tmp_path / "x.csv")
    assert not (tmp_path / "x.csv").exists()


def test_what_is_not_in_the_file_is_counted(tmp_path: Path) -> None:
    write_run(
        tmp_path / "logs",
        event(legacy_histogram("h", [0.0, 1.0], [1.0, 2.0], min=0.0, max=1.0, num=3.0), step=1),
        event(image("pic", 1, 1, b"one", b"two"), tensor("broken", tensor_of("DT_FLOAT", (2,), tensor_content=b"1"))),
    )
    notes = tb2csv.convert(tmp_path / "logs", tmp_path / "h.csv", kind="histograms").notes
    assert [(note.kind, note.counts) for note in notes] == [("tables_left_out", (("histogram_stats", 1),))]
    notes = tb2csv.convert(tmp_path / "logs", tmp_path / "i.csv", kind="images").notes
    assert [(note.kind, note.count) for note in notes] == [("files_left_out", 2)]
    with pytest.raises(OutputError, match="no value could be decoded"):
        tb2csv.convert(tmp_path / "logs", tmp_path / "b.csv", tag="broken")


def test_a_file_is_replaced_only_with_overwrite(logs: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    tb2csv.convert(logs, out, tag="loss")
    with pytest.raises(OutputError, match=r"exists already.*overwrite=True"):
        tb2csv.convert(logs, out, tag="rate")
    assert lines_of(out) == LOSSES
    tb2csv.convert(logs, out, tag="rate", overwrite=True)
    assert [row[1] for row in lines_of(out)[1:]] == ["rate"] * 4
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        tb2csv.convert(logs, tmp_path / "folder.csv", tag="loss", overwrite=True)


def test_a_failed_conversion_leaves_the_earlier_file(logs: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("mine")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Tb2csvError):
        tb2csv.convert(logs, tmp_path / "x.csv", tag="nothing", overwrite=True)
    assert (tmp_path / "x.csv").read_text() == "mine"
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_may_be_in_the_log_directory_unless_it_looks_like_an_event_file(logs: Path) -> None:
    tb2csv.convert(logs, logs / "losses.csv", tag="loss")
    assert lines_of(logs / "losses.csv") == LOSSES
    with pytest.raises(OutputError, match="event file"):
        tb2csv.convert(logs, logs / "tfevents.csv", tag="loss")


@pytest.mark.parametrize("name", ["losses.json", "x.tsv", "x.xls", "x.tar.gz", "x.txt"])
def test_endings_of_other_files_are_refused(name: str, logs: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"choose from \.csv, .*or end the name of a folder with /"):
        tb2csv.convert(logs, tmp_path / name)
    tb2csv.convert(logs, f"{tmp_path / name}/")
    assert (tmp_path / name / "index.csv").is_file()


def test_a_format_that_contradicts_the_ending_is_refused(logs: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="leave out format='parquet'"):
        tb2csv.convert(logs, tmp_path / "x.csv", format="parquet")
    tb2csv.convert(logs, tmp_path / "x.jsonl", format="jsonl-null", tag="loss")
    assert len(pl.read_ndjson(tmp_path / "x.jsonl")) == 4


def test_follow_and_a_file_are_refused(logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run_here(capsys, "follow", logs, tmp_path / "x.csv", "--until-idle", "1")
    assert ran.status == 1
    assert "the name of a file" in ran.stderr


def test_an_archive_has_the_files_of_the_folder(logs: Path, tmp_path: Path) -> None:
    tb2csv.convert(logs, tmp_path / "folder", format="parquet")
    report = tb2csv.convert(logs, tmp_path / "my.tables.zip", format="parquet")
    with zipfile.ZipFile(tmp_path / "my.tables.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    assert files == {f"my.tables/{path}": data for path, data in read_tree(tmp_path / "folder").items()}
    assert report.tables == 4


def test_a_binary_file_takes_a_table(logs: Path) -> None:
    file = io.BytesIO()
    tb2csv.convert(logs, file, tag="loss")
    assert parse_lines(file.getvalue().decode()) == LOSSES
    file = io.BytesIO()
    tb2csv.convert(logs, file, tag="loss", format="parquet")
    file.seek(0)
    assert pl.read_parquet(file)["value"].to_list() == [1.0, 2.0, 2.0, 4.0]


@pytest.mark.slow
def test_standard_output_has_the_table_and_nothing_else(logs: Path) -> None:
    damaged = next((logs / "b").iterdir())
    damaged.write_bytes(flip(damaged.read_bytes(), -1))  # in the checksum of the last payload
    ran = run_process("convert", logs, "-", "--tag", "loss")
    assert ran.status == 3
    assert list(csv.reader(io.StringIO(ran.stdout))) == LOSSES[:-1]
    assert "checksum" in ran.stderr
    assert "3 values of 2 runs in 1 table" in ran.stderr
    strict = run_process("convert", logs, "-", "--tag", "loss", "--strict")
    assert (strict.status, strict.stdout) == (1, "")
    both = run_process("convert", logs, "-", "--json")
    assert (both.status, both.stdout) == (2, "")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes like these")
def test_a_reader_of_standard_output_may_end_early(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", *(event(simple_value("x", step), step=step) for step in range(20_000)))
    command = [sys.executable, "-m", "tb2csv", "convert", str(tmp_path / "logs"), "-"]
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parent
    )
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline().startswith(b'"run"')
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


@pytest.mark.slow
def test_formats_that_are_not_text_are_not_written_to_a_terminal(logs: Path) -> None:
    pty = pytest.importorskip("pty")
    main, other = pty.openpty()
    command = [sys.executable, "-m", "tb2csv", "convert", str(logs), "-", "--format", "parquet"]
    done = subprocess.run(command, env=environment(), stdout=other, stderr=subprocess.PIPE, check=False, text=True)
    os.close(main)
    os.close(other)
    assert done.returncode == 2
    assert "terminal" in done.stderr


def test_a_file_in_a_store_is_refused(logs: Path) -> None:
    with pytest.raises(OutputError, match="is a URL; write to a local path"):
        tb2csv.convert(logs, "gs://bucket/x.csv")


# Dialects of CSV


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (
            "excel",
            (
                b'\xef\xbb\xbf"run","tag","time_utc","step","value"\n'
                b"a,x,1970-01-01 00:00:01.500,1,0.1\na,x,1970-01-01 00:00:02.000,2,1e-10\n"
            ),
        ),
        (
            "excel-semicolon",
            (
                b'\xef\xbb\xbf"run";"tag";"time_utc";"step";"value"\n'
                b"a;x;1970-01-01 00:00:01.500;1;0,1\na;x;1970-01-01 00:00:02.000;2;1e-10\n"
            ),
        ),
    ],
)
def test_a_dialect_for_excel_has_a_mark_dates_and_its_separators(dialect: str, expected: bytes, tmp_path: Path) -> None:
    write_run(
        tmp_path / "logs" / "a",
        event(simple_value("x", 0.1), step=1, wall_time=1.5),
        event(simple_value("x", 1e-10), step=2, wall_time=2),
    )
    tb2csv.convert(tmp_path / "logs", tmp_path / "x.csv", csv_dialect=dialect)
    assert (tmp_path / "x.csv").read_bytes() == expected
    file = io.BytesIO()
    tb2csv.convert(tmp_path / "logs", file, csv_dialect=dialect)
    assert file.getvalue() == expected


def test_a_dialect_for_excel_has_no_formulas(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", event(text("t", ["=1+1", "1;2", "a,b"]), step=1))
    tb2csv.convert(tmp_path / "logs", tmp_path / "x.csv", csv_dialect="excel-semicolon")
    rows = list(csv.reader(io.StringIO((tmp_path / "x.csv").read_text("utf-8-sig"), newline=""), delimiter=";"))
    assert [row[-1] for row in rows] == ["text", "'=1+1", "1;2", "a,b"]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("x.csv", {"csv_dialect": "word"}, "choose from excel, excel-semicolon"),
        ("folder", {"csv_dialect": "excel"}, "leave out csv_dialect"),
        ("x.csv.gz", {"csv_dialect": "excel"}, "leave out csv_dialect"),
        ("x.zip", {"csv_dialect": "excel"}, "leave out csv_dialect"),
    ],
)
def test_a_dialect_is_for_one_csv(name: str, options: dict[str, str], said: str, logs: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError) as refused:
        tb2csv.convert(logs, tmp_path / name, **options)  # type: ignore[arg-type]
    assert said in str(refused.value)
