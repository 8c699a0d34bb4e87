"""What all tests of trainings need."""

from __future__ import annotations

import sys

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Ignore what Orbax leaves behind if an array is damaged.

    It closes its event loop while other arrays are read. Their ends are reported later, perhaps during the next test.
    """
    late = "ignore:(?s)Exception ignored in.*Event loop is closed:pytest.PytestUnraisableExceptionWarning"
    config.addinivalue_line("filterwarnings", late)


@pytest.fixture(autouse=True)
def _without_earlier_compiled_code() -> None:
    """Forget what PyTorch compiled in earlier tests, because it keeps compiled code for a class, such as Linear."""
    if "torch._dynamo" in sys.modules:
        sys.modules["torch"].compiler.reset()
