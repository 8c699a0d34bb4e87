"""Serialized summaries of one tensor each, with the metadata that ``tf.summary`` writes for each plugin."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.recorders.tensor_dtypes import STRING, dtype_number

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from tb2csv.tfrecord import Bytes

# A Summary of one tensor: field 1 the value; in it field 1 the tag, 8 the tensor, 9 the metadata; in the tensor, after
# its type and shape, field 4 the content.
_VALUE_FIELD: Final = b"\x0a"
_TAG_FIELD: Final = b"\x0a"
_TENSOR_FIELD: Final = b"\x42"
_METADATA_FIELD: Final = b"\x4a"
_CONTENT_FIELD: Final = b"\x22"


def tensor_summary(
    tag: str, array: npt.NDArray[Any], plugin: str = "tb2csv", dtype: str | None = None
) -> tuple[Bytes, Bytes, Bytes]:
    """Return a serialized Summary of one tensor in parts; the content shares the memory of the array.

    ``plugin`` is a key of PLUGINS. ``dtype`` is the name of the dtype if the array has the bits of another one.

    Raises TypeError or ValueError if an event file cannot hold such a tensor.
    """
    content: Bytes = b""
    if array.dtype.kind in "OSU":
        tensor = _text_tensor(array)
    else:
        tensor = _dtype_and_shape(dtype_number(dtype or array.dtype.name), array.shape)
        if array.dtype.byteorder == ">":
            array = array.astype(array.dtype.newbyteorder("<"))
        content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        if len(content):
            tensor += _CONTENT_FIELD + varint(len(content))
    name = tag.encode()
    metadata = _metadata(plugin)
    tensor_head = _TENSOR_FIELD + varint(len(tensor) + len(content)) + tensor
    head = _TAG_FIELD + varint(len(name)) + name + tensor_head
    tail = _METADATA_FIELD + varint(len(metadata)) + metadata
    return _VALUE_FIELD + varint(len(head) + len(content) + len(tail)) + head, content, tail


def _text_tensor(array: npt.NDArray[Any]) -> bytes:
    """Return a serialized TensorProto of text or bytes. Raises TypeError if an element is something else."""
    from tensorboard.compat.proto.tensor_pb2 import TensorProto

    texts = [each.encode() if isinstance(each, str) else each for each in array.ravel().tolist()]
    if any(not isinstance(each, bytes) for each in texts):
        message = "The elements are neither numbers nor text."
        raise TypeError(message)
    proto = TensorProto.FromString(_dtype_and_shape(STRING, array.shape))
    proto.string_val.extend(texts)
    serialized: bytes = proto.SerializeToString()
    return serialized


@functools.lru_cache(maxsize=1024)
def _dtype_and_shape(dtype: int, shape: tuple[int, ...]) -> bytes:
    """Return a serialized TensorProto without content."""
    from tensorboard.compat.proto.tensor_pb2 import TensorProto

    proto = TensorProto(dtype=dtype)
    proto.tensor_shape.SetInParent()
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    serialized: bytes = proto.SerializeToString()
    return serialized


def _plain() -> Any:
    """Return the metadata of a plugin that TensorBoard does not have, so that readers see plain tensors."""
    from tensorboard.compat.proto.summary_pb2 import SummaryMetadata

    return SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="tb2csv"))


def _scalars() -> Any:
    from tensorboard.plugins.scalar.metadata import create_summary_metadata

    return create_summary_metadata("", "")


def _histograms() -> Any:
    from tensorboard.plugins.histogram.metadata import create_summary_metadata

    return create_summary_metadata("", "")


def _text() -> Any:
    from tensorboard.plugins.text.metadata import create_summary_metadata

    return create_summary_metadata("", "")


def _images() -> Any:
    from tensorboard.plugins.image.metadata import create_summary_metadata

    return create_summary_metadata("", "")


def _audio() -> Any:
    from tensorboard.plugins.audio.metadata import create_summary_metadata
    from tensorboard.plugins.audio.plugin_data_pb2 import AudioPluginData

    return create_summary_metadata("", "", encoding=AudioPluginData.Encoding.Value("WAV"))


#: For each plugin, the class of its data and a function that returns its metadata.
PLUGINS: Final[dict[str, tuple[str, Callable[[], Any]]]] = {
    "tb2csv": ("DATA_CLASS_TENSOR", _plain),
    "scalars": ("DATA_CLASS_SCALAR", _scalars),
    "histograms": ("DATA_CLASS_TENSOR", _histograms),
    "text": ("DATA_CLASS_TENSOR", _text),
    "images": ("DATA_CLASS_BLOB_SEQUENCE", _images),
    "audio": ("DATA_CLASS_BLOB_SEQUENCE", _audio),
}


@functools.cache
def _metadata(plugin: str) -> bytes:
    from tensorboard.compat.proto import summary_pb2

    data_class, create = PLUGINS[plugin]
    metadata = create()
    metadata.data_class = getattr(summary_pb2, data_class)
    serialized: bytes = metadata.SerializeToString()
    return serialized


def varint(number: int) -> bytes:
    """Return a number that is not negative as protobuf writes it."""
    text = bytearray()
    while number > 0x7F:
        text.append(number & 0x7F | 0x80)
        number >>= 7
    text.append(number)
    return bytes(text)
