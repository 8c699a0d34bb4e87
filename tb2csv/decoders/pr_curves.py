"""Precision-recall curves: one row per threshold. Plugin ``pr_curves``.

The value is a tensor ``[6, thresholds]``. The thresholds are not stored; they are evenly spaced from 0 to 1, as
TensorBoard computes them.

Sources: tensorboard/plugins/pr_curve/metadata.py and pr_curves_plugin.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.decoders.protocol import Decoder, TablePart, Undecodable
from tb2csv.decoders.tensor_batches import is_real, stacks, storable
from tb2csv.late_modules import np, pl
from tb2csv.tensor_protos import dtype_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tb2csv.decoders.decode_options import DecodeOptions
    from tb2csv.decoders.protocol import Values
    from tb2csv.event_files.values import ValueSchema

_ROWS: Final = ("true_positives", "false_positives", "true_negatives", "false_negatives", "precision", "recall")


class PrCurveDecoder(Decoder):
    """Table ``wall_time, step, threshold`` and six numbers per threshold."""

    kind = "pr_curves"

    def signature(self, schema: ValueSchema, options: DecodeOptions) -> str | None:
        """Return the dtype of a tensor ``[6, thresholds]``."""
        is_curve = schema.shape is not None and len(schema.shape) == 2 and schema.shape[0] == len(_ROWS)
        return dtype_name(schema.dtype) if is_curve and is_real(schema.dtype) else None

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield a part for each stack of tensors."""
        for stack in stacks(values):
            if isinstance(stack, Undecodable):
                yield stack
                continue
            count, _, thresholds = stack.array.shape
            columns = {
                "wall_time": np.repeat(values.wall_time[stack.start : stack.stop], thresholds),
                "step": np.repeat(values.step[stack.start : stack.stop], thresholds),
                "threshold": np.tile(np.linspace(0.0, 1.0, thresholds), count),
                **{name: storable(stack.array[:, i, :].reshape(-1)) for i, name in enumerate(_ROWS)},
            }
            yield TablePart(pl.DataFrame(columns), stack.start, stack.stop, thresholds)
