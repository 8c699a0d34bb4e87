"""The files of a release, and what the texts say about installing tb2csv."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import tb2csv

ROOT = Path(__file__).resolve().parent.parent
NAMES = [
    "tb2csv-{}.tar.gz",
    "tb2csv-{}-py3-none-any.whl",
    "tb2csv-{}-cp310-cp310-manylinux_2_28_x86_64.whl",
    "tb2csv-{}-cp311-abi3-manylinux_2_28_x86_64.whl",
    "tb2csv-{}-cp311-abi3-macosx_11_0_arm64.whl",
    "tb2csv-{}-cp311-abi3-win_amd64.whl",
]


def release_check(folder: Path, tag: str, names: list[str]) -> list[str]:
    """Return the sentences of ``release_check.py`` about files of these names."""
    for name in names:
        (folder / name).touch()
    command = [sys.executable, str(ROOT / ".ci/release_check.py"), tag, str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode == 0) == (not ran.stdout.strip()), ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with 3.11")
def test_a_release_needs_all_its_files_and_one_version(tmp_path: Path) -> None:
    version = tb2csv.__version__
    (tmp_path / "all").mkdir()
    complete = release_check(tmp_path / "all", f"v{version}", [name.format(version) for name in NAMES])
    assert not [line for line in complete if "file for" in line or "tag" in line]
    (tmp_path / "few").mkdir()
    few = release_check(tmp_path / "few", "v9.9", [NAMES[0].format(version), NAMES[3].format("9.9")])
    assert sum("There is no file for" in line for line in few) == 5
    assert any("The tag is v9.9" in line for line in few)
    assert any("cp311-abi3" in line and "is not of version" in line for line in few)


def test_the_package_promises_the_systems_and_versions_that_are_tested() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    workflow = (ROOT / ".github/workflows/test.yml").read_text("utf-8")
    matrix = dict(re.findall(r"^        (system|python): \[(.*)\]$", workflow, re.MULTILINE))
    tested = re.findall(r"3\.\d+", matrix["python"])
    assert re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project) == tested
    assert f'requires-python = ">={tested[0]}"' in project
    systems = {"Linux": "ubuntu", "MacOS": "macos", "Windows": "windows"}
    promised = re.findall(r'"Operating System :: .*?(\w+)"', project)
    assert {systems[each] for each in promised} == set(re.findall(r"([a-z]+)-\d", matrix["system"]))


def test_texts_install_from_here_until_there_is_a_package_in_an_index() -> None:
    """Remove this test with the first release; docs/releasing.md says so."""
    installs = re.compile(r"pip3?\s+install(?:\s+-\S+)*\s+[\"']?tb2csv")  # it may go on in the next line
    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tb2csv/**/*.py"), *ROOT.glob("examples/*")]
    found = [
        f"{path.relative_to(ROOT)}: {each[0]}"
        for path in texts
        if path.is_file() and path.name not in {"releasing.md", "CHANGELOG.md"}
        for each in installs.finditer(path.read_text("utf-8"))
    ]
    assert not found


def test_the_page_names_the_extras_of_the_image() -> None:
    (installed,) = re.findall(r"'\.\[(.+)\]'", (ROOT / "Dockerfile").read_text("utf-8"))
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    (named,) = re.findall(r"with the extras (.+?)\.\s", page, re.DOTALL)
    assert re.findall(r"`(\w+)`", named) == installed.split(",")
