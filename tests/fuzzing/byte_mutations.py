"""Mutations of bytes of which nothing is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

_NUMBERS = [b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\xff" * 8, b"\x00" * 8, b"\x80", b"\x00\x00\x00\x40"]


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, repeat, remove or insert a few bytes."""
    for _ in range(rng.choice([1, 1, 2, 5])):
        if not data:
            return rng.choice(_NUMBERS)
        at = rng.randrange(len(data))
        end = min(len(data), at + rng.choice([1, 2, 8, 100]))
        what = rng.randrange(6)
        if what == 0:
            data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        elif what == 1:
            data = data[:at]
        elif what == 2:
            data = data[:at] + data[end:]
        elif what == 3:
            data = data[:end] + data[at:end] + data[end:]
        else:
            number = rng.choice(_NUMBERS)
            data = data[:at] + number + data[at + (len(number) if what == 4 else 0) :]
    return data
