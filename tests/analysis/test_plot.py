"""Pictures: what is in them, compared with the data and with TensorBoard; and what is refused."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
import threading
import unicodedata
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
import tensorboard
from commands import run_here, run_process
from event_files import event, simple_value, tensor, tensor_of, write_run
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from tb2csv.analysis.plots import heat_maps, x_axis
from tb2csv.analysis.plots import plot as plot_module
from tb2csv.analysis.plots.curves import draw_curves
from tb2csv.analysis.plots.drawing_options import DrawingOptions, Look
from tb2csv.analysis.plots.figure import MOST_PANELS, drawing
from tb2csv.analysis.plots.heat_maps import draw_heat_map
from tb2csv.analysis.plots.histogram_bins import Histograms
from tb2csv.analysis.plots.histogram_plots import draw_histogram_map, draw_ridges
from tb2csv.analysis.plots.labels import common_ending, common_folders, labels
from tb2csv.analysis.plots.plot import plot
from tb2csv.analysis.plots.plotted_series import PlottedSeries, PlottedValues, read_values
from tb2csv.analysis.plots.run_colours import DARK_PALETTE, PALETTE, run_colours
from tb2csv.analysis.plots.smoothing import smoothed
from tb2csv.analysis.plots.themes import LIGHT
from tb2csv.analysis.plots.thinning import line
from tb2csv.analysis.plots.tick_labels import short_number
from tb2csv.dataframes import open_logdir, scan
from tb2csv.errors import OptionError, OutputError, Tb2csvError
from tb2csv.notes import Note
from tb2csv.selection import Selection

if TYPE_CHECKING:
    import numpy.typing as npt

SAMPLE_LOGS = Path(__file__).resolve().parents[2] / "sample_logs"
SVG = "{http://www.w3.org/2000/svg}"
NAN, INF = math.nan, math.inf

finite = st.floats(-1e6, 1e6, allow_subnormal=False)
anything = finite | st.sampled_from([NAN, INF, -INF])


# Smoothing


def as_in_tensorboard(values: list[float], weight: float) -> list[float]:
    """Return what the line chart of TensorBoard's web page makes of a series, value by value."""
    if all(value == values[0] for value in values):
        return values
    last, count, result = 0.0, 0, []
    for value in values:
        if not math.isfinite(value):
            result.append(value)
            continue
        last = last * weight + (1 - weight) * value
        count += 1
        result.append(last / (1 - weight**count))
    return result


@given(st.lists(anything, min_size=1, max_size=60), st.floats(0, 0.999))
def test_smoothing_equals_that_of_tensorboard(values: list[float], weight: float) -> None:
    expected = np.array(as_in_tensorboard(values, weight))
    scale = max((abs(value) for value in values if math.isfinite(value)), default=1.0)
    np.testing.assert_allclose(smoothed(np.array(values), weight), expected, rtol=1e-7, atol=1e-7 * scale)


@given(finite, st.integers(1, 50), st.floats(0, 0.999), st.lists(st.integers(0, 49), max_size=5))
def test_a_constant_stays_constant_to_the_bit(value: float, count: int, weight: float, odd: list[int]) -> None:
    values = np.full(count, value)
    values[[place for place in odd if place < count]] = NAN
    assert smoothed(values, weight).tobytes() == values.tobytes()


@given(st.lists(finite, min_size=1, max_size=30), st.floats(0, 0.999), st.integers(0, 30), st.sampled_from([NAN, INF]))
def test_smoothing_ignores_values_that_are_not_finite(
    values: list[float], weight: float, place: int, odd: float
) -> None:
    place = min(place, len(values))
    with_odd = smoothed(np.insert(np.array(values), place, odd), weight)
    np.testing.assert_array_equal(with_odd[place], odd)
    np.testing.assert_array_equal(np.delete(with_odd, place), smoothed(np.array(values), weight))


# Thinning


