"""A state as a table with one row for each tensor: ``tensor_name, tensor_data, tensor_metadata``.

The data are the tensor's numbers as text, or its bytes in base64. A tensor that exceeds the maximum size of a cell has
several rows, numbered in the metadata. The metadata are JSON: the fields of StateTensor, and the SHA-256 of the bytes,
which shows damaged cells.
"""

from __future__ import annotations

import binascii
import itertools
import json
import math
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tb2csv.errors import StateError
from tb2csv.formula_escaping import escape_apostrophes, escape_formula, unescape_formula
from tb2csv.model_state.csv_cells import Cell, cell_text, read_cell, read_stretches, scan_rows
from tb2csv.model_state.descriptions import json_object
from tb2csv.model_state.dtypes import DTYPES, texts_from_json, texts_to_json
from tb2csv.model_state.number_codec import numbers_to_text, text_to_numbers, widest
from tb2csv.model_state.tensors import MAX_DIMENSIONS, Buffer, ModelState, StateTensor, array_bytes, checksum
from tb2csv.plain_data import COUNT, DictOf, ListOf, Maybe, fits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tb2csv.model_state.dtypes import Dtype

COLUMNS: Final = ("tensor_name", "tensor_data", "tensor_metadata")

#: Elements that are printed at once.
_ELEMENTS: Final = 1 << 19
#: Bytes of text that are read at once; of base64, a whole number of its groups of 4 letters.
_STRETCH: Final = 1 << 22
_GROUP: Final = 3 << 20

#: Before base64 that begins with a plus sign, if formulas are escaped.
_APOSTROPHE: Final = b"'"

#: Fields of StateTensor that are in the metadata unless they are empty.
_FACTS: Final = ("trainable", "layer", "layer_type", "parameter", "python", "aliases")


def write_tensor_rows(
    state: ModelState, file: IO[bytes], *, encoding: str, max_cell: int, escape_formulas: bool = False
) -> None:
    """Write a state into a file, with numbers as text or as base64.

    Args:
        state: what is written; one tensor at a time is in memory.
        file: open for writing.
        encoding: ``text`` or ``base64``.
        max_cell: the most bytes that a cell of data may have; one element is written in any case.
        escape_formulas: put an apostrophe before a name, and before base64, that a spreadsheet would run.
    """
    escape = escape_formula if escape_formulas else escape_apostrophes
    file.write(",".join(COLUMNS).encode() + b"\n")
    for tensor in state.tensors:
        data = tensor.content()
        dtype = DTYPES[tensor.dtype]
        metadata: dict[str, Any] = {"shape": list(tensor.shape), "dtype": tensor.dtype, "framework": state.framework}
        metadata |= {name: value for name in _FACTS if (value := getattr(tensor, name)) not in (None, "", {})}
        metadata |= {"encoding": encoding, "sha256": checksum(data)}
        name = cell_text(escape(tensor.name))
        parts = _parts(tensor, dtype, encoding, max_cell)
        for number, (start, stop) in enumerate(parts, 1):
            if len(parts) > 1:
                metadata |= {"part": number, "parts": len(parts)}
            file.write(name + b',"')
            pieces = _cell_data(data, dtype, encoding, start, stop)
            first = next(pieces, b"")
            if escape_formulas and encoding == "base64" and first.startswith(b"+"):
                file.write(_APOSTROPHE)
            file.write(first)
            file.writelines(pieces)
            file.write(b'",' + cell_text(json.dumps(metadata)) + b"\n")


def _parts(tensor: StateTensor, dtype: Dtype, encoding: str, max_cell: int) -> list[tuple[int, int]]:
    """Return the elements that go into each row."""
    if dtype.strings:
        return [(0, tensor.size)]
    # Parts of base64 end at groups of 3 bytes, so that they can be joined.
    step = max_cell // widest(dtype) if encoding == "text" else max_cell // (4 * dtype.item_size) * 3
    step = max(step, 1)
    return [(start, min(start + step, tensor.size)) for start in range(0, max(tensor.size, 1), step)]


def _cell_data(data: Buffer, dtype: Dtype, encoding: str, start: int, stop: int) -> Iterator[bytes]:
    """Yield the text of a cell, quotes doubled."""
    if dtype.strings and encoding == "text":
        yield texts_to_json(dtype.strings(data)).encode().replace(b'"', b'""')
    elif encoding == "text":
        values = np.frombuffer(data, dtype.stored)
        for begin in range(start, stop, _ELEMENTS):
            yield (b"," if begin > start else b"") + numbers_to_text(
                values[begin : min(begin + _ELEMENTS, stop)], dtype
            )
    else:
        view = memoryview(data)
        first, last = (0, len(view)) if dtype.strings else (start * dtype.item_size, stop * dtype.item_size)
        for begin in range(first, last, _GROUP):
            yield binascii.b2a_base64(view[begin : min(begin + _GROUP, last)], newline=False)


