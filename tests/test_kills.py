"""Commands that are ended at random moments leave the output whole or untouched, and the next one nothing else."""

from __future__ import annotations

import itertools
import random
import sys
from typing import TYPE_CHECKING

import pytest
from kills import CASES, SIGNALS, Prepared, run_process

if TYPE_CHECKING:
    import signal
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(("name", "sent"), list(zip(CASES, itertools.cycle(SIGNALS))))
def test_an_ended_command_leaves_the_output_whole_or_untouched(name: str, sent: signal.Signals, tmp_path: Path) -> None:
    prepared = Prepared(CASES[name], tmp_path / "case", run_process)
    problem, _ = prepared.end_at(random.Random(name).uniform(0.3, 1.0) * prepared.seconds, sent)
    assert problem == ""
