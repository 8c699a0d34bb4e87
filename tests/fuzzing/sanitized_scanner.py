"""The compiled scanner, built with AddressSanitizer and UndefinedBehaviorSanitizer.

Clang adds the counters that libFuzzer reads, and atheris has a library of both sanitizers and libFuzzer. Without clang
or atheris, GCC builds a scanner whose inputs are mutated blindly.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "tb2csv" / "event_files"
#: Without optimization, which takes most of the time of building and may leave accesses out; with lines for findings.
_FLAGS = ("-fPIC", "-O0", "-g1", "-fno-sanitize-recover=undefined", "-c")
#: Cython's own code adds zero to a null pointer; only what is written in the .pyx files counts.
_NOT_OURS = "[pointer-overflow]\nfun:__pyx_pw_*\nfun:__Pyx_*\n"


def build(folder: Path) -> dict[str, str] | None:
    """Build the scanner in a folder, and return the environment that uses it; None if it cannot be built here."""
    libraries = _with_clang() or _with_gcc()
    if libraries is None or importlib.util.find_spec("Cython") is None:
        return None
    source, library = folder / "_scanner.c", folder / f"_scanner{sysconfig.get_config_var('EXT_SUFFIX')}"
    cython = [sys.executable, "-m", "cython", "-3", str(SOURCES / "_scanner.pyx"), "-o", str(source)]
    subprocess.run(cython, check=True, capture_output=True)
    compiler, flags = "gcc", ["-fsanitize=address,undefined"]
    link = ["gcc", *flags]
    if _with_clang():
        compiler, link = "clang", ["cc"]  # all of the library is loaded before Python, so nothing of it is linked
        (folder / "not-ours.txt").write_text(_NOT_OURS)
        flags = ["-fsanitize=address,undefined,fuzzer-no-link", f"-fsanitize-ignorelist={folder / 'not-ours.txt'}"]
    include, made = f"-I{sysconfig.get_paths()['include']}", folder / "_scanner.o"
    subprocess.run([compiler, *_FLAGS, *flags, include, str(source), "-o", str(made)], check=True)
    subprocess.run([*link, "-shared", str(made), "-o", str(library)], check=True)
    return {
        "FUZZ_SCANNER": str(library),
        "LD_PRELOAD": " ".join(map(str, libraries)),
        "PYTHONMALLOC": "malloc",
        # The interpreter itself keeps what it never frees.
        "ASAN_OPTIONS": "detect_leaks=0",
    }


def can_guide() -> bool:
    """Return whether libFuzzer can see what an input reaches in the scanner."""
    return _with_clang() is not None


def _with_clang() -> list[Path] | None:
    """Return what must be loaded before Python for a scanner that clang builds."""
    found = importlib.util.find_spec("atheris")
    if found is None or found.origin is None or not shutil.which("clang") or sys.platform != "linux":
        return None
    package = Path(found.origin).parent
    # libFuzzer looks for a mutator when it is loaded, and atheris itself loads its own later.
    libraries = [package.parent / "asan_with_fuzzer.so", *package.glob("custom_mutator.*.so")]
    return libraries if len(libraries) == 2 and libraries[0].exists() else None


def _with_gcc() -> list[Path] | None:
    if not shutil.which("gcc") or sys.platform != "linux":
        return None
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    library = Path(found.stdout.strip())
    return [library] if library.is_absolute() else None
