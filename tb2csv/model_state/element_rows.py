"""The CSV style with one row per element, for people and other programs.

The columns are ``layer_index, layer, layer_type, parameter, parameter_type, index, value``. A tensor is identified by
its layer and parameter, ``parameter_type`` is its dtype, and its shape follows from the indices, which are complete.
Rows have no checksum, but a missing or repeated element is found. A tensor without elements has one row without index
and value.
"""

from __future__ import annotations

import math
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.csv_pieces import append_csv
from tb2csv.errors import StateError
from tb2csv.formula_escaping import escape_apostrophes, escape_formula, unescaped
from tb2csv.late_modules import pl
from tb2csv.model_state.dtypes import DTYPES, texts_from_json, texts_to_json
from tb2csv.model_state.number_codec import elements_to_series, text_to_numbers
from tb2csv.model_state.structural_names import STRUCTURE, structural_names
from tb2csv.model_state.tensors import MAX_DIMENSIONS, Buffer, ModelState, StateTensor, array_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from tb2csv.model_state.dtypes import Dtype

COLUMNS: Final = ("layer_index", "layer", "layer_type", "parameter", "parameter_type", "index", "value")
#: The columns that people ask for. Without the dtype such a table is not a state that can be read.
FEW_COLUMNS: Final = ("layer", "parameter", "index", "value")
_NAMES: Final = ("layer", "layer_type", "parameter")

#: Rows that are written at once, and bytes that are read at once.
_ROWS: Final = 1 << 19
_BLOCK: Final = 1 << 24


def element_identity(tensor: StateTensor) -> str:
    """Return the name that identifies a tensor in this style."""
    return f"{tensor.layer}/{tensor.parameter}" if tensor.layer else tensor.parameter or tensor.name


def write_element_rows(
    state: ModelState, file: IO[bytes], *, columns: Sequence[str] = COLUMNS, escape_formulas: bool = False
) -> None:
    """Write some columns of a state into a file; raises StateError if two tensors have one layer and parameter."""
    escape = escape_formula if escape_formulas else escape_apostrophes
    layers: dict[str, int] = {}
    seen: dict[str, str] = {}
    append_csv(pl.DataFrame(schema=dict.fromkeys(columns, pl.String)), file, is_first=True)
    for tensor in state.tensors:
        other = seen.setdefault(element_identity(tensor), tensor.name)
        if other != tensor.name:
            message = f"{other!r} and {tensor.name!r} have one layer and parameter; use the style tensors or base64."
            raise StateError(message)
        facts = {
            "layer_index": layers.setdefault(tensor.layer, len(layers)),
            "layer": escape(tensor.layer),
            "layer_type": escape(tensor.layer_type),
            "parameter": escape(tensor.parameter or tensor.name),
            "parameter_type": tensor.dtype,
        }
        for elements in _element_columns(tensor):
            rows = pl.DataFrame(elements).with_columns(pl.lit(value).alias(name) for name, value in facts.items())
            append_csv(rows.select(columns), file, is_first=False)


def _element_columns(tensor: StateTensor) -> Iterator[dict[str, Any]]:
    """Yield the columns ``index`` and ``value``, slice by slice."""
    dtype = DTYPES[tensor.dtype]
    values = tensor.array().reshape(-1)
    if not tensor.size:
        yield {"index": pl.Series([""]), "value": pl.Series([""])}
    for start in range(0, tensor.size, _ROWS):
        part = values[start : start + _ROWS]
        places = np.unravel_index(np.arange(start, start + part.size), tensor.shape) if tensor.shape else ()
        index = pl.DataFrame([pl.Series(str(number), place) for number, place in enumerate(places)])
        texts = index.select(pl.concat_str(pl.all(), separator=",")).to_series() if places else pl.Series([""])
        yield {"index": texts, "value": _strings(part) if dtype.strings else elements_to_series(part, dtype)}


def _strings(values: npt.NDArray[Any]) -> pl.Series:
    """Return texts as a column, each as JSON, so that numbers stay texts and bytes stay bytes."""
    return pl.Series([texts_to_json(values[i : i + 1])[1:-1] for i in range(len(values))], dtype=pl.String)


