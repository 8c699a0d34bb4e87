"""Diagnoses of trained networks that are not chains: attentions, parallel heads, layers cut off from the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import polars as pl
import pytest
import tensorflow as tf
import torch
from torch.utils.tensorboard import SummaryWriter

from tb2csv.analysis.diagnosis.diagnose import diagnose
from tb2csv.recorders import TrainingRecorder

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = (0, 1)
STEPS = 40
BATCH = 32
WIDTH = 16
CLASSES = 4
#: The weight of the second loss: its head gets so small a share of the gradient.
SMALL = 1e-5


def sequences() -> tuple[Any, Any]:
    """Return sequences of eight vectors, and which of four directions their sum has most of."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(512, 8, WIDTH)).astype(np.float32)
    return x, (x.sum(1) @ rng.normal(size=(WIDTH, CLASSES))).argmax(1)


def findings(folder: Path) -> list[tuple[str, str]]:
    """Return the rules that fired of layers, and the last names of these; how far a loss falls is not the matter."""
    rows = diagnose(folder).findings.filter(pl.col("family") != "loss").select("rule", "layer").rows()
    return [(rule, layer.split("/")[-1]) for rule, layer in rows]


# Keras


def fit(folder: Path, model: Any, y: Any, rate: float = 0.2) -> None:
    x, _ = sequences()
    recorder = TrainingRecorder(folder, gradient_statistics_every=1, weight_statistics_every=1)
    model.compile(
        keras.optimizers.SGD(rate),
        [keras.losses.SparseCategoricalCrossentropy(from_logits=True) for _ in model.outputs],
        loss_weights=[1.0, SMALL] if isinstance(y, list) else None,
    )
    model.fit(x, y, batch_size=BATCH, epochs=STEPS * BATCH // len(x) + 1, verbose=0, callbacks=[recorder])
    recorder.close()


def attention() -> Any:
    inputs = keras.Input((8, WIDTH))
    x = keras.layers.MultiHeadAttention(2, WIDTH // 2, name="attention")(inputs, inputs)
    x = keras.layers.LayerNormalization(name="norm")(keras.layers.Add()([x, inputs]))
    return keras.Model(inputs, keras.layers.Dense(CLASSES, name="logits")(keras.layers.GlobalAveragePooling1D()(x)))


def two_heads(width: int, *, small_first: bool) -> Any:
    """Return a trunk with two heads of a hidden layer each; the second output's loss counts for little."""
    inputs = keras.Input((8, WIDTH))
    trunk = keras.layers.Dense(width, "relu", name="trunk")(keras.layers.Flatten()(inputs))
    outputs = {}
    for name in ("minor", "main") if small_first else ("main", "minor"):
        hidden = keras.layers.Dense(width, "relu", name=f"{name}_hidden")(trunk)
        outputs[name] = keras.layers.Dense(CLASSES, name=f"{name}_logits")(hidden)
    return keras.Model(inputs, [outputs["main"], outputs["minor"]])


def cut_off() -> Any:
    """Return a network in which one layer gets no gradient, because of a misplaced ``stop_gradient``."""
    inputs = keras.Input((8, WIDTH))
    x = keras.layers.Dense(WIDTH, "relu", name="first")(keras.layers.Flatten()(inputs))
    side = keras.layers.Lambda(tf.stop_gradient)(keras.layers.Dense(WIDTH, "relu", name="side")(x))
    x = keras.layers.Dense(WIDTH, "relu", name="second")(keras.layers.Add()([x, side]))
    return keras.Model(inputs, keras.layers.Dense(CLASSES, name="logits")(x))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_key_bias_of_a_keras_attention_is_not_a_fault(seed: int, tmp_path: Path) -> None:
    keras.utils.set_random_seed(seed)
    fit(tmp_path, attention(), sequences()[1])
    assert findings(tmp_path) == []


@pytest.mark.parametrize("small_first", [True, False])
@pytest.mark.parametrize("width", [WIDTH, 2 * WIDTH])
def test_parallel_heads_of_keras_do_not_follow_one_another(width: int, small_first: bool, tmp_path: Path) -> None:
    keras.utils.set_random_seed(SEEDS[0])
    y = sequences()[1]
    fit(tmp_path, two_heads(width, small_first=small_first), [y, y])
    assert findings(tmp_path) == []


def test_a_layer_that_stop_gradient_cuts_off_is_a_note(tmp_path: Path) -> None:
    keras.utils.set_random_seed(SEEDS[0])
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        fit(tmp_path, cut_off(), sequences()[1])
    assert findings(tmp_path) == [("frozen_layer", "side")]


def test_a_layer_frozen_by_mistake_is_a_note_and_a_frozen_front_is_not(tmp_path: Path) -> None:
    for name, frozen, expected in (
        ("middle", {"hidden_2"}, [("frozen_layer", "hidden_2")]),
        ("front", {"hidden_0", "hidden_1"}, []),
    ):
        keras.utils.set_random_seed(SEEDS[0])
        inputs = x = keras.Input((8, WIDTH))
        x = keras.layers.Flatten()(x)
        for number in range(5):
            layer = keras.layers.Dense(
                WIDTH, "relu", name=f"hidden_{number}", trainable=f"hidden_{number}" not in frozen
            )
            x = layer(x)
        model = keras.Model(inputs, keras.layers.Dense(CLASSES, name="logits")(x))
        fit(tmp_path / name, model, sequences()[1])
        assert findings(tmp_path / name) == expected


# PyTorch


class TorchAttention(torch.nn.Module):
    """Attention with separate layers for queries, keys and values, which are named as in many models."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (torch.nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.logits = torch.nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> Any:
        x = x + torch.nn.functional.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))
        return self.logits(x.mean(1))


class TorchEncoder(torch.nn.Module):
    """The encoder of PyTorch, whose queries, keys and values are one matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.TransformerEncoderLayer(WIDTH, 2, 2 * WIDTH, batch_first=True, dropout=0.0)
        self.logits = torch.nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> Any:
        return self.logits(self.encoder(x).mean(1))


class TorchHeads(torch.nn.Module):
    """A trunk with two heads, of which the first one has a loss that counts for little."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = torch.nn.Linear(8 * WIDTH, WIDTH)
        self.minor = torch.nn.Sequential(
            torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, CLASSES)
        )
        self.main = torch.nn.Sequential(torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, CLASSES))

    def forward(self, x: torch.Tensor) -> Any:
        trunk = torch.relu(self.trunk(x.flatten(1)))
        return self.main(trunk), self.minor(trunk)


class BeforeNorm(torch.nn.Module):
    """Linear layers with a bias before a batch normalization, which takes the bias away."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(8 * WIDTH, WIDTH), torch.nn.Linear(WIDTH, WIDTH)
        self.first_norm, self.second_norm = torch.nn.BatchNorm1d(WIDTH), torch.nn.BatchNorm1d(WIDTH)
        self.logits = torch.nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> Any:
        x = torch.relu(self.first_norm(self.first(x.flatten(1))))
        return self.logits(torch.relu(self.second_norm(self.second(x))))


class TorchDetached(torch.nn.Module):
    """A network in which a ``detach`` cuts a layer off."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.side = torch.nn.Linear(8 * WIDTH, WIDTH), torch.nn.Linear(WIDTH, WIDTH)
        self.second, self.logits = torch.nn.Linear(WIDTH, WIDTH), torch.nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> Any:
        x = torch.relu(self.first(x.flatten(1)))
        return self.logits(torch.relu(self.second(x + self.side(x).detach())))


def train(folder: Path, network: torch.nn.Module) -> None:
    """Write gradients as tensors are written by hand, and weights as histograms."""
    x, y = (torch.from_numpy(each) for each in sequences())
    optimizer = torch.optim.SGD(network.parameters(), 0.2)
    entropy = torch.nn.functional.cross_entropy
    with SummaryWriter(str(folder)) as writer:
        for step in range(STEPS):
            rows = torch.randint(0, len(x), (BATCH,))
            optimizer.zero_grad()
            outputs = network(x[rows])
            several = outputs if isinstance(outputs, tuple) else (outputs,)
            losses = [entropy(each, y[rows]) * scale for each, scale in zip(several, (1.0, SMALL), strict=False)]
            loss = torch.stack(losses).sum()
            loss.backward()
            writer.add_scalar("Loss/train", loss.item(), step)
            for name, parameter in network.named_parameters():
                writer.add_histogram(f"weights/{name}", parameter, step)
                if parameter.grad is not None:
                    writer.add_histogram(f"gradients/{name}", parameter.grad, step)
            optimizer.step()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("network", [TorchAttention, TorchEncoder, TorchHeads, BeforeNorm])
def test_healthy_networks_of_torch_raise_no_finding(network: Any, seed: int, tmp_path: Path) -> None:
    torch.manual_seed(seed)
    train(tmp_path, network())
    assert findings(tmp_path) == []


def test_a_layer_that_detach_cuts_off_is_a_note(tmp_path: Path) -> None:
    torch.manual_seed(SEEDS[0])
    train(tmp_path, TorchDetached())
    assert findings(tmp_path) == [("frozen_layer", "side")]
