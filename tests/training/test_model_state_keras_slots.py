"""Optimizers that made no step, optimizers that are attributes of a model, and what layers learn outside variables."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tb2csv.errors import StateError
from tb2csv.model_state import STYLES, export_state, load_state, restore_file, state_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning"),  # it made no step
    pytest.mark.filterwarnings(r"ignore:.build\(\). was called on layer:UserWarning"),  # as users write such models
]

X = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(16, 1)).astype(np.float32)
ENDINGS = ("keras", "h5", "weights.h5")


def build(seed: int = 0, *, optimizer: Any = None, steps: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    model.compile(optimizer or keras.optimizers.Adam(1e-2), keras.losses.MeanSquaredError())
    for _ in range(steps):
        model.train_on_batch(X, Y)
    return model


def save(model: keras.Model, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older format is advised against
        (model.save_weights if ".weights." in path.name else model.save)(path)
    return path


def values(variables: list[Any]) -> list[bytes]:
    return [variable.numpy().tobytes() for variable in variables]


# Slots


@pytest.mark.parametrize("style", STYLES)
def test_a_model_that_was_never_trained_loads_its_own_state(style: str, tmp_path: Path) -> None:
    model = build()
    export_state(model, tmp_path / "s.csv", style=style)
    assert load_state(tmp_path / "s.csv", model) == []
    assert len(model.optimizer.variables) == 2  # no slots were added


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_state_of_an_untrained_file_goes_into_itself_and_into_a_live_model(ending: str, tmp_path: Path) -> None:
    first, second = build(0), build(1)
    export_state(save(first, tmp_path / f"a.{ending}"), tmp_path / "s.csv")
    out = tmp_path / f"out.{ending}"
    assert restore_file(tmp_path / "s.csv", save(second, tmp_path / f"b.{ending}"), out) == []
    assert len(state_of(out).tensors) == 6
    assert load_state(tmp_path / "s.csv", second) == []
    assert values(second.weights) == values(first.weights)
    assert len(second.optimizer.variables) == 2


@pytest.mark.parametrize("source", ["live", "same"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_was_never_trained_takes_a_trained_state(ending: str, source: str, tmp_path: Path) -> None:
    trained = build(0, steps=3)
    export_state(trained if source == "live" else save(trained, tmp_path / f"a.{ending}"), tmp_path / "s.csv")
    out = tmp_path / f"out.{ending}"
    assert restore_file(tmp_path / "s.csv", save(build(1), tmp_path / f"b.{ending}"), out) == []
    if ending == "h5":  # of which Keras does not read the optimizer
        expected = [bytes(tensor.content()) for tensor in state_of(trained).tensors]
        assert [bytes(tensor.content()) for tensor in state_of(out).tensors] == expected
        return
    if ending == "keras":
        loaded = keras.models.load_model(out)
    else:
        loaded = build(2, steps=1)
        loaded.load_weights(out)
    assert values(loaded.weights) == values(trained.weights)
    assert values(loaded.optimizer.variables) == values(trained.optimizer.variables)


@pytest.mark.parametrize("style", STYLES)
def test_a_trained_state_goes_into_a_live_model_that_continues_like_the_first(style: str, tmp_path: Path) -> None:
    trained, fresh = build(0, steps=3), build(1)
    export_state(trained, tmp_path / "s.csv", style=style)
    load_state(tmp_path / "s.csv", fresh)
    for model in (trained, fresh):
        model.train_on_batch(X, Y)
    assert values(fresh.weights) == values(trained.weights)
    assert values(fresh.optimizer.variables) == values(trained.optimizer.variables)


def test_an_error_leaves_an_optimizer_without_slots(tmp_path: Path) -> None:
    export_state(build(0, steps=1), tmp_path / "s.csv")
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)])
    other.compile(keras.optimizers.Adam())
    with pytest.raises(StateError):
        load_state(tmp_path / "s.csv", other)
    assert len(other.optimizer.variables) == 2


def test_slots_of_a_trained_model_are_not_emptied_by_a_state_without_them(tmp_path: Path) -> None:
    export_state(build(0), tmp_path / "s.csv")
    with pytest.raises(StateError, match="is not in the state"):
        load_state(tmp_path / "s.csv", build(1, steps=1))


def test_another_optimizer_does_not_get_slots_that_are_not_its_own(tmp_path: Path) -> None:
    export_state(build(0, steps=1), tmp_path / "s.csv")
    other = save(build(1, optimizer=keras.optimizers.SGD()), tmp_path / "b.h5")
    with pytest.raises(StateError, match="is not in the model"):
        restore_file(tmp_path / "s.csv", other, tmp_path / "out.h5")


# Optimizers that are attributes


def network(widths: list[int], name: str) -> keras.Model:
    return keras.Sequential([keras.Input((4,)), *map(keras.layers.Dense, widths)], name=name)


class Adversaries(keras.Model):
    """Two networks and an optimizer for each."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = network([2, 4], "generator")
        self.discriminator = network([3, 1], "discriminator")

    def compile(self, **options: Any) -> None:
        super().compile(**options)
        self.generator_optimizer = keras.optimizers.Adam(1e-2)
        self.discriminator_optimizer = keras.optimizers.SGD(1e-2, momentum=0.9)

    def call(self, inputs: Any) -> Any:
        return self.discriminator(self.generator(inputs))

    def train_step(self, data: Any) -> dict[str, Any]:
        for network, optimizer in (
            (self.generator, self.generator_optimizer),
            (self.discriminator, self.discriminator_optimizer),
        ):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(self(data[0]) ** 2)
            variables = network.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


