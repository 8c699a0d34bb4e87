"""Images that ``tb2csv predict`` writes: PNG files, read by Pillow, and ``.npy`` files."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from commands import run_here
from PIL import Image
from prediction_tables import read
from torch import nn

from tb2csv import predict
from tb2csv.errors import OutputError, RecorderError
from tb2csv.prediction.image_files import as_images

if TYPE_CHECKING:
    from pathlib import Path

GREY = np.array([[[0, 0.5, 1], [0.25, 0.002, 0.998]], [[-0.1, 1.5, np.inf], [1, 0, 0.1]]], np.float32)
#: round(255 x), by hand; what is below 0 or above 1 is 0 or 255.
GREY_PIXELS = [[[0, 128, 255], [64, 1, 254]], [[0, 255, 255], [255, 0, 26]]]


class Same(nn.Module):
    """A model that returns its inputs, so that the images are known."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def pixels(path: Path) -> tuple[str, Any]:
    with Image.open(path) as image:
        return image.mode, np.asarray(image)


def test_grey_floats_between_0_and_1(tmp_path: Path) -> None:
    (table,) = predict(Same(), GREY, tmp_path / "out.csv", images="png", batch_size=1, target=np.array(["a", "b"]))
    assert (table.images, table.clipped, table.rows) == (tmp_path / "out", 3, 2)
    assert read(tmp_path / "out.csv") == (
        ["sample", "target", "width", "height", "clipped", "path"],
        [["0", "a", "3", "2", "0", "out/0.png"], ["1", "b", "3", "2", "3", "out/1.png"]],
    )
    for number, expected in enumerate(GREY_PIXELS):
        mode, found = pixels(tmp_path / f"out/{number}.png")
        assert mode == "L"
        assert found.tolist() == expected


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
@pytest.mark.parametrize("axis", ["first", "last"])
def test_channels_are_first_in_torch_unless_they_are_said_to_be_last(
    channels: int, mode: str, axis: Any, tmp_path: Path
) -> None:
    colours = np.arange(2 * channels * 4 * 5, dtype=np.uint8).reshape(2, channels, 4, 5)
    given = colours if axis == "first" else np.moveaxis(colours, 1, 3)
    predict(Same(), given, tmp_path / "out.csv", images="png", channels=None if axis == "first" else "last")
    for number, image in enumerate(colours):
        found_mode, found = pixels(tmp_path / f"out/{number}.png")
        assert found_mode == mode
        np.testing.assert_array_equal(found, np.moveaxis(image, 0, 2) if channels > 1 else image[0])


@pytest.mark.parametrize(
    ("array", "value_range", "expected"),
    [
        (np.array([[[-1.0, 0, 1]]]), (-1, 1), [[0, 128, 255]]),
        (np.array([[[0.0, 1, 2]]]), (2, 0), [[255, 128, 0]]),
        (np.array([[[0, 10, 20]]]), (0, 20), [[0, 128, 255]]),
        (np.array([[[0, 7, 255]]], np.uint8), None, [[0, 7, 255]]),
        (np.array([[[0, 7, 65535]]], np.uint16), None, [[0, 7, 65535]]),
        (np.array([[[False, True]]]), None, [[0, 255]]),
    ],
)
def test_values_that_are_black_and_white(array: Any, value_range: Any, expected: Any, tmp_path: Path) -> None:
    (table,) = predict(Same(), array, tmp_path / "out.csv", images="png", value_range=value_range)
    assert table.clipped == 0
    assert pixels(tmp_path / "out/0.png")[1].tolist() == expected


def test_npy_file_has_the_numbers_themselves(tmp_path: Path) -> None:
    array = np.random.default_rng(1).normal(size=(5, 7, 2, 3)).astype(np.float32)
    (table,) = predict(Same(), array, tmp_path / "out.csv", images="npy", batch_size=2)
    assert table.images == tmp_path / "out.npy"
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), array)


def test_a_folder_of_images_is_replaced_as_a_whole(tmp_path: Path) -> None:
    predict(Same(), GREY, tmp_path / "out.csv", images="png")
    with pytest.raises(OutputError, match="exists already"):
        predict(Same(), GREY, tmp_path / "out.csv", images="png")
    predict(Same(), GREY[:1], tmp_path / "out.csv", images="png", overwrite=True)
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["0.png"]
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        predict(Same(), GREY, tmp_path / "out.csv", images="png", overwrite=True)
    assert (tmp_path / "out/mine.txt").read_text() == "mine"


def test_what_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    nan = GREY.copy()
    nan[1, 0, 0] = np.nan
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (nan, {}, "output of sample 1 has NaN, which a PNG file cannot show; images='npy' keeps the numbers"),
        (np.zeros((2, 3, 4), np.int64), {}, "holds int64, .* not known; give both with value_range"),
        (np.zeros((2, 5, 4, 4)), {}, "5 x 4 x 4 for each sample, whose first axis is not 1, 3 or 4 channels"),
        (np.zeros((2, 5, 5, 3)), {}, "5 x 5 x 3 .*; give channels='last'"),
        (np.zeros((2, 3, 5, 5, 3)), {}, "3 x 5 x 5 x 3 for each sample, which is not that of an image"),
        (np.zeros((2, 4)), {}, "no output of several dimensions"),
        (GREY, {"value_range": (1, 1)}, "give two different numbers"),
        (GREY, {"images": None, "channels": "last"}, "are those of PNG files; give images='png'"),
        (GREY, {"images": "jpg"}, "images='jpg' is not valid"),
    ]
    for array, options, message in cases:
        with pytest.raises(RecorderError, match=message):
            predict(Same(), array, tmp_path / "out.csv", **{"images": "png", **options})
    assert not list(tmp_path.iterdir())


def test_both_axes_of_a_format_without_a_custom_must_not_be_guessed() -> None:
    """ONNX is written by exporters of both kinds."""
    assert as_images("x", np.zeros((2, 3, 8, 6)), None).shape == (2, 8, 6, 3)
    assert as_images("x", np.zeros((2, 8, 6, 4)), None).shape == (2, 8, 6, 4)
    with pytest.raises(RecorderError, match="first or last axis may be the channels; give channels='first', or"):
        as_images("x", np.zeros((2, 3, 8, 4)), None)


def test_the_command_writes_the_same_and_says_what_was_clipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.concatenate([GREY, GREY]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(Same(), torch.from_numpy(GREY)), "model.pt")
    refused = run_here(capsys, "predict", "model.pt", "x.npy", "out.csv")
    assert (refused.status, "; --trust if you trust its source" in refused.stderr) == (1, True)
    options = ["--trust", "--images", "png", "--value-range", "-1,1"]
    ran = run_here(capsys, "predict", "model.pt", "x.npy", "out.csv", *options)
    assert (
        ran.stdout
        == "out.csv: 4 rows of output, and out; 4 elements outside the range of values shown as black or white\n"
    )
    assert pixels(tmp_path / "out/2.png")[1].tolist() == [[128, 191, 255], [159, 128, 255]]
    ran = run_here(capsys, "predict", "model.pt", "x.npy", "o.csv", "--trust", "--images", "npy", "--json")
    (table,) = json.loads(ran.stdout)
    assert {name: table[name] for name in ("rows", "images", "clipped", "padded")} == {
        "rows": 4,
        "images": "o.npy",
        "clipped": 0,
        "padded": 0,
    }
    ran = run_here(capsys, "predict", "model.pt", "x.npy", "p.csv", "--trust", "--images", "png", "--value-range", "1")
    assert (ran.status, "'1' is not two numbers; give BLACK,WHITE" in ran.stderr) == (2, True)
