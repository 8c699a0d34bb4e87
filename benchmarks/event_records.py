"""Event files as TensorFlow writes them, made a hundred thousand records at a time.

The bytes of a record come from TensorBoard's own protobuf classes, once for each tag and each
width that a step takes as a varint. All records of one width then differ only in places that are
known in advance (wall time, step, tensor content, checksum), which numpy fills in together.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import google_crc32c
import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Bytes = npt.NDArray[np.uint8]

# A TFRecord frame: length (8 bytes), checksum of the length (4), the event, its checksum (4).
_HEADER = 12
_FOOTER = 4
# Inside the event: field 1, the wall time, is 1 byte of key and 8 of value and always comes first;
# field 2, the step, follows with 1 byte of key, and is absent if the step is 0.
_WALL_TIME = _HEADER + 1
_STEP = _HEADER + 10

_RECORDS_AT_ONCE = 100_000
_CRC_MASK = 0xA282EAD8


@dataclass(frozen=True)
class Encoding:
    """How the values of a series lie on disk: always as `tensor_content`."""

    plugin_name: str  # "": no metadata at all, as `tf.summary.write` leaves it
    dtype: int  # a `DataType` of TensorFlow
    shape: tuple[int, ...]
    size: int  # bytes of one value


def masked_crc(crc: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Turn CRC-32Cs into the form in which TFRecords store them."""
    turned = (crc >> np.uint32(15)) | (crc << np.uint32(17))
    return np.asarray(turned + np.uint32(_CRC_MASK), dtype=np.uint32)


def frame(event: bytes) -> bytes:
    """Put an event into a TFRecord frame."""
    length = struct.pack("<Q", len(event))
    crcs = masked_crc(np.array([_crc(length), _crc(event)], dtype=np.uint32))
    return b"".join([length, crcs[0].tobytes(), event, crcs[1].tobytes()])


def write_file_version(stream: BinaryIO, wall_time: float) -> None:
    """Write the record that every event file of TensorFlow begins with."""
    event = event_pb2.Event(
        wall_time=wall_time,
        file_version="brain.Event:2",
        source_metadata=event_pb2.SourceMetadata(writer="tensorflow.core.util.events_writer"),
    )
    stream.write(frame(event.SerializeToString()))


def write_series(
    stream: BinaryIO,
    tags: Sequence[str],
    encoding: Encoding,
    wall_times: npt.NDArray[np.float64],
    contents: Bytes,
    start: int = 0,
) -> None:
    """Write one event for each step from `start` on and each tag, the tags in turn within each step.

    `wall_times` has the shape (steps, tags), `contents` (steps, tags, bytes of a value).
    Tags must have names of one length, so that all records of a step are equally long.
    """
    stop = start + len(wall_times)
    for first, last in _stretches(start, stop, max(1, _RECORDS_AT_ONCE // len(tags))):
        rows = slice(first - start, last - start)
        placeholder = _placeholder(encoding.size)
        templates = [frame(_event(tag, encoding, first, placeholder)) for tag in tags]
        content = templates[0].index(placeholder)
        block: Bytes = np.empty((last - first, len(tags), len(templates[0])), dtype=np.uint8)
        for column, template in enumerate(templates):
            block[:, column] = np.frombuffer(template, dtype=np.uint8)
        times = np.ascontiguousarray(wall_times[rows], dtype="<f8")
        block[:, :, _WALL_TIME : _WALL_TIME + 8] = times[..., None].view(np.uint8)
        for place, varint_byte in enumerate(_varint_bytes(first, last)):
            block[:, :, _STEP + place] = varint_byte[:, None]
        block[:, :, content : content + encoding.size] = contents[rows]
        _fill_checksums(block)
        stream.write(block.data)


def _event(tag: str, encoding: Encoding, step: int, content: bytes) -> bytes:
    """Return the bytes of one event."""
    value = summary_pb2.Summary.Value(
        tag=tag,
        tensor=tensor_pb2.TensorProto(
            dtype=encoding.dtype,
            tensor_shape=tensor_shape_pb2.TensorShapeProto(
                dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in encoding.shape]
            ),
            tensor_content=content,
        ),
    )
    if encoding.plugin_name:
        # TensorFlow repeats the plugin name on every event and never sets the data class.
        value.metadata.plugin_data.plugin_name = encoding.plugin_name
    event = event_pb2.Event(wall_time=1.0, step=step, summary=summary_pb2.Summary(value=[value]))
    serialized: bytes = event.SerializeToString()
    return serialized


def _placeholder(size: int) -> bytes:
    """Content that is found again in a record: no other field has bytes like these."""
    return (b"\xf1\xf2\xf3\xf4" * (size // 4 + 1))[:size]


def _stretches(first: int, stop: int, at_most: int) -> Iterator[tuple[int, int]]:
    """Split a range of steps at each step whose varint is longer by a byte, and into pieces of bounded size."""
    while first < stop:
        width = _varint_width(first)
        wider = 1 if width == 0 else 1 << (7 * width)
        last = min(stop, first + at_most, wider)
        yield first, last
        first = last


def _varint_width(step: int) -> int:
    """Return the bytes of a step; none for 0, which protobuf leaves out."""
    return -(-step.bit_length() // 7)


def _varint_bytes(first: int, last: int) -> Iterator[Bytes]:
    """Return the varints of steps of one width, byte by byte, each for all steps."""
    steps = np.arange(first, last, dtype=np.int64)
    width = _varint_width(first)
    for place in range(width):
        more = 0x80 if place < width - 1 else 0
        yield (((steps >> (7 * place)) & 0x7F) | more).astype(np.uint8)


def _fill_checksums(block: Bytes) -> None:
    """Compute the checksum of every record's event and put it after the event."""
    size = block.shape[2]
    data = block.tobytes()
    event_ends = range(size - _FOOTER, len(data) + 1, size)
    length = size - _FOOTER - _HEADER
    crcs = np.array([_crc(data[end - length : end]) for end in event_ends], dtype="<u4")
    stored = masked_crc(crcs).astype("<u4").view(np.uint8)
    block[:, :, -_FOOTER:] = stored.reshape(*block.shape[:2], _FOOTER)


def _crc(data: bytes) -> int:
    """Return the CRC-32C of some bytes."""
    crc: int = google_crc32c.value(data)
    return crc
