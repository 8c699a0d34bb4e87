"""What a scikit-learn estimator learnt: its fitted attributes, as arrays by name, found and put back.

Fitted is what has an underscore before or behind its name and is no parameter, of the estimator and of all estimators
in it: the steps of a pipeline, the members of an ensemble, its own parameters. Arrays, sparse matrices, numbers, texts,
and lists, tuples and dicts of these are state; so are the nodes of trees. Other objects, such as random states, are
not, and are told of; where they decide what is predicted, the estimator is refused.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tb2csv.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

#: Types that predictions come from, and whose content has no form as arrays by name.
_OPAQUE: Final = {"KDTree", "BallTree", "TreePredictor"}

_INT64: Final = range(-(2**63), 2**63)


class Attribute(NamedTuple):
    """A leaf: its name, where it belongs, its value as an array, and how a new array is put in its place."""

    name: str
    layer: str
    layer_type: str
    array: npt.NDArray[Any]
    python: str
    put: Callable[[npt.NDArray[Any]], None]


class _Whose(NamedTuple):
    """The estimator that something belongs to: the way to it, and its type."""

    layer: str
    layer_type: str


class Fitted(NamedTuple):
    """The leaves of an estimator, and the names and types of what is none."""

    attributes: list[Attribute]
    others: list[str]


def fitted(estimator: Any) -> Fitted:
    """Return what an estimator, and all that is in it, learnt; raises StateError where predictions need more."""
    found = Fitted([], [])
    for each in _of_estimator(estimator, "", set()):
        if isinstance(each, Attribute):
            found.attributes.append(each)
        else:
            found.others.append(each)
    return found


def _of_estimator(estimator: Any, path: str, seen: set[int]) -> Iterator[Attribute | str]:
    if id(estimator) in seen:
        return
    seen.add(id(estimator))
    parameters = estimator.get_params(deep=False)
    below = f"{path}." if path else ""
    for name, value in vars(estimator).items():
        if name in parameters:
            for inner, within in _estimators_in(value, f"{below}{name}"):
                yield from _of_estimator(inner, within, seen)
        elif name.startswith("_") or name.endswith("_"):
            put = functools.partial(setattr, estimator, name)
            yield from _of_value(value, f"{below}{name}", _Whose(path, type(estimator).__name__), put, seen)


def _estimators_in(value: Any, path: str) -> Iterator[tuple[Any, str]]:
    """Yield the estimators in a parameter, and the ways to them."""
    if _is_estimator(value):
        yield value, path
    else:
        for key, item, _ in _items(value, lambda _: None) or ():
            yield from _estimators_in(item, f"{path}.{key}")


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and hasattr(value, "__dict__") and not isinstance(value, type)


def _of_value(
    value: Any, name: str, whose: _Whose, put: Callable[[Any], None], seen: set[int]
) -> Iterator[Attribute | str]:
    """Yield the leaves of a value, and what is none; ``put`` replaces the whole of it."""
    items = _items(value, put)
    if _is_estimator(value):
        yield from _of_estimator(value, name, seen)
    elif items is not None:
        for key, item, put_item in items:
            yield from _of_value(item, f"{name}.{key}", whose, put_item, seen)
    elif type(value).__name__ == "Tree" and hasattr(value, "__setstate__"):
        yield from _of_tree(value, name, whose.layer)
    elif isinstance(value, np.ndarray | np.generic | bool | int | float | complex | str):
        yield _leaf(value, name, whose, put)
    elif hasattr(value, "indptr") and hasattr(value, "indices"):  # a sparse matrix
        for part in ("data", "indices", "indptr"):
            put_part = functools.partial(setattr, value, part)
            yield Attribute(f"{name}.{part}", *whose, getattr(value, part), "", put_part)
    elif type(value).__name__ in _OPAQUE:
        message = (
            f"{name!r} is a {type(value).__name__}, from which predictions come and which has no form in a table; "
            "keep the estimator in a file of skops, or use one that does without."
        )
        raise StateError(message)
    elif value is not None and not isinstance(value, type) and not callable(value):
        yield f"{name} ({type(value).__name__})"


def _items(value: Any, put: Callable[[Any], None]) -> list[tuple[str, Any, Callable[[Any], None]]] | None:
    """Return the parts of a container, each with what replaces it; None for what is no container."""
    if isinstance(value, np.ndarray) and value.dtype == object and not _is_text(value):
        return [(".".join(map(str, place)), item, _setter(value, place)) for place, item in np.ndenumerate(value)]
    if isinstance(value, list):
        return [(str(number), item, _setter(value, number)) for number, item in enumerate(value)]
    if isinstance(value, dict):
        return [(str(key), item, _setter(value, key)) for key, item in value.items()]
    if isinstance(value, tuple):
        parts = list(value)

        def put_part(number: int, new: Any) -> None:
            parts[number] = new
            put(tuple(parts))

        return [(str(number), item, functools.partial(put_part, number)) for number, item in enumerate(value)]
    return None


def _setter(container: Any, key: Any) -> Callable[[Any], None]:
    def put(new: Any) -> None:
        container[key] = new

    return put


def _is_text(array: npt.NDArray[Any]) -> bool:
    return bool(array.size) and all(isinstance(each, str) for each in array.flat)


def _leaf(value: Any, name: str, whose: _Whose, put: Callable[[Any], None]) -> Attribute:
    if isinstance(value, np.ndarray):
        return Attribute(name, *whose, value, "", put)
    if isinstance(value, np.generic):  # which float64 is, and float as well
        return Attribute(name, *whose, np.asarray(value), "", lambda new: put(new[()]))
    python = type(value).__name__
    if isinstance(value, int) and not isinstance(value, bool) and value not in _INT64:
        array = np.array(str(value), object)
    else:
        array = np.array(value, object) if isinstance(value, str) else np.asarray(value)
    return Attribute(name, *whose, array, python, lambda new: put(type(value)(new.tolist())))


def _of_tree(tree: Any, name: str, layer: str) -> Iterator[Attribute]:
    """Yield the arrays of a compiled tree, a field of its nodes each; all of them go back in one call."""
    state = tree.__getstate__()
    changed = {"nodes": state["nodes"].copy(), "values": state["values"].copy()}

    def put_values(new: npt.NDArray[Any]) -> None:
        changed["values"] = np.array(new)
        tree.__setstate__({**state, **changed})

    def put_field(field: str) -> Callable[[npt.NDArray[Any]], None]:
        def put(new: npt.NDArray[Any]) -> None:
            changed["nodes"][field] = new
            tree.__setstate__({**state, **changed})

        return put

    for field in state["nodes"].dtype.names:
        array = np.ascontiguousarray(state["nodes"][field])
        yield Attribute(f"{name}.{field}", layer, "Tree", array, "", put_field(field))
    yield Attribute(f"{name}.value", layer, "Tree", state["values"], "", put_values)
