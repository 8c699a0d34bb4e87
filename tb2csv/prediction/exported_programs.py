"""Files of ``torch.export.save``, which are loaded only if they are trusted.

``torch.export.load`` of PyTorch 2.13 unpickles members that the file itself declares as pickles, and example inputs
that are not plain tensors. It evaluates expressions of sizes as Python, and loads compiled libraries in the file.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from typing import TYPE_CHECKING, Any

from tb2csv.errors import RecorderError
from tb2csv.model_state.foreign_errors import reason_of
from tb2csv.prediction.loaded_model import TRUST, BatchSizes, ModelInput
from tb2csv.prediction.torch_models import arrays_of, numpy_dtype, tensor_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from tb2csv.prediction.loaded_model import Channels


def open_exported_program(path: Path, *, trust: bool) -> ExportedProgram:
    """Load a ``.pt2`` file. Raises RecorderError if it cannot be loaded or used, or is not trusted."""
    import torch

    if not trust:
        fact = f"{path} is not loaded, because torch.export.load may run code that is in the file"
        raise RecorderError(fact, TRUST)
    try:
        with warnings.catch_warnings(), _without_messages():
            warnings.simplefilter("ignore")  # of older formats, which are read all the same
            program = torch.export.load(path)
    except Exception as error:
        message = f"{path} cannot be loaded by torch.export ({reason_of(error)})."
        raise RecorderError(message) from error
    return ExportedProgram(path, program)


@contextlib.contextmanager
def _without_messages() -> Iterator[None]:
    """Let the loggers of torch.export be silent in this block: they print the traceback of an error as well."""
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch.export.pt2_archive._package")]
    before = [logger.disabled for logger in loggers]
    try:
        for logger in loggers:
            logger.disabled = True
        yield
    finally:
        for logger, was_disabled in zip(loggers, before, strict=True):
            logger.disabled = was_disabled


class ExportedProgram:
    """A program of ``torch.export``, with the names of the arguments of the module that was exported."""

    channels: Channels = "first"

    def __init__(self, path: Path, program: Any) -> None:
        """Predict with a program.

        Raises RecorderError if it takes more than tensors and constants, or was exported in training mode.
        """
        _refuse_training_mode(path, program)
        self._module = program.module()
        self._structure = program.call_spec.in_spec
        values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
        #: The name of an input, or a constant, for each argument.
        self._arguments = _arguments(path, program)
        names = [value for is_tensor, value in self._arguments if is_tensor]
        self.inputs = {
            name: ModelInput(
                tuple(size if isinstance(size, int) else None for size in values[name].shape[1:]),
                numpy_dtype(values[name].dtype),
            )
            for name in names
        }
        for name in names:
            if not values[name].ndim:
                raise RecorderError(f"The input {name} of {path} is a single number, so it has no samples.")
        self.batch_sizes = BatchSizes.common(_sizes(program, values[name].shape[0]) for name in names)

    def predict(self, batch: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs for some samples by their names."""
        import torch
        from torch.utils import _pytree as pytree

        from tb2csv.recorders.pytorch.evaluation import device_of

        device = device_of(self._module)
        flat = [tensor_of(batch[value]).to(device) if is_tensor else value for is_tensor, value in self._arguments]
        args, kwargs = pytree.tree_unflatten(flat, self._structure)
        with torch.no_grad():
            return arrays_of(self._module(*args, **kwargs))


def _arguments(path: Path, program: Any) -> list[tuple[bool, Any]]:
    """Return for each argument whether it is a tensor, and its name or its constant value."""
    from torch.export.graph_signature import ConstantArgument, InputKind, TensorArgument

    found: list[tuple[bool, Any]] = []
    for spec in program.graph_signature.input_specs:
        if spec.kind != InputKind.USER_INPUT:
            continue
        if isinstance(spec.arg, TensorArgument):
            found.append((True, spec.arg.name))
        elif isinstance(spec.arg, ConstantArgument):
            found.append((False, spec.arg.value))
        else:
            message = f"The input {spec.arg.name} of {path} is not a tensor, so it has no samples."
            raise RecorderError(message)
    return found


def _sizes(program: Any, size: Any) -> BatchSizes:
    """Return the numbers of samples that the first axis of an input can have."""
    if isinstance(size, int):
        return BatchSizes(size, size)
    limits = program.range_constraints.get(size.node.expr)
    if limits is None:
        return BatchSizes()
    largest = int(limits.upper) if limits.upper.is_Integer else None
    return BatchSizes(int(limits.lower), largest)


def _refuse_training_mode(path: Path, program: Any) -> None:
    """Raise RecorderError if an operation, such as dropout, is in training mode, which a program keeps forever."""
    for module in program.graph_module.modules():
        for node in getattr(module, "graph", program.graph).nodes:
            schema = getattr(node.target, "_schema", None)
            if node.op != "call_function" or schema is None:
                continue
            names = [argument.name for argument in schema.arguments]
            given = dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
            if given.get("train") is True or given.get("training") is True:
                fact = (
                    f"{path} was exported in training mode, so that {node.name} would change the predictions; call "
                    "eval() of the module before torch.export.export"
                )
                raise RecorderError(f"{fact}.")
