"""Live pytrees: the parameters and states of flax, optax and other libraries of JAX, and trees of NumPy arrays."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from tb2csv.errors import StateError
from tb2csv.model_state.foreign_errors import as_state_errors
from tb2csv.model_state.pytree_leaves import is_jax_array, leaf_tensor, new_leaf
from tb2csv.model_state.pytrees import mapped, put
from tb2csv.model_state.tensors import ModelState, StateTensor, left_out_notes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tb2csv.model_state.pytrees import NnxUpdate
    from tb2csv.model_state.tensors import Buffer


class Pytree:
    """The state of a tree of arrays and numbers, or of objects of flax.nnx."""

    def __init__(self, tree: Any) -> None:
        """Take the leaves, whose bytes are read when they are requested."""
        self._tree = tree
        self._origin = f"the {type(tree).__name__}"
        self._has_jax_arrays = False
        tensors: list[StateTensor] = []
        left_out: dict[str, str] = {}

        def take(name: str, leaf: Any) -> Any:
            tensor = leaf_tensor(name, leaf)
            if tensor is None:
                left_out[name] = type(leaf).__qualname__
            else:
                tensors.append(tensor)
            self._has_jax_arrays |= is_jax_array(leaf)
            return leaf

        _, self._objects = mapped(tree, take)
        framework = "jax" if self._has_jax_arrays else "numpy"
        notes = left_out_notes(self._origin, left_out)
        self.state = ModelState(framework, tuple(tensors), self._origin, notes, left_out)

    def prepare(self, incoming: ModelState) -> None:
        """Do nothing: a tree has all its leaves from the start."""

    def assign(self, contents: Mapping[str, Buffer]) -> Any:
        """Return a tree of the same structure with new values.

        Objects of flax.nnx get them in place, and so do dicts, lists and arrays of a tree without arrays of JAX.

        Raises StateError, and changes nothing, if a variable does not have its value afterwards.
        """
        new, updates = mapped(
            self._tree, lambda name, old: new_leaf(name, old, contents[name]) if name in contents else old
        )
        _update(updates, new, contents)
        return new if self._has_jax_arrays else put(self._tree, new)


def _update(updates: list[NnxUpdate], tree: Any, contents: Mapping[str, Buffer]) -> None:
    """Put new values into objects of flax.nnx, and read them back: one variable may be in the tree twice."""
    with contextlib.ExitStack() as undoing:
        for each in updates:
            undoing.callback(each.revert)
            with as_state_errors("The state was not restored, and nothing was changed", "load it into other objects"):
                each.apply()
        held = {tensor.name: tensor for tensor in Pytree(tree).state.tensors} if updates else {}
        for name, content in contents.items():
            if updates and bytes(held[name].content()) != bytes(content):
                message = f"Nothing was changed, because {name!r} has another value after loading."
                raise StateError(message)
        undoing.pop_all()
