"""The pages of plots, in Chromium and without a network: values, zoom, runs, themes, hostile names, and their size."""

from __future__ import annotations

import json
import os
import re
import shutil
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from event_files import event, histogram, scalar, simple_value, write_run
from hostile_names import HOSTILE_NAMES

from tb2csv.analysis.plots.plot import plot
from tb2csv.display import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("There is no Chromium here; on Debian, install it with: apt-get install chromium.")
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def errors() -> list[str]:
    """The errors of the pages."""
    return []


@pytest.fixture
def opened(browser: Browser, errors: list[str], tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Yield a function that draws a log as a page and opens it; the page must have no errors and request nothing."""
    context = browser.new_context(viewport={"width": 1200, "height": 800}, offline=True)
    context.set_default_timeout(60_000)
    requests: list[str] = []

    def open_page(logs: Path, *, scheme: Any = "light", **options: Any) -> Page:
        out = tmp_path / "p.html"
        plot(logs, out, overwrite=True, **options)
        assert out.stat().st_size <= 1_000_000
        page = context.new_page()
        page.emulate_media(color_scheme=scheme)
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(out.as_uri())
        return page

    yield open_page
    context.close()
    assert errors == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


def write_losses(logs: Path) -> Path:
    for run, shift in {"deep/a": 0.0, "deep/b": 1.0}.items():
        write_run(logs / run, *(event(scalar("loss", shift + step / 4), step=step) for step in range(101)))
    return logs


def ticks(page: Page) -> list[float]:
    """Return the numbers at the x axis."""
    texts = page.locator(".panel text[text-anchor=middle]").all_text_contents()
    return [float(text.replace(",", "")) for text in texts if re.fullmatch(r"[\d,.]+", text)]


def shown_tip(page: Page) -> str:
    from playwright.sync_api import expect

    tip = page.locator(".tip")
    expect(tip).to_be_visible()
    return tip.inner_text()


def test_the_pointer_shows_values(opened: Callable[..., Page], tmp_path: Path) -> None:
    page = opened(write_losses(tmp_path / "logs"))
    box = page.locator(".panel svg").bounding_box()
    assert box
    clip = page.locator(".panel clipPath rect")
    left, width = (float(clip.get_attribute(name) or "") for name in ("x", "width"))
    page.mouse.move(box["x"] + left + width / 2, box["y"] + 100)
    found = re.findall(r"step (\d+)\n|([ab])\n([\d.]+)", shown_tip(page))
    step = int(found[0][0])
    assert 48 <= step <= 52
    assert {run: float(value) for _, run, value in found[1:]} == {"a": step / 4, "b": step / 4 + 1}
    page.mouse.move(5, 5)
    assert page.locator(".tip").is_hidden()


def test_a_drag_zooms_and_a_double_click_resets(opened: Callable[..., Page], tmp_path: Path) -> None:
    page = opened(write_losses(tmp_path / "logs"))
    before = ticks(page)
    assert (min(before), max(before)) == (0, 100)
    box = page.locator(".panel svg").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 102, steps=3)
    page.mouse.up()
    after = ticks(page)
    assert 25 < min(after) < max(after) < 75
    page.locator(".panel svg").dblclick()
    assert ticks(page) == before


def test_the_keyboard_shows_values_and_zooms(opened: Callable[..., Page], tmp_path: Path) -> None:
    page = opened(write_losses(tmp_path / "logs"))
    before = ticks(page)
    page.locator(".panel svg").focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert 16 <= int(re.findall(r"step (\d+)", shown_tip(page))[0]) <= 24  # ten fiftieths
    assert re.search(r"a: [\d.]+; b: |b: [\d.]+; a: ", page.get_by_role("status").inner_text())
    page.keyboard.press("+")
    assert max(ticks(page)) - min(ticks(page)) < 80
    page.keyboard.press("0")
    assert ticks(page) == before


def test_runs_can_be_hidden(opened: Callable[..., Page], tmp_path: Path) -> None:
    page = opened(write_losses(tmp_path / "logs"))
    lines = page.locator(".panel path.line")
    assert lines.count() == 2
    page.get_by_label("b", exact=True).uncheck()
    assert lines.count() == 1
    page.get_by_role("button", name="None").click()
    assert lines.count() == 0
    page.get_by_role("button", name="All runs").click()
    assert lines.count() == 2
    assert page.get_by_text("deep/", exact=True).is_visible()


def background(page: Page) -> str:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


LIGHT, DARK = "rgb(255, 255, 255)", "rgb(32, 33, 36)"


def test_runs_of_one_colour_have_other_dashes(opened: Callable[..., Page], tmp_path: Path) -> None:
    for number in range(23):
        write_run(tmp_path / "logs" / f"{number:02}", *(event(scalar("loss", number), step=step) for step in (0, 1)))
    page = opened(tmp_path / "logs")
    looks = page.locator("path.line").evaluate_all(
        "lines => lines.map((line) => [getComputedStyle(line).stroke, getComputedStyle(line).strokeDasharray])"
    )
    assert len(looks) == len({tuple(look) for look in looks}) == 23
    assert len({colour for colour, _ in looks}) == 21
    swatches = page.locator(".runs .swatch").evaluate_all("all => all.map((each) => getComputedStyle(each).background)")
    assert len(set(swatches)) == 23


def test_the_page_follows_the_system_and_its_button(opened: Callable[..., Page], tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = opened(write_losses(tmp_path / "logs"), scheme="dark")
    assert background(page) == DARK
    first = page.locator(".panel path.line").first
    assert first.evaluate("(line) => getComputedStyle(line).stroke") == "rgb(142, 152, 163)"
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    assert background(page) == LIGHT
    assert first.evaluate("(line) => getComputedStyle(line).stroke") == "rgb(66, 80, 102)"
    page.get_by_role("button", name="Light or dark").click()
    assert background(page) == DARK


def test_a_chosen_theme_does_not_follow_the_system(opened: Callable[..., Page], tmp_path: Path) -> None:
    logs = write_losses(tmp_path / "logs")
    assert background(opened(logs, theme="paper", scheme="dark")) == LIGHT
    assert background(opened(logs, theme="dark")) == DARK


def test_drawings_follow_the_theme(opened: Callable[..., Page], tmp_path: Path) -> None:
    write_run(
        tmp_path / "logs", *(event(histogram("h", [[0, 1, 2], [1, 2, step + 1]]), step=step) for step in range(5))
    )
    page = opened(tmp_path / "logs", scheme="dark")
    assert background(page) == DARK
    label = page.locator(".picture svg text").first
    assert label.evaluate("(text) => getComputedStyle(text).fill") in {"rgb(241, 243, 244)", "rgb(184, 188, 194)"}


def test_bars_are_shown_and_hidden(opened: Callable[..., Page], tmp_path: Path) -> None:
    for run, value in {"a": 0.5, "b": -0.25, "c": float("nan")}.items():
        write_run(tmp_path / "logs" / run, event(scalar("score", value), step=9))
    page = opened(tmp_path / "logs")
    assert page.locator(".bar").all_inner_texts() == ["a\n0.5", "b\n−0.25", "c\nNaN"]
    page.get_by_label("b", exact=True).uncheck()
    assert page.locator(".bar").count() == 2


def test_hostile_names_are_text(opened: Callable[..., Page], tmp_path: Path) -> None:
    for number, name in enumerate(HOSTILE_NAMES):
        folder = tmp_path / "logs" / f"{number}"
        write_run(
            folder, *(event(simple_value(name, 1.0 + step), simple_value("same", 1.0), step=step) for step in (0, 1))
        )
    page = opened(tmp_path / "logs", title="</script><script>alert(1)</script>")
    titles = page.locator("h2").all_inner_texts()
    # A browser shows runs of blanks as one.
    assert {" ".join(title.split()) for title in titles} == {
        " ".join(printable(name).split()) for name in [*HOSTILE_NAMES, "same"]
    }
    assert page.locator("h1").inner_text() == "</script><script>alert(1)</script>"
    assert page.locator("img, iframe, script:not([id])").count() == 1  # its own script


def test_hostile_runs_are_text(opened: Callable[..., Page], tmp_path: Path) -> None:
    names = ["</script><img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "a]]>b", "&lt;i&gt;", "`${alert(1)}`"]
    for name in names:
        write_run(tmp_path / "logs" / name, *(event(simple_value("loss", 1.0 + step), step=step) for step in (0, 1)))
    page = opened(tmp_path / "logs")
    assert sorted(page.locator(".runs .name").all_inner_texts()) == sorted(name.replace("/", "/") for name in names)
    assert page.locator("img").count() == 0


def test_the_policy_of_the_page_allows_no_other_script(
    opened: Callable[..., Page], errors: list[str], tmp_path: Path
) -> None:
    page = opened(write_losses(tmp_path / "logs"))
    page.evaluate(
        """const made = document.createElement("script");
        made.textContent = "window.hacked = 1";
        document.body.append(made)"""
    )
    assert page.evaluate("window.hacked === undefined")
    (refusal,) = errors
    assert "Content Security Policy" in refusal
    errors.clear()


def test_axe_finds_no_violations(opened: Callable[..., Page], tmp_path: Path) -> None:
    axe = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    for scheme in ("light", "dark"):
        page = opened(write_losses(tmp_path / scheme), scheme=scheme)
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, { resultTypes: ['violations'] }).then((found) => found.violations)")
        assert [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]] == []


def test_many_long_curves_stay_below_a_megabyte(opened: Callable[..., Page], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for run in range(40):
        values = random.standard_normal(3000)
        write_run(
            tmp_path / "logs" / f"run_{run}",
            *(event(scalar("x", value), scalar("y", -value), step=step) for step, value in enumerate(values)),
        )
    page = opened(tmp_path / "logs")  # which checks the size
    assert page.locator(".panel path.line").count() == 2 * (40 + 1)  # with the medians


def test_the_data_of_a_page_have_gaps_marks_and_bands(tmp_path: Path) -> None:
    values = [1.0, 2.0, float("nan"), 4.0, 5.0]
    for seed in ("s1", "s2"):
        write_run(
            tmp_path / "logs" / seed, *(event(scalar("x", value), step=step) for step, value in enumerate(values))
        )
    plot(tmp_path / "logs", tmp_path / "p.html")
    plot(tmp_path / "logs", tmp_path / "q.html", by="s*", band="minmax")
    single, grouped = (data_of(tmp_path / name)["panels"][0]["lines"] for name in ("p.html", "q.html"))
    assert [each["shape"] for each in single] == ["line", "line", "odd", "odd"]
    assert (single[0]["x"], single[0]["y"]) == ([0, 1, None, 3, 4], [1, 2, None, 4, 5])
    assert (single[2]["x"], single[2]["y"]) == ([2], [2])
    assert "band" in [each["shape"] for each in grouped]


def data_of(path: Path) -> Any:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(encoding="utf-8"))
    return json.loads(text)


def write_norms(logs: Path) -> Path:
    """Write two norms in two runs: at uneven steps, with NaN and a missing value in the first run."""
    nan = float("nan")
    norms = {"a": {0: (1.0, 1.0), 10: (nan, 21.0), 40: (41.0, None)}, "b": {0: (101.0, 201.0), 40: (141.0, 281.0)}}
    for run, rows in norms.items():
        write_run(
            logs / run,
            *(
                event(scalar(tag, value), step=step)
                for step, values in rows.items()
                for tag, value in zip(("low/norm", "top/norm"), values, strict=True)
                if value is not None
            ),
        )
    return logs


def cell_text(page: Page, left: float, top: float) -> str:
    """Return what the pointer shows at a place in the drawing, given as fractions."""
    box = page.locator(".picture svg").bounding_box()
    assert box
    page.mouse.move(box["x"] + left * box["width"], box["y"] + top * box["height"])
    return shown_tip(page)


def test_heat_maps_show_the_values_of_cells(opened: Callable[..., Page], tmp_path: Path) -> None:
    page = opened(write_norms(tmp_path / "logs"), style="heatmap")
    data = json.loads(page.locator("#maps").text_content() or "")
    left, top, right, bottom = data["maps"][0]["place"]
    # The columns of 0, 10 and 40 meet in the middle between these steps: at 5 and 25, from -5 to 55.
    at = {0: 0.05, 10: 0.3, 40: 0.9}
    rows = {"low/norm": 0.25, "top/norm": 0.75}
    expected = {
        (0, "low/norm"): "1",
        (10, "low/norm"): "NaN or infinite",
        (40, "low/norm"): "41",
        (0, "top/norm"): "1",
        (10, "top/norm"): "21",
        (40, "top/norm"): "none",
    }
    for (step, tag), value in expected.items():
        shown = cell_text(page, left + at[step] * (right - left), top + rows[tag] * (bottom - top))
        assert shown.split("\n") == [f"step {step}", "a", tag, value]
    # The next panel is that of the other run, and what is between them shows nothing.
    left, top, right, bottom = data["maps"][1]["place"]
    assert cell_text(page, left + 0.9 * (right - left), top + 0.75 * (bottom - top)).split("\n")[1:] == [
        "b",
        "top/norm",
        "281",
    ]
    page.mouse.move(5, 5)
    assert page.locator(".tip").is_hidden()


def test_the_keyboard_shows_the_values_of_cells(opened: Callable[..., Page], tmp_path: Path) -> None:
    page = opened(write_norms(tmp_path / "logs"), style="heatmap")
    page.locator(".picture svg").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    assert shown_tip(page).split("\n") == ["step 10", "a", "top/norm", "21"]
    assert page.get_by_role("status").inner_text() == "step 10, a: top/norm: 21"
    page.keyboard.press("Escape")
    assert page.locator(".tip").is_hidden()


def test_columns_that_share_positions_show_their_highest_value(opened: Callable[..., Page], tmp_path: Path) -> None:
    write_run(tmp_path / "logs", *(event(scalar("norm", step + 1.0), step=step) for step in range(800)))
    page = opened(tmp_path / "logs", style="heatmap")
    page.locator(".picture svg").focus()
    page.keyboard.press("ArrowRight")
    # 400 columns from 0 to 799: the first has the steps 0 and 1.
    assert shown_tip(page).split("\n") == ["step 0 to 2, highest", "norm", "2"]


def test_maps_with_too_many_cells_say_so(opened: Callable[..., Page], tmp_path: Path) -> None:
    steps = [event(*(scalar(f"{tag}/norm", 1.0) for tag in range(250)), step=step) for step in range(330)]
    write_run(tmp_path / "logs", *steps)
    page = opened(tmp_path / "logs", style="heatmap")
    assert page.get_by_text("Maps of up to 80,000 cells show their values").is_visible()
    page.locator(".picture svg").hover()
    assert page.locator(".tip").is_hidden()
