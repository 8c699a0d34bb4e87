"""A browser for the tests of the Export tab: Debian's Chromium, which ``make test`` installs if it may."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))

from export_double import ExportDouble
from export_page import ExportPage, page_in
from shelves import LogdirShelf

SAMPLE_LOGS = Path(__file__).parents[3] / "sample_logs"


@pytest.fixture(scope="session")
def context() -> Iterator[BrowserContext]:
    """Yield the browser context of all pages. A context for each test would double the time of the tests."""
    from playwright.sync_api import expect, sync_playwright

    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("There is no Chromium here; on Debian, install it with: apt-get install chromium.")
    # Chromium's sandbox does not work for root, the user of most containers.
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    expect.set_options(timeout=60_000)  # 5 seconds are too few on a busy machine
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        context = browser.new_context(accept_downloads=True, viewport={"width": 1400, "height": 1500})
        context.set_default_timeout(120_000)
        context.new_page()
        yield context
        browser.close()


@pytest.fixture(scope="session")
def sample_shelf() -> LogdirShelf:
    return LogdirShelf(SAMPLE_LOGS)


@pytest.fixture
def double(sample_shelf: LogdirShelf) -> Iterator[ExportDouble]:
    """Serve the sample logs as the plugin would."""
    with ExportDouble(sample_shelf).running() as double:
        yield double


@pytest.fixture
def page(context: BrowserContext) -> Iterator[ExportPage]:
    """Yield a page on which the browser must not report errors."""
    with page_in(context) as page:
        yield page
        assert page.errors == []
