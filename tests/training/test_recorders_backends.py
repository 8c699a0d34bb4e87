"""The recorders of Keras on PyTorch and on JAX: one training in a process for each, and many questions to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from raw_events import events
from tensorboard.util.tensor_util import make_ndarray

PROGRAM = Path(__file__).with_name("keras_backend_program.py")

pytestmark = pytest.mark.slow


class Training(NamedTuple):
    """What the program left."""

    backend: str
    folder: Path
    result: dict[str, Any]

    def tensors(self, run: str) -> dict[str, list[tuple[int, Any]]]:
        """Return steps and serialized tensors by tag."""
        found: dict[str, list[tuple[int, Any]]] = {}
        for event in events(self.folder / run):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.tensor))
        return found

    def series(self, run: str, *, exclude: str = "") -> dict[str, dict[int, Any]]:
        """Return arrays by tag and step; TensorBoard alone cannot read bfloat16."""
        kept = {tag: rows for tag, rows in self.tensors(run).items() if tag != exclude}
        return {tag: {step: make_ndarray(tensor) for step, tensor in rows} for tag, rows in kept.items()}


@pytest.fixture(scope="module", params=["torch", "jax"])
def training(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Training:
    backend: str = request.param
    pytest.importorskip(backend)
    folder = tmp_path_factory.mktemp(backend)
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(PROGRAM), str(folder)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return Training(backend, folder, json.loads((folder / "result.json").read_text(encoding="utf-8")))


def batch(step: int) -> tuple[Any, Any]:
    """Return the inputs and targets of a batch, as the program has them."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(10, 3)).astype(np.float32), random.normal(size=(10, 1)).astype(np.float32)
    rows = slice((step - 1) % 3 * 4, min((step - 1) % 3 * 4 + 4, 10))
    return x[rows].astype(np.float64), y[rows].astype(np.float64)


NAMES = ("hidden/kernel", "hidden/bias", "last/kernel", "last/bias")


class Pass(NamedTuple):
    """A forward and a backward pass of the program's network by hand."""

    loss: float
    hidden: Any
    output: Any
    errors: dict[str, Any]
    gradients: dict[str, Any]


def passed(weights: dict[str, Any], step: int) -> Pass:
    x, y = batch(step)
    hidden = np.tanh(x @ weights["hidden/kernel"] + weights["hidden/bias"])
    output = hidden @ weights["last/kernel"] + weights["last/bias"]
    error = 2 * (output - y) / len(x)
    inner = error @ weights["last/kernel"].T
    before = inner * (1 - hidden**2)
    gradients = (x.T @ before, before.sum(0), hidden.T @ error, error.sum(0))
    errors = {"hidden": inner, "same": inner, "last": error}
    return Pass(np.mean((output - y) ** 2), hidden, output, errors, dict(zip(NAMES, gradients, strict=True)))


def passes(series: dict[str, dict[int, Any]]) -> dict[int, Pass]:
    """Return the passes of all batches, from the recorded weights before each."""
    return {
        step: passed({name: series[f"weights/{name}"][step - 1].astype(np.float64) for name in NAMES}, step)
        for step in range(1, 7)
    }


def test_a_recorder_changes_nothing(training: Training) -> None:
    assert training.result["is_equal"]
    assert training.result["has_original_step"]


def test_weights_are_those_of_gradient_descent(training: Training) -> None:
    series = training.series("fit")
    rates = {step: 0.1 if step <= 3 else 0.05 for step in range(1, 7)}  # the boundary is after 2 iterations
    np.testing.assert_allclose(list(series["batch/learning_rate"].values()), list(rates.values()), rtol=1e-6)
    for step, each in passes(series).items():
        for name in NAMES:
            before, after = (series[f"weights/{name}"][number].astype(np.float64) for number in (step - 1, step))
            np.testing.assert_allclose(after, before - rates[step] * each.gradients[name], rtol=1e-4, atol=1e-6)


def test_metrics_are_those_that_keras_reports(training: Training) -> None:
    series = training.series("fit")
    found = [float(series["epoch/loss"][epoch]) for epoch in (0, 1)]
    assert found == pytest.approx(training.result["history"]["loss"], rel=1e-6)
    losses = {step: each.loss for step, each in passes(series).items()}
    assert float(series["batch/loss"][1]) == pytest.approx(losses[1], rel=1e-5)
    assert float(series["batch/loss"][2]) == pytest.approx((losses[1] + losses[2]) / 2, rel=1e-5)
    assert [int(each) for each in series["batch/epoch"].values()] == [0, 0, 0, 1, 1, 1]
    assert float(series["epoch/learning_rate"][1]) == pytest.approx(0.05)


