"""Build the compiled modules where a C compiler is at hand; all else is in pyproject.toml.

Modules in Python do the same where they are missing. TB2CSV_REQUIRE_EXT=1 makes a failed build an error,
TB2CSV_SKIP_EXT=1 does not try.
"""

import os
import sys

from setuptools import Extension, setup

REQUIRED = os.environ.get("TB2CSV_REQUIRE_EXT") == "1"
# The scanner reads numbers as they lie in memory, and event files are little-endian.
SKIPPED = os.environ.get("TB2CSV_SKIP_EXT") == "1" or sys.byteorder == "big"

scanner = Extension(
    "tb2csv.event_files._scanner",
    ["tb2csv/event_files/_scanner.pyx"],
    depends=[f"tb2csv/event_files/{part}.pxi" for part in ("_crc32c", "_schemas", "_wire")],
    optional=not REQUIRED,
    extra_compile_args=[] if os.name == "nt" else ["-O3"],
)

# It calls POSIX functions; Windows gets the functions of file_batches.py.
file_batches = Extension("tb2csv._file_batches", ["tb2csv/_file_batches.pyx"], optional=not REQUIRED)

if REQUIRED and SKIPPED:
    message = "TB2CSV_REQUIRE_EXT=1 asks for what TB2CSV_SKIP_EXT=1 or this machine's byte order leaves out."
    raise SystemExit(message)

setup(ext_modules=[] if SKIPPED else [scanner] if os.name == "nt" else [scanner, file_batches])
