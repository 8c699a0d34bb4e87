"""A decoder of the plugin ``sums``: the sum of each vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.decoders.per_value import Decoded, decode_one_by_one
from tb2csv.decoders.tensor_batches import read_tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tb2csv.decoders import DecodeOptions, TablePart, Undecodable, Values
    from tb2csv.event_files.values import ValueSchema


class SumDecoder:
    """``wall_time, step, sum``."""

    kind = "sums"

    def signature(self, schema: ValueSchema, options: DecodeOptions) -> str | None:
        """Take vectors."""
        return "sum" if schema.shape is not None and len(schema.shape) == 1 else None

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield the rows of all values."""
        import polars as pl

        return decode_one_by_one(values, {"sum": pl.Float64}, _sum)


def _sum(values: Values, row: int) -> Decoded:
    return Decoded([(float(read_tensor(values, row).sum()),)])


DECODER = SumDecoder()
