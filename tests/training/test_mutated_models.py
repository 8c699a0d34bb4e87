"""Mutated files of Keras, PyTorch and scikit-learn: a few of each; ``fuzz_model_files.py`` makes any number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fuzz_model_files import run_format

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.parametrize(("form", "count"), [("h5", 200), ("torch", 150), ("skops", 80), ("keras", 40)])
def test_mutated_models_are_read_or_refused(form: str, count: int, tmp_path: Path) -> None:
    results = run_format(form, 0, count, 20261128, tmp_path)
    assert results.faults == []
    assert results.outcomes.total() == count
    assert min(results.outcomes["read"], results.outcomes["refused"]) > 0
