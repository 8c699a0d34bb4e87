"""The installed scanners of event files, and the default: the compiled one if it was built."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.errors import Tb2csvError
from tb2csv.event_files import reference

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from tb2csv.event_files.values import SchemaTable, ValueColumns

try:
    from tb2csv.event_files import _scanner
except ImportError:  # installed without a C compiler
    _scanner = None  # type: ignore[assignment]

#: The environment variable that overrides the choice with the name of a scanner.
SCANNER_VARIABLE: Final = "TB2CSV_SCANNER"


class Scanner(NamedTuple):
    """A way to scan event files; ``reference.scan`` documents the contract of ``scan``."""

    name: str
    # Each scanner accepts only tables from its own ``schema_table``.
    scan: Callable[[memoryview, int, int, Any, ValueColumns], tuple[int, int, int]]
    schema_table: Callable[[], SchemaTable]
    #: As ``reference.group``.
    group: Callable[[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]], None]
    #: As ``reference.read_metadata``; None also for metadata that only the reference can read.
    read_metadata: Callable[[bytes], tuple[bytes, bytes, bytes, bytes] | None]


#: The installed scanners, the preferred one last.
SCANNERS: Final = {
    "reference": Scanner(
        "reference", reference.scan, reference.PythonSchemaTable, reference.group, reference.read_metadata
    )
}
if _scanner is not None:
    SCANNERS["compiled"] = Scanner(
        "compiled", _scanner.scan, _scanner.SchemaTable, _scanner.group, _scanner.read_metadata
    )


def default_scanner() -> Scanner:
    """Return the scanner to use: the compiled one if it was built, unless the environment names another one."""
    name = os.environ.get(SCANNER_VARIABLE) or next(reversed(SCANNERS))
    if name not in SCANNERS:
        installed = ", ".join(SCANNERS)
        detail = f"The scanner {name!r} is not installed; set {SCANNER_VARIABLE} to one of {installed}, or unset it."
        raise Tb2csvError(detail)
    return SCANNERS[name]
