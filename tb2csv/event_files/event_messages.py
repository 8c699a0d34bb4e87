"""Parsers for TensorBoard's event messages that leave nested messages as bytes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import DecodeError
from tb2csv.event_files.flat_messages import flat_classes

if TYPE_CHECKING:
    from collections.abc import Callable

#: The name of the class that parses an event but leaves its sub-messages as bytes.
SHALLOW_EVENT: Final = "shallow Event"


def parse(name: str, serialized: bytes) -> Any:
    """Parse a message of the class ``name``.

    Raises:
        DecodeError: the bytes are not such a message.
    """
    try:
        return _parser(name)(serialized)
    except _protobuf_error() as error:
        detail = f"the bytes are not a {name} in the protobuf wire format"
        raise DecodeError(detail) from error


@functools.cache
def _parser(name: str) -> Callable[[bytes], Any]:
    parser: Callable[[bytes], Any] = _classes()[name].FromString
    return parser


@functools.cache
def _protobuf_error() -> type[Exception]:
    from google.protobuf.message import DecodeError as ProtobufError

    return ProtobufError


@functools.cache
def _classes() -> dict[str, Any]:
    from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2

    summary = summary_pb2.Summary
    shape = tensor_shape_pb2.TensorShapeProto
    metadata = summary_pb2.SummaryMetadata
    standalone_messages = (metadata, metadata.PluginData, tensor_pb2.TensorProto, shape, shape.Dim)
    return {
        SHALLOW_EVENT: flat_classes(event_pb2.Event)["Event"],
        **flat_classes(event_pb2.SessionLog),
        # Without oneofs, a summary in addition to a graph, or a second summary, is kept and not overwritten.
        **flat_classes(event_pb2.Event, event_pb2.TaggedRunMetadata, summary, summary.Value, without_oneofs=("Event",)),
        **{name: flat for cls in standalone_messages for name, flat in flat_classes(cls).items()},
    }
