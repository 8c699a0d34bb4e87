"""What the documents say is so: commands, options, kinds, columns, examples, links."""

from __future__ import annotations

import ast
import csv
import functools
import inspect
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from commands import run_here, run_in
from event_files import event, string_tensor, tensor, write_run

import tb2csv
from tb2csv.decoders import DECODERS, FALLBACKS
from tb2csv.decoders.tensors import TENSOR_STYLES
from tb2csv.selection import KINDS, SECONDARY_KINDS

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_LOGS = ROOT / "sample_logs"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), SAMPLE_LOGS / "README.md"])
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
#: A command of which a shell only removes quotation marks.
PLAIN_COMMAND = re.compile(r"""tb2csv(?: +(?:[\w./:=,-]+|'[^']*'|"[^"$`\\]*"))+""")
#: A numbered column represents all of its sort.
NUMBERED = re.compile(r"(?<=[a-z])(_?\d+)+$")

cli_reference = runpy.run_path(str(ROOT / "docs" / "make_cli_reference.py"))
python_reference = runpy.run_path(str(ROOT / "docs" / "make_python_reference.py"))


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def run(command: str, folder: Path, width: int = 80) -> str:
    """Return what a shell command prints, with the tb2csv of this environment.

    A plain call of tb2csv runs in this process, which has imported all of it.
    """
    variables = {"COLUMNS": str(width), "TERMINAL_WIDTH": str(width), "NO_COLOR": "1"}
    if PLAIN_COMMAND.fullmatch(command):
        return run_in(folder, *shlex.split(command)[1:], **variables)[1]
    scripts = sysconfig.get_path("scripts")
    path = os.pathsep.join([scripts, str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.stdout.decode()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give a folder that has the sample logs, as a fresh checkout does."""
    shutil.copytree(SAMPLE_LOGS, tmp_path / "sample_logs")
    return tmp_path


# The command line


def test_the_reference_of_the_command_line_is_current() -> None:
    assert read("docs/cli.md") == cli_reference["page"](), "run: python docs/make_cli_reference.py"


@pytest.mark.parametrize("command", cli_reference["commands"]())
def test_what_help_says_is_in_the_reference(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every option and sentence of ``--help``, whatever its layout."""
    function = cli_reference["commands"]()[command]
    monkeypatch.setenv("COLUMNS", "400")
    shown = plain(run_here(capsys, *command.split(), "--help").stdout)
    section = plain(read("docs/cli.md").split(f"### tb2csv {command}\n")[1].split("\n### ")[0])
    known = cli_reference["parameters"](function)
    assert set(re.findall(r" (--[a-z-]+)", shown)) == set(re.findall(r" (--[a-z-]+)", section))
    for text in [*(each.help for each in known), *inspect.cleandoc(function.__doc__).split("\n\n")]:
        assert plain(text) in shown
        assert plain(text) in section


def test_every_command_is_in_the_help_and_in_the_reference(tmp_path: Path) -> None:
    shown = run("tb2csv --help", tmp_path, width=400)
    for command in cli_reference["commands"]():
        assert re.search(rf"^\W*{command.split()[0]} ", shown, re.MULTILINE)  # of a group's commands, the group
        assert re.search(rf"^\| `tb2csv {command} [A-Z]", read("docs/cli.md"), re.MULTILINE)


def test_the_fields_of_ls_are_in_the_reference(tmp_path: Path) -> None:
    listed = json.loads(run(f"tb2csv ls '{SAMPLE_LOGS}' --run tf2 --json", tmp_path))
    assert [field for field in listed[0] if f"`{field}`" not in read("docs/cli.md")] == []


def plain(text: str) -> str:
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


# Kinds and columns


def test_every_decoder_makes_a_kind_that_is_listed() -> None:
    assert {decoder.kind for decoder in (*DECODERS.values(), *FALLBACKS)} <= set(KINDS)


@functools.cache
def documented() -> dict[str, list[str]]:
    """Return the columns that the table of kinds gives, by kind."""
    rows = [line.split("|")[1:-1] for line in read("docs/tables.md").splitlines() if line.startswith("| `")]
    kinds = {cells[0].strip(" `"): cells[-1] for cells in rows if len(cells) == 3}
    return {kind: re.findall(r"`([^`]+)`", kinds[kind]) for kind in KINDS if kind in kinds}


def test_every_kind_is_in_the_page_of_tables() -> None:
    assert list(documented()) == list(KINDS)


def test_the_page_of_tables_names_the_kinds_that_cannot_be_selected() -> None:
    (sentence,) = re.findall(r"^`--kind` selects any of these except (.*?),", read("docs/tables.md"), re.MULTILINE)
    assert re.findall(r"`(\w+)`", sentence) == list(SECONDARY_KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_column_is_in_the_page_of_tables(kind: str, sample_tables: Path, content_tables: Path) -> None:
    headers = headers_by_kind(content_tables if kind in {"blobs", "plugin_contents"} else sample_tables)[kind]
    known = documented()[kind]
    assert headers
    for header in headers:
        if kind == "hparams":  # what follows are the log's own names
            assert header[: len(known)] == known
        else:
            columns = list(dict.fromkeys(NUMBERED.sub("0", column) for column in header))
            assert [column for column in columns if column not in known] == []
            # In the same order, though not every table has all of them.
            assert columns == sorted(columns, key=known.index)


@pytest.mark.parametrize("style", TENSOR_STYLES)
def test_every_style_of_tensors_is_documented(style: str, tmp_path: Path) -> None:
    rows = [line for line in read("docs/tables.md").splitlines() if line.startswith(f"| `{style}` |")]
    assert len(rows) == 1
    if style == "elements":  # the default, as above
        return
    known = {NUMBERED.sub("0", name) for name in re.findall(r"`([^`]+)`", rows[0])}
    tb2csv.convert(SAMPLE_LOGS, tmp_path / "out", tensors=style, selection=tb2csv.Selection(kinds=("tensors",)))
    for header in headers_by_kind(tmp_path / "out")["tensors"]:
        assert {NUMBERED.sub("0", column) for column in header} <= known


def test_the_columns_of_undecodable_values_are_documented(tmp_path: Path) -> None:
    from event_files import event, text, write_run

    write_run(tmp_path / "log", event(text("notes", [b"\xff"])))
    tb2csv.convert(tmp_path / "log", tmp_path / "out")
    (header,) = headers_by_kind(tmp_path / "out")["blobs"]
    assert ", ".join(f"`{column}`" for column in header) in read("docs/tables.md")
    assert (tmp_path / "out" / "blobs" / "notes.undecodable.csv").exists()


def test_the_columns_of_the_index_are_documented(sample_tables: Path) -> None:
    section = read("docs/tables.md").split("## index.csv")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == header_of(sample_tables / "index.csv")


def test_the_fields_of_the_report_are_documented(sample_tables: Path) -> None:
    account = json.loads((sample_tables / "datapackage.json").read_text(encoding="utf-8"))["tb2csv"]
    section = read("docs/tables.md").split("## datapackage.json")[1]
    assert [name for name in field_names(account) if f"`{name}`" not in section] == []


def field_names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for each in value.values() for name in field_names(each)}
    return {name for each in value for name in field_names(each)} if isinstance(value, list) else set()


@pytest.fixture(scope="module")
def sample_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("docs") / "tables"
    tb2csv.convert(SAMPLE_LOGS, out)
    return out


@pytest.fixture(scope="module")
def content_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of a plugin that no sample log has: of strings, and of tensors with content that changes."""
    folder = tmp_path_factory.mktemp("contents")
    values = [tensor("t", [1], "flight", content=content) for content in (b"a", b"b")]
    strings = [tensor("scalar", string_tensor([b"x"], ()), "flight"), tensor("vector", [b"x"], "flight")]
    write_run(folder / "logs", event(*values, *strings))
    tb2csv.convert(folder / "logs", folder / "out")
    return folder / "out"


def headers_by_kind(out: Path) -> dict[str, list[list[str]]]:
    headers: dict[str, list[list[str]]] = {kind: [] for kind in KINDS}
    with (out / "index.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            headers[row["kind"]].append(header_of(out / row["path"]))
    return headers


def header_of(table: Path) -> list[str]:
    with table.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


# Examples


@pytest.mark.parametrize("page", [page.relative_to(ROOT).as_posix() for page in PAGES if CONSOLE.search(read(page))])
@pytest.mark.slow
def test_the_commands_print_the_output_in(page: str, checkout: Path) -> None:
    """Each ``console`` block: lines after ``$`` are run in turn, what follows is what they print.

    Those with a bucket are run in tests/remote.
    """
    for block in CONSOLE.findall(read(page)):
        if "s3://" not in block:
            assert printed_by(block, checkout) == block


def printed_by(block: str, folder: Path) -> str:
    """Return the commands of a ``console`` block, each with what it prints."""
    commands = re.findall(r"^\$ (.*)$", block, re.MULTILINE)
    return "".join(f"$ {command}\n{run(command, folder)}" for command in commands)


@pytest.mark.slow
def test_the_python_example_prints_what_the_readme_says(checkout: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", read("README.md"), re.DOTALL | re.MULTILINE)
    printed = re.search(r"^It prints:\n\n```text\n(.*?)^```$", read("README.md"), re.DOTALL | re.MULTILINE)
    assert printed
    (checkout / "example.py").write_text(code, encoding="utf-8")
    assert run("python example.py", checkout) == printed[1]


def test_the_package_imports_nothing_until_it_is_used() -> None:
    """Not even what TensorBoard would have to wait for; the packages for training are attributes all the same."""
    code = (
        "import sys, tb2csv; print(sorted({'numpy', 'polars', 'tensorflow', 'keras', 'torch'} & set(sys.modules)));"
        "print(tb2csv.model_state.ModelState.__name__, hasattr(tb2csv, 'recorder'));"
        "print(sorted({'tensorflow', 'keras', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines() == ["[]", "ModelState False", "[]"]


@pytest.mark.slow
def test_the_python_of_its_page_runs(checkout: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", read("docs/python.md"), re.DOTALL | re.MULTILINE)
    assert len(blocks) > 2
    (checkout / "page.py").write_text("\n".join(blocks), encoding="utf-8")
    assert run("python -W error page.py", checkout) == ""


def test_python_reference_is_current() -> None:
    assert read("docs/python.md") == python_reference["page"](), (
        "The public names or their signatures have changed. Run `make docs` and read the diff of docs/python.md. "
        "A removed or renamed name or argument breaks programs: keep the earlier one with a DeprecationWarning, "
        "as _RENAMED in tb2csv/__init__.py does, or write into CHANGELOG.md, under Changed, what replaces it."
    )


@pytest.mark.parametrize("package", [tb2csv, tb2csv.model_state], ids=lambda package: package.__name__)
def test_python_reference_has_names_and_arguments_of_a_package(package: Any) -> None:
    """The reference is made from parsed sources; imported objects have the same names, arguments and docstrings."""
    page = read("docs/python.md")
    for name in package.__all__:
        section = page.split(f"\n### {package.__name__}.{name}\n")[1].split("\n#")[0]
        value = getattr(package, name)
        if inspect.isfunction(value):
            (shown,) = ast.parse(section.split("```")[1].removeprefix("text\n").rstrip() + ": ...").body
            assert isinstance(shown, ast.FunctionDef)
            arguments = [*shown.args.posonlyargs, *shown.args.args, *shown.args.kwonlyargs]
            assert [each.arg for each in arguments] == list(inspect.signature(value).parameters)
        if inspect.isfunction(value) or inspect.isclass(value):
            first = inspect.cleandoc(value.__doc__ or "").split("\n\n")[0]
            assert " ".join(first.replace("``", "`").split()) in " ".join(section.split())


def test_python_reference_has_the_recorders() -> None:
    """The names as text, because the package cannot be imported without TensorFlow."""
    package = read("tb2csv/recorders/__init__.py").split("__all__ = [")[1].split("]")[0]
    names = re.findall(r'"(\w+)"', package)
    assert "TrainingRecorder" in names
    assert re.findall(r"^### tb2csv\.recorders\.(\w+)$", read("docs/python.md"), re.MULTILINE) == sorted(
        names, key=lambda name: (name[0].isupper(), name.endswith(("Error", "Warning")), name.lower())
    )


def test_make_has_the_targets_that_the_pages_name() -> None:
    targets = re.findall(r"^([a-z]+):.*## \S", read("Makefile"), re.MULTILINE)
    named = {
        name for page in PAGES for name in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert named <= set(targets)
    assert len(targets) <= 12


# Links


@pytest.mark.parametrize("page", [page.relative_to(ROOT).as_posix() for page in PAGES])
def test_links_point_to_existing_targets(page: str) -> None:
    folder = (ROOT / page).parent
    links = [link for link in re.findall(r"\]\(([^)]+)\)", read(page)) if "://" not in link]
    for link in links:
        path, _, anchor = link.partition("#")
        target = (folder / path) if path else ROOT / page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_every_decision_is_linked_and_numbered() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    assert [record.name for record in records if f"({record.name})" not in read("docs/decisions/README.md")] == []


def test_every_module_has_its_layer_in_the_architecture() -> None:
    contract = re.search(r"^layers = \[\n(.*?)^\]", read("pyproject.toml"), re.DOTALL | re.MULTILINE)
    assert contract
    layers = [re.findall(r"\w+", line) for line in contract[1].splitlines()]
    documented_layers: list[list[str]] = []
    row = r"^\| +(\d*) *\| (`\w+/?`(?:, `\w+/?`)*) \|"
    for number, modules in re.findall(row, read("ARCHITECTURE.md"), re.MULTILINE):
        if number:
            documented_layers.append([])
        documented_layers[-1] += re.findall(r"\w+", modules)
    assert [sorted(layer) for layer in documented_layers] == [sorted(layer) for layer in layers]
