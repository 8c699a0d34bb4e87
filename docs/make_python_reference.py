"""Write the signatures and docstrings of all public names into docs/python.md, between its two marks.

    python docs/make_python_reference.py

The sources are parsed and not imported, because ``tb2csv.recorders`` cannot be imported without TensorFlow.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = Path(__file__).with_name("python.md")
START: Final = "<!-- reference:start -->\n"
END: Final = "<!-- reference:end -->\n"
#: The packages whose names are public.
PACKAGES: Final = ("tb2csv", "tb2csv.model_state", "tb2csv.recorders", "tb2csv.types")

_WIDTH: Final = 100
#: The only special methods that are shown: the others do what a reader expects.
_SPECIAL: Final = ("__getitem__",)
#: Decorators that a reader wants to see.
_DECORATORS: Final = ("classmethod", "staticmethod")
#: Decorators of methods that are read as attributes.
_PROPERTIES: Final = ("property", "cached_property", "functools.cached_property")
#: Methods that a trainer calls, and users do not.
_CALLBACK_HOOKS: Final = re.compile(
    r"on_(batch|epoch|exception|fit|log|predict|step|test|train).*|set_(model|params)|teardown"
)

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


def page() -> str:
    """Return docs/python.md with the reference as it is now."""
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    sections = [section for package in PACKAGES for section in _package(package)]
    return "\n\n".join([before + START.rstrip(), *sections, END + rest.split(END)[1]])


def public_names(package: str) -> list[str]:
    """Return ``__all__`` of a package."""
    (names,) = (
        node.value
        for node in _tree(package).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    return list(ast.literal_eval(names))


def _package(package: str) -> Iterator[str]:
    yield f"## {package}"
    yield _text(ast.get_docstring(_tree(package)) or "")
    for name in sorted(public_names(package), key=lambda name: (_order(package, name), name.lower())):
        module, node = _definition(package, name)
        yield f"### {package}.{name}"
        if isinstance(node, ast.ClassDef):
            yield from _class(module, node)
        elif isinstance(node, _Function):
            yield from _function(node)
        else:
            yield _code([_shown(node)])
            yield _comment(module, node)


def _order(package: str, name: str) -> int:
    """Return 0 for functions, 1 for classes, 2 for errors and warnings, 3 for constants."""
    node = _definition(package, name)[1]
    if isinstance(node, ast.ClassDef):
        return 2 if name.endswith(("Error", "Warning")) else 1
    return 0 if isinstance(node, _Function) else 3


@cache
def _source(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_source(module))


@cache
def _imports(module: str) -> dict[str, tuple[str, str]]:
    """Return the names that a module imports from others, with their modules and their names there."""
    nodes = [node for node in ast.walk(_tree(module)) if isinstance(node, ast.ImportFrom) and node.module]
    return {alias.asname or alias.name: (node.module or "", alias.name) for node in nodes for alias in node.names}


@cache
def _definition(module: str, name: str) -> tuple[str, _Definition]:
    """Return the definition of a name and its module; imports from module to module are followed."""
    if name in _imports(module):
        return _definition(*_imports(module)[name])
    for each in _tree(module).body:
        targets = each.targets if isinstance(each, ast.Assign) else [getattr(each, "target", None)]
        named = getattr(each, "name", None) or next((t.id for t in targets if isinstance(t, ast.Name)), None)
        if named == name and isinstance(each, _Definition) and "overload" not in _decorators(each):
            return module, each
    message = f"{module} does not define {name}."
    raise LookupError(message)


def _decorators(node: ast.AST) -> list[str]:
    return [ast.unparse(each) for each in getattr(node, "decorator_list", [])]


def _class(module: str, node: ast.ClassDef) -> Iterator[str]:
    functions = [each for each in node.body if isinstance(each, _Function) and "overload" not in _decorators(each)]
    initial = next((each for each in functions if each.name == "__init__" and not _is_private(each)), None)
    declared = _declared_methods(module, node)
    bases = [_unparsed(base) for base in node.bases if not (declared and isinstance(base, ast.Subscript))]
    head = f"class {node.name}({', '.join(bases)})" if bases else f"class {node.name}"
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign) and _is_public(ast.unparse(each.target))]
    methods = [each for each in functions if _is_public(each.name)]
    properties = [each for each in methods if set(_decorators(each)) & {*_PROPERTIES}]
    attributes = [(ast.unparse(each.target), _shown(each), _comment(module, each)) for each in fields]
    attributes += [
        (each.name, f"{each.name}: {_unparsed(each.returns)}" if each.returns else each.name, _first_paragraph(each))
        for each in properties
    ]
    yield _code(
        [head, *([_signature(initial, node.name)] if initial else []), *(f"    {shown}" for _, shown, _ in attributes)]
    )
    yield _text(ast.get_docstring(node) or "")
    described = [_wrapped(f"`{name}`: {text}", "- ") for name, _, text in attributes if text]
    if described:
        yield "\n".join(described)
    if initial:
        yield _text(ast.get_docstring(initial) or "")
    is_callback = any("Callback" in base for base in bases)
    for each in methods:
        if each not in properties and not (is_callback and _CALLBACK_HOOKS.fullmatch(each.name)):
            yield f"#### {node.name}.{each.name}"
            yield from _function(each)
    for name, text in declared.items():
        yield f"#### {node.name}.{name}"
        yield _code([_signature(_method_of_kinds(node)).replace("def method", f"def {name}")])
        yield _text(text)


def _declared_methods(module: str, node: ast.ClassDef) -> dict[str, str]:
    """Return the docstrings of the methods that ``tb2csv.kind_methods`` gives a class, by their names."""
    if not any(ast.unparse(base).startswith("KindMethods[") for base in node.bases):
        return {}
    _, table = _definition(module, "KindMethods")
    declarations = [each for each in ast.walk(table) if isinstance(each, ast.AnnAssign) and each.value]
    return {
        ast.unparse(each.target): inspect.cleandoc(ast.literal_eval(each.value.args[0]))
        for each in declarations
        if isinstance(each.value, ast.Call)
    }


def _method_of_kinds(node: ast.ClassDef) -> ast.FunctionDef:
    (found,) = (each for each in ast.walk(node) if isinstance(each, ast.FunctionDef) and each.name == "method")
    return found


def _is_private(function: _Function) -> bool:
    """Return whether a function takes objects of private classes; only tb2csv calls it."""
    hints = [each.annotation for each in (*function.args.args, *function.args.kwonlyargs) if each.annotation]
    return any(isinstance(each, ast.Name) and each.id.startswith("_") for hint in hints for each in ast.walk(hint))


def _is_public(name: str) -> bool:
    return name in _SPECIAL or not name.startswith("_")


def _first_paragraph(node: _Function) -> str:
    return (ast.get_docstring(node) or "").split("\n\n")[0]


def _function(node: _Function) -> Iterator[str]:
    yield _code([*(f"@{each}" for each in _decorators(node) if each in _DECORATORS), _signature(node)])
    yield _text(ast.get_docstring(node) or "")


def _signature(node: _Function, name: str = "") -> str:
    """Return a signature without ``self``, with one argument on a line if it is too long for one line.

    Args:
        node: the function.
        name: the class that ``__init__`` makes an object of.
    """
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    texts = [_argument(each, default) for each, default in zip(positional, defaults, strict=True)]
    if arguments.posonlyargs:
        texts.insert(len(arguments.posonlyargs), "/")
    if arguments.vararg:
        texts.append(f"*{_argument(arguments.vararg, None)}")
    elif arguments.kwonlyargs:
        texts.append("*")
    texts += [_argument(*pair) for pair in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    if arguments.kwarg:
        texts.append(f"**{_argument(arguments.kwarg, None)}")
    texts = [text for text in texts if text.partition(":")[0] not in ("self", "cls")]
    start = name or f"def {node.name}"
    end = f" -> {_unparsed(node.returns)}" if node.returns and not name else ""
    line = f"{start}({', '.join(texts)}){end}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{start}(", *(f"    {text}," for text in texts), f"){end}"])


def _argument(node: ast.arg, default: ast.expr | None) -> str:
    hint = f": {_unparsed(node.annotation)}" if node.annotation else ""
    if default is None:
        return node.arg + hint
    return f"{node.arg}{hint}{' = ' if hint else '='}{_unparsed(default)}"


def _shown(node: ast.AST) -> str:
    """Return a constant or field with the default that an object of the class has."""
    return _unparsed(node).replace("field(default_factory=list)", "[]").replace("field(default_factory=dict)", "{}")


def _unparsed(node: ast.AST) -> str:
    """Return the source of a node with double quotes, as the sources have them."""
    return re.sub(r"'([^'\"\\\\]*)'", r'"\1"', ast.unparse(node))


def _comment(module: str, node: ast.AST) -> str:
    """Return the ``#:`` comment above a constant or field, or beside it."""
    lines = _source(module).splitlines()
    first = getattr(node, "lineno", 1) - 1
    beside = re.search(r"  #: (.*)", lines[first])
    found = [beside[1]] if beside else []
    while first and lines[first - 1].lstrip().startswith("#:"):
        first -= 1
        found.insert(0, lines[first].lstrip()[2:].strip())
    return _marked(" ".join(found))


