"""Downloads of exports, streamed from disk; the browser reports an incomplete download as an error."""

from __future__ import annotations

import re
import select
import socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from werkzeug import wrappers

from tb2csv.sinks.zip_stream import stream_zip
from tb2csv.tensorboard_plugin.archive_names import ARCHIVE_SUFFIX
from tb2csv.tensorboard_plugin.export_jobs import ExportError
from tb2csv.tensorboard_plugin.web_api import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tb2csv.tensorboard_plugin.export_jobs import ExportJob, ExportJobs

_PIECE: Final = 1 << 18
_GONE: Final = 410

#: Content types by ending; the first match is used.
_TYPES: Final = {
    ".zip": "application/zip",
    ".csv": "text/csv; charset=utf-8",
    ".csv.gz": "application/gzip",
    ".csv.zst": "application/zstd",
    ".parquet": "application/vnd.apache.parquet",
    ".arrow": "application/vnd.apache.arrow.file",
    ".jsonl": "application/x-ndjson",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_ANY_TYPE: Final = "application/octet-stream"


def download(jobs: ExportJobs, job: ExportJob, request: wrappers.Request) -> wrappers.Response:
    """Return the response that sends an export.

    The first bytes of an archive are sent at once, and the rest when the conversion is done. If the conversion fails,
    the connection is closed early, which is the only way to show a browser that a download is incomplete. A single file
    is sent when it is complete.

    Raises:
        RequestError: the export ended without a file.
    """
    if job.error is not None:
        raise RequestError(_GONE, job.error.code, str(job.error))
    headers = {
        "Content-Disposition": _disposition(job.name),
        "Content-Type": next((kind for ending, kind in _TYPES.items() if job.name.endswith(ending)), _ANY_TYPE),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    if request.method == "HEAD":
        return wrappers.Response(headers=headers)
    client_connected = _Listener(request.environ)
    if job.is_archive:
        return wrappers.Response(_archive(jobs, job, client_connected), headers=headers)
    with jobs.reading(job):
        try:
            path = jobs.wait(job, client_connected)
        except ExportError as error:
            raise RequestError(_GONE, error.code, str(error)) from error
    return wrappers.Response(_file(jobs, job, path), headers={**headers, "Content-Length": str(job.size)})


def _archive(jobs: ExportJobs, job: ExportJob, client_connected: _Listener) -> Iterator[bytes]:
    with jobs.reading(job):
        pieces = stream_zip(job.name.removesuffix(ARCHIVE_SUFFIX), lambda: jobs.wait(job, client_connected))
        yield from _checked(jobs, job, pieces)


def _file(jobs: ExportJobs, job: ExportJob, path: Path) -> Iterator[bytes]:
    with jobs.reading(job), path.open("rb", buffering=0) as file:
        yield from _checked(jobs, job, iter(lambda: file.read(_PIECE), b""))


def _checked(jobs: ExportJobs, job: ExportJob, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces until the export is cancelled."""
    while True:
        try:
            piece = next(pieces)
            jobs.check(job)
        except StopIteration:
            return
        except ExportError as error:
            # The server takes it for a closed connection, so it closes its side and writes no traceback.
            raise ConnectionAbortedError(str(error)) from error
        except OSError:
            jobs.fail(job)
            raise
        yield piece


class _Listener:
    """Returns whether the client of a request is still connected."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        #: TensorBoard's server sets it; without it, a closed connection shows only when something is sent.
        self._socket: socket.socket | None = environ.get("werkzeug.socket")

    def __call__(self) -> bool:
        if self._socket is None:
            return True
        try:
            readable, _, _ = select.select([self._socket], [], [], 0)
            return not readable or bool(self._socket.recv(1, socket.MSG_PEEK))
        except (OSError, ValueError):
            return False


def _disposition(name: str) -> str:
    """Return the header with the name of a download, which may have characters outside ASCII."""
    plain = re.sub(r'[^ -~]|["\\%]', "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
