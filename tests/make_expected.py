"""Makes ``tests/expected`` anew from ``sample_logs``: the tables that test_sample_logs.py compares byte for byte.

    python tests/make_expected.py

Run it when the sample logs were made anew, or when the tables are meant to change. It writes down what tb2csv prints,
right or wrong: so look at every line of ``git diff tests/expected`` before it is committed, and be able to say why it
changed. test_against_protos.py, which reads the same logs without tb2csv, has to pass first.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import tb2csv

SAMPLE_LOGS = Path(__file__).parents[1] / "sample_logs"
EXPECTED = Path(__file__).parent / "expected"


def sample_logs() -> list[str]:
    """Return the names of the sample logs."""
    return sorted({path.relative_to(SAMPLE_LOGS).parts[0] for path in SAMPLE_LOGS.rglob("*tfevents*")})


def comparable_package(text: bytes) -> dict[str, Any]:
    """Return a data package without what changes with every release."""
    package: dict[str, Any] = json.loads(text)
    del package["tb2csv"]["version"]
    return package


def main() -> None:
    """Convert every sample log."""
    shutil.rmtree(EXPECTED, ignore_errors=True)
    for name in sample_logs():
        tb2csv.convert(SAMPLE_LOGS / name, EXPECTED / name)
        shutil.rmtree(EXPECTED / name / ".tb2csv")  # only an update needs it
        path = EXPECTED / name / "datapackage.json"
        path.write_text(json.dumps(comparable_package(path.read_bytes()), indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
