#!/usr/bin/env bash
# s3fs raises three unrelated errors for one answer of S3, 412 Precondition Failed.
# One expects: a write under If-Match that fails can be recognized, as one under If-None-Match can.
# What happens: pipe_file(mode="create") raises FileExistsError, a read of an open file raises FileExpired with errno 16
# (EBUSY), and pipe_file(IfMatch=…) a plain OSError with errno 22 (EINVAL), as for a wrong argument; its text is that of
# the server. All three have kept the object as it was.
# Seen with: s3fs 2026.9.0, moto 5.2.5.
# Consequence: a lock with If-Match must compare the ETag after an EINVAL; one with If-None-Match need not.
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
store.pipe_file("bucket/log", b"old")
stale = store.info("bucket/log")["ETag"]
opened = store.open("bucket/log", cache_type="none")
store.pipe_file("bucket/log", b"new")


def error_of(call):
    try:
        call()
    except OSError as error:
        return type(error).__name__, error.errno
    return "no error", None


seen = [
    error_of(lambda: store.pipe_file("bucket/log", b"mine", mode="create")),
    error_of(lambda: store.pipe_file("bucket/log", b"mine", IfMatch=stale)),
    error_of(lambda: opened.read(3)),
]
content = store.cat_file("bucket/log")
print(f"create, put under If-Match, read under If-Match: {seen}; the object is {content!r}")
server.stop()
expected = [("FileExistsError", None), ("OSError", 22), ("FileExpired", 16)]
sys.exit((seen, content) != (expected, b"new"))
PYTHON
