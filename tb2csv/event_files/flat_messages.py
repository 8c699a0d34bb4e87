"""Flattened protobuf classes: sub-messages, strings and packed fields stay bytes.

Parsing stops at one level. Nested messages are parsed only when they are needed, without a copy into Python objects,
and a broken nested message does not prevent reading the level above.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message


@functools.cache
def flat_classes(*classes: type[Message], without_oneofs: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a flattened class for each of ``classes``, by the message's name.

    A field whose type is another of ``classes`` stays a message and is parsed too. Every other field holds raw values:
    an enum is an int32, a string is bytes, a repeated number is repeated bytes (the packed form of each occurrence).
    A sub-message is repeated bytes, because concatenated encodings merge; in a oneof it is bytes, and the last
    occurrence wins. In the messages named in ``without_oneofs`` every occurrence of a sub-message is kept.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="tb2csv/flat.proto", package="tb2csv", syntax="proto3")
    nested = {f".{cls.DESCRIPTOR.full_name}": f".tb2csv.{cls.DESCRIPTOR.name}" for cls in classes}
    for cls in classes:
        flat = file.message_type.add()
        cls.DESCRIPTOR.CopyToProto(flat)
        _flatten(flat, nested, keep_oneofs=flat.name not in without_oneofs)
    pool = descriptor_pool.DescriptorPool()  # a private pool, so that TensorBoard's classes are not replaced
    pool.Add(file)
    return {
        flat.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tb2csv.{flat.name}"))
        for flat in file.message_type
    }


def _flatten(flat: Any, nested: dict[str, str], *, keep_oneofs: bool) -> None:
    """Flatten a message's descriptor in place; ``nested`` renames the types whose fields stay messages."""
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
