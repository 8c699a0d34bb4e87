"""Histograms: one row per bucket. Plugin ``histograms`` (tensors ``[k, 3]``) and legacy HistogramProto.

Buckets are written as they are stored, neither merged nor dropped. HistogramProto stores right edges only, so the left
edge of a bucket is the right edge of the one before it. The format's left edge of the first bucket, -DBL_MAX, is not
useful: it becomes ``min`` if the bucket holds values, and its own right edge if it does not.

Sources: tensorboard/plugins/histogram/summary_v2.py, tensorboard/compat/proto/histogram.proto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.decoders.messages import parse_message
from tb2csv.decoders.protocol import PART_ROWS, Decoder, TablePart, Undecodable
from tb2csv.decoders.tensor_batches import is_real, stacks
from tb2csv.errors import DecodeError
from tb2csv.event_files.flat_messages import flat_classes
from tb2csv.event_files.values import ValueKind
from tb2csv.late_modules import np, pl
from tb2csv.tensor_protos import dtype_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from tb2csv.decoders.decode_options import DecodeOptions
    from tb2csv.decoders.protocol import Values
    from tb2csv.event_files.values import ValueSchema

#: The side table of the statistics that a HistogramProto stores in addition to its buckets.
STATS_PART: Final = "stats"
STATS_KIND: Final = "histogram_stats"
_STATS: Final = ("min", "max", "num", "sum", "sum_squares")
_COLUMNS: Final = 3  # left, right, count

#: Types with values that a float64 cannot hold; no writer makes histograms of them.
_BEYOND_FLOAT64: Final = ("int64", "uint64")

#: Legacy histograms decoded together, if their rows fit into one part; PyTorch's default bins give 600 rows each.
_BATCH: Final = 1024


class HistogramDecoder(Decoder):
    """``wall_time, step, bucket, left, right, count``, and a second table of the statistics in a HistogramProto."""

    kind = "histograms"

    def signature(self, schema: ValueSchema, options: DecodeOptions) -> str | None:
        """Return the encoding, because only HistogramProto has statistics."""
        if schema.kind == ValueKind.HISTO:
            return "histo"
        is_histogram = schema.shape is not None and len(schema.shape) == 2 and schema.shape[1] == _COLUMNS
        is_exact = is_real(schema.dtype) and dtype_name(schema.dtype) not in _BEYOND_FLOAT64
        return "tensor" if is_histogram and is_exact else None

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield the buckets of all values."""
        return _legacy(values) if values.schema(0).kind == ValueKind.HISTO else _tensors(values)


def _tensors(values: Values) -> Iterator[TablePart | Undecodable]:
    width, numbers = 0, np.empty(0, np.int64)
    for stack in stacks(values):
        if isinstance(stack, Undecodable):
            yield stack
            continue
        count, buckets, _ = stack.array.shape
        if buckets != width or count * buckets > len(numbers):
            width, numbers = buckets, np.tile(np.arange(buckets), count)
        bucket = numbers[: count * buckets]  # usually the same in all parts, so they share one column
        edges_and_counts = stack.array.reshape(-1, _COLUMNS).astype(np.float64, copy=False)
        yield _buckets(values, slice(stack.start, stack.stop), buckets, bucket, *edges_and_counts.T)


def _legacy(values: Values) -> Iterator[TablePart | Undecodable]:
    batch: list[_Histogram | None] = []
    size = 0
    for row in range(len(values)):
        histogram = None
        try:
            histogram = _parse(bytes(values.payload(row)))
        except DecodeError as error:
            yield Undecodable.of(row, error)
        buckets = len(histogram.right) if histogram else 0
        if batch and (len(batch) == _BATCH or size + buckets > PART_ROWS):
            yield from _parts(values, row - len(batch), batch)
            batch, size = [], 0
        batch.append(histogram)
        size += buckets
    yield from _parts(values, len(values) - len(batch), batch)


def _parts(values: Values, start: int, histograms: list[_Histogram | None]) -> Iterator[TablePart]:
    """Yield the buckets and the statistics of the values from ``start`` on; None marks an unreadable value."""
    readable = [histogram for histogram in histograms if histogram]
    if not readable:
        return
    rows = slice(start, start + len(histograms))
    sizes = np.array([len(histogram.right) if histogram else 0 for histogram in histograms], np.int64)
    left, right, count = (
        np.concatenate([getattr(each, name) for each in readable]) for name in ("left", "right", "counts")
    )
    bucket = np.arange(len(right)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    yield _buckets(values, rows, sizes, bucket, left, right, count)
    yield _stats(values, rows, histograms)


class _Histogram(NamedTuple):
    stats: tuple[float, ...]
    left: npt.NDArray[np.float64]
    right: npt.NDArray[np.float64]
    counts: npt.NDArray[np.float64]


def _parse(serialized: bytes) -> _Histogram:
    from google.protobuf.unknown_fields import UnknownFieldSet
    from tensorboard.compat.proto.histogram_pb2 import HistogramProto

    flat = parse_message(flat_classes(HistogramProto)["HistogramProto"], serialized)
    try:
        right, count = (np.frombuffer(b"".join(field), "<f8") for field in (flat.bucket_limit, flat.bucket))
        if len(UnknownFieldSet(flat)):  # unpacked numbers, which only the full class reads
            full = parse_message(HistogramProto, serialized)
            right, count = np.array(full.bucket_limit, np.float64), np.array(full.bucket, np.float64)
    except ValueError as error:  # the length is not a multiple of a float64's
        detail = f"the {len(serialized)} bytes are not a HistogramProto"
        raise DecodeError(detail) from error
    if len(right) != len(count):
        detail = f"a histogram has {len(right)} bucket limits for {len(count)} buckets"
        raise DecodeError(detail)
    left = np.empty_like(right)
    left[1:] = right[:-1]
    if len(right):
        left[0] = min(flat.min, right[0]) if count[0] else right[0]
    return _Histogram(tuple(getattr(flat, name) for name in _STATS), left, right, count)


def _buckets(
    values: Values,
    rows: slice,
    counts: npt.NDArray[np.int64] | int,
    bucket: npt.NDArray[np.int64],
    left: npt.NDArray[np.float64],
    right: npt.NDArray[np.float64],
    count: npt.NDArray[np.float64],
) -> TablePart:
    columns = {
        "wall_time": np.repeat(values.wall_time[rows], counts),
        "step": np.repeat(values.step[rows], counts),
        "bucket": bucket,
        "left": np.ascontiguousarray(left),
        "right": np.ascontiguousarray(right),
        "count": np.ascontiguousarray(count),
    }
    return TablePart(pl.DataFrame(columns), rows.start, rows.stop, counts)


def _stats(values: Values, rows: slice, histograms: list[_Histogram | None]) -> TablePart:
    decoded = np.array([histogram is not None for histogram in histograms])
    stats = np.array([histogram.stats for histogram in histograms if histogram is not None])
    columns = {
        "wall_time": values.wall_time[rows][decoded],
        "step": values.step[rows][decoded],
        **{name: np.ascontiguousarray(stats[:, i]) for i, name in enumerate(_STATS)},
    }
    return TablePart(
        pl.DataFrame(columns), rows.start, rows.stop, decoded.astype(np.int64), STATS_PART, kind=STATS_KIND
    )
