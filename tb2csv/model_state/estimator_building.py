"""Estimators built from the tensors and descriptions that ``estimator_values`` makes.

Everything is built and checked before the estimator at hand is touched. Its own objects, and those in its parameters,
keep their identity: they get new attributes. All other objects are new.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.estimator_checks import check_object
from tb2csv.model_state.estimator_classes import KEPT, KnownNames, finished, full_name, parameters_of
from tb2csv.model_state.estimator_parts import CODECS
from tb2csv.model_state.estimator_values import STRUCTURE, join
from tb2csv.model_state.foreign_errors import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from tb2csv.model_state.estimator_values import Description
    from tb2csv.model_state.tensors import Buffer, StateTensor

_PLAIN: Final = {kind.__name__: kind for kind in (bool, int, float, complex, str, bytes)}
_SEQUENCES: Final = {kind.__name__: kind for kind in (list, tuple, set, frozenset)}


class EstimatorBuilding:
    """The new content of an estimator, and of all that is in it."""

    def __init__(self, estimator: Any, tensors: Mapping[str, StateTensor], contents: Mapping[str, Buffer]) -> None:
        """Build everything; raises StateError if the tensors are not a sound state of such an estimator."""
        self._tensors = tensors
        self._contents = contents
        self._known = KnownNames(estimator)
        self._path = ""
        self._read: set[str] = set()
        self._used: set[int] = set()
        self._built: dict[str, Any] = {}
        #: By the ids of objects that the model has, these and their new attributes.
        self._new: dict[int, tuple[Any, dict[str, Any]]] = {}
        self._builders: dict[str, Callable[..., Any]] = {
            "numpy": self._numpy,
            "array": self._make_array,
            "objects": self._objects,
            "dict": self._dict,
            "same_as": self._same,
            "named": self._named,
            "object": self._object,
        }
        #: The version of scikit-learn that the state is from.
        self.version = ""
        try:
            self._build_object("", estimator, is_root=True)
            self._refuse_unused()
        except Exception as error:  # whatever a table can cause
            what = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else reason_of(error)
            message = f"The state does not fit: at {self._path or STRUCTURE!r}, {what}; nothing was changed."
            raise StateError(message) from error

    def _refuse_unused(self) -> None:
        unused = sorted(self._tensors.keys() - self._read)
        if unused:
            self._path = unused[0]
            message = "there is a tensor that belongs to no value of the estimator"
            raise ValueError(message)

    def commit(self) -> None:
        """Give the estimator its new content. This cannot fail."""
        for value, attributes in self._new.values():
            vars(value).clear()
            vars(value).update(attributes)

    def _array(self, path: str) -> npt.NDArray[Any]:
        """Return the elements of a tensor as an array that owns its memory; texts as objects."""
        if path not in self._contents:
            message = "a tensor is missing"
            raise ValueError(message)
        self._read.add(path)
        tensor = self._tensors[path]
        dtype, content = DTYPES[tensor.dtype], self._contents[path]
        if dtype.strings:
            return dtype.strings(content).reshape(tensor.shape)
        stored = np.dtype(bool) if tensor.dtype == "bool" else np.dtype(dtype.stored).newbyteorder("=")
        return np.array(np.frombuffer(content, stored).reshape(tensor.shape))

    def _build(self, description: Description, path: str, current: Any = None) -> Any:
        """Return the value at a path; ``current`` is what the model has there, if it is the user's own."""
        if not isinstance(description, dict):
            return description
        self._path = path
        kind = description["is"]
        if kind in _PLAIN:
            return self._plain(_PLAIN[kind], path)
        if kind in CODECS:
            parts = {str(n): self._build(part, join(path, n)) for n, part in description["parts"].items()}
            self._path = path
            made = CODECS[kind].make(parts)
        elif kind in _SEQUENCES:
            made = _SEQUENCES[kind](self._items(description, path, current))
        else:
            made = self._builders[kind](description, path, current)
        self._built.setdefault(path, made)
        return made

    def _plain(self, kind: type, path: str) -> Any:
        value = self._array(path).reshape(-1)[0]
        return kind(value) if isinstance(value, str | bytes) else kind(value.item())

    def _items(self, description: dict[str, Any], path: str, current: Any = None) -> list[Any]:
        if "of" in description:
            array = self._array(path).reshape(-1)
            if description["of"] == "numpy":
                return list(array)
            return list(map(_PLAIN[description["of"]], array.tolist()))
        now = current if isinstance(current, list | tuple) else ()
        pairs = enumerate(description["items"])
        return [self._build(each, join(path, str(n)), now[n] if n < len(now) else None) for n, each in pairs]

    def _numpy(self, _: dict[str, Any], path: str, __: Any) -> Any:
        array = self._array(path)
        return (array.astype("U" if self._tensors[path].dtype == "str" else "S") if array.dtype == object else array)[
            ()
        ]

    def _make_array(self, description: dict[str, Any], path: str, _: Any) -> Any:
        array = self._array(path).reshape(description.get("shape", self._tensors[path].shape))
        if array.dtype == object:
            return array.astype("U" if self._tensors[path].dtype == "str" else "S")
        return np.asfortranarray(array) if description.get("order") == "F" else array

    def _objects(self, description: dict[str, Any], path: str, current: Any) -> Any:
        now = current.reshape(-1).tolist() if isinstance(current, np.ndarray) else None
        items = self._items(description, path, now)
        array = np.empty(len(items), object)
        for number, item in enumerate(items):  # numpy would look into items that are lists
            array[number] = item
        return array.reshape(description["shape"])

    def _dict(self, description: dict[str, Any], path: str, current: Any) -> Any:
        now = current if isinstance(current, dict) else {}
        if "items" in description:
            pairs = description["items"].items()
            return {name: self._build(each, join(path, name), now.get(name)) for name, each in pairs}
        keys = self._items(description["keys"], join(path, "keys"))
        return dict(zip(keys, self._items(description["values"], join(path, "values")), strict=True))

    def _same(self, description: dict[str, Any], *_: Any) -> Any:
        return self._built[description["path"]]

    def _named(self, description: dict[str, Any], *_: Any) -> Any:
        return self._known.function_named(str(description["name"]))

    def _object(self, _: dict[str, Any], path: str, current: Any) -> Any:
        return self._build_object(path, current)

    def _build_object(self, path: str, current: Any, *, is_root: bool = False) -> Any:
        self._path = path
        structure = json.loads(self._plain(str, join(path, STRUCTURE)))
        if is_root:
            self.version = str(structure.get("version", ""))
            if structure["class"] != full_name(type(current)):
                message = f"it is the state of a {structure['class']}, and the model is a {full_name(type(current))}"
                raise ValueError(message)
        kind: Any = self._known.class_named(str(structure["class"]))
        is_current = type(current) is kind and id(current) not in self._used
        made = current if is_current else object.__new__(kind)
        self._used.add(id(made))
        self._built[path] = made
        parameters = parameters_of(kind)
        now = vars(current) if is_current else {}
        attributes = {
            str(name): self._build(each, join(path, name), now.get(name) if name in parameters else None)
            for name, each in structure["attributes"].items()
        }
        self._path = path
        attributes |= {name: now.get(name) for name in KEPT if name in parameters}
        attributes = finished(kind, attributes)
        if is_current:
            self._new[id(made)] = (made, attributes)
        else:
            vars(made).update(attributes)
        check_object(kind, attributes, self._content)
        return made

    def _content(self, value: Any) -> dict[str, Any]:
        """Return the attributes that an object has once everything is in its place."""
        return self._new[id(value)][1] if id(value) in self._new else vars(value)
