#!/usr/bin/env bash
# Threads that read different members of a TAR archive through one fsspec file system get each other's bytes.
# One expects: that each open file has a position of its own, as the members of a ZIP archive have, whose reads hold a
# lock.
# What happens: all members seek and read one file object. Between the seek of one thread and its read, another one
# moves the position, so reads return bytes of other members, without an error.
# Seen with: fsspec 2026.9.0, Python 3.11.7.
# Consequence: tb2csv holds a lock while it reads a member of a TAR archive; before, sound records looked damaged.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check fsspec==2026.9.0
cd "$work"
venv/bin/python - <<'PYTHON'
import io
import sys
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import fsspec

sys.setswitchinterval(1e-5)  # threads take turns more often, so that it is seen sooner

NAMES = [f"member{number}" for number in range(8)]
SIZE = 4 << 20
with tarfile.open("all.tar", "w") as tar, zipfile.ZipFile("all.zip", "w") as archive:
    for number, name in enumerate(NAMES):
        info = tarfile.TarInfo(name)
        info.size = SIZE
        tar.addfile(info, io.BytesIO(bytes([number]) * SIZE))
        archive.writestr(name, bytes([number]) * SIZE)

wrong = {}
for protocol in ("tar", "zip"):
    filesystem = fsspec.filesystem(protocol, fo=f"all.{protocol}")

    def foreign(number, filesystem=filesystem):
        with filesystem.open(NAMES[number], "rb") as file:
            return sum(part != bytes([number]) * len(part) for part in iter(lambda: file.read(1 << 12), b""))

    with ThreadPoolExecutor(len(NAMES)) as threads:
        wrong[protocol] = sum(threads.map(foreign, range(len(NAMES))))
    print(f"{protocol}: {wrong[protocol]} of {len(NAMES) * SIZE >> 12} reads have bytes of other members")
sys.exit(not (wrong["tar"] and not wrong["zip"]))
PYTHON
