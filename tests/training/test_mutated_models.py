"""Mutated files of Keras, PyTorch and scikit-learn: a few of each; ``model_files.py`` makes any number."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from model_files import run_format

from targets import TARGETS

PAST = Path(__file__).parents[1] / "fuzzing" / "past"


def needs_frameworks(finding: Path) -> bool:
    return TARGETS[finding.name.partition("-")[0]].needs_frameworks


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "count"), [("h5", 200), ("torch", 150), ("skops", 80), ("keras", 40), ("checkpoint", 80)]
)
def test_mutated_models_are_read_or_refused(form: str, count: int, tmp_path: Path) -> None:
    results = run_format(form, 0, count, 20261128, tmp_path)
    assert results.faults == []
    assert results.outcomes.total() == count
    assert min(results.outcomes["read"], results.outcomes["refused"]) > 0


@pytest.mark.parametrize(
    "each", [each for each in sorted(PAST.iterdir()) if needs_frameworks(each)], ids=lambda each: each.name
)
def test_past_findings_stay_mended(each: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(PAST.parent / "fuzz.py"), each.name.partition("-")[0], "--input", str(each)]
    subprocess.run([*command, "--findings", str(tmp_path)], check=True)
