"""The files of the page, which are part of the package."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Final

from tensorboard.backend import http_util

from tb2csv.tensorboard_plugin.web_api import RequestError

if TYPE_CHECKING:
    from werkzeug import wrappers

#: Content types by ending; those of the system are not used, because on Windows a script may be plain text.
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}


class StaticFiles:
    """Answers with a file by its name, which is looked up and not used as a path."""

    def __init__(self) -> None:
        """Find the files of the package."""
        folder = resources.files("tb2csv.tensorboard_plugin") / "static"
        self._files = {
            file.name: (file, kind)
            for file in (folder.iterdir() if folder.is_dir() else ())
            for ending, kind in _TYPES.items()
            if file.name.endswith(ending)
        }

    def answer(self, request: wrappers.Request) -> wrappers.Response:
        """Return the file named at the end of the request's path.

        Raises:
            RequestError: there is no such file.
        """
        found = self._files.get(request.path.rpartition("/static/")[2])
        if found is None:
            raise RequestError(404, "no_file", "The Export tab has no such file.")
        file, kind = found
        response: wrappers.Response = http_util.Respond(request, file.read_bytes(), kind)
        return response
