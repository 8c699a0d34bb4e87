"""Public functions that export and restore model states."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tb2csv.errors import StateError
from tb2csv.local_paths import home_expanded
from tb2csv.model_state.formats import GrowingFile, open_file, open_live, read_any, read_table
from tb2csv.model_state.match_tensors import Restoration, fit
from tb2csv.model_state.state_csv import DEFAULT_MAX_CELL, STYLES, write_state
from tb2csv.model_state.tensors import ModelState
from tb2csv.size_limits import DEFAULT_MAX_EXPANSION, SizeLimits

if TYPE_CHECKING:
    from collections.abc import Mapping


def state_of(model: Any, *, max_expansion: int = DEFAULT_MAX_EXPANSION) -> ModelState:
    """Return the state of a live object, or of the file at a path; a CSV file is one, too.

    Bytes are read when they are requested. A state is returned as it is.

    Args:
        model: the object, path or state.
        max_expansion: the maximum bytes of data per byte of a model file, for data of more than 256 MiB.

    Raises:
        StateError: there is no state, the file is not safe to read, or its data are too large.
    """
    if isinstance(model, ModelState):
        return model
    limits = SizeLimits(max_expansion)
    return read_any(model, limits) if isinstance(model, (str, os.PathLike)) else open_live(model).state


def export_state(
    model: Any,
    out: str | os.PathLike[str],
    *,
    style: str = STYLES[0],
    max_cell: int = DEFAULT_MAX_CELL,
    max_expansion: int = DEFAULT_MAX_EXPANSION,
    escape_formulas: bool = False,
    overwrite: bool = False,
) -> ModelState:
    """Write the state of a model to a CSV file.

    Args:
        model: a Keras model, a PyTorch module, optimizer, scheduler or a dict of them, a scikit-learn estimator, a
            pytree of JAX or NumPy, a module of flax.nnx, or the path of a model file. Optimizer and step counters are
            included if the object has them.
        out: the CSV file, written atomically.
        style: ``tensors`` (a row for each tensor, numbers as text), ``base64`` (the same, as bytes), ``elements`` (a
            row for each number) or ``values`` (the same, with the columns ``layer, parameter, index, value`` only,
            which cannot be read back).
        max_cell: the maximum bytes of data in a cell; a larger tensor takes several rows.
        max_expansion: the maximum bytes of data per byte of a model file, for data of more than 256 MiB.
        escape_formulas: put an apostrophe before names that a spreadsheet would take for a formula; reading removes it.
        overwrite: replace ``out`` if it exists.

    Returns:
        What was written.

    Raises:
        StateError: The model or its file cannot be read, or the style has no form for it.
        OutputError: ``out`` exists already, or cannot be written.
    """
    state = state_of(model, max_expansion=max_expansion)
    if not state.tensors:
        message = f"{state.origin or 'The model'} has no state yet; build or fit it first."
        raise StateError(message)
    write_state(state, out, style=style, max_cell=max_cell, escape_formulas=escape_formulas, overwrite=overwrite)
    return state


class Loaded(list[str]):
    """A sentence for each value that a load left unchanged, and the object with its new state."""

    def __init__(self, unchanged: list[str], model: Any) -> None:
        """Hold both."""
        super().__init__(unchanged)
        #: The object itself, or a new one of the same type and structure if it cannot be changed, as a tree of JAX.
        self.model = model


def load_state(
    state: str | os.PathLike[str] | ModelState,
    model: Any,
    *,
    allow_partial: bool = False,
    renames: Mapping[str, str] | None = None,
) -> Loaded:
    """Restore a state into a live object, bit for bit, so that training continues as if it had never stopped.

    The object itself is changed, except for trees with arrays of JAX: ``load_state(state, tree).model`` is a new tree.

    Args:
        state: a CSV file of any style, or a state from elsewhere.
        model: the object, built like the one that the state comes from.
        allow_partial: leave tensors unchanged that one side lacks, or whose shape or dtype differ. Damage is still an
            error, and so is a state without any tensor that fits.
        renames: names in the model, by the names in the state; see ``match_tensors.fit``.

    Returns:
        A list with a sentence for each value that was left unchanged: values that cannot be stored in a table, and with
        ``allow_partial`` tensors that do not fit. Its attribute ``model`` is the object with the state.

    Raises:
        StateError: Something does not fit, or is damaged; the message lists all of it, and nothing was changed.
    """
    incoming = _incoming(state)
    holder = open_live(model)
    holder.prepare(incoming)
    found = fit(incoming, holder.state.tensors, renames or {})
    restoration = Restoration(found, allow_partial=allow_partial)
    names = incoming.origin or "the state", f"the {type(model).__name__}"
    contents = restoration.read_all()
    restoration.refuse_problems(*names)
    found.raise_no_match(*names)
    loaded = holder.assign(contents)
    return Loaded(_left_alone(found.problems, holder.state), loaded)


def restore_file(
    state: str | os.PathLike[str] | ModelState,
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    allow_partial: bool = False,
    renames: Mapping[str, str] | None = None,
    max_expansion: int = DEFAULT_MAX_EXPANSION,
    overwrite: bool = False,
) -> list[str]:
    """Write a model's file again with a state in it, atomically; the new file is of the same format.

    Args and errors are those of ``load_state`` and ``export_state``; ``out`` may be ``model`` if ``overwrite`` is true.

    Raises:
        OutputError: ``out`` exists and may not be replaced, or cannot be written.
    """
    incoming = _incoming(state)
    holder = open_file(model, SizeLimits(max_expansion))
    if isinstance(holder, GrowingFile):
        holder.prepare(incoming)
    found = fit(incoming, holder.state.tensors, renames or {})
    restoration = Restoration(found, allow_partial=allow_partial)
    names = incoming.origin or "the state", str(model)
    if restoration.problems:
        restoration.find_damage()
        restoration.refuse_problems(*names)
    found.raise_no_match(*names)
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(holder.output(Path(home_expanded(out)), overwrite=overwrite))
        holder.write(place, restoration)
        restoration.refuse_problems(*names)
    return _left_alone(found.problems, holder.state)


def _left_alone(problems: list[str], model: ModelState) -> list[str]:
    """Return a sentence for each value that a restoration leaves unchanged."""
    return [
        *problems,
        *(f"{name}: is of type {kind}, which has no form in a table" for name, kind in model.left_out.items()),
    ]


def _incoming(state: str | os.PathLike[str] | ModelState) -> ModelState:
    return state if isinstance(state, ModelState) else read_table(state)
