"""A process with moto's S3 API over HTTP, which counts its requests and can fail in ways that are set over HTTP.

``POST /_faults`` sets ``{"status": 503, "times": 2, "path": "tfevents"}``: the status of that many answers, or with
``"cut": 1000`` the number of bytes after which they end. ``GET /_requests`` returns the requests since the last
call, with their ranges. ``POST /_empty_objects`` with ``{"bucket": "logs", "keys": ["a"]}`` makes objects, which takes
a request each by the API.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_THROTTLED = b"<Error><Code>%s</Code><Message>Please reduce your request rate.</Message></Error>"


class FaultyStore:
    """moto's application with faults in front."""

    def __init__(self) -> None:
        self._moto: Any = DomainDispatcherApplication(create_backend_app)
        self._faults: dict[str, Any] = {}
        self._requests: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/_faults":
            self._faults = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            start_response("200 OK", [("Content-Length", "0")])
            return [b""]
        if path == "/_requests":
            body = json.dumps(self._requests).encode()
            self._requests = []
            start_response("200 OK", [("Content-Length", str(len(body)))])
            return [body]
        if path == "/_empty_objects":
            body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            store = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
            for key in body["keys"]:
                store.put_object(body["bucket"], key, b"")
            start_response("200 OK", [("Content-Length", "0")])
            return [b""]
        self._requests.append(f"{environ['REQUEST_METHOD']} {path} {environ.get('HTTP_RANGE', '')}".rstrip())
        faults = self._faults
        is_method = faults.get("method", environ["REQUEST_METHOD"]) == environ["REQUEST_METHOD"]
        if not faults.get("times") or faults.get("path", "") not in path or not is_method:
            answer: Iterable[bytes] = self._moto(environ, start_response)
            return answer
        faults["times"] -= 1
        if "cut" in faults:
            return self._cut(environ, start_response, faults["cut"])
        status = faults["status"]
        name = {503: b"SlowDown", 403: b"ExpiredToken"}.get(status, b"InternalError")
        body = _THROTTLED % name
        start_response(f"{status} Fault", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]

    def _cut(self, environ: dict[str, Any], start_response: Callable[..., Any], length: int) -> Iterable[bytes]:
        body = b"".join(self._moto(environ, start_response))
        yield body[:length]
        raise ConnectionAbortedError


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None:
        pass


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, FaultyStore(), threaded=True, request_handler=_Quiet)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
