"""The two scanners, and which of them is in use: the compiled one where it was built."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.errors import Tb2csvError
from tb2csv.event_files import reference

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from tb2csv.event_files.values import FormTable, ValueColumns

try:
    from tb2csv.event_files import _scanner
except ImportError:  # installed without a C compiler
    _scanner = None  # type: ignore[assignment]

#: Set to the name of a scanner, this environment variable overrides the choice.
SCANNER_VARIABLE: Final = "TB2CSV_SCANNER"


class Scanner(NamedTuple):
    """A way to scan event files; ``reference.scan`` tells the contract of ``scan``."""

    name: str
    # Each scanner takes the kind of table that it makes.
    scan: Callable[[memoryview, int, int, Any, ValueColumns], tuple[int, int, int]]
    form_table: Callable[[], FormTable]
    #: As ``reference.group``.
    group: Callable[[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]], None]
    #: As ``reference.read_metadata``; None also for what only the reference can read.
    read_metadata: Callable[[bytes], tuple[bytes, bytes, bytes, bytes] | None]


#: The scanners that this installation has, the preferred one last.
SCANNERS: Final = {
    "reference": Scanner(
        "reference", reference.scan, reference.PythonFormTable, reference.group, reference.read_metadata
    )
}
if _scanner is not None:
    SCANNERS["compiled"] = Scanner(
        "compiled", _scanner.scan, _scanner.FormTable, _scanner.group, _scanner.read_metadata
    )


def default_scanner() -> Scanner:
    """Return the scanner to use: the compiled one if it was built, unless the environment names another."""
    name = os.environ.get(SCANNER_VARIABLE) or next(reversed(SCANNERS))
    if name not in SCANNERS:
        detail = f"{SCANNER_VARIABLE} asks for the scanner {name!r}, but only {' and '.join(SCANNERS)} are installed."
        raise Tb2csvError(detail)
    return SCANNERS[name]
