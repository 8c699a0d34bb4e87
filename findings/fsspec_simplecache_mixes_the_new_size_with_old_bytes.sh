#!/usr/bin/env bash
# fsspec's simplecache reports the new size of a file that has grown, and returns its old bytes.
# One expects: both from the store, or both from the cache.
# What happens: info() asks the store, cat() and open() take the copy that was made first.
# Seen with: fsspec 2026.9.0.
# Consequence: a program that follows a growing file reads to an end that is not there; refuse such a URL for that.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check fsspec==2026.9.0
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import fsspec

store = fsspec.filesystem("memory")
cached = fsspec.filesystem("simplecache", target_protocol="memory", cache_storage="cache")
store.pipe("/log", b"0123456789")
cached.cat("/log")
store.pipe("/log", b"0123456789abc")
size, content = cached.info("/log")["size"], cached.cat("/log")
print(f"13 bytes in the store; size by the cache: {size}, bytes from the cache: {len(content)}")
sys.exit((size, len(content)) != (13, 10))
PYTHON
