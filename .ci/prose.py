"""Check the prose of the project: comments, docstrings, messages, documentation and the names of tests.

Prints each line that has a banned word, and each word that is used more often than its limit. Exits with 1 if there is
one. Words in code blocks and between backticks are not prose.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What a native engineer would not write, and what to write instead. docs/glossary.md has the rules.
BANNED: Final = {
    r"\bnobody\b|\bsomebody\b|\bwhoever\b": "name the actor",
    r"\basked for\b": "selected, requested",
    r"\btells?\b|\btold\b": "shows, gives, reports",
    r"\bstands?\b(?!-|alone)": "is",
    r"\bat the (most|least)\b": "at most, at least",
    r"(?<!there )\b(is|are) no\b(?! longer)": "is not a, there is no",
    r"\bbehind\b": "after, below",
    r"\bbut for\b|\bbut one\b": "except",
    r", for (it|its|that|they|their|these|those|he|there|what|which) ": "because",
    r"\b(page|scanner|decoder|program|library) (knows|asks)\b": "name what it does",
    r"\bin so many\b": "the number",
}

#: Words that a name in the package must not contain, and what to use instead.
BANNED_IN_NAMES: Final = {"behind": "after, next", "told": "summary, report", "nobody": "none", "somebody": "any"}

#: How often a word may be used, per 1,000 words: it is right in some places.
LIMITS: Final = {r"\bwhere\b": 1.2}

DOCUMENTS: Final = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")


class Text(NamedTuple):
    """A piece of prose, and where it is."""

    path: Path
    line: int
    words: str


def main() -> int:
    """Check the checkout that this file is in; arguments narrow the check to files or folders."""
    root = Path(__file__).resolve().parent.parent
    chosen = [Path(each).resolve() for each in sys.argv[1:]] or [root]
    texts = [text for text in prose_of(root) if any(text.path == each or each in text.path.parents for each in chosen)]
    faults = 0
    for pattern, instead in BANNED.items():
        for path, line, words in texts:
            for found in re.finditer(pattern, words, re.IGNORECASE):
                faults += 1
                at = line + words.count("\n", 0, found.start())
                print(f"{path.relative_to(root)}:{at}: {found[0].strip(', ')!r}; write: {instead}")
    count = sum(len(re.findall(r"[A-Za-z']+", text.words)) for text in texts) / 1000
    for pattern, limit in LIMITS.items():
        found_in = [(text, found) for text in texts for found in re.finditer(pattern, text.words, re.IGNORECASE)]
        if count and len(found_in) > max(limit * count, 1):
            faults += 1
            for text, found in found_in:
                at = text.line + text.words.count("\n", 0, found.start())
                print(f"{text.path.relative_to(root)}:{at}: {found[0]!r}")
            print(f"{len(found_in) / count:.2f} of 1,000 words match {pattern}; the limit is {limit}")
    for path, line, name in names_of(root):
        for word in set(name.lower().split("_")) & BANNED_IN_NAMES.keys():
            faults += 1
            print(f"{path.relative_to(root)}:{line}: {name}; write: {BANNED_IN_NAMES[word]}")
    return min(faults, 1)


def names_of(root: Path) -> Iterator[Text]:
    """Yield the names of variables, arguments, functions and classes of the package."""
    for path in sorted((root / "tb2csv").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name):
                yield Text(path, node.lineno, node.id)
            elif isinstance(node, ast.arg):
                yield Text(path, node.lineno, node.arg)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield Text(path, node.lineno, node.name)


def prose_of(root: Path) -> Iterator[Text]:
    """Yield all prose below a folder."""
    for folder in ("tb2csv", "tests", "benchmarks", "docs", "examples", ".ci"):
        for path in sorted((root / folder).rglob("*.py")):
            if not {"data", ".data"} & set(path.parts) and path != Path(__file__).resolve():
                yield from _of_python(path)
    for path in sorted(path for ending in ("js", "css") for path in (root / "tb2csv").rglob(f"*.{ending}")):
        yield from _of_javascript(path)
    for path in [root / name for name in DOCUMENTS] + sorted((root / "docs").rglob("*.md")):
        if path.exists():
            yield Text(path, 1, _without_code(path.read_text(encoding="utf-8")))


def _of_python(path: Path) -> Iterator[Text]:
    source = path.read_text(encoding="utf-8")
    is_test = "tests" in path.parts
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(path, token.start[0], _without_code(token.string.lstrip("#: ")))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value and not is_test:
            yield Text(path, node.lineno, _without_code(node.value))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield Text(path, node.lineno, node.name.replace("_", " "))


def _of_javascript(path: Path) -> Iterator[Text]:
    source = path.read_text(encoding="utf-8")
    for found in re.finditer(r"/\*.*?\*/|(?<!:)//[^\n]*|`[^`\n]* [^`\n]*`|\"[^\"\n]* [^\"\n]*\"", source, re.DOTALL):
        yield Text(path, source.count("\n", 0, found.start()) + 1, found[0])


def _without_code(text: str) -> str:
    """Return a text with its code left out, and as many lines."""
    return re.sub(r"```.*?```|``[^`]*``|`[^`]*`", lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL)


if __name__ == "__main__":
    sys.exit(main())
