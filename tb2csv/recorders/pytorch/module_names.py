"""Names of the modules and parameters of a model, without the wrappers around them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

import torch

from tb2csv.errors import RecorderError
from tb2csv.recorders.arguments import layer_names

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What ``torch.compile`` adds to the names of a wrapped module.
_COMPILED: Final = "_orig_mod"


def unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """Return the model inside the wrappers of ``torch.compile`` and DistributedDataParallel.

    Raises:
        RecorderError: it is not a module, or is wrapped by something that replaces modules or parameters.
    """
    while True:
        if not isinstance(model, torch.nn.Module):
            message = f"{type(model).__name__} is not a model of PyTorch; give a torch.nn.Module."
            raise RecorderError(message)
        if isinstance(model, torch.nn.DataParallel):
            message = "A model in DataParallel runs as copies of its modules; use DistributedDataParallel."
            raise RecorderError(message)
        if hasattr(model, _COMPILED):
            model = getattr(model, _COMPILED)
        elif isinstance(model, torch.nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model


def plain_name(name: str) -> str:
    """Return the name of a module or parameter without what ``torch.compile`` adds to it."""
    return ".".join(part for part in name.split(".") if part != _COMPILED)


def parameter_names(model: torch.nn.Module) -> dict[int, str]:
    """Return the names of parameters by their ids; one that several modules share has its first name."""
    return {id(parameter): plain_name(name) for name, parameter in model.named_parameters()}


def check_parameters(model: torch.nn.Module) -> None:
    """Raise RecorderError if parameters are parts of tensors that other processes have."""
    for name, parameter in model.named_parameters():
        if hasattr(parameter, "to_local") or hasattr(parameter, "_is_flat_param"):
            message = (
                f"{name} is shared out to several processes by FSDP, so no process has its whole gradient; record "
                "metrics only, or train with DistributedDataParallel."
            )
            raise RecorderError(message)


def check_quantization(model: torch.nn.Module) -> None:
    """Raise RecorderError if ``torch.ao`` has quantized a module: it has no parameters, and passes no errors back."""
    for name, module in model.named_modules():
        path = type(module).__module__.split(".")
        if path[:2] == ["torch", "ao"] and "quantized" in path:
            message = (
                f"{plain_name(name) or 'The model'} is quantized, so it has no weights to train and passes no errors "
                "back; record metrics only, or quantize after the training."
            )
            raise RecorderError(message)


def recorded_modules(model: torch.nn.Module, patterns: Sequence[str] | None) -> dict[str, torch.nn.Module]:
    """Return the modules whose outputs are recorded, by their names.

    Without patterns, these are the modules inside the model that have no modules in them or parameters of their own.

    Raises:
        RecorderError: a pattern has no match.
    """
    every = {plain_name(name): module for name, module in model.named_modules() if plain_name(name)}
    patterns = layer_names(patterns)
    if patterns is None:
        return {name: module for name, module in every.items() if _is_leaf(module)}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in every):
            message = f"The model has no module {pattern!r}; its modules are {', '.join(every) or 'none'}."
            raise RecorderError(message)
    return {name: module for name, module in every.items() if any(fnmatchcase(name, each) for each in patterns)}


def _is_leaf(module: torch.nn.Module) -> bool:
    return not any(True for _ in module.children()) or any(True for _ in module.parameters(recurse=False))
