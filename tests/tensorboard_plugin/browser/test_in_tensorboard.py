"""The Export tab in TensorBoard itself, in a browser: what is saved is what ``tb2csv convert`` writes."""

from __future__ import annotations

import csv
import io
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from event_files import event, event_file, scalar, tensor, text, write_run
from export_page import expect, page_in
from plugin_server import files_of_folder, files_of_zip, tensorboard

from tb2csv import convert
from tb2csv.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from export_page import ExportPage
    from playwright.sync_api import BrowserContext, Download
    from plugin_server import RunningTensorBoard

pytestmark = pytest.mark.slow

SAMPLE_LOGS = Path(__file__).parents[3] / "sample_logs"
HOSTILE_RUN = "<img src=x onerror=parent.hacked=1>"
HOSTILE_TAG = '=cmd()|"<script>parent.hacked=1<,script>../../x'
#: The arguments of TensorBoard, and the path of its page.
STARTS = {
    "rust": (("--load_fast", "true"), "/"),
    "python behind a prefix": (("--load_fast", "false", "--path_prefix", "/team/board"), "/"),
    "an experiment": (("--load_fast", "true"), "/experiment/defaultExperimentId/"),
}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample logs, a run with more points than TensorBoard shows, and hostile names."""
    folder = tmp_path_factory.mktemp("logs") / "logs"
    shutil.copytree(SAMPLE_LOGS, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    rng = np.random.default_rng(5)
    noise = rng.normal(size=14_000) / 20
    write_run(
        folder / "long",
        *(event(scalar("train/loss", np.exp(-step / 4000) + noise[step]), step=step) for step in range(14_000)),
    )
    write_run(folder / HOSTILE_RUN, event(scalar(HOSTILE_TAG, 1.0), text("note", "=1+1"), step=1))
    return folder


#: For tests in which it does not matter how TensorBoard was started.
plainly = pytest.mark.parametrize("running", ["rust"], indirect=True)


@pytest.fixture(scope="module", params=STARTS)
def running(
    request: pytest.FixtureRequest, logs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningTensorBoard, str]]:
    options, path = STARTS[request.param]
    with tensorboard(tmp_path_factory.mktemp("tensorboard"), "--logdir", logs, *options) as running:
        running.until_loaded()
        yield running, f"{running.url}{path}"
        assert "Traceback" not in running.log


@pytest.fixture(scope="module")
def board(running: tuple[RunningTensorBoard, str], context: BrowserContext) -> Iterator[ExportPage]:
    with page_in(context) as page:
        yield page.open(f"{running[1]}#tb2csv")


@pytest.fixture
def opened(board: ExportPage) -> Iterator[ExportPage]:
    """Yield the tab of a TensorBoard that earlier tests may have opened."""
    board.errors.clear()
    yield board.reopen().ready()
    assert board.errors == []
    board.page.context.clear_permissions()


def content(download: Download) -> bytes:
    assert download.failure() is None
    return Path(download.path()).read_bytes()


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_export_all_equals_the_output_of_convert(opened: ExportPage, logs: Path, tmp_path: Path) -> None:
    with opened.page.expect_download() as saved:
        opened.button("Export all").click()
    report = convert(logs, tmp_path / "out", escape_formulas=True)
    assert files_of_zip(content(saved.value)) == files_of_folder(tmp_path / "out")
    expect(opened.jobs).to_contain_text("Done: ")
    expect(opened.jobs).to_contain_text(f"{report.values_written:,} of {report.values_read:,} values exported")
    assert report.damage
    expect(opened.jobs).to_contain_text("in the event files")


@plainly
@pytest.mark.parametrize("layout", ["tree", "tags", "wide", "long"])
def test_a_selection_equals_that_of_convert(opened: ExportPage, logs: Path, tmp_path: Path, layout: str) -> None:
    opened.select(runs="^(tf2|keras/train)$", tags="loss")
    opened.frame.get_by_label("Layout").select_option(layout)
    opened.frame.get_by_label("Format").select_option("jsonl")
    with opened.page.expect_download() as saved:
        opened.button("Export selection").click()
    chosen = Selection(runs=("tf2", "keras/train"), tags=("*loss*",))
    convert(logs, tmp_path / "out", selection=chosen, layout=layout, format="jsonl", escape_formulas=True)
    assert files_of_zip(content(saved.value)) == files_of_folder(tmp_path / "out")


@plainly
@pytest.mark.parametrize("layout", ["tree", "tags", "wide", "long"])
def test_one_series_is_saved_as_one_file_in_every_layout(opened: ExportPage, layout: str) -> None:
    opened.select(runs="^tf2$", tags="^learning_rate$")
    opened.frame.get_by_label("Layout").select_option(layout)
    opened.ready()
    with opened.page.expect_download() as saved:
        opened.button("Export selection").click()
    assert saved.value.suggested_filename == "tf2-learning_rate.csv"
    rows = rows_of(content(saved.value).decode())
    assert "step" in rows[0]
    assert len(rows) == 61


@plainly
def test_one_table_of_several_kinds_is_refused_before_a_click(opened: ExportPage) -> None:
    file, button = opened.frame.get_by_label("File"), opened.button("Export selection")
    expect(button).not_to_have_attribute("aria-disabled", "true")
    file.select_option("table")
    for each in (button, opened.button("Export all")):
        expect(each).to_have_attribute("aria-disabled", "true")
        expect(each).to_have_attribute("title", re.compile("several kinds: .*; choose one with Kinds"))
    expect(opened.frame.locator("#command-text")).to_contain_text("several kinds")
    opened.select(tags="^learning_rate$")
    expect(button).not_to_have_attribute("aria-disabled", "true")
    expect(opened.frame.locator("#command-text")).to_contain_text("tb2csv convert")
    file.select_option("zip")
    expect(opened.button("Export all")).not_to_have_attribute("aria-disabled", "true")
    opened.errors[:] = [error for error in opened.errors if "400" not in error]  # the browser's, on the refused plans


def test_rows_are_previewed_saved_and_copied(opened: ExportPage, logs: Path, tmp_path: Path) -> None:
    opened.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.select(runs="^long$")
    expect(opened.preview.get_by_text("TensorBoard shows 1,000 of 14,000 points.")).to_be_visible()
    convert(logs, tmp_path / "out", selection=Selection(runs=("long",)))
    table = tmp_path / "out" / "long" / "scalars" / "train" / "loss.csv"
    rows = rows_of(table.read_text())
    with opened.page.expect_download() as saved:
        opened.series.get_by_role("button", name="CSV of train/loss of run long").click()
    assert content(saved.value) == table.read_bytes()
    with opened.page.expect_download() as saved:
        opened.series.get_by_role("button", name="Parquet of train/loss of run long").click()
    frame = pl.read_parquet(content(saved.value))
    assert frame.equals(pl.read_csv(table, schema=frame.schema))
    opened.series.get_by_role("button", name="Copy train/loss of run long").click()
    expect(opened.frame.get_by_role("status").filter(has_text="Copied")).to_be_attached()
    pasted = opened.page.evaluate("navigator.clipboard.readText()")
    assert [line.split("\t") for line in pasted.splitlines()] == rows
    seen = [row.locator("td").all_inner_texts() for row in opened.preview.locator("tbody tr").all()]
    assert opened.preview.get_by_role("columnheader").all_inner_texts() == rows[0]
    assert seen[5] == ["13,990 more rows"]
    # As JavaScript prints numbers, which may be in other digits, but is the same number.
    numbers = [[float(cell) for cell in row] for row in seen[:5] + seen[6:]]
    assert numbers == [[float(cell) for cell in row] for row in rows[1:6] + rows[-5:]]


@plainly
@pytest.mark.parametrize("kind", ["Histograms", "Images", "Text", "HParams", "Graphs", "PR curves", "Audio", "Meshes"])
def test_every_kind_can_be_previewed_and_saved_alone(opened: ExportPage, kind: str) -> None:
    opened.kinds.locator(".kind-row").evaluate_all(
        "(rows, kind) => rows.filter((row) => !row.innerText.startsWith(kind)).forEach((row) => row.click())", kind
    )
    opened.ready()
    expect(opened.preview.get_by_role("heading", level=3)).not_to_have_text("train/loss")
    expect(opened.preview.get_by_role("table")).to_be_visible()
    with opened.page.expect_download() as saved:
        opened.preview.get_by_role("button", name="CSV").click()
    data = content(saved.value)
    assert data.startswith(b"PK") == saved.value.suggested_filename.endswith(".zip")
    # The browser logs the refusal of a single file; the page then requests an archive.
    opened.errors[:] = [error for error in opened.errors if "400" not in error]


@plainly
def test_the_table_of_hyperparameters(opened: ExportPage, logs: Path, tmp_path: Path) -> None:
    with opened.page.expect_download() as saved:
        opened.button("HParams one table as CSV").click()
    convert(logs, tmp_path / "out", escape_formulas=True)
    assert content(saved.value) == (tmp_path / "out" / "hparams.csv").read_bytes()


@plainly
def test_hostile_names_stay_names(opened: ExportPage) -> None:
    opened.select(runs="onerror")
    expect(opened.series.get_by_text(HOSTILE_TAG, exact=True)).to_be_visible()
    expect(opened.series.get_by_text(f"{HOSTILE_RUN} · Scalars")).to_be_visible()
    with opened.page.expect_download() as saved:
        opened.button("Export selection").click()
    files = files_of_zip(content(saved.value))
    assert not [path for path in files if ".." in Path(path).parts or Path(path).is_absolute()]
    assert b",'=1+1\n" in next(data for path, data in files.items() if path.endswith("note.csv"))
    expect(opened.jobs).to_contain_text("Done: ")
    assert opened.frame.locator("img, iframe").count() == 0
    assert opened.page.evaluate("window.hacked") is None


def test_runs_have_tensorboards_colours(opened: ExportPage, running: tuple[RunningTensorBoard, str]) -> None:
    palette = ["#425066", "#12b5cb", "#e52592", "#f9ab00", "#9334e6", "#7cb342", "#e8710a"]
    order = running[0].json("/data/runs")
    opened.runs.get_by_role("searchbox").fill("^long$")
    dot = opened.runs.locator(".dot").first
    wanted = palette[order.index("long") % 7]
    rgb = ", ".join(str(int(wanted[place : place + 2], 16)) for place in (1, 3, 5))
    expect(dot).to_have_css("background-color", f"rgb({rgb})")
    opened.select(runs="^long$")
    expect(opened.preview.locator(".dot")).to_have_css("background-color", f"rgb({rgb})")
    expect(opened.preview.locator(".chart-line")).to_have_css("stroke", f"rgb({rgb})")


@pytest.mark.parametrize("query", ["", "?darkMode=true"], ids=["light", "dark"])
def test_themes_fonts_and_axe(running: tuple[RunningTensorBoard, str], page: ExportPage, query: str) -> None:
    page.open(f"{running[1]}{query}#tb2csv").ready()
    back = "rgb(48, 48, 48)" if query else "rgb(255, 255, 255)"
    expect(page.frame.locator(".sidebar")).to_have_css("background-color", back)
    fonts = "Promise.all([400, 500].map((weight) => document.fonts.load(`${weight} 14px Roboto`)))"
    assert all(page.frame.evaluate(f"{fonts}.then((found) => found.map((faces) => faces.length > 0))"))
    assert page.page.locator("iframe").first.get_attribute("title") == "Export"
    assert page.violations() == []


@plainly
def test_other_tabs_and_back(running: tuple[RunningTensorBoard, str], page: ExportPage) -> None:
    opened = page.open(f"{running[1]}#tb2csv").ready()
    opened.select(runs="^long$")
    figures = opened.figures()
    # Not by the mouse: TensorBoard's own buttons cover its tabs if there are many.
    opened.page.get_by_role("tab", name="Time Series").locator("[data-plugin-id]").dispatch_event("click")
    expect(opened.page.locator("iframe").first).to_be_hidden()
    opened.page.get_by_role("tab", name="Export").locator("[data-plugin-id]").dispatch_event("click")
    expect(opened.page.locator("iframe").first).to_be_visible()
    assert opened.figures() == figures
    opened.page.evaluate("location.hash = '#tb2csv&p.tb2csv.run=tf2'")
    expect(opened.runs.locator(".heading-counts")).to_contain_text("1 of ")
    assert opened.figures() != figures


def test_a_growing_file_appears_when_tensorboard_reloads(context: BrowserContext, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    path = write_run(logs / "run", *(event(scalar("loss", step), step=step) for step in range(20)))
    with tensorboard(tmp_path, "--logdir", logs) as running, page_in(context) as page:
        running.until_loaded()
        page.open(f"{running.url}/#tb2csv").ready()
        expect(page.preview.get_by_text("The table has 20 rows.")).to_be_visible()
        path.write_bytes(event_file(event(scalar("loss", step), step=step) for step in range(33)))
        write_run(logs / "another", event(scalar("accuracy", 1), step=1))
        page.page.locator("button.reload-button").click()
        expect(page.preview.get_by_text("The table has 33 rows.")).to_be_visible()
        expect(page.runs.get_by_label("another", exact=True)).to_be_checked()
        with page.page.expect_download() as saved:
            page.button("Export all").click()
        assert files_of_zip(content(saved.value))["run/scalars/loss.csv"].count(b"\n") == 34
        assert page.errors == []


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose conversion to compressed text takes long enough to be stopped."""
    logs = tmp_path_factory.mktemp("slow") / "logs"
    for run in ("one", "other"):
        steps = [event(tensor("t", np.arange(300_000.0) + step), step=step) for step in range(10)]
        write_run(logs / run, *steps)
    return logs


