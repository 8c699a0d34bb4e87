"""The looks of pictures: ranges, medians, bars, labels, themes, sizes, and formats."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import run_here
from event_files import event, scalar, simple_value, write_run
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import colors
from matplotlib.text import Text
from pictures import SLIGHT, difference
from PIL import Image

from tb2csv.analysis.plots import x_axis
from tb2csv.analysis.plots.curves import draw_curves
from tb2csv.analysis.plots.drawing_options import DrawingOptions, Look
from tb2csv.analysis.plots.figure import drawing
from tb2csv.analysis.plots.heat_maps import draw_heat_map
from tb2csv.analysis.plots.histogram_bins import Histograms
from tb2csv.analysis.plots.histogram_plots import draw_histogram_map, draw_ridges
from tb2csv.analysis.plots.median_curves import median_curve
from tb2csv.analysis.plots.plot import plot
from tb2csv.analysis.plots.plotted_series import PlottedHistograms, PlottedSeries, PlottedValues
from tb2csv.analysis.plots.run_colours import DARK_PALETTE, PALETTE, THIRD_ROUND, run_colours
from tb2csv.analysis.plots.run_names import MOST_RUNS
from tb2csv.analysis.plots.themes import LIGHT, THEMES
from tb2csv.analysis.plots.tick_labels import short_numbers
from tb2csv.analysis.plots.value_ranges import is_wide, shown_range
from tb2csv.dataframes import scan
from tb2csv.errors import OptionError
from tb2csv.notes import Note
from tb2csv.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    from tb2csv.analysis.plots.figure import Sheet

NAN, INF = math.nan, math.inf


@pytest.fixture
def drawn() -> Iterator[None]:
    with drawing([]):
        yield


def options_of(values: PlottedValues, look: Look | None = None, **more: Any) -> DrawingOptions:
    runs = list(dict.fromkeys(each.run for each in (*values.series, *values.histograms)))
    look = look or Look(LIGHT)
    palette = look.theme.palette
    colours = {run: palette[number % len(palette)] for number, run in enumerate(runs)}
    return DrawingOptions(x_axis.positions("step"), colours, look, **more)


def series(run: str, tag: str, y: npt.ArrayLike) -> PlottedSeries:
    values = np.asarray(y, np.float64)
    return PlottedSeries(run, tag, np.arange(float(len(values))), values)


def curves_of(*some: PlottedSeries, **more: Any) -> tuple[Sheet, list[Note]]:
    values = PlottedValues(list(some), [])
    return draw_curves(values, options_of(values, **more))


# The range of values


def with_outliers() -> npt.NDArray[np.float64]:
    """A loss that explodes twice."""
    values = 0.5 + 2 * np.exp(-np.arange(400) / 80)
    values[[0, 200]] = 8000.0, -500.0
    return values


@pytest.mark.usefixtures("drawn")
def test_outliers_do_not_stretch_the_axis() -> None:
    sheet, notes = curves_of(series("a", "loss", with_outliers()))
    low, high = sheet.panels[0].get_ylim()
    assert 0 < low < 0.6
    assert 2.4 < high < 3
    assert notes == [Note("outliers_hidden", count=2)]


@pytest.mark.usefixtures("drawn")
def test_all_points_are_shown_if_requested() -> None:
    sheet, notes = curves_of(series("a", "loss", with_outliers()), all_points=True)
    low, high = sheet.panels[0].get_ylim()
    assert low < -500
    assert high > 8000
    assert notes == []


@pytest.mark.usefixtures("drawn")
def test_a_smoothed_outlier_does_not_stretch_the_axis() -> None:
    sheet, notes = curves_of(series("a", "loss", with_outliers()), smooth=0.9)
    assert sheet.panels[0].get_ylim()[1] < 3
    assert notes == [Note("outliers_hidden", count=2)]


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=3, max_size=60))
def test_the_range_has_all_values_that_tensorboard_shows(values: list[float]) -> None:
    """As its scalar cards do: the values between two percentiles, if there are more than two."""
    ordered = sorted(values)
    last = len(ordered) - 1
    found = shown_range(np.array(values), log=False, all_points=False)
    assert found is not None
    assert found.low <= ordered[math.ceil(0.05 * last)]
    assert found.high >= ordered[math.floor(0.95 * last)]
    assert found.hidden == sum(not found.low <= value <= found.high for value in values)


def test_rare_values_are_shown_if_all_others_are_equal() -> None:
    values = np.zeros(1000)
    values[500] = 7.0
    found = shown_range(values, log=False, all_points=False)
    assert found is not None
    assert found.high > 7
    assert found.hidden == 0


@pytest.mark.parametrize(
    ("values", "log"),
    [
        (np.geomspace(1, 1e5, 50), True),
        (np.geomspace(1, 100, 50), False),
        (np.append(np.ones(99), 1e9), False),  # one outlier is not a range
        (np.append(np.geomspace(1, 1e5, 50), 0.0), False),  # 0 has no place on a logarithmic axis
        (np.array([1.0, 1e6]), False),
        (np.array([NAN, INF]), False),
    ],
)
def test_the_axis_is_logarithmic_if_the_range_is_wide(values: npt.NDArray[np.float64], log: bool) -> None:
    assert is_wide(values) is log


@pytest.mark.usefixtures("drawn")
def test_a_logarithmic_axis_is_noted_and_can_be_refused() -> None:
    wide, narrow = series("a", "wide", np.geomspace(1, 1e6, 80)), series("a", "narrow", np.linspace(1, 2, 80))
    sheet, notes = curves_of(wide, narrow)
    assert [panel.get_yscale() for panel in sheet.panels] == ["log", "linear"]
    assert notes == [Note("log_axis_chosen", count=1, details={"tags": ["wide"]})]
    sheet, notes = curves_of(wide, narrow, log=False)
    assert [panel.get_yscale() for panel in sheet.panels] == ["linear", "linear"]
    sheet, notes = curves_of(wide, narrow, log=True)
    assert [panel.get_yscale() for panel in sheet.panels] == ["log", "log"]
    assert notes == []


@pytest.mark.usefixtures("drawn")
def test_the_ends_of_the_axis_can_be_chosen() -> None:
    sheet, notes = curves_of(series("a", "loss", with_outliers()), ylim=(0.0, 1.5))
    assert sheet.panels[0].get_ylim() == (0, 1.5)
    assert notes == []
    sheet, _ = curves_of(series("a", "wide", np.geomspace(1, 1e6, 80)), ylim=(0.0, None))
    assert sheet.panels[0].get_yscale() == "linear"
    assert sheet.panels[0].get_ylim()[0] == 0


# Many runs


def test_the_median_equals_that_of_numpy_at_shared_steps() -> None:
    random = np.random.default_rng(3)
    steps = np.arange(0.0, 100, 7)
    values = random.standard_normal((31, len(steps)))
    x, y = median_curve([(steps, row) for row in values])
    assert x.tolist() == steps.tolist()
    np.testing.assert_allclose(y, np.median(values, axis=0))


def test_the_median_interpolates_within_each_run_and_needs_half_of_them() -> None:
    straight = [
        (np.array([0.0, 10.0]), np.array([0.0, 10.0])),
        (np.array([0.0, 5.0, 10.0]), np.array([2.0, 7.0, 12.0])),
    ]
    long = (np.array([0.0, 10.0, 20.0]), np.array([4.0, 14.0, 24.0]))
    x, y = median_curve([*straight, long])
    assert x.tolist() == [0, 5, 10]  # beyond 10, only a third of the runs goes on
    assert y.tolist() == [2, 7, 12]
    unsorted = (np.array([5.0, 0.0, 5.0, 2.0]), np.array([9.0, 1.0, 3.0, NAN]))
    assert [each.tolist() for each in median_curve([unsorted])] == [[0, 5], [1, 3]]
    assert [each.size for each in median_curve([(np.array([1.0]), np.array([NAN]))])] == [0, 0]


@pytest.mark.usefixtures("drawn")
def test_many_runs_are_faint_with_their_median_in_front() -> None:
    values = np.random.default_rng(0).random((MOST_RUNS + 1, 20))
    sheet, _ = curves_of(*(series(f"deep/run_{number}", "x", row) for number, row in enumerate(values)))
    *lines, median = sheet.panels[0].lines
    assert len(lines) == MOST_RUNS + 1
    assert max(each.get_alpha() for each in lines) < 0.5
    np.testing.assert_allclose(median.get_ydata(), np.median(values, axis=0))
    assert median.get_zorder() > max(each.get_zorder() for each in lines)
    (legend,) = sheet.figure.legends
    assert [entry.get_text() for entry in legend.get_texts()] == ["median", f"each of {MOST_RUNS + 1} runs"]
    assert legend.get_title().get_text() == "deep/"


@pytest.mark.usefixtures("drawn")
def test_panels_of_few_runs_name_them_if_the_log_has_too_many_for_a_legend() -> None:
    runs = [f"group_{number // 3}/run_{number}" for number in range(MOST_RUNS + 3)]
    sheet, _ = curves_of(*(series(run, run.partition("/")[0], [2, 1]) for run in runs))
    for number, panel in enumerate(sheet.panels):
        legend = panel.get_legend()
        assert [entry.get_text() for entry in legend.get_texts()] == [f"run_{3 * number + each}" for each in range(3)]
        named = [handle.get_color() for handle in legend.legend_handles]
        assert named == [line.get_color() for line in panel.lines]
    assert sheet.figure.legends == []


def looks_of(lines: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Return the colours and dashes of lines; the dashes of matplotlib are in points."""
    return [
        (colors.to_hex(each.get_color()), *np.divide(each._dash_pattern[1] or (), each.get_linewidth()).round(3))
        for each in lines
    ]


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("curves", [9, MOST_RUNS])
def test_panels_of_more_runs_name_them_below(curves: int) -> None:
    runs = [f"lr=0.1/seed_{number:02}" for number in range(MOST_RUNS + 6)]
    all_series = [*(series(run, "x", [2, 1]) for run in runs), *(series(run, "y", [1, 2]) for run in runs[-curves:])]
    sheet, _ = curves_of(*all_series)
    unnamed, panel = sheet.panels
    assert unnamed.get_legend() is None
    legend = panel.get_legend()
    sheet.figure.draw_without_rendering()
    assert [entry.get_text() for entry in legend.get_texts()] == [f"seed_{number:02}" for number in range(30)][-curves:]
    looks = looks_of(legend.legend_handles)
    assert looks == looks_of(panel.lines)
    assert len(set(looks)) == curves, "a reader can find each curve in the legend"
    boxes = [entry.get_window_extent() for entry in legend.get_texts()]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    lowest = min(label.get_window_extent().y0 for label in [*panel.get_xticklabels(), panel.xaxis.label])
    assert all(box.y1 < lowest and box.x1 <= panel.get_window_extent().x1 and box.y0 >= 0 for box in boxes)
    height = panel.get_window_extent().height / sheet.figure.dpi
    assert height == pytest.approx(LIGHT.panel[1] - 0.7, abs=0.2), "the panels keep their size"


