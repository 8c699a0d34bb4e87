"""What all tests of trainings need."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def _without_earlier_compiled_code() -> None:
    """Forget what PyTorch compiled in earlier tests, because it keeps compiled code for a class, such as Linear."""
    if "torch._dynamo" in sys.modules:
        sys.modules["torch"].compiler.reset()
