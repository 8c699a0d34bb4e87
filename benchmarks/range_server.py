"""A web server with index pages, ranges and latency, which costs little itself.

    python benchmarks/range_server.py FOLDER LATENCY

It prints its port, then serves the files below FOLDER, each answer LATENCY seconds late. When its standard input ends,
it prints the number of its requests and its processor time in seconds, and ends.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from pathlib import Path
from urllib.parse import unquote

_REQUEST = re.compile(rb"(GET|HEAD) (\S+) HTTP/1\.1\r\n")
_RANGE = re.compile(rb"(?i)\r\nrange: bytes=(\d+)-(\d+)\r\n")


class Connection(asyncio.Protocol):
    """One connection; a client sends its next request after the answer."""

    requests = 0

    def __init__(self, folder: Path, latency: float) -> None:
        """Serve ``folder``."""
        self._folder = folder
        self._latency = latency
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a request that is complete."""
        self._received += data
        if self._received.endswith(b"\r\n\r\n"):
            request, self._received = self._received, b""
            asyncio.get_running_loop().call_later(self._latency, self._answer, request)

    def _answer(self, request: bytes) -> None:
        Connection.requests += 1
        parts = _REQUEST.match(request)
        assert parts is not None
        path = unquote(parts[2].decode())
        file = self._folder / path.strip("/")
        if path.endswith("/") and file.is_dir():
            names = (each.name + "/" * each.is_dir() for each in file.iterdir())
            body = "".join(f'<a href="{name}">{name}</a>\n' for name in names).encode()
            self._send("200 OK", "Content-Type: text/html", body, parts[1])
        elif file.is_file():
            self._send_file(file, request, parts[1])
        else:
            self._send("404 Not Found", "Content-Type: text/plain", b"", parts[1])

    def _send_file(self, file: Path, request: bytes, method: bytes) -> None:
        size = file.stat().st_size
        wanted = _RANGE.search(request)
        start, stop = (int(wanted[1]), min(int(wanted[2]) + 1, size)) if wanted else (0, size)
        with file.open("rb") as source:
            source.seek(start)
            body = source.read(stop - start)
        headers = f'ETag: "{size}"\r\nContent-Range: bytes {start}-{stop - 1}/{size}'
        self._send("206 Partial Content" if wanted else "200 OK", headers, body, method)

    def _send(self, status: str, headers: str, body: bytes, method: bytes) -> None:
        self._transport.write(f"HTTP/1.1 {status}\r\n{headers}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        if method == b"GET":
            self._transport.write(body)


async def serve(folder: Path, latency: float) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(folder, latency), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(Connection.requests, time.process_time(), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), float(sys.argv[2])))
