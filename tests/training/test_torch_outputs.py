"""Outputs of modules and their errors that ``TorchRecorder`` records are autograd's own."""

from __future__ import annotations

import dataclasses
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from recordings import at, numpy_statistics, recorded, steps
from torch import nn
from torch.utils.checkpoint import checkpoint

from tb2csv.errors import RecorderError
from tb2csv.recorders import RecorderWarning, TorchRecorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Residual(nn.Module):
    """A block whose output is a sum, with an activation in place."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6)
        self.active = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.active(self.inner(x))


class Shared(nn.Module):
    """A module that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.twice(torch.tanh(self.twice(x)))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.norm = nn.LayerNorm(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.unsqueeze(1).expand(-1, 3, -1)
        return self.norm(self.attention(x, x, x, need_weights=False)[0]).mean(1)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs, (hidden, _) = self.lstm(x.reshape(len(x), 2, 3))
        return outputs[:, -1] + hidden[0]


class Convolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 2)
        self.pool = nn.MaxPool2d((1, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.conv(x.reshape(-1, 1, 2, 3)).relu_()).flatten(1)


class Repeated(nn.Module):
    """A block that is computed once more in the backward pass."""

    def __init__(self, use_reentrant: bool) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))
        self.use_reentrant = use_reentrant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return checkpoint(self.block, x.requires_grad_(), use_reentrant=self.use_reentrant)  # type: ignore[no-any-return]


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Sequential(nn.Linear(6, 5), nn.Sigmoid(), nn.Linear(5, 2)),
    "in place": lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Linear(5, 2)),
    "convolution": Convolution,
    "residual": lambda: nn.Sequential(Residual(), Residual()),
    "shared": Shared,
    "attention": Attention,
    "recurrent": Recurrent,
    "repeated": lambda: Repeated(use_reentrant=False),
    "repeated, reentrant": lambda: Repeated(use_reentrant=True),
    "identity": lambda: nn.Sequential(nn.Linear(6, 5), nn.Identity(), nn.Linear(5, 2)),
}


