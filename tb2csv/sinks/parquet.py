"""Parquet files, compressed with Zstandard, as polars writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tb2csv.late_modules import pl
from tb2csv.sinks.format_protocols import ReadableFormat, WholeFormat

if TYPE_CHECKING:
    from collections.abc import Mapping


class ParquetFormat(WholeFormat, ReadableFormat):
    """Parquet files with polars' own row groups, and without the minimum and maximum of columns.

    By the format these leave NaN out. DuckDB, DataFusion and pyarrow take them for the range of all values, so that a
    query for NaN would find no row (findings/duckdb_finds_no_nan_in_parquet_files_of_others.sh).
    """

    suffix = ".parquet"
    properties: Mapping[str, Any] = {"format": "parquet", "mediatype": "application/vnd.apache.parquet"}

    def write(self, table: pl.LazyFrame, path: str) -> None:
        """Write a whole table to a file."""
        statistics = {"min": False, "max": False}
        table.sink_parquet(path, compression="zstd", statistics=statistics, maintain_order=True)

    def read(self, path: str, schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
        """Return the rows of a file."""
        return pl.scan_parquet(path, hive_partitioning=False, glob=False)