def adversaries(seed: int, steps: int = 0) -> Adversaries:
    keras.utils.set_random_seed(seed)
    model = Adversaries()
    model.compile()
    model(X)
    for _ in range(steps):
        model.train_on_batch(X)
    return model


def all_values(model: Adversaries) -> list[bytes]:
    optimizers = (model.generator_optimizer, model.discriminator_optimizer)
    return values([*model.weights, *(variable for each in optimizers for variable in each.variables)])


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("style", STYLES)
def test_optimizers_that_are_attributes_are_part_of_the_state(style: str, steps: int, tmp_path: Path) -> None:
    trained, other = adversaries(0, 3), adversaries(1, steps)
    export_state(trained, tmp_path / "s.csv", style=style)
    assert load_state(tmp_path / "s.csv", other) == []
    assert all_values(other) == all_values(trained)
    for model in (trained, other):
        model.train_on_batch(X)
    assert all_values(other) == all_values(trained)


@pytest.mark.parametrize("source", ["live", "weights.h5"])
def test_optimizers_that_are_attributes_go_into_a_weights_file(source: str, tmp_path: Path) -> None:
    trained = adversaries(0, 2)
    saved = save(trained, tmp_path / "a.weights.h5")
    export_state(trained if source == "live" else saved, tmp_path / "s.csv")
    out = tmp_path / "out.weights.h5"
    assert restore_file(tmp_path / "s.csv", save(adversaries(1), tmp_path / "b.weights.h5"), out) == []
    loaded = adversaries(2, 1)
    loaded.load_weights(out)
    assert all_values(loaded) == all_values(trained)


def test_an_optimizer_of_unclear_variables_is_refused(tmp_path: Path) -> None:
    class Alike(Adversaries):
        def __init__(self) -> None:
            super().__init__()
            self.generator = network([4], "same")
            self.discriminator = network([4], "same")

    def build_alike() -> Alike:
        model = Alike()
        model.compile()
        model(X)
        return model

    first, second = build_alike(), build_alike()
    first.train_on_batch(X)
    export_state(first, tmp_path / "s.csv")
    with pytest.raises(StateError, match="which variables"):
        load_state(tmp_path / "s.csv", second)


# Vocabularies


