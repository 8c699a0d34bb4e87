"""Parquet files, compressed with Zstandard, as polars writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tb2csv.late_polars import pl
from tb2csv.sinks.format_protocols import ReadableFormat, WholeFormat

if TYPE_CHECKING:
    from collections.abc import Mapping


class ParquetFormat(WholeFormat, ReadableFormat):
    """Parquet files with polars' own row groups and statistics."""

    suffix = ".parquet"
    properties: Mapping[str, Any] = {"format": "parquet", "mediatype": "application/vnd.apache.parquet"}

    def write(self, table: pl.LazyFrame, path: str) -> None:
        """Write a whole table to a file."""
        table.sink_parquet(path, compression="zstd", maintain_order=True)

    def read(self, path: str, schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
        """Return the rows of a file."""
        return pl.scan_parquet(path, hive_partitioning=False, glob=False)
