"""The order of runs and tags in the lists."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from export_double import ExportDouble
from export_page import expect
from shelves import Series

if TYPE_CHECKING:
    from typing import Any

    from export_page import ExportPage

pytestmark = pytest.mark.slow

ORDERS = {
    "decimals": ["lr=0.0005", "lr=0.001", "lr=0.01", "lr=0.1", "lr=0.25", "lr=1", "lr=1.5", "lr=10"],
    "exponents": ["lr=5e-05", "lr=1e-4", "lr=1e-3", "lr=0.01", "lr=1e+2"],
    "integers": ["part_1", "part_2", "part_10", "part_10/eval"],
    "versions": ["v1.9", "v1.10", "v1.10.1", "v2"],
    "long versions": ["net-1.2.9", "net-1.2.10"],
    "decimals after a word": ["conv1.25", "conv1.5"],
    "equal numbers": ["lr=0.1", "lr=0.10", "lr=0.100"],
    "dates": ["2024-01-09", "2024-01-10", "2024-11-01"],
    "letters": [".", "a", "A", "a/b", "B"],
}


@pytest.mark.parametrize("names", ORDERS.values(), ids=ORDERS)
def test_names_are_in_the_order_that_people_expect(page: ExportPage, double: ExportDouble, names: list[str]) -> None:
    page.open(double.url).ready()
    sort = "async names => (await import('./static/name_order.js')).inNameOrder(names, name => name)"
    for seed in range(5):
        shuffled = random.Random(seed).sample(names, len(names))
        assert page.frame.evaluate(sort, shuffled) == names


class SweepShelf:
    """Runs of a sweep, in an order that their names do not have."""

    def __init__(self) -> None:
        self.series = [Series(run, "loss", "scalars", 3, 0, 2) for run in ("lr=0.1", "lr=0.001", "lr=0.01")]

    def rows(self, series: Series) -> tuple[list[str], list[list[Any]]]:
        return ["wall_time", "step", "value"], [[1.7e9, step, 0.5] for step in range(series.points)]


def test_runs_of_a_sweep_are_listed_by_their_numbers(page: ExportPage) -> None:
    with ExportDouble(SweepShelf()).running() as double:
        page.open(double.url).ready()
        rows = page.runs.get_by_text("lr=")
        expect(rows).to_have_text(["lr=0.001", "lr=0.01", "lr=0.1"])
