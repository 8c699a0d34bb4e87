"""numpy and polars, imported at their first use.

Both take longer to import than a million values take to scan. An update of a log that has not changed needs neither,
and polars is imported while the first chunks are scanned. So all modules that read logs take ``np`` and ``pl`` from
here, and use them in functions only. Several threads may be the first to use them.

If polars cannot load its compiled library, for example because memory is short, it only warns, and its functions fail
one by one. Here that is an ImportError.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["load_polars", "np", "pl"]

_LOADING: Final = threading.Lock()


def _load_numpy() -> Any:
    import numpy

    return numpy


@functools.cache
def _loaded_polars() -> Any:
    import numpy
    import polars

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
        return _loaded_polars()


class _LateModule:
    """The names of a module; the first one that is used imports it."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._load(), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import numpy as np
    import polars as pl
else:
    np = _LateModule(_load_numpy)
    pl = _LateModule(load_polars)
