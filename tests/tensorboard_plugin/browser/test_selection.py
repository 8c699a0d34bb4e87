"""Selections: runs, kinds and tags, by mouse and keyboard, by links, and after a reload."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from export_double import ExportDouble
from export_page import expect
from shelves import LogdirShelf, Series, SyntheticShelf

if TYPE_CHECKING:
    from collections.abc import Callable

    from export_page import ExportPage

pytestmark = pytest.mark.slow


@pytest.fixture
def opened(double: ExportDouble, page: ExportPage) -> ExportPage:
    return page.open(double.url).ready()


def tables(shelf: LogdirShelf, keep: Callable[[Series], bool]) -> str:
    """Return the count of a heading, as the page shows it."""
    count = sum(map(keep, shelf.series))
    return f"{count:,} table{'' if count == 1 else 's'}"


def exported(page: ExportPage, double: ExportDouble) -> dict[str, object]:
    """Export the selection and return the request."""
    before = len(double.requests)
    with page.page.expect_download():
        page.button("Export selection").click()
    assert len(double.requests) == before + 1
    return double.requests[-1]


def test_everything_is_selected_at_first(opened: ExportPage, double: ExportDouble, sample_shelf: LogdirShelf) -> None:
    series = sample_shelf.series
    rows = sum(each.points for each in series)
    assert opened.figures().startswith(f"{len(series)} tables{rows:,} rows")
    for panel, of in ((opened.runs, "run"), (opened.tags, "tag")):
        count = len({getattr(each, of) for each in series})
        expect(panel.locator(".heading-counts")).to_have_text(f"{count} of {count}")
    request = exported(opened, double)
    assert (request["runs"], request["tags"], request["kinds"]) == (None, None, None)


def test_a_filter_narrows_what_is_exported(opened: ExportPage, double: ExportDouble, sample_shelf: LogdirShelf) -> None:
    before = opened.figures()
    opened.runs.get_by_role("searchbox").fill("KERAS/(train|val)")
    expect(opened.runs.get_by_role("checkbox")).to_have_count(2)
    expect(opened.runs.get_by_text("2 runs listed.")).to_be_visible()
    others = len({each.run for each in sample_shelf.series}) - 2
    expect(opened.runs.get_by_text(f"{others} more are ticked, but not exported.")).to_be_visible()
    listed = {"keras/train", "keras/validation"}
    expect(opened.frame.locator(".figures")).to_contain_text(tables(sample_shelf, lambda each: each.run in listed))
    assert set(exported(opened, double)["runs"]) == listed  # type: ignore[call-overload]
    opened.tags.get_by_role("searchbox").fill("^epoch_")
    assert all(tag.startswith("epoch_") for tag in exported(opened, double)["tags"])  # type: ignore[attr-defined]
    for panel in (opened.runs, opened.tags):
        panel.get_by_role("searchbox").fill("")
    assert opened.figures() == before


def test_enter_in_a_filter_ticks_only_these(opened: ExportPage, sample_shelf: LogdirShelf) -> None:
    for panel, name in ((opened.runs, "keras/train"), (opened.tags, "epoch_loss")):
        box = panel.get_by_role("searchbox")
        box.fill(f"^{name}$")
        box.press("Enter")
        box.fill("")
    chosen = tables(sample_shelf, lambda each: (each.run, each.tag) == ("keras/train", "epoch_loss"))
    expect(opened.frame.locator(".figures")).to_contain_text(chosen)
    opened.runs.get_by_role("searchbox").fill("(")
    opened.runs.get_by_role("searchbox").press("Enter")  # an invalid filter has no names
    expect(opened.frame.locator(".figures")).to_contain_text(chosen)


def test_enter_before_the_next_frame_ticks_what_the_filter_lists(opened: ExportPage, sample_shelf: LogdirShelf) -> None:
    opened.runs.get_by_role("searchbox").evaluate("""box => {
        box.value = "^keras/train$";
        box.dispatchEvent(new Event("input"));
        box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
        box.value = "";
        box.dispatchEvent(new Event("input"));
    }""")
    chosen = tables(sample_shelf, lambda each: each.run == "keras/train")
    expect(opened.frame.locator(".figures")).to_contain_text(chosen)


def test_none_unticks_what_is_listed(opened: ExportPage, double: ExportDouble, sample_shelf: LogdirShelf) -> None:
    opened.runs.get_by_role("searchbox").fill("keras")
    opened.runs.get_by_role("button", name="None").click()
    opened.runs.get_by_role("searchbox").fill("")
    kept = tables(sample_shelf, lambda each: "keras" not in each.run)
    expect(opened.frame.locator(".figures")).to_contain_text(kept)
    runs = exported(opened, double)["runs"]
    assert set(runs) == {each.run for each in sample_shelf.series if "keras" not in each.run}  # type: ignore[call-overload]


def test_only_these_and_only_one_replace_the_selection(opened: ExportPage, sample_shelf: LogdirShelf) -> None:
    opened.select(runs="^torch/trial")
    expect(opened.frame.locator(".figures")).to_contain_text(
        tables(sample_shelf, lambda each: each.run.startswith("torch/trial"))
    )
    opened.runs.get_by_role("searchbox").fill("tf2")
    opened.runs.get_by_text("tf2", exact=True).hover()
    opened.runs.get_by_role("button", name="Only run tf2", exact=True).click()
    expect(opened.frame.locator(".figures")).to_contain_text(tables(sample_shelf, lambda each: each.run == "tf2"))


def test_kinds_count_the_tables_of_the_ticked_runs(opened: ExportPage, sample_shelf: LogdirShelf) -> None:
    opened.select(runs="^tf2$")
    scalars = sum(each.run == "tf2" and each.kind == "scalars" for each in sample_shelf.series)
    row = opened.kinds.locator(".kind-row", has_text="Scalars").first
    expect(row.locator(".count")).to_have_text(str(scalars))
    row.get_by_role("checkbox").uncheck()
    expect(opened.frame.locator(".figures")).to_contain_text(
        tables(sample_shelf, lambda each: each.run == "tf2" and each.kind != "scalars")
    )
    expect(opened.tags.get_by_role("treeitem", name="learning_rate")).to_have_count(0)


def test_a_wrong_expression_is_explained_and_hides_nothing(opened: ExportPage) -> None:
    box = opened.tags.get_by_role("searchbox")
    first = opened.tags.get_by_role("treeitem").first
    before = first.get_attribute("aria-setsize") or ""
    box.fill("loss(")
    expect(opened.tags.get_by_text("Invalid regular expression")).to_be_visible()
    expect(box).to_have_attribute("aria-invalid", "true")
    expect(first).to_have_attribute("aria-setsize", before)


def test_a_filter_that_matches_nothing_offers_to_clear_itself(opened: ExportPage) -> None:
    box = opened.runs.get_by_role("searchbox")
    box.fill("no such <b>run</b>")
    expect(opened.runs.get_by_text("No run matches “no such <b>run</b>”.")).to_be_visible()
    opened.runs.get_by_role("button", name="Clear the filter").click()
    expect(box).to_have_value("")
    expect(box).to_be_focused()
    expect(opened.runs.get_by_role("checkbox").nth(3)).to_be_visible()


def test_a_folder_of_tags_ticks_what_is_in_it(opened: ExportPage, sample_shelf: LogdirShelf) -> None:
    opened.select(runs="^tf2$")
    opened.tags.get_by_role("searchbox").fill("^weights/")
    folder = opened.tags.get_by_role("treeitem", name=re.compile("^weights, "))
    folder.locator(".box").click()
    expect(folder).to_have_attribute("aria-checked", "false")
    opened.tags.get_by_role("searchbox").fill("")
    expect(opened.frame.locator(".figures")).to_contain_text(
        tables(sample_shelf, lambda each: each.run == "tf2" and not each.tag.startswith("weights/"))
    )
    opened.tags.get_by_role("searchbox").fill("^weights/")
    opened.tags.get_by_role("treeitem", name="weights/dense/bias, 1 series").locator(".box").click()
    expect(folder).to_have_attribute("aria-checked", "mixed")


def test_the_tree_works_by_keyboard(opened: ExportPage) -> None:
    opened.select(runs="^tf2$")
    keyboard = opened.page.keyboard
    opened.tags.get_by_role("searchbox").focus()
    keyboard.press("Tab")
    keyboard.press("Home")
    focused = opened.tags.locator("[role=treeitem]:focus")
    first = focused.get_attribute("aria-label")
    keyboard.press("ArrowDown")
    assert focused.get_attribute("aria-label") != first
    while focused.get_attribute("aria-expanded") is None:
        keyboard.press("ArrowDown")
    name = focused.get_attribute("aria-label")
    assert name is not None
    keyboard.press("ArrowLeft")
    expect(focused).to_have_attribute("aria-expanded", "false")
    keyboard.press("ArrowRight")
    expect(focused).to_have_attribute("aria-expanded", "true")
    keyboard.press("ArrowRight")
    expect(focused).to_have_attribute("aria-level", "2")
    keyboard.press("Space")
    expect(focused).to_have_attribute("aria-checked", "false")
    keyboard.press("ArrowLeft")
    expect(focused).to_have_attribute("aria-label", name)
    expect(focused).to_have_attribute("aria-checked", "mixed")
    keyboard.press("End")
    expect(focused).to_have_attribute("aria-posinset", focused.get_attribute("aria-setsize") or "")


def test_runs_are_ticked_by_keyboard(opened: ExportPage) -> None:
    keyboard = opened.page.keyboard
    opened.runs.get_by_role("searchbox").focus()
    keyboard.press("Tab")
    keyboard.press("ArrowDown")
    focused = opened.runs.locator("input:focus")
    keyboard.press("Space")
    expect(focused).not_to_be_checked()
    keyboard.press("End")
    expect(opened.runs.locator("[role=listitem]:has(input:focus)")).to_have_attribute(
        "aria-posinset", opened.runs.get_by_role("listitem").first.get_attribute("aria-setsize") or ""
    )


def test_an_empty_selection_says_what_to_do(opened: ExportPage, double: ExportDouble) -> None:
    opened.runs.get_by_role("button", name="None").click()
    expect(opened.series.get_by_text("Nothing is selected")).to_be_visible()
    button = opened.button("Export selection")
    expect(button).to_have_attribute("aria-disabled", "true")
    button.click(force=True)
    expect(opened.jobs).to_have_count(0)
    assert double.requests == []


def test_a_link_restores_the_selection(double: ExportDouble, page: ExportPage, sample_shelf: LogdirShelf) -> None:
    page.open(f"{double.url}#tb2csv&p.tb2csv.run=tf2&p.tb2csv.run=keras%2Ftrain&kind=scalars&p.tb2csv.format=parquet")
    chosen = tables(sample_shelf, lambda each: each.run in {"tf2", "keras/train"} and each.kind == "scalars")
    expect(page.frame.locator(".figures")).to_contain_text(chosen)
    expect(page.frame.get_by_label("Format")).to_have_value("parquet")
    request = exported(page, double)
    assert set(request["runs"]) == {"tf2", "keras/train"}  # type: ignore[call-overload]
    assert request["format"] == "parquet"


def test_a_link_with_missing_names_shows_a_note(double: ExportDouble, page: ExportPage) -> None:
    page.open(f"{double.url}#tb2csv&p.tb2csv.run=%3Cb%3Egone&tag=loss")
    expect(
        page.frame.get_by_text("The link selects run “<b>gone”, which the log directory does not have.")
    ).to_be_visible()
    expect(page.series.get_by_text("Nothing is selected")).to_be_visible()


def test_a_copied_link_opens_the_same_selection(opened: ExportPage, double: ExportDouble) -> None:
    opened.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.select(runs="rate/by part", tags="rate")
    figures = opened.figures()
    opened.button("Copy link").click()
    expect(opened.button("Copied")).to_be_visible()
    link = opened.page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(f"{double.url}#tb2csv&p.tb2csv.run=")
    other = type(opened)(opened.page.context.new_page())
    assert other.open(link).figures() == figures
    assert figures.startswith("2 tables")


def test_a_link_that_would_be_too_long_has_only_kinds_and_options(page: ExportPage) -> None:
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    with ExportDouble(SyntheticShelf(1, 1000)).running() as double:
        page.open(double.url).ready()
        page.frame.get_by_label("Layout").select_option("tags")
        page.select(tags="[02468]$")
        assert page.figures().startswith("500 tables")
        page.button("Copy link").click()
        expect(page.frame.locator(".snackbar")).to_contain_text("too long for a link")
        expect(page.button("Copied")).to_be_visible()
        assert page.page.evaluate("navigator.clipboard.readText()") == f"{double.url}#tb2csv&p.tb2csv.layout=tags"


def test_a_reload_keeps_selection_and_options(opened: ExportPage) -> None:
    opened.select(runs="^torch", tags="loss")
    opened.frame.get_by_label("Layout").select_option("long")
    figures = opened.figures()
    opened.page.reload()
    assert opened.figures() == figures
    expect(opened.frame.get_by_label("Layout")).to_have_value("long")


def test_a_selection_from_another_log_directory_is_dropped(opened: ExportPage, double: ExportDouble) -> None:
    opened.select(runs="^torch$")
    opened.ready()
    double.shelf = shelf = LogdirShelf.__new__(LogdirShelf)
    shelf.series = [Series("elsewhere", "loss", "text", 3, 0, 2)]
    shelf.rows = lambda _: (["step"], [[0], [1], [2]])  # type: ignore[method-assign]
    double.change()
    opened.page.reload()
    assert opened.figures().startswith("1 table3 rows")


def test_browsers_without_storage_do_not_stop_the_page(double: ExportDouble, page: ExportPage) -> None:
    page.page.add_init_script(
        "for (const name of ['localStorage', 'sessionStorage'])"
        " Object.defineProperty(window, name, { get() { throw new DOMException('no', 'SecurityError') } })"
    )
    page.open(double.url).select(runs="^tf2$")
    assert " tables" in page.figures()


def test_new_data_appears_and_the_selection_is_kept(opened: ExportPage, double: ExportDouble) -> None:
    opened.runs.get_by_role("searchbox").fill("tf1|new")
    opened.runs.get_by_label("tf1", exact=True).uncheck()
    opened.runs.get_by_role("searchbox").fill("")
    total = len(double.shelf.series)
    without = sum(each.run != "tf1" for each in double.shelf.series)
    expect(opened.frame.locator(".figures")).to_contain_text(f"{without} tables")
    real = double.shelf

    class Grown:
        series = [*real.series, Series("a new run", "loss", "scalars", 7, 0, 6)]
        rows = real.rows

    double.shelf = Grown()
    double.change()
    opened.page.evaluate("reloadData()")
    opened.runs.get_by_role("searchbox").fill("^a|t")  # with the run of the preview, and few others
    expect(opened.runs.get_by_label("a new run", exact=True)).to_be_checked()
    expect(opened.runs.get_by_label("tf1", exact=True)).not_to_be_checked()
    opened.runs.get_by_role("searchbox").fill("")
    expect(opened.frame.locator(".figures")).to_contain_text(f"{without + 1} tables")
    expect(opened.button("Export all")).to_contain_text(f"{total + 1} tables")


def test_several_boxes_may_be_ticked_within_one_frame(opened: ExportPage) -> None:
    boxes = opened.kinds.get_by_role("checkbox")
    count = boxes.count()
    opened.frame.evaluate("document.querySelectorAll('.kinds-panel input').forEach((box) => box.click())")
    for place in range(count):
        expect(boxes.nth(place)).not_to_be_checked()
    expect(opened.series.get_by_text("Nothing is selected")).to_be_visible()
