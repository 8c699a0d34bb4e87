"""The types that public signatures and attributes mention, which must be public themselves.

The sources are parsed, because ``tb2csv.recorders`` cannot be imported without TensorFlow.
"""

from __future__ import annotations

import ast
import contextlib
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
reference = runpy.run_path(str(ROOT / "docs" / "make_python_reference.py"))

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Mention(NamedTuple):
    """A class or alias of tb2csv, by its module and name, and the public name that mentions it."""

    module: str
    name: str
    place: str


def public_definitions() -> dict[tuple[str, str], ast.AST]:
    """Return the definition of every public name, by its module and name."""
    found = {}
    for package in reference["PACKAGES"]:
        for name in reference["public_names"](package):
            module, node = reference["_definition"](package, name)
            found[module, name] = node
    return found


def mentions_of(module: str, node: ast.AST, place: str) -> Iterator[Mention]:
    """Yield what the signature of a function, an alias, or the public members of a class mention."""
    if isinstance(node, _FUNCTIONS):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        for hint in [*(each.annotation for each in arguments if each), node.returns]:
            yield from mentions_in(module, hint, place)
    elif isinstance(node, ast.AnnAssign) and "TypeAlias" in ast.unparse(node.annotation):
        yield from mentions_in(module, node.value, place)
    elif isinstance(node, ast.ClassDef):
        for each in node.body:
            name = getattr(each, "name", None) or ast.unparse(getattr(each, "target", node.bases or ast.Name("_")))
            if name in ("__init__", "__getitem__", "__iter__") or not name.startswith("_"):
                below = each.annotation if isinstance(each, ast.AnnAssign) else None
                yield from mentions_in(module, below, f"{place}.{name}")
                if isinstance(each, _FUNCTIONS) and not reference["_is_private"](each):
                    yield from mentions_of(module, each, f"{place}.{name}")


def mentions_in(module: str, hint: ast.AST | None, place: str) -> Iterator[Mention]:
    """Yield the classes and aliases of tb2csv in a type."""
    for each in ast.walk(hint) if hint else ():
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            with contextlib.suppress(SyntaxError):  # a value of Literal
                yield from mentions_in(module, ast.parse(each.value, mode="eval"), place)
        elif isinstance(each, ast.Name):
            yield from definition_of(module, each.id, place)


def definition_of(module: str, name: str, place: str) -> Iterator[Mention]:
    """Yield the class or alias that a name means in a module, if that is one of tb2csv."""
    tree = reference["_tree"](module)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    origins = [node.module or "" for node in imports for alias in node.names if (alias.asname or alias.name) == name]
    if origins and not origins[0].startswith("tb2csv"):
        return
    try:
        where, node = reference["_definition"](module, name)
    except LookupError:  # of Python
        return
    if not (isinstance(node, (ast.Assign, ast.AnnAssign)) and "TypeVar(" in ast.unparse(node)):
        yield Mention(where, name, place)


def test_types_in_public_signatures_are_public() -> None:
    public = public_definitions()
    mentioned = {each for (module, name), node in public.items() for each in mentions_of(module, node, name)}
    assert {"SeriesInfo", "Patterns"} <= {each.name for each in mentioned}
    hidden = sorted(f"{each.place}: {each.module}.{each.name}" for each in mentioned if each[:2] not in public)
    assert hidden == []
