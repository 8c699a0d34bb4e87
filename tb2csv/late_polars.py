"""polars, imported at its first use.

polars takes longer to import than a million values take to scan. So a module that a command imports before it scans
takes ``pl`` from here, and polars is imported while the first chunks are scanned. Other modules import polars.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["pl"]


class _LatePolars:
    """The names of polars; the first one that is used imports it."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module("polars"), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import polars as pl
else:
    pl = _LatePolars()
