"""The calls in docs/readers.md that are R, JavaScript or shell read every cell back, run as they are there.

Each program writes what it read as a line for each column: the name in hex, and a word for each cell. Floats are their
bits, texts the hex of their UTF-8, so that nothing on the way can round or quote.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import pytest
from readers_page import NUMBERS, blocks, calls, check_numbers, check_texts, stored, write_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: What the programs of JavaScript find their packages in: make test-readers puts it into the environment.
NODE_MODULES: Final = Path(sys.prefix) / "node_modules"

WRITE_IN_R: Final = """
hex <- function(bytes) paste(as.character(bytes), collapse = "")
words_of <- function(cells) {
  is_missing <- is.na(cells)
  if (inherits(cells, "integer64")) words <- paste0("i", as.character(cells))
  else if (is.logical(cells)) words <- paste0("b", as.integer(cells))
  else if (is.character(cells)) words <- paste0("s", vapply(enc2utf8(cells), function(cell) hex(charToRaw(cell)), ""))
  else {
    bytes <- matrix(as.character(writeBin(cells, raw(), endian = "big")), nrow = 8)
    words <- paste0("d", apply(bytes, 2, hex))
    is_missing <- is_missing & !is.nan(cells)
  }
  words[is_missing] <- "-"
  paste(words, collapse = " ")
}
for (path in c("scalars.csv", "text/notes.csv")) {
  columns <- READ(file.path("tables", path), types[[path]])
  names <- vapply(names(columns), function(name) hex(charToRaw(enc2utf8(name))), "")
  writeLines(c(paste(names, vapply(columns, words_of, "")), ""))
}
"""

WRITE_IN_JAVASCRIPT: Final = """
const hex = (text) => Buffer.from(text, "utf8").toString("hex");
function wordOf(cell) {
  if (cell === null || cell === undefined) return "-";
  if (typeof cell === "boolean") return cell ? "b1" : "b0";
  if (typeof cell === "bigint") return `i${cell}`;
  if (typeof cell === "string") return `s${hex(cell)}`;
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(cell);
  return `d${bytes.toString("hex")}`;
}
for (const path of ["scalars", "text/notes"]) {
  const columns = await READ(`tables/${path}.FORMAT`, TYPES);
  for (const [name, cells] of columns) console.log(hex(name), cells.map(wordOf).join(" "));
  console.log();
}
"""


def cell_of(word: str) -> Any:
    """Return the cell that a program wrote."""
    kind, content = word[0], word[1:]
    if kind == "-":
        return None
    if kind == "d":
        return struct.unpack(">d", bytes.fromhex(content))[0]
    return {"i": int, "b": lambda text: text == "1", "s": lambda text: bytes.fromhex(text).decode()}[kind](content)


def tables_of(output: str) -> list[dict[str, list[Any]]]:
    """Return the tables that a program wrote, scalars and texts."""
    tables: list[dict[str, list[Any]]] = [{}]
    for line in output.splitlines():
        if line:
            name, *words = line.split(" ")
            tables[-1][bytes.fromhex(name).decode()] = [cell_of(word) for word in words]
        else:
            tables.append({})
    return [table for table in tables if table]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tables in each format that the programs read."""
    folder = tmp_path_factory.mktemp("programs")
    write_tables(folder, {each: f"{each}/tables" for each in ("csv", "parquet")})
    return folder


