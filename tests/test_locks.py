"""The locks of the packages for development: complete, with hashes, and without the place that they come from."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomllib")

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

#: The extras of each lock, as in the Makefile.
LOCKS = {
    "test": ["test", "test-remote", "test-dask"],
    "dev": ["dev"],
    "readers": ["test", "readers"],
    "release": ["release"],
    "training": ["test", "test-training", "tensorflow", "torch", "sklearn"],
}
#: Installed by the Makefile itself.
NOT_LOCKED = {"torch"}


def locked(name: str) -> dict[str, list[Requirement]]:
    """Return the requirements of a lock by the names of packages; each has hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    found: dict[str, list[Requirement]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if not line.startswith("#"):
            requirement, *hashes = re.split(r"\s+--hash=", line.strip())
            assert hashes, line
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), line
            parsed = Requirement(requirement)
            found.setdefault(canonicalize_name(parsed.name), []).append(parsed)
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_what_pyproject_asks_for(name: str) -> None:
    """Run ``make lock`` if it has not."""
    found = locked(name)
    wanted = [*PROJECT["dependencies"]]
    for extra in LOCKS[name]:
        wanted += PROJECT["optional-dependencies"][extra]
    wanted += (ROOT / "requirements/build.in").read_text("utf-8").splitlines()[1:]
    for requirement in map(Requirement, wanted):
        package = canonicalize_name(requirement.name)
        if package in NOT_LOCKED:
            assert package not in found
            continue
        assert package in found, requirement
        for each in found[package]:
            (pin,) = each.specifier
            assert pin.operator == "=="
            assert requirement.specifier.contains(pin.version, prereleases=True), each


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_place(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    assert not re.search(r"://|--(index|extra-index|find-links)|@ ", text)


def test_the_linters_share_the_versions_of_the_tests() -> None:
    test, dev = locked("test"), locked("dev")
    for name in test.keys() & dev.keys():
        # A linter may need a package on more systems than the tests do.
        assert {str(each.specifier) for each in dev[name]} == {str(each.specifier) for each in test[name]}, name


def test_the_makefile_locks_the_extras_that_are_tested_here() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
    commands = re.findall(r"^\t\$\(COMPILE\)(.*)--output-file requirements/(\w+)\.txt", makefile, re.MULTILINE)
    assert {name: re.findall(r"--extra (\S+)", command) for command, name in commands} == LOCKS
