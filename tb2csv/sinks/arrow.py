"""Arrow files (IPC, or Feather version 2) without compression, so that they can be memory-mapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tb2csv.late_modules import pl
from tb2csv.sinks.format_protocols import ReadableFormat, WholeFormat

if TYPE_CHECKING:
    from collections.abc import Mapping


class ArrowFormat(WholeFormat, ReadableFormat):
    """Arrow files with types that every Arrow reader supports."""

    suffix = ".arrow"
    properties: Mapping[str, Any] = {"format": "arrow", "mediatype": "application/vnd.apache.arrow.file"}

    def write(self, table: pl.LazyFrame, path: str) -> None:
        """Write a whole table to a file."""
        # Text as LargeUtf8: not every reader supports the view types that polars writes by default.
        table.sink_ipc(path, compression="uncompressed", compat_level=pl.CompatLevel.oldest(), maintain_order=True)

    def read(self, path: str, schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
        """Return the rows of a file."""
        return pl.scan_ipc(path, glob=False)
