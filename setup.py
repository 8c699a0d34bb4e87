"""Build the compiled scanner where a C compiler is at hand; all else is in pyproject.toml.

The reference scanner takes over where it is missing. TB2CSV_REQUIRE_EXT=1 makes a failed build an error,
TB2CSV_SKIP_EXT=1 does not try.
"""

import os

from setuptools import Extension, setup

REQUIRED = os.environ.get("TB2CSV_REQUIRE_EXT") == "1"
SKIPPED = os.environ.get("TB2CSV_SKIP_EXT") == "1"

scanner = Extension(
    "tb2csv.event_files._scanner",
    ["tb2csv/event_files/_scanner.pyx"],
    optional=not REQUIRED,
    extra_compile_args=[] if os.name == "nt" else ["-O3"],
)

if REQUIRED and SKIPPED:
    message = "TB2CSV_REQUIRE_EXT and TB2CSV_SKIP_EXT contradict each other; set one of them."
    raise SystemExit(message)

setup(ext_modules=[] if SKIPPED else [scanner])
