"""TensorBoard's protobuf message classes, flattened: every sub-message, string and packed field in them stays bytes.

Parsing then stops at one level. What nests below is left for whoever needs it, and is not copied into Python objects
on the way; where it is broken, the level above can still be read.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message


@functools.cache
def flat_classes(*classes: type[Message], without_oneofs: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a flattened class for each of ``classes``, by the message's name.

    In a flattened class an enum is an int32, a string is bytes, a repeated number is repeated bytes (the packed form of
    each occurrence), and a sub-message is repeated bytes, for to join the encodings of a message is to merge them;
    within a oneof it is plain bytes, of which the last occurrence counts.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="tb2csv/flat.proto", package="tb2csv", syntax="proto3")
    for cls in classes:
        flat = file.message_type.add()
        cls.DESCRIPTOR.CopyToProto(flat)
        _flatten(flat, keep_oneofs=flat.name not in without_oneofs)
    pool = descriptor_pool.DescriptorPool()  # of its own, so that nothing of TensorBoard's is replaced
    pool.Add(file)
    return {
        flat.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tb2csv.{flat.name}"))
        for flat in file.message_type
    }


def _flatten(flat: Any, *, keep_oneofs: bool) -> None:
    del flat.nested_type[:]
    del flat.enum_type[:]
    if not keep_oneofs:
        del flat.oneof_decl[:]
    for field in flat.field:
        field.ClearField("type_name")
        field.ClearField("options")
        if not keep_oneofs:
            field.ClearField("oneof_index")
        if field.type == field.TYPE_MESSAGE and not field.HasField("oneof_index"):
            field.label = field.LABEL_REPEATED
        if field.label == field.LABEL_REPEATED or field.type in (field.TYPE_MESSAGE, field.TYPE_STRING):
            field.type = field.TYPE_BYTES
        elif field.type == field.TYPE_ENUM:
            field.type = field.TYPE_INT32