@pytest.mark.slow
@given(arrays(np.float64, st.integers(0, 400), elements=anything), st.integers(1, 30))
def test_a_thinned_line_covers_the_same_pixels(y: npt.NDArray[np.float64], columns: int) -> None:
    x = np.arange(len(y), dtype=np.float64)
    drawn = line(x, y, columns)
    shown_x, shown_y = np.append(drawn.x, drawn.lone_x), np.append(drawn.y, drawn.lone_y)
    is_corner = np.isfinite(shown_x)
    shown_x, shown_y = shown_x[is_corner], shown_y[is_corner]
    np.testing.assert_array_equal(shown_y, y[shown_x.astype(int)])  # nothing is made up
    column = np.minimum((x / max(x[-1], 1) * columns).astype(int), columns - 1) if x.size else x
    for number in range(columns):
        here = np.flatnonzero((column == number) & np.isfinite(y))
        kept = shown_y[np.isin(shown_x, x[here])]
        if here.size:
            assert (kept.min(), kept.max()) == (y[here].min(), y[here].max())
            assert {x[here[0]], x[here[-1]]} <= set(shown_x)


@given(arrays(np.float64, st.integers(0, 60), elements=anything))
def test_a_line_has_a_gap_at_values_that_are_not_finite(y: npt.NDArray[np.float64]) -> None:
    drawn = line(np.arange(len(y), dtype=np.float64), y, 100)
    pairs = {(a, b) for a, b in zip(drawn.x[:-1], drawn.x[1:], strict=True) if not (math.isnan(a) or math.isnan(b))}
    is_finite = np.isfinite(y)
    assert pairs == {(i, i + 1) for i in range(len(y) - 1) if is_finite[i] and is_finite[i + 1]}
    assert set(drawn.odd_x) == set(np.flatnonzero(~is_finite))
    assert len(drawn.odd_y) in {len(drawn.odd_x), 0}


def test_marks_are_drawn_at_the_value_before() -> None:
    drawn = line(np.arange(6.0), np.array([NAN, 1.0, 2.0, INF, NAN, 3.0]), 100)
    assert drawn.odd_x.tolist() == [0, 3, 4]
    assert drawn.odd_y.tolist() == [1, 2, 2]
    assert (drawn.lone_x.tolist(), drawn.lone_y.tolist()) == ([5], [3])


def test_a_line_has_a_gap_at_a_restart_that_goes_back() -> None:
    drawn = line(np.array([0.0, 1, 2, 1, 2, 3]), np.arange(6.0), 100)
    np.testing.assert_array_equal(drawn.x, [0, 1, 2, NAN, 1, 2, 3])


def test_a_logarithmic_line_leaves_out_what_is_not_positive() -> None:
    drawn = line(np.arange(5.0), np.array([1.0, 2.0, 0.0, -1.0, 3.0]), 100, only_positive=True)
    assert drawn.x.tolist() == [0, 1]
    assert drawn.lone_y.tolist() == [3]
    assert drawn.odd_x.size == 0


def test_a_long_line_has_at_most_four_points_a_column() -> None:
    y = np.random.default_rng(0).standard_normal(100_000)
    drawn = line(np.arange(1e5), y, 500)
    assert drawn.thinned
    assert drawn.x.size <= 2000
    assert not line(np.arange(2000.0), y[:2000], 500).thinned


# Names, numbers, colours


def test_names_lose_their_common_parts() -> None:
    assert common_folders(["a/b/c", "a/b/d", "a/b/e/f"]) == "a/b/"
    assert common_folders(["a/b", "c"]) == ""
    assert common_folders(["a/b"]) == ""
    assert common_ending(["x/kernel/norm", "y/kernel/norm"]) == "/norm"
    assert common_ending(["x/norm", "norm"]) == ""


@given(st.lists(st.text(max_size=60), unique=True, min_size=1, max_size=20), st.integers(5, 40))
def test_labels_are_short_and_different(names: list[str], width: int) -> None:
    found = labels(names, width)
    assert all(len(label) <= width + len(" (20)") for label in found)
    assert not [each for label in found for each in label if unicodedata.category(each) in {"Cc", "Cf", "Zl", "Zp"}]
    # No name is changed: none is long, has something to escape, or ends as a numbered one.
    if all(len(name) <= width - 5 and name.isprintable() and "(" not in name for name in names):
        assert len(set(found)) == len(names)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (2500, "2500"),
        (25_000, "25k"),
        (1.5e6, "1.5M"),
        (-2e9, "−2G"),
        (1e-5, "1e−5"),
        (0.30000000000000004, "0.3"),
        (3e20, "3e20"),
        (NAN, ""),
    ],
)
def test_numbers_of_axes_are_short(value: float, shown: str) -> None:
    assert short_number(value) == shown


