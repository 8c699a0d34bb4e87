"""Rules about losses on many real trainings: silent on healthy ones, and not on ones with a fault.

docs/diagnose.md has the rates of 300 trainings of each kind, which ``diagnosis_rates.py`` measures. The tests have
fewer trainings, with seeds of their own.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from diagnosis_rates import found_faults, healthy_findings
from trained_losses import FAULTS, HEALTHY

SEED, TRAININGS = 3000, 20
PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "diagnose.md").read_text(encoding="utf-8")
#: Losses that stay, which is what ``plateau_loss`` looks for.
STAYS = {"fine-tuning", "GAN", "wandering noise"}


def documented(kinds: int, table: str) -> dict[str, list[str]]:
    """Return the cells of a table of the page by the first one, whose heading is ``table``."""
    rows = PAGE.split(f"| {table} |", 1)[1].splitlines()[2 : 2 + kinds]
    return {cells[0]: cells[1:] for cells in ([cell.strip() for cell in row.strip("|").split("|")] for row in rows)}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_training_raises_no_finding_about_its_loss(name: str, tmp_path: Path) -> None:
    fired = healthy_findings(name, SEED, TRAININGS, tmp_path)
    if name in STAYS:
        del fired["plateau_loss"]
    # One of 20 trainings may well be one of the few that the page speaks of.
    assert fired.total() <= 1, fired


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_a_training_is_found_in_its_loss(name: str, tmp_path: Path) -> None:
    assert found_faults(name, SEED, TRAININGS, tmp_path) >= TRAININGS - 1


def test_the_page_has_the_rates_of_every_kind() -> None:
    healthy, faults = documented(len(HEALTHY), "healthy"), documented(len(FAULTS), "fault")
    assert list(healthy) == list(HEALTHY)
    assert list(faults) == list(FAULTS)
    for name, (findings,) in healthy.items():
        for rule, share in re.findall(r"`(\w+)` ([\d.]+)%", findings):
            assert float(share) <= (100 if rule == "plateau_loss" and name in STAYS else 2), (name, rule)
    for name, (rules, share) in faults.items():
        assert set(re.findall(r"`(\w+)`", rules)) == FAULTS[name][1]
        assert float(share.rstrip("%")) >= 95
    (version,) = re.findall(r"with 300 steps \(PyTorch ([\d.]+)\)", PAGE)
    assert torch.__version__.split("+")[0] == version
