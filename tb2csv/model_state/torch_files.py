"""Read and write files of ``torch.save``: state dicts, and checkpoints of nested dicts, lists and plain values."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tb2csv.atomic_files import whole_file
from tb2csv.errors import StateError
from tb2csv.model_state.foreign_errors import as_state_errors
from tb2csv.model_state.tensors import ModelState, left_out_notes
from tb2csv.model_state.torch_pickles import Hyperparameters, holds_nothing, read_pickle
from tb2csv.model_state.torch_trees import flat, replaced, tensor_leaf

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tb2csv.model_state.match_tensors import Restoration
    from tb2csv.model_state.tensors import Buffer
    from tb2csv.size_limits import SizeLimits


class TorchFile:
    """A state dict, or a checkpoint of nested dicts, lists and numbers, in a file."""

    def __init__(self, path: Path, limits: SizeLimits) -> None:
        """Map the file into memory; raises StateError if it has more in it than tensors and plain values."""
        self._path = path
        self._tree = read_pickle(path, limits)
        found = flat(self._tree)
        notes = left_out_notes(str(path), found.left_out)
        self.state = ModelState("torch", found.tensors, str(path), notes, found.left_out)

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Return a context that gives a file to write to."""
        return whole_file(out, overwrite=overwrite)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Save the same structure with new values; tensors that shared memory still do.

        A value that a tensor cannot take because another one has the same memory is a problem of the restoration.
        """
        import torch

        hyperparameters = self._hyperparameters()
        written: list[tuple[str, Any]] = []
        contents = _Lazy(restoration)

        def put(tensor: Any, new: Any) -> Any:
            if _repeats_memory(tensor):
                return new
            written.append((contents.name, tensor))
            return tensor.copy_(new)

        with as_state_errors(f"{self._path} cannot be written again", "restore to another file"):
            tree = replaced(self._tree, contents, put)
            for name in _shared(written):
                new = restoration.content(name)
                if new is not None and bytes(new) != bytes(tensor_leaf(name, dict(written)[name]).content()):
                    problem = "shares its memory with another tensor that has another value in the state"
                    restoration.problems.append(f"{name}: {problem}")
            torch.save({**tree, **hyperparameters} if hyperparameters else tree, place)

    def _hyperparameters(self) -> dict[str, Any]:
        """Return what the file has as hyperparameters; raises StateError if they cannot be written as they are."""
        items = self._tree.items() if isinstance(self._tree, dict) else ()
        found = {key: value.value for key, value in items if isinstance(value, Hyperparameters)}
        odd = [key for key, value in found.items() if holds_nothing(value)]
        if odd:
            message = (
                f"{self._path} cannot be written again, because {odd[0]!r} in it holds objects that only code can "
                "make; restore to a file of the state dict, or to the live model."
            )
            raise StateError(message)
        return found


class _Lazy(dict[str, Any]):
    """New values that are read one at a time."""

    def __init__(self, restoration: Restoration) -> None:
        super().__init__()
        self._restoration = restoration
        self.name = ""
        self._content: Buffer | None = None

    def __contains__(self, name: object) -> bool:
        self.name = str(name)
        self._content = self._restoration.content(self.name)
        return self._content is not None

    def __getitem__(self, name: str) -> Any:
        return self._content


def _repeats_memory(tensor: Any) -> bool:
    """Return whether elements of a tensor have one place in memory, as after ``expand``."""
    return any(size > 1 and stride == 0 for size, stride in zip(tensor.shape, tensor.stride(), strict=True))


def _shared(tensors: list[tuple[str, Any]]) -> list[str]:
    """Return the names of the tensors that may have memory in common, with others or within themselves."""
    places = [(name, tensor.untyped_storage().data_ptr(), tensor.is_contiguous()) for name, tensor in tensors]
    counts = Counter(place for _, place, _ in places)
    return [name for name, place, is_contiguous in places if counts[place] > 1 or not is_contiguous]
