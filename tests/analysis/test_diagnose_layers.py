"""Which layers follow one another, which biases have no effect, and what is said of layers: without any framework."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from event_files import event, simple_value, tensor, write_run

from tb2csv.analysis.diagnosis.diagnose import diagnose
from tb2csv.analysis.diagnosis.layer_chains import Shape, follows
from tb2csv.analysis.diagnosis.tag_families import is_key_bias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

STEPS = 12
DEPTH = 8


# Layers that follow one another


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (Shape(10, 16), Shape(16, 4), True),
        (Shape(10, 16), Shape(9 * 16, 8), True),  # a convolution of 3 x 3
        (Shape(27, 16), Shape(49 * 16, 10), True),  # a dense layer after 7 x 7 places of 16 filters
        (Shape(16, 4), Shape(16, 4), False),  # two heads of one trunk
        (Shape(16, 16), Shape(16, 4), False),  # queries and the keys of a grouped attention, or a layer and its head
        (Shape(10, 16), Shape(24, 4), False),  # it takes more than these outputs
        (Shape(16, 16), Shape(16, 16), False),  # the shapes leave it open, and so do the names
    ],
)
def test_shapes_show_which_layers_follow(before: Shape, after: Shape, expected: bool) -> None:
    assert follows("one", "other", before, after) is expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("conv_1", "conv_2", True),
        ("dense", "dense_1", True),  # as Keras counts
        ("net.0", "net.2", True),  # as PyTorch counts, with an activation between
        ("net.9", "net.10", True),
        ("blocks.0.fc2", "blocks.1.fc1", True),
        ("block/1/fc1", "block/1/fc2", True),
        ("conv_2", "conv_1", False),
        ("dense_1", "dense", False),
        ("blocks.1.fc", "blocks.0.fc", False),
        ("attention/query", "attention/key", False),
        ("encoder.0", "decoder.1", False),
        ("dense", "dense", False),
        ("net", "net.0", False),
        ("", "", False),
        ("a\nb", "a\nc", False),
    ],
)
@pytest.mark.parametrize("shapes", [(), (Shape(16, 16), Shape(16, 16)), (Shape(16, 16), None), (None, Shape(16, 4))])
def test_numbered_names_show_which_layers_follow_if_shapes_do_not(
    before: str,
    after: str,
    expected: bool,
    shapes: tuple[Shape | None, ...],
) -> None:
    assert follows(before, after, *shapes) is expected


def test_numbered_heads_of_one_trunk_do_not_follow_one_another() -> None:
    assert not follows("head_1", "head_2", Shape(16, 4), Shape(16, 4))
    assert not follows("head_1", "head_2", Shape(16, 1), Shape(16, 4))


# Biases of keys


@pytest.mark.parametrize(
    "layer",
    [
        "multi_head_attention/key",  # Keras' MultiHeadAttention
        "decoder/grouped_query_attention/key",  # Keras' GroupedQueryAttention
        "encoder.layer.0.attention.self.key",  # BERT
        "model.layers.0.self_attn.k_proj",  # Llama and other grouped-query attentions
        "transformer.layer.3.attention.k_lin",  # DistilBERT
        "encoder.block.0.layer.0.SelfAttention.k",  # T5
        "attn1.to_k",  # diffusers
        "self_attn.linear_k",  # ESPnet
        "key_dense",
        "keys",
        "K",
    ],
)
@pytest.mark.parametrize("bias", ["bias", "bias:0", "b"])
def test_key_biases_are_recognized_by_name(layer: str, bias: str) -> None:
    assert is_key_bias(layer, bias)
    for variable in ("kernel", "weight", "gamma", ""):
        assert not is_key_bias(layer, variable)


@pytest.mark.parametrize(
    ("layer", "variable"),
    [
        ("multi_head_attention/query", "bias"),
        ("multi_head_attention/value", "bias"),
        ("multi_head_attention/attention_output", "bias"),
        ("layers.0.self_attn.q_proj", "bias"),
        ("layers.0.self_attn.v_proj", "bias"),
        ("layers.0.self_attn", "in_proj_bias"),  # PyTorch's: queries, keys and values are one variable
        ("attn.qkv", "bias"),
        ("self_attention.query_key_value", "bias"),
        ("keypoints", "bias"),
        ("monkey", "bias"),
        ("key/mlp", "bias"),
        ("rank", "bias"),
        ("", "bias"),
    ],
)
def test_other_biases_are_not_recognized_as_key_biases(layer: str, variable: str) -> None:
    assert not is_key_bias(layer, variable)


def write(folder: Path, tags: Mapping[str, Callable[[int], Array]], loss: bool = True) -> Path:
    """Write a tensor of each tag at each step, and a loss that falls."""
    falling = np.linspace(2, 1, STEPS)
    write_run(
        folder,
        *(
            event(
                *(tensor(tag, make(step).astype(np.float32)) for tag, make in tags.items()),
                *([simple_value("loss", falling[step])] if loss else []),
                step=step,
            )
            for step in range(STEPS)
        ),
    )
    return folder


def normal(size: float, *shape: int) -> Callable[[int], Array]:
    """Return a maker of normal numbers, others at each step."""
    return lambda step: size * np.random.default_rng([4, step, *shape]).normal(size=shape)


def found(folder: Path) -> set[tuple[str, str]]:
    return set(diagnose(folder).findings.select("rule", "layer").iter_rows())


@pytest.mark.parametrize(
    ("layer", "is_silent"),
    [
        ("attention/key", True),
        ("layers.0.self_attn.k_proj", True),
        ("attention/value", False),
        ("layers.0.self_attn.v_proj", False),
    ],
)
def test_a_key_bias_alone_raises_no_finding(layer: str, is_silent: bool, tmp_path: Path) -> None:
    """The kernel is not recorded, so that the bias is known by its name alone; its gradient is a rounding error."""
    variable = f"{layer}.bias" if "." in layer else f"{layer}/bias"
    tags = {f"gradients/{variable}": normal(1e-11, 4), "gradients/out/kernel": normal(0.01, 8, 4)}
    rules = {rule for rule, found_layer in found(write(tmp_path, tags)) if found_layer == layer}
    assert rules == (set() if is_silent else {"vanishing_level"})


def test_the_keys_within_the_joint_bias_of_torch_raise_no_finding(tmp_path: Path) -> None:
    def joint(step: int) -> Array:
        return normal(0.01, 48)(step) * np.where(np.arange(48) // 16 == 1, 1e-9, 1)

    tags = {
        "gradients/self_attn.in_proj_weight": normal(0.01, 48, 16),
        "gradients/self_attn.in_proj_bias": joint,
        "gradients/self_attn.out_proj.weight": normal(0.01, 16, 16),
        "gradients/logits.weight": normal(0.01, 4, 16),
    }
    assert found(write(tmp_path, tags)) == set()


# Layers that explode are not saturated


def backward(activation: Callable[[Array], Array], slope: Callable[[Array], Array], size: float) -> Callable[..., None]:
    """Return a writer of the gradients and weights of a deep network, by backpropagation in numpy."""

    def write_log(folder: Path) -> None:
        rng = np.random.default_rng(17)
        weights = [size * rng.normal(size=(16, 16)) for _ in range(DEPTH)]
        events = []
        for step in range(STEPS):
            inputs = [rng.normal(size=(64, 16))]
            sums = []
            for matrix in weights:
                sums.append(inputs[-1] @ matrix)
                inputs.append(activation(sums[-1]))
            error = rng.normal(size=(64, 16)) / 64
            values = [simple_value("loss", 2.0 - 0.1 * step)]
            for layer in reversed(range(DEPTH)):
                error = error * slope(sums[layer])
                for name, array in {
                    f"gradients/dense_{layer}/kernel": inputs[layer].T @ error,
                    f"gradients/dense_{layer}/bias": error.sum(0),
                    f"weights/dense_{layer}/kernel": weights[layer] + 0.01 * step,
                }.items():
                    values.append(tensor(name, array.astype(np.float32)))
                error = error @ weights[layer].T
            events.append(event(values[0], *reversed(values[1:]), step=step))
        write_run(folder, *events)

    return write_log


def tanh_slope(x: Array) -> Array:
    slope: Array = 1 - np.tanh(x) ** 2
    return slope


@pytest.mark.parametrize(
    ("activation", "slope"),
    [
        (lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0),
        (lambda x: np.maximum(x, 0.1 * x), lambda x: np.where(x > 0, 1.0, 0.1)),
        (lambda x: x, np.ones_like),
    ],
    ids=["relu", "leaky_relu", "linear"],
)
def test_an_exploding_layer_is_not_called_saturated(
    activation: Callable[[Array], Array], slope: Callable[[Array], Array], tmp_path: Path
) -> None:
    backward(activation, slope, 8.0)(tmp_path)
    problems = set(diagnose(tmp_path).findings["problem"])
    assert "exploding" in problems
    assert "saturated" not in problems


def test_a_layer_of_tanh_with_the_same_weights_is_saturated(tmp_path: Path) -> None:
    backward(np.tanh, tanh_slope, 8.0)(tmp_path)
    assert "saturated" in set(diagnose(tmp_path).findings["problem"])


# What a message compares with


@pytest.mark.parametrize(
    ("size", "rule"), [(1e6, "exploding_level"), (1e-12, "vanishing_level")], ids=["large", "small"]
)
@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"weights/other/kernel": normal(1.0, 4, 4)},
        {"weights/odd/kernel": lambda _: np.zeros((4, 4))},
    ],
    ids=["no_weights", "weights_of_another_layer", "weights_of_zero"],
)
def test_message_mentions_weights_only_if_they_are_recorded(
    size: float, rule: str, weights: Mapping[str, Callable[[int], Array]], tmp_path: Path
) -> None:
    gradients = {"gradients/odd/kernel": normal(size, 4, 4)}
    for folder, more in (
        (tmp_path / "without", weights),
        (tmp_path / "with", {"weights/odd/kernel": normal(1.0, 4, 4)}),
    ):
        rows = diagnose(write(folder, {**gradients, **more})).findings.to_dicts()
        (message,) = (row["message"] for row in rows if row["rule"] == rule)
        is_compared = "times the weights" in message or "of the weights" in message
        assert is_compared is (folder.name == "with")
        assert ("not recorded" in message) is (folder.name == "without")


# Layers that alone have no gradient


@pytest.mark.parametrize(
    ("frozen", "noted"),
    [
        ({2}, {2}),
        ({4}, {4}),
        ({0}, {0}),  # one alone at the input is a note, several are frozen on purpose
        ({0, 1}, set()),
        ({0, 3}, {3}),
        ({1, 2, 3}, set()),  # half of the layers or more
    ],
)
def test_layer_frozen_by_mistake_is_reported_as_a_note(frozen: set[int], noted: set[int], tmp_path: Path) -> None:
    fixed = normal(0.3, 6, 5)(0)
    tags: dict[str, Callable[[int], Array]] = {}
    for number in range(5):
        if number not in frozen:
            tags[f"gradients/layer_{number}/kernel"] = normal(0.01, 6, 5)
        moves = 0.0 if number in frozen else 0.01
        tags[f"weights/layer_{number}/kernel"] = lambda step, moves=moves: fixed + moves * step  # type: ignore[misc]
    rows = diagnose(write(tmp_path, tags)).findings.to_dicts()
    assert {(row["problem"], row["rule"], row["layer"]) for row in rows} == {
        ("note", "frozen_layer", f"layer_{number}") for number in noted
    }
