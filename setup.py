"""Build the compiled modules if there is a C compiler; all else is in pyproject.toml.

Modules in Python do the same without them. TB2CSV_REQUIRE_EXT=1 makes a failed build an error, TB2CSV_SKIP_EXT=1 does
not try. From Python 3.11 on, they use the stable interface of Python alone: one wheel is for all of them.
"""

import os
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup

REQUIRED = os.environ.get("TB2CSV_REQUIRE_EXT") == "1"
# The scanner reads numbers as they lie in memory, and event files are little-endian.
SKIPPED = os.environ.get("TB2CSV_SKIP_EXT") == "1" or sys.byteorder == "big"
# Buffers came into the stable interface with 3.11. Free-threaded builds have no stable interface before 3.15.
IS_STABLE = sys.version_info >= (3, 11) and not sysconfig.get_config_var("Py_GIL_DISABLED")

if REQUIRED and SKIPPED:
    message = "TB2CSV_REQUIRE_EXT=1 asks for what TB2CSV_SKIP_EXT=1 or this machine's byte order leaves out."
    raise SystemExit(message)


def extension(name: str, *depends: str) -> Extension:
    """Return the compiled module of a name such as ``tb2csv._file_batches``, whose source is beside it."""
    macros: list[tuple[str, str | None]] = [("CYTHON_LIMITED_API", "1"), ("Py_LIMITED_API", "0x030B0000")]
    return Extension(
        name,
        [f"{name.replace('.', '/')}.pyx"],
        depends=list(depends),
        optional=not REQUIRED,
        define_macros=macros if IS_STABLE else [],
        py_limited_api=IS_STABLE,
        # Symbols for debuggers are two thirds of a module. A function that the stable interface lacks is an error.
        extra_compile_args=[] if os.name == "nt" else ["-O3", "-g0", "-Werror=implicit-function-declaration"],
    )


SCANNER = extension("tb2csv.event_files._scanner", *map(str, sorted(Path("tb2csv/event_files").glob("*.pxi"))))
# It calls POSIX functions; Windows gets the functions of file_batches.py.
EXTENSIONS = [SCANNER] if os.name == "nt" else [SCANNER, extension("tb2csv._file_batches")]

setup(
    ext_modules=[] if SKIPPED else EXTENSIONS,
    options={} if SKIPPED or not IS_STABLE else {"bdist_wheel": {"py_limited_api": "cp311"}},
)
