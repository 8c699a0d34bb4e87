"""Outputs of modules in the forward passes of a training, and their errors in the backward passes.

The error of an output is the gradient of the loss with respect to it. It comes from a hook of the output itself, set
by a forward hook: full backward hooks stop networks that change outputs in place (decision 0018).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.utils import _pytree as pytree

from tb2csv.errors import RecorderError
from tb2csv.key_paths import entry_key
from tb2csv.recorders.log_values import type_word
from tb2csv.recorders.pytorch.autograd_state import (
    has_run_compiled,
    is_compiled,
    is_in_backward_pass,
    is_view,
    is_within_torch_func,
    keeps_graph,
    needs_whole_graph,
    version_of,
)
from tb2csv.recorders.pytorch.captures import Capture, capture
from tb2csv.recorders.pytorch.host_arrays import obstacle
from tb2csv.recorders.pytorch.module_names import recorded_modules
from tb2csv.recorders.pytorch.original_hook import OriginalHook

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tb2csv.recorders.event_writer import EventWriter
    from tb2csv.recorders.recording_plan import RecordingPlan

_CHANGED: Final = "a view of what the module was given, which is then changed in place"
_UNSEEN: Final = "the model was not called in training mode, or was called only by code compiled before"
_TWICE: Final = "in a second backward pass after one without retain_graph=True"


@dataclass(slots=True)
class _Call:
    """The outputs of one call of a module, by their places in what it returned."""

    module: str
    has_tensors: bool = False
    activations: dict[str, Capture] = field(default_factory=dict)
    #: What is recorded of an error, or the error itself if another backward pass may add to it.
    errors: dict[str, Capture | torch.Tensor] = field(default_factory=dict)
    #: Outputs that are views, without their graphs, and how often they had been changed: if a view is changed in place
    #: later, its hook is not called.
    views: dict[str, tuple[torch.Tensor, int]] = field(default_factory=dict)

    def changed_views(self) -> list[str]:
        """Return the places of outputs whose errors are missing because they were changed in place."""
        return [
            place
            for place, (view, version) in self.views.items()
            if place not in self.errors and version_of(view) != version
        ]


class ModuleOutputs:
    """Outputs and errors of the modules of a model, kept from the last forward and backward pass before a step."""

    def __init__(
        self,
        model: torch.nn.Module,
        activations: RecordingPlan,
        errors: RecordingPlan,
        patterns: Sequence[str] | None,
        *,
        log: EventWriter,
        next_step: Callable[[], int],
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        """Set hooks.

        ``log`` counts what cannot be recorded, ``next_step`` returns the number of the step that comes, and ``scaler``
        multiplies the loss.

        Raises:
            RecorderError: a pattern has no match, or hooks of this model would not be called.
        """
        self._model = model
        self._activations = activations
        self._errors = errors
        self._log = log
        self._next_step = next_step
        self._scaler = scaler
        #: The step that comes, if something is due at it; None until its first forward pass.
        self._step: int | None = None
        self._has_begun = False
        self._has_activations = self._has_errors = False
        self._calls: dict[str, list[_Call]] = {}
        self._has_gone_back = False
        #: Steps without outputs, until the first output.
        self._steps_without: int | None = 0
        modules = recorded_modules(model, patterns)
        _check_callable(modules)
        #: Modules that the user named and that have not been called so far.
        self._uncalled = dict.fromkeys(modules if patterns is not None else ())
        self._handles = [
            module.register_forward_hook(OriginalHook(self._on_output, name)) for name, module in modules.items()
        ]

    def _begin(self) -> None:
        """Find out what is due at the step that comes next."""
        step = self._next_step()
        self._has_begun, self._steps_without = True, None
        self._has_activations = self._activations.is_due(step)
        self._has_errors = self._errors.is_due(step)
        self._step = step if self._has_activations or self._has_errors else None

    def take(self) -> list[tuple[str, Capture]]:
        """Return what was recorded before a step, by names."""
        captures: list[tuple[str, Capture]] = []
        if self._steps_without is not None and not self._has_begun:
            self._steps_without += 1
        for module, calls in self._calls.items():
            for number, call in enumerate(calls):
                name = f"{module}#{number}" if len(calls) > 1 else module
                captures += [(name + place, each) for place, each in call.activations.items()]
                if self._step is not None and self._has_gone_back:
                    for place in call.changed_views():
                        self._log.omit(f"layer_errors/{name}{place}", _CHANGED)
                    while call.errors:  # which frees each before the next is copied
                        place, error = call.errors.popitem()
                        each = error if isinstance(error, Capture) else self._captured(error)
                        captures.append((name + place, each))
        self._calls, self._has_gone_back, self._has_begun = {}, False, False
        return captures

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._calls = [], {}
        for name in self._uncalled:
            self._log.omit(name, "never called")
        if self._steps_without and not self._uncalled:
            self._log.omit("outputs of modules", _UNSEEN, self._steps_without)
        self._steps_without = None

    def _on_output(self, name: str, module: torch.nn.Module, inputs: Any, output: Any) -> Any:
        """Take the output of a module; return another if the module returned what it was given."""
        self._uncalled.pop(name, None)
        if not torch.is_grad_enabled() or not self._model.training:
            return None
        with self._log.guard():
            if not self._has_begun:
                self._begin()
            if self._step is not None:
                return self._take_output(name, inputs, output)
        return None

    def _take_output(self, name: str, inputs: Any, output: Any) -> Any:
        is_repeated = is_in_backward_pass()  # a checkpoint computes it once more
        if is_repeated and name in self._calls:
            return None
        if self._has_gone_back and not is_repeated:  # another forward pass before the step: the last one counts
            self._calls, self._has_gone_back = {}, False
        call = _Call(name)
        self._calls.setdefault(name, []).append(call)
        # Only errors need to know what the module was given.
        given = set(map(id, pytree.tree_leaves(inputs))) if self._has_errors else set()
        taken = self._take_tree(call, "", output, given)
        if not call.has_tensors:
            self._log.omit(name, f"no tensors in {type_word(output)}")
        return None if taken is output else taken

    def _take_tree(self, call: _Call, place: str, tree: Any, given: set[int]) -> Any:
        """Take all tensors in nested containers; return the same object unless a tensor is replaced."""
        if isinstance(tree, torch.Tensor):
            return self._taken(call, place, tree, given)
        leaves, structure = pytree.tree_flatten_with_path(tree)
        taken = [
            self._take_leaf(call, place + "".join(f"/{entry_key(each)}" for each in path), leaf, given)
            for path, leaf in leaves
        ]
        is_same = all(new is old for new, (_, old) in zip(taken, leaves, strict=True))
        return tree if is_same else pytree.tree_unflatten(taken, structure)

    def _take_leaf(self, call: _Call, place: str, leaf: Any, given: set[int]) -> Any:
        if isinstance(leaf, torch.Tensor):
            return self._taken(call, place, leaf, given)
        if not dataclasses.is_dataclass(leaf) or isinstance(leaf, type):
            return leaf
        values = {each.name: getattr(leaf, each.name) for each in dataclasses.fields(leaf) if each.init}
        taken = {name: self._take_tree(call, f"{place}/{name}", value, given) for name, value in values.items()}
        is_same = all(taken[name] is values[name] for name in values)
        return leaf if is_same else dataclasses.replace(leaf, **taken)

    def _taken(self, call: _Call, place: str, leaf: torch.Tensor, given: set[int]) -> torch.Tensor:
        """Take a tensor of an output, and return it or a view of it."""
        call.has_tensors = True
        if is_within_torch_func(leaf):
            self._log.omit(f"activations/{call.module}{place}", "within torch.func")
            return leaf
        if self._has_activations:
            call.activations[place] = capture(self._activations, self._step or 0, leaf)
        if not leaf.requires_grad:
            return leaf
        if self._has_errors and id(leaf) in given:
            # A hook of the tensor itself would get the errors of all its uses.
            leaf = leaf.view_as(leaf)
        if self._has_errors and is_view(leaf):
            call.views[place] = leaf.detach(), version_of(leaf)
        leaf.register_hook(OriginalHook(self._on_error, call, place))
        return leaf

    def _on_error(self, call: _Call, place: str, error: torch.Tensor | None) -> None:
        """Take the error of an output, None if an operation passes none on; a second backward pass adds to it."""
        self._has_gone_back = True
        if not self._has_errors or error is None:
            return
        with self._log.guard():
            error, earlier = error.detach(), call.errors.get(place)
            if isinstance(earlier, Capture):
                self._log.omit(f"layer_errors/{call.module}{place}", _TWICE)
            else:
                total = error if earlier is None else earlier + error
                # A kept error takes memory that the rest of the pass could use.
                call.errors[place] = total if keeps_graph() else self._captured(total)

    def _captured(self, error: torch.Tensor) -> Capture:
        if obstacle(error) is None:
            if self._scaler is not None:
                # The scale may be infinite in float16, and what it was for may be 0 without it.
                error = error.float() if error.dtype in {torch.float16, torch.bfloat16} else error
                error = error / self._scaler.scale(torch.ones((), device=error.device))
            error = error.flatten(1) if error.ndim > 1 else error.reshape(-1, 1)
        return capture(self._errors, self._step or 0, error, is_measured=True)


def _check_callable(modules: dict[str, torch.nn.Module]) -> None:
    """Raise RecorderError if hooks of modules would not be called."""
    for name, module in modules.items():
        if isinstance(module, torch.jit.ScriptModule):
            message = f"{name} is a TorchScript module, which has no hooks; name other modules with layers=."
            raise RecorderError(message)


def check_compilation(model: torch.nn.Module) -> None:
    """Raise RecorderError if a model is compiled in a way that hooks would break, or has code that would not call them.

    PyTorch keeps compiled code for a class, so it may be that of another model; models that are not compiled do not use
    it.
    """
    if any(map(needs_whole_graph, model.modules())):
        message = "Hooks break the graph of a model that is compiled with fullgraph=True; compile it without."
        raise RecorderError(message)
    for compiled in filter(is_compiled, model.modules()):
        for module in compiled.modules():
            if has_run_compiled(module):
                message = (
                    f"{type(module).__name__} has run compiled, and compiled code does not call hooks that are set "
                    "afterwards; create the recorder before the first call, or call torch.compiler.reset() before it."
                )
                raise RecorderError(message)
