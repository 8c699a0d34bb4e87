"""Measure how often the rules about losses fire in healthy trainings, and how often they find a known fault.

    .venv-training/bin/python tests/training/diagnosis_rates.py

It prints the two tables of docs/diagnose.md. Seeds are 2000 and up, one for each kind of training, with 300 trainings
of each. No constant of a rule was set with these seeds.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch
from trained_losses import FAULTS, HEALTHY, STEPS, Curves

from tb2csv.analysis.diagnosis.diagnose import diagnose

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from event_files import event, simple_value, write_run

SEED, TRAININGS = 2000, 300
torch.set_num_threads(1)  # the tensors are small


def findings(curves: Curves, folder: Path) -> list[tuple[str, str, str]]:
    """Write a run for each training, and return the run, the tag and the rule of each finding."""
    count = len(next(iter(curves.values())))
    for number in range(count):
        rows = [
            (place * STEPS // values.shape[1], tag, value)
            for tag, values in curves.items()
            for place, value in enumerate(values[number].tolist())
        ]
        rows.sort(key=lambda row: row[0])
        write_run(folder / f"{number:04}", *(event(simple_value(tag, value), step=step) for step, tag, value in rows))
    return diagnose(folder).findings.select("run", "layer", "rule").rows()


def healthy_findings(name: str, seed: int, count: int, folder: Path) -> Counter[str]:
    """Return in how many healthy trainings of a kind each rule fired, on at least one of their losses."""
    torch.manual_seed(seed + list(HEALTHY).index(name))
    fired = {(run, rule) for run, _, rule in findings(HEALTHY[name](count), folder)}
    return Counter(rule for _, rule in fired)


def found_faults(name: str, seed: int, count: int, folder: Path) -> int:
    """Return in how many trainings one of the rules that are about a fault found it."""
    torch.manual_seed(seed + len(HEALTHY) + list(FAULTS).index(name))
    make, rules = FAULTS[name]
    return len({run for run, _, rule in findings(make(count), folder) if rule in rules})


def main() -> None:
    """Print both tables."""
    print("| healthy | findings, of all trainings |\n|---|---|")
    for name in HEALTHY:
        with tempfile.TemporaryDirectory() as folder:
            fired = healthy_findings(name, SEED, TRAININGS, Path(folder))
        shares = [f"`{rule}` {number / TRAININGS:.1%}" for rule, number in sorted(fired.items())]
        print(f"| {name} | {', '.join(shares) or 'none'} |", flush=True)
    print("\n| fault | rules | found, of all trainings |\n|---|---|---|")
    for name, (_, rules) in FAULTS.items():
        with tempfile.TemporaryDirectory() as folder:
            share = found_faults(name, SEED, TRAININGS, Path(folder)) / TRAININGS
        print(f"| {name} | {', '.join(f'`{rule}`' for rule in sorted(rules))} | {share:.1%} |", flush=True)


if __name__ == "__main__":
    main()
