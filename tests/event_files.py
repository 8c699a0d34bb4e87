"""Event files to order: any sequence of events, sound or broken in any place, built without tb2csv.

Messages are TensorBoard's own protobuf classes, and checksums are google_crc32c's; nothing here shares code with what
is tested. There are three layers, each usable alone:

- *values*: ``scalar``, ``simple_value``, ``tensor``, ``text``, ``histogram``, … make one ``Summary.Value`` as one
  writer or another would; ``event`` makes an ``Event`` of any number of them.
- *bytes*: ``frame`` puts a payload into a TFRecord frame, ``event_file`` makes a whole file, ``write_run`` writes it.
  Every function that takes an event takes serialized bytes as well: ``raw_event`` makes such as no protobuf class would
  (broken messages within sound ones), out of ``field`` and ``varint``.
- *breaking*: ``records`` says where each record of a file is; ``flip``, ``cut``, ``with_payload``,
  ``with_length_crc_broken`` and ``with_payload_crc_broken`` return a changed copy.
"""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import google_crc32c
import numpy as np
from google.protobuf import struct_pb2
from tensorboard.compat.proto.event_pb2 import Event, TaggedRunMetadata
from tensorboard.compat.proto.histogram_pb2 import HistogramProto
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DataType
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

Value: TypeAlias = Summary.Value
#: An event, or the bytes of one.
AnyEvent: TypeAlias = "Event | bytes"

#: The first event of every file names this version.
FILE_VERSION = "brain.Event:2"

HEAD_SIZE = 12
FOOT_SIZE = 4

_DTYPES = {
    "float16": DataType.DT_HALF,
    "float32": DataType.DT_FLOAT,
    "float64": DataType.DT_DOUBLE,
    "int8": DataType.DT_INT8,
    "int16": DataType.DT_INT16,
    "int32": DataType.DT_INT32,
    "int64": DataType.DT_INT64,
    "uint8": DataType.DT_UINT8,
    "uint16": DataType.DT_UINT16,
    "uint32": DataType.DT_UINT32,
    "uint64": DataType.DT_UINT64,
    "bool": DataType.DT_BOOL,
    "complex64": DataType.DT_COMPLEX64,
    "complex128": DataType.DT_COMPLEX128,
}


# Tensors and metadata


def metadata(plugin_name: str = "", content: bytes = b"", display_name: str = "", description: str = "") -> Any:
    """Return a SummaryMetadata."""
    return SummaryMetadata(
        display_name=display_name,
        summary_description=description,
        plugin_data=SummaryMetadata.PluginData(plugin_name=plugin_name, content=content),
    )


def tensor_proto(array: npt.ArrayLike) -> TensorProto:
    """Return numbers as TensorFlow stores them, in ``tensor_content``; strings (``bytes``) in ``string_val``."""
    array = np.asarray(array)
    if array.dtype.kind in "OSU":
        strings = [item if isinstance(item, bytes) else str(item).encode() for item in array.reshape(-1).tolist()]
        return string_tensor(strings, array.shape)
    proto = TensorProto(dtype=_DTYPES[array.dtype.name])
    set_shape(proto, array.shape)
    proto.tensor_content = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return proto


def string_tensor(strings: Sequence[bytes], shape: Sequence[int] | None = None) -> TensorProto:
    """Return strings as every writer stores them; a vector if no shape is given."""
    proto = TensorProto(dtype=DataType.DT_STRING, string_val=strings)
    set_shape(proto, (len(strings),) if shape is None else shape)
    return proto


def tensor_of(dtype: str, shape: Sequence[int] | None = (), **fields: object) -> TensorProto:
    """Return a tensor field by field: ``tensor_of("DT_BFLOAT16", (2,), half_val=[…])``; None leaves the shape out."""
    proto = TensorProto(dtype=DataType.Value(dtype), **fields)
    if shape is not None:
        set_shape(proto, shape)
    return proto


def set_shape(proto: TensorProto, shape: Sequence[int]) -> None:
    """Give a tensor a shape; of rank 0, the field is there and empty, as TensorFlow has it."""
    proto.tensor_shape.SetInParent()
    for size in shape:
        proto.tensor_shape.dim.add(size=size)


# Values


