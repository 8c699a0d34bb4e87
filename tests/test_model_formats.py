"""Formats of models that ``tb2csv predict`` takes, without their frameworks."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from commands import run_here

import tb2csv
from tb2csv.errors import MissingExtraError, RecorderError
from tb2csv.prediction.model_formats import FILES

if TYPE_CHECKING:
    from pathlib import Path

FRAMEWORKS = ("keras", "onnx", "tensorflow", "torch")


@pytest.fixture(autouse=True)
def _without_frameworks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the frameworks fail to import, as if they were not installed."""
    for name in FRAMEWORKS:
        monkeypatch.setitem(sys.modules, name, None)
    for name in [name for name in sys.modules if name.startswith("tb2csv.prediction.") and "torch" in name]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("ending", ["", *FILES])
def test_missing_framework_of_a_format_names_its_extra(ending: str, tmp_path: Path) -> None:
    model = tmp_path / f"model{ending}"
    model.touch() if ending else model.mkdir()
    extra = FILES[ending].extra if ending else "tensorflow"
    with pytest.raises(MissingExtraError, match=rf"is not installed; run pip install .*\[{extra}\]"):
        tb2csv.predict(model, np.zeros((2, 1)), tmp_path / "out.csv", trust=True)


def test_each_format_is_a_function_of_its_module() -> None:
    for each in FILES.values():
        spec = importlib.util.find_spec(f"tb2csv.prediction.{each.module}")
        assert spec is not None
        assert spec.origin is not None
        with open(spec.origin, encoding="utf-8") as source:
            assert f"def {each.function}(" in source.read()


def test_what_is_not_a_model_is_refused_before_a_framework_is_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.txt").touch()
    for model in (tmp_path / "none.onnx", tmp_path / "model.txt"):
        with pytest.raises(RecorderError, match=r"There is no model at|is not a model that can be loaded"):
            tb2csv.predict(model, np.zeros((2, 1)), tmp_path / "out.csv")
        ran = run_here(capsys, "predict", model, "x.npy", tmp_path / "out.csv")
        assert (ran.status, ran.stderr.count("\n")) == (1, 1)
    with pytest.raises(RecorderError, match="A dict is not a model that can predict"):
        tb2csv.predict({}, np.zeros((2, 1)), tmp_path / "out.csv")
