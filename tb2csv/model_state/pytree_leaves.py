"""Leaves of pytrees as tensors of a state, and new leaves with other values: arrays of JAX and NumPy, Python values."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.foreign_errors import as_state_errors
from tb2csv.model_state.python_values import is_python_value, python_tensor, python_value
from tb2csv.model_state.tensors import StateTensor, array_bytes, array_of_bytes, tensor_of_array

if TYPE_CHECKING:
    from tb2csv.model_state.tensors import Buffer


def leaf_tensor(name: str, leaf: Any) -> StateTensor | None:
    """Return a leaf as a tensor of a state; None if it is a function or another callable, which is not state.

    Raises StateError, with the name of the leaf, for an array that has no bytes here, and for a dtype or another type
    that cannot be stored in a table.
    """
    layer, _, parameter = name.rpartition("/")
    whose: dict[str, Any] = {"layer": layer, "parameter": parameter}
    if is_jax_array(leaf):
        return _jax_tensor(name, leaf, whose)
    if isinstance(leaf, np.generic) or type(leaf) is np.ndarray:
        return tensor_of_array(name, np.asarray(leaf), **whose)
    if is_python_value(leaf):
        return python_tensor(name, leaf, **whose)
    if callable(leaf):
        return None
    raise StateError(_no_form(name, f"of type {type(leaf).__qualname__}"))


def _no_form(name: str, what: str) -> str:
    return f"Leaf {name!r} is {what}, which has no form in a table; convert it, or leave it out of the tree."


def new_leaf(name: str, old: Any, content: Buffer) -> Any:
    """Return a leaf of the type of ``old`` with the value in these bytes.

    An array of JAX gets the dtype, the weak type, the devices and the sharding of the old one.

    Raises StateError if JAX does not keep the value bit for bit.
    """
    if not is_jax_array(old):
        if not isinstance(old, np.ndarray | np.generic):
            return python_value(content, old)
        array = array_of_bytes(content, np.asarray(old))
        return array[()] if isinstance(old, np.generic) else array
    with as_state_errors(f"Leaf {name!r} cannot be put where the old one is", "load it on a machine with such devices"):
        new = _jax_array(old, content)
        is_alike = (new.dtype, _is_weak(new)) == (old.dtype, _is_weak(old))
        is_equal = is_alike and bytes(array_bytes(_plain(new))) == bytes(content)
    if not is_equal:
        message = (
            f"Leaf {name!r} is of {old.dtype}, which JAX does not keep bit for bit now; set jax_enable_x64 to what it "
            "was when the leaf was made."
        )
        raise StateError(message)
    return new


def is_jax_array(leaf: Any) -> bool:
    """Return whether a leaf is an array of JAX, or takes the place of one in a function that JAX traces."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(leaf, jax.Array)


def _jax_tensor(name: str, array: Any, whose: dict[str, Any]) -> StateTensor:
    obstacle = _obstacle(array)
    if obstacle:
        message = f"Leaf {name!r} {obstacle}."
        raise StateError(message)
    dtype = str(array.dtype)
    if dtype not in DTYPES:
        raise StateError(_no_form(name, f"of {dtype}"))
    return StateTensor(name, dtype, tuple(array.shape), lambda: array_bytes(_plain(array)), **whose)


def _obstacle(array: Any) -> str:
    """Return why an array has no bytes that can be read here, and what to do; empty if it has."""
    jax = sys.modules["jax"]
    if isinstance(array, jax.core.Tracer):
        return "has no value, as it belongs to a function that JAX traces; call this outside of jax.jit and the like"
    if array.is_deleted():
        return "was deleted or donated to a function of JAX; give the tree that the function returned"
    if not array.is_fully_addressable:
        return "has parts that only other processes hold; gather it in one process first"
    return ""


def _is_key(array: Any) -> bool:
    jax = sys.modules["jax"]
    return bool(jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key))


def _is_weak(array: Any) -> bool:
    """Return whether an array takes the dtype of the other operand, as numbers of Python do; keys do not say it."""
    return bool(getattr(array, "weak_type", False))


def _plain(array: Any) -> Any:
    """Return the elements of an array of JAX in one of NumPy; those of a key are integers."""
    return np.asarray(sys.modules["jax"].random.key_data(array) if _is_key(array) else array)


def _jax_array(old: Any, content: Buffer) -> Any:
    jax = sys.modules["jax"]
    words = (DTYPES[str(old.dtype)].numbers_per_element,) if _is_key(old) else ()
    plain = array_of_bytes(content, np.empty((*old.shape, *words), np.uint32 if words else old.dtype))
    # An array that is not bound to a device must not be: it could not be combined with those of other devices.
    new = jax.device_put(plain, old.sharding) if old.committed and not _is_key(old) else jax.numpy.asarray(plain)
    if _is_key(old):
        new = jax.random.wrap_key_data(new, impl=jax.random.key_impl(old))
        return jax.device_put(new, old.sharding) if old.committed else new
    # The only public way to a weak array is an update of one.
    return old.at[...].set(new) if _is_weak(old) else new
