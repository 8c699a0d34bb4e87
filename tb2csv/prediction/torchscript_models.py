"""TorchScript files, which are loaded only if they are trusted."""

from __future__ import annotations

import warnings
import zipfile
from typing import TYPE_CHECKING

from tb2csv.errors import RecorderError
from tb2csv.model_state.foreign_errors import reason_of
from tb2csv.prediction.loaded_model import TRUST
from tb2csv.prediction.torch_models import TorchModel

if TYPE_CHECKING:
    from pathlib import Path


def open_torchscript(path: Path, *, trust: bool) -> TorchModel:
    """Load a TorchScript file.

    Raises RecorderError if it is not one, or is not trusted: loading unpickles objects and compiles the code in it, and
    the model runs that code.
    """
    if not _is_torchscript(path):
        message = (
            f"{path} is not a TorchScript file, such as one that torch.save wrote; export the model with torch.export, "
            "or give the live module."
        )
        raise RecorderError(message)
    if not trust:
        fact = f"{path} is not loaded, because TorchScript is a program, which runs when it is loaded and called"
        raise RecorderError(fact, TRUST)
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # PyTorch advises torch.export
            module = torch.jit.load(str(path), map_location="cpu")
    except Exception as error:
        message = f"{path} cannot be loaded by PyTorch ({reason_of(error)})."
        raise RecorderError(message) from error
    return TorchModel(module)


def _is_torchscript(path: Path) -> bool:
    """Return whether a file is an archive with the members that torch.jit.save writes."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
