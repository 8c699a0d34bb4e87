"""Tensors of numbers in one of four styles. Plugin ``mesh``, and tensors that no other decoder takes."""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING, Any, Final

from tb2csv.decoders.protocol import PART_ROWS, Decoder, StoredFile, TablePart, Undecodable
from tb2csv.decoders.tensor_batches import Stack, element_columns, element_counts, group_stacks, stacks, storable
from tb2csv.event_files.values import ValueKind
from tb2csv.late_modules import np, pl
from tb2csv.tensor_protos import dtype_name, is_numeric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from tb2csv.decoders.decode_options import DecodeOptions
    from tb2csv.decoders.protocol import Values
    from tb2csv.event_files.values import ValueSchema

#: The widest row of the ``wide`` style, as spreadsheets have; larger tensors keep a row per element.
MAX_WIDE_ELEMENTS: Final = 16_000
#: The maximum rank of tensors in this style; the name of their table may need all their sizes.
MAX_WIDE_RANK: Final = 8

_TENSOR_KINDS: Final = (ValueKind.SCALAR_TENSOR, ValueKind.TENSOR_CONTENT, ValueKind.TENSOR_PROTO)


class TensorDecoder(Decoder):
    """Table ``wall_time, step, i0 … ik, value``, or the style in ``DecodeOptions.tensors``.

    Complex numbers take two columns, ``real`` and ``imag``.
    """

    def __init__(self, kind: str = "tensors") -> None:
        """Make tables of this kind."""
        self.kind = kind

    def signature(self, schema: ValueSchema, options: DecodeOptions) -> str | None:
        """Return the style and, depending on it, the dtype, the rank or the shape."""
        if schema.kind not in _TENSOR_KINDS or not is_numeric(schema.dtype):
            return None
        style = _style(schema, options)
        if style == "elements":
            # A tensor of unknown rank becomes a vector.
            return f"{dtype_name(schema.dtype)}-rank{1 if schema.shape is None else len(schema.shape)}"
        if style == "wide":
            return "-".join([dtype_name(schema.dtype), *map(str, schema.shape or ())])
        return style

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield the tensors, one stack at a time; a tensor larger than a part is split."""
        write = TENSOR_STYLES[_style(values.schema(0), values.options)]
        for group in group_stacks(stacks(values)):
            if isinstance(group, Undecodable):
                yield group
            else:
                yield from write(values, group)


def _style(schema: ValueSchema, options: DecodeOptions) -> str:
    return "elements" if options.tensors == "wide" and not _is_narrow(schema.shape) else options.tensors


def _is_narrow(shape: tuple[int, ...] | None) -> bool:
    if shape is None or len(shape) > MAX_WIDE_RANK:
        return False
    return math.prod(max(size, 1) for size in shape) <= MAX_WIDE_ELEMENTS


def _elements(values: Values, group: list[Stack]) -> Iterator[TablePart]:
    flat = [stack.array.reshape(len(stack.array), math.prod(stack.array.shape[1:])) for stack in group]
    largest = max(array.shape[1] for array in flat)
    for begin in range(0, max(largest, 1), PART_ROWS):  # several iterations only for a large tensor
        end = begin + PART_ROWS
        columns = element_columns(values, group, begin, end)
        parts = [array[:, begin:end].reshape(-1) for array in flat]
        columns |= number_columns("value", np.concatenate(parts) if len(parts) > 1 else parts[0])
        counts = element_counts(group, begin, end)
        yield TablePart(pl.DataFrame(columns), group[0].start, group[-1].stop, counts)


def _by_stack(to_part: Callable[[Values, Stack], TablePart]) -> Callable[[Values, list[Stack]], Iterator[TablePart]]:
    """Return a style in which each stack becomes a part."""
    return lambda values, group: (to_part(values, stack) for stack in group)


def _wide(values: Values, stack: Stack) -> TablePart:
    columns = _time_columns(values, stack)
    for index in np.ndindex(*stack.array.shape[1:]):
        name = "_".join(["value", *map(str, index)])
        element = (slice(None), *index)
        columns |= number_columns(name, np.ascontiguousarray(stack.array[element]))
    return _part(columns, stack)


def _encoded(values: Values, stack: Stack) -> TablePart:
    arrays = stack.array.astype(stack.array.dtype.newbyteorder("<"), copy=False)
    columns = _array_columns(values, stack)
    columns["data"] = [base64.b64encode(array.tobytes()).decode("ascii") for array in arrays]
    return _part(columns, stack)


def _files(values: Values, stack: Stack) -> TablePart:
    files = []
    for row, array in enumerate(stack.array, stack.start):
        file = io.BytesIO()
        np.lib.format.write_array(file, array, allow_pickle=False)
        files.append(StoredFile(row, f"{values.ordinal[row]:06d}.npy", file.getvalue()))
    columns = _array_columns(values, stack)
    columns["path"] = [file.name for file in files]
    return _part(columns, stack, tuple(files))


#: The styles of tensors by name, the default first.
TENSOR_STYLES: Final[dict[str, Callable[[Values, list[Stack]], Iterator[TablePart]]]] = {
    "elements": _elements,
    "wide": _by_stack(_wide),
    "base64": _by_stack(_encoded),
    "npy": _by_stack(_files),
}


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
    """Return a column with these numbers; complex numbers take two columns."""
    if np.iscomplexobj(numbers):
        suffix = name.removeprefix("value")
        return {
            f"real{suffix}": np.ascontiguousarray(numbers.real),
            f"imag{suffix}": np.ascontiguousarray(numbers.imag),
        }
    return {name: storable(numbers)}


def _part(columns: dict[str, Any], stack: Stack, files: tuple[StoredFile, ...] = ()) -> TablePart:
    """Return a part with one row per tensor."""
    return TablePart(pl.DataFrame(columns), stack.start, stack.stop, 1, files=files)