class _Row(NamedTuple):
    """One row: the place of its data, and what its metadata says."""

    data: Cell
    metadata: dict[str, Any]


class TensorRows:
    """The state in a table of this sort; nothing but names and metadata is in memory."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        """Find the tensors of a file with these columns; raises StateError if rows have no sound metadata."""
        self._path = path
        self._problems: list[str] = []
        rows: dict[str, list[_Row]] = {}
        with path.open("rb") as file:
            for number, cells in enumerate(scan_rows(file, str(path))):
                if number:
                    self._learn(file, dict(zip(columns, cells, strict=False)), number, rows)
        tensors = [self._tensor(name, of_name) for name, of_name in rows.items()]
        if self._problems:
            raise StateError(problem_list(f"{path} cannot be used", self._problems))
        frameworks = {str(each.metadata.get("framework", "")) for of_name in rows.values() for each in of_name}
        framework = frameworks.pop() if len(frameworks) == 1 else ""
        self.state = ModelState(framework, tuple(each for each in tensors if each), str(path))

    def _learn(self, file: IO[bytes], cells: dict[str, Cell], number: int, rows: dict[str, list[_Row]]) -> None:
        if not cells.keys() >= set(COLUMNS):
            self._problems.append(f"row {number} has only {len(cells)} cells")
            return
        try:
            name = unescape_formula(read_cell(file, cells["tensor_name"]).decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError as error:
            self._problems.append(f"row {number}: the name is not UTF-8 ({error.reason} at byte {error.start})")
            return
        metadata = _metadata(read_cell(file, cells["tensor_metadata"]))
        if metadata is None:
            self._problems.append(f"{name}: the metadata in row {number} is not JSON with dtype and shape")
            return
        rows.setdefault(name, []).append(_Row(cells["tensor_data"], metadata))

    def _tensor(self, name: str, rows: list[_Row]) -> StateTensor | None:
        rows = sorted(rows, key=lambda row: row.metadata.get("part", 1))
        metadata = rows[0].metadata
        count = metadata.get("parts", 1)
        found = [row.metadata.get("part", 1) for row in rows]
        if found != list(range(1, len(rows) + 1)) or len(rows) != count:
            lacking = _lacking(set(found), count)
            lack = f"part {lacking} of {count} is missing" if lacking else "a part is there twice"
            self._problems.append(f"{name}: {lack if count > 1 else 'it has more than one row'}")
            return None
        if any({**row.metadata, "part": 1} != {**metadata, "part": 1} for row in rows):
            self._problems.append(f"{name}: the metadata of its parts differ")
            return None
        cells = [row.data for row in rows]
        facts = {fact: metadata[fact] for fact in _FACTS if fact in metadata}
        shape = tuple(metadata["shape"])
        return StateTensor(name, metadata["dtype"], shape, lambda: self._read(cells, metadata), **facts)

    def _read(self, cells: list[Cell], metadata: dict[str, Any]) -> Buffer:
        dtype = DTYPES[metadata["dtype"]]
        encoding = metadata.get("encoding", "text")
        size = math.prod(metadata["shape"])
        if not _may_fit(metadata, sum(cell.length for cell in cells), len(cells)):
            message = f"its data is damaged: it is too short for {size:,} elements of {dtype.name}"
            raise StateError(message)
        with self._path.open("rb") as file:
            try:
                if encoding == "base64":
                    data = _decode(file, [_unescaped(file, cell) for cell in cells], size * dtype.item_size)
                elif dtype.strings:
                    text = b"".join(read_cell(file, cell) for cell in cells).decode("utf-8", "replace")
                    data = texts_from_json(text, dtype.name)
                else:
                    data = _parse(file, cells, dtype, size)
            except ValueError as error:
                message = f"its data is damaged: {error}"
                raise StateError(message) from error
        expected = metadata.get("sha256")
        if expected is not None and checksum(data) != expected:
            message = "its data is damaged: it does not have the SHA-256 that its metadata gives"
            raise StateError(message)
        return data


#: The members of metadata and their types; all but dtype and shape may be missing.
_METADATA: Final = {
    "dtype": str,
    "shape": ListOf(COUNT),
    "part": COUNT,
    "parts": COUNT,
    "encoding": str,
    "framework": str,
    "sha256": Maybe(str),
    "trainable": Maybe(bool),
    "layer": str,
    "layer_type": str,
    "parameter": str,
    "python": str,
    "aliases": DictOf(str),
}
_NEEDED: Final = {"dtype", "shape"}
#: Missing parts that a message lists.
_LISTED: Final = 20


def _metadata(text: bytes) -> dict[str, Any] | None:
    """Return what a cell of metadata says; None if it lacks what is needed, or a member has another type."""
    metadata = json_object(text)
    known = {name: metadata[name] for name in _METADATA if name in metadata}
    is_sound = known.keys() >= _NEEDED and fits(known, {name: _METADATA[name] for name in known})
    if not is_sound or known["dtype"] not in DTYPES or len(known["shape"]) > MAX_DIMENSIONS:
        return None
    return metadata if 1 <= known.get("part", 1) <= known.get("parts", 1) else None


def _lacking(found: set[int], count: int) -> str:
    """Return the first numbers up to ``count`` that were not found; a table may claim any number of parts."""
    numbers = (number for number in range(1, count + 1) if number not in found)
    listed = [str(number) for number in itertools.islice(numbers, _LISTED + 1)]
    return ", ".join(listed[:_LISTED]) + (" …" if len(listed) > _LISTED else "")


def _may_fit(metadata: dict[str, Any], length: int, cells: int) -> bool:
    """Return whether cells of this length in all can hold a tensor, before memory is taken for it.

    A number takes at least a digit and a comma, and three bytes take four letters of base64.
    """
    dtype, size = DTYPES[metadata["dtype"]], int(math.prod(metadata["shape"]))
    if dtype.strings:
        return size <= length
    if metadata.get("encoding", "text") == "base64":
        return size * dtype.item_size <= length // 4 * 3 + 3 * cells
    return 2 * size * dtype.numbers_per_element <= length + cells


def _unescaped(file: IO[bytes], cell: Cell) -> Cell:
    """Return a cell of base64 without the apostrophe before it, if there is one."""
    file.seek(cell.offset)
    has_apostrophe = file.read(min(1, cell.length)) == _APOSTROPHE
    return cell._replace(offset=cell.offset + 1, length=cell.length - 1) if has_apostrophe else cell


def _decode(file: IO[bytes], cells: Iterable[Cell], expected: int) -> Buffer:
    """Return the bytes of cells in base64, whose number is ``expected`` unless that is 0."""
    data = bytearray(expected)
    rest = bytearray() if not expected else None
    end = 0
    for cell in cells:
        for text in read_stretches(file, cell, _STRETCH):
            stretch = binascii.a2b_base64(text)
            if rest is not None:
                rest += stretch
                continue
            if end + len(stretch) > expected:
                message = f"there are more than the {expected} bytes that dtype and shape ask for"
                raise ValueError(message)
            data[end : end + len(stretch)] = stretch
            end += len(stretch)
    if rest is not None:
        return rest
    if end != expected:
        message = f"there are {end} bytes, but dtype and shape need {expected}"
        raise ValueError(message)
    return data


def _parse(file: IO[bytes], cells: Iterable[Cell], dtype: Dtype, size: int) -> Buffer:
    """Return the bytes of cells of numbers."""
    values = np.empty(size, dtype.stored)
    end = 0
    for cell in cells:
        for text in _whole_elements(read_stretches(file, cell, _STRETCH), dtype):
            part = text_to_numbers(text, dtype)
            if end + part.size <= size:
                values[end : end + part.size] = part
            end += part.size
    if end != size:
        message = f"there are {end} numbers, but the shape needs {size}"
        raise ValueError(message)
    return array_bytes(values)


def _whole_elements(stretches: Iterator[bytes], dtype: Dtype) -> Iterator[bytes]:
    """Yield text that is cut between elements; the last of a cell may be empty only if the cell is."""
    rest = b""
    for stretch in stretches:
        text = rest + stretch
        cut = text.rfind(b",")
        for _ in range(text.count(b",", 0, cut + 1) % dtype.numbers_per_element):
            cut = text.rfind(b",", 0, max(cut, 0))
        if cut >= 0:
            yield text[:cut] or b" ,"
        rest = text[cut + 1 :]
    if rest.strip():
        yield rest


def problem_list(what: str, problems: list[str]) -> str:
    """Return one message that lists problems, each on a line of its own."""
    return "\n  ".join([f"{what} ({len(problems)} problem{'s' * (len(problems) > 1)}):", *problems])
