"""The maximum number of points of a series that TensorBoard shows; it keeps a sample in memory.

Source: ``DEFAULT_TENSOR_SIZE_GUIDANCE`` in tensorboard/backend/event_processing/data_ingester.py for the data server
in Python, ``StageTimeSeries::capacity`` in tensorboard/data/server/run.rs for the one in Rust.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_PYTHON: Final = {"scalars": 1000, "histograms": 500, "images": 10, "audio": 10, "pr_curves": 100}
_PYTHON_OTHERS: Final = 10
_RUST: Final = {"scalars": 1000, "images": 10, "audio": 10} | dict.fromkeys(
    ("graphs", "graph_run_metadata", "graph_run_metadata_graph", "graph_keras_model", "graph_tagged_run_metadata"), 10
)
_RUST_OTHERS: Final = 100


class SamplingLimits:
    """The limits of one TensorBoard process."""

    def __init__(self, context: Any) -> None:
        """Read the data server and ``--samples_per_plugin`` from TensorBoard's ``context``."""
        is_python = context.multiplexer is not None
        #: By plugin name; 0 means all points.
        self._limits: Mapping[str, int] = (_PYTHON if is_python else _RUST) | dict(context.sampling_hints or {})
        self._others = _PYTHON_OTHERS if is_python else _RUST_OTHERS

    def of(self, plugin_name: str, points: int) -> int:
        """Return how many of a series' points TensorBoard shows; 0 if the series has no plugin."""
        if not plugin_name:
            return 0
        limit = self._limits.get(plugin_name, self._others)
        return min(points, limit) if limit else points