def run(*command: str | Path, folder: Path) -> str:
    """Run a program in a folder, and return what it printed."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def numbers_for_text(columns: Mapping[str, list[Any]], *names: str) -> dict[str, list[Any]]:
    """Return columns with integers for those that a program keeps as text."""
    return {
        name: [int(cell) if isinstance(cell, str) and name in names else cell for cell in cells]
        for name, cells in columns.items()
    }


def needs_r(*packages: str) -> None:
    """Skip the test unless R can load its packages, which a program on the path does not prove."""
    if shutil.which("Rscript") is None:
        pytest.skip("R is missing: make test-readers installs it if it may")
    for package in packages:
        if subprocess.run(
            ["Rscript", "-e", f"loadNamespace('{package}')"], capture_output=True, check=False
        ).returncode:
            pytest.skip(f"R's package {package} is missing: make test-readers installs it if it may")


@pytest.mark.parametrize(("name", "more"), [("read_r", []), ("read_data_table", ["data.table"])])
@pytest.mark.slow
def test_r_reads_every_cell_back(name: str, more: list[str], folder: Path, tmp_path: Path) -> None:
    needs_r("bit64", "jsonlite", *more)
    script = tmp_path / "read.R"
    script.write_text("\n".join([*blocks("r"), WRITE_IN_R.replace("READ", name)]), "utf-8")
    numbers, texts = tables_of(run("Rscript", "--vanilla", script, folder=folder / "csv"))
    # To bit64, -2**63 is NA.
    check_numbers(numbers_for_text(numbers, "uint64"), least_int=None)
    check_texts(texts)


def run_javascript(
    name: str, table_format: str, types: str, folder: Path, tmp_path: Path
) -> list[dict[str, list[Any]]]:
    (block,) = (block for block in blocks("js") if f"function {name}(" in block)
    if shutil.which("node") is None or not NODE_MODULES.is_dir():
        pytest.skip("Node.js or its packages are missing: make test-readers installs the packages")
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    script = tmp_path / "read.mjs"
    write = WRITE_IN_JAVASCRIPT.replace("READ", name).replace("FORMAT", table_format).replace("TYPES", types)
    script.write_text(block + write, "utf-8")
    return tables_of(run("node", script, folder=folder / table_format))


@pytest.mark.slow
def test_d3_reads_every_cell_back(folder: Path, tmp_path: Path) -> None:
    numbers, texts = run_javascript("readD3", "csv", "types.get(`${path}.csv`)", folder, tmp_path)
    check_numbers(numbers)
    check_texts(texts)


def test_hyparquet_reads_every_cell_back(folder: Path, tmp_path: Path) -> None:
    numbers, texts = run_javascript("readHyparquet", "parquet", "undefined", folder, tmp_path)
    check_numbers(numbers)
    check_texts(texts)


def rows_of_spreadsheet(path: Path) -> list[list[str]]:
    """Return the texts of the first sheet of an OpenDocument file, whose format is that of ISO/IEC 26300."""
    namespace = "{{urn:oasis:names:tc:opendocument:xmlns:{}:1.0}}"
    office, table, text = map(namespace.format, ("office", "table", "text"))

    def words(element: ET.Element) -> str:
        blanks = " " * int(element.get(f"{text}c", "1")) if element.tag == f"{text}s" else ""
        inside = (words(child) + (child.tail or "") for child in element)
        return blanks + (element.text or "") + "".join(inside)

    rows = []
    with zipfile.ZipFile(path) as archive:
        root = ET.fromstring(archive.read("content.xml"))
    for row in root.iter(f"{table}table-row"):
        cells: list[str] = []
        for cell in row.iter(f"{table}table-cell"):
            content = "\n".join(words(part) for part in cell.iter(f"{text}p"))
            assert not content or cell.get(f"{office}value-type") == "string"
            cells += [content] * int(cell.get(f"{table}number-columns-repeated", "1"))
        rows += [cells] * int(row.get(f"{table}number-rows-repeated", "1"))
    return rows


@pytest.fixture(scope="module")
def read_calc(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], list[list[str]]]:
    """The call on the page: it returns the cells of a table, once LibreOffice has converted it."""
    if shutil.which("soffice") is None:
        pytest.skip("LibreOffice is missing: make test-readers installs it if it may")
    place = tmp_path_factory.mktemp("calc")
    (block,) = blocks("sh")
    # A profile of its own, because another LibreOffice may run.
    home = f"-env:UserInstallation={(place / 'profile').as_uri()}"
    script = place / "read.sh"
    script.write_text(f'soffice() {{ command soffice "{home}" "$@"; }}\n{block}\nread_calc "$1" "$2"\n', "utf-8")
    probe = place / "probe.csv"
    probe.write_text("a,b\n1,2\n")
    subprocess.run(["sh", script, probe, place], capture_output=True, check=False)
    if not probe.with_suffix(".ods").exists():
        pytest.skip("LibreOffice has no Calc: make test-readers installs it if it may")

    def read(path: Path) -> list[list[str]]:
        run("sh", script, path, place, folder=place)
        return rows_of_spreadsheet((place / path.name).with_suffix(".ods"))

    return read


@pytest.mark.slow
def test_calc_keeps_every_cell_as_text(folder: Path, read_calc: Callable[[Path], list[list[str]]]) -> None:
    found = []
    for path in ("scalars.csv", "text/notes.csv"):
        header, *rows = read_calc(folder / "csv" / "tables" / path)
        names = [name for name in header if name]
        filled = [row for row in rows if any(row)]  # a sheet ends with rows that are empty
        found.append({name: [row[place] for row in filled] for place, name in enumerate(names)})
    numbers, texts = found
    kinds: dict[str, Callable[[str], Any]] = {"int64": int, "uint64": int, "bool": lambda cell: cell == "true"}
    dtypes = {"step": "int64", **{tag: dtype for tag, (dtype, _) in NUMBERS.items()}}
    read = {
        name: [kinds.get(dtypes.get(name, ""), float)(cell) if cell else None for cell in cells]
        if name != "time_utc"
        else cells
        for name, cells in numbers.items()
    }
    for tag, dtype in dtypes.items():
        read[tag] = [stored(cell, dtype) for cell in read[tag]]  # the text of a float32 is the shortest
    check_numbers(read)
    texts["wall_time"] = [float(cell) for cell in texts["wall_time"]]
    texts["step"] = [int(cell) for cell in texts["step"]]
    check_texts(texts)


def test_every_call_in_these_languages_is_run() -> None:
    assert calls("r") == ["read_r", "read_data_table"]
    assert calls("js") == ["readD3", "readHyparquet"]
    assert calls("sh") == ["read_calc"]
