"""Keys of nested containers as parts of a path whose parts are joined by ``/``."""

from __future__ import annotations

from typing import Final

#: A ``/`` in a key would make {"a/b": 1} and {"a": {"b": 1}} one path. No other key becomes ``%``.
_ESCAPES: Final = str.maketrans({"%": "%25", "/": "%2F"})
_EMPTY: Final = "%"


def key_text(key: object) -> str:
    """Return a key or an index as a part of a path. Keys with different texts have different parts."""
    return str(key).translate(_ESCAPES) or _EMPTY
