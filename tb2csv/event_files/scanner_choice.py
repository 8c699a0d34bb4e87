"""The names of the installed scanners, and which of them reads event files; it imports no numpy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from tb2csv.errors import Tb2csvError

if TYPE_CHECKING:
    from types import ModuleType

try:
    from tb2csv.event_files import _scanner as _compiled
except ImportError:  # installed without a C compiler
    _compiled = None  # type: ignore[assignment]

#: The module of the compiled scanner, if it was built.
COMPILED: Final[ModuleType | None] = _compiled

#: The names of the installed scanners, the preferred one last.
INSTALLED: Final = ("reference",) if COMPILED is None else ("reference", "compiled")

#: The environment variable that overrides the choice with the name of a scanner.
SCANNER_VARIABLE: Final = "TB2CSV_SCANNER"


def default_scanner_name() -> str:
    """Return the name of the scanner to use: the compiled one if it was built, unless the environment names another.

    Raises:
        Tb2csvError: the environment names a scanner that is not installed.
    """
    name = os.environ.get(SCANNER_VARIABLE) or INSTALLED[-1]
    if name not in INSTALLED:
        detail = (
            f"The scanner {name!r} is not installed; set {SCANNER_VARIABLE} to one of {', '.join(INSTALLED)}, or "
            "unset it."
        )
        raise Tb2csvError(detail)
    return name
