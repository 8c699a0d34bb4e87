"""Checks of an ONNX file before it is loaded: where its weights are, and whether it would train."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from tb2csv.atomic_files import is_there
from tb2csv.errors import RecorderError
from tb2csv.messages import advice

if TYPE_CHECKING:
    from collections.abc import Iterator


def check_external_data(path: Path, proto: Any) -> None:
    """Raise RecorderError if weights are in a file that is not in the folder of the model, or below it."""
    folder = path.parent.resolve()
    for tensor in _parts(proto, "TensorProto"):
        for entry in tensor.external_data:
            if entry.key != "location":
                continue
            is_relative = not (PurePosixPath(entry.value).is_absolute() or PureWindowsPath(entry.value).anchor)
            try:
                place = (folder / entry.value).resolve()
                is_file = is_there(place) and place.is_file()
            except (OSError, ValueError, RuntimeError) as error:  # a null byte, too long, or links in a circle
                message = f"{path} has its tensor {tensor.name} in {entry.value[:80]!r}, which is not a usable path."
                raise RecorderError(message) from error
            if not is_relative or folder not in place.parents:
                fact = (
                    f"{path} is not loaded, because its tensor {tensor.name} is in {entry.value!r}, outside its folder"
                )
                raise RecorderError(fact, advice("copy the file into it"))
            if not is_file:
                message = f"{path} is not complete: {entry.value!r}, with its tensor {tensor.name}, is missing."
                raise RecorderError(message)


def check_training_mode(path: Path, proto: Any) -> None:
    """Raise RecorderError if an operation is in training mode, so that predictions depend on chance or on the batch."""
    true = _true_constants(proto)
    for node in _parts(proto, "NodeProto"):
        is_dropout = node.op_type == "Dropout" and len(node.input) > 2 and node.input[2] in true
        if is_dropout or any(each.name == "training_mode" and each.i for each in node.attribute):
            message = f"{path} was exported in training mode, so that {node.op_type} would change the predictions."
            raise RecorderError(message)


def _true_constants(proto: Any) -> set[str]:
    """Return the names of constants that are true."""
    constants = [(tensor.name, tensor) for graph in _parts(proto, "GraphProto") for tensor in graph.initializer]
    for node in _parts(proto, "NodeProto"):
        if node.op_type == "Constant":
            constants += [(name, each.t) for each in node.attribute if each.name == "value" for name in node.output]
    return {name for name, tensor in constants if _is_true(tensor)}


def _is_true(tensor: Any) -> bool:
    import onnx

    is_flag = tensor.data_type == onnx.TensorProto.BOOL and not tensor.external_data
    return is_flag and (any(tensor.raw_data) or any(tensor.int32_data))


def _parts(message: Any, name: str) -> Iterator[Any]:
    """Return the messages of a type inside another one: in graphs, subgraphs, functions and attributes."""
    if message.DESCRIPTOR.name == name:
        yield message
    if message.DESCRIPTOR.name == "TensorProto":  # has no parts of interest, and its data would be copied
        return
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for each in (value,) if hasattr(value, "DESCRIPTOR") else value:
                yield from _parts(each, name)
