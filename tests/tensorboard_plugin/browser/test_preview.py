"""The preview of a table: its first and last rows, what TensorBoard shows of it, and a chart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from export_double import ExportDouble
from export_page import expect
from shelves import Series, SyntheticShelf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from export_page import ExportPage
    from shelves import LogdirShelf

pytestmark = pytest.mark.slow


class OneSeries:
    """A shelf with one table, whose rows are given."""

    def __init__(self, columns: list[str], rows: list[list[Any]], kind: str = "scalars") -> None:
        self.series = [Series("run", "tag", kind, len(rows), 0, len(rows) - 1)]
        self._table = columns, rows

    def rows(self, _: Series) -> tuple[list[str], list[list[Any]]]:
        return self._table


@pytest.fixture
def serve() -> Iterator[Any]:
    """Return a function that starts a double with a shelf."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda shelf: stack.enter_context(ExportDouble(shelf).running())


def cells(page: ExportPage) -> list[list[str]]:
    rows = page.preview.locator("tbody tr")
    return [row.locator("td").all_inner_texts() for row in rows.all()]


def test_the_preview_shows_the_first_and_the_last_rows(
    page: ExportPage, double: ExportDouble, sample_shelf: LogdirShelf
) -> None:
    page.open(double.url).ready()
    page.select(runs="^tf2$", tags="^learning_rate$")
    expect(page.preview.get_by_role("heading", level=3)).to_have_text("learning_rate")
    series = next(each for each in sample_shelf.series if (each.run, each.tag) == ("tf2", "learning_rate"))
    columns, rows = sample_shelf.rows(series)
    assert page.preview.get_by_role("columnheader").all_inner_texts() == columns
    seen = cells(page)
    assert seen[5] == [f"{len(rows) - 10} more rows"]
    numbers = [[float(cell) for cell in row] for row in seen[:5] + seen[6:]]
    assert numbers == rows[:5] + rows[-5:]


def test_a_short_table_is_shown_whole(page: ExportPage, serve: Any) -> None:
    double = serve(OneSeries(["step", "text"], [[0, "<b>first</b>"], [1, None], [2, ""]], "text"))
    page.open(double.url).ready()
    expect(page.preview.locator("tbody tr")).to_have_count(3)
    assert cells(page) == [["0", "<b>first</b>"], ["1", ""], ["2", ""]]
    expect(page.preview.locator("svg[role=img]")).to_have_count(0)


def test_the_preview_shows_what_tensorboard_leaves_out(page: ExportPage, serve: Any) -> None:
    double = serve(SyntheticShelf(1, 1, points=14_000))
    page.open(double.url).ready()
    expect(page.preview.get_by_text("TensorBoard shows 1,000 of 14,000 points.")).to_be_visible()
    expect(page.preview.get_by_text("The table has 14,000 rows.")).to_be_visible()
    row = page.series.get_by_role("button", name="Preview layer_0/unit_0 of run sweep/run_0000: Scalars")
    expect(row).to_have_accessible_name(re.compile("14,000 points; TensorBoard shows 1,000 of 14,000 points$"))
    expect(row).to_contain_text("TensorBoard shows 1,000")
    expect(page.frame.get_by_text("TensorBoard shows 1,000 of these 14,000 points")).to_be_visible()


def test_the_chart_says_what_it_shows(page: ExportPage, serve: Any) -> None:
    double = serve(OneSeries(["step", "value"], [[0, 4.0], [1, -2.5], [2, 1.0]]))
    page.open(double.url).ready()
    picture = page.preview.get_by_role("img")
    expect(picture).to_have_attribute("aria-label", "Line from 4 at step 0 to 1 at step 2, lowest -2.5, highest 4")
    picture.hover(position={"x": 190, "y": 80})
    expect(page.preview.get_by_text("Step 1: -2.5")).to_be_visible()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0, "NaN", 2.0, "-Infinity", 3.0], "2 points of the chart are not finite and not drawn."),
        (["NaN", "Infinity"], "No finite values to draw."),
        ([1e308, -1e308, 1e308], "TensorBoard shows all."),
        ([5.0, 5.0, 5.0], "TensorBoard shows all."),
        ([0.0, 5e-324], "TensorBoard shows all."),
        ([1e300, 1.0000001e300, 1e300], "TensorBoard shows all."),
    ],
)
def test_charts_of_odd_values_are_drawn(page: ExportPage, serve: Any, values: list[Any], text: str) -> None:
    double = serve(OneSeries(["step", "value"], [[step, value] for step, value in enumerate(values)]))
    page.open(double.url).ready()
    expect(page.preview.get_by_text(text)).to_be_visible()
    for line in page.preview.locator(".chart-line").all():
        path = line.get_attribute("d")
        assert path is not None
        assert "NaN" not in path
        assert "Infinity" not in path


def test_steps_beyond_a_browsers_integers_keep_their_digits(page: ExportPage, serve: Any) -> None:
    step = str(2**63 - 1)
    double = serve(OneSeries(["step", "value"], [[0, 1.0], [step, 2.0]]))
    page.open(double.url).ready()
    expect(page.preview.get_by_role("cell", name=step)).to_be_visible()


def test_a_preview_that_fails_can_be_tried_again(page: ExportPage, double: ExportDouble) -> None:
    page.open(double.url).ready()
    page.select(runs="^keras/train$")
    double.behaviour.refusal = (500, "internal", "tb2csv failed; see TensorBoard's log.")
    page.series.get_by_role("button", name="Preview epoch_loss of run keras/train").click()
    expect(page.preview.get_by_role("alert")).to_contain_text("tb2csv failed")
    double.behaviour.refusal = None
    page.preview.get_by_role("button", name="Try again").click()
    expect(page.preview.get_by_role("table")).to_be_visible()
    page.errors.clear()


def test_enter_on_a_tag_previews_it(page: ExportPage, double: ExportDouble) -> None:
    page.open(double.url).ready()
    page.tags.get_by_role("searchbox").fill("^not_finite$")
    page.tags.get_by_role("treeitem", name="not_finite").focus()
    page.page.keyboard.press("Enter")
    expect(page.preview.get_by_role("heading", level=3)).to_have_text("not_finite")
    expect(page.series.locator("[aria-current=true]")).to_contain_text("not_finite")


def test_a_growing_table_is_previewed_again(page: ExportPage, serve: Any) -> None:
    double = serve(SyntheticShelf(1, 1, points=20))
    page.open(double.url).ready()
    expect(page.preview.get_by_text("The table has 20 rows.")).to_be_visible()
    double.shelf = SyntheticShelf(1, 1, points=25)
    double.change()
    page.page.evaluate("reloadData()")
    expect(page.preview.get_by_text("The table has 25 rows.")).to_be_visible()


def test_late_colours_are_applied(page: ExportPage, double: ExportDouble) -> None:
    page.page.add_init_script(
        "const real = window.fetch; window.fetch = (address, ...more) => `${address}`.endsWith('../../runs')"
        " ? new Promise((resolve) => { window.tellRuns = () => resolve(new Response("
        "JSON.stringify(['a', 'b', 'c', 'd', 'e', 'keras/train']))) }) : real(address, ...more)"
    )
    page.open(double.url).ready()
    page.select(runs="^keras/train$")
    line = page.preview.locator(".preview-heading .dot")
    expect(line).not_to_have_css("background-color", "rgb(124, 179, 66)")
    page.frame.evaluate("window.tellRuns()")
    expect(line).to_have_css("background-color", "rgb(124, 179, 66)")
    expect(page.series.locator(".dot").first).to_have_css("background-color", "rgb(124, 179, 66)")