def inputs(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(4, 6, dtype=dtype, generator=torch.Generator().manual_seed(3))


def record(model: nn.Module, log_dir: Path, **options: Any) -> dict[str, Any]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with TorchRecorder(model, log_dir, optimizer=optimizer, **options):
        (model(inputs()) ** 3).sum().backward()
        optimizer.step()
    return recorded(log_dir)


def numeric_error(model: nn.Module, module: nn.Module, call: int, place: int | None) -> Any:
    """Return the gradient of the loss with respect to an output by central differences."""

    def loss(index: int, change: float) -> tuple[float, torch.Size]:
        calls = []

        def add(_: Any, __: Any, output: Any) -> Any:
            calls.append(1)
            if len(calls) - 1 != call:
                return None
            leaf = (output if place is None else output[place]).clone(memory_format=torch.contiguous_format)
            leaf.view(-1)[index] += change
            shapes.append(leaf.shape)
            return leaf if place is None else tuple(leaf if n == place else each for n, each in enumerate(output))

        shapes: list[torch.Size] = []
        handle = module.register_forward_hook(add)
        with torch.no_grad():
            result = float((model(inputs()) ** 3).sum())
        handle.remove()
        return result, shapes[0]

    shape = loss(0, 0.0)[1]
    step = 1e-5
    numbers = [(loss(n, step)[0] - loss(n, -step)[0]) / (2 * step) for n in range(shape.numel())]
    return np.reshape(numbers, (shape[0], -1))


@pytest.mark.parametrize("name", NETWORKS)
def test_layer_errors_are_central_differences_of_the_loss(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = NETWORKS[name]().double()
    found = record(model, tmp_path, layer_errors_every=1)
    tags = {tag for tag, rows in found.items() if tag.startswith("layer_errors/") and rows[0][1].ndim == 2}
    assert tags
    modules = dict(model.named_modules())
    for tag in tags:
        path, _, leaf = tag.removeprefix("layer_errors/").partition("/")
        module, _, call = path.partition("#")
        place = int(leaf) if leaf.isdigit() else None
        if leaf and place is None:  # the hidden state of the LSTM is a tuple in a tuple
            continue
        expected = numeric_error(model, modules[module], int(call or 0), place)
        np.testing.assert_allclose(at(found[tag], 1), expected, rtol=1e-5, atol=1e-6, err_msg=tag)
        for statistic, number in numpy_statistics(at(found[tag], 1)).items():
            assert float(at(found[f"{tag}/{statistic}"], 1)) == pytest.approx(number, rel=1e-6)


# In the others, a change in place replaces what autograd differentiates, or a module returns its input.
@pytest.mark.parametrize("name", ["linear", "convolution", "residual", "shared", "attention", "recurrent"])
def test_layer_errors_are_those_of_autograd_bit_for_bit(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = NETWORKS[name]()
    outputs: dict[str, list[torch.Tensor]] = {}

    def keep(name: str) -> Any:
        def hook(_: Any, __: Any, output: Any) -> Any:
            leaf = output[0] if isinstance(output, tuple) else output
            outputs.setdefault(name, []).append(leaf)
            return None if leaf is output or isinstance(output, tuple) else leaf

        return hook

    handles = [each.register_forward_hook(keep(path)) for path, each in model.named_modules() if path]
    total = (model(inputs(torch.float32)) ** 3).sum()
    flat = [(name, number, each) for name, every in outputs.items() for number, each in enumerate(every)]
    gradients = torch.autograd.grad(total, [each for *_, each in flat], allow_unused=True)
    for handle in handles:
        handle.remove()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, layer_errors_every=1, layers=list(outputs)):
        (model(inputs(torch.float32)) ** 3).sum().backward()
        optimizer.step()
    found = recorded(tmp_path)
    compared = 0
    for (path, number, _), gradient in zip(flat, gradients, strict=True):
        base = f"layer_errors/{path}#{number}" if len(outputs[path]) > 1 else f"layer_errors/{path}"
        tag = base if base in found else f"{base}/0"
        if tag in found and not path.endswith(("active", "inner")):
            np.testing.assert_array_equal(at(found[tag], 1), gradient.reshape(len(gradient), -1).numpy())
            compared += 1
    assert compared


def test_activations_are_taken_before_they_are_changed_in_place(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = NETWORKS["in place"]().double()
    with torch.no_grad():
        linear = model[0](inputs())  # type: ignore[index]
    found = record(model, tmp_path, activations_every=1, activation_statistics_every=1)
    np.testing.assert_array_equal(at(found["activations/0"], 1), linear.numpy())
    np.testing.assert_array_equal(at(found["activations/1"], 1), linear.relu().numpy())
    assert float(at(found["activations/1/zero_share"], 1)) == pytest.approx(float((linear <= 0).double().mean()))


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_a_checkpoint_records_each_output_once(use_reentrant: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    found = record(Repeated(use_reentrant).double(), tmp_path, activations_every=1, layer_errors_every=1)
    names = {tag.split("/")[1] for tag in found if tag.startswith(("activations/", "layer_errors/"))}
    assert names == {"block.0", "block.1", "block.2"}
    assert all(len(rows) == 1 for rows in found.values())


@dataclasses.dataclass
class Pair:
    left: torch.Tensor
    right: torch.Tensor


class Heads(nn.Module):
    """A module that returns a dict with a tuple, or a dataclass that pytree knows."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.linear = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> Any:
        left, right = self.linear(x).split(2, 1)
        return {"left": left, "more": (right, None, "text")} if self.kind == "dict" else Pair(left, right)


class TwoHeads(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.heads = Heads(kind)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = self.heads(x)
        return heads["left"] * heads["more"][0] if isinstance(heads, dict) else heads.left * heads.right


@pytest.mark.parametrize(("kind", "places"), [("dict", {"left", "more/0"}), ("dataclass", {"left", "right"})])
def test_outputs_in_containers_have_their_places(kind: str, places: set[str], tmp_path: Path) -> None:
    found = record(TwoHeads(kind).double(), tmp_path, activations_every=1, layer_errors_every=1, layers=["heads"])
    assert {f"activations/heads/{place}" for place in places} <= set(found)
    assert {f"layer_errors/heads/{place}" for place in places} <= set(found)


def test_evaluation_is_not_recorded(tmp_path: Path) -> None:
    model = NETWORKS["linear"]().double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, activations_every=1):
        for factor in (1, 2):
            model(inputs() * factor).sum().backward()
            optimizer.step()
            model.eval()
            model(inputs() * 100)
            model.train()
            with torch.no_grad():
                model(inputs() * 100)
    rows = recorded(tmp_path)["activations/0"]
    assert steps(rows) == [1, 2]
    for (_, value), factor in zip(rows, (1, 2), strict=True):
        np.testing.assert_array_equal(value, model[0](inputs() * factor).detach().numpy())  # type: ignore[index]


def test_accumulated_passes_are_represented_by_the_last(tmp_path: Path) -> None:
    model = NETWORKS["linear"]().double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, activations_every=1, layer_errors_every=1):
        for factor in (1, 2, 3):
            model(inputs() * factor).sum().backward()
        optimizer.step()
    found = recorded(tmp_path)
    np.testing.assert_array_equal(at(found["activations/0"], 1), model[0](inputs() * 3).detach().numpy())  # type: ignore[index]
    assert "activations/0#0" not in found


def test_two_losses_of_one_pass_add_up(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 2)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, layer_errors_every=1):
        output = model(inputs())
        output.sum().backward(retain_graph=True)
        (3 * output).sum().backward()
        optimizer.step()
    np.testing.assert_array_equal(at(recorded(tmp_path)["layer_errors/0"], 1), np.full((4, 2), 4.0))


def test_layer_errors_of_a_scaled_loss_are_those_of_the_loss(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 2)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=4096.0)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, layer_errors_every=1, scaler=scaler):
        scaler.scale(model(inputs()).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
    np.testing.assert_array_equal(at(recorded(tmp_path)["layer_errors/0"], 1), np.ones((4, 2)))


def test_layer_errors_in_float16_are_those_of_a_loss_with_a_scale_that_float16_lacks(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 2)).half()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=65536.0)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, layer_errors_every=1, scaler=scaler):
        scaler.scale(model(inputs(torch.float16)).float().sum() / 2**10).backward()
        optimizer.step()
    np.testing.assert_array_equal(at(recorded(tmp_path)["layer_errors/0"], 1), np.full((4, 2), 2.0**-10))


def test_an_error_that_a_second_pass_adds_to_without_saying_so_is_counted(tmp_path: Path) -> None:
    class Bias(nn.Module):
        """A module through which a second backward pass can go without ``retain_graph``."""

        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(6))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.bias

    model = nn.Sequential(Bias())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    recorder = TorchRecorder(model, tmp_path, optimizer=optimizer, layer_errors_every=1)
    output = model(inputs(torch.float32))
    output.sum().backward()
    output.sum().backward()
    optimizer.step()
    with pytest.warns(RecorderWarning, match=r"layer_errors/0 \(1 x in a second backward pass after one without"):
        recorder.close()


class Unchanged(nn.Module):
    """Returns its input, of which there is another use."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.same = nn.Identity()
        self.active = nn.ReLU(inplace=inplace)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * 1.0
        return self.active(self.same(y)) * 2 + y


def test_the_error_of_an_unchanged_output_is_that_of_its_own_use(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 2), Unchanged(inplace=False)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, layer_errors_every=1):
        output = model(inputs())
        positive = (model[0](inputs()) > 0).numpy()
        output.sum().backward()
        optimizer.step()
    np.testing.assert_array_equal(at(recorded(tmp_path)["layer_errors/1.same"], 1), 2.0 * positive)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (nn.Sequential(nn.Linear(6, 2), Unchanged(inplace=True)), "1.same"),
        (nn.Sequential(nn.Linear(6, 2), nn.Flatten(0), nn.ReLU(inplace=True)), "1"),
    ],
)
def test_a_view_that_is_changed_in_place_is_counted(model: nn.Module, name: str, tmp_path: Path) -> None:
    with pytest.warns(RecorderWarning, match=rf"layer_errors/{name} \(1 x a view .* changed in place\)"):
        record(model.double(), tmp_path, layer_errors_every=1)


def test_an_unused_output_is_not_counted(tmp_path: Path) -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.split = nn.Unflatten(1, (2, 3))
            self.lstm = nn.LSTM(3, 4, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.split(x.requires_grad_())
            return self.lstm(x.reshape(len(x), 2, 3))[0]  # type: ignore[no-any-return]

    found = record(Forgetful().double(), tmp_path, layer_errors_every=1)
    assert {tag for tag in found if tag.startswith("layer_errors/") and tag.count("/") == 2} >= {"layer_errors/lstm/0"}


def test_layers_are_selected_by_patterns(tmp_path: Path) -> None:
    model = nn.Sequential(Residual(), Residual(), nn.Linear(6, 2)).double()
    found = record(model, tmp_path, layer_errors_every=1, layers=["0*", "2"])
    assert {tag.split("/")[1] for tag in found if tag.startswith("layer_errors/")} == {"0", "0.inner", "0.active", "2"}
    with pytest.raises(RecorderError, match=r"no module 'missing'; its modules are 0, 0\.inner"):
        record(model, tmp_path, layer_errors_every=1, layers=["missing"])


def test_a_named_module_that_is_never_called_is_reported(tmp_path: Path) -> None:
    model = Attention().double()
    with pytest.warns(RecorderWarning, match=r"attention.out_proj \(1 x never called\)"):
        record(model, tmp_path, activations_every=1, layers=["attention.out_proj"])


def test_no_graph_is_kept(tmp_path: Path) -> None:
    model = NETWORKS["identity"]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with TorchRecorder(model, tmp_path, optimizer=optimizer, activations_every=1, layer_errors_every=1):
        output = model(inputs(torch.float32))
        alive = weakref.ref(output)
        output.sum().backward()
        optimizer.step()
        del output
        assert alive() is None


# Dynamo looks at the gradients of outputs.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_a_model_that_has_run_compiled_is_refused_and_one_that_has_not_is_recorded(tmp_path: Path) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x).tanh()

    model = Own()
    compiled = torch.compile(model, backend="eager")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with TorchRecorder(compiled, tmp_path, optimizer=optimizer, activations_every=1, layer_errors_every=1):
        for _ in range(3):
            compiled(inputs(torch.float32)).sum().backward()
            optimizer.step()
    found = recorded(tmp_path)
    assert steps(found["activations/linear"]) == [1, 2, 3]
    expected = 1 - torch.tanh(model.linear(inputs(torch.float32))).detach().numpy() ** 2
    np.testing.assert_allclose(at(found["layer_errors/linear"], 2), expected, rtol=1e-5)
    with pytest.raises(RecorderError, match="Own has run compiled"):
        TorchRecorder(compiled, tmp_path, optimizer=optimizer, activations_every=1)
    torch._dynamo.reset()
    with pytest.raises(RecorderError, match="fullgraph"):
        TorchRecorder(torch.compile(Own(), fullgraph=True), tmp_path, optimizer=optimizer, activations_every=1)


def one_step(model: nn.Module, called: nn.Module, folder: Path) -> None:
    """Record a step in which another module is called, such as a compiled model in place of the model itself."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with TorchRecorder(model, folder, optimizer=optimizer, activations_every=1):
        called(inputs(torch.float32)).sum().backward()
        optimizer.step()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_compiled_code_of_another_model_of_the_class_does_not_matter(tmp_path: Path) -> None:
    earlier = nn.Sequential(nn.Linear(6, 2))
    earlier.compile(backend="eager")
    one_step(earlier, earlier, tmp_path / "earlier")
    later = nn.Sequential(nn.Linear(6, 2))
    one_step(later, later, tmp_path / "later")
    assert steps(recorded(tmp_path / "later")["activations/0"]) == [1]
    later.compile(backend="eager")
    with pytest.raises(RecorderError, match=r"torch\.compiler\.reset"):
        one_step(later, later, tmp_path / "compiled")
    torch.compiler.reset()
    one_step(later, later, tmp_path / "compiled")
    assert steps(recorded(tmp_path / "compiled")["activations/0"]) == [1]


def test_outputs_that_no_hook_sees_are_reported(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 2))
    compiled = torch.compile(model, backend="eager")
    compiled(inputs(torch.float32))
    unseen = r"outputs of modules \(1 x the model was not called in training mode, or was called only by code"
    with pytest.warns(RecorderWarning, match=unseen):
        one_step(model, compiled, tmp_path / "compiled")
    torch.compiler.reset()
    with pytest.warns(RecorderWarning, match=unseen):
        one_step(model.eval(), model, tmp_path / "evaluated")


def test_modules_without_hooks_are_refused(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match=r"torch\.jit.script"):
        scripted = nn.Sequential(torch.jit.script(nn.Linear(6, 2)))
    optimizer = torch.optim.SGD(scripted.parameters(), lr=0.0)
    with pytest.raises(RecorderError, match="0 is a TorchScript module"):
        TorchRecorder(scripted, tmp_path, optimizer=optimizer, activations_every=1)
    with pytest.raises(RecorderError, match="use DistributedDataParallel"):
        TorchRecorder(nn.DataParallel(nn.Linear(6, 2)), tmp_path)
