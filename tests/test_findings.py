"""The scripts in findings/ keep the rules of findings/README.md; they need a network and do not run here."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

FINDINGS = Path(__file__).parent.parent / "findings"
SCRIPTS = sorted(FINDINGS.glob("*.sh"))


def test_the_folder_has_only_findings() -> None:
    assert SCRIPTS
    assert sorted(FINDINGS.iterdir()) == sorted([*SCRIPTS, FINDINGS / "README.md"])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_finding_is_a_script_of_its_own(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", script], check=True)
    assert "set -eu\n" in text
    assert "work=$(mktemp -d)" in text
    assert """trap 'rm -rf -- "${work:?}"'""" in text
    assert text.startswith("#!/usr/bin/env bash\n# ")
    assert "import tb2csv" not in text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_finding_pins_what_it_installs(script: Path) -> None:
    for line in re.findall(r"^.*\b(?:pip|npm)\"? install (.*)$", script.read_text(encoding="utf-8"), re.MULTILINE):
        packages = [word.strip("'\"") for word in line.split() if not word.startswith(("-", "$", "|", ">", "\\"))]
        unpinned = [word for word in packages if not re.search(r"==|@\d|<\d", word)]
        assert not unpinned, line
