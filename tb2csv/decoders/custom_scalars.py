"""Custom-scalar layouts: the charts in TensorBoard's custom scalars tab. Plugin ``custom_scalars``.

Source: tensorboard/plugins/custom_scalar/layout.proto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tb2csv.decoders.messages import parse_message
from tb2csv.decoders.per_value import Decoded, decode_one_by_one, read_strings
from tb2csv.decoders.protocol import Decoder
from tb2csv.late_modules import pl
from tb2csv.tensor_protos import is_string

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tb2csv.decoders.decode_options import DecodeOptions
    from tb2csv.decoders.protocol import TablePart, Undecodable, Values
    from tb2csv.event_files.values import ValueSchema


class CustomScalarDecoder(Decoder):
    """``wall_time, step, category, chart, type, tag, lower, upper``: one row for each line or band of a chart.

    ``tag`` is a regular expression in a ``multiline`` chart; in a ``margin`` chart it is the value's tag, and
    ``lower`` and ``upper`` are the tags of the band around it.
    """

    kind = "custom_scalars"

    def signature(self, schema: ValueSchema, options: DecodeOptions) -> str | None:
        """Take string tensors, which hold a Layout."""
        return "layout" if is_string(schema.dtype) else None

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield the rows of all values."""
        names = ("category", "chart", "type", "tag", "lower", "upper")
        return decode_one_by_one(values, dict.fromkeys(names, pl.String), _decode_layout)


def _decode_layout(values: Values, row: int) -> Decoded:
    from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

    rows: list[tuple[Any, ...]] = []
    for string in read_strings(values, row):
        for category in parse_message(Layout, string).category:
            for chart in category.chart:
                at = (category.title, chart.title)
                rows += [(*at, "multiline", tag, None, None) for tag in chart.multiline.tag]
                rows += [(*at, "margin", band.value, band.lower, band.upper) for band in chart.margin.series]
    return Decoded(rows)
