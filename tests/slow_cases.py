"""Parameters of tests of which a few cases are quick, and all others are marked slow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def quick_if(is_quick: Callable[..., bool], cases: Iterable[Any]) -> list[Any]:
    """Return all cases; a case that is not a tuple has one argument."""
    values = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [pytest.param(*case, marks=() if is_quick(*case) else pytest.mark.slow) for case in values]


def slow(cases: Iterable[Any]) -> list[Any]:
    """Return the cases, all of which are slow."""
    return quick_if(lambda *_: False, cases)