def tensor(tag: str, array: Any, plugin_name: str | None = "", *, content: bytes = b"", **more: str) -> Value:
    """Return a tensor of a plugin: an array, or a TensorProto as it is. Plugin None leaves the metadata out."""
    proto = array if isinstance(array, TensorProto) else tensor_proto(array)
    value = Value(tag=tag, tensor=proto)
    if plugin_name is not None:
        value.metadata.CopyFrom(metadata(plugin_name, content, **more))
    return value


def scalar(tag: str, number: Any, dtype: str = "float32", **more: str) -> Value:
    """Return a scalar of TensorFlow 2: a rank-0 tensor of the plugin ``scalars``; of any dtype, valid or not."""
    return tensor(tag, np.array(number, dtype), "scalars", **more)


def bare_scalar(tag: str, number: Any, dtype: str = "float32") -> Value:
    """Return a scalar without metadata, as in a file after the first of its tag was written elsewhere."""
    return tensor(tag, np.array(number, dtype), None)


def simple_value(tag: str, number: float) -> Value:
    """Return a scalar of TensorFlow 1, PyTorch or tensorboardX."""
    return Value(tag=tag, simple_value=number)


def torch_new_style(tag: str, number: float, *, double: bool = False) -> Value:
    """Return what PyTorch's ``add_scalar(…, new_style=True)`` writes: a tensor without a shape field."""
    proto = (
        tensor_of("DT_DOUBLE", None, double_val=[number]) if double else tensor_of("DT_FLOAT", None, float_val=[number])
    )
    return tensor(tag, proto, "scalars")


def text(tag: str, strings: Any) -> Value:
    """Return text of TensorFlow 2 (a ``str`` or ``bytes``: rank 0) or of PyTorch (a list: a vector)."""
    return tensor(tag, np.array(strings, object), "text")


def histogram(tag: str, buckets: npt.ArrayLike) -> Value:
    """Return a histogram of TensorFlow 2 from rows of (left, right, count)."""
    return tensor(tag, np.array(buckets, np.float64).reshape(-1, 3), "histograms")


def legacy_histogram(tag: str, limits: Sequence[float], counts: Sequence[float], **stats: float) -> Value:
    """Return a histogram of the other writers: right edges and counts; ``stats`` are min, max, num, …"""
    return Value(tag=tag, histo=HistogramProto(bucket_limit=limits, bucket=counts, **stats))


def image(tag: str, width: int, height: int, *images: bytes) -> Value:
    """Return images of TensorFlow 2."""
    return tensor(tag, string_tensor([str(width).encode(), str(height).encode(), *images]), "images")


def legacy_image(tag: str, width: int, height: int, data: bytes) -> Value:
    """Return the image of any other writer."""
    return Value(tag=tag, image=Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=data))


def audio(tag: str, *clips: tuple[bytes, bytes]) -> Value:
    """Return audio of TensorFlow 2: pairs of clip and label."""
    return tensor(tag, string_tensor(list(itertools.chain(*clips)), (len(clips), 2)), "audio")


def legacy_audio(tag: str, data: bytes, sample_rate: float, length_frames: int) -> Value:
    """Return the audio clip of any other writer."""
    return Value(
        tag=tag,
        audio=Summary.Audio(
            sample_rate=sample_rate,
            num_channels=1,
            length_frames=length_frames,
            encoded_audio_string=data,
            content_type="audio/wav",
        ),
    )


def custom_scalars(multiline: Mapping[str, Sequence[str]], category: str = "losses") -> Value:
    """Return a layout of one category: charts of several tags each."""
    charts = [
        layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=tags))
        for title, tags in multiline.items()
    ]
    layout = layout_pb2.Layout(category=[layout_pb2.Category(title=category, chart=charts)])
    return layout_value(layout)


def layout_value(layout: layout_pb2.Layout) -> Value:
    """Return a layout of custom scalars as the plugin stores it."""
    return tensor("custom_scalars__config__", string_tensor([layout.SerializeToString()], ()), "custom_scalars")


def _hparams_value(tag: str, data: plugin_data_pb2.HParamsPluginData, *, has_tensor: bool) -> Value:
    value = Value(tag=tag, metadata=metadata("hparams", data.SerializeToString()))
    if has_tensor:
        value.tensor.CopyFrom(tensor_proto(np.zeros(0, np.float32)))
    return value