def test_statistics_and_histograms_of_weights(training: Training) -> None:
    series = training.series("fit")
    for step in (0, 2, 4, 6):
        kernel = series["weights/hidden/kernel"][step].astype(np.float64)
        expected = {
            "norm": np.linalg.norm(kernel),
            "mean": kernel.mean(),
            "std": kernel.std(),
            "min": kernel.min(),
            "max": kernel.max(),
            "zero_share": 0,
            "nan_count": 0,
        }
        for statistic, number in expected.items():
            found = float(series[f"weights/hidden/kernel/{statistic}"][step])
            assert found == pytest.approx(number, rel=1e-5, abs=1e-7)
    histogram = series["weights/hidden/kernel/histogram"]
    assert sorted(histogram) == [0, 3, 6]
    assert histogram[3][:, 2].sum() == 12


def test_gradients_are_the_derivatives(training: Training) -> None:
    series = training.series("fit")
    for step, each in passes(series).items():
        for name in NAMES:
            found = series[f"gradients/{name}"][step]
            np.testing.assert_allclose(found, each.gradients[name], rtol=1e-4, atol=1e-6)
        if step % 2 == 0:
            norm = float(series["gradients/last/kernel/norm"][step])
            assert norm == pytest.approx(np.linalg.norm(each.gradients["last/kernel"]), rel=1e-4)


def test_activations_and_layer_errors_are_those_of_the_batch(training: Training) -> None:
    series = training.series("fit")
    for step, each in passes(series).items():
        for layer, output in (("hidden", each.hidden), ("same", each.hidden), ("last", each.output)):
            np.testing.assert_allclose(series[f"activations/{layer}"][step], output, rtol=1e-4, atol=1e-6)
        for layer, error in each.errors.items():
            if step % 2 == 0:
                np.testing.assert_allclose(series[f"layer_errors/{layer}"][step], error, rtol=1e-4, atol=1e-6)
                norm = float(series[f"layer_errors/{layer}/norm"][step])
                assert norm == pytest.approx(np.linalg.norm(error), rel=1e-4)
    assert sorted(series["layer_errors/same"]) == [2, 4, 6]


@pytest.mark.parametrize("run", ["scaled", "fixed"])
def test_errors_and_gradients_of_a_scaled_loss_are_those_of_the_loss(training: Training, run: str) -> None:
    fit, scaled = training.series("fit"), training.series(run)  # the same weights before the first batch
    first = passes(fit)[1]
    limit = 0.25 if run == "scaled" else np.inf  # gradients are unscaled, and then clipped
    expected = np.clip(first.gradients["last/kernel"], -limit, limit)
    np.testing.assert_allclose(scaled["gradients/last/kernel"][1], expected, rtol=1e-4)
    np.testing.assert_allclose(scaled["layer_errors/hidden"][1], first.errors["hidden"], rtol=1e-4, atol=1e-6)
    assert np.abs(first.gradients["last/kernel"]).max() > 0.25


def test_a_step_that_loss_scaling_skips_has_errors_and_no_gradients(training: Training) -> None:
    scaled = training.series("scaled")
    assert training.result["is_scaled_equal"]
    assert sorted(scaled["layer_errors/last"]) == sorted(scaled["activations/last/norm"]) == [1, 2, 3]
    for tag in ("gradients/last/kernel", "gradients/last/kernel/norm"):
        assert sorted(scaled[tag]) == [1, 3]
    for step, gradient in scaled["gradients/last/kernel"].items():
        assert float(scaled["gradients/last/kernel/norm"][step]) == pytest.approx(np.linalg.norm(gradient), rel=1e-6)


def test_keras_own_train_function_is_back_when_fit_fails(training: Training) -> None:
    """Except before the first batch: it is announced, and the next fit brings Keras' own function back."""
    expected = {"on_train_batch_begin": False, "on_train_batch_end": True, "on_epoch_end": True}
    assert training.result["fails"] == expected
    for point, steps in {"on_train_batch_begin": [], "on_train_batch_end": [1], "on_epoch_end": [1, 2, 3]}.items():
        assert sorted(training.series(f"fails/{point}").get("gradients/last/kernel", {})) == steps


def test_two_recorders_inside_the_same_train_steps_are_refused(training: Training) -> None:
    assert "Two recorders cannot record inside the train steps of the same fit" in training.result["refused_twice"]


def test_steps_go_on_after_those_of_the_optimizer(training: Training) -> None:
    assert sorted(training.series("resumed")["batch/loss"]) == [7, 8, 9, 10, 11, 12, 13]


def test_bfloat16_weights_keep_their_dtype(training: Training) -> None:
    step, tensor = training.tensors("half")["weights/last/kernel"][-1]
    assert (step, tensor.dtype, len(tensor.tensor_content)) == (6, 14, 8)  # 4 elements; types.proto
    loop = training.tensors("loop")
    assert (loop["half"][0][1].dtype, loop["half"][0][1].tensor_content) == (14, b"\x80\x3f" * 2)


