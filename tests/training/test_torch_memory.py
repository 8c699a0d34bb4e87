"""The memory that ``TorchRecorder`` takes is that of one copy of what it records."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

#: Activations, and as much again of errors: 8 modules with outputs of 8 MiB.
RECORDED_MIB = 64

TRAINING = """
import resource, sys
import torch
from tb2csv.recorders import TorchRecorder

def train(folder, **options):
    model = torch.nn.Sequential(torch.nn.Linear(4, 64), *(torch.nn.Tanh() for _ in range(7)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with TorchRecorder(model, folder, optimizer=optimizer, on_error="raise", **options):
        for _ in range(2):
            model(torch.ones(2**15, 4)).sum().backward()
            optimizer.step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10

folder = sys.argv[1]
peaks = [train(folder)]
peaks.append(train(folder, activation_statistics_every=1, layer_error_statistics_every=1))
peaks.append(train(folder, activations_every=1, layer_errors_every=1))
print(*peaks)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
def test_statistics_take_no_memory_and_tensors_that_of_one_copy(tmp_path: Path) -> None:
    # What is freed goes back to the system, so that the peak is of what is in use.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", TRAINING, tmp_path], env=environment, capture_output=True, text=True, check=True
    )
    bare, measured, copied = map(float, ran.stdout.split())
    assert measured - bare < RECORDED_MIB / 4
    assert copied - bare < 2 * RECORDED_MIB * 1.1