def test_a_cancelled_export(context: BrowserContext, slow: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    with tensorboard(tmp_path, "--logdir", slow, TMPDIR=str(work)) as running, page_in(context) as page:
        page.open(f"{running.url}/#tb2csv&p.tb2csv.format=csv.gz").ready()
        with page.page.expect_download() as saved:
            page.button("Export all").click()
        expect(page.frame.get_by_role("progressbar")).to_be_visible()
        page.button("Cancel All series").click()
        expect(page.jobs).to_contain_text("Cancelled.")
        assert saved.value.failure() is not None
        # The place is free again.
        page.frame.get_by_label("Format").select_option("parquet")
        with page.page.expect_download() as saved:
            page.button("Export all").click()
        assert files_of_zip(content(saved.value))
        # The browser's, on a plan for one series if the server has found another one since.
        assert [error for error in page.errors if "400" not in error] == []


def test_a_server_error_in_mid_download(context: BrowserContext, slow: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    with tensorboard(tmp_path, "--logdir", slow, TMPDIR=str(work)) as running, page_in(context) as page:
        page.open(f"{running.url}/#tb2csv&p.tb2csv.format=csv.gz").ready()
        with page.page.expect_download() as saved:
            page.button("Export all").click()
        while not list(work.glob("tb2csv-exports-*/**/*.csv.gz")):
            page.page.wait_for_timeout(20)
        # Renamed and not removed, because the export still adds files.
        for folder in work.glob("tb2csv-exports-*"):
            folder.rename(work / "gone")
        alert = page.jobs.get_by_role("alert")
        expect(alert).to_be_visible(timeout=60_000)
        assert str(work) not in alert.inner_text()
        assert saved.value.failure() is not None


def test_two_thousand_runs_of_fifty_tags(context: BrowserContext, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    values = [scalar(f"layer_{tag % 10}/unit_{tag}", tag) for tag in range(50)]
    data = event_file([event(*values, step=1), event(*values, step=2)])
    for run in range(2000):
        folder = logs / f"run_{run:04}"
        folder.mkdir(parents=True)
        (folder / "events.out.tfevents.1700000000.host").write_bytes(data)
    with tensorboard(tmp_path, "--logdir", logs) as running, page_in(context) as page:
        running.index()
        page.open(f"{running.url}/#tb2csv").ready()
        assert page.figures().startswith("100,000 tables200,000 rows")
        assert page.frame.evaluate("document.querySelectorAll('*').length") < 1500
        page.select(runs="run_19..$", tags="unit_4[0-9]$")
        assert page.figures().startswith("1,000 tables2,000 rows")
        with page.page.expect_download() as saved:
            page.button("Export selection").click()
        files = files_of_zip(content(saved.value))
        assert sum(path.endswith(".csv") for path in files) == 1000 + len(["index.csv"])
        assert page.errors == []


def test_an_empty_log_directory(context: BrowserContext, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    with tensorboard(tmp_path, "--logdir", logs) as running, page_in(context) as page:
        page.open(f"{running.url}/#tb2csv")
        expect(page.frame.get_by_text("Nothing to export yet")).to_be_visible()
        write_run(logs / "run", event(scalar("loss", 1), step=1))
        page.page.locator("button.reload-button").click()
        assert page.figures().startswith("1 table")
