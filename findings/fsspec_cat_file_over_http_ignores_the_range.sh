#!/usr/bin/env bash
# fsspec's cat_file(url, start, end) returns the whole file if the HTTP server does not serve ranges.
# One expects: the bytes from start to end, or an error, as reading after a seek in the opened file raises ValueError.
# What happens: the server answers 200 with everything, and fsspec hands it over; cat_ranges does the same.
# Seen with: fsspec 2026.9.0, aiohttp 3.14.5, the server of Python's http.server, which knows no ranges.
# Consequence: a reader of ranges must compare the length of each answer with what it requested.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check fsspec==2026.9.0 aiohttp==3.14.5
cd "$work"
venv/bin/python - <<'PYTHON'
import functools
import http.server
import pathlib
import sys
import threading

import fsspec

pathlib.Path("served").mkdir()
pathlib.Path("served/data.bin").write_bytes(bytes(range(256)))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory="served"))
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/data.bin"
files = fsspec.filesystem("http")
one = len(files.cat_file(url, start=10, end=20))
(many,) = map(len, files.cat_ranges([url], [10], [20]))
try:
    with files.open(url) as file:
        file.seek(10)
        file.read(10)
        seeking = "works"
except ValueError:
    seeking = "ValueError"
server.shutdown()
print(f"requested 10 of 256 bytes; cat_file: {one}, cat_ranges: {many}; a seek and a read: {seeking}")
sys.exit((one, many, seeking) != (256, 256, "ValueError"))
PYTHON
