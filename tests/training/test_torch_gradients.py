"""Gradients that ``TorchRecorder`` records are those that the optimizer applies."""

from __future__ import annotations

import copy
import math
import pickle
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from recordings import at, numpy_statistics, recorded, steps
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tb2csv.errors import OptionError, RecorderError
from tb2csv.recorders import RecorderWarning, TorchRecorder
from tb2csv.recorders.pytorch import captures, tensor_numbers
from tb2csv.recorders.pytorch.tensor_numbers import fetched, reduced
from tb2csv.recorders.tensor_statistics import STATISTICS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INPUTS = torch.randn(12, 4, generator=torch.Generator().manual_seed(1))
TARGETS = torch.randn(12, 2, generator=torch.Generator().manual_seed(2))


@pytest.fixture(params=["processor", "device"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute as in the processor's memory, or as on another device."""
    if request.param == "device":
        for module in (tensor_numbers, captures):
            monkeypatch.setattr(module, "on_host", lambda _: False)


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.BatchNorm1d(5), nn.Linear(5, 2))


def backward(model: nn.Module) -> torch.Tensor:
    loss = nn.functional.mse_loss(model(INPUTS), TARGETS)
    loss.backward()
    return loss


def gradients_of(model: nn.Module) -> dict[str, Any]:
    return {name: each.grad.numpy().copy() for name, each in model.named_parameters() if each.grad is not None}


def assert_gradients(log_dir: Path, step: int, expected: dict[str, Any]) -> None:
    found = recorded(log_dir)
    assert {tag for tag in found if tag.startswith("gradients/") and tag.count("/") == 1} == {
        f"gradients/{name}" for name in expected
    }
    for name, gradient in expected.items():
        np.testing.assert_array_equal(at(found[f"gradients/{name}"], step), gradient)


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "nesterov": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True, foreach=True),
    "decay": lambda parameters: torch.optim.SGD(parameters, lr=0.1, weight_decay=0.5),
    "adam": torch.optim.Adam,
    "fused": lambda parameters: torch.optim.AdamW(parameters, fused=True),
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_recorded_gradients_are_those_before_the_step(name: str, tmp_path: Path) -> None:
    model = network()
    optimizer = OPTIMIZERS[name](model.parameters())
    expected = []
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1):
        for _ in range(3):
            optimizer.zero_grad()
            backward(model)
            expected.append(gradients_of(model))
            optimizer.step()
    for step, gradients in enumerate(expected, 1):
        assert_gradients(tmp_path, step, gradients)


def test_gradients_are_the_change_of_weights_by_a_rate_of_one(tmp_path: Path) -> None:
    model = network().double()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    before = {name: each.detach().numpy().copy() for name, each in model.named_parameters()}
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1):
        nn.functional.mse_loss(model(INPUTS.double()), TARGETS.double()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.01)
        optimizer.step()
    found = recorded(tmp_path)
    for name, each in model.named_parameters():
        change = before[name] - each.detach().numpy()
        np.testing.assert_allclose(at(found[f"gradients/{name}"], 1), change, atol=1e-15)


def test_accumulated_gradients_are_recorded_once_a_step(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    expected = []
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1):
        for batch in range(6):
            backward(model)
            if batch % 3 == 2:
                expected.append(gradients_of(model))
                optimizer.step()
                optimizer.zero_grad()
    assert steps(recorded(tmp_path)["gradients/0.weight"]) == [1, 2]
    for step, gradients in enumerate(expected, 1):
        assert_gradients(tmp_path, step, gradients)


@pytest.mark.parametrize("is_keyword", [False, True])
def test_a_closure_is_evaluated_before_its_gradients_are_taken(is_keyword: bool, tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected = []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = backward(model)
        expected.append(gradients_of(model))
        return loss

    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1):
        for _ in range(2):
            optimizer.step(closure=closure) if is_keyword else optimizer.step(closure)
    for step, gradients in enumerate(expected, 1):
        assert_gradients(tmp_path, step, gradients)


def test_of_many_evaluations_in_a_step_the_last_is_recorded(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5)
    last: dict[str, Any] = {}

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = backward(model)
        last.update(gradients_of(model))
        return loss

    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1):
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    assert_gradients(tmp_path, 1, last)


@pytest.mark.parametrize("fused", [False, True])
def test_gradients_are_unscaled_and_skipped_steps_have_none(fused: bool, tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=fused)
    plain = network()
    nn.functional.mse_loss(plain(INPUTS), TARGETS).backward()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1):
        for factor in (1.0, math.inf):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(INPUTS), TARGETS) * factor
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    assert_gradients(tmp_path, 1, gradients_of(plain))  # a power of two is exact
    assert steps(recorded(tmp_path)["gradients/0.weight"]) == [1]


