"""Diagnoses: what tags are about, what values come to, and which rules fire at which steps of which layers."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import run_here, run_process
from event_files import (
    bare_scalar,
    event,
    file_name,
    histogram,
    legacy_histogram,
    scalar,
    simple_value,
    tensor,
    tensor_of,
    write_run,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import parse_rows

from tb2csv.analysis.diagnosis.diagnose import Diagnosis, diagnose
from tb2csv.analysis.diagnosis.observations import observe
from tb2csv.analysis.diagnosis.rules import RULES, THRESHOLDS
from tb2csv.analysis.diagnosis.tag_families import FAMILIES, Quantity, TagFamilies, is_training_loss
from tb2csv.errors import LogdirError, OptionError, Tb2csvError
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.logdir import discover
from tb2csv.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    import polars as pl

STEPS = 12
ROOT = Path(__file__).resolve().parents[2]


def random() -> np.random.Generator:
    return np.random.default_rng(11)


# What tags are about


@pytest.mark.parametrize(
    ("tag", "kind", "expected"),
    [
        ("gradients/net/dense/kernel", "tensors", Quantity("gradients", "net/dense", "kernel")),
        ("gradients/net/dense/kernel/histogram", "histograms", Quantity("gradients", "net/dense", "kernel")),
        ("gradients/dense/kernel/zero_share", "scalars", Quantity("gradients", "dense", "kernel", "zero_share")),
        ("gradients/dense", "tensors", Quantity("gradients", "dense")),
        ("gradients/dense", "scalars", Quantity("gradients", "dense", "", "norm")),
        ("Gradients/fc1.weight", "histograms", Quantity("gradients", "fc1", "weight")),
        ("fc1.weight.grad", "histograms", Quantity("gradients", "fc1", "weight")),
        ("fc1/weight/grad", "histograms", Quantity("gradients", "fc1", "weight")),
        ("layers.0.weight_grad", "tensors", Quantity("gradients", "layers.0", "weight")),
        ("grad_2.0_norm/fc1.bias", "scalars", Quantity("gradients", "fc1", "bias", "norm")),
        ("train/grad_norm", "scalars", Quantity("gradients", "train", "", "norm")),
        ("grad_norm", "scalars", Quantity("gradients", "grad_norm", "", "norm")),
        ("weights/fc1.weight", "tensors", Quantity("weights", "fc1", "weight")),
        ("net/dense/kernel/histogram", "histograms", Quantity("weights", "net/dense", "kernel")),
        ("dense/kernel_0", "histograms", Quantity("weights", "dense", "kernel_0")),
        ("rnn.weight_hh_l0", "histograms", Quantity("weights", "rnn", "weight_hh_l0")),
        ("weights/bn/moving_mean", "tensors", Quantity("states", "bn/moving_mean")),
        ("bn/moving_variance/histogram", "histograms", Quantity("states", "bn/moving_variance")),
        ("layer_errors/add#1", "tensors", Quantity("layer_errors", "add#1")),
        ("layer_errors/add/norm", "scalars", Quantity("layer_errors", "add", "", "norm")),
        ("activations/3", "histograms", Quantity("activations", "3")),
        ("predictions/side", "tensors", Quantity("predictions", "side")),
        ("batch/loss", "scalars", Quantity("loss", "batch/loss")),
        ("accuracy", "scalars", Quantity("scalars", "accuracy")),
        ("embedding_table", "tensors", None),
        ("pattern", "images", None),
        ("gradients/dense/kernel", "text", None),
    ],
)
def test_tags_are_assigned_to_families_by_name(tag: str, kind: str, expected: Quantity | None) -> None:
    assert TagFamilies().quantity(".", tag, kind) == expected


@pytest.mark.parametrize(
    ("run", "tag", "expected"),
    [
        (".", "loss", True),
        ("train", "epoch_loss", True),
        (".", "Loss/train", True),
        (".", "train/loss", True),
        (".", "part_0/loss", True),
        (".", "running_loss", True),
        (".", "cost", True),
        ("validation", "epoch_loss", False),
        ("fit/validation", "epoch_loss", False),
        (".", "epoch/val_loss", False),
        (".", "Loss/test", False),
        (".", "loss/kl", False),
        (".", "kl_loss", False),
        (".", "glossary", False),
        (".", "learning_rate", False),
    ],
)
def test_training_losses_are_recognized_by_run_and_tag(run: str, tag: str, expected: bool) -> None:
    assert is_training_loss(run, tag) is expected


def test_tags_can_be_assigned_to_a_family() -> None:
    families = TagFamilies(["gradients=delta_*", "loss=energy", "weights=*/w_now"])
    assert families.quantity(".", "delta_fc1.weight", "tensors") == Quantity("gradients", "fc1", "weight")
    assert families.quantity(".", "delta_fc1", "scalars") == Quantity("gradients", "fc1", "", "norm")
    assert families.quantity(".", "energy", "scalars") == Quantity("loss", "energy")
    assert families.quantity(".", "fc1/w_now", "histograms") == Quantity("weights", "fc1")
    for text in ("gradients", "gradient=x", "gradients=", "=x"):
        with pytest.raises(OptionError, match="FAMILY=GLOB"):
            TagFamilies([text])


@given(st.text(), st.sampled_from(["scalars", "tensors", "histograms", "text"]))
def test_any_tag_can_be_classified(tag: str, kind: str) -> None:
    quantity = TagFamilies(["gradients=*a*"]).quantity("run", tag, kind)
    assert quantity is None or (quantity.layer in tag and quantity.variable in tag)


# What values come to


def observed(logdir: Path) -> pl.DataFrame:
    return observe(discover(logdir), TagFamilies(), Selection()).variables


def expected_moments(array: npt.NDArray[Any]) -> dict[str, float]:
    flat = np.abs(array.ravel()) if np.iscomplexobj(array) else array.ravel().astype(np.float64)
    finite = flat[np.isfinite(flat)]
    return {
        "count": flat.size,
        "norm": np.linalg.norm(finite),
        "rms": np.sqrt(np.mean(finite**2)),
        "mean": finite.mean(),
        "std": finite.std(),
        "min": finite.min(),
        "max": finite.max(),
        "zero_share": (flat == 0).mean(),
        "nan_count": np.isnan(flat).sum(),
        "inf_count": np.isinf(flat).sum(),
    }


def holds(row: dict[str, Any], expected: dict[str, float], relative: float = 1e-9) -> None:
    for name, number in expected.items():
        assert row[name] == pytest.approx(number, rel=relative, abs=1e-12), name


@pytest.mark.usefixtures("scanner")
def test_tensors_are_counted_exactly(tmp_path: Path) -> None:
    rng = random()
    arrays = [
        rng.normal(size=(7, 5)).astype(np.float32),
        np.where(rng.random((7, 5)) < 0.4, 0, rng.normal(size=(7, 5))).astype(np.float32),
        np.array([[np.nan, np.inf, -np.inf, 0.0, 3.0]] * 7, np.float32),
        rng.normal(size=(2, 3)).astype(np.float32),
    ]
    others = [rng.integers(-3, 4, (3, 2)), rng.normal(size=4) + 1j, np.float64(0.25), rng.random(6) < 0.5]
    write_run(
        tmp_path,
        *(event(tensor("gradients/a/kernel", array), step=step) for step, array in enumerate(arrays)),
        *(
            event(tensor(f"gradients/b{number}/kernel", array, "tb2csv"), step=number)
            for number, array in enumerate(others)
        ),
    )
    rows = observed(tmp_path).to_dicts()
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 0, 1, 2, 3]
    for row, array in zip(rows, [*arrays, *others], strict=True):
        holds(row, expected_moments(np.asarray(array)))


def test_parts_of_a_tensor_are_counted_together(tmp_path: Path) -> None:
    """A piece has a million rows: this tensor is cut, and so is the stretch of small ones that follows."""
    rng = random()
    large = rng.normal(size=(1100, 1000)).astype(np.float32)
    large[1099, 999] = np.nan
    small = [rng.normal(size=(300, 1000)).astype(np.float32) for _ in range(8)]
    write_run(
        tmp_path,
        *(event(tensor("gradients/a/kernel", large * step), step=step) for step in (1, 2)),
        *(event(tensor("gradients/b/kernel", array), step=step) for step, array in enumerate(small)),
    )
    rows = observed(tmp_path).to_dicts()
    for row, array in zip(rows, [large, large * 2, *small], strict=True):
        holds(row, expected_moments(array), relative=1e-6)


@pytest.mark.slow
def test_tensors_of_several_files_stay_in_order(tmp_path: Path) -> None:
    arrays = [random().normal(size=(1024, 1024)).astype(np.float32) * (step + 1) for step in range(20)]
    assert sum(array.nbytes for array in arrays) > DEFAULT_CHUNK_SIZE
    for number, part in enumerate((arrays[:18], arrays[18:])):
        steps = range(number * 18, number * 18 + len(part))
        events = [event(tensor("gradients/a", array), step=step) for step, array in zip(steps, part, strict=True)]
        write_run(tmp_path, *events, name=file_name(number + 1), wall_time=float(number))
    rows = observed(tmp_path)
    assert rows["step"].to_list() == list(range(20))
    np.testing.assert_allclose(rows["norm"], [np.linalg.norm(array.astype(float)) for array in arrays])


def test_tensorflow_histograms_have_the_statistics_of_their_buckets(tmp_path: Path) -> None:
    values = random().normal(size=20_000)
    counts, edges = np.histogram(values, 30)
    buckets = np.stack([edges[:-1], edges[1:], counts], axis=1)
    zeros = np.zeros((30, 3))
    zeros[-1, 2] = 50
    odd = np.full((30, 3), np.nan)
    odd[:, 2] = 0
    infinite = np.full((30, 3), np.inf)
    write_run(
        tmp_path,
        *(
            event(histogram("gradients/a/kernel/histogram", rows), step=step)
            for step, rows in enumerate([buckets, zeros, odd, infinite, np.zeros((30, 3)), np.zeros((0, 3))])
        ),
    )
    rows = observed(tmp_path).to_dicts()
    assert [row["step"] for row in rows] == [0, 1, 2, 3]  # of a histogram without numbers there is nothing to say
    exact = expected_moments(values)
    holds(rows[0], {name: exact[name] for name in ("count", "min", "max", "nan_count", "inf_count")})
    holds(rows[0], {name: exact[name] for name in ("rms", "std", "norm")}, relative=0.02)
    assert rows[0]["zero_share"] is None
    assert rows[0]["source"] == "histogram"
    holds(rows[1], {"count": 50, "rms": 0, "zero_share": 1, "min": 0, "max": 0})
    assert (rows[2]["nan_count"], rows[2]["inf_count"], rows[2]["rms"]) == (1, 0, None)
    assert (rows[3]["nan_count"], rows[3]["inf_count"], rows[3]["rms"]) == (0, 1, None)


def test_moments_of_legacy_histograms_use_their_stored_sums(tmp_path: Path) -> None:
    """The last bucket of TensorFlow 1 reaches to the largest float64; the sums know better."""
    values = np.concatenate([np.zeros(30), random().normal(size=70)])
    sums = {"min": values.min(), "max": values.max(), "num": 100.0, "sum": values.sum()}
    more = {"sum_squares": float(np.sum(values**2))}
    limits = [-1e-12, 1e-12, 1.0, np.finfo(np.float64).max]
    counts = [float((values < 0).sum()), 30.0, float((values > 0).sum()), 0.0]
    write_run(
        tmp_path,
        event(legacy_histogram("fc.weight", limits, counts, **sums, **more), step=0),
        event(legacy_histogram("fc.weight", limits, counts, **{**sums, "sum": np.nan}, **more), step=1),
        event(legacy_histogram("fc.weight", limits, counts, **{**sums, "max": np.inf}, **more), step=2),
    )
    rows = observed(tmp_path).to_dicts()
    exact = expected_moments(values)
    holds(rows[0], {name: exact[name] for name in ("count", "norm", "rms", "mean", "std", "min", "max", "zero_share")})
    assert [(row["nan_count"], row["inf_count"]) for row in rows] == [(0, 0), (1, 0), (0, 1)]


def statistics(tag: str, array: npt.NDArray[Any]) -> list[Any]:
    """Return what a recorder writes of a tensor."""
    flat = array.ravel()
    numbers = {
        "norm": np.linalg.norm(flat),
        "mean": flat.mean(),
        "std": flat.std(),
        "min": flat.min(),
        "max": flat.max(),
        "zero_share": (flat == 0).mean(),
        "nan_count": float(np.isnan(flat).sum()),
    }
    return [scalar(f"{tag}/{name}", number) for name, number in numbers.items()]


def test_rms_and_count_are_derived_from_logged_statistics(tmp_path: Path) -> None:
    arrays = [random().normal(size=(8, 9)) * scale + 0.1 for scale in (1e-6, 1.0, 1e6)]
    odd = arrays[1].copy()
    odd[0, 0] = np.nan
    write_run(
        tmp_path,
        *(event(*statistics("gradients/a/kernel", array), step=step) for step, array in enumerate([*arrays, odd])),
        # Squares that overflow make the norm infinite, though no element is; without the extremes, this cannot be seen.
        event(scalar("gradients/b/norm", np.inf), scalar("gradients/b/min", -1e30), scalar("gradients/b/max", 1e30)),
        event(scalar("gradients/c/norm", np.inf), scalar("gradients/d/norm", np.nan)),
    )
    rows = observed(tmp_path).to_dicts()
    for row, array in zip(rows, arrays, strict=False):
        holds(row, expected_moments(array), relative=1e-5)
    assert (rows[3]["nan_count"], rows[3]["norm"]) == (1, None)
    assert [(row["nan_count"], row["inf_count"], row["norm"]) for row in rows[4:]] == [
        (0, 0, None),
        (0, 1, None),
        (1, 0, None),
    ]


# Rules


class Log:
    """A log of a network: what is added is written at each step, one after the other."""

    def __init__(self, steps: int = STEPS) -> None:
        self.steps = steps
        self.values: list[list[Any]] = [[] for _ in range(steps)]
        self.rng = random()

    def add(self, tag: str, scale: Callable[[int], float], shape: tuple[int, ...] = (6, 5)) -> Log:
        """Add a tensor of normal numbers of a size that depends on the step."""
        for step, values in enumerate(self.values):
            values.append(tensor(tag, (self.rng.normal(size=shape) * scale(step)).astype(np.float32)))
        return self

    def loss(self, *numbers: float, tag: str = "loss") -> Log:
        for values, number in zip(self.values, numbers, strict=False):
            values.append(simple_value(tag, number))
        return self

    def write(self, folder: Path) -> Path:
        write_run(folder, *(event(*values, step=10 * step) for step, values in enumerate(self.values) if values))
        return folder


def network(layers: int = 4, steps: int = STEPS) -> Log:
    """Return a log of a network without a fault."""
    log = Log(steps)
    for layer in range(layers):
        log.add(f"gradients/layer_{layer}/kernel", lambda _: 0.01)
        log.add(f"gradients/layer_{layer}/bias", lambda _: 0.01, (5,))
        log.add(f"weights/layer_{layer}/kernel", lambda _: 0.3)
    return log.loss(*np.linspace(2, 1, steps))


def found(diagnosis: Diagnosis) -> list[tuple[Any, ...]]:
    return diagnosis.findings.select("rule", "family", "layer", "first_step", "last_step", "points").rows()


def test_a_healthy_network_raises_no_finding(tmp_path: Path) -> None:
    diagnosis = diagnose(network().write(tmp_path))
    assert found(diagnosis) == []
    assert diagnosis.coverage.rows() == [
        (".", "gradients", 4, 0, 110, 12, "tensor"),
        (".", "weights", 4, 0, 110, 12, "tensor"),
        (".", "loss", 1, 0, 110, 12, "scalar"),
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-6, 4), st.sampled_from([1e-3, 0.05, 1.0]))
@pytest.mark.slow
def test_noise_raises_no_finding(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: float, noise: float
) -> None:
    """Gradients of any size that vary by a factor of three from layer to layer and from step to step."""
    rng = np.random.default_rng(seed)
    log = Log(20)
    for layer in range(5):
        scale = 10**size * 3 ** rng.uniform(-1, 1)
        factors = 3 ** rng.uniform(-1, 1, 20)
        log.add(f"gradients/{layer}/kernel", lambda step, s=scale, f=factors: s * f[step])  # type: ignore[misc]
        log.add(f"weights/{layer}/kernel", lambda step, s=scale: s * 10 * (1 + step / 10))  # type: ignore[misc]
    log.loss(*(np.exp(-np.arange(20) / 5) * (1 + noise * rng.uniform(-0.5, 0.5, 20))))
    diagnosis = diagnose(log.write(tmp_path_factory.mktemp("log")))
    assert found(diagnosis) == []


def test_a_single_nan_in_any_series_is_reported(tmp_path: Path) -> None:
    log = network()
    weight = np.ones((3, 2), np.float32)
    weight[1, 1] = np.nan
    log.values[4].append(tensor("gradients/odd/kernel", weight))
    log.values[5].append(scalar("accuracy", np.inf))
    log.values[6].append(scalar("accuracy", 0.5))
    log.values[7] += statistics("gradients/recorded/kernel", weight)
    log.values[8].append(tensor("weights/bn/moving_mean", weight[1]))
    log.values[9].append(tensor("predictions/side", weight[1]))
    diagnosis = diagnose(log.write(tmp_path))
    assert found(diagnosis) == [
        ("not_finite", "gradients", "odd", 40, 40, 1),
        ("not_finite", "states", "bn/moving_mean", 80, 80, 1),
        ("not_finite", "predictions", "side", 90, 90, 1),
        ("not_finite", "gradients", "recorded", 70, 70, 1),
        ("not_finite", "scalars", "accuracy", 50, 50, 1),
    ]
    assert diagnosis.findings["observed"].to_list() == [1, 1, 1, 1, 2]


@pytest.mark.parametrize("steps", [2, 3, 12])
def test_vanishing_by_depth_is_reported_after_enough_steps(tmp_path: Path, steps: int) -> None:
    """Each layer has a tenth of the gradient of the one after it: the first has 1e-4 of the last."""
    log = Log()
    for layer in range(5):
        log.add(f"gradients/{layer}/kernel", lambda step, n=layer: 10.0 ** (n - 4 if 4 <= step < 4 + steps else 0))  # type: ignore[misc]
    diagnosis = diagnose(log.write(tmp_path))
    last = 10 * min(3 + steps, STEPS - 1)
    expected = [("vanishing_depth", "gradients", "0", 40, last, min(steps, 8))]
    rows = [row for row in found(diagnosis) if row[2] == "0"]
    assert rows == (expected if steps >= 3 else [])
    if rows:
        assert diagnosis.findings["value"][0] == pytest.approx(1e-4, rel=0.8)


def test_vanishing_is_found_in_histograms_statistics_and_layer_errors(tmp_path: Path) -> None:
    rng = random()
    for name, values in {
        "histogram": lambda tag, array: [_histogram(f"{tag}/kernel/histogram", array)],
        "statistics": lambda tag, array: statistics(f"{tag}/kernel", array),
        "norm": lambda tag, array: [scalar(f"{tag}/kernel/norm", np.linalg.norm(array))],
        "by_hand": lambda tag, array: [scalar(tag, np.linalg.norm(array))],
    }.items():
        events = []
        for step in range(5):
            arrays = [rng.normal(size=(9, 9)) * 30.0 ** (layer - 4) for layer in range(5)]
            parts = [part for layer, array in enumerate(arrays) for part in values(f"gradients/{layer}", array)]
            events.append(event(*parts, step=step))
        write_run(tmp_path / name, *events)
    errors = []
    for step in range(5):
        sizes = [1e-6, 1e-2, 0.3, 1, 1e6]  # the error after a softmax may be of any size
        arrays = [rng.normal(size=(8, 3)) * size for size in sizes]
        errors.append(event(*(tensor(f"layer_errors/{n}", each) for n, each in enumerate(arrays)), step=step))
    write_run(tmp_path / "errors", *errors)
    findings = diagnose(tmp_path).findings
    by_run = {run: rows["layer"].to_list() for (run,), rows in findings.group_by("run")}
    first = ["0", "1"]
    assert by_run == {"histogram": first, "statistics": first, "norm": first, "by_hand": first, "errors": ["0"]}
    assert set(findings["rule"]) == {"vanishing_depth"}


def _histogram(tag: str, array: npt.NDArray[Any]) -> Any:
    counts, edges = np.histogram(array, 30)
    return histogram(tag, np.stack([edges[:-1], edges[1:], counts], axis=1))


def test_gradients_that_cannot_move_a_weight_are_found_unless_training_is_done(tmp_path: Path) -> None:
    for run, losses in {"stuck": np.full(STEPS, 0.7), "done": np.geomspace(1, 1e-9, STEPS)}.items():
        log = Log()
        for layer in range(3):
            log.add(f"gradients/{layer}/kernel", lambda step: 1e-2 if step < 6 else 1e-11)
            log.add(f"weights/{layer}/kernel", lambda _: 0.1)
        log.loss(*losses).write(tmp_path / run)
    diagnosis = diagnose(tmp_path)
    assert set(diagnosis.findings["run"]) == {"stuck"}
    rows = [row for row in found(diagnosis) if row[0] == "vanishing_level"]
    assert rows == [("vanishing_level", "gradients", str(layer), 60, 110, 6) for layer in range(3)]


def test_growth_before_nan_is_reported_as_exploding(tmp_path: Path) -> None:
    sizes = [1.0, 1.0, 1.0, 1.0, 1e4, 1e9, *[np.nan] * 6]
    log = Log()
    for layer in range(3):
        log.add(f"gradients/{layer}/kernel", lambda step: sizes[step])
    log.loss(2.0, 2.0, 1.9, 1.8, 1e4, 1e9, *[np.nan] * 6)
    rows = found(diagnose(log.write(tmp_path)))
    for layer in "012":
        assert ("exploding_growth", "gradients", layer, 40, 50, 2) in rows
        assert ("not_finite", "gradients", layer, 60, 110, 6) in rows
    assert ("diverging_growth", "loss", "loss", 40, 50, 2) in rows


def test_nan_alone_is_not_an_explosion(tmp_path: Path) -> None:
    log = Log()
    for layer in range(3):
        log.add(f"gradients/{layer}/kernel", lambda step: 0.1 if step < 6 else np.nan)
    log.loss(*[0.9, 0.8, 0.7, 0.6, 0.5, 0.4], *[np.nan] * 6)
    assert {row[0] for row in found(diagnose(log.write(tmp_path)))} == {"not_finite"}


def test_a_spike_is_not_an_explosion(tmp_path: Path) -> None:
    log = network()
    log.add("gradients/spiky/kernel", lambda step: 1e3 if step in {5, 6} else 0.01)
    assert found(diagnose(log.write(tmp_path))) == []


def test_explosions_by_depth_and_relative_to_weights_are_reported(tmp_path: Path) -> None:
    log = Log()
    for layer, size in enumerate([1e6, 1e3, 1.0, 1.0, 1.0, 1.0]):
        log.add(f"gradients/{layer}/kernel", lambda _, s=size: s)  # type: ignore[misc]
        log.add(f"weights/{layer}/kernel", lambda _: 10.0)
    rows = found(diagnose(log.write(tmp_path)))
    assert rows == [
        ("exploding_level", "gradients", "0", 0, 110, 12),
        ("exploding_depth", "gradients", "0", 0, 110, 12),
    ]


def test_values_that_begin_at_zero_may_grow(tmp_path: Path) -> None:
    """The scale of a residual branch that begins at zero, and the gradient of the layer before it."""
    log = network()
    log.add("weights/scale/kernel", lambda step: 1e-6 * 10 ** min(step, 5))
    log.add("gradients/inner/kernel", lambda step: 1e-5 * 10 ** min(step / 2, 3))
    assert found(diagnose(log.write(tmp_path))) == []


def test_dead_layers_and_dead_units_are_reported(tmp_path: Path) -> None:
    log = network()
    log.add("gradients/dead/kernel", lambda step: 0.0 if step >= 3 else 0.01)
    log.add("gradients/dead/bias", lambda step: 0.0 if step >= 3 else 0.01, (5,))
    rng = random()
    for values in log.values:
        bias = np.zeros(40, np.float32)
        bias[:3] = rng.normal(size=3)
        values += [tensor("gradients/tired/bias", bias), tensor("gradients/tired/kernel", np.outer(np.ones(4), bias))]
        sparse = np.zeros((5000, 4), np.float32)
        sparse[rng.integers(0, 5000, 20)] = 0.1
        values.append(tensor("gradients/words/embeddings", sparse))
        values.append(tensor("activations/relu", np.maximum(rng.normal(size=(16, 8)), 0)))
    rows = found(diagnose(log.write(tmp_path)))
    assert rows == [
        ("dead_layer", "gradients", "dead", 30, 110, 9),
        ("dead_units", "gradients", "tired", 0, 110, 12),
    ]


def test_a_finished_training_is_not_reported_as_dead(tmp_path: Path) -> None:
    """A hinge loss that has come to zero has no gradient."""
    log = Log()
    for layer in range(3):
        log.add(f"gradients/{layer}/kernel", lambda step: 0.0 if step >= 5 else 0.1)
        log.add(f"gradients/{layer}/bias", lambda step: 0.0 if step >= 5 else 0.1, (5,))
    log.loss(1.0, 0.9, 0.5, 0.2, 0.1, *[0.0] * 7)
    assert found(diagnose(log.write(tmp_path))) == []


@pytest.mark.parametrize(("function", "size"), [(np.tanh, 20.0), (lambda x: 1 / (1 + np.exp(-x)), 40.0)])
def test_outputs_at_their_bounds_are_reported_as_saturated(tmp_path: Path, function: Any, size: float) -> None:
    rng = random()
    events = []
    for step in range(5):
        sums = rng.normal(size=(64, 16))
        values = [
            tensor("activations/flat", function(sums * size)),
            _histogram("activations/seen/histogram", function(sums * size)),
            tensor("activations/fine", function(sums)),
            tensor("activations/relu", np.clip(sums, 0, 0.95)),
            tensor("activations/softmax", np.eye(16)[rng.integers(0, 16, 64)]),
        ]
        events.append(event(*values, step=step))
    write_run(tmp_path, *events)
    rows = found(diagnose(tmp_path))
    assert rows == [("saturated_outputs", "activations", layer, 0, 4, 5) for layer in ("flat", "seen")]


def dense_chain(slope: float, gain: float, *, steps: int = 6, batch: int = 8) -> list[Any]:
    """Return events of three dense layers whose gradients are those of a true chain.

    ``slope`` is that of the activation in the middle layer, ``gain`` the size of what its units sum up.
    """
    rng = random()
    units = [12, 16, 20, 5]
    weights = [rng.normal(size=shape) / shape[0] ** 0.5 for shape in itertools.pairwise(units)]
    weights[1] *= gain
    events = []
    for step in range(steps):
        delta = rng.normal(size=(batch, units[-1])) / batch
        values = []
        for layer in (2, 1, 0):
            inputs = rng.normal(size=(batch, units[layer]))
            values += [
                tensor(f"gradients/dense_{layer}/kernel", inputs.T @ delta),
                tensor(f"gradients/dense_{layer}/bias", delta.sum(0)),
                tensor(f"weights/dense_{layer}/kernel", weights[layer] * (1 + step / 100)),
            ]
            delta = (delta @ weights[layer].T) * (slope if layer == 2 else 0.8)
        events.append(event(*values[6:], *values[3:6], *values[:3], step=step))
    return events


@pytest.mark.parametrize(
    ("slope", "gain", "rules"),
    [
        (0.8, 1.0, set()),
        (0.25, 1.0, set()),  # a sigmoid at its best
        (0.005, 1.0, {"saturated_slope"}),
        (0.1, 20.0, {"saturated_weights"}),
        (0.8, 20.0, set()),  # a ReLU with large weights
        (1e-6, 1.0, {"saturated_slope", "vanishing_depth"}),
    ],
)
def test_the_slope_of_an_activation_follows_from_gradients(
    tmp_path: Path, slope: float, gain: float, rules: set[str]
) -> None:
    write_run(tmp_path, *dense_chain(slope, gain))
    rows = found(diagnose(tmp_path))
    assert {row[0] for row in rows} == rules
    assert {row[2] for row in rows if row[0].startswith("saturated")} <= {"dense_1"}


@pytest.mark.parametrize(
    ("numbers", "rules"),
    [
        (np.full(30, 2.3), {"plateau_loss"}),
        (np.full(4, 2.3), set()),  # too few values
        (2.3 + random().normal(size=60) * 0.2, {"plateau_loss"}),
        (np.linspace(2.3, 2.29, 40), {"plateau_loss"}),
        (np.linspace(2.3, 2.0, 40), set()),
        # Fast at first, then at its floor for long.
        (np.concatenate([[2.3, 1.9, 1.5, 0.6], np.full(300, 0.1)]), set()),
        (np.geomspace(1, 50, 20), {"diverging_end"}),
        (np.concatenate([np.geomspace(2, 0.1, 20), np.geomspace(0.1, 2.5, 20)]), {"diverging_end"}),
        (np.concatenate([np.geomspace(2, 0.1, 20), np.full(20, 0.5)]), set()),  # worse, yet better than at first
        (np.concatenate([np.full(20, -1.0), np.linspace(-1, 5, 20)]), {"diverging_end"}),
        (np.linspace(-1, -9, 20), set()),
        ([1.0, 0.9] * 4 + [1e5, 1e6, 1e5, *np.geomspace(1e3, 0.5, 20)], {"diverging_growth", "spike_loss"}),
        ([1.0, 0.9, 1e5, 0.8, 0.7, 0.6, 0.5, 0.4], set()),
        (np.zeros(20), set()),
        # The losses of single samples.
        (np.abs(random().normal(size=30)), set()),
        (random().exponential(size=400), {"plateau_loss"}),
    ],
)
def test_losses_have_the_expected_findings(tmp_path: Path, numbers: Sequence[float], rules: set[str]) -> None:
    Log(len(numbers)).loss(*numbers).write(tmp_path)
    assert {row[0] for row in found(diagnose(tmp_path))} == rules


def test_constant_weights_are_reported_as_plateau(tmp_path: Path) -> None:
    log = Log()
    fixed = random().normal(size=(4, 3)).astype(np.float32)
    for step, values in enumerate(log.values):
        values += [tensor("weights/stuck/kernel", fixed), tensor("gradients/stuck/kernel", fixed * 0.1 + step)]
        values += [tensor("weights/frozen/kernel", fixed)]
        values += [tensor("weights/live/kernel", fixed + 0.01 * step), tensor("gradients/live/kernel", fixed * 0.1)]
    rows = found(diagnose(log.write(tmp_path)))
    assert rows == [
        ("plateau_weights", "weights", "stuck", 0, 110, 12),
        ("frozen_layer", "weights", "frozen", 0, 110, 12),
    ]


def test_rows_are_examined_in_the_order_of_the_log(tmp_path: Path) -> None:
    """A training that diverged, and was taken up again from an earlier step with success."""
    first = [*np.linspace(2, 1.5, 6), *np.geomspace(3, 20, 6)]
    write_run(tmp_path, *(event(simple_value("loss", v), step=s) for s, v in enumerate(first)), name=file_name(1))
    again = np.linspace(1.4, 0.2, 10)
    events = [event(simple_value("loss", v), step=s + 6, wall_time=50.0) for s, v in enumerate(again)]
    write_run(tmp_path, *events, name=file_name(2), wall_time=50.0)
    assert found(diagnose(tmp_path)) == [("steps_back", "loss", "loss", 6, 6, 1)]


def test_command_passes_thresholds_and_steps(tmp_path: Path) -> None:
    log = Log(5)
    for layer in range(3):
        log.add(f"gradients/{layer}/kernel", lambda step, n=layer: 0.1 ** (2 - n if step >= 3 else 0))  # type: ignore[misc]
    log.write(tmp_path)
    assert found(diagnose(tmp_path)) == []
    assert found(diagnose(tmp_path, thresholds={"vanishing_depth": 0.05})) == []
    rows = found(diagnose(tmp_path, thresholds={"vanishing_depth": 0.05}, steps=2))
    assert rows == [("vanishing_depth", "gradients", "0", 30, 40, 2)]
    with pytest.raises(OptionError, match="'vanishing_depth'"):
        diagnose(tmp_path, thresholds={"vanishing": 1})
    with pytest.raises(OptionError, match="NaN"):
        diagnose(tmp_path, thresholds={"dead_layer": np.nan})
    with pytest.raises(OptionError, match="at least 1"):
        diagnose(tmp_path, steps=0)


def test_every_rule_can_be_switched_by_its_threshold() -> None:
    assert set(RULES) <= set(THRESHOLDS)
    for rule in RULES.values():
        assert rule.message.format(value=0.5, size=0.5, times="once")
        assert rule.families


def test_runs_are_diagnosed_separately(tmp_path: Path) -> None:
    network().write(tmp_path / "fine")
    log = network()
    log.add("gradients/layer_1/other/kernel", lambda _: 0.0)
    log.write(tmp_path / "ill")
    diagnosis = diagnose(tmp_path)
    assert diagnosis.findings["run"].to_list() == ["ill"]
    assert found(diagnose(tmp_path, selection=Selection(runs=("fine",)))) == []
    assert found(diagnose(tmp_path, selection=Selection(exclude_tags=("*/other/*",)))) == []
    with pytest.raises(Tb2csvError, match="gradients/layer_1"):
        diagnose(tmp_path, selection=Selection(tags=("gradients/layer_1",)))


def test_odd_values_do_not_stop_a_diagnosis(tmp_path: Path) -> None:
    """Tensors without elements, of changing shapes and types, and payloads that are not what they say."""
    broken = tensor_of("DT_FLOAT", (3,), tensor_content=b"12345")
    write_run(
        tmp_path,
        event(tensor("gradients/a", np.zeros((0, 3), np.float32)), step=0),
        event(tensor("gradients/a", np.ones((2, 3), np.float32)), step=1),
        event(tensor("gradients/a", np.ones(4)), step=2),
        event(tensor("gradients/a", broken), step=3),
        event(tensor("gradients/a", np.array([b"text"])), step=4),
        event(bare_scalar("gradients/a", 2.0), bare_scalar("loss", 1.0), step=5),
        event(histogram("gradients/a", np.ones((3, 3))), step=6),
    )
    diagnosis = diagnose(tmp_path)
    assert found(diagnosis) == []
    assert [entry.step for run in diagnosis.report.runs for entry in run.undecodable] == [3]
    row = diagnosis.coverage.row(0, named=True)
    assert (row["family"], row["points"]) == ("gradients", 4)


# The command


def test_the_command_writes_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = network()
    log.values[3].append(tensor("gradients/layer_0/extra", np.array([np.nan, 1.0])))
    log.write(tmp_path / "logs" / "run")
    ran = run_here(capsys, "diagnose", tmp_path / "logs")
    assert ran.status == 0
    (row,) = parse_rows(ran.stdout)
    assert row == {
        "run": "run",
        "problem": "not finite",
        "rule": "not_finite",
        "family": "gradients",
        "layer": "layer_0/extra",
        "first_step": "30",
        "last_step": "30",
        "points": "1",
        "observed": "1",
        "value": "1.0",
        "threshold": "1.0",
        "message": "NaN or infinity: up to 1 per step",
    }
    assert "gradients of 5 layers at 12 steps (tensor), weights of 4 layers" in ran.stderr
    ran = run_here(capsys, "diagnose", tmp_path / "logs", "--json", "--quiet")
    (finding,) = json.loads(ran.stdout)
    assert finding["layer"] == "layer_0/extra"
    assert not ran.stderr
    ran = run_here(capsys, "diagnose", tmp_path / "logs", "-o", tmp_path / "found.md")
    assert ran.stdout == f"1 row: see {tmp_path / 'found.md'}\n"
    assert "| run | not finite | not_finite | gradients |" in (tmp_path / "found.md").read_text()


def test_command_reports_the_coverage_of_each_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, event(scalar("accuracy", 0.5), tensor("g1", np.ones(3)), step=1))
    ran = run_here(capsys, "diagnose", tmp_path)
    assert ran.status == 1
    assert "nothing to diagnose" in ran.stderr
    ran = run_here(capsys, "diagnose", tmp_path, "--as", "gradients=g*")
    assert (ran.status, ran.stderr) == (0, "run '.' was judged by gradients of 1 layer at 1 step (tensor)\n")
    for options, message in {
        ("--as", "grads=g*"): "FAMILY=GLOB",
        ("--threshold", "dead_layer"): "NAME=NUMBER",
        ("--threshold", "dead=1"): "'dead_layer'",
    }.items():
        ran = run_here(capsys, "diagnose", tmp_path, *options)
        assert ran.status == 2
        assert message in ran.stderr
    with pytest.raises(LogdirError):
        diagnose(tmp_path / "nowhere")


def test_damaged_bytes_are_reported_with_status_3(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run_here(capsys, "diagnose", ROOT / "sample_logs")
    assert ran.status == 3
    assert "42 bytes lost" in ran.stderr
    assert [(row["run"], row["rule"]) for row in parse_rows(ran.stdout)] == [
        ("restarted", "diverging_end"),
        ("restarted", "steps_back"),
        ("tf2", "not_finite"),
    ]


def test_a_terminal_gets_a_table_that_fits(tmp_path: Path) -> None:
    from rich.console import Console

    from tb2csv.cli.diagnosis_table import findings_table

    log = network()
    log.add("gradients/a_layer_with_a_name_that_is_rather_long/and_more/kernel", lambda _: 0.0)
    rows = diagnose(log.write(tmp_path)).findings.to_dicts()
    for width in (60, 80, 200):
        console = Console(width=width, file=None, record=True, force_terminal=False, quiet=False)
        with console.capture() as capture:
            console.print(findings_table(rows, width))
        lines = capture.get().splitlines()
        assert all(len(line) <= width for line in lines)
        assert "dead_layer" in capture.get()
        assert "0…110" in capture.get()


def test_headings_are_not_cut_if_names_are_short(tmp_path: Path) -> None:
    from rich.console import Console

    from tb2csv.cli.diagnosis_table import findings_table

    rows = diagnose(network().loss(*[np.nan] * STEPS, tag="g").write(tmp_path)).findings.to_dicts()
    console = Console(width=80, record=True)
    with console.capture() as capture:
        console.print(findings_table(rows, 80))
    assert capture.get().splitlines()[0].split() == ["rule", "layer", "steps", "at", "what"]


def test_a_diagnosis_starts_in_a_process_of_its_own(tmp_path: Path) -> None:
    ran = run_process("diagnose", network().write(tmp_path), "--format", "csv", "--steps", "2")
    assert ran.status == 0
    assert ran.stdout.startswith('"run","problem","rule","family","layer",')


def test_every_rule_threshold_and_column_is_documented(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "diagnose.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    documented = {cells[0].strip("| `"): cells[-1].strip(" |") for cells in rows if len(cells) == 3}
    for name, threshold in THRESHOLDS.items():
        assert float(documented[name]) == threshold.default
    assert list(RULES) == [name for name in documented if name in RULES]
    columns = {name for cells in rows for name in re.findall(r"`([a-z_]+)`", cells[0])}
    assert set(diagnose(network().write(tmp_path)).findings.columns) <= columns
    assert {*FAMILIES} <= columns
    assert {rule.problem for rule in RULES.values()} <= set(re.findall(r"`([a-z ]+)`", page))


def test_the_example_of_the_page_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (code,) = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs" / "diagnose.md").read_text(), re.DOTALL | re.MULTILINE
    )
    exec(compile(code, "diagnose.md", "exec"), {})
    assert "not_finite" in capsys.readouterr().out
