"""The description of a checkpoint of torch.distributed: which bytes of which files have the parts of which tensors.

It is a pickle, which PyTorch's own reader loads without any limit. Here stand-ins take the place of a closed list of
names, and nothing that the pickle names is imported or called.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.errors import StateError
from tb2csv.model_state.descriptions import read_bytes
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.foreign_errors import as_state_errors
from tb2csv.model_state.sharded_files import refuse_files_elsewhere
from tb2csv.model_state.tensors import MAX_DIMENSIONS
from tb2csv.model_state.torch_pickle_sizes import check_calls

if TYPE_CHECKING:
    from pathlib import Path

    from tb2csv.size_limits import SizeLimits

#: The name of the description, and the ending of the files with values.
DESCRIPTION: Final = ".metadata"
ENDING: Final = ".distcp"

_PACKAGE: Final = "torch.distributed.checkpoint"
#: Dtypes of PyTorch, which a pickle has as names in the module ``torch``.
_DTYPE: Final = re.compile(r"(?:b?float|complex|u?int|bool|q)[a-z0-9_]*")
#: What reading a damaged or hostile description raises.
_DAMAGE: Final = (
    *(pickle.UnpicklingError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError),
    *(MemoryError, RecursionError, OverflowError),
)


class Place(NamedTuple):
    """The bytes of a file that have a value, or a part of a tensor."""

    file: Path
    start: int
    length: int


class Part(NamedTuple):
    """A part of a tensor: where it begins in each dimension, its sizes, and its bytes."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    place: Place


class DescribedTensor(NamedTuple):
    """A tensor, and the parts that it consists of."""

    dtype: str
    shape: tuple[int, ...]
    parts: list[Part]


class Description(NamedTuple):
    """What a checkpoint has, by name; ``paths`` are the keys and indices of the nested state dict, as far as known."""

    tensors: dict[str, DescribedTensor]
    values: dict[str, Place]
    paths: dict[str, tuple[str | int, ...]]


class _Record:
    """The stand-in for a class of which a pickle only sets the attributes."""

    def __setstate__(self, state: Any) -> None:
        self.fields: dict[str, Any] = state if isinstance(state, dict) else {"state": state}


class _Tensor(_Record):
    """The stand-in for the description of a tensor."""


class _First:
    """The stand-in for a class or function that makes something of one value; a pickle cannot set its attributes."""

    __slots__ = ()

    def __call__(self, value: Any = None, *_: Any) -> Any:
        """Return the value."""
        return value


