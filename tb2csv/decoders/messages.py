"""Parsing of the protobuf messages in payloads and metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tb2csv.errors import DecodeError

if TYPE_CHECKING:
    from google.protobuf.message import Message


def parse_message(message_class: type[Message], data: bytes | memoryview) -> Any:
    """Parse ``data`` as a message.

    Raises:
        DecodeError: the bytes are not such a message.
    """
    from google.protobuf import message

    try:
        return message_class.FromString(bytes(data))
    except (message.DecodeError, ValueError) as error:  # ValueError: pure-Python protobuf, for text that is not UTF-8
        name = message_class.DESCRIPTOR.full_name.partition(".")[2]  # without the package
        detail = f"the {len(data)} bytes are not a {name}"
        raise DecodeError(detail) from error
