"""Tensors of numbers, in one of four styles. Any plugin's tensors come here that no other decoder takes."""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.decoders.decoder import PIECE_ROWS, Piece, StoredFile, Undecodable
from tb2csv.decoders.stacks import Stack, stacks, storable
from tb2csv.event_files.values import ValueKind
from tb2csv.tensor_protos import dtype_name, is_numeric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from tb2csv.decoders.decoder import DecodeOptions, Values
    from tb2csv.event_files.values import ValueForm

#: The widest row of the ``wide`` style, which is also what a spreadsheet takes; larger tensors keep a row per element.
MAX_WIDE_ELEMENTS: Final = 16_000
#: So do those of more dimensions, for in this style a table's name may have to tell them all.
MAX_WIDE_RANK: Final = 8

_TENSOR_KINDS: Final = (ValueKind.SCALAR_TENSOR, ValueKind.TENSOR_CONTENT, ValueKind.TENSOR_PROTO)


class TensorDecoder:
    """``wall_time, step, i0 … ik, value``, or what ``DecodeOptions.tensors`` asks for instead.

    Complex numbers take two columns, ``real`` and ``imag``.
    """

    def __init__(self, kind: str = "tensors") -> None:
        """Make tables of this kind."""
        self.kind = kind

    def signature(self, form: ValueForm, options: DecodeOptions) -> str | None:
        """Return what the columns depend on: the style and, according to it, the dtype, the rank or the shape."""
        if form.kind not in _TENSOR_KINDS or not is_numeric(form.dtype):
            return None
        style = _style(form, options)
        if style == "elements":
            # Of unknown rank: what there is, as a vector.
            return f"{dtype_name(form.dtype)}-rank{1 if form.shape is None else len(form.shape)}"
        if style == "wide":
            return "-".join([dtype_name(form.dtype), *map(str, form.shape or ())])
        return style

    def decode(self, values: Values) -> Iterator[Piece | Undecodable]:
        """Yield the tensors a stack at a time; one that is larger than a piece is cut."""
        layout = _LAYOUTS[_style(values.form(0), values.options)]
        for stack in stacks(values):
            if isinstance(stack, Undecodable):
                yield stack
            else:
                yield from layout(values, stack)


def _style(form: ValueForm, options: DecodeOptions) -> str:
    return "elements" if options.tensors == "wide" and not _is_narrow(form.shape) else options.tensors


def _is_narrow(shape: tuple[int, ...] | None) -> bool:
    if shape is None or len(shape) > MAX_WIDE_RANK:
        return False
    return math.prod(max(size, 1) for size in shape) <= MAX_WIDE_ELEMENTS


def _elements(values: Values, stack: Stack) -> Iterator[Piece]:
    count, *shape = stack.array.shape
    size = math.prod(shape)
    flat = stack.array.reshape(count, size)
    positions = np.unravel_index(np.arange(size), shape) if shape else ()
    for begin in range(0, max(size, 1), PIECE_ROWS):  # more than once only for a stack of one
        part = slice(begin, min(begin + PIECE_ROWS, size))
        repeats = part.stop - part.start
        columns = {
            "wall_time": np.repeat(values.wall_time[stack.start : stack.stop], repeats),
            "step": np.repeat(values.step[stack.start : stack.stop], repeats),
            **{f"i{axis}": np.tile(position[part], count) for axis, position in enumerate(positions)},
            **number_columns("value", flat[:, part].reshape(-1)),
        }
        yield _piece(columns, stack, repeats)


def _wide(values: Values, stack: Stack) -> Iterator[Piece]:
    columns = _time_columns(values, stack)
    for index in np.ndindex(*stack.array.shape[1:]):
        name = "_".join(["value", *map(str, index)])
        element = (slice(None), *index)
        columns |= number_columns(name, np.ascontiguousarray(stack.array[element]))
    yield _piece(columns, stack, 1)


def _encoded(values: Values, stack: Stack) -> Iterator[Piece]:
    arrays = stack.array.astype(stack.array.dtype.newbyteorder("<"), copy=False)
    columns = _array_columns(values, stack)
    columns["data"] = [base64.b64encode(array.tobytes()).decode("ascii") for array in arrays]
    yield _piece(columns, stack, 1)


def _files(values: Values, stack: Stack) -> Iterator[Piece]:
    files = []
    for row, array in enumerate(stack.array, stack.start):
        file = io.BytesIO()
        np.lib.format.write_array(file, array, allow_pickle=False)
        files.append(StoredFile(row, f"{values.ordinal[row]:06d}.npy", file.getvalue()))
    columns = _array_columns(values, stack)
    columns["path"] = [file.name for file in files]
    yield _piece(columns, stack, 1, tuple(files))


#: The styles by the name that DecodeOptions.tensors and the command line give them.
_LAYOUTS: Final[dict[str, Callable[[Values, Stack], Iterator[Piece]]]] = {
    "elements": _elements,
    "wide": _wide,
    "base64": _encoded,
    "npy": _files,
}
TENSOR_STYLES: Final = tuple(_LAYOUTS)


def _time_columns(values: Values, stack: Stack) -> dict[str, Any]:
    return {
        "wall_time": values.wall_time[stack.start : stack.stop],
        "step": values.step[stack.start : stack.stop],
    }


def _array_columns(values: Values, stack: Stack) -> dict[str, Any]:
    count, *shape = stack.array.shape
    return {
        **_time_columns(values, stack),
        "dtype": [stack.array.dtype.name] * count,
        "shape": [",".join(map(str, shape))] * count,
    }


def number_columns(name: str, numbers: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Return the column of these numbers; complex ones take two."""
    if np.iscomplexobj(numbers):
        suffix = name.removeprefix("value")
        return {
            f"real{suffix}": np.ascontiguousarray(numbers.real),
            f"imag{suffix}": np.ascontiguousarray(numbers.imag),
        }
    return {name: storable(numbers)}


def _piece(columns: dict[str, Any], stack: Stack, counts: int, files: tuple[StoredFile, ...] = ()) -> Piece:
    import polars as pl

    return Piece(pl.DataFrame(columns), stack.start, stack.stop, counts, files=files)
