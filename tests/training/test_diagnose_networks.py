"""Diagnoses of networks that were really trained: each with one fault, or with none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch.utils.tensorboard import SummaryWriter

from tb2csv.analysis.diagnosis.diagnose import diagnose
from tb2csv.recorders import TrainingRecorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEEDS = (0, 1, 2)
STEPS = 40
BATCH = 32
CLASSES = 4


class Fault(NamedTuple):
    """A network, how it is trained, and what is to be found."""

    model: Callable[[], Any]
    #: Problems that must be found, and the layers of those that have layers.
    problem: str
    layers: set[str] = set()
    rate: float = 0.1
    loss: Any = None


def samples(*, images: bool) -> tuple[Any, Any]:
    """Return points of four classes that lines can separate, or images of four places."""
    rng = np.random.default_rng(7)
    if not images:
        x = rng.normal(size=(512, 20)).astype(np.float32)
        return x, (x @ rng.normal(size=(20, CLASSES))).argmax(1)
    y = rng.integers(0, CLASSES, 512)
    x = rng.normal(size=(512, 12, 12, 1)).astype(np.float32) / 2
    for place in range(CLASSES):
        row, column = 6 * (place // 2), 6 * (place % 2)
        x[y == place, row : row + 6, column : column + 6] += 1
    return x, y


def dense(
    depth: int, activation: str, *, kernel: Any = "glorot_uniform", biases: dict[int, float] | None = None
) -> Any:
    """Return a network of so many hidden layers ``hidden_0`` …; ``biases`` are those of some of them."""
    layers = [
        keras.layers.Dense(
            32,
            activation,
            kernel_initializer=kernel,
            bias_initializer=keras.initializers.Constant((biases or {}).get(number, 0.0)),
            name=f"hidden_{number}",
        )
        for number in range(depth)
    ]
    inputs = outputs = keras.Input((20,))
    for layer in [*layers, keras.layers.Dense(CLASSES, name="logits")]:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def convolutional() -> Any:
    inputs = keras.Input((12, 12, 1))
    x = inputs
    for number, filters in enumerate((8, 16)):
        x = keras.layers.Conv2D(filters, 3, padding="same", name=f"conv_{number}")(x)
        x = keras.layers.BatchNormalization(name=f"norm_{number}")(x)
        x = keras.layers.MaxPooling2D()(keras.layers.ReLU()(x))
    x = keras.layers.Dropout(0.2)(keras.layers.Dense(32, "relu", name="dense")(keras.layers.Flatten()(x)))
    return keras.Model(inputs, keras.layers.Dense(CLASSES, name="logits")(x))


def normal(deviation: float) -> Any:
    return keras.initializers.RandomNormal(stddev=deviation)


def log_of_zero(y: Any, logits: Any) -> Any:
    """Return the cross entropy that people write by hand, of probabilities that may be zero."""
    p = tf.gather(tf.nn.softmax(logits * 60), tf.cast(tf.reshape(y, [-1]), tf.int32), batch_dims=1)
    return -tf.reduce_mean(tf.math.log(p))


FAULTS = {
    "deep_sigmoid": Fault(lambda: dense(8, "sigmoid"), "vanishing", {"hidden_0", "hidden_1", "hidden_2"}),
    "tiny_weights": Fault(lambda: dense(6, "tanh", kernel=normal(0.01)), "vanishing", {"hidden_0", "hidden_1"}),
    "large_weights": Fault(
        lambda: dense(6, "relu", kernel=normal(1.25)), "exploding", {f"hidden_{number}" for number in range(5)}, 1e-2
    ),
    "large_rate": Fault(lambda: dense(3, "relu"), "diverging", rate=50.0),
    "negative_bias": Fault(lambda: dense(3, "relu", biases={1: -100.0}), "dead", {"hidden_0", "hidden_1"}),
    "saturated_bias": Fault(lambda: dense(3, "tanh", biases={1: 6.0}), "saturated", {"hidden_1"}),
    "saturated_weights": Fault(lambda: dense(3, "tanh", kernel=normal(5.0)), "saturated", {"hidden_0", "hidden_1"}),
    "log_of_zero": Fault(lambda: dense(2, "relu"), "not finite", {"hidden_0", "hidden_1", "logits"}, loss=log_of_zero),
    "no_rate": Fault(lambda: dense(3, "relu"), "plateau", {"hidden_0", "hidden_1", "hidden_2"}, 0.0),
}
HEALTHY: dict[str, tuple[Callable[[], Any], Any]] = {
    "mlp_relu": (lambda: dense(3, "relu", kernel="he_normal"), lambda: keras.optimizers.SGD(0.1)),
    "mlp_tanh": (lambda: dense(4, "tanh"), lambda: keras.optimizers.SGD(0.1)),
    "cnn": (convolutional, lambda: keras.optimizers.Adam(3e-3)),
}


def found(folder: Path, problem: str) -> set[str]:
    """Return the layers that have a problem, by their last names."""
    findings = diagnose(folder).findings
    return {row["layer"].split("/")[-1] for row in findings.to_dicts() if row["problem"] == problem}


# Keras, with the recorder's tags


def fit(folder: Path, model: Any, optimizer: Any, *, loss: Any = None, **recorded: Any) -> None:
    x, y = samples(images=len(model.input_shape) > 2)
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    recorder = TrainingRecorder(folder, **recorded)
    model.fit(x, y, batch_size=BATCH, epochs=STEPS * BATCH // len(x) + 1, verbose=0, callbacks=[recorder])
    recorder.close()


STATISTICS = {"gradient_statistics_every": 1, "weight_statistics_every": 1}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_in_recorded_statistics(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    keras.utils.set_random_seed(SEEDS[0])
    fit(tmp_path, fault.model(), keras.optimizers.SGD(fault.rate), loss=fault.loss, **STATISTICS)
    layers = found(tmp_path, fault.problem)
    assert layers >= fault.layers
    assert layers


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_network_raises_no_finding(name: str, seed: int, tmp_path: Path) -> None:
    keras.utils.set_random_seed(seed)
    model, optimizer = HEALTHY[name]
    more = {"layer_errors_every": 4, "weight_histograms_every": 10} if seed == SEEDS[0] else {}
    fit(tmp_path, model(), optimizer(), **STATISTICS, **more)
    diagnosis = diagnose(tmp_path)
    assert diagnosis.findings.to_dicts() == []
    assert {"gradients", "weights", "loss"} <= set(diagnosis.coverage["family"])


@pytest.mark.parametrize(
    ("name", "recorded"),
    [
        ("deep_sigmoid", {"gradients_every": 4}),
        ("deep_sigmoid", {"gradient_histograms_every": 4}),
        ("deep_sigmoid", {"layer_errors_every": 4}),
        ("negative_bias", {"gradients_every": 4}),
        ("negative_bias", {"gradient_histograms_every": 4}),
        ("saturated_bias", {"gradients_every": 4, "weights_every": 20}),
        ("log_of_zero", {"gradients_every": 1}),
    ],
)
def test_a_fault_is_found_in_tensors_histograms_and_layer_errors(
    name: str, recorded: dict[str, int], tmp_path: Path
) -> None:
    fault = FAULTS[name]
    keras.utils.set_random_seed(SEEDS[1])
    fit(tmp_path, fault.model(), keras.optimizers.SGD(fault.rate), loss=fault.loss, **recorded)
    wanted = {"hidden_0", "hidden_1"} if "layer_errors_every" in recorded else fault.layers
    assert found(tmp_path, fault.problem) >= wanted


# TensorFlow, with tags written by hand


def train_by_hand(folder: Path, model: Any, rate: float) -> None:
    """Write gradients as tensors without metadata, weights and outputs as histograms: as in sample_logs/tf2."""
    x, y = samples(images=False)
    rng = np.random.default_rng(1)
    loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    hidden = [layer for layer in model.layers if layer.name.startswith("hidden")]
    outputs = keras.Model(model.input, [layer.output for layer in hidden])
    optimizer = keras.optimizers.SGD(rate)
    optimizer.build(model.trainable_variables)

    @tf.function
    def train(step: Any, x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            loss = loss_function(y, model(x))
        gradients = tape.gradient(loss, model.trainable_variables)
        tf.summary.scalar("loss", loss, step=step)
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
            tf.summary.write(f"gradients/{variable.path}", gradient, step=step)
            tf.summary.histogram(f"weights/{variable.path}", variable, step=step)
        for layer, output in zip(hidden, outputs(x), strict=True):
            tf.summary.histogram(f"activations/{layer.name}", output, step=step)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    with tf.summary.create_file_writer(str(folder)).as_default():
        for step in range(STEPS):
            rows = rng.integers(0, len(x), BATCH)
            train(tf.constant(step, tf.int64), x[rows], y[rows])


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("deep_sigmoid", "vanishing"),
        ("large_weights", "exploding"),
        ("negative_bias", "dead"),
        ("saturated_weights", "saturated"),
        ("no_rate", "plateau"),
    ],
)
def test_a_fault_is_found_in_gradients_written_by_hand(name: str, problem: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    keras.utils.set_random_seed(SEEDS[2])
    train_by_hand(tmp_path, fault.model(), fault.rate)
    assert found(tmp_path, problem) >= fault.layers


def test_a_healthy_network_written_by_hand_raises_no_finding(tmp_path: Path) -> None:
    keras.utils.set_random_seed(SEEDS[2])
    train_by_hand(tmp_path, HEALTHY["mlp_relu"][0](), 0.1)
    diagnosis = diagnose(tmp_path)
    assert diagnosis.findings.to_dicts() == []
    sources = dict(diagnosis.coverage.select("family", "sources").iter_rows())
    assert sources == {"gradients": "tensor", "weights": "histogram", "activations": "histogram", "loss": "scalar"}


# PyTorch, with legacy histograms


def torch_network(depth: int, activation: Any, bias: float | None = None) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    width = 20
    for number in range(depth):
        linear = torch.nn.Linear(width, 32)
        if bias is not None and number == 1:
            torch.nn.init.constant_(linear.bias, bias)
        layers += [linear, activation()]
        width = 32
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, CLASSES))


@pytest.mark.parametrize(
    ("depth", "activation", "bias", "expected"),
    [
        (8, torch.nn.Sigmoid, None, {"vanishing": {"0", "2", "4"}}),
        (3, torch.nn.ReLU, -100.0, {"dead": {"0", "2"}}),
        (3, torch.nn.Tanh, 6.0, {"saturated": {"2"}}),
        (3, torch.nn.ReLU, None, {}),
    ],
)
def test_networks_of_torch(
    depth: int, activation: Any, bias: float | None, expected: dict[str, set[str]], tmp_path: Path
) -> None:
    x, y = (torch.from_numpy(each) for each in samples(images=False))
    torch.manual_seed(SEEDS[0])
    network = torch_network(depth, activation, bias)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(STEPS):
            rows = torch.randint(0, len(x), (BATCH,))
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(network(x[rows]), y[rows])
            loss.backward()
            writer.add_scalar("Loss/train", loss.item(), step)
            for name, parameter in network.named_parameters():
                writer.add_histogram(name, parameter, step)
                writer.add_histogram(f"{name}.grad", parameter.grad, step)
            optimizer.step()
    if not expected:
        assert diagnose(tmp_path).findings.to_dicts() == []
    for problem, layers in expected.items():
        assert found(tmp_path, problem) >= layers
