"""The examples of recorders: each runs as it is, and its tables equal what other ways give."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [
    # Keras' own, when it saves and loads.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]


@pytest.fixture(name="run")
def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(name: str) -> Path:
        source = EXAMPLES / name
        assert len(source.read_text(encoding="utf-8").splitlines()) <= 40
        monkeypatch.setattr(sys, "argv", [str(source), str(tmp_path)])
        runpy.run_path(str(source), run_name="__main__")
        for line in capsys.readouterr().out.splitlines():  # every table that it names is there
            assert len(pl.read_csv(line.rpartition(": ")[2]))
        return tmp_path

    return run


def elements(path: Path, step: int) -> Any:
    """Return the tensor of a step, from a table with a row for each element."""
    rows = pl.read_csv(path).filter(pl.col("step") == step)
    axes = [name for name in rows.columns if name.startswith("i")]
    shape = [rows[axis].max() + 1 for axis in axes]
    return rows["value"].to_numpy().astype(np.float64).reshape(shape)


def scalars(path: Path) -> list[tuple[int, float]]:
    table = pl.read_csv(path)
    return list(zip(table["step"].to_list(), table["value"].to_list(), strict=True))


def difference(loss: Any, value: Any, index: tuple[int, ...], width: float = 1e-5) -> float:
    """Return the derivative of a loss by one element of an array, from two values of the loss."""
    up, down = value.copy(), value.copy()
    up[index] += width
    down[index] -= width
    return float((loss(up) - loss(down)) / (2 * width))


def test_keras_metrics(run: Any) -> None:
    tables = run("keras_metrics.py") / "tables/run"
    assert [step for step, _ in scalars(tables / "scalars/batch/loss.csv")] == list(range(1, 16))
    assert [epoch for _, epoch in scalars(tables / "scalars/batch/epoch.csv")] == [0] * 5 + [1] * 5 + [2] * 5
    assert [step for step, _ in scalars(tables / "scalars/epoch/val_accuracy.csv")] == [0, 1, 2]
    # What Keras reports after the last batch of an epoch is what it reports of the epoch.
    batches, epochs = dict(scalars(tables / "scalars/batch/loss.csv")), scalars(tables / "scalars/epoch/loss.csv")
    assert [loss for _, loss in epochs] == [batches[5], batches[10], batches[15]]
    gradient = elements(tables / "tensors/gradients/hidden/kernel.csv", 12)
    norms = dict(scalars(tables / "scalars/gradients/hidden/kernel/norm.csv"))
    assert norms[12] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)


def test_custom_loop_metrics(run: Any) -> None:
    tables = run("custom_loop_metrics.py") / "tables/run"
    x = np.linspace(-1, 1, 40)
    losses = dict(scalars(tables / "scalars/batch/loss.csv"))
    state = np.zeros(2)
    for step in range(1, 13):
        rows = x[(step - 1) % 4 * 10 :][:10]

        def loss(state: Any, rows: Any = rows) -> Any:
            return np.mean((2 * rows + 1 - state[0] * rows - state[1]) ** 2)

        assert losses[step] == pytest.approx(loss(state), rel=1e-4)
        gradient = np.array([difference(loss, state, (place,)) for place in (0, 1)])
        for place, name in enumerate(("slope", "offset")):
            recorded = float(elements(tables / f"tensors/gradients/{name}.csv", step))
            assert recorded == pytest.approx(gradient[place], rel=1e-3, abs=1e-5)
        state -= 0.5 * gradient
        assert float(elements(tables / "tensors/weights/slope.csv", step)) == pytest.approx(state[0], rel=1e-3)


def test_classifier_predictions(run: Any) -> None:
    out = run("classifier_predictions.py")
    table = pl.read_csv(out / "predictions.csv")
    assert table.columns == ["sample", "label", "target", "class_0", "class_1", "class_2"]
    numbers = table.select("class_0", "class_1", "class_2").to_numpy()
    assert table["sample"].to_list() == list(range(90))
    assert table["label"].to_list() == numbers.argmax(axis=1).tolist()
    assert numbers.sum(axis=1) == pytest.approx(np.ones(90), abs=1e-5)
    assert (table["label"] == table["target"]).mean() > 0.6
    # The last recorded epoch is the state that was saved.
    rows = elements(out / "tables/run/tensors/predictions/sample.csv", 3).astype(int)
    np.testing.assert_allclose(elements(out / "tables/run/tensors/predictions/side.csv", 3), numbers[rows], rtol=1e-4)


def test_recorded_outputs(run: Any) -> None:
    out = run("recorded_outputs.py")
    hidden = pl.read_csv(out / "hidden.csv")
    assert hidden.columns == ["sample", "output_0", "output_1"]
    # What is recorded after the last epoch is what the saved model says of these samples.
    tables = out / "tables/training/tensors/predictions"
    rows = elements(tables / "sample.csv", 1).astype(int)
    whole = pl.read_csv(out / "sum.csv")["output_0"].to_numpy()
    np.testing.assert_allclose(elements(tables / "sum.csv", 1)[:, 0], whole[rows], rtol=1e-5)
    # And the output layer makes it of the outputs of the hidden layer.
    inputs = np.column_stack([hidden.select("output_0", "output_1").to_numpy(), np.ones(32)])
    solved = np.linalg.lstsq(inputs, whole, rcond=None)[0]
    np.testing.assert_allclose(inputs @ solved, whole, atol=1e-5)


def test_recorded_in_function(run: Any) -> None:
    out = run("recorded_in_function.py")
    layer = np.load(out / "layer.npz")
    for step, batch in enumerate(np.random.default_rng(1).normal(size=(2, 4, 3))):
        recorded = elements(out / "tables/run/tensors/outputs/hidden.csv", step)
        np.testing.assert_allclose(recorded, np.tanh(batch @ layer["kernel"] + layer["bias"]), rtol=1e-5)


def test_layer_errors(run: Any) -> None:
    tables = run("layer_errors.py") / "tables/run"
    random = np.random.default_rng(1)
    x, y = random.normal(size=(12, 4)).astype(np.float32), random.normal(size=(12, 1)).astype(np.float32)
    epochs = dict(scalars(tables / "scalars/batch/epoch.csv"))
    assert epochs == {step: (step - 1) // 3 for step in range(1, 7)}
    for step in range(1, 7):
        rows = slice((step - 1) % 3 * 4, (step - 1) % 3 * 4 + 4)
        names = [f"{layer}/{part}" for layer in ("left", "right", "last") for part in ("kernel", "bias")]
        weights = {name: elements(tables / f"tensors/weights/{name}.csv", step - 1) for name in names}
        left = np.tanh(x[rows] @ weights["left/kernel"] + weights["left/bias"])
        right = 1 / (1 + np.exp(-(x[rows] @ weights["right/kernel"] + weights["right/bias"])))

        def loss(added: Any, rows: slice = rows, weights: Any = weights) -> Any:
            return np.mean((added @ weights["last/kernel"] + weights["last/bias"] - y[rows]) ** 2)

        expected = np.array([[difference(loss, left + right, (i, j)) for j in range(3)] for i in range(4)])
        for layer in ("left", "right", "add"):  # what is added has one and the same error
            error = elements(tables / f"tensors/layer_errors/{layer}.csv", step)
            np.testing.assert_allclose(error, expected, rtol=1e-4, atol=1e-6)
        norms = dict(scalars(tables / "scalars/layer_errors/add/norm.csv"))
        assert norms[step] == pytest.approx(np.linalg.norm(expected), rel=1e-4)


def test_torch_recorder(run: Any) -> None:
    tables = run("torch_recorder.py") / "tables"
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    inputs, targets = (each.double().numpy() for each in (torch.randn(8, 3), torch.randn(8, 1)))
    first, last = torch.nn.Linear(3, 4), torch.nn.Linear(4, 1)
    weights = [each.detach().double().numpy() for each in (first.weight, first.bias, last.weight, last.bias)]
    for step in (1, 2, 3):  # the network and its derivatives by hand
        hidden = np.tanh(inputs @ weights[0].T + weights[1])
        output = hidden @ weights[2].T + weights[3]
        error = 2 * (output - targets) / len(inputs)
        inner = (error @ weights[2]) * (1 - hidden**2)
        gradients = [inner.T @ inputs, inner.sum(0), error.T @ hidden, error.sum(0)]
        loss = dict(scalars(tables / "scalars/batch/loss.csv"))[step]
        assert loss == pytest.approx(np.mean((output - targets) ** 2), rel=1e-5)
        recorded = elements(tables / "tensors/gradients/0.weight.csv", step)
        np.testing.assert_allclose(recorded, gradients[0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(elements(tables / "tensors/layer_errors/2.csv", step), error, rtol=1e-4, atol=1e-6)
        weights = [weight - 0.1 * gradient for weight, gradient in zip(weights, gradients, strict=True)]


def test_sklearn_partial_fit(run: Any) -> None:
    tables = run("sklearn_partial_fit.py") / "tables"
    points = np.random.default_rng(0).normal(size=(60, 2))
    labels = points[:, 0] > 2 * points[:, 1]
    weights, intercept = np.zeros(2), 0.0
    losses = dict(scalars(tables / "sgd/scalars/loss.csv"))
    for row in range(60):  # stochastic gradient descent by hand, with the default alpha
        error = 1 / (1 + np.exp(-(points[row] @ weights + intercept))) - labels[row]
        weights = weights * (1 - 0.1 * 0.0001) - 0.1 * error * points[row]
        intercept -= 0.1 * error
        step, rest = divmod(row + 1, 10)
        if not rest:
            recorded = elements(tables / "sgd/tensors/weights/coef.csv", step)
            np.testing.assert_allclose(recorded, [weights], rtol=1e-6)
            outputs = np.where(labels, 1, -1) * (points @ weights + intercept)
            assert losses[step] == pytest.approx(np.mean(np.log1p(np.exp(-outputs))), rel=1e-9)
    trial = pl.read_csv(tables / "hparams.csv")
    assert trial.select("run", "status", "eta0", "alpha", "loss").rows() == [
        ("sgd", "success", 0.1, 0.0001, pytest.approx(losses[6]))
    ]