def test_the_palette_equals_that_of_tensorboard() -> None:
    with zipfile.ZipFile(Path(tensorboard.__file__).parent / "webfiles.zip") as files:
        page = files.read("index.js").decode()
    colours = re.search(r"colorPalette:\{.*?colors:\[(.*?)\]", page)
    assert colours
    assert tuple(re.findall(r'lightHex:"(#\w+)"', colours[1])) == PALETTE
    assert tuple(re.findall(r'darkHex:"(#\w+)"', colours[1])) == DARK_PALETTE


def test_runs_are_counted_by_their_first_events(tmp_path: Path) -> None:
    """As TensorBoard's core plugin lists them, which is what its web page numbers colours by."""
    for name, wall_time in {"c": 10.0, "a": 20.0, "b": 10.0}.items():
        write_run(tmp_path / name, event(simple_value("x", 1.0), wall_time=99.0), wall_time=wall_time)
    frames = scan(tmp_path)
    found = run_colours(run for run, _ in frames.choose(Selection()))
    assert found == {"b": PALETTE[0], "c": PALETTE[1], "a": PALETTE[2]}


def test_runs_beyond_the_palette_have_shades_of_their_own(tmp_path: Path) -> None:
    for number in range(21):
        write_run(tmp_path / f"{number:02}", event(simple_value("x", 1.0)), wall_time=1.0 + number)
    found = run_colours(run for run, _ in scan(tmp_path).choose(Selection()))
    assert list(found.values())[:7] == list(PALETTE)
    assert len(set(found.values())) == 21


# What is read


def read(logdir: Path, kind: str, axis: str = "step", **patterns: tuple[str, ...]) -> PlottedValues:
    return read_values(scan(logdir), Selection(kinds=(kind,), **patterns), kind, None, axis)


