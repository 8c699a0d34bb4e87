"""Every block of code on a page is run by a test; the language ``text`` marks a block that nothing runs."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from test_docs import PAGES, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: The blocks of each page and language: how many there are, and the test that runs them.
RUN_BY = {
    ("README.md", "console"): (1, "test_docs.py::test_the_commands_print_the_output_in"),
    ("README.md", "py"): (1, "training/test_pages.py::test_line_of_readme_records_training"),
    ("README.md", "python"): (1, "test_docs.py::test_the_python_example_prints_what_the_readme_says"),
    ("docs/agents.md", "json"): (1, "test_page_blocks.py::test_json_is_valid"),
    ("docs/analysis.md", "console"): (15, "test_docs.py::test_the_commands_print_the_output_in"),
    ("docs/analysis.md", "python"): (2, "test_analysis_docs.py::test_the_code_prints_the_output_below_it"),
    ("docs/cli.md", "console"): (4, "test_docs.py::test_the_commands_print_the_output_in"),
    ("docs/cookbook.md", "console"): (19, "test_docs.py::test_the_commands_print_the_output_in"),
    ("docs/any_framework.md", "python"): (
        1,
        "recorders/test_recorder.py::test_first_block_of_the_page_records_what_it_names",
    ),
    ("docs/coming_from.md", "console"): (1, "test_docs.py::test_the_commands_print_the_output_in"),
    ("docs/coming_from.md", "python"): (6, "test_coming_from.py::values_of"),
    ("docs/damage.md", "console"): (2, "test_docs.py::test_the_commands_print_the_output_in"),
    ("docs/diagnose.md", "console"): (2, "test_docs.py::test_the_commands_print_the_output_in"),
    ("docs/diagnose.md", "python"): (1, "analysis/test_diagnose.py::test_the_example_of_the_page_runs"),
    ("docs/first_conversion.md", "console"): (5, "test_docs.py::test_the_commands_print_the_output_in"),
    ("docs/follow.md", "python"): (1, "following/test_follow.py::test_the_page_prints_what_it_shows"),
    ("docs/from_training_to_csv.md", "py"): (6, "training/test_training_page_torch.py::ran"),
    ("docs/from_training_to_csv.md", "python"): (6, "training/test_training_page_keras.py::ran"),
    ("docs/from_training_to_csv.md", "sh"): (4, "training/test_training_page_keras.py::ran"),
    ("docs/model_state.md", "python"): (
        3,
        "training/test_pages.py::test_state_goes_to_another_model_as_model_state_page_says",
    ),
    ("docs/plugin-api.md", "json"): (1, "test_page_blocks.py::test_json_is_valid"),
    ("docs/predictions.md", "python"): (1, "training/test_torch_predictions.py::test_the_page_records_what_it_says"),
    ("docs/python.md", "python"): (4, "test_docs.py::test_the_python_of_its_page_runs"),
    ("docs/pytorch.md", "python"): (5, "training/test_pytorch_page.py::run_block"),
    ("docs/readers.md", "js"): (2, "readers/test_readers_programs.py::run_javascript"),
    ("docs/readers.md", "python"): (11, "readers/test_readers.py::test_calls_on_the_page_read_every_cell_back"),
    ("docs/readers.md", "r"): (2, "readers/test_readers_programs.py::test_r_reads_every_cell_back"),
    ("docs/readers.md", "sh"): (1, "readers/test_readers_programs.py::read_calc"),
    ("docs/readers.md", "sql"): (1, "readers/test_readers.py::test_the_query_on_the_page_has_the_run_of_each_row"),
    ("docs/recipes/tf_summary.md", "python"): (3, "training/test_tf_summary_page.py::ran"),
    ("docs/recipes/tf_summary.md", "sh"): (1, "training/test_tf_summary_page.py::ran"),
    ("docs/recorders.md", "python"): (4, "training/test_pages.py::test_every_python_block_has_a_test"),
    ("docs/recorders.md", "sh"): (
        1,
        "training/test_pages.py::test_first_block_of_recorders_page_records_what_its_command_converts",
    ),
    ("docs/rows.md", "console"): (1, "test_docs.py::test_the_commands_print_the_output_in"),
    ("docs/scale.md", "python"): (2, "test_cluster_recipes.py::run"),
    ("docs/sql.md", "console"): (1, "test_docs.py::test_the_commands_print_the_output_in"),
    ("docs/sql.md", "py"): (1, "test_page_blocks.py::test_duckdb_reads_frames_as_the_page_says"),
}

BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
BLOCKS = [
    (page.relative_to(ROOT).as_posix(), language, text)
    for page in PAGES
    for language, text in BLOCK.findall(page.read_text(encoding="utf-8"))
]


def counted_blocks(passed: Iterable[str]) -> str:
    """Return a sentence with the number of blocks whose tests passed in this session."""
    ran = {test.partition("[")[0].partition("tests/")[2] for test in passed}
    files = {test.partition("::")[0] for test in ran}
    counts = Counter[str]()
    for number, test in RUN_BY.values():
        path, _, name = test.partition("::")
        # A name that is not that of a test is a function that the tests of the file call.
        is_run = test in ran if name.startswith("test_") else path in files
        counts["run" if is_run else "elsewhere" if path.startswith(("training/", "readers/")) else "not run"] += number
    return (
        f"{counts.total()} blocks of code in README and docs: {counts['run']} ran here, "
        f"{counts['not run']} did not run, {counts['elsewhere']} are for tests/training and tests/readers"
    )


def test_blocks_count_as_run_if_their_test_passed() -> None:
    everything = {f"tests/{test}[x]" for _, test in RUN_BY.values()}
    total = sum(number for number, _ in RUN_BY.values())
    assert counted_blocks(everything).startswith(
        f"{total} blocks of code in README and docs: {total} ran here, 0 did not"
    )
    without = {test for test in everything if "test_docs.py::test_the_commands_print" not in test}
    missing = sum(number for number, test in RUN_BY.values() if "test_the_commands_print" in test)
    assert f" {missing} did not run, 0 are" in counted_blocks(without)


def test_every_block_is_run_or_is_text() -> None:
    found = Counter((page, language) for page, language, _ in BLOCKS if language != "text")
    assert found == {block: number for block, (number, _) in RUN_BY.items()}


@pytest.mark.parametrize("test", sorted({test for _, test in RUN_BY.values()}))
def test_test_of_a_block_exists(test: str) -> None:
    path, _, name = test.partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    assert name in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("text", [text for _, language, text in BLOCKS if language == "json"])
def test_json_is_valid(text: str) -> None:
    assert isinstance(json.loads(text), dict)


@pytest.mark.slow
def test_duckdb_reads_frames_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "sample_logs", tmp_path / "sample_logs")
    monkeypatch.chdir(tmp_path)
    (code,) = [text for page, language, text in BLOCKS if (page, language) == ("docs/sql.md", "py")]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert re.search(r"tf2 +│ +59", done.stdout)
