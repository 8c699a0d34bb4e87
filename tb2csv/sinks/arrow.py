"""Arrow files (IPC, also known as Feather version 2), not compressed: they can be mapped into memory as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


class ArrowFormat:
    """Arrow files with the types that every Arrow reader has known for long."""

    suffix = ".arrow"

    def __init__(self) -> None:
        """Give what a data package says of the files."""
        self.properties: dict[str, Any] = {"format": "arrow", "mediatype": "application/vnd.apache.arrow.file"}

    def write(self, table: pl.LazyFrame, path: str) -> None:
        """Write a whole table to a file."""
        import polars as pl

        # Text as LargeUtf8: not every reader knows the view types, which polars writes otherwise.
        table.sink_ipc(path, compression="uncompressed", compat_level=pl.CompatLevel.oldest(), maintain_order=True)
