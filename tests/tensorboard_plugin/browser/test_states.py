"""The page without tables, and hostile names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from export_double import ExportDouble
from export_page import expect
from shelves import Series

if TYPE_CHECKING:
    from export_page import ExportPage

pytestmark = pytest.mark.slow


class Names:
    """A shelf with a table for each pair of a run and a tag."""

    def __init__(self, *names: tuple[str, str]) -> None:
        self.series = [Series(run, tag, "scalars", 3, 0, 2) for run, tag in names]

    def rows(self, _: Series) -> tuple[list[str], list[list[int]]]:
        return ["step", "value"], [[0, 1], [1, 2], [2, 3]]


def test_an_empty_log_directory_says_why_and_waits(page: ExportPage) -> None:
    with ExportDouble(Names()).running() as double:
        double.behaviour.notes = ["The folder does not exist."]
        page.open(double.url)
        expect(page.frame.get_by_text("Nothing to export yet")).to_be_visible()
        expect(page.frame.get_by_text("The folder does not exist.")).to_be_visible()
        double.shelf = Names(("train", "loss"))
        double.change()
        page.page.evaluate("reloadData()")
        assert page.figures().startswith("1 table")


def test_a_first_scan_shows_how_far_it_is(page: ExportPage) -> None:
    with ExportDouble(Names()).running() as double:
        double.behaviour.index_state = "scanning"
        double.behaviour.progress = (300_000_000, 1_200_000_000)
        page.open(double.url)
        expect(page.frame.get_by_text("300 MB of 1.20 GB read (25 %)")).to_be_visible()
        double.shelf = Names(("train", "loss"))
        double.change()
        expect(page.frame.get_by_text("You can already export what is listed.")).to_be_visible()
        expect(page.frame.locator(".figures")).to_contain_text("1 table")
        double.behaviour.index_state = "ready"
        double.change()
        expect(page.frame.get_by_text("You can already export what is listed.")).to_be_hidden()


def test_a_failed_request_can_be_tried_again(double: ExportDouble, page: ExportPage) -> None:
    double.behaviour.refusal = (500, "internal", "tb2csv failed; see TensorBoard's log.")
    page.open(double.url)
    expect(page.frame.get_by_role("alert")).to_contain_text("tb2csv failed")
    double.behaviour.refusal = None
    page.button("Try again").click()
    page.ready()
    page.errors.clear()


def test_a_log_directory_that_cannot_be_read(page: ExportPage) -> None:
    with ExportDouble(Names()).running() as double:
        double.behaviour.index_state = "failed"
        page.open(double.url)
        expect(page.frame.get_by_role("alert")).to_contain_text(
            "The log directory cannot be read; see its permissions."
        )


def test_a_stopped_server_is_reported(double: ExportDouble, page: ExportPage) -> None:
    page.open(double.url).ready()
    page.page.route("**/api/**", lambda route: route.abort())
    page.page.evaluate("reloadData()")
    expect(page.frame.get_by_role("alert")).to_contain_text("TensorBoard does not respond")
    expect(page.series.get_by_role("listitem").first).to_be_visible()
    page.errors.clear()


def test_answers_that_are_not_json_are_reported(double: ExportDouble, page: ExportPage) -> None:
    page.page.route("**/api/index*", lambda route: route.fulfill(status=200, body="<html>login</html>"))
    page.open(double.url)
    expect(page.frame.get_by_role("alert")).to_contain_text("Reload the page")
    page.page.unroute("**/api/index*")
    page.page.route("**/api/index*", lambda route: route.fulfill(status=502, body="<html>bad gateway</html>"))
    page.button("Try again").click()
    expect(page.frame.get_by_role("alert")).to_contain_text("The server failed with status 502")
    page.errors.clear()


def test_damage_is_shown(double: ExportDouble, page: ExportPage) -> None:
    double.behaviour.damage = 2
    page.open(double.url).ready()
    expect(page.frame.get_by_text("The event files have 2 damaged byte ranges.")).to_be_visible()


def test_names_are_text_and_nothing_else(page: ExportPage) -> None:
    image = '<img src=x onerror="window.hacked = 1; parent.hacked = 1">'
    script = "</title><script>window.hacked = 1</script>"
    names = [
        (image, f"{script}/{image}"),
        ("../../x", "=cmd()"),
        ("__proto__", "constructor"),
        ("%2e%2e", "a//b"),
        ("", ""),
        ("\u202egnp.exe", "javascript:alert(1)"),
        ("line\nbreak", "tab\tin it"),
    ]
    with ExportDouble(Names(*names)).running() as double:
        page.open(double.url).ready()
        expect(page.series.get_by_role("listitem")).to_have_count(len(names))
        for run, _ in names:
            expect(page.runs.get_by_text(run, exact=True).first if run else page.runs).to_be_visible()
        page.series.get_by_role("button", name="CSV of =cmd() of run ../../x").click()
        expect(page.jobs).to_contain_text("=cmd() of ../../x")
        for index in range(len(names)):
            page.series.locator(".series-main").nth(index).click()
            expect(page.preview.get_by_role("table")).to_be_visible()
        assert page.frame.locator("img, script:not([type=module]), iframe").count() == 0
        assert page.frame.evaluate("[window.hacked, parent.hacked]") == [None, None]
        page.select(runs="<img")
        with page.page.expect_download():
            page.button("Export selection").click()
        assert double.requests[-1]["runs"] == [image]
