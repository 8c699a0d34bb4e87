"""The page's files: small modules with types, no HTML from names, nothing from elsewhere, nothing unused."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

STATIC = Path(str(resources.files("tb2csv.tensorboard_plugin"))) / "static"
MODULES = sorted(STATIC.glob("*.js"))
STYLES = sorted(STATIC.glob("*.css"))


def test_only_modules_and_styles_are_served() -> None:
    assert sorted(STATIC.iterdir()) == sorted(MODULES + STYLES)
    assert STATIC / "index.js" in MODULES


@pytest.mark.parametrize("path", MODULES + STYLES, ids=lambda path: path.name)
def test_files_are_small(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) <= 400
    assert max(map(len, lines)) <= (120 if path.suffix == ".js" else 250)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_module_parses_html(path: Path) -> None:
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|\beval\b"
        r"|new Function|srcdoc|setHTML"
    )
    assert re.findall(forbidden, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", MODULES + STYLES, ids=lambda path: path.name)
def test_the_page_loads_nothing_from_other_hosts(path: Path) -> None:
    text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    addresses = re.findall(r"\w+://[^\s\"')]*|[\"'(]//[^\s\"')]*", text)
    # The names of XML's vocabularies look like addresses.
    assert [address for address in addresses if not address.startswith("http://www.w3.org/2000/svg")] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_exported_functions_document_their_types(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("/**"), "a module starts with a comment"
    for match in re.finditer(r"^export (?:async )?function (\w+)\(([^)]*)", text, flags=re.MULTILINE):
        before = text[: match.start()].rstrip()
        assert before.endswith("*/"), match[1]
        comment = before[before.rindex("/**") :]
        assert bool(match[2].strip()) == ("@param" in comment), match[1]


def test_imports_lead_to_modules_and_every_module_is_used() -> None:
    used = {"index.js"}
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"^(?:import|export) [^;]*?from \"([^\"]+)\"", text, flags=re.MULTILINE):
            assert target.startswith("./")
            assert (STATIC / target).is_file(), f"{path.name}: {target}"
            used.add(target.removeprefix("./"))
        used |= set(re.findall(r"\"(\w+\.css)\"", text))
    assert used == {path.name for path in MODULES + STYLES}
