"""One list of hostile names through every command, every kind of text, and every page."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import re
import subprocess
import sys
import threading
import unicodedata
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import polars as pl
import pytest
from commands import Ran, environment, run_here
from event_files import event, hparams_experiment, hparams_start, scalar, tensor, write_run
from hostile_names import FOR_PAGES, FOR_SPREADSHEETS, FOR_TERMINALS, HOSTILE_NAMES
from markdown import markdown
from slow_cases import slow

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: The status of commands that read all of the log.
DAMAGED = 3

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="a pseudo-terminal, and names that Windows refuses")


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose runs, tags, layers, and hyperparameters have these names; one file is damaged."""
    logs = tmp_path_factory.mktemp("hostile") / "logs"
    for number, name in enumerate(each for each in HOSTILE_NAMES if "/" not in each and each not in {"..", "CON"}):
        events = [event(scalar("loss", float(number + step)), step=step) for step in range(3)]
        write_run(logs / name, *events, event(hparams_start({"name": name}), hparams_experiment(["name"], ["loss"])))
    tags = [scalar(name, float("nan")) for name in HOSTILE_NAMES]
    layers = [tensor(f"layer_errors/{name}", np.ones((2, 3), np.float32)) for name in HOSTILE_NAMES]
    settings = hparams_start({name: name for name in HOSTILE_NAMES})
    write_run(logs / "names", event(*tags, *layers, step=1), event(*tags, *layers, step=2), event(settings))
    damaged = write_run(logs / FOR_TERMINALS[0] / FOR_TERMINALS[1], event(scalar("loss", 1.0)))
    damaged.write_bytes(damaged.read_bytes() + b"garbage of some length")
    return logs


# Terminals

#: Run commands with standard output and standard error on one terminal, and say how each ended.
_RUN_COMMANDS = """
import json, sys
from tb2csv.cli import app
for arguments in json.loads(sys.argv[1]):
    try:
        app(arguments)
    except SystemExit as end:
        print(f"status {end.code} of {ascii(arguments[0])}")
"""


def on_a_terminal(commands: list[list[str]]) -> str:
    """Return what commands write to a terminal that passes everything on as it is."""
    import pty  # not everywhere
    import termios

    main, terminal = pty.openpty()
    settings = termios.tcgetattr(terminal)
    settings[1] &= ~termios.OPOST  # it would put a carriage return before each line feed
    termios.tcsetattr(terminal, termios.TCSANOW, settings)
    written: list[bytes] = []

    def read() -> None:
        while True:
            try:
                written.append(os.read(main, 1 << 16))
            except OSError:  # the last process has closed it
                return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        command = [sys.executable, "-c", _RUN_COMMANDS, json.dumps(commands)]
        subprocess.run(command, env=environment(), stdout=terminal, stderr=terminal, check=True)
    finally:
        os.close(terminal)
        reader.join()
        os.close(main)
    return b"".join(written).decode()


