"""Protobuf messages that payloads and metadata hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tb2csv.errors import DecodeError

if TYPE_CHECKING:
    from google.protobuf.message import Message


def parse_message(message_class: type[Message], data: bytes | memoryview) -> Any:
    """Return ``data`` as a message; raise DecodeError where it is none."""
    from google.protobuf import message

    try:
        return message_class.FromString(bytes(data))
    except (message.DecodeError, ValueError) as error:  # ValueError: protobuf in pure Python, on text that is no UTF-8
        name = message_class.DESCRIPTOR.full_name.partition(".")[2]  # without the package
        detail = f"the {len(data)} bytes are no {name}"
        raise DecodeError(detail) from error
