"""Exports from the click to the file: saving, progress, cancelling, errors that come late, notebooks."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from export_double import ExportDouble, report
from export_page import expect

if TYPE_CHECKING:
    from export_page import ExportPage
    from playwright.sync_api import Download
    from shelves import LogdirShelf

pytestmark = pytest.mark.slow


@pytest.fixture
def opened(double: ExportDouble, page: ExportPage) -> ExportPage:
    return page.open(double.url).ready()


def content(download: Download) -> bytes:
    assert download.failure() is None
    return Path(download.path()).read_bytes()


def test_export_all_saves_one_archive(opened: ExportPage, double: ExportDouble, sample_shelf: LogdirShelf) -> None:
    opened.select(runs="^tf2$")
    with opened.page.expect_download() as saved:
        opened.button("Export all").click()
    assert saved.value.suggested_filename == "tensorboard-tables.zip"
    archive = zipfile.ZipFile(io.BytesIO(content(saved.value)))
    assert len(archive.namelist()) == len(sample_shelf.series)
    assert double.requests[-1] == {
        "runs": None,
        "tags": None,
        "kinds": None,
        "what": "tables",
        "archive": True,
        "file": "zip",
        "layout": "tree",
        "format": "csv",
        "tensors": "elements",
        "time": ["epoch"],
        "restarts": "keep",
        "escape_formulas": True,
        "sessions": False,
        "merge_subruns": False,
    }
    expect(opened.jobs).to_contain_text("Done: ")
    expect(opened.jobs).to_contain_text("1,234 of 1,234 values exported to 12 tables.")


def test_options_go_into_the_request_and_the_command(opened: ExportPage, double: ExportDouble) -> None:
    opened.frame.get_by_label("Layout").select_option("tags")
    opened.frame.get_by_label("Format").select_option("jsonl")
    opened.frame.get_by_text("More options").click()
    opened.frame.locator("#option-tensors").select_option("npy")
    opened.frame.get_by_label("Restarts").select_option("purge")
    opened.frame.get_by_label("Date and time in UTC").check()
    expect(opened.frame.get_by_label("Seconds since 1970")).to_be_enabled()
    opened.frame.get_by_label("Seconds since 1970").uncheck()
    expect(opened.frame.get_by_label("Date and time in UTC")).to_be_disabled()
    opened.frame.get_by_label("Escape text that looks like a formula").uncheck()
    opened.frame.get_by_label("Add the session of each row").check()
    opened.frame.get_by_label("Merge sub-runs").check()
    expect(
        opened.frame.get_by_text("changed: tensors, time columns, restarts, sessions, sub-runs, formulas")
    ).to_be_visible()
    expect(opened.frame.locator(".command-text")).to_contain_text("--layout tags --format jsonl")
    with opened.page.expect_download():
        opened.button("Export all").click()
    chosen = {"layout": "tags", "format": "jsonl", "tensors": "npy", "restarts": "purge", "time": ["iso"]}
    assert chosen.items() <= double.requests[-1].items()
    flags = ("escape_formulas", "sessions", "merge_subruns")
    assert [double.requests[-1][flag] for flag in flags] == [False, True, True]


def test_a_workbook_and_one_table_are_files(opened: ExportPage, double: ExportDouble) -> None:
    file, layout = opened.frame.get_by_label("File", exact=True), opened.frame.get_by_label("Layout")
    for chosen, default, is_format_open in (
        ("xlsx", "One sheet per kind", False),
        ("table", "One row per value", True),
    ):
        file.select_option(chosen)
        expect(layout.locator("option").first).to_contain_text(default)
        expect(opened.frame.get_by_label("Format")).to_be_enabled(enabled=is_format_open)
        with opened.page.expect_download() as saved:
            opened.button("Export all").click()
        assert double.requests[-1]["file"] == chosen
        assert saved.value.suggested_filename == f"logs.{'xlsx' if chosen == 'xlsx' else 'csv'}"
    opened.page.reload()
    expect(opened.ready().frame.get_by_label("File", exact=True)).to_have_value("table")


def test_one_selected_table_is_saved_as_itself(opened: ExportPage, double: ExportDouble) -> None:
    opened.select(runs="^tf2$", tags="^loss$")
    expect(opened.button("Export selection")).to_contain_text("1 table,")
    with opened.page.expect_download() as saved:
        opened.button("Export selection").click()
    assert double.requests[-1]["archive"] is False
    assert content(saved.value).startswith(b"wall_time,step,value\n")


@pytest.mark.parametrize(("button", "file_format"), [("CSV", "csv"), ("Parquet", "parquet")])
def test_a_row_exports_its_table_alone(opened: ExportPage, double: ExportDouble, button: str, file_format: str) -> None:
    opened.frame.get_by_label("Layout").select_option("wide")
    opened.select(runs="^tf2$", tags="^learning_rate$")
    with opened.page.expect_download():
        opened.series.get_by_role("button", name=f"{button} of learning_rate of run tf2").click()
    request = double.requests[-1]
    assert (request["runs"], request["tags"], request["kinds"]) == (["tf2"], ["learning_rate"], ["scalars"])
    assert (request["format"], request["layout"], request["archive"]) == (file_format, "tree", False)


def test_a_row_of_several_files_is_saved_as_an_archive(double: ExportDouble, page: ExportPage) -> None:
    page.open(double.url).ready().select(runs="^tf2$", tags="^pattern$")
    with page.page.expect_download() as saved:
        page.series.get_by_role("button", name="CSV of pattern of run tf2").click()
    assert saved.value.suggested_filename == "tensorboard-tables.zip"
    assert double.requests[-1]["archive"] is True
    # The browser logs the first refusal; the page shows no error.
    assert [error for error in page.errors if "400" not in error] == []
    page.errors.clear()


def test_copy_puts_a_table_on_the_clipboard(opened: ExportPage, sample_shelf: LogdirShelf) -> None:
    opened.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.select(runs="^tf2$", tags="^loss$")
    opened.series.get_by_role("button", name="Copy loss of run tf2").click()
    expect(opened.frame.get_by_role("status").filter(has_text="Copied loss of tf2")).to_be_attached()
    series = next(each for each in sample_shelf.series if (each.run, each.tag) == ("tf2", "loss"))
    columns, rows = sample_shelf.rows(series)
    pasted = opened.page.evaluate("navigator.clipboard.readText()")
    assert [line.split("\t") for line in pasted.splitlines()] == [list(map(str, row)) for row in [columns, *rows]]


def test_the_table_of_hyperparameters(opened: ExportPage, double: ExportDouble) -> None:
    with opened.page.expect_download() as saved:
        opened.button("HParams one table as CSV").click()
    assert saved.value.suggested_filename == "hparams.csv"
    request = double.requests[-1]
    assert (request["what"], request["format"], request["archive"]) == ("hparams", "csv", False)


def test_a_running_export_shows_progress_and_can_be_cancelled(opened: ExportPage, double: ExportDouble) -> None:
    double.behaviour.go.clear()
    opened.button("Export all").click()
    bar = opened.frame.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "40")
    expect(opened.jobs).to_contain_text("Converting: ")
    opened.button("Cancel All series").click()
    expect(opened.jobs).to_contain_text("Cancelled.")
    expect(bar).to_be_hidden()
    assert [job.state for job in double.jobs.values()] == ["cancelled"]
    opened.unfold()
    opened.button("Dismiss All series").click()
    expect(opened.jobs).to_have_count(0)
    expect(opened.button("Export selection")).to_be_focused()


def test_finished_exports_share_a_line_below_the_list(opened: ExportPage, double: ExportDouble) -> None:
    fold = opened.frame.locator(".finished-jobs")
    for number in range(3):
        with opened.page.expect_download():
            opened.button("Export all").click()
        expect(opened.jobs).to_have_count(number + 1)
        expect(opened.frame.locator(".jobs-section > .jobs > .job")).to_have_count(0)
    expect(fold.locator("summary").first).to_contain_text("3 exports finished. All series: Done: ")
    expect(opened.jobs.first).to_be_hidden()
    lists, line = opened.series.bounding_box(), fold.bounding_box()
    assert lists
    assert line
    assert lists["y"] + lists["height"] <= line["y"]
    assert line["height"] < 50
    double.behaviour.failure = "The disk of the server is full; free some space and export again."
    opened.button("Export all").click()
    expect(opened.jobs.get_by_role("alert")).to_be_visible()  # a failure is not folded
    opened.frame.get_by_role("button", name="Dismiss all", exact=True).click()
    expect(fold).to_be_hidden()
    expect(opened.jobs).to_have_count(1)
    expect(opened.button("Export selection")).to_be_focused()


def test_a_running_export_is_in_sight(opened: ExportPage, double: ExportDouble) -> None:
    opened.page.set_viewport_size({"width": 1024, "height": 600})
    double.behaviour.go.clear()
    opened.button("Export all").click()
    expect(opened.jobs).to_be_in_viewport(ratio=0.99)
    double.behaviour.go.set()
    expect(opened.frame.locator(".finished-jobs")).to_be_in_viewport(ratio=0.99)


def test_row_buttons_appear_on_hover_and_focus(opened: ExportPage) -> None:
    row = opened.series.get_by_role("listitem").nth(2)
    buttons = row.locator(".row-actions")
    expect(buttons).to_have_css("opacity", "0")
    row.hover()
    expect(buttons).to_have_css("opacity", "1")
    opened.frame.get_by_label("Sort by").hover()
    expect(buttons).to_have_css("opacity", "0")
    row.get_by_role("button").first.focus()
    opened.page.keyboard.press("Tab")
    expect(row.get_by_role("button").nth(1)).to_be_focused()
    expect(buttons).to_have_css("opacity", "1")


def test_an_export_in_the_queue_says_so(opened: ExportPage, double: ExportDouble) -> None:
    double.behaviour.go.clear()
    double.behaviour.position = 2
    opened.button("Export all").click()
    expect(opened.jobs).to_contain_text("Waiting for other exports: number 2 in the queue")
    double.behaviour.position = None
    expect(opened.jobs).to_contain_text("Converting: ")
    double.behaviour.go.set()
    expect(opened.jobs).to_contain_text("Done: ")


def test_an_error_during_the_download_is_shown(opened: ExportPage, double: ExportDouble) -> None:
    double.behaviour.failure = "The disk of the server is full; free some space and export again."
    double.behaviour.go.clear()
    with opened.page.expect_download() as saved:
        opened.button("Export all").click()
    expect(opened.jobs).to_contain_text("Converting: ")
    double.behaviour.go.set()
    expect(opened.frame.get_by_role("alert")).to_have_text(double.behaviour.failure)
    assert saved.value.failure() is not None


def test_the_report_lists_damage(opened: ExportPage, double: ExportDouble) -> None:
    damage = {
        "path": "a/events.out.tfevents.1",
        "offset": 4096,
        "length": 120,
        "kind": "checksum",
        "detail": "<i>bad</i>",
    }
    value = {"run": "a", "tag": "t", "step": 3, "detail": "not a tensor"}
    double.behaviour.report = report(
        damage=[damage],
        damage_count=25,
        undecodable=[value],
        undecodable_count=1,
        values_undecodable=1,
        notes=["A note."],
    )
    with opened.page.expect_download():
        opened.button("Export all").click()
    opened.unfold()
    opened.jobs.get_by_text("25 damaged byte ranges in the event files").click()
    expect(opened.jobs).to_contain_text("a/events.out.tfevents.1: <i>bad</i>, 120 bytes at byte 4096")
    expect(opened.jobs).to_contain_text("and 24 more; run tb2csv check to list them all")
    expect(opened.jobs).to_contain_text("1 value could not be decoded and was left out")
    expect(opened.jobs).to_contain_text("A note.")


def test_a_refused_export_shows_an_error_that_can_be_dismissed(double: ExportDouble, page: ExportPage) -> None:
    page.open(double.url).ready()
    double.behaviour.refusal = (429, "busy", "Too many exports wait already; try again when one is done.")
    page.button("Export all").click()
    alert = page.frame.get_by_role("alert").filter(has_text="Too many exports wait already")
    expect(alert).to_be_visible()
    alert.get_by_role("button", name="Dismiss").click()
    expect(alert).to_have_count(0)
    page.errors.clear()


def test_a_running_export_is_still_there_after_a_reload(opened: ExportPage, double: ExportDouble) -> None:
    double.behaviour.go.clear()
    opened.button("Export all").click()
    expect(opened.jobs).to_contain_text("Converting: ")
    opened.page.reload()
    expect(opened.jobs).to_contain_text("Converting: ")
    double.behaviour.go.set()
    expect(opened.jobs).to_contain_text("Done: ")


def test_an_export_that_the_server_dropped_is_reported(double: ExportDouble, page: ExportPage) -> None:
    double.behaviour.go.clear()
    page.open(double.url).ready().button("Export all").click()
    expect(page.jobs).to_contain_text("Converting: ")
    double.jobs.clear()
    expect(page.jobs).to_contain_text("The server no longer has this export")
    page.errors.clear()


def test_the_page_can_save_a_file_that_the_browser_does_not_fetch(opened: ExportPage, double: ExportDouble) -> None:
    double.behaviour.job_state = "ready"
    with opened.page.expect_download():
        opened.button("Export all").click()
    button = opened.button("Save file of All series")
    expect(button).to_be_visible(timeout=15_000)
    with opened.page.expect_download() as saved:
        button.click()
    double.behaviour.job_state = None
    expect(opened.jobs).to_contain_text("Done: ")
    assert saved.value.url.startswith("blob:")
    assert zipfile.ZipFile(io.BytesIO(content(saved.value))).testzip() is None


@pytest.mark.parametrize("path", ["notebook", "?tensorboardColab=true"])
def test_in_a_notebook_the_file_goes_through_the_page(double: ExportDouble, page: ExportPage, path: str) -> None:
    page.open(double.url + path).ready()
    with page.page.expect_download() as saved:
        page.button("Export all").click()
    assert saved.value.url.startswith("blob:")
    assert saved.value.suggested_filename == "tensorboard-tables.zip"
    assert zipfile.ZipFile(io.BytesIO(content(saved.value))).testzip() is None
    expect(page.jobs).to_contain_text("Done: ")


def test_in_a_notebook_a_large_file_is_refused_before_it_is_made(double: ExportDouble, page: ExportPage) -> None:
    double.behaviour.blob_limit = 10_000
    page.open(f"{double.url}notebook").ready().button("Export all").click()
    expect(page.frame.get_by_role("alert")).to_contain_text("Files over 10.0 kB cannot be saved from inside")
    assert double.requests == []


def test_in_a_notebook_a_file_that_grew_too_large_is_dropped(double: ExportDouble, page: ExportPage) -> None:
    page.open(f"{double.url}notebook").ready()
    double.behaviour.blob_limit = 1000
    # An estimate that was far too low.
    page.page.route(
        "**/api/plan", lambda route: route.fulfill(json={"tables": 1, "rows": 1, "bytes": 1, "command": "x"})
    )
    page.page.reload()
    page.ready().button("Export all").click()
    expect(page.jobs).to_contain_text("Files over 1.00 kB cannot be saved from inside a notebook")
    assert [job.state for job in double.jobs.values()] == ["cancelled"]


def test_in_a_notebook_an_error_during_the_download_is_shown(double: ExportDouble, page: ExportPage) -> None:
    double.behaviour.failure = "The disk of the server is full; free some space and export again."
    page.open(f"{double.url}notebook").ready().button("Export all").click()
    expect(page.frame.get_by_role("alert")).to_have_text(double.behaviour.failure)
    page.errors.clear()