@pytest.mark.usefixtures("drawn")
def test_runs_of_one_colour_have_other_dashes() -> None:
    """There are more runs than TensorBoard has colours; ``options_of`` uses its seven."""
    sheet, _ = curves_of(*(series(f"run_{number}", tag, [number, 1]) for tag in "xy" for number in range(MOST_RUNS)))
    (legend,) = sheet.figure.legends
    looks = looks_of(legend.legend_handles)
    assert len(set(looks)) == MOST_RUNS
    assert [looks_of(panel.lines) for panel in sheet.panels] == [looks, looks]


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize(("runs", "columns"), [(8, 1), (9, 5), (MOST_RUNS, 4)])
def test_a_long_legend_is_below_in_columns(runs: int, columns: int) -> None:
    sheet, _ = curves_of(*(series(f"a/run number {number}", "x", [0, 1]) for number in range(runs)))
    sheet.figure.draw_without_rendering()
    (legend,) = sheet.figure.legends
    assert [entry.get_text() for entry in legend.get_texts()] == [f"run number {number}" for number in range(runs)]
    boxes = [entry.get_window_extent() for entry in legend.get_texts()]
    assert len({round(box.x0) for box in boxes}) == columns
    panel = sheet.panels[0].get_window_extent()
    assert all(box.y1 < panel.y0 for box in boxes) == (columns > 1)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert all(box.x0 >= 0 and box.x1 <= sheet.figure.bbox.x1 and box.y0 >= 0 for box in boxes)


