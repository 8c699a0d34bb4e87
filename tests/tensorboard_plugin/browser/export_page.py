"""The Export tab in a browser, for tests: opened, watched for errors, and found in its frame."""

from __future__ import annotations

import json
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Frame, Locator, LocatorAssertions, Page

#: What passes is only counted: it has every element of the page several times, and takes seconds to send.
_RUN_AXE = """axe.run(document, { resultTypes: ["violations"] })
  .then(({ passes, violations }) => ({ passes: passes.length, violations }))"""


def expect(locator: Locator) -> LocatorAssertions:
    """Return Playwright's assertions. Playwright takes a second to import, and not every process opens pages."""
    from playwright.sync_api import expect as assertions_of

    return assertions_of(locator)


class ExportPage:
    """The tab in a page of its own.

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

    def reopen(self) -> ExportPage:
        """Load the tab anew with empty storage, and nothing else of TensorBoard, which takes seconds to load."""
        self.frame.evaluate("localStorage.clear(); sessionStorage.clear()")
        self.frame.goto(self.frame.url)
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

    def unfold(self) -> None:
        """Show the finished exports, which share a line."""
        self.frame.locator(".finished-jobs > details > summary").click()

    def select(self, *, runs: str | None = None, tags: str | None = None) -> None:
        """Tick only what matches a filter, and clear the filter."""
        lists = self.frame.get_by_role("button", name="Choose what to export", expanded=False)
        if lists.is_visible():  # on a narrow page
            lists.click()
        for panel, filtered in ((self.runs, runs), (self.tags, tags)):
            if filtered is None:
                continue
            box = panel.get_by_role("searchbox")
            box.fill(filtered)
            panel.get_by_role("button", name="Only these").click()
            box.fill("")

    def figures(self) -> str:
        # The page's own estimate may come between ``ready`` and the next plan.
        return self.ready().frame.locator(".figures:not(.is-preliminary)").inner_text().replace("\xa0", " ")

    def violations(self) -> list[str]:
        """Return what axe finds wrong in the frame, a line for each element."""
        # Not as a script element, which the page's policy forbids.
        self.frame.evaluate((resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
        found = self.frame.evaluate(_RUN_AXE)
        assert found["passes"]
        return [
            f"{rule['id']}: {json.dumps(node['target'])} {node['html']}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]


@contextmanager
def page_in(context: BrowserContext) -> Iterator[ExportPage]:
    """Yield a new page of a context with empty storage, and close those that are opened meanwhile, too."""
    others = list(context.pages)
    page = context.new_page()
    try:
        yield ExportPage(page)
    finally:
        opened = [page for page in context.pages if page not in others]
        origins = {urlsplit(page.url)._replace(path="", query="", fragment="").geturl() for page in opened}
        for page in opened:
            page.close()
        session = context.new_cdp_session(context.pages[0])
        for origin in origins:
            session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        session.detach()
        context.clear_permissions()
