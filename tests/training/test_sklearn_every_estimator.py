"""Every estimator of scikit-learn: its state is restored whole, or refused by name; and the page that lists them."""

from __future__ import annotations

import functools
import runpy
from pathlib import Path

import pytest
import sklearn

DOCS = Path(__file__).parents[2] / "docs"

script = runpy.run_path(str(DOCS / "make_sklearn_estimators.py"))
INSTANCES = script["instances"]()


@functools.cache
def refusal(name: str) -> str:
    """Return why a state is refused, or an empty text once it is seen to be restored whole."""
    reason: str = script["refusal"](INSTANCES[name])
    return reason


@pytest.mark.parametrize("name", INSTANCES)
def test_a_state_is_restored_whole_or_refused(name: str) -> None:
    assert (refusal(name) != "") == name.startswith("Birch")


def test_the_page_lists_every_estimator_as_it_is() -> None:
    page = (DOCS / "sklearn_estimators.md").read_text(encoding="utf-8")
    if f"scikit-learn {sklearn.__version__}" not in page:
        pytest.skip("the page was written with another version of scikit-learn")
    assert page == script["page"]({name: refusal(name) for name in INSTANCES})
