#!/usr/bin/env bash
# watchfiles does not report many of the files that are created at once in new nested folders.
# One expects: a recursive watch reports every file that is created below the watched folder.
# What happens: the new folders are watched only after they were reported, and files created before that are never
# reported, without an error. Later writes to the same files are reported.
# Seen with: watchfiles 1.3.0, inotify of Linux 6.18.
# Consequence: a program that must see every file lists a reported folder, lists it again after a while, and lists
# everything now and then.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check watchfiles==1.3.0
cd "$work"
mkdir watched
venv/bin/python - <<'PYTHON'
import sys
import threading
import time
from pathlib import Path

from watchfiles import watch

root = Path("watched").resolve()
made = [root / f"trial{number}" / "deep" / "run" / "log" for number in range(400)]


def train() -> None:
    time.sleep(1)  # until the watch has begun
    for path in made:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"first")


threading.Thread(target=train).start()
ended = time.monotonic() + 6
reported = set()
for changes in watch(root, rust_timeout=500, yield_on_timeout=True):
    reported |= {Path(path) for _, path in changes}
    if time.monotonic() > ended:
        break
files = sum(path in reported for path in made)
tops = len({path.parts[len(root.parts)] for path in reported if path != root})
print(f"400 files created, {files} reported; top folders reported: {tops}")
sys.exit(not (files < 400 and tops == 400))
PYTHON
