"""Sizes in a pickle of ``torch.save``, found from its instructions before one of them is carried out.

The unpickler of ``weights_only=True`` runs no code, but it calls types such as ``bytearray`` with whatever number a
pickle has, and a list may contain itself or, through lists that have it twice, occur a million million times.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import mmap
import pickletools
import zipfile
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import StateError
from tb2csv.model_state.torch_trees import element_bytes
from tb2csv.model_state.zip_archives import ZipArchive, is_archive

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tb2csv.size_limits import SizeLimits

#: The member of an archive that has the pickle.
_PICKLE: Final = "data.pkl"
#: The maximum depth of containers. State dicts and checkpoints have about ten.
_DEEPEST: Final = 200
#: Pickles in a file of the older format: its mark, its version, the system, the tree, and the names of storages.
_PICKLES: Final = 5

#: The instructions that push an integer.
_INTEGERS: Final = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"}
#: The instructions that put something into a place of the memo.
_PUTS: Final = {"PUT", "BINPUT", "LONG_BINPUT"}
#: What is pushed by an instruction that has no meaning here.
_OTHER: Final = object()
_MARK: Final = object()


def check_pickles(path: Path, limits: SizeLimits, content: bytes | None = None) -> bool:
    """Check the pickles in a file of ``torch.save``, and return whether the storages in it can be mapped into memory.

    ``content`` is the part of a larger file that was written by ``torch.save``; it cannot be mapped.

    Raises StateError if the archive is damaged, or a type would be called with a size that is too large.
    """
    if not (path.stat().st_size if content is None else content):  # it cannot be mapped
        return False
    if not is_archive(path if content is None else io.BytesIO(content)):
        # A mapped file takes memory for the bytes that it has, and not for those that an instruction states.
        with contextlib.ExitStack() as stack:
            pickles: Any = io.BytesIO(content or b"")
            if content is None:
                file = stack.enter_context(path.open("rb"))
                pickles = stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            for _ in range(_PICKLES):
                if not check_calls(pickles, path, limits, path.stat().st_size):
                    break
        return False
    archive = ZipArchive(path, limits, kind="a file of torch.save", nested=content)
    for member in archive.members:
        if member.filename.rpartition("/")[2] == _PICKLE:
            check_calls(io.BytesIO(archive.read_text(member.filename)), path, limits, archive.stored)
    return content is None and all(member.compress_type == zipfile.ZIP_STORED for member in archive.members)


def check_calls(file: Any, path: Path, limits: SizeLimits, stored: int) -> bool:
    """Refuse calls in one pickle that take nothing but sizes; return whether the pickle ends as it should.

    Refuse tuples that are nested too deeply as well: Python ends if it compares them as keys. And refuse places in the
    memo beyond the number of instructions: Python takes memory for all places before them.
    """
    machine = _Machine()
    try:
        for count, (instruction, argument, _) in enumerate(pickletools.genops(file)):
            if instruction.name in _PUTS and int(argument or 0) > count:
                message = f"{path} has place {argument} in the memo of its pickle, which is damaged; save it again."
                raise StateError(message)
            sizes = machine.call(instruction, argument)
            limits.check_data(path, abs(math.prod(sizes)) if sizes else 0, stored)
            if machine.deepest > _DEEPEST:
                message = f"{path} nests tuples deeper than {_DEEPEST} levels and is not read; save plain dicts."
                raise StateError(message)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, EOFError):
        return False  # no pickle that PyTorch reads; it says what is wrong
    return True


class _Machine:
    """The stack of an unpickler, with integers, tuples and the memo, and nothing else that has a meaning."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[Any, Any] = {}
        #: How many tuples are within one another in each of them; they are kept, as others could get their identity.
        self._depths: dict[int, tuple[int, tuple[Any, ...]]] = {}
        #: The maximum of these numbers.
        self.deepest = 0

    def call(self, instruction: pickletools.OpcodeInfo, argument: Any) -> tuple[int, ...]:
        """Carry out an instruction; return the arguments if it calls something with integers only."""
        name, stack = instruction.name, self._stack
        if name in {"REDUCE", "NEWOBJ"}:
            arguments = stack[-1]
            stack[-2:] = [_OTHER]
            is_sizes = isinstance(arguments, tuple) and bool(arguments)
            return arguments if is_sizes and all(type(each) is int for each in arguments) else ()
        if name in _PUTS:
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in {"BINGET", "LONG_BINGET", "GET"}:
            stack.append(self._memo[argument])
        elif name in {"TUPLE1", "TUPLE2", "TUPLE3"}:
            count = int(name[-1])
            stack[-count:] = [self._tuple(stack[-count:])]
        elif name == "TUPLE":
            start = _last_mark(stack)
            stack[start:] = [self._tuple(stack[start + 1 :])]
        elif name == "EMPTY_TUPLE":
            stack.append(self._tuple([]))
        elif name == "MARK":
            stack.append(_MARK)
        else:
            self._other(instruction, argument)
        return ()

    def _tuple(self, items: list[Any]) -> tuple[Any, ...]:
        found = tuple(items)
        depth = 1 + max((self._depths[id(each)][0] for each in items if isinstance(each, tuple)), default=0)
        self._depths[id(found)] = depth, found
        self.deepest = max(self.deepest, depth)
        return found

    def _other(self, instruction: pickletools.OpcodeInfo, argument: Any) -> None:
        stack = self._stack
        taken = instruction.stack_before
        if pickletools.markobject in taken:
            del stack[_last_mark(stack) :]
            taken = taken[: taken.index(pickletools.markobject)]
        if taken:
            del stack[-len(taken) :]
        is_number = type(argument) is int and instruction.name in _INTEGERS
        stack += [argument if is_number else _OTHER] * len(instruction.stack_after)


def _last_mark(stack: list[Any]) -> int:
    return len(stack) - 1 - stack[::-1].index(_MARK)


def check_tree(tree: Any, path: Path, limits: SizeLimits) -> None:
    """Raise StateError if containers in a tree are in themselves, or repeated too often, or tensors are too large."""
    stored = path.stat().st_size
    count = size = 0
    waiting: list[tuple[Any, int]] = [(tree, 0)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        items = _items(value)
        if items is None:
            size += element_bytes(value)
            limits.check_data(path, size, stored, "tensors")
            continue
        if depth > _DEEPEST:
            message = f"{path} nests containers deeper than {_DEEPEST} levels and is not read; save plain dicts."
            raise StateError(message)
        waiting += [(item, depth + 1) for item in items]
        limits.check_values(path, count + len(waiting), stored)


def _items(value: Any) -> Iterable[Any] | None:
    """Return what a container holds; None if the value is not a container."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, argparse.Namespace):
        return vars(value).values()
    return value if isinstance(value, list | tuple | set | frozenset) else None
