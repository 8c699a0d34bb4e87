"""Texts of the library name neither options nor commands of the command line; each face spells them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tb2csv.cli import COMMANDS
from tb2csv.messages import Function, advice, command_line_spelling, python_spelling
from tb2csv.tensorboard_plugin.option_titles import OPTION_TITLES, VALUE_TITLES, page_spelling

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[1] / "tb2csv"
WORDS = re.compile(rf"(?<![\w-])--[a-z]|\btb2csv (?:{'|'.join(COMMANDS)})\b")

#: The only texts with such words: pip's option, options of TensorBoard, commands that the Export tab copies, and
#: variables of style sheets.
EXCEPTIONS = {"messages.py", "installation.py", "analysis/plots/page_file.py"} | {
    f"tensorboard_plugin/{name}.py" for name in ("export_plan", "export_service", "loader", "own_hosts")
}


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield the texts in a module that are not docstrings."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_only_the_command_line_names_its_options_and_commands() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): words
        for path in PACKAGE.rglob("*.py")
        if "cli" not in path.parts
        and (words := [text for text in texts(ast.parse(path.read_text("utf-8"))) if WORDS.search(text)])
    }
    assert set(found) == EXCEPTIONS, found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('x = f"leave out --{1} or --layout"', True),
        ('raise E("tb2csv convert writes them")', True),
        ('def f():\n    """Read ``--layout``."""', False),
        ('x = "a -- b, and tb2csv converts it"', False),
    ],
)
def test_words_of_the_command_line_are_found(source: str, *, expected: bool) -> None:
    assert any(WORDS.search(text) for text in texts(ast.parse(source))) == expected


@pytest.mark.parametrize(
    ("name", "in_python", "on_the_command_line"),
    [
        ("convert", "tb2csv.convert", "tb2csv convert"),
        ("layer_errors", "tb2csv.layer_errors", "tb2csv layer-errors"),
        ("recorded_state", "tb2csv.recorded_state", "tb2csv state from-logs"),
    ],
)
def test_a_function_has_its_name_in_each_face(name: str, in_python: str, on_the_command_line: str) -> None:
    named = advice("use {}", Function(name))
    assert named.spelled(python_spelling) == f"use {in_python}"
    assert named.spelled(command_line_spelling) == f"use {on_the_command_line}"
    assert named.spelled(page_spelling) is None


def test_the_page_has_the_titles_that_messages_name() -> None:
    scripts = (PACKAGE / "tensorboard_plugin" / "static").glob("*.js")
    page = "".join(script.read_text("utf-8") for script in scripts)
    for title in [*OPTION_TITLES.values(), *VALUE_TITLES.values()]:
        assert f'"{title}"' in page
