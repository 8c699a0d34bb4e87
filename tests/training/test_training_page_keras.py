"""The page on the way from training to CSV, with Keras: its tables are those of a training in numpy."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
from numpy_network import PARAMETERS, Step, data, trained
from training_tables import (
    BATCH,
    EPOCHS,
    HEADERS,
    PAGE,
    RATE,
    check_errors,
    check_gradients,
    check_metrics,
    check_predictions,
    check_weights,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

NAMES = {name: (name, np.asarray) for name in PARAMETERS}


def network() -> keras.Model:
    keras.utils.set_random_seed(5)
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(4, activation="tanh", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, name="output")(hidden))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(RATE), loss, metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Step]]:
    """Run the page in a folder, and return the folder and the steps of the same training in numpy."""
    folder = tmp_path_factory.mktemp("page")
    x, y = data()
    batches = [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH)]
    steps = trained(network().get_weights(), batches, epochs=EPOCHS, rate=RATE)
    scope: dict[str, Any] = {"x": x, "y": y}
    imports, *blocks = PAGE.blocks("python")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(imports, scope)
        for block in blocks[:-1]:
            scope["model"] = model = network()
            patch.setattr(model, "fit", functools.partial(model.fit, batch_size=BATCH, shuffle=False, verbose=0))
            exec(block, scope)
        exec(blocks[-1], scope)
        PAGE.run_commands("keras_")
    return folder, steps


def test_metrics(ran: tuple[Path, list[Step]]) -> None:
    folder, steps = ran
    check_metrics(folder / "keras_metrics.csv", steps, HEADERS[0])


def test_gradients(ran: tuple[Path, list[Step]]) -> None:
    folder, steps = ran
    check_gradients(folder / "keras_gradients.csv", steps, NAMES)


def test_weights(ran: tuple[Path, list[Step]]) -> None:
    folder, steps = ran
    check_weights(folder / "keras_weights.csv", steps[-1], NAMES)


def test_layer_errors(ran: tuple[Path, list[Step]]) -> None:
    folder, steps = ran
    check_errors(folder, "keras", {layer: [step.errors[layer] for step in steps] for layer in ("hidden", "output")})


def test_predictions(ran: tuple[Path, list[Step]]) -> None:
    folder, steps = ran
    check_predictions(folder / "keras_predictions.csv", steps[-1], data()[0])
