"""The module that TensorBoard imports at every start to find the Export tab.

An exception at import time would prevent TensorBoard from starting, so only TensorBoard's own class is imported before
``load``, and ``load`` catches all exceptions.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tensorboard.plugins import base_plugin

if TYPE_CHECKING:
    import argparse

    from tb2csv.tensorboard_plugin.plugin import ExportPlugin

_LOGGER = logging.getLogger("tensorboard")  # TensorBoard's logger, with its settings


class ExportLoader(base_plugin.TBLoader):  # type: ignore[misc]  # TensorBoard ships no types
    """Creates the plugin at a start of TensorBoard."""

    def define_flags(self, parser: argparse.ArgumentParser) -> None:
        """Add the flag of the Export tab to those of TensorBoard."""
        group = parser.add_argument_group("tb2csv (Export tab)")
        group.add_argument(
            "--tb2csv_hosts",
            metavar="NAMES",
            default="",
            help="Further names of this server for which the Export tab answers, separated by commas, such as that of "
            "a proxy in front of it. It always answers for IP addresses, localhost, and the names of --host and of "
            "this machine.",
        )

    def load(self, context: base_plugin.TBContext) -> ExportPlugin | None:
        """Return the plugin, or None and a warning in TensorBoard's log if tb2csv is broken."""
        try:
            from tb2csv.tensorboard_plugin.plugin import ExportPlugin

            return ExportPlugin(context)
        except Exception as error:  # noqa: BLE001 - TensorBoard has to start anyway
            _LOGGER.warning(
                "TensorBoard starts without the Export tab, because tb2csv does not work (%s: %s); reinstall it.",
                type(error).__name__,
                error,
            )
            return None
