"""Names of columns that come from the log, beside those that every table has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container


def free_name(name: str, role: str, taken: Container[str]) -> str:
    """Return the column's name, with its role before it where that name is taken already."""
    while name in taken:
        name = f"{role}:{name}"
    return name
