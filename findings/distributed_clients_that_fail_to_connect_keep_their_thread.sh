#!/usr/bin/env bash
# A Client of Dask whose constructor raises an exception leaves its thread behind, with an event loop.
# One expects: a constructor that raises cleans up what it has started, because the caller has no object to close.
# What happens: after an address that cannot be parsed, the client keeps its thread and the status "connecting" until it
# is collected as garbage, which closes it, in whatever thread that happens to be. After an address without a scheduler,
# its status is "closed", so that neither close() nor garbage collection ends the thread; it lives as long as the process.
# Seen with: distributed 2026.8.0.
# Consequence: a program that tries again collects threads. tb2csv closes a client that is still connecting when its
# start fails, in the thread that started it.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check distributed==2026.8.0
cd "$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import gc
import socket
import sys
import threading

import distributed

with socket.socket() as unused:
    unused.bind(("127.0.0.1", 0))
    port = unused.getsockname()[1]


def loops() -> int:
    return sum(thread.name == "IO loop" for thread in threading.enumerate())


class Client(distributed.Client):
    """Shows the status in which the start fails."""

    def start(self, **options):
        try:
            super().start(**options)
        finally:
            print("status:", self.status)
            seen.append(self.status)


seen = []
for address in ("not an address", f"tcp://127.0.0.1:{port}"):
    before = loops()
    try:
        Client(address, timeout="1s", set_as_default=False)
    except (ValueError, OSError) as error:
        name = type(error).__name__
    left = loops() - before
    gc.collect()
    collected = loops() - before
    print(f"{name}: {left} thread left, {collected} after garbage collection")
    seen += [left, collected]
sys.exit(seen != ["connecting", 1, 0, "closed", 1, 1])
PYTHON