def test_values_of_a_custom_loop(training: Training) -> None:
    series = training.series("loop", exclude="half")
    assert series["gradients/last/kernel"][2].tolist() == [[2.0]] * 4
    assert sorted(series["weights/last/kernel"]) == [2]
    assert {step: float(loss) for step, loss in series["batch/loss"].items()} == {1: 0.5, 2: 0.5}
    assert series["tensor"][1].tolist() == [0, 1, 2]
    assert series["histogram"][1][:, 2].sum() == 4


def test_predictions_are_those_of_the_model(training: Training) -> None:
    expected = np.load(training.folder / "predicted.npy")
    np.testing.assert_allclose(training.series("predictions")["predictions/last"][1], expected, rtol=1e-5)
    table = pl.read_csv(training.folder / "predictions.csv")
    np.testing.assert_allclose(table["output_0"].to_numpy(), expected[:, 0], rtol=1e-5)


def test_what_a_backend_cannot_record_is_refused(training: Training) -> None:
    said = {"torch": "compile the model with jit_compile=False", "jax": "need Keras 3.12 or later on JAX, not 3.11.3;"}
    assert said[training.backend] in training.result["refused"]
    for name, function in (("refused_loss", "layer_errors"), ("refused_mse", "layer_mse")):
        assert training.result[name].startswith(f"{function} needs Keras on TensorFlow, not on {training.backend}")


@pytest.fixture
def on_jax(training: Training) -> Training:
    if training.backend != "jax":
        pytest.skip("for JAX alone")
    return training


def test_several_batches_in_a_call_have_the_step_of_the_last(on_jax: Training) -> None:
    series = on_jax.series("several")
    assert sorted(series["weights/last/bias"]) == [0, 2, 3, 5, 6]
    for name, expected in zip(NAMES, on_jax.result["several"], strict=True):
        np.testing.assert_array_equal(series[f"weights/{name}"][6], np.array(expected, np.float32))


@pytest.mark.parametrize("run", ["several", "eager", "without_xla"])
def test_each_batch_has_its_gradients_however_the_steps_are_run(on_jax: Training, run: str) -> None:
    fit, other = on_jax.series("fit"), on_jax.series(run)
    for name in NAMES:
        assert sorted(other[f"gradients/{name}"]) == [1, 2, 3, 4, 5, 6]
        for step, gradient in fit[f"gradients/{name}"].items():
            np.testing.assert_allclose(other[f"gradients/{name}"][step], gradient, rtol=1e-5, atol=1e-7)
    assert sorted(other["layer_errors/hidden"]) == ([3, 6] if run == "several" else [2, 4, 6])
    np.testing.assert_allclose(other["layer_errors/hidden"][6], fit["layer_errors/hidden"][6], rtol=1e-5, atol=1e-7)


def test_accumulated_gradients_are_recorded_when_they_are_applied(on_jax: Training) -> None:
    """The mean of two batches, with the weights before both, at the second one."""
    fit, accumulating = on_jax.series("fit"), on_jax.series("accumulating")
    first = {name: fit[f"weights/{name}"][0].astype(np.float64) for name in NAMES}
    for name in NAMES:
        assert sorted(accumulating[f"gradients/{name}"]) == [2, 4, 6]
        mean = (passed(first, 1).gradients[name] + passed(first, 2).gradients[name]) / 2
        np.testing.assert_allclose(accumulating[f"gradients/{name}"][2], mean, rtol=1e-4, atol=1e-6)


def test_gradients_in_a_branch_are_omitted_and_the_training_goes_on(on_jax: Training) -> None:
    assert on_jax.result["branching"]["is_equal"]
    (warning,) = on_jax.result["branching"]["warnings"]
    assert "gradients (1 x computed in a branch or a loop of the compiled train step, in each step)" in warning


def test_gradients_that_are_not_numbers_are_recorded_and_frozen_layers_have_none(on_jax: Training) -> None:
    series = on_jax.series("nan")
    assert not [tag for tag in series if tag.startswith("gradients/hidden/")]
    for name in ("last/kernel", "last/bias"):
        are_nan = {step: bool(np.isnan(each).all()) for step, each in series[f"gradients/{name}"].items()}
        assert are_nan == {1: False, 2: True, 3: True}
    assert int(series["gradients/last/kernel/nan_count"][2]) == 4


def test_a_training_after_an_interrupted_one_is_keras_own(on_jax: Training) -> None:
    assert on_jax.result["interrupted"] == {"is_equal": True, "has_original_step": True}
    assert sorted(on_jax.series("interrupted")["gradients/last/kernel"]) == [1, 2]