def preprocessing(words: list[str], numbers: list[int], scale: float) -> keras.Model:
    inputs = keras.Input((1,), dtype="string"), keras.Input((1,), dtype="int64"), keras.Input((1,))
    lookup = keras.layers.StringLookup()
    lookup.adapt(words)
    text = keras.layers.TextVectorization(output_sequence_length=3)
    text.adapt(words)
    weighted = keras.layers.TextVectorization(output_mode="tf_idf", pad_to_max_tokens=True, max_tokens=8)
    weighted.adapt(words)
    integers = keras.layers.IntegerLookup()
    integers.adapt(np.array(numbers)[:, None])
    bins = keras.layers.Discretization(num_bins=3)
    bins.adapt(np.arange(10.0) * scale)
    parts = [keras.ops.cast(part, "float32") for part in (lookup(inputs[0]), text(inputs[0]), integers(inputs[1]))]
    parts += [keras.ops.cast(bins(inputs[2]), "float32"), keras.layers.Reshape((8,))(weighted(inputs[0]))]
    return keras.Model(inputs, keras.layers.Concatenate()(parts))


SAMPLES = (
    tf.constant([["a"], ["d"], ["x"], ["c d"]]),
    np.array([[3], [7], [9], [4]]),
    np.array([[1.0], [5.0], [9.0], [20.0]]),
)


@pytest.mark.parametrize("style", STYLES)
def test_vocabularies_and_boundaries_are_restored_in_compiled_models(style: str, tmp_path: Path) -> None:
    first, second = preprocessing(["a", "b", "c d"], [3, 4, 5], 1), preprocessing(["x", "y"], [7, 9], 3)
    second.predict(SAMPLES, verbose=0)
    export_state(first, tmp_path / "s.csv", style=style)
    assert load_state(tmp_path / "s.csv", second) == []
    np.testing.assert_array_equal(first.predict(SAMPLES, verbose=0), second.predict(SAMPLES, verbose=0))


def string_model(words: list[str]) -> keras.Model:
    inputs = keras.Input((1,), dtype="string")
    lookup = keras.layers.StringLookup(name="words")
    lookup.adapt(words)
    return keras.Model(inputs, keras.layers.Embedding(5, 2)(lookup(inputs)))


def binned_model(scale: float) -> keras.Model:
    inputs = keras.Input((1,))
    bins = keras.layers.Discretization(num_bins=3, name="bins")
    bins.adapt(np.arange(10.0) * scale)
    return keras.Model(inputs, keras.layers.Embedding(3, 2)(bins(inputs)))


@pytest.mark.parametrize(
    ("build_it", "one", "other", "name"),
    [(string_model, ["a", "b"], ["x", "y"], "words/vocabulary"), (binned_model, 1.0, 3.0, "bins/bin_boundaries")],
)
def test_a_file_with_another_vocabulary_is_refused_by_the_name_of_the_layer(
    build_it: Any, one: Any, other: Any, name: str, tmp_path: Path
) -> None:
    first, same, second = (save(build_it(what), tmp_path / f"{i}.keras") for i, what in enumerate((one, one, other)))
    export_state(first, tmp_path / "s.csv")
    assert restore_file(tmp_path / "s.csv", same, tmp_path / "out.keras") == []
    with pytest.raises(StateError, match=f"  {name}: "):
        restore_file(tmp_path / "s.csv", second, tmp_path / "no.keras")
    assert not (tmp_path / "no.keras").exists()


def test_a_vocabulary_that_a_layer_refuses_changes_nothing(tmp_path: Path) -> None:
    def small(words: list[str], most: int) -> keras.Model:
        inputs = keras.Input((1,), dtype="string")
        lookup = keras.layers.StringLookup(max_tokens=most, name="words")
        lookup.adapt(words)
        return keras.Model(inputs, keras.layers.Embedding(9, 2)(lookup(inputs)))

    export_state(small(["a", "b", "c"], 9), tmp_path / "s.csv")
    other = small(["x"], 2)
    before = [bytes(tensor.content()) for tensor in state_of(other).tensors]
    with pytest.raises(StateError, match=r"'words'.*vocabulary"):
        load_state(tmp_path / "s.csv", other)
    assert [bytes(tensor.content()) for tensor in state_of(other).tensors] == before


def test_an_h5_file_says_that_vocabularies_are_not_in_its_state(tmp_path: Path) -> None:
    (note,) = state_of(save(string_model(["a"]), tmp_path / "m.h5")).notes
    assert "'words'" in note
