"""The Export tab in a browser, for tests: opened, watched for errors, and found in its frame."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Error, Frame, Locator, Page


class ExportPage:
    """The tab in a page of its own browser context.

    ``errors`` are the errors that the browser reported for the tab: TensorBoard has errors of its own.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("console", self._note_message)
        page.on("pageerror", self._note_error)

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "tb2csv" in message.location["url"]:
            self.errors.append(message.text)

    def _note_error(self, error: Error) -> None:
        if "tb2csv" in (error.stack or "tb2csv"):
            self.errors.append(str(error))

    @property
    def frame(self) -> Frame:
        self.page.wait_for_function("() => true")
        found = [frame for frame in self.page.frames if "plugin_entry" in frame.url]
        while not found:
            self.page.wait_for_timeout(20)
            found = [frame for frame in self.page.frames if "plugin_entry" in frame.url]
        return found[0]

    def open(self, url: str) -> ExportPage:
        self.page.goto(url)
        return self

    def ready(self) -> ExportPage:
        """Wait until the tables are listed and the server has answered with their sizes."""
        expect(self.frame.locator(".figures:not(.is-preliminary)")).to_be_visible()
        return self

    @property
    def runs(self) -> Locator:
        return self.frame.get_by_role("region", name="Runs", exact=True)

    @property
    def kinds(self) -> Locator:
        return self.frame.get_by_role("group", name="Kinds", exact=True)

    @property
    def tags(self) -> Locator:
        return self.frame.get_by_role("region", name="Tags", exact=True)

    @property
    def series(self) -> Locator:
        return self.frame.get_by_role("region", name="Series", exact=True)

    @property
    def preview(self) -> Locator:
        return self.frame.get_by_role("region", name="Preview", exact=True)

    @property
    def jobs(self) -> Locator:
        return self.frame.locator(".job")

    def button(self, name: str) -> Locator:
        return self.frame.get_by_role("button", name=name)

    def select(self, *, runs: str | None = None, tags: str | None = None) -> None:
        """Tick only what matches a filter, and clear the filter."""
        for panel, filtered in ((self.runs, runs), (self.tags, tags)):
            if filtered is None:
                continue
            box = panel.get_by_role("searchbox")
            box.fill(filtered)
            panel.get_by_role("button", name="Only these").click()
            box.fill("")

    def figures(self) -> str:
        return self.ready().frame.locator(".figures").inner_text().replace("\xa0", " ")


@contextmanager
def page_in(browser: Browser, **options: Any) -> Iterator[ExportPage]:
    """Yield a page in a new context with empty storage."""
    context = browser.new_context(accept_downloads=True, **options)
    try:
        yield ExportPage(context.new_page())
    finally:
        context.close()