def hparams_start(
    hparams: Mapping[str, object],
    *,
    group_name: str = "",
    start: float = 0.0,
    model_uri: str = "",
    has_tensor: bool = True,
) -> Value:
    """Return the start of a trial; TensorFlow 2 gives it an empty tensor, PyTorch and tensorboardX no value at all."""
    info = plugin_data_pb2.SessionStartInfo(group_name=group_name, start_time_secs=start, model_uri=model_uri)
    for name, item in hparams.items():
        info.hparams[name].CopyFrom(_protobuf_value(item))
    data = plugin_data_pb2.HParamsPluginData(session_start_info=info)
    return _hparams_value("_hparams_/session_start_info", data, has_tensor=has_tensor)


def hparams_end(status: str = "STATUS_SUCCESS", *, end: float = 0.0, has_tensor: bool = True) -> Value:
    """Return the end of a trial."""
    info = plugin_data_pb2.SessionEndInfo(status=api_pb2.Status.Value(status), end_time_secs=end)
    data = plugin_data_pb2.HParamsPluginData(session_end_info=info)
    return _hparams_value("_hparams_/session_end_info", data, has_tensor=has_tensor)


def hparams_experiment(
    hparams: Iterable[str], metrics: Iterable[str | tuple[str, str]], *, has_tensor: bool = True
) -> Value:
    """Return the declaration of hyperparameters by name, and of metrics by tag or by (group, tag)."""
    pairs = [("", metric) if isinstance(metric, str) else metric for metric in metrics]
    experiment = api_pb2.Experiment(
        hparam_infos=[api_pb2.HParamInfo(name=name) for name in hparams],
        metric_infos=[api_pb2.MetricInfo(name=api_pb2.MetricName(group=group, tag=tag)) for group, tag in pairs],
    )
    data = plugin_data_pb2.HParamsPluginData(experiment=experiment)
    return _hparams_value("_hparams_/experiment", data, has_tensor=has_tensor)


def _protobuf_value(item: object) -> struct_pb2.Value:
    if isinstance(item, bool):
        return struct_pb2.Value(bool_value=item)
    if isinstance(item, (int, float)):
        return struct_pb2.Value(number_value=item)
    if isinstance(item, str):
        return struct_pb2.Value(string_value=item)
    return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)


# Events


def event(*values: Value, step: int = 0, wall_time: float = 0.0, **fields: object) -> Event:
    """Return an Event with a summary of these values, if there are any; ``fields`` are any others of its own."""
    made = Event(step=step, wall_time=wall_time, **fields)
    if values:
        made.summary.CopyFrom(Summary(value=values))
    return made


def file_version(wall_time: float = 0.0) -> Event:
    """Return the event that every file begins with."""
    return event(wall_time=wall_time, file_version=FILE_VERSION)


def run_metadata(tag: str, data: bytes) -> TaggedRunMetadata:
    """Return what ``event(tagged_run_metadata=…)`` takes."""
    return TaggedRunMetadata(tag=tag, run_metadata=data)


# The wire format by hand, for invalid messages


def varint(number: int) -> bytes:
    """Return a number as protobuf's varint; a negative one takes ten bytes."""
    number &= (1 << 64) - 1
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field: a sub-message, a string or a packed field, whatever ``content`` is."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def number_field(number: int, content: int) -> bytes:
    """Return a varint field."""
    return varint(number << 3) + varint(content)


def double_field(number: int, content: float) -> bytes:
    """Return a double field."""
    return varint(number << 3 | 1) + struct.pack("<d", content)


def raw_value(tag: bytes, *fields: bytes) -> bytes:
    """Return a Summary.Value of a tag, which need not be UTF-8, and whatever fields: ``field(8, b"no tensor")``."""
    return field(1, tag) + b"".join(fields)


def raw_event(*values: Value | bytes, step: int = 0, wall_time: float = 0.0, more: bytes = b"") -> bytes:
    """Return the bytes of an Event whose values may be any bytes; ``more`` comes after its summary."""
    serialized = [value if isinstance(value, bytes) else value.SerializeToString() for value in values]
    summary = b"".join(field(1, value) for value in serialized)
    return double_field(1, wall_time) + number_field(2, step) + field(5, summary) * bool(values) + more


# Frames and files


def masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C of TFRecord."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def frame(payload: bytes) -> bytes:
    """Return a payload in a TFRecord frame."""
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", masked_crc(length)) + payload + struct.pack("<I", masked_crc(payload))


def frames(events: Iterable[AnyEvent]) -> bytes:
    """Return events as consecutive records."""
    return b"".join(frame(each if isinstance(each, bytes) else each.SerializeToString()) for each in events)


def event_file(events: Iterable[AnyEvent], *, wall_time: float = 0.0) -> bytes:
    """Return the bytes of an event file: the event with the file version, from ``wall_time``, and these."""
    return frames([file_version(wall_time), *events])


def file_name(number: int = 0) -> str:
    """Return a name as writers give, the number being that of the file in its run."""
    return f"events.out.tfevents.{1_700_000_000 + number}.host.1.{number}.v2"


def write_run(folder: Path, *events: AnyEvent, name: str | None = None, wall_time: float = 0.0) -> Path:
    """Write one event file into the folder of a run, which is made if needed, and return the file's path.

    A second file of a run needs a name of its own: ``file_name(1)``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or file_name())
    path.write_bytes(event_file(events, wall_time=wall_time))
    return path


# Breaking


class Record(NamedTuple):
    """The place of a record in a file: four consecutive fields."""

    start: int
    payload_start: int
    payload_stop: int
    stop: int

    @property
    def length_field(self) -> slice:
        """The bytes of the length."""
        return slice(self.start, self.start + 8)

    @property
    def length_crc_field(self) -> slice:
        """The bytes of the length's checksum."""
        return slice(self.start + 8, self.payload_start)

    @property
    def payload(self) -> slice:
        """The bytes of the payload."""
        return slice(self.payload_start, self.payload_stop)

    @property
    def payload_crc_field(self) -> slice:
        """The bytes of the payload's checksum."""
        return slice(self.payload_stop, self.stop)


def records(data: bytes) -> list[Record]:
    """Return where each record of a sound file is."""
    found = []
    start = 0
    while start < len(data):
        (length,) = struct.unpack_from("<Q", data, start)
        payload_start = start + HEAD_SIZE
        record = Record(start, payload_start, payload_start + length, payload_start + length + FOOT_SIZE)
        assert record.stop <= len(data), "the file is not sound"
        found.append(record)
        start = record.stop
    return found


def record_offsets(data: bytes) -> list[int]:
    """Return where each record of a sound file starts, and last where the file ends."""
    return [record.start for record in records(data)] + [len(data)]


def payloads(data: bytes) -> list[bytes]:
    """Return the payload of each record of a sound file."""
    return [data[record.payload] for record in records(data)]


def flip(data: bytes, offset: int, mask: int = 0xFF) -> bytes:
    """Return the bytes with some bits of one of them turned over."""
    changed = bytearray(data)
    changed[offset] ^= mask
    return bytes(changed)


def overwrite(data: bytes, where: slice, content: bytes) -> bytes:
    """Return the bytes with a stretch of them replaced, by as many or not."""
    return data[: where.start] + content + data[where.stop :]


def cut(data: bytes, size: int) -> bytes:
    """Return the first bytes, as an interrupted writer leaves them."""
    return data[:size]


def with_length_broken(data: bytes, number: int) -> bytes:
    """Return the file with a bit of the length of one record flipped, its checksum left as it was."""
    return flip(data, records(data)[number].start, 0x01)


def with_length_crc_broken(data: bytes, number: int) -> bytes:
    """Return the file with the stored checksum of one record's length flipped; length and payload are right."""
    return flip(data, records(data)[number].length_crc_field.start)


def with_payload_broken(data: bytes, number: int) -> bytes:
    """Return the file with the last byte of one record's payload flipped, its checksum left as it was."""
    return flip(data, records(data)[number].payload_stop - 1)


def with_payload_crc_broken(data: bytes, number: int) -> bytes:
    """Return the file with the stored checksum of one record's payload flipped; the payload is right."""
    return flip(data, records(data)[number].payload_stop)


def with_payload(data: bytes, number: int, payload: bytes) -> bytes:
    """Return the file with another payload in one record, framed anew: a sound frame of whatever bytes."""
    record = records(data)[number]
    return overwrite(data, slice(record.start, record.stop), frame(payload))
