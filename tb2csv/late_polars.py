"""polars, imported at its first use.

polars takes longer to import than a million values take to scan, so it is imported while the first chunks are scanned.
If it cannot load its compiled library, for example because memory is short, polars only warns, and its functions fail
one by one. Here that is an ImportError. So all modules take ``pl`` from here. Several threads may be the first to use
it.
"""

from __future__ import annotations

import functools
import importlib
import threading
from typing import TYPE_CHECKING, Any, Final

__all__ = ["load_polars", "pl"]

_LOADING: Final = threading.Lock()


@functools.cache
def _loaded() -> Any:
    polars, numpy = importlib.import_module("polars"), importlib.import_module("numpy")
    if not polars.__version__:  # which is in the library
        message = "polars cannot load its compiled library"
        raise ImportError(message)
    polars.DataFrame({"value": numpy.zeros(1)})
    return polars


def load_polars() -> Any:
    """Import polars and the modules that it loads with the first frame, and return it; a command does so during a scan.

    polars looks for numpy at its first use and fails if two threads do that at once.
    """
    with _LOADING:
        return _loaded()


class _LatePolars:
    """The names of polars; the first one that is used imports it."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(load_polars(), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import polars as pl
else:
    pl = _LatePolars()
