"""Measure how long it takes to install a wheel and get a first table: ``first_table.py WHEEL``.

Packages are downloaded before the clock starts. Then come a fresh HOME, a PATH with the new environment alone, so no
compiler, and no cache of pip.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOG = Path(__file__).resolve().parent.parent / "sample_logs" / "torch"


def timed(title: str, *command: object, env: dict[str, str] | None = None) -> tuple[float, float]:
    """Run a command, print its wall time and processor time in seconds, and return both."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([str(part) for part in command], env=env, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{title:<28}{wall:7.1f} s{processor:7.1f} s of processor time", flush=True)
    return wall, processor


def measure(wheel: Path, work: Path) -> None:
    """Install a wheel into a new environment in a folder, convert a log, and print what each step took."""
    packages, environment, tables, home = (work / name for name in ("packages", "environment", "tables", "home"))
    home.mkdir()
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    timed("(download, not counted)", *pip, "download", "--quiet", "--only-binary=:all:", "--dest", packages, wheel)
    empty = {"HOME": str(home), "PATH": str(environment / "bin")}
    steps = [
        timed("python -m venv", sys.executable, "-m", "venv", environment, env=empty),
        timed(
            "pip install",
            *(environment / "bin" / "pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check"),
            *("--no-index", "--find-links", packages, wheel),
            env=empty,
        ),
        timed("tb2csv convert", environment / "bin" / "tb2csv", "convert", LOG, tables, env=empty),
    ]
    print(
        f"{'sum':<28}{sum(wall for wall, _ in steps):7.1f} s{sum(each for _, each in steps):7.1f} s of processor time"
    )
    written = sorted(tables.rglob("*.csv"))
    if not written:
        sys.exit(f"There is no table in {tables}.")
    size = sum(path.stat().st_size for path in environment.rglob("*") if path.is_file() and not path.is_symlink())
    print(f"{len(written)} tables; the environment has {size / 1e6:.0f} MB; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as work:
        measure(Path(sys.argv[1]).resolve(), Path(work))
