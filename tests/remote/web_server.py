"""A web server for tests: index pages, ranges or none, latency, answers in disorder, and a count of its requests."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
import time
from collections import Counter
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class WebServer(http.server.ThreadingHTTPServer):
    """Serves the files below a folder."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.has_ranges = True
        self.has_lengths = True
        self.has_etags = True
        self.refuses = False
        self.latency = 0.0
        #: Bytes after which an answer is cut, and the number of answers to cut.
        self.cut_after, self.cuts = 0, 0
        #: Called with the path of each request before it is answered.
        self.before_answer: Callable[[str], None] = lambda path: None
        self.bytes_sent = 0
        self.requests: list[tuple[str, str]] = []

    def handle_error(self, *_: object) -> None:
        """Ignore clients that end before their answer."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def counts(self) -> Counter[str]:
        """Return the number of requests for each path."""
        return Counter(path for _, path in self.requests)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: WebServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def _answer(self, *, has_body: bool) -> None:
        server = self.server
        path = unquote(self.path.partition("?")[0])
        server.requests.append((self.command, path))
        time.sleep(server.latency)
        server.before_answer(path)
        file = server.folder / path.strip("/")
        if server.refuses:
            self._send(403, b"", {}, has_body=has_body)
        elif file.is_dir() and path.endswith("/"):
            names = sorted(each.name + "/" * each.is_dir() for each in file.iterdir())
            links = "".join(f'<a href="{quote(name)}">{name}</a>\n' for name in ["?C=N;O=D", "../", *names])
            self._send(200, links.encode(), {"Content-Type": "text/html"}, has_body=has_body)
        elif file.is_file() and not path.endswith("/"):
            self._send_file(file, has_body=has_body)
        else:
            self._send(404, b"", {}, has_body=has_body)

    def _send_file(self, file: Path, *, has_body: bool) -> None:
        data, status = file.read_bytes(), file.stat()
        headers = {"Content-Type": "application/octet-stream"}
        if self.server.has_etags:
            headers |= {
                "ETag": f'"{status.st_mtime_ns}-{status.st_size}"',
                "Last-Modified": formatdate(status.st_mtime, usegmt=True),
            }
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not self.server.has_ranges or not wanted:
            self._send(200, data, headers, has_body=has_body)
            return
        start, last = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
        if start >= len(data):
            self._send(416, b"", {**headers, "Content-Range": f"bytes */{len(data)}"}, has_body=has_body)
            return
        headers["Content-Range"] = f"bytes {start}-{last}/{len(data)}"
        self._send(206, data[start : last + 1], headers, has_body=has_body)

    def _send(self, status: int, body: bytes, headers: dict[str, str], *, has_body: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.server.has_lengths or status != 200:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if has_body:
            if self.server.cuts and len(body) > self.server.cut_after:
                self.server.cuts -= 1
                body = body[: self.server.cut_after]
                self.close_connection = True
            self.server.bytes_sent += len(body)
            self.wfile.write(body)


@contextlib.contextmanager
def web_server(folder: Path) -> Iterator[WebServer]:
    """Serve a folder in a thread within the context."""
    with WebServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
