"""Gather the pages of the repository into one folder, from which MkDocs builds the site: ``make site`` calls both.

README.md is the start page. A page of docs keeps its path, another page is below ``project``, and any other file that
a page links to below ``files``. A folder of scripts is a page that shows them. So the links of the repository lead to
something on the site as well.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(?<=\]\()(?!https?://|#|mailto:)([^)\s#]+)(#[^)\s]*)?(?=\))")
FENCE = re.compile(r"^( *```.*?^ *```)", re.DOTALL | re.MULTILINE)
#: Pages of the repository that are pages of the site. Those of ``docs`` are added.
PAGES = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "CODE_OF_CONDUCT.md",
    "SECURITY.md",
    "findings/README.md",
]


def site_path(path: PurePosixPath) -> PurePosixPath:
    """Return where a file of the repository is on the site."""
    if path == PurePosixPath("README.md"):
        return PurePosixPath("index.md")
    if path.parts[0] == "docs":
        return path.relative_to("docs")
    if (ROOT / path).is_dir():
        return PurePosixPath("project", f"{path}.md")
    return PurePosixPath("project" if path.suffix == ".md" else "files", path)


def scripts(folder: Path) -> str:
    """Return a page that shows the scripts of a folder."""
    shown = (f"## {path.name}\n\n```python\n{path.read_text('utf-8')}```\n" for path in sorted(folder.glob("*.py")))
    return f"# {folder.name.capitalize()}\n\n" + "\n".join(shown)


def gather(target: Path) -> None:
    """Write the pages, and all that they link to, into a new folder."""
    docs = [PurePosixPath(*path.relative_to(ROOT).parts) for path in ROOT.glob("docs/**/*.md")]
    waiting = [*map(PurePosixPath, PAGES), *docs]
    done: set[PurePosixPath] = set()
    while waiting:
        path = waiting.pop()
        if path in done:
            continue
        done.add(path)
        written = target / site_path(path)
        written.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_dir():
            written.write_text(scripts(ROOT / path), "utf-8")
            continue
        if path.suffix != ".md":
            shutil.copyfile(ROOT / path, written)
            continue

        def moved(match: re.Match[str], page: PurePosixPath = path) -> str:
            found = PurePosixPath(os.path.normpath(page.parent / match[1]))
            if (ROOT / found / "README.md").exists():
                found /= "README.md"
            waiting.append(found)
            return os.path.relpath(site_path(found), site_path(page).parent) + (match[2] or "")

        parts = FENCE.split((ROOT / path).read_text("utf-8"))
        written.write_text("".join(part if FENCE.match(part) else LINK.sub(moved, part) for part in parts), "utf-8")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    gather(folder)
