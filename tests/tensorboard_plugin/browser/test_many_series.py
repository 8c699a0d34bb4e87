"""2,000 runs with 50 tags each: a hundred thousand tables, of which the document has only the visible ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from export_double import ExportDouble
from export_page import expect
from shelves import SyntheticShelf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from export_page import ExportPage

pytestmark = pytest.mark.slow

RUNS, TAGS = 2000, 50
#: Maximum number of elements of the page: those around the lists, and rows for a screen.
MOST = 1500


@pytest.fixture(scope="module")
def shelf() -> SyntheticShelf:
    return SyntheticShelf(RUNS, TAGS)


@pytest.fixture
def opened(shelf: SyntheticShelf, page: ExportPage) -> Iterator[ExportPage]:
    with ExportDouble(shelf).running() as double:
        yield page.open(double.url).ready()


def elements(page: ExportPage) -> int:
    count: int = page.frame.evaluate("document.querySelectorAll('*').length")
    return count


def test_the_document_stays_small(opened: ExportPage) -> None:
    assert opened.figures().startswith("100,000 tables1,400,000,000 rows")
    assert elements(opened) < MOST
    for fraction in (0.1, 0.55, 0.9, 1.0):
        opened.series.locator(".list-viewport").evaluate(
            "(viewport, fraction) => { viewport.scrollTop = fraction * viewport.scrollHeight }", fraction
        )
        opened.page.wait_for_timeout(50)
        assert elements(opened) < MOST
    last = opened.series.locator(f"[aria-posinset='{RUNS * TAGS}']")
    expect(last).to_be_in_viewport()
    expect(last).to_contain_text(f"sweep/run_{RUNS - 1:04}")


def test_every_row_can_be_reached(opened: ExportPage) -> None:
    viewport = opened.series.locator(".list-viewport")
    opened.series.get_by_role("button", name="Preview layer_0/unit_0 of run sweep/run_0000:").focus()
    place = 1
    for _ in range(30):
        opened.page.keyboard.press("ArrowDown")
        place += 1
        row = opened.series.locator("[role=listitem]:has(:focus)")
        expect(row).to_have_attribute("aria-posinset", str(place))
        expect(row).to_be_in_viewport(ratio=1)
    viewport.evaluate("(viewport) => { viewport.scrollTop = 3e6 }")
    expect(opened.series.locator("[role=listitem]:has(:focus)")).to_have_attribute("aria-posinset", str(place))
    opened.page.keyboard.press("End")
    row = opened.series.locator("[role=listitem]:has(:focus)")
    expect(row).to_have_attribute("aria-posinset", str(RUNS * TAGS))
    expect(row).to_be_in_viewport()
    opened.page.keyboard.press("Home")
    expect(opened.series.locator("[role=listitem]:has(:focus)")).to_have_attribute("aria-posinset", "1")


#: Scrolls, waits until the page has followed, and reads the places of the rows, in one go: rows are used again.
_PLACES = """async (viewport, top) => {
  viewport.scrollTop = top;
  for (let pictures = 0; pictures < 3; pictures += 1) await new Promise(requestAnimationFrame);
  return [...viewport.querySelectorAll("[role=listitem]")].map((row) => Number(row.getAttribute("aria-posinset")));
}"""


def test_rows_have_the_same_order_in_the_document_as_on_the_screen(opened: ExportPage) -> None:
    for top in (5000, 200, 90_000, 89_000, 90_500):
        places = opened.series.locator(".list-viewport").evaluate(_PLACES, top)
        assert places == sorted(places)
        assert top // 54 + 1 in places


def test_tags_are_selected_among_many(opened: ExportPage) -> None:
    opened.select(runs="run_1[0-4]..$", tags="unit_[0-9]$")
    assert opened.figures().startswith("5,000 tables")
    assert elements(opened) < MOST
    expect(opened.runs.locator(".heading-counts")).to_have_text("500 of 2,000")
    expect(opened.tags.locator(".heading-counts")).to_have_text("10 of 50")
    opened.frame.get_by_label("Sort by").select_option("run")
    expect(opened.series.get_by_role("listitem").nth(1)).to_contain_text("sweep/run_1000")
    opened.page.reload()
    assert opened.figures().startswith("5,000 tables")


def test_a_list_taller_than_browsers_allow_can_be_scrolled(page: ExportPage) -> None:
    with ExportDouble(SyntheticShelf(8000, 25, points=5)).running() as double:
        page.open(double.url).ready()
        viewport = page.series.locator(".list-viewport")
        assert viewport.evaluate("(viewport) => viewport.scrollHeight") <= 8_000_000
        viewport.evaluate("(viewport) => { viewport.scrollTop = viewport.scrollHeight }")
        last = page.series.locator("[aria-posinset='200000']")
        expect(last).to_be_in_viewport(ratio=0.99)
        places = viewport.evaluate(_PLACES, 4_000_000)
    assert any(99_900 < place < 100_100 for place in places)
