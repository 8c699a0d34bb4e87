"""Accessibility: axe finds nothing in any state and theme, small pages work, the keyboard reaches everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from export_double import ExportDouble, report
from export_page import expect
from shelves import SyntheticShelf

if TYPE_CHECKING:
    from collections.abc import Callable

    from export_page import ExportPage

pytestmark = pytest.mark.slow


STATES: dict[str, Callable[[ExportPage, ExportDouble], None]] = {}


def state(act: Callable[[ExportPage, ExportDouble], None]) -> Callable[[ExportPage, ExportDouble], None]:
    STATES[act.__name__] = act
    return act


@state
def options_and_a_running_export(page: ExportPage, double: ExportDouble) -> None:
    double.behaviour.go.clear()
    double.behaviour.damage = 1
    page.ready().frame.get_by_text("More options").click()
    page.button("Export all").click()
    expect(page.jobs).to_contain_text("Converting")


@state
def a_finished_export_with_a_report(page: ExportPage, double: ExportDouble) -> None:
    double.behaviour.report = report(damage=[{"path": "x", "offset": 0, "length": 1, "detail": "bad"}], damage_count=1)
    page.ready().button("Export all").click()
    page.unfold()
    page.jobs.get_by_text("1 damaged byte range").click()


@state
def a_failed_export_and_an_error(page: ExportPage, double: ExportDouble) -> None:
    double.behaviour.failure = "The disk is full; free some space."
    page.ready().button("Export all").click()
    expect(page.frame.get_by_role("alert")).to_have_count(1)
    double.behaviour.refusal = (429, "busy", "Too many exports wait already.")
    page.button("Export all").click()
    expect(page.frame.get_by_role("alert")).to_have_count(2)


@state
def filters_and_mixed_ticks(page: ExportPage, double: ExportDouble) -> None:
    del double
    page.ready().tags.get_by_role("searchbox").fill("weights")
    page.tags.get_by_role("treeitem").nth(2).locator(".box").click()
    page.runs.get_by_role("searchbox").fill("no such run")
    expect(page.runs.get_by_text("No run matches")).to_be_visible()


@state
def a_wrong_filter(page: ExportPage, double: ExportDouble) -> None:
    del double
    page.ready().runs.get_by_role("searchbox").fill("(")
    expect(page.runs.get_by_text("Invalid regular expression")).to_be_visible()


@state
def nothing_selected(page: ExportPage, double: ExportDouble) -> None:
    del double
    page.ready().runs.get_by_role("button", name="None").click()
    expect(page.series.get_by_text("Nothing is selected")).to_be_visible()


@state
def an_empty_log_directory(page: ExportPage, double: ExportDouble) -> None:
    double.shelf = SyntheticShelf(0, 0)
    double.change()
    page.page.reload()
    expect(page.frame.get_by_text("Nothing to export yet")).to_be_visible()


@state
def a_first_scan(page: ExportPage, double: ExportDouble) -> None:
    double.shelf = SyntheticShelf(0, 0)
    double.behaviour.index_state, double.behaviour.progress = "scanning", (1, 2)
    double.change()
    page.page.reload()
    expect(page.frame.get_by_text("Reading the log directory")).to_be_visible()


@state
def an_error(page: ExportPage, double: ExportDouble) -> None:
    double.behaviour.refusal = (500, "internal", "Something went wrong.")
    page.page.reload()
    expect(page.frame.get_by_role("alert")).to_be_visible()


@pytest.fixture(params=["", "?darkMode=true"], ids=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    query: str = request.param
    return query


@pytest.mark.parametrize("name", STATES)
def test_axe_finds_no_violations(page: ExportPage, double: ExportDouble, theme: str, name: str) -> None:
    page.open(double.url + theme)
    STATES[name](page, double)
    # Colours in the middle of a transition would fail the contrast check.
    page.page.emulate_media(reduced_motion="reduce")
    page.page.wait_for_timeout(700)
    assert page.violations() == []
    page.errors.clear()


def test_axe_finds_a_planted_violation(page: ExportPage, double: ExportDouble) -> None:
    page.open(double.url).ready()
    page.frame.evaluate("document.querySelector('.filter-input').removeAttribute('aria-label')")
    page.frame.evaluate("document.querySelector('.figures-note').style.color = '#ddd'")
    assert {line.partition(":")[0] for line in page.violations()} >= {"color-contrast"}


def test_the_theme_follows_tensorboard(page: ExportPage, double: ExportDouble) -> None:
    page.open(double.url).ready()
    root = page.frame.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    page.page.evaluate("document.body.classList.add('dark-mode')")
    expect(root).to_have_attribute("data-theme", "dark")
    expect(page.frame.locator(".sidebar")).to_have_css("background-color", "rgb(48, 48, 48)")
    page.page.evaluate("document.body.classList.remove('dark-mode')")
    expect(page.frame.locator(".sidebar")).to_have_css("background-color", "rgb(255, 255, 255)")


def test_the_document_has_a_language_and_titles(page: ExportPage, double: ExportDouble) -> None:
    page.open(double.url).ready()
    expect(page.frame.locator("html")).to_have_attribute("lang", "en")
    assert page.frame.title() == "Export · TensorBoard"
    expect(page.page.locator("iframe")).to_have_attribute("title", "Export")


#: Width and height as style sheets see them: a small screen; 1280 x 800 at 200 %; the same at 400 %.
SIZES = {"small": (1024, 700), "zoomed": (640, 400), "zoomed further": (320, 400)}


@pytest.fixture(params=SIZES, ids=list(SIZES))
def small_page(request: pytest.FixtureRequest, page: ExportPage) -> ExportPage:
    width, height = SIZES[request.param]
    page.page.set_viewport_size({"width": width, "height": height})
    return page


def test_small_pages_can_be_used(small_page: ExportPage, double: ExportDouble) -> None:
    page = small_page
    page.open(double.url).ready()
    page.frame.get_by_text("More options").click()
    wide = page.frame.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide[0] == wide[1], "the page must not scroll sideways"
    for name in ("Export all", "Export selection", "HParams", "Copy command"):
        button = page.button(name).first
        button.scroll_into_view_if_needed()
        expect(button).to_be_in_viewport(ratio=0.99)
    page.select(runs="^tf2$", tags="^loss$")
    with page.page.expect_download():
        page.series.get_by_role("button", name="CSV of loss of run tf2").click()
    page.preview.get_by_role("table").scroll_into_view_if_needed()
    expect(page.preview.get_by_role("table")).to_be_in_viewport()
    assert page.violations() == []
    assert page.errors == []


def test_narrow_pages_begin_with_the_export(page: ExportPage, double: ExportDouble) -> None:
    """Without scrolling past the lists; a button opens them."""
    page.page.set_viewport_size({"width": 640, "height": 450})
    page.open(double.url).ready()
    expect(page.button("Export selection")).to_be_in_viewport(ratio=0.99)
    lists = page.button("Choose what to export")
    expect(lists).to_contain_text("20 of 20 runs")
    expect(page.runs).to_be_hidden()
    lists.press("Enter")
    expect(lists).to_have_attribute("aria-expanded", "true")
    page.runs.get_by_role("searchbox").fill("^tf2$")
    expect(lists).to_contain_text("1 of 20 runs")
    page.page.set_viewport_size({"width": 1024, "height": 768})
    expect(lists).to_be_hidden()
    expect(page.tags).to_be_in_viewport()


def test_the_keyboard_reaches_everything(page: ExportPage, double: ExportDouble) -> None:
    page.open(double.url).ready()
    page.runs.get_by_role("button", name="All: ").focus()
    seen = []
    for _ in range(80):
        page.page.keyboard.press("Tab")
        label = page.frame.evaluate(
            "(() => { const at = document.activeElement; return at === document.body ? null"
            " : at.getAttribute('aria-label') ?? at.labels?.[0]?.innerText ?? at.innerText })()"
        )
        if label is None:
            break
        outline = page.frame.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", label
        seen.append(label)
    text = "\n".join(seen)
    assert len(seen) < 60, "lists are one stop each"
    for name in (
        "Filter runs",
        "Only run",
        "Scalars",
        "Filter tags",
        "Export all",
        "Export selection",
        "Layout",
        "Format",
        "More options",
        "Copy command",
        "Copy link",
        "Sort by",
        "Preview ",
        "CSV of",
        "Parquet of",
        "Copy ",
    ):
        assert name in text, name
