#!/usr/bin/env bash
# s3fs's cat_file returns the whole object for an empty range.
# One expects: no bytes for start=3, end=3, as from a local file, and as from s3fs's own open, seek and read.
# What happens: the request has no usable range, and the whole object comes, without an error.
# Seen with: s3fs 2026.9.0, moto 5.2.5.
# Consequence: a reader of what was added to a file gets all of it again if nothing was added; never request an empty
# range.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check s3fs==2026.9.0 'moto[server]==5.2.5'
cd "$work"
AWS_ACCESS_KEY_ID=key AWS_SECRET_ACCESS_KEY=secret AWS_DEFAULT_REGION=us-east-1 venv/bin/python - <<'PYTHON'
import logging
import sys

import s3fs
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(port=0, verbose=False)
server.start()
store = s3fs.S3FileSystem(endpoint_url="http://{}:{}".format(*server.get_host_and_port()))
store.mkdir("bucket")
store.pipe_file("bucket/log", b"0123456789")
empty = store.cat_file("bucket/log", start=3, end=3)
one = store.cat_file("bucket/log", start=3, end=4)
with store.open("bucket/log", cache_type="none") as file:
    file.seek(3)
    read = file.read(0)
print(f"cat_file(start=3, end=4): {one!r}, cat_file(start=3, end=3): {empty!r}, read(0): {read!r}")
server.stop()
sys.exit((one, empty, read) != (b"3", b"0123456789", b""))
PYTHON
