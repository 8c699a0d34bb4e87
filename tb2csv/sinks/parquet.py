"""Parquet files, compressed with Zstandard, as polars writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


class ParquetFormat:
    """Parquet files with polars' own row groups and statistics."""

    suffix = ".parquet"

    def __init__(self) -> None:
        """Set the properties for a data package."""
        self.properties: dict[str, Any] = {"format": "parquet", "mediatype": "application/vnd.apache.parquet"}

    def write(self, table: pl.LazyFrame, path: str) -> None:
        """Write a whole table to a file."""
        table.sink_parquet(path, compression="zstd", maintain_order=True)
