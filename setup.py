"""Build the compiled scanner where a C compiler is at hand; all else is in pyproject.toml.

The reference scanner takes over where it is missing. TB2CSV_REQUIRE_EXT=1 makes a failed build an error,
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

if REQUIRED and SKIPPED:
    message = "TB2CSV_REQUIRE_EXT=1 asks for what TB2CSV_SKIP_EXT=1 or this machine's byte order leaves out."
    raise SystemExit(message)

setup(ext_modules=[] if SKIPPED else [scanner])
