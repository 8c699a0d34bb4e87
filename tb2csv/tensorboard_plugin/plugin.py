"""The Export tab as a TensorBoard plugin. Its routes are imported at the first request, not at the start."""

from __future__ import annotations

import operator
import threading
from typing import TYPE_CHECKING, Final

from tensorboard.plugins import base_plugin

from tb2csv.tensorboard_plugin.event_sources import EventSources
from tb2csv.tensorboard_plugin.export_folders import remove_folders_of_dead_processes
from tb2csv.tensorboard_plugin.own_hosts import OwnHosts
from tb2csv.tensorboard_plugin.static_files import StaticFiles
from tb2csv.tensorboard_plugin.web_api import route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from werkzeug import wrappers

    from tb2csv.tensorboard_plugin.export_service import ExportService

PLUGIN_NAME: Final = "tb2csv"
#: TensorBoard 2.21 covers the end of its last tab, which this is if it shows more tabs than fit: the spaces take it.
TAB_NAME: Final = "Export\N{EM SPACE}\N{EM SPACE}"

#: By path: the HTTP method, and the method of ExportService that answers.
_ROUTES: Final = {
    "/api/options": ("GET", "options"),
    "/api/index": ("GET", "index"),
    "/api/preview": ("GET", "preview"),
    "/api/plan": ("POST", "plan"),
    "/api/export": ("POST", "export"),
    "/api/status/*": ("GET", "status"),
    "/api/download/*": ("GET", "download"),
    "/api/cancel/*": ("POST", "cancel"),
}


class ExportPlugin(base_plugin.TBPlugin):  # type: ignore[misc]  # TensorBoard ships no types
    """The plugin; nothing is read before a user opens the tab."""

    plugin_name = PLUGIN_NAME

    def __init__(self, context: base_plugin.TBContext) -> None:
        """Serve the event files of the TensorBoard with this ``context``, and remove what a killed one has left."""
        self._context = context
        self._sources = EventSources(context)
        self._hosts = OwnHosts(context.flags)
        # Beside the start of TensorBoard, because an export can have thousands of files.
        threading.Thread(target=remove_folders_of_dead_processes, name="tb2csv-cleaner", daemon=True).start()
        self._lock = threading.Lock()
        self._service: ExportService | None = None

    def is_active(self) -> bool:
        """Return whether TensorBoard knows of runs to export; a search of our own would take long."""
        provider = self._context.data_provider
        if self._sources.is_empty:
            return False
        if provider is None:
            return True
        from tensorboard import context

        return bool(provider.list_plugins(context.RequestContext(), experiment_id=""))

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """Return the tab's name and its script."""
        return base_plugin.FrontendMetadata(es_module_path="/static/index.js", tab_name=TAB_NAME)

    def get_plugin_apps(self) -> dict[str, Callable[..., Iterable[bytes]]]:
        """Return the routes."""
        hide_paths = self._sources.hide_paths
        apps = {"/static/*": route(StaticFiles().answer, "GET", None, hide_paths)}
        return apps | {
            path: route(self._handler(name), method, self._hosts, hide_paths)
            for path, (method, name) in _ROUTES.items()
        }

    def _handler(self, name: str) -> Callable[[wrappers.Request], wrappers.Response]:
        return lambda request: operator.methodcaller(name, request)(self._served())

    def _served(self) -> ExportService:
        with self._lock:
            if self._service is None:
                from tb2csv.tensorboard_plugin.export_service import ExportService

                self._service = ExportService(self._context, self._sources)
            return self._service
