"""TensorBoard's protobuf message classes, flattened: sub-messages, strings and packed fields in them stay bytes.

Parsing then stops where it is told to. What nests below is left for whoever needs it, and is not copied into Python
objects on the way; where it is broken, the level above can still be read.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message


@functools.cache
def flat_classes(*classes: type[Message], without_oneofs: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a flattened class for each of ``classes``, by the message's name.

    Where one of ``classes`` nests in another of them it stays a message, and is parsed with it. In all else a flattened
    class holds bytes: an enum is an int32, a string is bytes, a repeated number is repeated bytes (the packed form of
    each occurrence), and a sub-message is repeated bytes, for to join the encodings of a message is to merge them;
    within a oneof it is plain bytes, of which the last occurrence counts. In a message ``without_oneofs`` each
    occurrence of a sub-message counts.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="tb2csv/flat.proto", package="tb2csv", syntax="proto3")
    nested = {f".{cls.DESCRIPTOR.full_name}": f".tb2csv.{cls.DESCRIPTOR.name}" for cls in classes}
    for cls in classes:
        flat = file.message_type.add()
        cls.DESCRIPTOR.CopyToProto(flat)
        _flatten(flat, nested, keep_oneofs=flat.name not in without_oneofs)
    pool = descriptor_pool.DescriptorPool()  # of its own, so that nothing of TensorBoard's is replaced
    pool.Add(file)
    return {
        flat.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tb2csv.{flat.name}"))
        for flat in file.message_type
    }


def _flatten(flat: Any, nested: dict[str, str], *, keep_oneofs: bool) -> None:
    """Change a message's descriptor; ``nested`` gives new names to the types whose fields stay messages."""
    del flat.nested_type[:]
    del flat.enum_type[:]
    if not keep_oneofs:
        del flat.oneof_decl[:]
    for field in flat.field:
        field.ClearField("options")
        was_in_oneof = field.HasField("oneof_index")
        if not keep_oneofs:
            field.ClearField("oneof_index")
        if field.type_name in nested:
            field.type_name = nested[field.type_name]
            if was_in_oneof and not keep_oneofs:
                field.label = field.LABEL_REPEATED
            continue
        field.ClearField("type_name")
        if field.type == field.TYPE_MESSAGE and not field.HasField("oneof_index"):
            field.label = field.LABEL_REPEATED
        if field.label == field.LABEL_REPEATED or field.type in (field.TYPE_MESSAGE, field.TYPE_STRING):
            field.type = field.TYPE_BYTES
        elif field.type == field.TYPE_ENUM:
            field.type = field.TYPE_INT32