class TwiceHooked(torch.optim.SGD):
    """An optimizer whose step, like that of its parent, calls hooks."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for each in group["params"]:
                each.grad.mul_(2)
        return super().step(closure)


def test_a_step_within_a_step_counts_once_with_the_inner_gradients(tmp_path: Path) -> None:
    model = network()
    optimizer = TwiceHooked(model.parameters(), lr=0.1)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1) as recorder:
        for _ in range(2):
            optimizer.zero_grad()
            backward(model)
            expected = {name: 2 * gradient for name, gradient in gradients_of(model).items()}
            optimizer.step()
        assert recorder.step == 2
    assert_gradients(tmp_path, 2, expected)


def test_an_exception_in_a_closure_leaves_no_step(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def failing() -> torch.Tensor:
        message = "in the closure"
        raise ValueError(message)

    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1):
        with pytest.raises(ValueError, match="in the closure"):
            optimizer.step(failing)
        backward(model)
        expected = gradients_of(model)
        optimizer.step()
    assert steps(recorded(tmp_path)["gradients/0.weight"]) == [1]
    assert_gradients(tmp_path, 1, expected)


def test_frozen_parameters_have_no_gradients_until_they_are_thawed(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model[0].requires_grad_(requires_grad=False)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1):
        for step in range(4):
            model[0].requires_grad_(requires_grad=step >= 2)
            optimizer.zero_grad()
            backward(model)
            optimizer.step()
    found = recorded(tmp_path)
    assert steps(found["gradients/0.weight"]) == [3, 4]
    assert steps(found["gradients/3.weight"]) == [1, 2, 3, 4]


def test_sparse_gradients_are_whole_tensors_and_count_zeros_that_are_not_stored(tmp_path: Path) -> None:
    model = nn.Embedding(50, 3, sparse=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1, gradient_statistics_every=1):
        model(torch.tensor([4, 7, 4])).square().sum().backward()
        expected = model.weight.grad.to_dense().numpy()
        optimizer.step()
    found = recorded(tmp_path)
    np.testing.assert_array_equal(at(found["gradients/weight"], 1), expected)
    for name, number in numpy_statistics(expected).items():
        assert float(at(found[f"gradients/weight/{name}"], 1)) == pytest.approx(number, rel=1e-6)


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(3, 1e-3, 1_000),
        np.random.default_rng(1).normal(size=3_000_001),
        np.full(77, 1e-30),
        np.full(77, -3e30),
        np.full(9, 0.1),
        np.zeros(5),
        [1.0, math.nan, 2.0],
        [1.0, math.inf, 2.0],
        [-math.inf, 3.0],
        [5.0],
    ],
    ids=["near one", "many", "tiny", "huge", "equal", "zeros", "nan", "inf", "minus inf", "one"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.usefixtures("place")
def test_statistics_are_those_of_numpy_in_float64(values: Any, dtype: torch.dtype) -> None:
    assert_statistics(torch.tensor(np.asarray(values), dtype=dtype))


def assert_statistics(tensor: torch.Tensor) -> None:
    """Compare the statistics of a tensor, as recorders compute them, with those of NumPy in float64."""
    exact = tensor.double().resolve_neg().numpy()
    with np.errstate(all="ignore"):
        expected = numpy_statistics(exact)
    if np.isnan(exact).any():
        expected |= dict.fromkeys(STATISTICS[:5], math.nan)
    size = float(np.abs(exact[np.isfinite(exact)]).max(initial=0))
    (numbers,) = fetched([reduced(tensor)])
    for name, number in zip(STATISTICS, numbers.tolist(), strict=True):
        assert number == pytest.approx(expected[name], rel=2e-6, abs=1e-7 * size, nan_ok=True), name


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last),
        torch.arange(24.0).reshape(4, 6)[:, ::2],
        torch.arange(24, dtype=torch.bfloat16).reshape(4, 6).T,
        torch.tensor([2.0, -3.0]).expand(70_000, 2),
        torch.view_as_complex(torch.ones(3, 2)).conj().imag,
        torch.tensor([True, False, True]),
        torch.arange(-3, 70_000),
        torch.tensor([1e300, -2e300, 1e-300], dtype=torch.float64) / 1e270,
        torch.cat([torch.full((40_000,), 1e-20), torch.full((40_000,), 3.0)]),
        torch.cat([torch.ones(40_000), torch.tensor([math.nan, math.inf]), -torch.ones(40_000)]),
    ],
    ids=["last", "strided", "turned", "expanded", "negative", "bool", "int", "float64", "mixed", "unknown"],
)
@pytest.mark.usefixtures("place")
def test_statistics_of_any_layout_and_dtype(tensor: torch.Tensor) -> None:
    assert_statistics(tensor)


def test_a_mean_of_the_largest_numbers_of_float64_is_not_unknown() -> None:
    ((norm, mean, *_),) = fetched([reduced(torch.tensor([1e308, 1e308, -1e308, -1e308], dtype=torch.float64))])
    assert (norm, mean) == (math.inf, 0.0)  # in float32


def test_statistics_of_no_elements_and_of_complex_numbers(tmp_path: Path) -> None:
    empty, wave = nn.Parameter(torch.zeros(0)), nn.Parameter(torch.zeros(2, dtype=torch.complex64))
    empty.grad, wave.grad = torch.zeros(0), torch.tensor([1 + 2j, 3j])
    optimizer = torch.optim.SGD([empty, wave], lr=0.0)
    model = nn.ParameterList([empty, wave])
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1, gradient_statistics_every=1):
        optimizer.step()
    found = recorded(tmp_path)
    numbers = {name: float(at(found[f"gradients/0/{name}"], 1)) for name in STATISTICS}
    assert (numbers.pop("norm"), numbers.pop("nan_count")) == (0, 0)
    assert all(map(math.isnan, numbers.values()))
    np.testing.assert_array_equal(at(found["gradients/1"], 1), [1 + 2j, 3j])
    assert "gradients/1/norm" not in found


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 2.0, 2.5, 9.0],
        [3.0, 3.0],
        [1.0, math.nan, 4.0, math.inf],
        [math.nan],
        [],
        [-1.7e308, 1.7e308, 1e300],
        [1e308, -1e308, math.inf],
    ],
)
@pytest.mark.usefixtures("place")
def test_histograms_have_the_counts_of_numpy(values: list[float], tmp_path: Path) -> None:
    parameter = nn.Parameter(torch.zeros(len(values), dtype=torch.float64))
    parameter.grad = torch.tensor(values, dtype=torch.float64)
    optimizer = torch.optim.SGD([parameter], lr=0.0)
    with TorchRecorder(nn.ParameterList([parameter]), tmp_path, optimizer=optimizer, gradient_histograms_every=1):
        optimizer.step()
    left, right, counts = at(recorded(tmp_path)["gradients/0/histogram"], 1).T
    finite = np.array([each for each in values if math.isfinite(each)])
    if not finite.size:
        assert not left.any()
        assert not counts.any()
    elif finite.min() == finite.max():
        assert counts.tolist() == [0] * 29 + [finite.size]
        assert set(left) | set(right) == {finite.min()}
    else:
        expected, edges = np.histogram(finite / 2, 30)  # NumPy has no histogram of a range that is infinite
        assert counts.tolist() == expected.tolist()
        np.testing.assert_allclose(np.append(left, right[-1]), 2 * edges)


def test_weights_and_buffers_are_recorded_after_steps_and_before_the_first(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    states = [{name: each.clone() for name, each in model.state_dict().items()}]
    with TorchRecorder(model, tmp_path, optimizer=optimizer, weights_every=2):
        for _ in range(4):
            optimizer.zero_grad()
            backward(model)
            optimizer.step()
            states.append({name: each.clone() for name, each in model.state_dict().items()})
    found = recorded(tmp_path)
    assert {tag.removeprefix("weights/") for tag in found if tag.startswith("weights/")} == set(states[0])
    for name in states[0]:
        assert steps(found[f"weights/{name}"]) == [0, 2, 4]
        before, *after = (states[step][name].numpy() for step in (0, 2, 4))
        if "running" not in name and "num_batches" not in name:  # the first pass has changed those before the step
            np.testing.assert_array_equal(at(found[f"weights/{name}"], 0), before)
        for step, value in zip((2, 4), after, strict=True):
            np.testing.assert_array_equal(at(found[f"weights/{name}"], step), value)


EVERYTHING = {
    "gradients_every": 1,
    "gradient_histograms_every": 1,
    "gradient_statistics_every": 1,
    "weights_every": 1,
    "weight_histograms_every": 1,
    "weight_statistics_every": 1,
    "activations_every": 1,
    "activation_histograms_every": 1,
    "activation_statistics_every": 1,
    "layer_errors_every": 1,
}


def test_weights_after_training_are_the_same_with_and_without_a_recorder(tmp_path: Path) -> None:
    def train(model: nn.Sequential, log_dir: Path | None) -> dict[str, torch.Tensor]:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, foreach=True)
        recorder = TorchRecorder(model, log_dir, optimizer=optimizer, **EVERYTHING) if log_dir else None
        torch.manual_seed(5)
        for _ in range(10):
            optimizer.zero_grad()
            backward(model)
            optimizer.step()
        if recorder is not None:
            recorder.close()
        return model.state_dict()

    models = [
        nn.Sequential(nn.Identity(), nn.Linear(4, 5), nn.Dropout(0.3), nn.ReLU(inplace=True), nn.Linear(5, 2))
        for _ in range(2)
    ]
    models[1].load_state_dict(models[0].state_dict())
    expected, found = train(models[0], None), train(models[1], tmp_path)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_copies_of_a_model_and_of_an_optimizer_do_not_record(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, **EVERYTHING) as recorder:
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            backward(other)
        copied = copy.deepcopy(optimizer)
        copied.step()
        assert recorder.step == 0
        backward(model)
        optimizer.step()
    assert steps(recorded(tmp_path)["activations/0"]) == [1]


class Waits(TorchDispatchMode):
    """Counts operations that wait for the device."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("place", "expected"),
    [("device", [(0, 0), (0, 1), (0, 1), (0, 2)]), ("processor", [(0, 0)] * 4)],
    indirect=["place"],
)
@pytest.mark.usefixtures("place")
def test_a_step_waits_once_for_the_device_if_it_is_recorded_and_else_never(
    expected: list[tuple[int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    transfers = []
    to_processor = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: transfers.append(1) or to_processor(tensor))  # type: ignore[func-returns-value]
    monkeypatch.setattr(torch.Tensor, "tolist", lambda _: pytest.fail("a list of a tensor"))
    counts = []
    with (
        TorchRecorder(
            model,
            tmp_path,
            optimizer=optimizer,
            gradient_statistics_every=2,
            activation_statistics_every=2,
            layer_error_statistics_every=2,
        ),
        Waits() as waits,
    ):
        for _ in range(4):
            optimizer.zero_grad()
            backward(model)
            optimizer.step()
            counts.append((waits.count, len(transfers)))
    assert counts == expected


def test_learning_rates_are_those_of_the_step(tmp_path: Path) -> None:
    model = network()
    groups = [{"params": model[0].parameters(), "lr": 0.5}, {"params": model[3].parameters()}]
    optimizer = torch.optim.SGD(groups, lr=0.25)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    with TorchRecorder(model, tmp_path, optimizer=optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            backward(model)
            optimizer.step()
            schedule.step()
    found = recorded(tmp_path)
    assert [float(rate) for _, rate in found["batch/learning_rate_0"]] == [0.5, 0.25, 0.125]
    assert [float(rate) for _, rate in found["batch/learning_rate_1"]] == [0.25, 0.125, 0.0625]


def test_each_of_two_optimizers_counts_its_own_steps(tmp_path: Path) -> None:
    model = network()
    first = torch.optim.SGD(model[0].parameters(), lr=0.1)
    second = torch.optim.Adam(model[3].parameters())
    with TorchRecorder(model, tmp_path, optimizer=[first, second], gradients_every=1) as recorder:
        for batch in range(4):
            model.zero_grad()
            backward(model)
            first.step()
            if batch % 2:
                second.step()
        assert recorder.step == 4
    found = recorded(tmp_path)
    assert steps(found["gradients/0.weight"]) == [1, 2, 3, 4]
    assert steps(found["gradients/3.weight"]) == [1, 2]
    assert steps(found["batch/learning_rate_1"]) == [1, 2]


def test_a_resumed_training_continues_the_count(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    with TorchRecorder(model, tmp_path, optimizer=optimizer):
        for _ in range(3):
            backward(model)
            optimizer.step()
    again = torch.optim.Adam(model.parameters())
    with TorchRecorder(model, tmp_path, optimizer=again) as recorder:
        again.load_state_dict(optimizer.state_dict())
        backward(model)
        again.step()
        assert recorder.step == 4
    assert steps(recorded(tmp_path)["batch/learning_rate"]) == [1, 2, 3, 4]


class Wrapper:
    """An optimizer around another, which keeps it under a name that libraries use."""

    def __init__(self, **inside: Any) -> None:
        vars(self).update(inside)

    def step(self) -> None:
        next(iter(vars(self).values())).step()


@pytest.mark.parametrize("name", ["optimizer", "base"])
def test_the_optimizer_inside_a_wrapper_is_recorded(name: str, tmp_path: Path) -> None:
    model = network()
    wrapper = Wrapper(**{name: torch.optim.SGD(model.parameters(), lr=0.1)})
    with TorchRecorder(model, tmp_path, optimizer=wrapper, gradients_every=1):
        backward(model)
        wrapper.step()
    assert steps(recorded(tmp_path)["gradients/0.weight"]) == [1]


def test_what_is_not_an_optimizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecorderError, match="A Wrapper has no hooks for its steps; give the optimizer inside it"):
        TorchRecorder(network(), tmp_path, optimizer=Wrapper())
    with pytest.raises(RecorderError, match="give optimizer="):
        TorchRecorder(network(), tmp_path, gradients_every=1)
    with pytest.raises(RecorderError, match="gradients_every=0 is not a number of steps"):
        TorchRecorder(network(), tmp_path, gradients_every=0)


WRONG_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"model": [nn.Linear(4, 2)]}, "list is not a model of PyTorch"),
    ({"log_dir": None}, "None is not a path"),
    ({"first_step": 0}, "first_step=0 is not the number of a step"),
    ({"first_step": "1"}, "first_step='1' is not the number of a step"),
    ({"scaler": True}, "scaler=True is not a GradScaler"),
    ({"gradients_every": 2.5}, "gradients_every=2.5 is not a number of steps"),
    ({"layers": "0"}, "layers='0' is not a list of names"),
    ({"layers": []}, "layers=.. is not a list of names"),
    ({"layers": [0]}, "layers=.0. is not a list of names"),
]


