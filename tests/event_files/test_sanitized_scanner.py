from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sanitized_scanner import build

FUZZ = Path(__file__).parents[1] / "fuzzing" / "fuzz.py"


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    environment = build(tmp_path_factory.mktemp("sanitized"))
    if environment is None:
        pytest.skip("no compiler with AddressSanitizer here")
    return environment


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.slow
def test_no_byte_outside_the_buffer_is_accessed(sanitized: dict[str, str], seed: int, tmp_path: Path) -> None:
    folders = [str(tmp_path / name) for name in ("work", "findings")]
    for each in folders:
        os.mkdir(each)
    arguments = ["scanner", "--child", folders[0], "--findings", folders[1], "--runs", "1000", "--seed", str(seed)]
    done = subprocess.run(
        [sys.executable, str(FUZZ), *arguments], env=os.environ | sanitized, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr[-4000:]
    assert "#1000" in done.stderr
    assert os.listdir(folders[1]) == []