# One value in each run


@pytest.mark.usefixtures("drawn")
def test_single_values_are_bars_with_names_and_numbers() -> None:
    sheet, _ = curves_of(series("a/x", "score", [0.5]), series("a/y", "score", [-0.25]), series("a/z", "score", [NAN]))
    panel = sheet.panels[0]
    assert [bar.get_width() for bar in panel.patches] == [0.5, -0.25, 0]
    assert [colors.to_hex(bar.get_facecolor()) for bar in panel.patches] == list(PALETTE[:3])
    assert [label.get_text() for label in panel.get_yticklabels()] == ["x", "y", "z"]
    assert [text.get_text() for text in panel.texts] == ["0.5", "−0.25", "NaN"]
    assert sheet.figure.legends == []
    low, high = panel.get_xlim()
    assert low < -0.25
    assert high > 0.5


@pytest.mark.usefixtures("drawn")
def test_bars_begin_at_zero() -> None:
    sheet, _ = curves_of(series("a", "score", [100.0]), series("b", "score", [101.0]))
    assert sheet.panels[0].get_xlim()[0] == 0
    sheet, _ = curves_of(series("a", "score", [100.0]), series("b", "score", [101.0, 102.0]))
    assert not sheet.panels[0].patches  # one of the runs has a curve


# Labels of ticks


