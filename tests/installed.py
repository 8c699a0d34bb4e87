"""Packages that tests need, found without importing them: each process that collects tests would spend seconds."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


def skip_module_without(*packages: str) -> None:
    """Skip the tests of a module unless all of these packages are installed."""
    for package in packages:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed", allow_module_level=True)