class ElementRows:
    """The state in a table with one row per element; a tensor's rows are parsed when its bytes are requested."""

    def __init__(self, path: Path) -> None:
        """Find the tensors of a file and their shapes; raises StateError if the table does not have this style."""
        self._path = path
        self._header = b""
        self._last: tuple[int, pl.DataFrame] | None = None
        #: The blocks, offset and length, and by tensor those in which it has rows.
        self._blocks: list[tuple[int, int]] = []
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for number, frame in enumerate(self._frames()):
            self._collect_tensors(frame, number, found)
        numbered = structural_names(
            (layer, facts["layer_type"], parameter) for (layer, parameter), facts in found.items()
        )
        tensors = [self._tensor(*key, found[key], structure) for key, structure in zip(found, numbered, strict=True)]
        self.state = ModelState("", tuple(tensors), str(path))

    def _frames(self) -> Iterator[pl.DataFrame]:
        """Yield the rows block by block; a block ends at a line feed outside quotes."""
        with self._path.open("rb") as file:
            self._header = file.readline().removeprefix(b"\xef\xbb\xbf")
            offset, rest, wanted = file.tell(), b"", _BLOCK
            while True:
                block = rest + file.read(wanted)
                is_last = len(block) < len(rest) + wanted
                end = len(block) if is_last else _row_end(block)
                if end:
                    self._blocks.append((offset, end))
                    yield self._frame(block[:end])
                offset, rest = offset + end, block[end:]
                if is_last:
                    return

    def _frame(self, text: bytes) -> pl.DataFrame:
        try:
            frame = pl.read_csv(self._header + text, infer_schema=False).select(pl.col(COLUMNS).fill_null(""))
        except pl.exceptions.PolarsError as error:
            message = f"{self._path} is not valid CSV ({str(error).splitlines()[0]}); write it again."
            raise StateError(message) from error
        frame = frame.filter(pl.col("parameter") != "")
        return frame.with_columns(unescaped(pl.col(_NAMES))) if b"'" in text else frame

    def _collect_tensors(self, frame: pl.DataFrame, number: int, found: dict[tuple[str, str], dict[str, Any]]) -> None:
        """Note which tensors have rows in a block, and their largest indices."""
        keys = ["layer", "parameter"]
        for (layer, parameter), rows in frame.group_by(keys, maintain_order=True):
            key = (str(layer), str(parameter))
            dtypes = rows["parameter_type"].unique().to_list()
            facts = found.setdefault(key, {"dtype": dtypes[0], "blocks": [], "shape": None, "rows": 0, "faults": []})
            facts |= {"layer_type": rows["layer_type"][0]}
            facts["blocks"].append(number)
            facts["rows"] += len(rows)
            if dtypes != [facts["dtype"]] or facts["dtype"] not in DTYPES:
                facts["faults"].append(f"parameter_type is {', '.join(map(str, dtypes))}")
                continue
            ranks = rows["index"].str.count_matches(",", literal=True).unique().to_list()
            if rows["index"].eq("").any():
                sizes = [0] if rows["value"].eq("").all() else []  # even an empty text has its quotes
                if len(rows) > 1:
                    facts["faults"].append("indices are missing")
            elif len(ranks) > 1:
                facts["faults"].append("indices differ in length")
                continue
            elif ranks[0] >= MAX_DIMENSIONS:
                facts["faults"].append("indices have too many numbers")
                continue
            else:
                parts = _split_indices(rows["index"], int(ranks[0]) + 1)
                sizes = [0 if top is None else int(top) + 1 for top in parts.max().row(0)]
                if parts.select(pl.any_horizontal((pl.all() < 0).fill_null(value=True)).any()).item():
                    facts["faults"].append("an index is not a number")
            shape = facts["shape"]
            if shape is not None and len(shape) != len(sizes):
                facts["faults"].append("indices differ in length")
                continue
            facts["shape"] = [max(pair) for pair in zip(sizes, shape or sizes, strict=True)]

    def _tensor(self, layer: str, parameter: str, facts: dict[str, Any], structure: str) -> StateTensor:
        faults, shape = facts["faults"], tuple(facts["shape"] or ())
        if not faults and facts["rows"] != max(math.prod(shape), 1):
            faults.append(f"it has {facts['rows']} rows, but its indices need {math.prod(shape)}")
        dtype = facts["dtype"] if facts["dtype"] in DTYPES else "float32"

        def read() -> Buffer:
            if faults:
                message = f"its rows are damaged: {faults[0]}"
                raise StateError(message)
            return self._read(layer, parameter, DTYPES[dtype], shape, facts["blocks"])

        name = f"{layer}/{parameter}" if layer else parameter
        whose = {"layer": layer, "layer_type": facts["layer_type"], "parameter": parameter}
        return StateTensor(name, dtype, shape, read, aliases={STRUCTURE: structure}, **whose)

    def _block(self, number: int) -> pl.DataFrame:
        if self._last is None or self._last[0] != number:
            offset, length = self._blocks[number]
            with self._path.open("rb") as file:
                file.seek(offset)
                self._last = (number, self._frame(file.read(length)))
        return self._last[1]

    def _read(self, layer: str, parameter: str, dtype: Dtype, shape: tuple[int, ...], blocks: list[int]) -> Buffer:
        size = math.prod(shape)
        values = np.empty(size, dtype.stored)
        counts = np.zeros(size, np.uint8)
        is_wanted = (pl.col("layer") == layer) & (pl.col("parameter") == parameter)
        for number in blocks:
            rows = self._block(number).filter(is_wanted)
            if not size:
                break
            try:
                places = (
                    _split_indices(rows["index"], len(shape)).to_numpy()
                    if shape
                    else np.empty((len(rows), 0), np.int64)
                )
                flat = np.ravel_multi_index(tuple(places.T), shape) if shape else np.zeros(len(rows), np.int64)
                counts[flat] += 1
                values[flat] = _values(rows["value"], dtype)
            except ValueError as error:
                message = f"its rows are damaged: {error}"
                raise StateError(message) from error
        if (counts != 1).any():
            message = "its rows are damaged: an element is missing or doubled"
            raise StateError(message)
        return dtype.encode(values) if dtype.strings else array_bytes(values)


def _row_end(block: bytes) -> int:
    """Return the end of the last complete row of a block; 0 if there is none."""
    end = block.rfind(b"\n") + 1
    while end and block.count(b'"', 0, end) % 2:  # this line feed is within quotes
        end = block.rfind(b"\n", 0, end - 1) + 1
    return end


def _split_indices(index: pl.Series, rank: int) -> pl.DataFrame:
    """Return a column for each dimension with the numbers of ``i,j,…``; null if an index is invalid."""
    return index.str.split_exact(",", rank - 1).struct.unnest().select(pl.all().cast(pl.Int64, strict=False))


def _values(texts: pl.Series, dtype: Dtype) -> npt.NDArray[Any]:
    joined = ",".join(texts.to_list())
    if dtype.strings:
        return dtype.strings(texts_from_json(f"[{joined}]", dtype.name))
    values = text_to_numbers(joined.encode(), dtype)
    if len(values) != len(texts):
        message = "a value is missing, or is more than one"
        raise ValueError(message)
    return values
