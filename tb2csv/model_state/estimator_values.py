"""The fitted state of an estimator as tensors, with descriptions from which the estimator can be built again.

Everything that an estimator holds is a tree of values: attributes, parameters, nested estimators, lists, dicts, arrays.
The leaves become tensors that are named by the way to them. What a table of tensors cannot say (that a list has three
items, that an array belongs to a sparse matrix) is in one more tensor for each object, ``structure``, as JSON. Whatever
has no place in this tree is refused by name, so a state is whole or it is not written.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.estimator_classes import (
    attributes_of,
    full_name,
    importable_name,
    is_known_class,
    parameters_of,
    type_name,
)
from tb2csv.model_state.estimator_parts import CODECS
from tb2csv.model_state.tensors import StateTensor, tensor_of_array

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The description of a value: a plain one is its own, all others have a dict whose key ``is`` says what they are.
Description: TypeAlias = "bool | int | float | str | dict[str, Any] | None"

#: The last part of the name of the tensor that describes an object.
STRUCTURE: Final = "structure"

_PLAIN: Final = {bool, int, float, complex, str, bytes}
_INLINE: Final = (bool, int, float, str, type(None))
_INT64: Final = range(-(2**63), 2**63)
_SEQUENCES: Final[dict[Any, str]] = {list: "list", tuple: "tuple", set: "set", frozenset: "frozenset"}
_WORD: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def join(path: str, name: str) -> str:
    """Return the path of a value within another one."""
    return f"{path}.{name}" if path else name


class EstimatorValues:
    """The tensors of an estimator, collected from everything that it holds."""

    def __init__(self, estimator: Any, origin: str, facts: dict[str, Any], most_values: int | None = None) -> None:
        """Describe an estimator; ``facts`` go into its own description.

        Raises StateError if a part of it has no form in a table, which the message names, or if it has more values
        than ``most_values``, because tuples have others many times.
        """
        self._values_left = most_values
        self.tensors: list[StateTensor] = []
        self._origin = origin
        self._owner = ("", type(estimator).__name__)
        #: The first place of each value that others may refer to; values are kept so that no id is used twice.
        self._met: dict[Any, tuple[str, Any]] = {}
        #: The values that are being described.
        self._open: set[Any] = set()
        try:
            self._describe_object(estimator, "", facts)
        except RecursionError:
            self._refuse("", estimator, "holds objects in one another so deep that it")

    def _refuse(self, path: str, value: Any, what: str = "") -> NoReturn:
        what = what or f"holds {path!r}, an object of {type_name(value)}, which"
        message = (
            f"{self._origin} {what} has no form in a table; keep the estimator in a file of skops or in the format of "
            "its own package."
        )
        raise StateError(message)

    def _describe(self, value: Any, path: str, *, inline: bool = False) -> Description:
        """Return the description of a value, and collect its tensors."""
        if self._values_left is not None:
            self._values_left -= 1
            if self._values_left < 0:
                self._refuse(path, value, f"repeats values at {path!r} so often that it")
        kind = type(value)
        if value is None or (inline and kind in _INLINE):
            plain: Description = value
            return plain
        if kind in _PLAIN:
            return self._leaf(_array_of([value], kind).reshape(()), path, {"is": kind.__name__}, kind.__name__)
        if isinstance(value, np.generic):
            return self._leaf(np.asarray(value), path, {"is": "numpy"})
        key = _identity(value)
        if key in self._open and not is_known_class(kind):
            self._refuse(path, value, f"holds {path!r}, which holds itself and")
        if key in self._met:
            return {"is": "same_as", "path": self._met[key][0]}
        if kind is not tuple:
            self._met[key] = (path, value)
        self._open.add(key)
        described = self._describe_container(value, path) or self._describe_other(value, path)
        self._open.discard(key)
        return described

    def _describe_container(self, value: Any, path: str) -> dict[str, Any] | None:
        kind: Any = type(value)
        if kind in {np.ndarray, np.memmap} and value.dtype.names is None:
            return self._describe_array(value, path)
        if kind in _SEQUENCES:
            return {"is": _SEQUENCES[kind], **self._describe_items(list(value), path)}
        return self._describe_dict(value, path) if kind is dict else None

    def _describe_other(self, value: Any, path: str) -> dict[str, Any]:
        kind = type(value)
        codec = CODECS.get(full_name(kind))
        parts = codec.parts(value) if codec else None
        if parts is not None:
            described = {name: self._describe(part, join(path, name)) for name, part in parts.items()}
            return {"is": full_name(kind), "parts": described}
        if is_known_class(kind):
            self._describe_object(value, path, {})
            return {"is": "object"}
        name = importable_name(value) if callable(value) else ""
        return {"is": "named", "name": name} if name else self._refuse(path, value)

    def _leaf(self, array: Any, path: str, description: dict[str, Any], python: str = "") -> dict[str, Any]:
        layer, layer_type = self._owner
        parameter = path.removeprefix(f"{layer}.") if layer else path
        facts = {"layer": layer, "layer_type": layer_type, "parameter": parameter, "python": python}
        try:
            self.tensors.append(tensor_of_array(path, array, **facts))
        except StateError:
            self._refuse(path, array, f"holds {path!r} of dtype {array.dtype}, which")
        return description

    def _describe_array(self, array: Any, path: str) -> dict[str, Any]:
        if array.dtype != object:
            order = {"order": "F"} if array.flags.fnc else {}
            shape = {} if array.size else {"shape": list(array.shape)}  # a table of elements has no shape without them
            return self._leaf(array, path, {"is": "array", **order, **shape})
        items = self._describe_items(array.reshape(-1).tolist(), path, shape=array.shape)
        return {"is": "objects", "shape": list(array.shape), **items}

    def _describe_items(self, items: Sequence[Any], path: str, shape: tuple[int, ...] | None = None) -> dict[str, Any]:
        """Describe the items of a sequence: those of one plain type as one tensor, others one by one."""
        kinds = {type(item) for item in items}
        kind = kinds.pop() if len(kinds) == 1 else None
        if kind in _PLAIN and not (kind is int and any(item not in _INT64 for item in items)):
            self._leaf(_array_of(items, kind).reshape(shape or (-1,)), path, {}, kind.__name__)
            return {"of": kind.__name__}
        if kind is not None and issubclass(kind, np.number | np.bool_):
            self._leaf(np.array(items).reshape(shape or (-1,)), path, {})
            return {"of": "numpy"}
        return {"items": [self._describe(item, join(path, str(number))) for number, item in enumerate(items)]}

    def _describe_dict(self, value: dict[Any, Any], path: str) -> dict[str, Any]:
        names = list(value)
        if names and all(isinstance(name, str) and _WORD.fullmatch(name) for name in names):
            kinds = {type(each) for each in value.values()}
            if len(kinds) > 1 or not kinds <= _PLAIN:
                items = {name: self._describe(each, join(path, name)) for name, each in value.items()}
                return {"is": "dict", "items": items}
        keys = self._describe_items(names, join(path, "keys"))
        return {"is": "dict", "keys": keys, "values": self._describe_items(list(value.values()), join(path, "values"))}

    def _describe_object(self, value: Any, path: str, facts: dict[str, Any]) -> None:
        owner, self._owner = self._owner, (path, type(value).__name__)
        self._met.setdefault(_identity(value), (path, value))
        place = len(self.tensors)
        inline = parameters_of(type(value))
        described = {
            name: self._describe(each, join(path, name), inline=name in inline)
            for name, each in attributes_of(value, lambda what: self._refuse(path, value, what)).items()
        }
        structure = json.dumps({"class": full_name(type(value)), **facts, "attributes": described})
        self._leaf(np.array(structure, object), join(path, STRUCTURE), {})
        self.tensors.insert(place, self.tensors.pop())  # before what it describes
        self._owner = owner


def _array_of(items: Sequence[Any], kind: type) -> Any:
    """Return plain values as an array; integers of any size as text."""
    if kind is int and any(item not in _INT64 for item in items):
        items, kind = [str(item) for item in items], str
    dtype = {int: np.int64, bool: bool, float: np.float64, complex: np.complex128}.get(kind, object)
    array = np.empty(len(items), dtype)
    array[:] = items
    return array


def _identity(value: Any) -> Any:
    """Return an identity that all references to one value share; for arrays, that of the memory that they show."""
    if isinstance(value, np.ndarray) and value.size:
        return type(value), value.__array_interface__["data"][0], value.shape, value.strides, value.dtype.str
    return id(value)
