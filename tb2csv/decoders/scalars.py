"""Scalars: one row per value. Plugin ``scalars``, legacy ``simple_value``, and rank-0 numbers without a plugin.

A tensor of the plugin ``scalars`` is a scalar if it has one element, whatever its rank: TensorBoard's Python backend
calls ``.item()`` on it. Source: tensorboard/plugins/scalar/scalars_plugin.py and
tensorboard/backend/event_processing/data_provider.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tb2csv.decoders.protocol import PART_ROWS, Decoder, TablePart, Undecodable
from tb2csv.decoders.tensor_batches import is_real, stacks, storable
from tb2csv.event_files.values import ValueKind
from tb2csv.late_modules import np, pl
from tb2csv.tensor_protos import decode_content, dtype_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from tb2csv.decoders.decode_options import DecodeOptions
    from tb2csv.decoders.protocol import Values
    from tb2csv.event_files.values import ValueSchema


class ScalarDecoder(Decoder):
    """Table ``wall_time, step, value``; the value keeps the type in which it is stored."""

    kind = "scalars"

    def __init__(self, *, any_rank: bool = False) -> None:
        """Accept numbers of rank 0 only, or with ``any_rank`` every tensor with one element."""
        self._any_rank = any_rank

    def signature(self, schema: ValueSchema, options: DecodeOptions) -> str | None:
        """Return the dtype of the number, or None if the schema is not that of a single number."""
        if schema.kind == ValueKind.SIMPLE_VALUE:
            return "float32"
        is_one = schema.shape == () or (self._any_rank and schema.shape is not None and set(schema.shape) == {1})
        return dtype_name(schema.dtype) if is_one and is_real(schema.dtype) else None

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield a row for each value that can be decoded."""
        if len(values) <= PART_ROWS:
            yield from _decode(values, 0)
            return
        for start in range(0, len(values), PART_ROWS):
            yield from _decode(values.take(slice(start, start + PART_ROWS)), start)


def _decode(values: Values, start: int) -> Iterator[TablePart | Undecodable]:
    """Yield the rows of one slice of values; ``start`` is the slice's index in the whole batch."""
    numbers: npt.NDArray[Any] = values.scalar
    counts: npt.NDArray[np.int64] | int = 1
    rows: Any = slice(None)
    dtype = storable(np.empty(0, _dtype(values.schema(0)))).dtype
    in_payload = np.flatnonzero(values.payload_length)
    if in_payload.size:
        numbers = np.zeros(len(values), dtype)
        inline = values.payload_length == 0
        numbers[inline] = values.scalar[inline]
        counts = np.ones(len(values), np.int64)
        for stack in stacks(values.take(in_payload)):
            if isinstance(stack, Undecodable):
                row = int(in_payload[stack.value_index])
                counts[row] = 0
                yield stack._replace(value_index=start + row)
            else:
                numbers[in_payload[stack.start : stack.stop]] = stack.array.reshape(-1)
        rows = counts.astype(bool)
    columns = {
        "wall_time": values.wall_time[rows],
        "step": values.step[rows],
        "value": numbers[rows].astype(dtype, copy=False),
    }
    # Here the first part may wait for the import of polars.
    yield TablePart(pl.DataFrame(columns), start, start + len(values), counts)


def _dtype(schema: ValueSchema) -> np.dtype[Any]:
    if schema.kind == ValueKind.SIMPLE_VALUE:
        return np.dtype(np.float32)
    return decode_content(b"", schema.dtype).dtype