@pytest.mark.parametrize(
    ("ticks", "labels"),
    [
        ([0, 0.5, 1], ["0", "0.5", "1"]),
        ([0, 20_000, 40_000], ["0", "20k", "40k"]),
        ([10_000_000, 10_000_020], ["10,000,000", "10,000,020"]),
        ([-1523.3321, -1523.3320], ["−1,523.3321", "−1,523.3320"]),
        ([1e-9, 1.0000001e-9], ["1.0000000e-09", "1.0000001e-09"]),
        ([1.0], ["1"]),
        ([NAN, INF], ["", ""]),
    ],
)
def test_labels_differ_if_the_ticks_do(ticks: list[float], labels: list[str]) -> None:
    assert [label.replace("\N{MINUS SIGN}09", "-09") for label in short_numbers(ticks)] == labels


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e6))
def test_labels_are_exact_to_a_hundredth_of_their_distance(start: float, distance: float) -> None:
    ticks = [start + distance * number for number in range(6)]
    if len(set(ticks)) < len(ticks):
        return
    labels = short_numbers(ticks)
    assert len(set(labels)) == len(labels)
    factors = {"k": 1e3, "M": 1e6, "G": 1e9}
    for tick, label in zip(ticks, labels, strict=True):
        text = label.replace("\N{MINUS SIGN}", "-").replace(",", "")
        number = float(text.rstrip("kMG")) * factors.get(text[-1], 1.0)
        assert number == pytest.approx(tick, abs=0.011 * distance, rel=1e-15)


@pytest.mark.usefixtures("drawn")
def test_long_labels_do_not_overlap() -> None:
    some = [PlottedSeries("a", f"t{n}", 1e7 + np.arange(100.0), 1 + 1e-5 * np.arange(100.0)) for n in range(4)]
    sheet, _ = curves_of(*some)
    sheet.figure.draw_without_rendering()
    for panel in sheet.panels:
        boxes = [label.get_window_extent() for label in panel.get_xticklabels() if label.get_text()]
        assert len(boxes) >= 2
        assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))


# Heat maps


def cells_of(sheet: Sheet, number: int = 0) -> npt.NDArray[np.float64]:
    array: npt.NDArray[np.float64] = np.ma.filled(sheet.panels[number].collections[0].get_array(), NAN)
    return array


