"""docs/analysis.md: its code prints the output on the page, and its pictures are what its commands draw.

Its commands are run by test_docs.py, with those of all other pages.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
from pictures import SLIGHT, difference
from PIL import Image
from test_docs import CONSOLE, ROOT, SAMPLE_LOGS, run

from tb2csv.analysis.plots.themes import LIGHT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "analysis.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```\n\nIt prints:\n\n```text\n(.*?)^```\n", TEXT, re.DOTALL | re.MULTILINE)
PICTURES = re.findall(r"!\[.+?\]\(images/(.+?)\)", TEXT)
COMMANDS = [line for block in CONSOLE.findall(TEXT) for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE)]
#: Warnings are errors, except that matplotlib 3.8 and 3.9 call names that pyparsing has deprecated since.
STRICT = "-W error " + " ".join(
    f"-W ignore::DeprecationWarning:matplotlib.{module}" for module in ("_fontconfig_pattern", "_mathtext")
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(SAMPLE_LOGS, tmp_path / "sample_logs")
    return tmp_path


@pytest.mark.parametrize(("code", "printed"), EXAMPLES)
@pytest.mark.slow
def test_the_code_prints_the_output_below_it(code: str, printed: str, checkout: Path) -> None:
    (checkout / "example.py").write_text(code, encoding="utf-8")
    assert run(f"python {STRICT} example.py", checkout) == printed


def test_every_block_is_run() -> None:
    assert len(EXAMPLES) == TEXT.count("```python")
    assert len(EXAMPLES) + len(CONSOLE.findall(TEXT)) == len(re.findall(r"^```(?!text)\w", TEXT, re.MULTILINE))


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.slow
def test_pictures_equal_those_that_their_commands_draw(name: str, checkout: Path) -> None:
    """If it is not: run the commands of the page, look at the picture, and copy it to docs/images."""
    (command,) = [command for command in COMMANDS if command.endswith(f" -o {name}")]
    run(command, checkout)
    with Image.open(checkout / name) as drawn, Image.open(PAGE.parent / "images" / name) as shown:
        assert drawn.size == shown.size
        assert difference(drawn, shown, LIGHT.background) < SLIGHT


def test_every_picture_is_shown() -> None:
    pages = "".join(page.read_text("utf-8") for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
    unseen = [path.name for path in (PAGE.parent / "images").iterdir() if f"images/{path.name})" not in pages]
    assert not unseen
    assert PICTURES
