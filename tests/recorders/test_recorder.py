"""The recorder for any framework, read back by TensorBoard and by ``convert``."""

from __future__ import annotations

import collections
import dataclasses
import io
import json
import os
import subprocess
import sys
import threading
import wave
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from PIL import Image
from plugin_server import tensorboard_here
from raw_events import events
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

import tb2csv
from tb2csv.recorders import Recorder, RecorderError, RecorderWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEEP_ALL = {"tensors": 0, "scalars": 0, "histograms": 0, "images": 0, "audio": 0}


def values(folder: Path) -> Iterator[tuple[Any, Any]]:
    """Yield all values of a folder with their events."""
    for event in events(folder):
        for value in event.summary.value:
            yield event, value


def arrays(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    return {value.tag: make_ndarray(value.tensor) for _, value in values(folder)}


def tags_of(folder: Path, tree: Any) -> list[str]:
    with Recorder(folder) as recorder:
        recorder.tensors(tree, 1)
    return [value.tag for _, value in values(folder)]


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class State:
    step: int
    params: dict[str, Any]


def test_paths_become_tags(tmp_path: Path) -> None:
    tree = {
        "train/loss": 1.0,
        "layers": [{"w": np.ones(2)}, (2.0, 3.0)],
        "point": Point(1, {"a/b": 2, "100%": 3}),
        "state": State(4, collections.OrderedDict(k=5)),
        7: 8,
    }
    assert tags_of(tmp_path, tree) == [
        "train/loss",
        "layers/0/w",
        "layers/1/0",
        "layers/1/1",
        "point/x",
        "point/y/a%2Fb",
        "point/y/100%25",
        "state/step",
        "state/params/k",
        "7",
    ]
    assert tags_of(tmp_path / "list", [1, 2]) == ["0", "1"]


@pytest.mark.parametrize(
    ("tree", "tag"),
    [
        ({"a/b": 1, "a": {"b": 2}}, "a/b"),
        ({1: 1, "1": 2}, "1"),
        ({"p": {0: 1, "0": 2}}, "p/0"),
    ],
)
def test_paths_that_share_a_tag_are_refused(tmp_path: Path, tree: Any, tag: str) -> None:
    with Recorder(tmp_path) as recorder, pytest.raises(RecorderError, match=f"'{tag}'; rename one"):
        recorder.scalars(tree, 1)
    assert not list(values(tmp_path))


def test_paths_of_different_calls_do_not_share_a_tag(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        recorder.scalars({"a": {"b": 1}}, 1)
        recorder.scalars({"a": {"b": 2}}, 2)
        with pytest.raises(RecorderError, match="'a/b'; rename one"):
            recorder.scalars({"a/b": 3}, 3)
        with pytest.raises(RecorderError, match=r"recorded by scalars\(\) before.*'histograms/a/b'"):
            recorder.histograms({"a": {"b": 3}}, 3)
    assert [int(make_ndarray(value.tensor)) for _, value in values(tmp_path)] == [1, 2]


def test_keys_escaped_below_the_first_level_stay_apart(tmp_path: Path) -> None:
    tree = {"p": {"a/b": 1, "a": {"b": 2, "": 3}, "a%2Fb": 4}}
    assert tags_of(tmp_path, tree) == ["p/a%2Fb", "p/a/b", "p/a/%", "p/a%252Fb"]


@pytest.mark.parametrize("tree", [1.0, np.ones(2), "text"])
def test_a_value_without_a_name_is_refused(tmp_path: Path, tree: Any) -> None:
    with Recorder(tmp_path) as recorder, pytest.raises(RecorderError, match="has no name"):
        recorder.tensors(tree, 1)


def test_a_tree_that_contains_itself_is_refused(tmp_path: Path) -> None:
    tree: dict[str, Any] = {}
    tree["again"] = tree
    with Recorder(tmp_path) as recorder, pytest.raises(RecorderError, match="contains itself"):
        recorder.scalars(tree, 1)


def test_scalars_keep_their_digits(tmp_path: Path) -> None:
    given = {
        "python": 0.1,
        "large": 1e300,
        "integer": 2**53 + 1,
        "unsigned": 2**64 - 1,
        "fraction": Fraction(1, 3),
        "single": np.float32(0.1),
        "half": np.float16(0.1),
        "bool": True,
        "byte": np.uint8(200),
        "nan": float("nan"),
        "infinite": -np.inf,
        "zero": -0.0,
    }
    with Recorder(tmp_path / "logs") as recorder:
        recorder.scalars(given, 5, wall_time=1.5e9)
    found = arrays(tmp_path / "logs")
    for tag, number in given.items():
        expected = float(number) if isinstance(number, Fraction) else number
        np.testing.assert_array_equal(found[tag].item(), expected, tag)
    assert str(found["zero"]) == "-0.0"
    assert {tag: array.dtype.name for tag, array in found.items() if array.dtype != np.float64} == {
        "integer": "int64",
        "unsigned": "uint64",
        "single": "float32",
        "half": "float32",
        "bool": "float32",
        "byte": "uint8",
    }
    assert {(event.step, event.wall_time) for event, _ in values(tmp_path / "logs")} == {(5, 1.5e9)}
    tb2csv.convert(tmp_path / "logs", tmp_path / "tables")
    lines = (tmp_path / "tables/scalars/integer.csv").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "1500000000.0,5,9007199254740993"


def test_float32_scalars_are_those_of_tensorboard(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, float32_scalars=True)
    recorder.scalars({"loss": 0.1, "count": 3, "infinite": np.inf, "far": 1e300}, 1)
    with pytest.warns(RecorderWarning, match=r"1 value was not recorded .*: far \(1 x a number beyond float32\)"):
        recorder.close()
    found = arrays(tmp_path)
    assert {tag: (array.dtype.name, array.item()) for tag, array in found.items()} == {
        "loss": ("float32", float(np.float32(0.1))),
        "count": ("float32", 3.0),
        "infinite": ("float32", np.inf),
    }


def test_tensors_keep_their_bits(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    given: dict[str, Any] = {
        "double": random.normal(size=(2, 3)),
        "transposed": random.normal(size=(2, 3)).astype(np.float32).T,
        "big_endian": np.arange(5, dtype=">i4"),
        "big_endian_float": np.array([1.5, -0.0, np.nan], ">f8"),
        "empty": np.zeros((0, 3), np.int16),
        "complex": np.array([1 + 2j]),
        "half": np.array([0.1], np.float16),
        "texts": np.array(["a", "b\0"], object),
        "single": 7,
    }
    with Recorder(tmp_path / "logs") as recorder:
        recorder.tensors({**given, "none": None}, 3)
    found = arrays(tmp_path / "logs")
    assert list(found) == list(given)
    for tag, array in given.items():
        if tag != "texts":
            np.testing.assert_array_equal(found[tag], array, tag)
            assert found[tag].shape == np.shape(array)
    assert found["texts"].tolist() == [b"a", b"b\0"]
    tb2csv.convert(tmp_path / "logs", tmp_path / "tables")
    table = pl.read_csv(tmp_path / "tables/tensors/big_endian.csv")
    assert table["value"].to_list() == [0, 1, 2, 3, 4]


class OnlyDlpack:
    """An array of a framework that NumPy takes without ``__array__``."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


def test_arrays_of_unknown_frameworks_are_recorded(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        recorder.tensors({"dlpack": OnlyDlpack(np.arange(3.0)), "series": pl.Series([1, 2])}, 1)
    found = arrays(tmp_path)
    assert found["dlpack"].tolist() == [0.0, 1.0, 2.0]
    assert found["series"].tolist() == [1, 2]


def test_histograms_of_special_numbers(tmp_path: Path) -> None:
    given = {"some": [0.0, 1.0, 3.0, np.nan, np.inf], "none": [], "nan": [np.nan], "equal": [2, 2, 2]}
    with Recorder(tmp_path) as recorder:
        recorder.histograms({tag: np.array(each) for tag, each in given.items()}, 1)
    found = arrays(tmp_path)
    assert {tag: array.shape for tag, array in found.items()} == dict.fromkeys(given, (30, 3))
    assert {tag: array[:, 2].sum() for tag, array in found.items()} == {"some": 3, "none": 0, "nan": 0, "equal": 3}
    assert (found["some"][0, 0], found["some"][-1, 1]) == (0, 3)


def test_what_cannot_be_recorded_is_counted(tmp_path: Path) -> None:
    masked = np.ma.MaskedArray([1, 2], [True, False])
    recorder = Recorder(tmp_path)
    recorder.scalars({"none": None, "text": "x", "complex": 1j, "object": object(), "masked": masked}, 1)
    recorder.scalars({"large": 2**64, "\ud800": 1}, 1)
    recorder.histograms({"dates": np.array(["2020-01-01"], "M8[D]")}, 1)
    recorder.text({"number": 3}, 1)
    recorder.tensors({"ragged": {"x": np.array([[1], [2, 3]], object)}}, 1)
    with pytest.warns(RecorderWarning, match="10 values were not recorded") as caught:
        recorder.close()
    message = str(caught[0].message)
    for part in ("none (1 x None)", "text (1 x text)", "object (1 x object)", "masked (1 x masked)", "ragged/x"):
        assert part in message
    assert not list(values(tmp_path))


def test_text_is_kept_as_it_is(tmp_path: Path) -> None:
    with Recorder(tmp_path / "logs") as recorder:
        recorder.text({"note": "grün\0", "table": np.array([["a", "b"]])}, 2)
    found = arrays(tmp_path / "logs")
    assert found["note"].item() == "grün\0".encode()
    assert found["table"].tolist() == [[b"a", b"b"]]
    shown = EventAccumulator(str(tmp_path / "logs"), _KEEP_ALL).Reload()
    assert shown.SummaryMetadata("note").plugin_data.plugin_name == "text"
    tb2csv.convert(tmp_path / "logs", tmp_path / "tables", selection=None)
    assert (tmp_path / "tables/text/note.csv").exists()


def test_images_are_png_files_of_the_same_pixels(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    color = random.integers(0, 256, (2, 5, 4, 3), np.uint8)
    gray = random.uniform(-0.2, 1.2, (5, 4))
    with Recorder(tmp_path / "logs") as recorder:
        recorder.images({"color": color, "gray": gray, "alpha": color[0, ..., :2], "bool": gray > 0.5}, 1)
    found = arrays(tmp_path / "logs")

    def pixels(tag: str, place: int = 0) -> Any:
        assert found[tag][:2].tolist() == [b"4", b"5"]
        return np.asarray(Image.open(io.BytesIO(found[tag][2 + place])))

    for place in (0, 1):
        np.testing.assert_array_equal(pixels("color", place), color[place])
    np.testing.assert_array_equal(pixels("alpha"), color[0, ..., :2])
    np.testing.assert_array_equal(pixels("bool"), np.where(gray > 0.5, 255, 0))
    # As tf.image.convert_image_dtype does: x * 255.5 without the fraction.
    np.testing.assert_array_equal(pixels("gray"), np.floor(np.clip(gray, 0, 1) * 255.5))
    tb2csv.convert(tmp_path / "logs", tmp_path / "tables")
    rows = pl.read_csv(tmp_path / "tables/images/color.csv")
    assert rows.select("index", "width", "height").rows() == [(0, 4, 5), (1, 4, 5)]


@pytest.mark.parametrize(
    "image", [np.zeros(3), np.zeros((2, 2, 5)), np.zeros((0, 3)), np.zeros((2, 2), np.int64), np.full((2, 2), np.nan)]
)
def test_arrays_that_are_not_images_are_counted(tmp_path: Path, image: Any) -> None:
    recorder = Recorder(tmp_path)
    recorder.images({"picture": image}, 1)
    with pytest.warns(RecorderWarning, match="picture"):
        recorder.close()
    assert not list(values(tmp_path))


def test_audio_is_a_wav_file_of_the_same_samples(tmp_path: Path) -> None:
    samples = np.array([[0, 1], [-(2**15), 2**15 - 1], [5, -5]], np.int16)
    with Recorder(tmp_path) as recorder:
        recorder.audio({"stereo": samples, "mono": np.array([0.0, 0.5, -1.0, 2.0])}, 1, sample_rate=8000)
    found = arrays(tmp_path)

    def read(tag: str) -> tuple[int, int, Any]:
        with wave.open(io.BytesIO(found[tag][0, 0])) as file:
            frames = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            return file.getframerate(), file.getnchannels(), frames.tolist()

    assert read("stereo") == (8000, 2, samples.ravel().tolist())
    assert read("mono") == (8000, 1, [0, 2**14, -(2**15), 2**15 - 1])


@pytest.mark.slow
def test_trials_are_read_by_tensorboard_and_best(tmp_path: Path) -> None:
    for run, rate in (("a", 0.1), ("b", 0.2)):
        with Recorder(tmp_path / run) as recorder:
            recorder.hparams({"rate": rate, "sizes": [8, 4], "seed": 2**63, "depth": None, "bias": True})
            for step in (1, 2):
                recorder.scalars({"loss": rate * step}, step)
    with tensorboard_here(tmp_path) as board:
        experiment = board.json("/data/plugin/hparams/experiment", {"experimentName": ""})
        names = {each["name"] for each in experiment["hparamInfos"]}
        assert names == {"rate", "sizes/0", "sizes/1", "seed", "depth", "bias"}
        request = {
            "allowedStatuses": ["STATUS_SUCCESS"],
            "colParams": [{"hparam": "rate", "order": "ORDER_ASC"}],
            "startIndex": 0,
            "sliceSize": 10,
        }
        groups = board.json("/data/plugin/hparams/session_groups", request)["sessionGroups"]
        scalars = json.loads(board.get("/data/plugin/scalars/scalars?run=b&tag=loss"))
    assert [group["hparams"]["rate"] for group in groups] == [0.1, 0.2]
    assert groups[0]["hparams"]["seed"] == str(2**63)
    assert [group["sessions"][0]["status"] for group in groups] == ["STATUS_SUCCESS"] * 2
    assert [group["metricValues"][0]["value"] for group in groups] == [0.2, 0.4]
    assert [(step, value) for _, step, value in scalars] == [(1, 0.2), (2, 0.4)]
    best = tb2csv.best(tmp_path, by="loss", goal="min").table
    assert best["run"].to_list() == ["a", "b"]
    assert best["rate"].to_list() == [0.1, 0.2]


def test_a_trial_that_raises_has_failed(tmp_path: Path) -> None:
    def train() -> None:
        with Recorder(tmp_path / "logs") as recorder:
            recorder.hparams({"rate": np.float32(0.5)}, {"accuracy": 0.75}, step=3)
            with pytest.raises(RecorderError, match="one trial"):
                recorder.hparams({"rate": 1})
            raise KeyError

    with pytest.raises(KeyError):
        train()
    trials = tb2csv.open_logdir(tmp_path / "logs").hparams()
    assert trials.select("rate", "accuracy", "status").rows() == [(0.5, 0.75, "failure")]


def test_steps_and_times_are_checked(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        for step in (1.5, "1", None, True, 2**63):
            with pytest.raises(RecorderError, match="step="):
                recorder.scalars({"x": 1}, step)
        with pytest.raises(RecorderError, match="wall_time="):
            recorder.scalars({"x": 1}, 1, wall_time=float("nan"))
        recorder.scalars({"x": 1}, np.array(-3), wall_time=0)
    assert [(event.step, event.wall_time) for event, _ in values(tmp_path)] == [(-3, 0.0)]


def test_a_closed_recorder_refuses_values(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.scalars({"x": 1}, 1)
    recorder.flush()
    recorder.close()
    recorder.close()
    for call in (lambda: recorder.scalars({"x": 1}, 2), lambda: recorder.hparams({"a": 1}), recorder.flush):
        with pytest.raises(RecorderError, match="is closed"):
            call()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_cannot_write(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.scalars({"x": 1}, 1)
    child = os.fork()
    if not child:
        status = 1
        try:
            recorder.scalars({"x": 2}, 2)
        except RecorderError:
            recorder.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    recorder.scalars({"x": 3}, 3)
    recorder.close()
    assert [event.step for event, _ in values(tmp_path)] == [1, 3]


def test_threads_share_a_recorder(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:

        def work(name: int) -> None:
            for step in range(50):
                recorder.scalars({f"worker/{name}": step}, step)
                recorder.tensors({f"array/{name}": np.full(100, step)}, step)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    counts = collections.Counter(value.tag for _, value in values(tmp_path))
    assert counts == {f"{kind}/{name}": 50 for kind in ("worker", "array") for name in range(4)}


@pytest.mark.slow
def test_no_framework_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from tb2csv.recorders import Recorder\n"
        f"with Recorder({str(tmp_path)!r}) as recorder:\n"
        "    recorder.scalars({'x': 1}, 1); recorder.histograms({'h': [1]}, 1); recorder.hparams({'a': 1})\n"
        "print(sorted({'tensorflow', 'torch', 'jax', 'keras', 'polars'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_first_block_of_the_page_records_what_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[2] / "docs/any_framework.md"
    exec(page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0], {})
    tb2csv.convert("logs", "tables")
    table = pl.read_csv(tmp_path / "tables/run/tensors/gradients/dense/kernel.csv")
    assert table.filter(step=10)["value"].to_list() == [0.1] * 6
    losses = pl.read_csv(tmp_path / "tables/run/scalars/train/loss.csv")["value"].to_list()
    assert losses == [1 / step for step in range(1, 11)]
