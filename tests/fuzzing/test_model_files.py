"""Mutated model and state files that need no framework, and the tool that makes and judges them."""

from __future__ import annotations

import random
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from model_files import MAKERS, SECRET, Case, run_format
from model_mutations import mutated

from tb2csv.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.parametrize("form", ["npz", "safetensors", "csv", "tables"])
def test_mutated_files_are_read_or_refused(form: str, tmp_path: Path) -> None:
    results = run_format(form, 0, 150, 20261128, tmp_path)
    assert results.faults == []
    assert results.outcomes.total() == 150
    assert min(results.outcomes["read"], results.outcomes["refused"]) > 5, "mutations that are too weak or too strong"


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Return a case of the format npz, with a sound state beside it."""
    (tmp_path / "sound").mkdir()
    MAKERS["npz"](tmp_path / "sound")
    return Case.numbered("npz", 5, 0, tmp_path / "sound", tmp_path / "case")


def test_cases_are_the_same_each_time(tmp_path: Path, case: Case) -> None:
    again = Case.numbered("npz", 5, 0, tmp_path / "sound", tmp_path / "again")
    other = Case.numbered("npz", 5, 1, tmp_path / "sound", tmp_path / "other")
    assert case.path.read_bytes() == again.path.read_bytes() != other.path.read_bytes()


@pytest.mark.parametrize("fault", ["exception", "written", "changed", "bait"])
def test_each_fault_is_found(fault: str, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def action() -> None:
        if fault == "exception":
            raise KeyError(fault)
        if fault == "changed":
            case.path.write_bytes(b"other")
        if fault == "bait":
            (tmp_path / "out").write_text(f"w,{SECRET}\n")
        if fault == "written":
            (tmp_path / "out.csv").write_text("half")
            raise StateError(fault)

    monkeypatch.setattr(case, "_actions", lambda state, out: [action])
    with pytest.raises((AssertionError, KeyError)):
        case.run(tmp_path / "state.csv")


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_members_of_mutated_archives_have_sound_checksums(tmp_path: Path) -> None:
    """Most damage lies inside the members, which a reader only reaches if the archive itself is sound."""
    np.savez(tmp_path / "a.npz", w=np.zeros(9))
    rng = random.Random(0)
    sound = 0
    for _ in range(100):
        (tmp_path / "m.npz").write_bytes(mutated((tmp_path / "a.npz").read_bytes(), "a.npz", rng, tmp_path))
        sound += _is_sound(tmp_path / "m.npz")
    assert sound > 50


def _is_sound(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # noqa: BLE001 # of many types, which are the point of the readers and not of this test
        return False
