"""Tensors of strings: text, or other bytes as base64. Plugin ``text``, and the fallback for all other values.

Strings without a plugin are text if they are UTF-8. The first value of a schema decides for all of them: a later value
that is not UTF-8 is undecodable, as it is for the plugin ``text``.
"""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any, Final

from tb2csv.decoders.protocol import PART_ROWS, Decoder, TablePart, Undecodable
from tb2csv.decoders.tensor_batches import element_columns, element_counts, group_stacks, read_tensor, stacks
from tb2csv.errors import DecodeError
from tb2csv.event_files.values import ValueKind
from tb2csv.late_modules import np, pl
from tb2csv.tensor_protos import is_string

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from tb2csv.decoders.decode_options import DecodeOptions
    from tb2csv.decoders.protocol import Values
    from tb2csv.decoders.tensor_batches import Stack
    from tb2csv.event_files.values import ValueSchema


#: The maximum number of rows of a part of one tensor: strings take more memory than numbers.
_ROWS_OF_ONE: Final = 1 << 18


class TextDecoder(Decoder):
    """``wall_time, step, [i0 …,] text``: one row for each string of the tensor."""

    kind = "text"

    def signature(self, schema: ValueSchema, options: DecodeOptions) -> str | None:
        """Return the rank of a string tensor."""
        return _rank(schema) if is_string(schema.dtype) else None

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield one part per group of stacks; a value with a string that is not UTF-8 is undecodable."""
        for group in group_stacks(stacks(values, _read_text)):
            if isinstance(group, Undecodable):
                yield group
            else:
                yield from _parts(values, group, "text", bytes.decode)


class BlobDecoder(Decoder):
    """``wall_time, step, [i0 …,] data``, the data in base64: one row for each string that no other decoder takes.

    A value without a tensor gives one row with its payload; a value with metadata only, its plugin content.
    """

    kind = "blobs"

    def signature(self, schema: ValueSchema, options: DecodeOptions) -> str | None:
        """Take everything."""
        return _rank(schema)

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield one part per group of stacks."""
        for group in group_stacks(stacks(values, _read_blob)):
            if isinstance(group, Undecodable):
                yield group
            elif group[0].array.dtype != object:
                detail = f"no table is defined for a {group[0].array.dtype} tensor of an unknown type"
                yield from (Undecodable(row, detail) for row in range(group[0].start, group[-1].stop))
            else:
                yield from _parts(values, group, "data", encode_cell)


def encode_cell(data: bytes | memoryview) -> str:
    """Return bytes in base64, as a cell of a table."""
    return base64.b64encode(data).decode("ascii")


def is_text(values: Values) -> bool:
    """Return whether the first of some values is a tensor of strings, all of them UTF-8."""
    try:
        _read_text(values, 0)
    except DecodeError:
        return False
    return True


def _check_text(string: bytes) -> None:
    try:
        string.decode("utf-8")
    except UnicodeDecodeError as error:
        detail = f"a text is not UTF-8: {error.reason} at byte {error.start}"
        raise DecodeError(detail) from error


def _read_text(values: Values, row: int) -> npt.NDArray[Any]:
    """Return a value's strings, which are text; they are decoded part by part, because a text takes more memory."""
    array = read_tensor(values, row)
    if array.dtype != object:
        detail = f"a tensor of {array.dtype} is stored instead of strings"
        raise DecodeError(detail)
    for string in array.flat:
        _check_text(string)
    return array


def _rank(schema: ValueSchema) -> str:
    return f"rank{1 if schema.shape is None else len(schema.shape)}"


def _read_blob(values: Values, row: int) -> npt.NDArray[Any]:
    """Return a value's tensor, or its payload if it does not have one."""
    if values.schema(row).kind in (ValueKind.TENSOR_CONTENT, ValueKind.TENSOR_PROTO):
        return read_tensor(values, row)
    return np.array(bytes(values.payload(row)), object)


def _parts(values: Values, group: list[Stack], column: str, to_cell: Callable[[Any], str]) -> Iterator[TablePart]:
    """Yield the rows of a group; a tensor larger than a part is split."""
    flat = [stack.array.reshape(len(stack.array), math.prod(stack.array.shape[1:])) for stack in group]
    largest = max(array.shape[1] for array in flat)
    is_one = len(group) == 1 and len(flat[0]) == 1
    most = min(PART_ROWS, _ROWS_OF_ONE) if is_one else PART_ROWS
    for begin in range(0, max(largest, 1), most):
        end = begin + most
        columns = element_columns(values, group, begin, end)
        cells = [to_cell(string) for array in flat for string in array[:, begin:end].reshape(-1)]
        frame = pl.DataFrame({**columns, column: pl.Series(cells, dtype=pl.String)})
        yield TablePart(frame, group[0].start, group[-1].stop, element_counts(group, begin, end))