@pytest.mark.parametrize(("options", "message"), WRONG_OPTIONS)
def test_wrong_arguments_are_refused_at_once(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    arguments = {"model": model, "log_dir": tmp_path, "optimizer": optimizer, "activations_every": 1, **options}
    with pytest.raises((RecorderError, OptionError), match=message):
        TorchRecorder(**arguments)


def test_wrong_values_of_a_loop_are_refused_and_the_recording_goes_on(tmp_path: Path) -> None:
    model = network()
    with TorchRecorder(model, tmp_path, optimizer=torch.optim.SGD(model.parameters(), lr=0.1)) as recorder:
        for method in (recorder.scalars, recorder.tensors, recorder.histograms):
            with pytest.raises(RecorderError, match="float is not a mapping"):
                method(0.5, 1)
            with pytest.raises(RecorderError, match=r"step=1\.5 is not an integer"):
                method({"a": 0.5}, 1.5)
        with pytest.raises(RecorderError, match="unit='week' is not what steps count; choose from batch, epoch"):
            recorder.scalars({"a": 0.5}, 1, unit="week")
        recorder.scalars({"a": 0.5}, torch.tensor(1))
    assert recorded(tmp_path) == {"batch/a": [(1, 0.5)]}


def test_metrics_tensors_and_histograms_of_a_loop(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    half = torch.tensor([1.5, -2.0], dtype=torch.bfloat16)
    recorder = TorchRecorder(model, tmp_path, optimizer=optimizer)
    recorder.epoch = 3
    loss = backward(model)
    optimizer.step()
    recorder.scalars({"loss": loss, "note": "text"})
    recorder.scalars({"loss": 0.5}, unit="epoch")
    recorder.tensors({"mine/half": half, "mine/array": np.arange(3)})
    recorder.histograms({"mine/histogram": torch.arange(60.0)}, 7)
    with pytest.warns(RecorderWarning, match=r"batch/note \(1 x text\)"):
        recorder.close()
    found = recorded(tmp_path)
    assert at(found["batch/loss"], 1) == loss.detach().numpy()
    assert float(at(found["epoch/loss"], 3)) == 0.5
    assert float(at(found["batch/epoch"], 1)) == 3
    assert at(found["mine/half"], 1).astype(float).tolist() == [1.5, -2.0]
    assert str(at(found["mine/half"], 1).dtype) == "bfloat16"
    assert at(found["mine/array"], 1).tolist() == [0, 1, 2]
    assert at(found["mine/histogram"], 7)[:, 2].tolist() == [2.0] * 30


@pytest.mark.slow
def test_a_recording_imports_no_other_framework(tmp_path: Path) -> None:
    code = f"""
import sys
import torch
from tb2csv.recorders import TorchRecorder
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with TorchRecorder(model, {str(tmp_path)!r}, optimizer=optimizer, gradients_every=1, activations_every=1) as recorder:
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    recorder.scalars({{"loss": 1.0}})
    recorder.tensors({{"text": ["a", "b"]}})
print(sorted({{"tensorflow", "keras", "pandas", "polars"}} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
    assert at(recorded(tmp_path)["text"], 1).tolist() == [b"a", b"b"]
