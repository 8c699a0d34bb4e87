from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tb2csv" / "event_files" / "_scanner.pyx"


def _sanitizer() -> str | None:
    compiler = shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    found = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    library = found.stdout.strip()
    return library if Path(library).is_absolute() else None


@pytest.fixture(scope="module")
def sanitized_scanner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("Cython")
    if _sanitizer() is None:
        pytest.skip("no gcc with AddressSanitizer here")
    folder = tmp_path_factory.mktemp("sanitized")
    source, library = folder / "_scanner.c", folder / f"_scanner{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run([sys.executable, "-m", "cython", "-3", str(SOURCE), "-o", str(source)], check=True)
    flags = ["-shared", "-fPIC", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    include = f"-I{sysconfig.get_paths()['include']}"
    subprocess.run([str(shutil.which("gcc")), *flags, include, str(source), "-o", str(library)], check=True)
    return library


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.slow
def test_no_byte_outside_the_buffer_is_accessed(sanitized_scanner: Path, seed: int) -> None:
    files = [str(path) for path in sorted((ROOT / "sample_logs").rglob("*tfevents*"))]
    environment = {
        **os.environ,
        "LD_PRELOAD": str(_sanitizer()),
        "PYTHONMALLOC": "malloc",
        # The interpreter itself keeps what it never frees; odd alignment is what x86 reads, and memcpy everywhere else.
        "ASAN_OPTIONS": "detect_leaks=0",
    }
    arguments = [str(ROOT / "tests" / "fuzz_scanner.py"), str(sanitized_scanner), str(seed), "3000", *files]
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-4000:]
    assert int(done.stdout.split()[0]) > 3000