@pytest.mark.usefixtures("drawn")
def test_tags_that_measure_different_things_have_a_scale_each() -> None:
    values = PlottedValues(
        [
            series("a", "loss", [3.0, 1.0]),
            series("a", "accuracy", [0.5, INF]),
            series("b", "loss", [2.0, 5.0]),
            series("b", "accuracy", [0.5, 0.5]),
        ],
        [],
    )
    sheet, _ = draw_heat_map(values, options_of(values))
    assert cells_of(sheet, 0).tolist() == [[0.5, 0.0], [0.5, 2.0]]  # 2: the colour of NaN and infinity
    assert cells_of(sheet, 1).tolist() == [[0.25, 1.0], [0.5, 0.5]]
    assert [text.get_text() for text in sheet.panels[1].texts] == ["1 to 5", "0.5"]
    bar = sheet.figure.axes[-1]
    assert [label.get_text() for label in bar.get_yticklabels()] == ["lowest of the tag", "highest of the tag"]


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize(
    ("runs", "tags", "heading"),
    [
        (["a", "b"], ["g/x/norm", "g/y/norm"], "g/*/norm"),
        (["a"], ["g/x/norm", "g/y/norm"], "run a · g/*/norm"),
        (["."], ["x", "y"], ""),
        (["."], ["deep/x", "deep/y"], "deep/*"),
    ],
)
def test_a_heat_map_has_its_runs_and_what_its_tags_share(runs: list[str], tags: list[str], heading: str) -> None:
    values = PlottedValues([series(run, tag, [1.0, 2.0]) for run in runs for tag in tags], [])
    sheet, _ = draw_heat_map(values, options_of(values))
    assert sheet.figure.get_suptitle() == heading
    assert [panel.get_title("left") for panel in sheet.panels] == (runs if len(runs) > 1 else [""])


