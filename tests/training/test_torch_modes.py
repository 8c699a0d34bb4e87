"""Recorders for PyTorch in trainings with autocast, torch.func, an optimizer of each parameter, and changed names.

Also with tensors that are not arrays of numbers, and operations that pass no gradient on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from recordings import at, recorded, steps
from torch import nn
from torch.nn.utils import parametrizations

from tb2csv.errors import RecorderError
from tb2csv.recorders import Recorder, RecorderWarning, TorchPredictionRecorder, TorchRecorder

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = torch.randn(4, 6, generator=torch.Generator().manual_seed(3))


def tags(log_dir: Path, family: str) -> set[str]:
    return {tag.removeprefix(f"{family}/") for tag in recorded(log_dir) if tag.startswith(f"{family}/")}


def test_under_autocast_errors_are_bfloat16_and_gradients_float32(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1, layer_errors_every=1):
        with torch.autocast("cpu", torch.bfloat16):
            output = model(INPUTS)
            output.retain_grad()
        (output.float() ** 3).sum().backward()
        optimizer.step()
    found = recorded(tmp_path)
    assert output.grad is not None
    assert output.grad.dtype == torch.bfloat16
    np.testing.assert_array_equal(
        np.asarray(at(found["layer_errors/1"], 1)).astype(np.float32), output.grad.float().numpy()
    )
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        gradient = at(found[f"gradients/{name}"], 1)
        assert gradient.dtype == np.float32
        np.testing.assert_array_equal(gradient, parameter.grad.numpy())


def test_outputs_within_torch_func_are_counted_and_the_training_goes_on(tmp_path: Path) -> None:
    class Mapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 2)
            self.outer = nn.Linear(2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.outer(torch.vmap(self.inner)(x))  # type: ignore[no-any-return]

    model = Mapped()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = TorchRecorder(model, tmp_path, optimizer=optimizer, activations_every=1, layer_errors_every=1)
    model(INPUTS).sum().backward()
    optimizer.step()
    with pytest.warns(RecorderWarning, match=r"activations/inner \(1 x within torch.func\)"):
        recorder.close()
    assert tags(tmp_path, "activations") == {"outer"}


def test_optimizers_in_the_backward_pass_have_the_gradients_that_they_apply(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
    optimizers = {parameter: torch.optim.SGD([parameter], lr=1.0) for parameter in model.parameters()}

    def step(parameter: torch.Tensor) -> None:
        optimizers[parameter].step()  # type: ignore[index] # it is one of the parameters
        optimizers[parameter].zero_grad()  # type: ignore[index]

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(step)
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    with TorchRecorder(model, tmp_path, optimizer=list(optimizers.values()), gradients_every=1):
        (model(INPUTS) ** 2).sum().backward()
    found = recorded(tmp_path)
    for name, weight in model.named_parameters():
        change = (before[name] - weight.detach()).numpy()
        np.testing.assert_allclose(at(found[f"gradients/{name}"], 1), change, rtol=1e-4, atol=1e-6)


def test_names_are_those_of_the_first_of_tied_weights_and_of_parametrizations(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), parametrizations.weight_norm(nn.Linear(6, 2)))
    model[1].weight = model[0].weight
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1):
        model(INPUTS).sum().backward()
        optimizer.step()
    norm = {f"2.parametrizations.weight.original{number}" for number in (0, 1)}
    assert tags(tmp_path, "gradients") == {"0.weight", "0.bias", "1.bias", "2.bias", *norm}
    expected = model[0].weight.grad.numpy()
    np.testing.assert_array_equal(at(recorded(tmp_path)["gradients/0.weight"], 1), expected)


@pytest.mark.slow
def test_a_compiled_layer_has_its_own_name_and_is_not_compiled_again_at_each_step(tmp_path: Path) -> None:
    from torch._dynamo.utils import counters

    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 2))
    model[0] = torch.compile(model[0], backend="eager")  # type: ignore[assignment]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    graphs = []
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1, activations_every=1):
        for _ in range(12):
            optimizer.zero_grad()
            model(INPUTS).sum().backward()
            optimizer.step()
            graphs.append(counters["stats"]["unique_graphs"])
    assert tags(tmp_path, "gradients") == {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert tags(tmp_path, "activations") == {"0", "1"}
    assert steps(recorded(tmp_path)["activations/0"]) == list(range(1, 13))
    assert graphs[1] == graphs[-1]


def two_layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2))


EVERYTHING = dict.fromkeys(
    (
        *("weights_every", "weight_histograms_every", "weight_statistics_every"),
        *("gradients_every", "gradient_histograms_every", "gradient_statistics_every"),
        *("activations_every", "activation_histograms_every", "activation_statistics_every"),
        *("layer_errors_every", "layer_error_statistics_every"),
    ),
    1,
)


@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_outputs_are_counted_and_the_rest_is_recorded(layout: torch.layout, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = TorchRecorder(model, tmp_path, optimizer=optimizer, **EVERYTHING)  # type: ignore[arg-type]
    nested = torch.nested.nested_tensor([INPUTS[:1], INPUTS[1:]], layout=layout)
    torch.nested.to_padded_tensor(model(nested), 0.0).square().sum().backward()
    optimizer.step()
    expected = {name: each.grad.numpy() for name, each in model.named_parameters() if each.grad is not None}
    with pytest.warns(RecorderWarning, match=r"layer_errors/0 \(1 x a nested tensor\)"):
        recorder.close()
    found = recorded(tmp_path)
    for name, gradient in expected.items():
        np.testing.assert_array_equal(at(found[f"gradients/{name}"], 1), gradient)
    assert steps(found["weights/0.weight"]) == [0, 1]
    assert not tags(tmp_path, "activations")


def quantized(model: nn.Sequential) -> nn.Parameter:
    """Quantize the frozen last layer with torchao, as below adapters; return its weight."""
    torchao = pytest.importorskip("torchao.quantization")
    torchao.quantize_(model, torchao.Int8WeightOnlyConfig(), filter_fn=lambda _, name: name == "2")
    return model[2].weight  # type: ignore[return-value]


def on_no_device(model: nn.Sequential) -> nn.Parameter:
    model[2].weight = nn.Parameter(torch.empty(2, 4, device="meta"), requires_grad=False)
    return model[2].weight  # type: ignore[return-value]


@pytest.mark.parametrize("change", [pytest.param(quantized, marks=pytest.mark.slow), on_no_device])
def test_weights_without_numbers_are_counted_and_the_rest_is_recorded(change: Any, tmp_path: Path) -> None:
    model = two_layers()
    weight = change(model)
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=0.1)
    recorder = TorchRecorder(model, tmp_path / "steps", optimizer=optimizer, **EVERYTHING)  # type: ignore[arg-type]
    outputs = model[1](model[0](INPUTS)) if weight.is_meta else model(INPUTS)
    outputs.square().sum().backward()
    optimizer.step()
    recorder.tensors({"sum": torch.ones(2), "weight": weight})
    recorder.histograms({"histogram": weight})
    reason = "on the device meta, which keeps no numbers" if weight.is_meta else "not an array but Int8Tensor"
    with pytest.warns(RecorderWarning, match=rf"weights/2.weight \(2 x {reason}\), weight \(1 x"):
        recorder.close()
    found = recorded(tmp_path / "steps")
    assert tags(tmp_path / "steps", "layer_errors") >= {"0", "1"}
    assert {"weights/0.weight", "weights/2.bias", "gradients/0.weight", "sum"} <= found.keys()
    assert not {"weights/2.weight", "gradients/2.weight", "weight", "histogram"} & found.keys()
    with pytest.warns(RecorderWarning, match=reason), Recorder(tmp_path / "any") as any_recorder:
        any_recorder.tensors({"weight": weight, "other": torch.ones(2)}, 1)
    assert recorded(tmp_path / "any").keys() == {"other"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_modules_that_pytorch_has_quantized_are_refused_except_for_metrics(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 4), torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 2))))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for option in ("weights_every", "gradients_every", "activation_statistics_every", "layer_errors_every"):
        with pytest.raises(RecorderError, match=r"1\.0 is quantized, so it has no weights to train"):
            TorchRecorder(model, tmp_path, optimizer=optimizer, **{option: 1})  # type: ignore[arg-type]
    with TorchRecorder(model, tmp_path, optimizer=optimizer) as recorder:
        recorder.scalars({"loss": 1.0}, 1)
    with TorchPredictionRecorder(model, INPUTS, tmp_path) as predictions:
        predictions.end_epoch(0)
    found = recorded(tmp_path)
    np.testing.assert_array_equal(at(found["predictions/output"], 0), model.eval()(INPUTS).detach().numpy())


class OnlyFirst(torch.autograd.Function):
    """The sum of two tensors, which passes no gradient to the second."""

    @staticmethod
    def forward(_: Any, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return first + second

    @staticmethod
    def backward(_: Any, error: torch.Tensor) -> tuple[torch.Tensor, None]:
        return error, None


def test_an_output_that_no_error_reaches_has_none_and_the_rest_is_recorded(tmp_path: Path) -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(6, 2)
            self.second = nn.Linear(6, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return OnlyFirst.apply(self.first(x), self.second(x))  # type: ignore[no-any-return, no-untyped-call]

    model = Sum()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, activations_every=1, layer_errors_every=1):
        output = model(INPUTS)
        output.square().sum().backward()
        optimizer.step()
    found = recorded(tmp_path)
    assert tags(tmp_path, "activations") == {"first", "second"}
    np.testing.assert_array_equal(at(found["layer_errors/first"], 1), 2 * output.detach().numpy())
    assert "layer_errors/second" not in found


def test_an_output_without_tensors_is_counted(tmp_path: Path) -> None:
    class Policy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x: torch.Tensor) -> torch.distributions.Normal:
            return torch.distributions.Normal(x, self.scale)

    model = nn.Sequential(nn.Linear(6, 2), Policy())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    recorder = TorchRecorder(model, tmp_path, optimizer=optimizer, activations_every=2, layer_errors_every=2)
    for _ in range(4):
        optimizer.zero_grad()
        (-model(INPUTS).log_prob(torch.zeros(4, 2)).sum()).backward()
        optimizer.step()
    with pytest.warns(RecorderWarning, match=r"2 values were not recorded in .*: 1 \(2 x no tensors in Normal\)"):
        recorder.close()
    assert steps(recorded(tmp_path)["layer_errors/0"]) == [2, 4]


def test_a_batch_without_samples_is_recorded(tmp_path: Path) -> None:
    model = two_layers()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, **EVERYTHING):  # type: ignore[arg-type]
        for inputs in (INPUTS[:0], INPUTS):
            optimizer.zero_grad()
            model(inputs).square().sum().backward()
            optimizer.step()
    found = recorded(tmp_path)
    assert [at(found["layer_errors/2"], step).shape for step in (1, 2)] == [(0, 2), (4, 2)]
    assert [at(found["activations/0"], step).shape for step in (1, 2)] == [(0, 4), (4, 4)]
    assert at(found["gradients/0.weight/norm"], 1) == 0


def test_clipping_spreads_nan_to_all_gradients_and_errors_have_it_below_the_culprit_only(tmp_path: Path) -> None:
    class Root(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sqrt(x * 0)  # whose derivative is infinite at 0, times 0

    model = nn.Sequential(nn.Linear(6, 4), Root(), nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, gradients_every=1, layer_errors_every=1):
        model(INPUTS).sum().backward()
        assert model[3].weight.grad is not None
        assert model[3].weight.grad.isfinite().all()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    found = recorded(tmp_path)
    for name, _ in model.named_parameters():
        assert np.isnan(at(found[f"gradients/{name}"], 1)).all()
    errors = {name: np.isnan(at(found[f"layer_errors/{name}"], 1)).any() for name in "0123"}
    assert errors == {"0": True, "1": False, "2": False, "3": False}
    assert at(found["layer_errors/0/nan_count"], 1) == 16