@linux_only
@pytest.mark.slow
def test_no_command_writes_a_name_to_the_terminal_as_it_is(logdir: Path, tmp_path: Path) -> None:
    logs, evil = str(logdir), FOR_TERMINALS[0] + FOR_TERMINALS[1]
    states = [str(tmp_path / f"{each}.npz") for each in ("first", "second")]
    for path, number in zip(states, (1.0, 2.0), strict=True):
        np.savez(path, **{name.replace("/", "_"): np.full(2, number) for name in FOR_TERMINALS})
    commands = [
        ["ls", logs],
        ["ls", logs, "--json"],
        ["check", logs],
        ["check", logs, "--strict"],
        ["convert", logs, str(tmp_path / "tables")],
        ["convert", logs, str(tmp_path / "strict"), "--strict"],
        ["convert", logs, str(tmp_path / "none"), "--run", evil],
        ["convert", logs, str(tmp_path / evil), "--format", evil],
        ["summary", logs],
        ["diagnose", logs],
        ["layer-errors", logs],
        ["reduce", logs, str(tmp_path / "reduced"), "--by", "*"],
        ["plot", logs, "-o", str(tmp_path / "plot.svg")],
        *([command, logs, "--format", name] for command in ("summary", "hparams", "diagnose") for name in TEXTS),
        ["hparams", logs, "--strict"],
        ["ls", str(tmp_path / evil)],
        # Command lines that are not understood
        [evil, logs],
        ["ls", logs, evil],
        ["ls", logs, f"--{evil}"],
        ["ls", logs, "--kind", evil],
        ["ls", logs, "--workers", evil],
        ["convert", logs, str(tmp_path / "tables"), "--layout", evil],
        ["summary", logs, "--format", evil],
        ["state", evil],
        ["state", "export", evil, evil, "-o", "x"],
        ["state", "export", states[0], "-o", str(tmp_path / "state.csv")],
        ["state", "diff", *states],
        ["state", "restore", str(tmp_path / "state.csv"), str(tmp_path / evil), "-o", str(tmp_path / "restored.npz")],
    ]
    printed = on_a_terminal(commands)
    assert printed.count("\nstatus ") == len(commands)
    assert "Traceback" not in printed
    assert "unexpected error" not in printed
    assert "\\x1b[31mred" in printed
    raw = {each for each in printed if unicodedata.category(each) in {"Cc", "Cf", "Cs"}} - {"\n", "\t"}
    assert raw == set()


@linux_only
@pytest.mark.slow
def test_a_traceback_does_not_write_names_to_the_terminal(tmp_path: Path) -> None:
    evil = tmp_path / FOR_TERMINALS[0]
    command = [sys.executable, "-m", "tb2csv", "ls", str(evil), "--debug"]
    ran = subprocess.run(command, env=environment(), capture_output=True, check=False)
    assert ran.returncode == 1
    assert b"Traceback" in ran.stderr
    assert b"\\x1b[31mred" in ran.stderr
    assert b"\x1b" not in ran.stderr


def test_text_that_is_not_for_a_terminal_is_as_in_the_log(capsys: pytest.CaptureFixture[str], logdir: Path) -> None:
    ran = run_here(capsys, "summary", logdir, "--run", "names", "--format", "csv")
    tags = {row["tag"] for row in csv.DictReader(io.StringIO(ran.stdout, newline=""))}
    assert tags >= set(HOSTILE_NAMES), set(HOSTILE_NAMES) - tags


# Spreadsheets


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _table(ran: Ran) -> str:
    assert ran.status in {0, DAMAGED}
    return ran.stdout


def _formulas(text: str) -> list[str]:
    """Return the cells that a spreadsheet would run."""
    cells = (cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row)
    return [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not _is_number(cell)]


@pytest.mark.parametrize("command", ["summary", "hparams", "diagnose", "layer-errors"])
def test_printed_tables_have_no_formula(command: str, capsys: pytest.CaptureFixture[str], logdir: Path) -> None:
    options = ["--run", "names", *(["--as", "weights=*"] if command == "diagnose" else [])]
    plain = _table(run_here(capsys, command, logdir, *options))
    assert _formulas(plain), "the test has something to find"
    escaped = _table(run_here(capsys, command, logdir, *options, "--escape-formulas"))
    assert _formulas(escaped) == []
    rows = [list(csv.reader(io.StringIO(text, newline=""))) for text in (plain, escaped)]
    assert [len(row) for row in rows[0]] == [len(row) for row in rows[1]]
    for before, after in zip(*map(itertools.chain.from_iterable, rows), strict=True):
        assert after in {before, f"'{before}"}


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("convert", ["OUT", "--layout", "tree"]),
        *slow(("convert", ["OUT", "--layout", layout]) for layout in ("wide", "long", "tags")),
        ("reduce", ["OUT", "--by", "*"]),
        ("layer-errors", ["-o", "OUT.csv"]),
    ],
)
def test_written_tables_have_no_formula(
    command: str, options: list[str], capsys: pytest.CaptureFixture[str], logdir: Path, tmp_path: Path
) -> None:
    arguments = [each.replace("OUT", str(tmp_path / "out")) for each in options]
    assert run_here(capsys, command, logdir, *arguments, "--escape-formulas", "--quiet").status == DAMAGED
    written = [path for path in tmp_path.rglob("*") if path.name.endswith(".csv")]
    assert written
    for path in written:
        assert _formulas(path.read_bytes().decode()) == [], path