# Colours and themes


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG."""
    parts = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in colors.to_rgb(colour)]
    return float(np.dot(parts, [0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES.values(), ids=list(THEMES))
def test_text_and_the_third_round_of_colours_can_be_seen(theme: Any) -> None:
    assert contrast(theme.text, theme.background) >= 7
    assert contrast(theme.faint_text, theme.background) >= 4.5
    for colour in THIRD_ROUND:
        assert contrast(colour, theme.background) >= 3


@pytest.mark.parametrize("palette", [PALETTE, DARK_PALETTE])
def test_twenty_one_runs_have_colours_that_differ(tmp_path: Path, palette: tuple[str, ...]) -> None:
    for number in range(22):
        write_run(tmp_path / f"{number:02}", event(simple_value("x", 1.0)), wall_time=1.0 + number)
    found = list(run_colours((run for run, _ in scan(tmp_path).choose(Selection())), palette).values())
    assert found[:7] == list(palette)
    assert found[21] == found[0]
    distances = [math.dist(colors.to_rgb(a), colors.to_rgb(b)) for a, b in itertools.combinations(found[:21], 2)]
    assert min(distances) > 0.1


def write_loss(logdir: Path) -> Path:
    for run, shift in {"a": 0.0, "b": 1.0}.items():
        write_run(logdir / run, *(event(scalar("loss", 1 / (step + 1) + shift), step=step) for step in range(30)))
    return logdir


@pytest.mark.parametrize("theme", THEMES)
def test_a_theme_has_its_background_in_every_corner(tmp_path: Path, theme: str) -> None:
    plot(write_loss(tmp_path / "logs"), tmp_path / "p.png", theme=theme)
    with Image.open(tmp_path / "p.png") as image:
        corners = {image.convert("RGB").getpixel((x, y)) for x in (0, image.width - 1) for y in (0, image.height - 1)}
        assert image.info["dpi"][0] == pytest.approx(THEMES[theme].dpi, rel=0.01)
    assert corners == {tuple(bytes.fromhex(THEMES[theme].background[1:]))}


# Sizes, titles, formats


@pytest.mark.parametrize(("ending", "form"), [(".png", "PNG"), (".jpg", "JPEG"), (".JPEG", "JPEG")])
def test_the_size_is_what_is_requested(tmp_path: Path, ending: str, form: str) -> None:
    out = tmp_path / f"p{ending}"
    plot(write_loss(tmp_path / "logs"), out, width=5, height=2.5, dpi=80, title="Losses")
    with Image.open(out) as image:
        assert (image.size, image.format) == ((400, 200), form)


@pytest.mark.parametrize("ending", [".pdf", ".jpg"])
def test_other_formats_have_the_same_bytes_each_time(tmp_path: Path, ending: str) -> None:
    logs = write_loss(tmp_path / "logs")
    first, second = (tmp_path / f"{name}{ending}" for name in "ab")
    for out in (first, second):
        plot(logs, out, theme="paper")
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith({".pdf": b"%PDF-1.", ".jpg": b"\xff\xd8\xff"}[ending])


@pytest.mark.slow
def test_a_pdf_embeds_fonts_that_journals_accept(tmp_path: Path) -> None:
    plot(write_loss(tmp_path / "logs"), tmp_path / "p.pdf")
    content = (tmp_path / "p.pdf").read_bytes()
    assert b"/CIDFontType2" in content  # TrueType
    assert b"/Type3" not in content


def test_a_title_is_text_and_not_a_formula(tmp_path: Path) -> None:
    plot(write_loss(tmp_path / "logs"), tmp_path / "p.svg", title="$x^2$ & <b>\x1b[31m")
    assert "$x^2$ &amp; &lt;b&gt;\\x1b[31m" in (tmp_path / "p.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 0.0},
        {"height": NAN},
        {"dpi": 0},
        {"dpi": 5000},
        {"width": 150.0, "dpi": 600},
        {"ylim": (1.0, 1.0)},
        {"ylim": (NAN, 1.0)},
        {"ylim": (INF, None)},
        {"ylim": (0.0, 1.0), "log": True},
        {"theme": "pink"},
        {"style": "heatmap", "ylim": (0.0, 1.0)},
        {"style": "heatmap", "all_points": True},
    ],
)
def test_impossible_looks_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        plot(write_loss(tmp_path / "logs"), tmp_path / "p.png", **wrong)
    assert not (tmp_path / "p.png").exists()


def test_the_command_takes_the_looks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs, out = write_loss(tmp_path / "logs"), tmp_path / "p.png"
    looks = ["--title", "T", "--width", 4, "--height", 3, "--dpi", 50, "--theme", "dark", "--ylim", "0,", "--no-log"]
    ran = run_here(capsys, "plot", logs, "-o", out, *looks)
    assert ran == (0, f"60 values of 1 tag in 2 runs: see {out}\n", "")
    with Image.open(out) as image:
        assert image.size == (200, 150)
    for ends in ("1", "1,2,3", "a,b"):
        ran = run_here(capsys, "plot", logs, "-o", tmp_path / "q.png", "--ylim", ends)
        assert (ran.status, ran.stderr.count("\n")) == (2, 1)


def test_the_command_says_how_to_see_what_is_hidden(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "logs", *(event(scalar("x", value), step=step) for step, value in enumerate(with_outliers())))
    ran = run_here(capsys, "plot", tmp_path / "logs", "-o", tmp_path / "p.svg")
    assert ran.stderr == "tb2csv: outliers, which are not in the plot: 2; --all-points shows them\n"
    ran = run_here(capsys, "plot", tmp_path / "logs", "-o", tmp_path / "q.svg", "--all-points")
    assert ran.stderr == ""


# Pictures, compared with those that were looked at

EXPECTED = Path(__file__).with_name("pictures")
#: Pictures are drawn larger and shrunk, because the sizes of letters, and the layout with them, are whole pixels.
SHRUNK = 3


def many_curves() -> list[PlottedSeries]:
    random = np.random.default_rng(0)
    return [
        series(f"r{number:02}", tag, 1 + number / 20 + np.exp(-np.arange(60) / 12) + random.random(60) / 9)
        for tag in ("x", "y")
        for number in range(30)
    ]


def curves_of_some_runs() -> list[PlottedSeries]:
    return [each for number, each in enumerate(many_curves()) if each.tag == "x" or number % 2]


def histograms() -> PlottedValues:
    random = np.random.default_rng(0)
    edges = np.linspace(-4, 4, 31)
    counts = [np.histogram(random.normal(step / 8, 0.5 + step / 20, 2000), edges)[0] for step in range(12)]
    number = np.repeat(np.arange(12), 30)
    held = Histograms(number, np.tile(edges[:-1], 12), np.tile(edges[1:], 12), np.concatenate(counts).astype(float))
    return PlottedValues([], [PlottedHistograms("a", "h", np.arange(12.0), held)])


def few_curves() -> PlottedValues:
    return PlottedValues(
        [series(f"run {number}", "loss", with_outliers() * (1 + number / 5)) for number in range(3)], []
    )


def heat() -> PlottedValues:
    rows = {"loss": np.linspace(3, 1, 20), "accuracy": np.append(np.linspace(0, 1, 19), NAN)}
    return PlottedValues([series(run, tag, row) for run in "ab" for tag, row in rows.items()], [])


def norms() -> PlottedValues:
    decay = np.exp(-np.arange(20) / 3)
    return PlottedValues(
        [series("a", f"layer_{number}/norm", decay * 10.0**-number * (number != 2)) for number in range(5)], []
    )


PICTURES: dict[
    str, tuple[Callable[..., tuple[Sheet, list[Note]]], Callable[[], PlottedValues], str, dict[str, Any]]
] = {
    "curves": (draw_curves, few_curves, "light", {"smooth": 0.6}),
    "curves_dark": (draw_curves, few_curves, "dark", {}),
    "curves_paper": (draw_curves, few_curves, "paper", {}),
    "many_runs": (draw_curves, lambda: PlottedValues(many_curves(), []), "light", {}),
    "some_runs": (draw_curves, lambda: PlottedValues(curves_of_some_runs(), []), "light", {}),
    "logarithmic": (
        draw_curves,
        lambda: PlottedValues([series("a", "x", np.geomspace(1, 1e6, 50))], []),
        "light",
        {},
    ),
    "bars": (
        draw_curves,
        lambda: PlottedValues(
            [series(run, "x", [value]) for run, value in {"a": 3.0, "b": -1.0, "c": NAN}.items()], []
        ),
        "light",
        {},
    ),
    "heat_map": (draw_heat_map, heat, "light", {}),
    "norms": (draw_heat_map, norms, "dark", {}),
    "ridges": (draw_ridges, histograms, "light", {}),
    "histogram_map": (draw_histogram_map, histograms, "dark", {}),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.slow
def test_pictures_look_as_expected(tmp_path: Path, name: str) -> None:
    """If one does not: look at the picture that the failure names, and copy it to tests/analysis/pictures.

    Text is left out, because its edges depend on the version of the renderer.
    """
    draw, values_of, theme, more = PICTURES[name]
    values = values_of()
    resolution = 100 if theme == "paper" else 50  # figures of papers have half the width
    with drawing([], THEMES[theme]):
        sheet, _ = draw(values, options_of(values, Look(THEMES[theme], resolution=resolution * SHRUNK), **more))
        for text in sheet.figure.findobj(Text):
            text.set_alpha(0)
        drawn, out = tmp_path / "drawn.png", tmp_path / f"{name}.png"
        sheet.figure.savefig(drawn, metadata={"Software": None})
    with Image.open(drawn) as large:
        large.convert("RGB").reduce(SHRUNK).save(out)
    with Image.open(out) as made, Image.open(EXPECTED / f"{name}.png") as expected:
        assert made.size == expected.size, out
        assert difference(made, expected, THEMES[theme].background) < SLIGHT, out


@pytest.mark.parametrize("name", PICTURES)
def test_a_shift_is_a_slight_difference_and_another_picture_is_not(name: str) -> None:
    background = THEMES[PICTURES[name][2]].background
    with Image.open(EXPECTED / f"{name}.png") as expected:
        plain = expected.convert("RGB")
    half_a_pixel = (1, 0, 0.5, 0, 1, 0.5)
    shifted = plain.transform(
        plain.size, Image.Transform.AFFINE, half_a_pixel, Image.Resampling.BILINEAR, fillcolor=background
    )
    assert difference(plain, shifted, background) < SLIGHT
    assert difference(plain, Image.new("RGB", plain.size, background), background) > SLIGHT
    wider = plain.resize((plain.width * 21 // 20, plain.height)).crop((0, 0, *plain.size))
    assert difference(plain, wider, background) > SLIGHT
