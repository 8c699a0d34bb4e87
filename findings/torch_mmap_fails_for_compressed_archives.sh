#!/usr/bin/env bash
# Expected: a checkpoint of torch.save is a ZIP archive, so a copy that was compressed again is read as the original is,
#   with mmap=True as without.
# Happens: torch.load reads the compressed copy. With mmap=True it maps the packed bytes of each tensor and fails with
#   "Trying to resize storage that is not resizable", which names neither mmap nor the compression.
# Seen: torch 2.13.0, numpy 2.4.6, Python 3.11.
# For tb2csv: before it maps a checkpoint into memory, it looks whether the members of the archive are compressed.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import sys
import zipfile

import torch

torch.save({"w": torch.arange(1000.0)}, "plain.pt")
with zipfile.ZipFile("plain.pt") as old, zipfile.ZipFile("packed.pt", "w", zipfile.ZIP_DEFLATED) as new:
    for name in old.namelist():
        new.writestr(name, old.read(name))
print("plain, mmap:", torch.load("plain.pt", mmap=True)["w"][:3].tolist())
read = torch.load("packed.pt")["w"]
print("packed, no mmap:", read[:3].tolist())
try:
    print("packed, mmap:", torch.load("packed.pt", mmap=True)["w"][:3].tolist())
    failed = ""
except RuntimeError as error:
    failed = str(error).splitlines()[0]
    print("packed, mmap:", failed)
sys.exit(not ("not resizable" in failed and torch.equal(read, torch.arange(1000.0))))
PYTHON
