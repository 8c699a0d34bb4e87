"""polars, imported at its first use.

polars takes longer to import than a million values take to scan, so it is imported while the first chunks are scanned.
If it cannot load its compiled library, for example because memory is short, polars only warns, and its functions fail
one by one. Here that is an ImportError. So all modules take ``pl`` from here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["pl"]


class _LatePolars:
    """The names of polars; the first one that is used imports it."""

    def __getattr__(self, name: str) -> Any:
        polars = importlib.import_module("polars")
        if not polars.__version__:  # which is in the library
            message = "polars cannot load its compiled library"
            raise ImportError(message)
        value = getattr(polars, name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import polars as pl
else:
    pl = _LatePolars()