# Markdown and LaTeX

TEXTS = ("csv", "json", "markdown", "latex")


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def names_table() -> pl.DataFrame:
    return pl.DataFrame({"tag": HOSTILE_NAMES, "points": range(len(HOSTILE_NAMES))})


def test_markdown_becomes_a_page_with_a_table_and_nothing_else() -> None:
    page = Page(markdown(tb2csv.table_text(names_table(), "markdown"), extensions=["tables"]))
    assert set(page.elements) <= {"table", "thead", "tbody", "tr", "th", "td", "br"}
    assert page.elements.count("tr") == len(HOSTILE_NAMES) + 1
    assert page.elements.count("td") == 2 * len(HOSTILE_NAMES)
    assert {name for name, _ in page.attributes} <= {"style"}


@pytest.mark.parametrize("name", FOR_PAGES)
def test_markdown_has_no_html(name: str) -> None:
    text = tb2csv.table_text(pl.DataFrame({name: [name]}), "markdown")
    assert "<" not in text.replace("<br>", "")
    assert not re.search(r"&(?!amp;|lt;|gt;)", text)


def test_latex_has_no_command_but_its_own() -> None:
    lines = tb2csv.table_text(names_table(), "latex").splitlines()
    rows = [line for line in lines if line.endswith("\\\\")]
    assert len(rows) == len(HOSTILE_NAMES) + 1
    assert len(lines) == len(rows) + 5
    for row in rows:
        body = row.removesuffix(" \\\\")
        assert len(re.findall(r"(?<!\\)&", body)) == 1
        assert set(re.findall(r"\\([a-z]+)", body)) <= {f"text{each}" for each in LATEX_CHARACTERS}
        assert not re.search(r"(?<!\\)[%#$_]", body)
        assert "^" not in body
        assert "~" not in body


LATEX_CHARACTERS = ("backslash", "asciitilde", "asciicircum", "less", "greater", "bar", "asciigrave")


# Pages and pictures


def pages(logdir: Path, folder: Path) -> Iterator[str]:
    """Yield all HTML that names can get into."""
    frames = tb2csv.open_logdir(logdir)
    yield frames._repr_html_()
    yield tb2csv.summary(logdir)._repr_html_()
    yield tb2csv.diagnose(logdir, families=["weights=*"])._repr_html_()
    yield tb2csv.hparams(logdir)._repr_html_()
    yield tb2csv.check(logdir)._repr_html_()
    yield tb2csv.convert(logdir, folder / "out")._repr_html_()


@linux_only
def test_pages_have_no_element_from_a_name(logdir: Path, tmp_path: Path) -> None:
    own = {"div", "style", "small", "table", "thead", "tbody", "tr", "th", "td", "p", "ul", "li"}
    for text in pages(logdir, tmp_path):
        page = Page(text)
        assert set(page.elements) <= own
        assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"src", "href"}]


@linux_only
@pytest.mark.slow
def test_a_plot_has_no_element_from_a_name(logdir: Path, tmp_path: Path) -> None:
    shown = tuple(each for each in FOR_PAGES if "/" not in each)
    harmless = [f"{number:02}" for number in range(len(shown))]
    elements = {}
    for names, folder in ((shown, "shown"), (harmless, "harmless")):
        for name in names:
            write_run(tmp_path / folder / name, *(event(scalar(name, float(step)), step=step) for step in range(3)))
        for ending in (".svg", ".html"):
            tb2csv.plot(tmp_path / folder, tmp_path / f"{folder}{ending}")
        root = ET.parse(tmp_path / f"{folder}.svg").getroot()
        page = Page((tmp_path / f"{folder}.html").read_text(encoding="utf-8"))
        elements[folder] = (
            {each.tag for each in root.iter()},
            {name for each in root.iter() for name in each.attrib},
            set(page.elements),
            {name for name, _ in page.attributes},
        )
    assert elements["shown"] == elements["harmless"]
