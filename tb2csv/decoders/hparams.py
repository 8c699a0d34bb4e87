"""Hyperparameters and what belongs to them, to be gathered into one table of trials. Plugin ``hparams``.

All of it is in the metadata; the tensor, where there is one, is empty. What it says is the matter of runs/trials.py.

Source: tensorboard/plugins/hparams/plugin_data.proto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tb2csv.decoders.messages import parse_message
from tb2csv.decoders.protocol import TablePart, Undecodable
from tb2csv.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tb2csv.decoders.protocol import DecodeOptions, Values
    from tb2csv.event_files.values import ValueSchema


class HparamDecoder:
    """``wall_time, step, content``: the values as they are, to be gathered by ``trials``."""

    kind = "hparams"
    reads_content = True

    def signature(self, form: ValueSchema, options: DecodeOptions) -> str | None:
        """Take every value of the plugin."""
        return "hparams"

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield one piece in the order of the log; a value whose metadata holds no HParamsPluginData is undecodable.

        However large, for all of it is kept until the end.
        """
        import polars as pl

        contents = []
        counts = np.zeros(len(values), np.int64)
        for row in values.log_order.tolist():  # which end belongs to which start is told by nothing else
            content = bytes(values.content(row))
            if parse(content) is None:
                yield Undecodable(row, f"the {len(content)} bytes of metadata are no HParamsPluginData", content)
            else:
                contents.append(content)
                counts[row] = 1
        rows = values.log_order[counts[values.log_order] > 0]
        columns = {
            "wall_time": values.wall_time[rows],
            "step": values.step[rows],
            "content": pl.Series(contents, dtype=pl.Binary),
        }
        yield TablePart(pl.DataFrame(columns), 0, len(values), counts, is_gathered=True)


def parse(content: bytes) -> Any | None:
    """Return serialized HParamsPluginData as a message; None where it is none."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    try:
        return parse_message(HParamsPluginData, content)
    except DecodeError:
        return None
