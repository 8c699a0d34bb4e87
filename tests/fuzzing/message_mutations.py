"""Mutations of protobuf messages, and of event files of such messages whose checksums are right again afterwards.

Without right checksums, whatever is changed ends at the framing. So a record is taken apart, its message is changed
field by field or in its bytes, lengths of the messages around the change are mended, and the record is framed anew.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from byte_mutations import mutated_bytes
from event_files import frame, varint

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    #: Changes some bytes, of which it knows nothing.
    PlainMutation = Callable[[bytes, random.Random], bytes]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_NUMBERS: Final = (0, 1, 2, 3, 7, 19, 127, 128, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
_FLOATS: Final = (0.0, -0.0, 1.5, -1.0, float("nan"), float("inf"), 1e308, 1e-320)
#: Records of a file at most, and bytes of all of them, because long inputs are slow ones.
_RECORDS: Final = 6
_BYTES_OF_RECORDS: Final = 2000


class Field(NamedTuple):
    """A field of a message: its number, its wire type, and its content without the length."""

    number: int
    wire: int
    content: bytes

    def encoded(self) -> bytes:
        """Return the bytes of the field."""
        length = varint(len(self.content)) if self.wire == _BYTES else b""
        return varint(self.number << 3 | self.wire) + length + self.content


def _varint_end(message: bytes, position: int) -> int:
    """Return the end of a varint; -1 if it has none."""
    for end in range(position, min(position + 10, len(message))):
        if message[end] < 0x80:
            return end + 1
    return -1


def _number(encoded: bytes) -> int:
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(encoded))


def read_varint(message: bytes, position: int) -> tuple[int, int]:
    """Return a number and where it ends; ValueError if it does not end."""
    end = _varint_end(message, position)
    if end < 0:
        raise ValueError(position)
    return _number(message[position:end]), end


def split(message: bytes) -> list[Field] | None:
    """Return the fields of a message; None if the bytes are not one."""
    fields = []
    position = 0
    while position < len(message):
        start = _varint_end(message, position)
        key = _number(message[position:start])
        number, wire = key >> 3, key & 7
        if start < 0 or not 0 < number < 1 << 29:
            return None
        if wire == _BYTES:
            end = _varint_end(message, start)
            if end < 0:
                return None
            start, end = end, end + _number(message[start:end])
        elif wire in {_FIXED64, _FIXED32}:
            end = start + (8 if wire == _FIXED64 else 4)
        else:
            end = _varint_end(message, start) if wire == _VARINT else -1
        if not start <= end <= len(message):
            return None
        fields.append(Field(number, wire, message[start:end]))
        position = end
    return fields


def mutated_message(message: bytes, rng: random.Random, plain: PlainMutation = mutated_bytes) -> bytes:
    """Change a field of a message, or of a message within it, and mend the lengths around it."""
    fields = split(message)
    if not fields or rng.random() < 0.07:
        return plain(message, rng)
    at = rng.randrange(len(fields))
    field = fields[at]
    what = rng.randrange(12)
    if what == 0:
        del fields[at]
    elif what == 1:
        fields.insert(rng.randrange(len(fields) + 1), field)
    elif what == 2:
        other = rng.randrange(len(fields))
        fields[at], fields[other] = fields[other], field
    elif what == 3:
        fields[at] = field._replace(number=rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 100)))
    elif what == 4:
        fields[at] = field._replace(wire=rng.choice((_VARINT, _FIXED64, _BYTES, 3, 4, _FIXED32, 7)))
    elif what == 5 and len(fields) > 1:
        fields = fields[:at] or fields[at:]
    else:
        fields[at] = field._replace(content=_mutated_content(field, rng, plain))
    return b"".join(each.encoded() for each in fields)


def _mutated_content(field: Field, rng: random.Random, plain: PlainMutation) -> bytes:
    if field.wire == _BYTES:
        return mutated_message(field.content, rng, plain)
    if field.wire == _VARINT:
        near = _number(field.content) + rng.choice((-1, 1, 2, 8))
        return varint(rng.choice((near, rng.randrange(32), rng.choice(_NUMBERS))))
    number = rng.choice(_FLOATS)
    if field.wire == _FIXED32 and abs(number) > 1e38:
        number = float("inf")
    return struct.pack("<d" if field.wire == _FIXED64 else "<f", number)


def payloads_of(data: bytes) -> list[bytes]:
    """Return the payloads of a file as far as the lengths lead, and what is left as the last one."""
    found = []
    position = 0
    while len(data) - position >= 16:
        (length,) = struct.unpack_from("<Q", data, position)
        if length > len(data) - position - 16:
            break
        found.append(data[position + 12 : position + 12 + length])
        position += 16 + length
    return [*found, data[position:]] if position < len(data) else found


def _shortened(message: bytes) -> bytes:
    """Return the first fields of a message that is too long, or a part of it if it is one long field."""
    if len(message) <= _BYTES_OF_RECORDS:
        return message
    fields = split(message) or []
    size, kept = 0, b""
    for each in fields:
        size += len(each.content)
        if size <= _BYTES_OF_RECORDS:
            kept += each.encoded()
        elif not kept and each.wire == _BYTES:
            kept += each._replace(content=_shortened(each.content)).encoded()
    return kept or message[:_BYTES_OF_RECORDS]


def mutated_file(data: bytes, rng: random.Random, plain: PlainMutation = mutated_bytes) -> bytes:
    """Change records of an event file; their checksums are right, except for one change in fifty."""
    payloads = payloads_of(data) or [b""]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(payloads))
        what = rng.randrange(20)
        if what == 0 and len(payloads) > 1:
            del payloads[at]
        elif what == 1:
            payloads.insert(at, rng.choice(payloads))
        elif what == 2:
            payloads[at] = payloads[at] + rng.choice(payloads)  # protobuf merges the two messages
        else:
            payloads[at] = mutated_message(payloads[at], rng, plain)
    while len(payloads) > 1 and (len(payloads) > _RECORDS or sum(map(len, payloads)) > _BYTES_OF_RECORDS):
        del payloads[rng.randrange(len(payloads))]
    payloads = [_shortened(each) for each in payloads]
    found = b"".join(map(frame, payloads))
    return plain(found, rng) if rng.random() < 0.02 else found