def _code(lines: list[str]) -> str:
    return "\n".join(["```text", *lines, "```"])


def _text(docstring: str) -> str:
    """Return a docstring as Markdown: its sections are lists, and each paragraph is wrapped anew."""
    out: list[str] = []
    for paragraph in docstring.split("\n\n"):
        head, _, rest = paragraph.partition("\n")
        if re.fullmatch(r"[A-Z]\w+:", head) and rest.startswith("    "):
            out += [f"**{head}**", "\n".join(_entries(head, textwrap.dedent(rest)))]
        elif paragraph.startswith("    "):
            out.append("```text\n" + textwrap.dedent(paragraph) + "\n```")
        elif re.match(r"- ", paragraph):
            out.append(_marked(paragraph))
        else:
            out.append(_wrapped(paragraph))
    return "\n\n".join(each for each in out if each)


def _entries(head: str, text: str) -> Iterator[str]:
    """Yield a list item for each entry of a section; a section without names is a paragraph."""
    if head in ("Returns:", "Yields:"):
        yield _wrapped(text)
        return
    for entry in re.split(r"\n(?=\S)", text):
        name, colon, what = entry.partition(": ")
        yield _wrapped(f"`{name}`: {what}" if colon else entry, "- ")


def _wrapped(text: str, bullet: str = "") -> str:
    return textwrap.fill(
        _marked(" ".join(text.split())),
        120,
        initial_indent=bullet,
        subsequent_indent=" " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _marked(text: str) -> str:
    return text.replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
