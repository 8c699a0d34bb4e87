"""Tensors of strings: text as it is, anything else as base64. Plugin ``text``, and the last resort for all others."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.decoders.decoder import Piece, Undecodable
from tb2csv.decoders.stacks import Stack, read_tensor, stacks
from tb2csv.errors import DecodeError
from tb2csv.event_files.values import ValueKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from tb2csv.decoders.decoder import DecodeOptions, Values
    from tb2csv.event_files.values import ValueForm

_DT_STRING: Final = 7


class TextDecoder:
    """``wall_time, step, [i0 …,] text``, one row for each string of the tensor."""

    kind = "text"

    def signature(self, form: ValueForm, options: DecodeOptions) -> str | None:  # noqa: ARG002 - the interface's
        """Return the rank of a string tensor."""
        return _rank(form) if form.dtype == _DT_STRING else None

    def decode(self, values: Values) -> Iterator[Piece | Undecodable]:
        """Yield a piece for each stack; a value with a string that is no UTF-8 is undecodable."""
        for stack in stacks(values):
            if isinstance(stack, Undecodable):
                yield stack
            else:
                yield from _pieces(values, stack, "text", _text)


class BlobDecoder:
    """``wall_time, step, [i0 …,] data``, the data in base64: what no other decoder takes, one row for each string.

    Values that hold no tensor make one row of their payload, and an empty one where there is none.
    """

    kind = "blobs"

    def signature(self, form: ValueForm, options: DecodeOptions) -> str | None:  # noqa: ARG002 - the interface's
        """Take everything."""
        return _rank(form)

    def decode(self, values: Values) -> Iterator[Piece | Undecodable]:
        """Yield a piece for each stack."""
        for stack in stacks(values, _read_blob):
            if isinstance(stack, Undecodable):
                yield stack
            elif stack.array.dtype != object:
                detail = f"no table is defined for a {stack.array.dtype} tensor of no known type"
                yield from (Undecodable(row, detail) for row in range(stack.start, stack.stop))
            else:
                yield from _pieces(values, stack, "data", encode_cell)


def encode_cell(data: bytes | memoryview) -> str:
    """Return bytes as a table's cell."""
    return base64.b64encode(data).decode("ascii")


def _text(string: bytes) -> str:
    try:
        return string.decode("utf-8")
    except UnicodeDecodeError as error:
        detail = f"a text is no UTF-8: {error.reason} at byte {error.start}"
        raise DecodeError(detail) from error


def _rank(form: ValueForm) -> str:
    return f"rank{1 if form.shape is None else len(form.shape)}"


def _read_blob(values: Values, row: int) -> npt.NDArray[Any]:
    """Return a value's tensor, or its payload where it holds none."""
    if values.form(row).kind in (ValueKind.TENSOR_CONTENT, ValueKind.TENSOR_PROTO):
        return read_tensor(values, row)
    return np.array(bytes(values.payload(row)), object)


def _pieces(
    values: Values, stack: Stack, column: str, to_cell: Callable[[bytes], str]
) -> Iterator[Piece | Undecodable]:
    import polars as pl

    count, *shape = stack.array.shape
    size = math.prod(shape)
    counts = np.full(count, size)
    cells: list[str] = []
    for row, array in enumerate(stack.array.reshape(count, size)):
        try:
            cells += [to_cell(string) for string in array]
        except DecodeError as error:
            counts[row] = 0
            yield Undecodable(stack.start + row, str(error))
    positions = np.unravel_index(np.arange(size), shape) if shape else ()
    whole = len(cells) // max(size, 1)
    columns = {
        "wall_time": np.repeat(values.wall_time[stack.start : stack.stop], counts),
        "step": np.repeat(values.step[stack.start : stack.stop], counts),
        **{f"i{axis}": np.tile(position, whole) for axis, position in enumerate(positions)},
        column: pl.Series(cells, dtype=pl.String),
    }
    yield Piece(pl.DataFrame(columns), stack.start, stack.stop, counts)
