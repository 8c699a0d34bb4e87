#!/usr/bin/env bash
# s3fs's cat_file reads two ranges of two versions of an object, if it is replaced in between; open does not.
# One expects: both ways see the replacement, or neither does.
# What happens: open() sends the ETag with each request, and the next read raises FileExpired; cat_file and cat_ranges
# send none, and the bytes of the old object are followed by those of the new one, without an error.
# Seen with: s3fs 2026.9.0, moto 5.2.5.
# Consequence: read an object in ranges through open(cache_type="none"), or compare ETags before and after.
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
store.pipe_file("bucket/log", b"aaaaaaaa")
opened = store.open("bucket/log", cache_type="none")
first, opened_first = store.cat_file("bucket/log", start=0, end=4), opened.read(4)
store.pipe_file("bucket/log", b"bbbbbbbb")
mixed = first + store.cat_file("bucket/log", start=4, end=8)
try:
    outcome = repr(opened_first + opened.read(4))
except OSError as error:
    outcome = type(error).__name__
print(f"cat_file, cat_file: {mixed!r}; open, read, read: {outcome}")
server.stop()
sys.exit((mixed, outcome) != (b"aaaabbbb", "FileExpired"))
PYTHON
