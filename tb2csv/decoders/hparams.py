"""Hyperparameters and the states of trials, collected for the table of trials. Plugin ``hparams``.

All data are in the metadata; a tensor, if there is one, is empty. runs/hparams_table.py interprets the messages.

Source: tensorboard/plugins/hparams/plugin_data.proto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tb2csv.decoders.messages import parse_message
from tb2csv.decoders.protocol import Decoder, TablePart, Undecodable
from tb2csv.errors import DecodeError
from tb2csv.late_modules import np, pl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tb2csv.decoders.decode_options import DecodeOptions
    from tb2csv.decoders.protocol import Values
    from tb2csv.event_files.values import ValueSchema


class HparamDecoder(Decoder):
    """``wall_time, step, content``: the values unchanged, for the table of trials."""

    kind = "hparams"
    reads_content = True

    def signature(self, schema: ValueSchema, options: DecodeOptions) -> str | None:
        """Take every value of the plugin."""
        return "hparams"

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield one part in the order of the log; a value whose metadata is not an HParamsPluginData is undecodable.

        The part may be large, because all values are kept until the log has been read anyway.
        """
        contents = []
        counts = np.zeros(len(values), np.int64)
        for row in values.log_order.tolist():  # only the order shows which end belongs to which start
            content = bytes(values.content(row))
            if parse(content) is None:
                yield Undecodable(row, f"the {len(content)} bytes of metadata are not an HParamsPluginData", content)
            else:
                contents.append(content)
                counts[row] = 1
        rows = values.log_order[counts[values.log_order] > 0]
        columns = {
            "wall_time": values.wall_time[rows],
            "step": values.step[rows],
            "content": pl.Series(contents, dtype=pl.Binary),
        }
        yield TablePart(pl.DataFrame(columns), 0, len(values), counts, is_log_wide=True)


def parse(content: bytes) -> Any | None:
    """Return a serialized HParamsPluginData as a message, or None if the bytes are not one."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    try:
        return parse_message(HParamsPluginData, content)
    except DecodeError:
        return None
