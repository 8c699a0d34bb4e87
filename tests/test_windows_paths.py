"""Paths as Windows writes them, as far as they can be tested elsewhere."""

from __future__ import annotations

import pytest

from tb2csv.sinks.private_folder import is_published_path
from tb2csv.sources.urls import is_url, is_writable

PATHS = [
    "C:\\logs",
    "C:/logs",
    "c://logs",
    "C:logs",
    "C::logs",
    "\\\\server\\share\\logs",
    "\\\\?\\C:\\logs",
    ".\\s3\\logs",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_with_a_drive_or_a_server_is_not_a_url(path: str) -> None:
    assert not is_url(path)
    assert not is_writable(path)


@pytest.mark.parametrize("url", ["s3://C:/logs", "file:///C:/logs", "zip://a\\b::C:\\logs.zip"])
def test_a_url_may_have_a_drive_or_backslashes(url: str) -> None:
    assert is_url(url)


@pytest.mark.parametrize("path", ["a\\..\\..\\x", "C:\\x", "C:x", "\\\\server\\x", "a\\b", "a:stream"])
def test_no_path_of_a_ledger_leads_out_of_the_folder_on_windows(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """There a backslash separates folders, and a colon ends a drive or begins a stream."""
    assert is_published_path(path), "elsewhere it is the name of a file"
    monkeypatch.setattr("os.sep", "\\")
    assert not is_published_path(path)
    assert is_published_path("run/scalars/loss.csv")