_STAND_INS: Final[dict[tuple[str, str], Any]] = {
    (f"{_PACKAGE}.metadata", "TensorStorageMetadata"): _Tensor,
    **{(f"{_PACKAGE}.metadata", f"{name}Metadata"): _Record for name in ("", "BytesStorage", "ChunkStorage")},
    **{(f"{_PACKAGE}.metadata", name): _Record for name in ("TensorProperties", "MetadataIndex", "StorageMeta")},
    (f"{_PACKAGE}.metadata", "_MEM_FORMAT_ENCODING"): _First(),
    (f"{_PACKAGE}.filesystem", "_StorageInfo"): _Record,
    ("torch", "Size"): _First(),
    ("torch.serialization", "_get_layout"): _First(),
    **{
        (module, f"{system}Path"): _First()
        for module in ("pathlib", "pathlib._local")
        for system in ("Posix", "Windows")
    },
}


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows the names of a description and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a stand-in, or the name of a dtype; raises UnpicklingError for everything else."""
        if module == "torch" and _DTYPE.fullmatch(name):
            return name
        if (module, name) not in _STAND_INS:
            message = f"it names {module}.{name}, and unpickling that could run any code"
            raise pickle.UnpicklingError(message)
        return _STAND_INS[module, name]


def read_description(folder: Path, limits: SizeLimits) -> Description:
    """Return what a checkpoint has.

    Raises StateError if the description is missing or damaged, names what only code could make, or names a file that is
    missing, elsewhere or a link.
    """
    file = folder / DESCRIPTION
    if not file.is_file() or file.is_symlink():
        message = f"{folder} has no {DESCRIPTION}, as if it was not finished; copy all files of the checkpoint."
        raise StateError(message)
    content = read_bytes(file)
    if not check_calls(io.BytesIO(content), file, limits, len(content)):
        message = f"{file} is not the description of a checkpoint of torch.distributed; save it again."
        raise StateError(message)
    failure, advice = f"{file} is not read", "save the checkpoint again, of tensors and plain values"
    with as_state_errors(failure, advice, _DAMAGE):
        fields = _Unpickler(io.BytesIO(content)).load().fields
        places = _places(folder, fields["storage_data"])
        entries = {_text(name): entry for name, entry in fields["state_dict_metadata"].items()}
        tensors = {name: _tensor(name, each, places) for name, each in entries.items() if isinstance(each, _Tensor)}
        values = {name: places[name, None] for name in entries if name not in tensors}
        planned = fields.get("planner_data")
        paths = {name: _path(path) for name, path in planned.items()} if isinstance(planned, dict) else {}
    return Description(tensors, values, paths)


def _places(folder: Path, stored: dict[Any, Any]) -> dict[tuple[str, tuple[int, ...] | None], Place]:
    """Return the bytes of each value and of each part of a tensor, by its name and where it begins in the tensor."""
    found: dict[tuple[str, tuple[int, ...] | None], Place] = {}
    sizes: dict[str, int] = {}
    for index, info in stored.items():
        name = info.fields["relative_path"]
        if name not in sizes:
            refuse_files_elsewhere(folder / DESCRIPTION, [name], "checkpoint")
            if not (folder / name).is_file() or (folder / name).is_symlink():
                message = f"{folder / name} is missing, or a link; copy all files of the checkpoint."
                raise StateError(message)
            sizes[name] = (folder / name).stat().st_size
        if info.fields.get("transform_descriptors"):
            message = f"{folder / name} was packed by an extension of its writer; save it without the extension."
            raise StateError(message)
        start, length = _counts((info.fields["offset"], info.fields["length"]))
        if start + length > sizes[name]:
            message = f"{folder / name} is cut off; copy all files of the checkpoint."
            raise StateError(message)
        offset = index.fields.get("offset")  # None is not in the pickle
        found[_text(index.fields["fqn"]), None if offset is None else _counts(offset)] = Place(
            folder / name, start, length
        )
    return found


def _tensor(name: str, entry: _Tensor, places: dict[tuple[str, tuple[int, ...] | None], Place]) -> DescribedTensor:
    """Return a tensor and its parts; raises ValueError unless the parts have as many elements as the tensor."""
    dtype, shape = entry.fields["properties"].fields["state"][0], _counts(entry.fields["size"])
    if dtype not in DTYPES or len(shape) > MAX_DIMENSIONS:
        message = f"{name!r} is of {dtype}, which has no form in a table"
        raise ValueError(message)
    parts = []
    for chunk in entry.fields["chunks"]:
        offsets, sizes = _counts(chunk.fields["offsets"]), _counts(chunk.fields["sizes"])
        ends = [start + size for start, size in zip(offsets, sizes, strict=True)]
        if any(end > size for end, size in zip(ends, shape, strict=True)):
            message = f"a part of {name!r} is not in the tensor"
            raise ValueError(message)
        parts.append(Part(offsets, sizes, places[name, offsets]))
    if sum(math.prod(part.sizes) for part in parts) != math.prod(shape):
        message = f"the parts of {name!r} do not make the whole tensor"
        raise ValueError(message)
    return DescribedTensor(dtype, shape, parts)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        message = f"a name is of type {type(value).__name__}"
        raise TypeError(message)
    return value


def _counts(values: Any) -> tuple[int, ...]:
    if not isinstance(values, tuple) or not all(type(each) is int and each >= 0 for each in values):
        message = "a size or an offset is not a number"
        raise TypeError(message)
    return values


def _path(path: Any) -> tuple[str | int, ...]:
    if not isinstance(path, tuple) or not path or not all(type(key) in {str, int} for key in path):
        message = "a path does not consist of keys and indices"
        raise TypeError(message)
    return path
