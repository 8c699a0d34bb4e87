"""Estimates of the size of tables from value schemas, without decoding.

Rows are exact if the shape of a value gives their number, as for scalars and tensors. Bytes are those of CSV in the
tree layout. A value whose shape does not fit its payload counts as zero rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.tensor_protos import most_elements

if TYPE_CHECKING:
    from collections.abc import Callable

    from tb2csv.event_files.values import ValueSchema

#: Bytes of a wall time, two commas and a line feed.
TIME_BYTES: Final = 21
#: Bytes of a float32 and a comma.
NUMBER_BYTES: Final = 11
#: Bytes of a bucket's right edge and count in a HistogramProto.
_BUCKET_BYTES: Final = 16


class TableSize(NamedTuple):
    """The size of one value in a table: rows, and bytes of text besides wall time and step."""

    rows: float
    row_bytes: float


def size_of_value(kind: str, schema: ValueSchema, payload: float) -> TableSize:
    """Return the size of a value of this schema in a table of this kind; ``payload`` is its size in bytes."""
    shape = schema.shape or ()
    if min(shape, default=0) < 0 or math.prod(shape) > most_elements(payload):
        return TableSize(0, 0)  # the value cannot be decoded
    return _SIZES.get(kind, _cells)(schema, payload)


def bytes_of_table(rows: float, row_bytes: float, last_step: int) -> int:
    """Return the bytes of a table."""
    return round(rows * (TIME_BYTES + len(str(last_step)) + row_bytes))


def _scalar(schema: ValueSchema, payload: float) -> TableSize:
    return TableSize(1, NUMBER_BYTES)


def _histogram(schema: ValueSchema, payload: float) -> TableSize:
    buckets = schema.shape[0] if schema.shape and len(schema.shape) > 1 else payload / _BUCKET_BYTES
    return TableSize(buckets, 3 * NUMBER_BYTES)


def _elements(schema: ValueSchema, payload: float) -> TableSize:
    if schema.shape is None:
        return TableSize(max(1.0, payload / 4), NUMBER_BYTES)
    digits = sum(len(str(size)) + 1 for size in schema.shape)
    return TableSize(math.prod(schema.shape), NUMBER_BYTES + digits)


def _texts(schema: ValueSchema, payload: float) -> TableSize:
    count = math.prod(schema.shape or ())
    return TableSize(count, payload / max(count, 1))


def _files(schema: ValueSchema, payload: float) -> TableSize:
    """Images and audio: the bytes are those of the files next to the table."""
    if not schema.shape:
        return TableSize(1, payload)
    count = schema.shape[0] - (2 if len(schema.shape) == 1 else 0)  # the first two strings of an image are its size
    return TableSize(max(count, 0), payload / max(count, 1))


def _curve(schema: ValueSchema, payload: float) -> TableSize:
    thresholds = schema.shape[-1] if schema.shape else payload / 24
    return TableSize(thresholds, 7 * NUMBER_BYTES)


def _cells(schema: ValueSchema, payload: float) -> TableSize:
    """Bytes as base64."""
    count = math.prod(schema.shape or ())
    return TableSize(count, payload / max(count, 1) * 4 / 3)


_SIZES: Final[dict[str, Callable[[ValueSchema, float], TableSize]]] = {
    "scalars": _scalar,
    "histograms": _histogram,
    "tensors": _elements,
    "meshes": _elements,
    "text": _texts,
    "images": _files,
    "audio": _files,
    "pr_curves": _curve,
}
