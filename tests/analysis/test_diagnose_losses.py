"""Rules about losses, learning rates and steps: faults that are found, and healthy trainings in which nothing is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import run_here
from event_files import event, file_name, scalar, simple_value, write_run

from tb2csv.analysis.diagnosis.diagnose import diagnose
from tb2csv.analysis.diagnosis.rules import RULES
from tb2csv.analysis.diagnosis.tag_families import (
    TagFamilies,
    data_name,
    is_competing_loss,
    is_learning_rate,
    is_validation_loss,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    Curve = npt.NDArray[np.float64]

STEPS = 200
SEEDS = (0, 1, 2)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noisy(curve: Curve, seed: int = 0, share: float = 0.1) -> Curve:
    """Return a curve with noise of such a share of each value."""
    return curve * (1 + share * random(seed).normal(size=curve.size))


def decay(points: int = STEPS, first: float = 2.3, last: float = 0.2, rate: float = 5.0) -> Curve:
    """Return a loss that falls fast at first."""
    return last + (first - last) * np.exp(-rate * np.arange(points) / points)


def write(folder: Path, curves: Mapping[str, Curve], steps: Mapping[str, Any] | None = None) -> Path:
    """Write a run with scalars; ``steps`` are those of tags that do not count from 0."""
    rows = [
        (int(step), tag, float(value))
        for tag, curve in curves.items()
        for step, value in zip((steps or {}).get(tag, range(len(curve))), curve, strict=True)
    ]
    if steps is None:
        rows.sort(key=lambda row: row[0])
    write_run(folder, *(event(simple_value(tag, value), step=step) for step, tag, value in rows))
    return folder


def found(folder: Path, **options: Any) -> list[tuple[Any, ...]]:
    return diagnose(folder, **options).findings.select("rule", "layer", "first_step", "last_step", "points").rows()


def rules(folder: Path) -> set[str]:
    return set(diagnose(folder).findings["rule"])


# What tags are about


@pytest.mark.parametrize(
    ("run", "tag", "expected"),
    [
        ("validation", "epoch_loss", True),
        ("fit/validation", "epoch_loss", True),
        (".", "val_loss", True),
        (".", "epoch/val_loss", True),
        (".", "Loss/test", True),
        (".", "eval/loss", True),
        ("loss_valid", "loss", True),
        ("train", "epoch_loss", False),
        ("validation", "evaluation_loss_vs_iterations", False),  # its steps are batches, and it is the loss of an epoch
        (".", "val/kl_loss", False),
        (".", "val_accuracy", False),
    ],
)
def test_validation_losses_are_recognized_by_run_and_tag(run: str, tag: str, expected: bool) -> None:
    assert is_validation_loss(run, tag) is expected
    assert (TagFamilies().quantity(run, tag, "scalars")[0] == "validation_loss") is expected  # type: ignore[index]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("lr", True),
        ("learning_rate", True),
        ("epoch_learning_rate", True),
        ("train/lr", True),
        ("lr-Adam/pg1", True),
        ("optimizer/learning rate", True),
        ("lr-SGD-momentum", False),
        ("lr_factor", False),
        ("log_lr", False),
        ("learning", False),
        ("slr", False),
    ],
)
def test_learning_rates_are_recognized_by_tag(tag: str, expected: bool) -> None:
    assert is_learning_rate(tag) is expected


def test_losses_of_one_model_share_a_data_name() -> None:
    pairs = [
        (("train", "epoch_loss"), ("validation", "epoch_loss")),
        (("a/train", "epoch_loss"), ("a/validation", "epoch_loss")),
        ((".", "Loss/train"), (".", "Loss/test")),
        ((".", "train_loss_epoch"), (".", "val_loss")),
        ((".", "train/part_2/loss"), (".", "val/part_2/loss")),
    ]
    for training, validation in pairs:
        assert data_name(*training) == data_name(*validation)
    assert data_name("a/train", "loss") != data_name("b/validation", "loss")
    assert data_name(".", "train/part_1/loss") != data_name(".", "val/part_2/loss")


# Healthy trainings


def descent_again(points: int = STEPS) -> Curve:
    """Return the validation loss of a double descent: down, up to twice its lowest level, and down below that."""
    at = np.linspace(0, 1, points)
    return np.interp(at, [0, 0.2, 0.5, 0.9, 1], [2.0, 0.8, 1.6, 0.6, 0.55])


def restarts(points: int = STEPS, cycle: int = 50) -> tuple[Curve, Curve]:
    """Return a learning rate with warm restarts, and a loss that jumps up to four times its level after each."""
    place = np.arange(points) % cycle
    rate = 0.05 * (1 + np.cos(np.pi * place / cycle))
    jump = np.where(np.arange(points) >= cycle, 0.6 * np.exp(-place / 8), 0)
    return rate, decay(points) + jump


def generator(seed: int) -> Curve:
    """Return a loss that wanders around its level, as those of a GAN do."""
    rng = random(seed)
    wander = np.zeros(STEPS)
    for step in range(1, STEPS):
        wander[step] = 0.9 * wander[step - 1] + 0.1 * rng.normal()
    return 0.7 * np.exp(wander + 0.3 * rng.normal(size=STEPS))


def healthy(name: str, seed: int) -> dict[str, Curve]:
    rng = random(seed)
    warmup = np.minimum(np.arange(STEPS) / 20, 1) * 1e-3
    cosine = 0.5e-3 * (1 + np.cos(np.pi * np.arange(STEPS) / (STEPS - 1)))
    kinds: dict[str, dict[str, Curve]] = {
        "plain": {"loss": decay(), "val_loss": decay(last=0.3)},
        "noisy": {"loss": noisy(decay(), seed, 0.3), "val_loss": noisy(decay(last=0.3), seed + 9, 0.2)},
        "single_samples": {"loss": decay() * np.exp(rng.normal(size=STEPS))},
        "squared_errors": {"loss": decay() * rng.normal(size=STEPS) ** 2},
        "gan": {
            "d_loss": generator(seed),
            "g_loss": generator(seed + 9),
            "loss": generator(seed + 18),
        },
        # Actor and critic: a loss around zero with heavy tails; rewards that are written for each environment.
        "reinforcement": {"train/loss": 0.01 * rng.laplace(size=STEPS), "reward": np.cumsum(rng.normal(size=STEPS))},
        "double_descent": {"loss": noisy(decay(), seed, 0.05), "val_loss": noisy(descent_again(), seed + 9, 0.03)},
        "kl_annealing": {
            "loss": noisy(decay(first=200, last=90) + 20 * np.minimum(np.arange(STEPS) / 150, 1), seed, 0.03),
            "kl_loss": 20 * np.minimum(np.arange(STEPS) / 150, 1),
            "beta": np.minimum(np.arange(STEPS) / 150, 1),
        },
        "fine_tuning": {
            "train/loss": noisy(np.linspace(0.31, 0.29, STEPS), seed, 0.02),
            "eval/loss": noisy(np.linspace(0.40, 0.412, 20), seed + 9, 0.002),
        },
        "converged": {
            "loss": noisy(np.maximum(decay(last=0, rate=20), 1e-4), seed, 0.3),
            "val_loss": noisy(np.maximum(decay(last=0, rate=20), 2e-4), seed + 9, 0.3),
        },
        "warm_restarts": dict(zip(("lr", "loss"), restarts(), strict=True)),
        "warmup": {"loss": noisy(decay(), seed), "learning_rate": warmup},
        "cosine": {"loss": noisy(decay(), seed), "lr-AdamW": cosine},
        "rises_below_its_beginning": {"loss": np.interp(np.arange(STEPS), [0, 60, 140, 199], [2.0, 0.2, 0.8, 0.8])},
        "negative": {
            "loss": noisy(decay(first=-1, last=-6), seed),
            "val_loss": noisy(decay(first=-1, last=-5), seed + 9),
        },
        "through_zero": {"loss": decay(first=3, last=-2) + 0.1 * rng.normal(size=STEPS)},
        # The last batch of an epoch is a small one.
        "small_batches": {"loss": noisy(decay(), seed, np.where(np.arange(STEPS) % 16 == 15, 0.5, 0.1))},  # type: ignore[arg-type]
    }
    return kinds[name]


HEALTHY = (
    "plain",
    "noisy",
    "single_samples",
    "squared_errors",
    "gan",
    "reinforcement",
    "double_descent",
    "kl_annealing",
    "fine_tuning",
    "converged",
    "warm_restarts",
    "warmup",
    "cosine",
    "rises_below_its_beginning",
    "negative",
    "through_zero",
    "small_batches",
)
#: The loss of a fine-tuning is flat, which is what this rule looks for.
FLAT = {"fine_tuning": {"plateau_loss"}, "gan": {"plateau_loss"}, "reinforcement": {"plateau_loss"}}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_training_raises_no_finding(name: str, seed: int, tmp_path: Path) -> None:
    folder = write(tmp_path, healthy(name, seed))
    assert rules(folder) - FLAT.get(name, set()) == set()


# Faults


def with_spikes(curve: Curve, *spikes: tuple[int, float]) -> Curve:
    """Return a curve with values at some places multiplied."""
    raised = curve.copy()
    for place, times in spikes:
        raised[place] *= times
    return raised


@pytest.mark.parametrize(
    ("spikes", "first", "last"),
    [
        (((100, 6.0),), 100, 100),
        (((100, 15.0),), 100, 100),
        (((100, 20.0), (101, 17.0)), 100, 101),
        (((50, 15.0), (100, 20.0), (150, 17.0)), 50, 150),
        (((197, 12.0),), 197, 197),
    ],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_spike_is_found_in_a_noisy_loss(
    spikes: tuple[tuple[int, float], ...], first: int, last: int, seed: int, tmp_path: Path
) -> None:
    folder = write(tmp_path, {"loss": with_spikes(noisy(decay(rate=8), seed, 0.05), *spikes)})
    assert found(folder) == [("spike_loss", "loss", first, last, len(spikes))]
    highest = max(times for _, times in spikes)
    assert diagnose(folder).findings["value"][0] == pytest.approx(highest, rel=0.25)


@pytest.mark.parametrize(
    ("curve", "is_found"),
    [
        (with_spikes(np.full(STEPS, 1.0), (80, 4.9)), False),
        (with_spikes(np.full(STEPS, 1.0), (80, 5.0)), True),
        (with_spikes(np.full(STEPS, 1.0), (199, 50.0)), False),  # it may not come back
        (with_spikes(np.full(STEPS, 1.0), *((place, 50.0) for place in range(80, 120))), False),  # a new level
        (with_spikes(np.full(STEPS, 1.0), (80, np.nan), (81, 9.0), (82, np.inf)), True),
        (np.where(np.arange(STEPS) == 80, 20.0, -5.0), True),  # below zero
        (np.where(np.arange(STEPS) == 80, 5.0, -5.0), False),
        (np.zeros(STEPS), False),
        (with_spikes(noisy(decay(first=2, last=1e-3, rate=30)), (150, 9.0)), False),  # less than a hundredth of 2
    ],
)
def test_spikes_are_reported_with_their_steps(curve: Curve, is_found: bool, tmp_path: Path) -> None:
    assert ("spike_loss" in rules(write(tmp_path, {"loss": curve}))) is is_found


def rising(points: int, *, least: int, last: float) -> Curve:
    """Return a validation loss that falls up to a place and rises from there."""
    return np.interp(np.arange(points), [0, least, points - 1], [2.0, 0.6, last])


@pytest.mark.parametrize(
    ("validation", "steps", "onset"),
    [
        (rising(200, least=60, last=1.2), range(200), 60),
        (noisy(rising(200, least=60, last=1.2), 1, 0.05), range(200), 60),
        (
            with_spikes(noisy(rising(200, least=60, last=1.2), 2, 0.05), (199, 0.4)),
            range(200),
            60,
        ),  # the last is better
        (rising(20, least=6, last=1.2), range(0, 200, 10), 60),
        (np.linspace(0.7, 1.4, 8), range(0, 200, 25), 25),  # each worse than the one before
        (np.linspace(-6.0, -4.0, 20), range(0, 200, 10), 10),
        (rising(20, least=6, last=1.2), range(20), 6),  # epochs beside batches
    ],
)
def test_the_onset_of_overfitting_is_found(validation: Curve, steps: range, onset: int, tmp_path: Path) -> None:
    training = noisy(decay(), 5, 0.05) if validation[0] > 0 else noisy(decay(first=-2, last=-9), 5, 0.05)
    folder = write(
        tmp_path, {"train/loss": training, "val/loss": validation}, {"train/loss": range(200), "val/loss": steps}
    )
    ((rule, layer, first, last, points),) = found(folder)
    assert (rule, layer, last) == ("overfitting", "val/loss", steps[-1])
    assert abs(first - onset) <= 20 * max(1, steps.step // 10)
    assert points == sum(step >= first for step in steps)


@pytest.mark.parametrize(
    "curves",
    [
        # Both get worse: not what overfitting is.
        {"loss": np.interp(np.arange(200), [0, 60, 199], [2.0, 0.5, 1.1]), "val_loss": rising(200, least=60, last=1.2)},
        # The training loss stays from there on.
        {"loss": np.maximum(decay(rate=20), 0.3), "val_loss": rising(200, least=60, last=1.2)},
        # Another model.
        {"a/loss": decay(), "b/val_loss": rising(200, least=60, last=1.2)},
        {"val_loss": rising(200, least=60, last=1.2)},
        {"loss": decay(), "val_loss": rising(200, least=100, last=0.63)},
        {"loss": decay(), "val_loss": np.linspace(0.5, 0.7, 4)},
    ],
)
def test_a_validation_loss_alone_is_not_overfitting(curves: dict[str, Curve], tmp_path: Path) -> None:
    assert "overfitting" not in rules(write(tmp_path, curves))


def test_overfitting_is_found_in_the_runs_that_keras_writes(tmp_path: Path) -> None:
    write(tmp_path / "train", {"epoch_loss": decay(30), "evaluation_loss_vs_iterations": rising(30, least=9, last=1.2)})
    write(tmp_path / "validation", {"epoch_loss": rising(30, least=9, last=1.2)})
    findings = diagnose(tmp_path).findings.select("run", "rule", "family").rows()
    assert findings == [("validation", "overfitting", "validation_loss")]


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (np.zeros(STEPS), (0, 199, 200)),
        (np.where(np.arange(STEPS) < 50, 1e-3, 0), (50, 199, 150)),
        (np.where((np.arange(STEPS) >= 50) & (np.arange(STEPS) < 60), 0, 1e-3), (50, 59, 10)),
        (np.where(np.arange(STEPS) == 0, 0, 1e-3), None),
        (np.where(np.arange(STEPS) >= 198, 0, 1e-3), None),
        (np.full(STEPS, 1e-30), None),
    ],
)
def test_a_learning_rate_of_zero_is_found(rate: Curve, expected: tuple[int, ...] | None, tmp_path: Path) -> None:
    folder = write(tmp_path, {"loss": noisy(decay()), "train/learning_rate": rate})
    assert found(folder) == ([("learning_rate_zero", "train/learning_rate", *expected)] if expected else [])


def test_zero_learning_rate_at_the_first_step_only_raises_no_finding(tmp_path: Path) -> None:
    rate, steps = np.minimum(np.arange(40) // 8 / 4, 1) * 1e-3, np.arange(40) // 8
    write_run(tmp_path, *(event(scalar("lr", value), step=int(step)) for step, value in zip(steps, rate, strict=True)))
    assert "learning_rate_zero" not in rules(tmp_path)


def test_steps_that_go_back_are_reported_within_and_across_files(tmp_path: Path) -> None:
    """A training that is taken up again at step 100 after it has come to 119: in one file, and in a second one."""
    steps = [*range(120), *range(100, 180)]
    curve = noisy(decay(), 3, 0.05)
    write(tmp_path / "one", {"loss": curve, "accuracy": curve}, {"loss": steps, "accuracy": steps})
    for number, part in enumerate((slice(120), slice(120, 200))):
        events = [event(simple_value("loss", v), step=s) for s, v in zip(steps[part], curve[part], strict=True)]
        write_run(tmp_path / "two", *events, name=file_name(number + 1), wall_time=100.0 * number)
    write(tmp_path / "on", {"loss": curve}, {"loss": [*range(0, 240, 2), *range(240, 320)]})
    findings = diagnose(tmp_path).findings.select("run", "rule", "layer", "first_step", "last_step", "points").rows()
    assert findings == [("one", "steps_back", "loss", 100, 100, 1), ("two", "steps_back", "loss", 100, 100, 1)]


def test_repeated_steps_are_reported(tmp_path: Path) -> None:
    zeros, pairs = [0] * STEPS, [step // 2 for step in range(STEPS)]
    write(tmp_path / "all_zero", {"loss": noisy(decay())}, {"loss": zeros})
    write(tmp_path / "twice", {"loss": noisy(decay())}, {"loss": pairs})
    # The same value again loses nothing, and environments that end together have a reward each.
    again = np.repeat(noisy(decay(100)), 2)
    write(tmp_path / "again", {"loss": again, "reward": noisy(again)}, {"loss": pairs, "reward": pairs})
    findings = diagnose(tmp_path).findings.select("run", "rule", "first_step", "last_step", "points").rows()
    assert findings == [("all_zero", "steps_repeated", 0, 0, 199), ("twice", "steps_repeated", 0, 99, 100)]


@pytest.mark.parametrize(
    ("curve", "rule", "words"),
    [
        (
            np.interp(np.arange(STEPS), [2, 9, 199], [1.0, 1.5, 1.5]),
            "diverging_rise",
            "ends 50.0% above its beginning",
        ),
        (np.interp(np.arange(STEPS), [2, 40, 199], [-4.0, -2.5, -2.5]), "diverging_rise", "ends 37.5% above"),
        (np.interp(np.arange(STEPS), [0, 20, 199], [1.0, 3.0, 3.0]), "diverging_end", "times its lowest level"),
        (np.linspace(1.0, 1.01, STEPS), "plateau_loss", "did not fall: it rose by 0.9"),
        (np.linspace(1.0, 0.99, STEPS), "plateau_loss", "fell by 0.9"),
    ],
)
def test_a_loss_that_rose_is_reported_as_rising(curve: Curve, rule: str, words: str, tmp_path: Path) -> None:
    (row,) = diagnose(write(tmp_path, {"loss": curve})).findings.to_dicts()
    assert row["rule"] == rule
    assert words in row["message"]
    assert "-" not in row["message"]


# The exit status


def test_fail_on_sets_the_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, {"loss": with_spikes(decay(), (100, 20.0)), "lr": np.zeros(STEPS)})
    for names, status in {
        (): 0,
        ("not_finite",): 0,
        ("spike_loss",): 4,
        ("not_finite", "learning_rate_zero"): 4,
    }.items():
        options = [part for name in names for part in ("--fail-on", name)]
        ran = run_here(capsys, "diagnose", folder, "--quiet", *options)
        assert (ran.status, ran.stderr) == (status, "")
        assert ran.stdout.count("\n") == 3
    ran = run_here(capsys, "diagnose", folder, "--fail-on", "spike")
    assert ran.status == 2
    assert "'spike_loss'" in ran.stderr
    assert not ran.stdout
    assert set(diagnose(folder).findings["rule"]) == {"spike_loss", "learning_rate_zero"} <= set(RULES)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("overfit", "'overfitting'"),
        ("plateau", "'plateau_loss'"),
        ("step_back", "'steps_back'"),
        ("Dead_Layer", "'dead_layer'"),
        ("", "'"),
        ("saturated_weights_slope", "'saturated_weights'"),  # a threshold, not a rule
    ],
)
def test_an_unknown_rule_is_refused_before_reading(
    name: str, near: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run_here(capsys, "diagnose", tmp_path / "nowhere", "--fail-on", "spike_loss", "--fail-on", name)
    assert (ran.status, ran.stdout) == (2, "")
    assert repr(name) in ran.stderr
    assert near in ran.stderr


def test_fail_on_status_takes_precedence_over_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, {"loss": with_spikes(decay(), (100, 20.0))})
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-40] + b"\xff" * 9 + path.read_bytes()[-31:])
    for rule, status in (("spike_loss", 4), ("plateau_loss", 3)):
        assert run_here(capsys, "diagnose", folder, "--quiet", "--fail-on", rule).status == status


@pytest.mark.parametrize("rule", RULES)
def test_fail_on_accepts_every_rule(rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, {"loss": noisy(decay())})
    assert run_here(capsys, "diagnose", folder, "--quiet", "--fail-on", rule).status == 0


# Losses that have no level, or whose levels wander


@pytest.mark.parametrize(
    ("run", "tag", "expected"),
    [
        (".", "generator/loss", True),
        ("gan/discriminator", "loss", True),
        (".", "train/critic/loss", True),
        (".", "policy/loss", True),
        (".", "train/loss", False),
        ("generation_3", "loss", False),
        ("factor", "loss", False),
        (".", "epoch_loss", False),
    ],
)
def test_competing_losses_are_recognized_by_run_and_tag(run: str, tag: str, expected: bool) -> None:
    assert is_competing_loss(run, tag) is expected


def test_competing_losses_are_examined_for_spikes_only(tmp_path: Path) -> None:
    curve = with_spikes(np.linspace(0.7, 1.7, STEPS), (100, 20.0))
    write(tmp_path / "gan", {"generator/loss": curve})
    write(tmp_path / "plain", {"loss": curve})
    findings = diagnose(tmp_path).findings.select("run", "rule").rows()
    assert findings == [("gan", "spike_loss"), ("plain", "diverging_end"), ("plain", "spike_loss")]


@pytest.mark.parametrize("first", [1.0, -1.0, 0.2])
def test_a_loss_that_falls_through_zero_and_comes_back_is_diverging(first: float, tmp_path: Path) -> None:
    """A log-likelihood: both signs must not hide that everything learnt is lost."""
    curve = np.interp(np.arange(STEPS), [0, 100, 150, 199], [first, first - 4, first + 1, first + 1])
    folder = write(tmp_path, {"loss": curve + 0.1 * random().normal(size=STEPS)})
    assert set(diagnose(folder).findings["problem"]) == {"diverging"}


@pytest.mark.parametrize("level", [0.0, 0.05, -0.05])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_loss_around_zero_raises_no_finding(seed: int, level: float, tmp_path: Path) -> None:
    assert rules(write(tmp_path, {"loss": level + random(seed + 50).normal(size=STEPS)})) == set()


@pytest.mark.parametrize("noise", ["lognormal", "pareto", "student"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_spike_is_found_in_noise_only_if_the_noise_does_not_have_its_size(
    noise: str, seed: int, tmp_path: Path
) -> None:
    rng = random(seed + 70)
    factor = {
        "lognormal": np.exp(0.5 * rng.normal(size=STEPS)),
        "pareto": 1 + 0.3 * rng.pareto(2.5, STEPS),
        "student": 1 + 0.2 * np.abs(rng.standard_t(3, STEPS)),
    }[noise]
    write(tmp_path / "noise", {"loss": decay() * factor})
    write(tmp_path / "spike", {"loss": with_spikes(decay() * factor, (100, 1000.0))})
    assert diagnose(tmp_path).findings.select("run", "rule").rows() == [("spike", "spike_loss")]
