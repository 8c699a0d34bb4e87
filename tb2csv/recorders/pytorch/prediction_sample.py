"""The samples whose predictions are recorded: the same rows of a DataLoader or of tensors each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch.utils import _pytree as pytree

from tb2csv.errors import RecorderError
from tb2csv.recorders.sampled_rows import sample_rows, sampled_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

#: The rows in a batch of a DataLoader that has none of its own.
_BATCH_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of the data, in the order of their numbers, and batches of their inputs and targets on the processor."""

    rows: npt.NDArray[np.int64]
    batches: tuple[tuple[Any, Any], ...]


def sample_of_tensors(inputs: Any, targets: Any, sample_size: int | None, seed: int, batch_size: int) -> Sample:
    """Return rows of tensors or arrays, or of nested containers of them.

    Raises RecorderError if they do not have the same number of rows, or have none.
    """
    inputs, targets = pytree.tree_map(_tensor, inputs), pytree.tree_map(_tensor, targets)
    if all(leaf is None for leaf in pytree.tree_leaves(inputs)):
        message = "There are no inputs; give a DataLoader, or tensors or arrays."
        raise RecorderError(message)
    lengths = {len(leaf) if leaf.ndim else 0 for leaf in pytree.tree_leaves((inputs, targets)) if leaf is not None}
    if len(lengths) != 1:
        message = f"Inputs and targets have different numbers of rows ({', '.join(map(str, sorted(lengths)))})."
        raise RecorderError(message)
    rows = sampled_rows(lengths.pop(), sample_size, seed)
    if not len(rows):
        message = "The inputs have no rows, so there is nothing to predict."
        raise RecorderError(message)
    places = [torch.from_numpy(rows[start : start + batch_size]) for start in range(0, len(rows), batch_size)]
    return Sample(rows, tuple((_rows_of(inputs, each), _rows_of(targets, each)) for each in places))


def _tensor(leaf: Any) -> Any:
    if leaf is None or isinstance(leaf, torch.Tensor):
        return leaf
    try:
        return torch.as_tensor(leaf)
    except (TypeError, ValueError, RuntimeError) as error:
        message = f"{type(leaf).__name__} is not an array of numbers; give a DataLoader, or tensors or arrays."
        raise RecorderError(message) from error


def _rows_of(tree: Any, places: torch.Tensor) -> Any:
    return pytree.tree_map(lambda leaf: None if leaf is None else _kept(leaf[places.to(leaf.device)]), tree)


def sample_of_loader(
    loader: Any, split: Callable[[Any], tuple[Any, Any]], sample_size: int | None, seed: int
) -> Sample:
    """Return rows of the dataset of a DataLoader, in its order, whatever the order of the loader.

    Only these rows are read. A dataset that can only be iterated gives its first rows.

    Raises RecorderError if it has no rows.
    """
    dataset = loader.dataset
    if loader.batch_sampler is None or isinstance(dataset, torch.utils.data.IterableDataset):
        rows, batches = _first_rows(loader, split, sample_size)
    else:
        rows = sampled_rows(len(dataset), sample_size, seed)
        size = loader.batch_size or _BATCH_SIZE
        read = getattr(dataset, "__getitems__", lambda places: [dataset[place] for place in places])
        places = [rows[start : start + size].tolist() for start in range(0, len(rows), size)]
        batches = tuple(_kept_batch(split(loader.collate_fn(read(each)))) for each in places)
    if not len(rows):
        message = "The DataLoader has no rows, so there is nothing to predict."
        raise RecorderError(message)
    return Sample(rows, batches)


def _first_rows(
    loader: Any, split: Callable[[Any], tuple[Any, Any]], sample_size: int | None
) -> tuple[npt.NDArray[np.int64], tuple[Any, ...]]:
    wanted = None if sample_size is None else sample_rows(sample_size)
    batches = []
    count = 0
    for batch in loader:
        inputs, targets = split(batch)
        size = next(len(leaf) for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, torch.Tensor))
        kept = size if wanted is None else min(size, wanted - count)
        batches.append(_kept_batch(pytree.tree_map(lambda leaf, kept=kept: _first(leaf, kept), (inputs, targets))))
        count += kept
        if count == wanted:
            break
    return np.arange(count, dtype=np.int64), tuple(batches)


def _first(leaf: Any, count: int) -> Any:
    return leaf[:count] if isinstance(leaf, torch.Tensor) else leaf


def _kept_batch(batch: tuple[Any, Any]) -> tuple[Any, Any]:
    kept: tuple[Any, Any] = pytree.tree_map(_kept, batch)
    return kept


def _kept(leaf: Any) -> Any:
    """Return a copy of a tensor on the processor, which later changes of the data do not reach."""
    return leaf.detach().to("cpu", copy=True) if isinstance(leaf, torch.Tensor) else leaf


def split_by(targets: Any) -> Callable[[Any], tuple[Any, Any]]:
    """Return a function that splits a batch of a DataLoader into inputs and targets.

    A batch is a pair of both, or the inputs alone. In a dict, ``targets`` is the key of the targets.
    """

    def split(batch: Any) -> tuple[Any, Any]:
        if isinstance(batch, dict) or hasattr(batch, "keys"):
            inputs = dict(batch)
            if targets is not None and targets not in inputs:
                message = f"A batch has no {targets!r} for targets; it has {', '.join(map(str, inputs))}."
                raise RecorderError(message)
            return inputs, inputs.pop(targets) if targets is not None else None
        if isinstance(batch, (list, tuple)) and len(batch) in {1, 2}:
            return batch[0], batch[1] if len(batch) == 2 else None
        if isinstance(batch, torch.Tensor):
            return batch, None
        what = f"{len(batch)} parts" if isinstance(batch, (list, tuple)) else type(batch).__name__
        message = (
            f"It is not known which parts of a batch are inputs and which are targets ({what}); give split=, a "
            "function that returns both."
        )
        raise RecorderError(message)

    return split
