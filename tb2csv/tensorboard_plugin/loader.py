"""What TensorBoard imports at every start, to find the Export tab.

An exception at import time would keep all of TensorBoard from starting: nothing but TensorBoard's own class is
imported before ``load``, and ``load`` lets no exception out.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tensorboard.plugins import base_plugin

if TYPE_CHECKING:
    from tb2csv.tensorboard_plugin.plugin import ExportPlugin

_LOGGER = logging.getLogger("tensorboard")  # TensorBoard's own, so that its settings are ours


class ExportLoader(base_plugin.TBLoader):  # type: ignore[misc]  # TensorBoard ships no types
    """Makes the plugin for one start of TensorBoard."""

    def load(self, context: base_plugin.TBContext) -> ExportPlugin | None:
        """Return the plugin; None, and a warning in TensorBoard's log, where tb2csv is broken."""
        try:
            from tb2csv.tensorboard_plugin.plugin import ExportPlugin

            return ExportPlugin(context)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with tb2csv, TensorBoard has to start
            _LOGGER.warning(
                "TensorBoard starts without the Export tab, for tb2csv does not work (%s: %s); install it anew.",
                type(error).__name__,
                error,
            )
            return None
