"""The installed scanners of event files, by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.event_files import reference
from tb2csv.event_files.scanner_choice import COMPILED, default_scanner_name

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from tb2csv.event_files.values import SchemaTable, ValueColumns
    from tb2csv.tensor_protos import SplitValues


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
    #: As ``reference.read_head``; None for an event that only the reference can read.
    read_head: Callable[[bytes], tuple[float, int, bytes | None] | None]
    #: As ``reference.split_values``.
    split_values: SplitValues


#: The installed scanners, in the order of ``scanner_choice.INSTALLED``.
SCANNERS: Final = {
    "reference": Scanner(
        "reference",
        reference.scan,
        reference.PythonSchemaTable,
        reference.group,
        reference.read_metadata,
        reference.read_head,
        reference.split_values,
    )
}
if COMPILED is not None:
    SCANNERS["compiled"] = Scanner(
        "compiled",
        COMPILED.scan,
        COMPILED.SchemaTable,
        COMPILED.group,
        COMPILED.read_metadata,
        COMPILED.read_head,
        COMPILED.split_values,
    )


#: A table of names as bytes, which numbers them in less memory than a dict takes.
NameTable: Final[Callable[[], SchemaTable]] = list(SCANNERS.values())[-1].schema_table


def default_scanner() -> Scanner:
    """Return the scanner to use; ``scanner_choice.default_scanner_name`` chooses it."""
    return SCANNERS[default_scanner_name()]