def test_norms_equal_those_of_numpy(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    real = [random.standard_normal((3, 4)).astype(np.float32) for _ in range(5)]
    real[3][1, 2] = NAN
    twisted = random.standard_normal(7) + 1j * random.standard_normal(7)
    events = [event(tensor("w", array), step=step // 2) for step, array in enumerate(real)]
    events.append(event(tensor("c", twisted), tensor("flags", np.array([True, False, True])), step=9))
    write_run(tmp_path, *events)
    found = {series.tag: series for series in read(tmp_path, "tensors").series}
    assert found["w"].x.tolist() == [0, 0, 1, 1, 2]  # each value, though a step comes twice
    np.testing.assert_allclose(found["w"].y, [np.linalg.norm(array.astype(np.float64)) for array in real])
    np.testing.assert_allclose(found["c"].y, [np.linalg.norm(twisted)])
    np.testing.assert_allclose(found["flags"].y, [math.sqrt(2)])


def test_positions_are_steps_seconds_or_days(tmp_path: Path) -> None:
    events = [event(simple_value("x", 1.0), step=step, wall_time=1e9 + 60 * step) for step in (3, 4)]
    write_run(tmp_path, *events, wall_time=1e9)
    assert read(tmp_path, "scalars").series[0].x.tolist() == [3, 4]
    assert read(tmp_path, "scalars", "relative").series[0].x.tolist() == [180, 240]
    days = read(tmp_path, "scalars", "wall").series[0].x
    from matplotlib.dates import num2date

    assert [date.timestamp() for date in num2date(days)] == pytest.approx([1e9 + 180, 1e9 + 240], abs=1e-3)


def test_values_whose_times_are_not_dates_are_counted(tmp_path: Path) -> None:
    write_run(tmp_path, *(event(simple_value("x", 1.0), wall_time=wall_time) for wall_time in (1e9, NAN, 1e18)))
    found = read(tmp_path, "scalars", "wall")
    assert (found.values, found.dateless) == (1, 2)
    done = plot(open_logdir(tmp_path), tmp_path / "x.svg", x="wall")
    assert done.notes == [Note("values_dateless", count=2)]


@pytest.mark.parametrize(("longest", "unit"), [(100, "seconds"), (1000, "minutes"), (20_000, "hours"), (1e6, "days")])
def test_the_unit_of_relative_times_fits(longest: float, unit: str) -> None:
    assert x_axis.positions("relative").fitted(longest).title.endswith(f"({unit})")


# What is drawn


@pytest.fixture
def drawn() -> Any:
    with drawing([]):
        yield


def options_of(values: PlottedValues, **more: Any) -> DrawingOptions:
    runs = dict.fromkeys(each.run for each in (*values.series, *values.histograms))
    return DrawingOptions(x_axis.positions("step"), dict(zip(runs, PALETTE * 20, strict=False)), Look(LIGHT), **more)


@pytest.mark.usefixtures("drawn")
def test_curves_have_the_values_of_their_series(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal(50).astype(np.float32).astype(np.float64)
    for run, shift in {"a": 0.0, "b": 1.0}.items():
        write_run(
            tmp_path / run,
            *(
                event(simple_value("x", value + shift), simple_value("y", 1.0), step=step)
                for step, value in enumerate(values)
            ),
        )
    found = read(tmp_path, "scalars")
    sheet, _ = draw_curves(found, options_of(found))
    assert [panel.get_title("left") for panel in sheet.panels] == ["x", "y"]
    first, second = sheet.panels[0].lines
    np.testing.assert_array_equal(first.get_ydata(), values)
    np.testing.assert_allclose(second.get_ydata(), values + 1, rtol=1e-6)
    assert (first.get_color(), second.get_color()) == PALETTE[:2]


@pytest.mark.usefixtures("drawn")
def test_a_smoothed_curve_is_drawn_over_the_faint_values() -> None:
    values = np.random.default_rng(0).standard_normal(50)
    found = PlottedValues([PlottedSeries("a", "x", np.arange(50.0), values)], [])
    sheet, _ = draw_curves(found, options_of(found, smooth=0.8))
    raw, smooth = sheet.panels[0].lines
    np.testing.assert_array_equal(raw.get_ydata(), values)
    np.testing.assert_allclose(smooth.get_ydata(), as_in_tensorboard(values.tolist(), 0.8))
    assert raw.get_alpha() < 0.5 < smooth.get_alpha()
    assert raw.get_zorder() < smooth.get_zorder()


@pytest.mark.usefixtures("drawn")
def test_odd_values_are_marked_and_named() -> None:
    found = PlottedValues([PlottedSeries("a", "x", np.arange(4.0), np.array([1, NAN, 2, -INF]))], [])
    sheet, _ = draw_curves(found, options_of(found))
    (marks,) = [each for each in sheet.panels[0].lines if each.get_marker() == "^"]
    assert (marks.get_xdata().tolist(), marks.get_ydata().tolist()) == ([1, 3], [1, 2])
    assert [entry.get_text() for entry in sheet.figure.legends[0].get_texts()] == ["NaN or infinite"]


def cells_of(sheet: Any, number: int = 0) -> npt.NDArray[np.float64]:
    (mesh,) = sheet.panels[number].collections[:1]
    array: npt.NDArray[np.float64] = np.ma.filled(mesh.get_array(), NAN)
    return array


@pytest.mark.usefixtures("drawn")
def test_a_heat_map_has_a_row_for_each_tag_and_a_column_for_each_step() -> None:
    first = PlottedSeries("a", "net/l1/norm", np.array([0.0, 10, 20]), np.array([1e-3, 1.0, 0.0]))
    second = PlottedSeries("a", "net/l2/norm", np.array([0.0, 20]), np.array([10.0, NAN]))
    found = PlottedValues([first, second], [])
    sheet, _ = draw_heat_map(found, options_of(found))
    cells = cells_of(sheet)
    assert cells[0, :2].tolist() == [1e-3, 1.0]
    assert cells[0, 2] < 1e-3  # 0 has no place on the scale, which is logarithmic: the colour below it
    assert cells[1, 0] == 10.0
    assert np.isnan(cells[1, 1])  # there is no value
    assert cells[1, 2] > 10.0  # NaN: the colour above the scale
    assert [label.get_text() for label in sheet.panels[0].get_yticklabels()] == ["l1", "l2"]
    assert [entry.get_text() for entry in sheet.figure.legends[0].get_texts()] == ["0", "NaN or infinite"]
    assert sheet.panels[0].get_ylim() == (2, 0)  # the first layer is above


@pytest.mark.usefixtures("drawn")
def test_the_columns_of_a_long_heat_map_have_the_largest_value() -> None:
    values = np.random.default_rng(0).random(10_000)
    values[1234] = NAN
    found = PlottedValues([PlottedSeries("a", "x", np.arange(10_000.0), values)], [])
    sheet, notes = draw_heat_map(found, options_of(found))
    cells = cells_of(sheet)[0]
    assert len(cells) == heat_maps._MAX_COLUMNS
    is_odd = cells > 1
    assert is_odd.sum() == 1
    assert cells[~is_odd].max() == np.nanmax(values)
    assert notes == [Note("columns_merged", details={"columns": heat_maps._MAX_COLUMNS})]


# Histograms


@given(st.lists(st.tuples(finite, st.floats(0, 100), st.integers(0, 50)), min_size=1, max_size=20), st.integers(1, 20))
def test_counts_are_distributed_by_the_overlap_of_buckets(buckets: list[tuple[float, float, int]], bins: int) -> None:
    left = np.array([low for low, _, _ in buckets])
    right = left + np.array([width for _, width, _ in buckets])
    count = np.array([float(number) for _, _, number in buckets])
    histograms = Histograms.from_buckets(np.zeros(len(left), np.int64), left, right, count)
    edges = histograms.edges(bins)
    if edges is None:
        assert count.sum() == 0
        return
    shares = histograms.shares(edges, 1)[0]
    assert shares.sum() == pytest.approx(1)
    expected = np.zeros(bins)
    for low, high, number in zip(left, right, count, strict=True):
        for i in range(bins):
            if high > low:
                reach = max(0.0, min(high, edges[i + 1]) - max(low, edges[i]))
                expected[i] += number * reach / (high - low)
            elif edges[i] <= low and (low < edges[i + 1] or i == bins - 1):
                expected[i] += number
    np.testing.assert_allclose(shares, expected / count.sum(), atol=1e-6)


def test_limits_that_mean_infinity_do_not_stretch_the_axis() -> None:
    limit = np.finfo(np.float64).max
    histograms = Histograms.from_buckets(
        np.zeros(3, np.int64), np.array([-limit, 0.0, 1.0]), np.array([0.0, 1.0, limit]), np.array([2.0, 5.0, 3.0])
    )
    edges = histograms.edges(2)
    assert edges is not None
    assert edges.tolist() == [0, 0.5, 1]
    assert histograms.shares(edges, 1).tolist() == [[0.45, 0.55]]


def write_histograms(folder: Path, count: int = 3) -> None:
    events = []
    for step in range(count):
        heights = [[0.0, 1.0, 1.0 + step], [1.0, 2.0, 3.0]]
        events.append(
            event(tensor("h", heights, "histograms"), tensor("none", np.zeros((0, 3)), "histograms"), step=step)
        )
    write_run(folder, *events)


@pytest.mark.usefixtures("drawn")
def test_a_heat_map_of_histograms_has_their_shares(tmp_path: Path) -> None:
    write_histograms(tmp_path)
    found = read(tmp_path, "histograms", tags=("h",))
    sheet, _ = draw_histogram_map(found, options_of(found))
    cells = cells_of(sheet)
    assert cells.shape == (80, 3)
    np.testing.assert_allclose(cells.sum(axis=0), 1)
    np.testing.assert_allclose(cells[:40].sum(axis=0), [1 / 4, 2 / 5, 3 / 6])


@pytest.mark.usefixtures("drawn")
def test_ridges_are_at_their_steps_with_the_latest_in_front(tmp_path: Path) -> None:
    write_histograms(tmp_path)
    found = read(tmp_path, "histograms", tags=("h",))
    sheet, notes = draw_ridges(found, options_of(found))
    (ridges,) = sheet.panels[0].collections
    paths = ridges.get_paths()
    assert [path.vertices[:, 1].max() for path in paths] == [0, 1, 2]  # downwards is later
    heights = [step - path.vertices[:, 1].min() for step, path in enumerate(paths)]
    assert heights == pytest.approx([3 / 4 * heights[2] * 2, 3 / 5 * heights[2] * 2, heights[2]])
    assert notes == []


@pytest.mark.parametrize("style", ["ridges", "heatmap"])
@pytest.mark.parametrize("axis", x_axis.POSITIONS)
def test_histograms_of_a_single_step_are_drawn(tmp_path: Path, style: str, axis: str) -> None:
    write_histograms(tmp_path, 1)
    assert plot(open_logdir(tmp_path), tmp_path / "p.svg", style=style, x=axis).values == 1


@pytest.mark.usefixtures("drawn")
def test_some_of_many_histograms_are_drawn_with_a_note(tmp_path: Path) -> None:
    write_histograms(tmp_path, 100)
    found = read(tmp_path, "histograms", tags=("h",))
    sheet, notes = draw_ridges(found, options_of(found))
    paths = sheet.panels[0].collections[0].get_paths()
    assert [path.vertices[:, 1].max() for path in (paths[0], paths[-1])] == [0, 99]
    assert len(paths) == 40
    assert notes == [Note("histograms_thinned", count=100, details={"shown": 40})]


# Files


def write_odd(logdir: Path) -> list[str]:
    """Write runs and tags whose names and values are odd, and return the names."""
    names = ["---", "_hidden", "$x_1$ for $5", "実験", "emoji 🙂", "a\tb\nc", "x" * 200, "<b>&amp;", "\\alpha %s {0}"]
    for number, name in enumerate(names):
        events = [
            event(simple_value(f"{name}/loss", value), simple_value("same", value + number), step=step, wall_time=1e9)
            for step, value in enumerate([1.0, NAN, 0.5, 1e308, -1e308, 9e299, -9e299, 1e-310, INF])
        ]
        events.append(event(simple_value("one", 5.0), simple_value("odd", NAN), step=1))
        events.append(event(tensor("huge", np.array(9e299)), tensor("tiny", np.array(5e-324)), step=1))
        events.append(event(tensor("huge", np.array(-9e299)), tensor("tiny", np.array(1e-323)), step=2))
        write_run(logdir / name, *events)
    return names


@pytest.mark.parametrize(
    ("ending", "more"),
    [
        (".svg", {}),
        (".png", {"smooth": 0.6}),
        (".png", {"log": True}),
        (".svg", {"style": "heatmap"}),
        (".png", {"style": "heatmap"}),
        (".html", {"x": "wall"}),
    ],
)
@pytest.mark.slow
def test_odd_names_and_values_are_drawn_without_a_warning(tmp_path: Path, ending: str, more: dict[str, Any]) -> None:
    names = write_odd(tmp_path / "logs")
    out = tmp_path / f"picture{ending}"
    done = plot(open_logdir(tmp_path / "logs"), out, **more)
    assert (done.runs, done.tags) == (len(names), len(names) + 5)
    if ending == ".png":
        with Image.open(out) as image:
            image.verify()
        return
    content = out.read_text(encoding="utf-8")
    if ending == ".html":
        (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', content)
        assert {panel["title"] for panel in json.loads(text)["panels"]} >= {"$x_1$ for $5/loss", "実験/loss", "same"}
        return
    drawing = content[content.index("<svg") : content.index("</svg>") + len("</svg>")]
    shown = {each.text for each in ET.fromstring(drawing).iter(f"{SVG}text")}
    visible = ["---", "_hidden", "$x_1$ for $5", "実験", "emoji 🙂", "a\\tb\\nc", "<b>&amp;", "\\alpha %s {0}"]
    assert set(visible if not more.get("style") else [f"{name}/loss" for name in visible]) <= shown


@pytest.mark.parametrize("ending", [".png", ".svg", ".html"])
@pytest.mark.slow
def test_the_same_picture_has_the_same_bytes(tmp_path: Path, ending: str) -> None:
    for name in ("a", "b"):
        plot(open_logdir(SAMPLE_LOGS), tmp_path / f"{name}{ending}", selection=Selection(tags=("*loss*",)), smooth=0.5)
    assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()


def test_a_page_is_self_contained(tmp_path: Path) -> None:
    write_run(
        tmp_path / "</script><img src=x>", event(simple_value("loss", 1.0)), event(simple_value("loss", 2.0), step=1)
    )
    write_run(tmp_path / "b", event(simple_value("loss", 1.0)))
    plot(open_logdir(tmp_path), tmp_path / "p.html", selection=Selection(tags=("loss",)))

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.links: list[str] = []
            self.tags: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.append(tag)
            self.links += [
                value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "action", "data"}
            ]

    reader = Reader()
    reader.feed((tmp_path / "p.html").read_text(encoding="utf-8"))
    assert [link for link in reader.links if not link.startswith(("#", "data:"))] == []
    assert reader.tags.count("script") == 2  # one is data
    assert "img" not in reader.tags
    assert (tmp_path / "p.html").read_text(encoding="utf-8").count("</script>") == 2


@pytest.mark.slow
def test_lines_have_ids_of_their_runs_in_a_drawing(tmp_path: Path) -> None:
    plot(open_logdir(SAMPLE_LOGS), tmp_path / "p.svg", selection=Selection(runs=("keras/*",), tags=("epoch_*",)))
    ids = re.findall(r'id="(run-[^"]+)"', (tmp_path / "p.svg").read_text(encoding="utf-8"))
    assert {"run-0-0", "run-0-1", "run-1-0", "run-1-1", "run-0-name", "run-1-name"} <= set(ids)
    assert len(ids) == len(set(ids))


@pytest.mark.slow
def test_many_corners_become_pixels_within_a_drawing(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal(5000)
    first = write_run(tmp_path / "0", *(event(simple_value("x", value), step=i) for i, value in enumerate(values)))
    for run in range(1, 40):
        shutil.copytree(first.parent, tmp_path / f"{run}")
    done = plot(open_logdir(tmp_path), tmp_path / "p.svg")
    content = (tmp_path / "p.svg").read_text(encoding="utf-8")
    assert "<image" in content
    assert len(content) < 1_000_000
    assert "curves_thinned" in {note.kind for note in done.notes}
    assert done.values == 200_000


@pytest.mark.slow
def test_the_users_settings_of_matplotlib_are_neither_used_nor_changed(tmp_path: Path) -> None:
    with mpl.rc_context({"text.usetex": True, "savefig.dpi": 7, "font.family": ["no such font"]}):
        before = dict(mpl.rcParams)
        plot(open_logdir(SAMPLE_LOGS), tmp_path / "a.png", selection=Selection(tags=("loss",)))
        assert dict(mpl.rcParams) == before
    plot(open_logdir(SAMPLE_LOGS), tmp_path / "b.png", selection=Selection(tags=("loss",)))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_two_threads_that_draw_leave_the_users_settings() -> None:
    is_inside, may_leave = threading.Event(), threading.Event()

    def draw() -> None:
        with drawing([]):
            is_inside.set()
            may_leave.wait(60)

    other = threading.Thread(target=draw)
    with mpl.rc_context({"lines.linewidth": 7.0, "axes.grid": False}):
        before = dict(mpl.rcParams)
        with drawing([]):
            other.start()
            assert not is_inside.wait(0.2)
        assert is_inside.wait(60)
        may_leave.set()
        other.join()
        assert dict(mpl.rcParams) == before


# The command line


def test_the_help_lists_the_styles(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    shown = " ".join(re.sub(r"[│╭╮╰╯─]", " ", run_here(capsys, "plot", "--help").stdout).split())
    for kind, names in plot_module.STYLES.items():
        assert re.search(rf"{kind}( are drawn)? as {' or '.join(names)}", shown, re.IGNORECASE)


def test_the_command_draws_a_picture_and_describes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "p.png"
    ran = run_here(capsys, "plot", SAMPLE_LOGS, "--run", "keras/*", "--tag", "epoch_loss", "--smooth", 0.6, "-o", out)
    assert (ran.status, ran.stderr) == (0, ""), "other runs of the sample logs are damaged"
    assert ran.stdout == f"6 values of 1 tag in 2 runs: see {out}\n"
    with Image.open(out) as image:
        assert image.format == "PNG"
    assert run_here(capsys, "plot", SAMPLE_LOGS / "tf2", "-o", tmp_path / "q.svg", "--quiet") == (0, "", "")


@pytest.mark.slow
def test_the_default_kind_is_the_first_in_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = SAMPLE_LOGS / "tf2"
    ran = run_here(capsys, "plot", log, "--tag", "*dense*", "-o", tmp_path / "p.svg")
    assert ran.stdout.startswith("24 values of 4 tags in 1 run")
    assert ran.stderr == "tb2csv: there are other tags that match, 4 of tensors; select these with --kind\n"
    ran = run_here(capsys, "plot", log, "--tag", "*dense*", "--kind", "tensors", "-o", tmp_path / "q.svg")
    assert "Euclidean norm" in (tmp_path / "q.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["-o", "p.gif"], 2, "p.gif has an unknown ending; choose from .png, .svg, .pdf, .html, .jpg, .jpeg, "),
        (["-o", "p.png", "--smooth", "1"], 2, "The weight of smoothing is 1; it must be from 0"),
        (["-o", "p.png", "--smooth", "nan"], 2, "The weight of smoothing is nan"),
        (
            ["-o", "p.png", "--style", "ridges"],
            2,
            "Scalars cannot be drawn as 'ridges'; choose from curves, heatmap.",
        ),
        (
            ["-o", "p.png", "--style", "heatmap", "--log"],
            2,
            "Scalars drawn as heatmap can be neither smoothed nor logarithmic, and show all values; leave out --log.",
        ),
        (["-o", "p.png", "--tag", "los"], 1, "No tag matches 'los'; the nearest are 'loss'"),
        (["-o", "p.png", "--tag", "notes*"], 1, "have the kind text, which cannot be plotted"),
        (["-o", "p.png", "--min-step", "1000"], 1, "No rows are left after filtering by step"),
        (["-o", "there.png"], 1, "there.png exists already; choose another name, or --overwrite to replace it."),
        (["-o", "no/where.png"], 1, "A file cannot be created in no"),
    ],
)
def test_impossible_pictures_are_refused(
    arguments: list[str],
    status: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.png").write_bytes(b"mine")
    ran = run_here(capsys, "plot", SAMPLE_LOGS / "tf2", *arguments)
    assert ran.status == status
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there.png"]
    assert Path("there.png").read_bytes() == b"mine"


def test_invalid_options_are_refused_before_reading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run_here(capsys, "plot", SAMPLE_LOGS / "damaged", "-o", tmp_path / "p.bmp")
    assert (ran.status, ran.stderr.count("\n")) == (2, 1)


@pytest.mark.slow
def test_too_many_panels_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path, event(*(simple_value(f"t{i}", 1.0) for i in range(MOST_PANELS + 1))))
    with pytest.raises(OptionError, match=f"{MOST_PANELS + 1} panels"):
        plot(open_logdir(tmp_path), tmp_path / "p.png")
    plot(open_logdir(tmp_path), tmp_path / "p.svg", style="heatmap")


def test_without_matplotlib_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(Tb2csvError, match=r"pip install .*\[plot\]"):
        plot(open_logdir(SAMPLE_LOGS), tmp_path / "p.png")


def test_other_commands_do_not_wait_for_matplotlib() -> None:
    code = "import sys, json, tb2csv.cli; print(json.dumps([n for n in ('matplotlib', 'numpy') if n in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert json.loads(done.stdout) == []


def test_an_existing_file_is_kept_until_the_new_one_is_complete(tmp_path: Path) -> None:
    out = tmp_path / "p.svg"
    out.write_text("mine", encoding="utf-8")
    frames = open_logdir(SAMPLE_LOGS)
    with pytest.raises(OutputError):
        plot(frames, out)
    with pytest.raises(Tb2csvError):
        plot(frames, out, overwrite=True, selection=Selection(tags=("nothing like it",)))
    assert out.read_text(encoding="utf-8") == "mine"
    plot(frames, out, overwrite=True, selection=Selection(tags=("loss",)))
    assert "<svg" in out.read_text(encoding="utf-8")


def test_undecodable_values_are_reported(tmp_path: Path) -> None:
    broken = tensor_of("DT_FLOAT", (2,), tensor_content=b"xyz")
    write_run(tmp_path, event(tensor("w", np.ones(2))), event(tensor("w", broken, None), step=1))
    done = plot(open_logdir(tmp_path), tmp_path / "p.svg")
    assert done.values == 1
    assert done.notes == [Note("values_undecodable", count=1)]


@pytest.mark.slow
def test_the_command_draws_in_a_process_of_its_own(tmp_path: Path) -> None:
    ran = run_process("plot", SAMPLE_LOGS / "torch", "--tag", "loss/*", "-o", "p.html", cwd=tmp_path)
    assert ran == (0, "150 values of 3 tags in 1 run: see p.html\n", "")
    assert (tmp_path / "p.html").stat().st_size > 10_000
