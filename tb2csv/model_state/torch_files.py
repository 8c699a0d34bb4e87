"""Files of ``torch.save``, read with ``weights_only=True`` and nothing else: a pickle of other objects is refused."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import StateError
from tb2csv.model_state.tensors import ModelState
from tb2csv.model_state.torch_trees import leaves, replaced
from tb2csv.whole_files import whole_file

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tb2csv.model_state.matching import Restoration

#: Where PyTorch's message names what it did not import.
_ASKED_FOR: Final = re.compile(r"GLOBAL ([\w.]+)")


class TorchFile:
    """A state dict, or a checkpoint of nested dicts, lists and numbers, in a file."""

    def __init__(self, path: Path) -> None:
        """Map the file into memory; raises StateError where it has more in it than tensors and plain values."""
        self._tree = _loaded(path)
        self.state = ModelState("torch", tuple(leaves(self._tree)), str(path))

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Return a context that gives a file to write to."""
        return whole_file(out, overwrite=overwrite)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Save the same structure with new values; tensors that shared memory still do."""
        import torch

        torch.save(replaced(self._tree, _Lazy(restoration), _copied), place)


class _Lazy(dict[str, Any]):
    """New values that are read one at a time."""

    def __init__(self, restoration: Restoration) -> None:
        super().__init__()
        self._restoration = restoration
        self._found: tuple[str, Any] = ("", None)

    def __contains__(self, name: object) -> bool:
        self._found = (str(name), self._restoration.content(str(name)))
        return self._found[1] is not None

    def __getitem__(self, name: str) -> Any:
        return self._found[1]


def _copied(tensor: Any, new: Any) -> Any:
    tensor.copy_(new)
    return tensor


def _loaded(path: Path) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of pickles in an unusual form, which are refused below
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        asked = _ASKED_FOR.search(str(error))
        what = f" (it asks for {asked[1]})" if asked else ""
        message = (
            f"{path} is not read, for it is a pickle that holds other things than tensors and plain values{what}, or "
            "no file of torch.save at all, and reading such a pickle could run any code; save the model's state_dict()."
        )
        raise StateError(message) from error
    except Exception as error:  # whatever the unpickler trips over in bytes that are no pickle
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = f"{path} is no file of torch.save that can be read ({reason}); save the model's state_dict()."
        raise StateError(message) from error
