"""Names for columns that come from the log and must not collide with a table's own columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container


def free_name(name: str, role: str, taken: Container[str]) -> str:
    """Return ``name``, with ``role`` as a prefix if the name is taken."""
    while name in taken:
        name = f"{role}:{name}"
    return name
