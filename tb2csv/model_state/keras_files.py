"""Model files of Keras: ``.keras`` archives and HDF5 files.

Values are read from the HDF5 file itself, and overwritten in a copy of it, so that the rest of the file is unchanged.
Keras also loads a ``.keras`` file in safe mode, because the HDF5 file in it only numbers its variables and does not
name them. A Lambda layer holds Python code, which must not run, so a file with one is refused.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
import weakref
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from tb2csv.errors import StateError
from tb2csv.model_state.descriptions import json_object, objects_in
from tb2csv.model_state.foreign_errors import as_state_errors
from tb2csv.model_state.hdf5_files import Place, Source, StoredTensor
from tb2csv.model_state.keras_hdf5_models import hdf5_model, model_weights
from tb2csv.model_state.keras_models import KerasModel
from tb2csv.model_state.keras_variables import limited_variables
from tb2csv.model_state.keras_vocabularies import IDF
from tb2csv.model_state.keras_weights_files import WeightsFile, numbered_tensors, open_weights
from tb2csv.model_state.match_tensors import FILE_KEY
from tb2csv.model_state.structural_names import OPTIMIZER, has_more_of_optimizer, is_optimizer_variable
from tb2csv.model_state.zip_archives import ZipArchive

if TYPE_CHECKING:
    from tb2csv.model_state.hdf5_files import Hdf5File
    from tb2csv.model_state.match_tensors import Restoration
    from tb2csv.model_state.tensors import ModelState, StateTensor
    from tb2csv.size_limits import SizeLimits

_WEIGHTS: Final = "model.weights.h5"
_CONFIG: Final = "config.json"
_LAMBDAS: Final = ("Lambda", "__lambda__")


class _Folder:
    """A temporary folder that is removed when the last reference to it is gone."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="tb2csv-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def open_hdf5_model(path: Path, limits: SizeLimits) -> Hdf5File:
    """Return the tensors of a weights file of Keras 3, or of a model or weights file of the older format."""
    source = Source.of(path, limits)
    weights = model_weights(source.root)
    if weights is None:
        return open_weights(source)
    _refuse_lambda(path, source.root.text("model_config"))
    return hdf5_model(source, weights)


class KerasArchive(WeightsFile):
    """A ``.keras`` file."""

    def __init__(self, path: Path, limits: SizeLimits) -> None:
        """Find the tensors; raises StateError if Keras cannot load the model, or would have to run code for it."""
        self._archive = ZipArchive(path, limits, kind="a .keras file")
        self._folder = _Folder()
        self._weights = self._folder.path / _WEIGHTS
        config = self._archive.read_text(_CONFIG)
        _refuse_lambda(path, config)
        self._archive.extract(_WEIGHTS, self._weights)
        # Keras reads the weights as well, so they are checked before it loads the model.
        source = Source.of(self._weights, limits, self._archive.stored, self._folder)
        live = _live_tensors(path, limits, self._archive.stored)
        shapes = {place: dataset.shape for place, dataset in source.root.datasets()}
        named = {tensor.aliases[FILE_KEY]: tensor for tensor in live if FILE_KEY in tensor.aliases}
        saved_class = _saved_optimizer(config)
        known = _matching_tensors(named, shapes, saved_class)
        stored = numbered_tensors([source], known)
        learned = [StoredTensor(tensor, ()) for tensor in live if tensor.any_length]
        stored = [each for each in stored if not (learned and each.places[0].name.endswith(f"/vars/{IDF}"))] + learned
        places = {place.name for each in stored for place in each.places}
        #: The variables that an optimizer creates at its first step, if it has not made a step in this file.
        self._slots = [
            StoredTensor(tensor, (Place(self._weights, key),), is_new=True)
            for key, tensor in known.items()
            if key not in places and is_optimizer_variable(tensor)
        ]
        found = {each.tensor.name for each in [*stored, *self._slots]}
        unmatched = {tensor.name for key, tensor in named.items() if key not in known and is_optimizer_variable(tensor)}
        lost = [tensor.name for tensor in live if tensor.name not in found | unmatched]
        super().__init__(path, stored, _notes(path, lost, saved_class if unmatched else None))

    def prepare(self, incoming: ModelState) -> None:
        """Add the slots of an optimizer that has made no step yet, if the state has them."""
        if has_more_of_optimizer(incoming, self.state):
            self._hold([*self._stored, *self._slots], self.state.notes)
            self._slots = []
        super().prepare(incoming)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Write the archive with another HDF5 file in it; a vocabulary that would change is a problem."""
        for tensor in (each.tensor for each in self._stored if not each.places):
            content = restoration.content(tensor.name)
            if content is not None and bytes(content) != bytes(tensor.content()):
                restoration.problems.append(
                    f"{tensor.name}: differs in {self._path} and cannot be changed there; load the model, "
                    "restore it with tb2csv.model_state.load_state, and save it"
                )
        weights = self._folder.path / f"new.{_WEIGHTS}"
        self._write_copy(self._weights, weights, restoration)

        def write_weights(file: IO[bytes]) -> None:
            with weights.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)

        self._archive.write_copy(place, {_WEIGHTS: write_weights})


def _saved_optimizer(config: bytes) -> str | None:
    """Return the class of the optimizer in a model's configuration; empty if it has none.

    None if the model is not compiled.
    """
    compiled = json_object(config).get("compile_config")
    if not isinstance(compiled, dict):
        return None
    saved_class = compiled.get("optimizer")
    return str(saved_class.get("class_name", "") if isinstance(saved_class, dict) else saved_class or "")


def _matching_tensors(
    named: dict[str, StateTensor], shapes: dict[str, tuple[int, ...]], saved_class: str | None
) -> dict[str, StateTensor]:
    """Return the tensors of the loaded model that correspond to tensors in the file.

    Keras compiles a model with another optimizer if it cannot create the saved one. Its names would be wrong, so its
    variables are left out.
    """
    fits = {key: shapes.get(key, tensor.shape) == tensor.shape for key, tensor in named.items()}
    optimizers = {key: tensor.layer for key, tensor in named.items() if is_optimizer_variable(tensor)}
    wrong = {layer for key, layer in optimizers.items() if not fits[key]}
    if saved_class is not None:
        is_other = {
            key for key, layer in optimizers.items() if layer == OPTIMIZER and not _has_class(named[key], saved_class)
        }
        wrong |= {optimizers[key] for key in is_other}
    groups = {key.partition("vars/")[0]: layer for key, layer in optimizers.items()}
    wrong |= {groups[start] for key in shapes if (start := key.partition("vars/")[0]) in groups and key not in named}
    return {key: tensor for key, tensor in named.items() if fits[key] and optimizers.get(key) not in wrong}


def _has_class(tensor: StateTensor, saved_class: str) -> bool:
    """Return whether the optimizer of a variable has the saved class, which may be written ``Adam`` or ``adam``."""
    return tensor.layer_type.lower() == saved_class.rpartition(">")[2].replace("_", "").lower()


def _notes(path: Path, lost: list[str], not_made: str | None) -> list[str]:
    """Return notes about a file: what Keras did not save, and an optimizer that Keras cannot create again."""
    notes = [f"Not in {path}, as Keras saved it: {', '.join(lost)}."] if lost else []
    if not_made == "":
        notes.append(
            f"{path} has the state of an optimizer and does not say of which, so Keras does not restore it; Keras "
            "forgets the optimizer if a model was saved as an .h5 file before (seen with 3.15.1). Compile the model "
            "and save it again."
        )
    elif not_made:
        notes.append(
            f"The optimizer in {path} is not the {not_made} that Keras makes of its description, so it is not "
            "restored by Keras, and its variables have numbers for names; a global policy such as mixed_float16 has to "
            "be set before the file is read."
        )
    return notes


def _live_tensors(path: Path, limits: SizeLimits, stored: int) -> list[StateTensor]:
    """Return the tensors of the model that Keras loads from a file; their values are not used."""
    import keras

    advice = (
        "give a weights file of the model (model.save_weights), or pass the live model to "
        "tb2csv.model_state.export_state"
    )
    with (
        limited_variables(path, limits, stored),
        as_state_errors(f"{path} cannot be loaded by Keras", advice),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of an optimizer that was saved before its first step, for example
        model = keras.saving.load_model(path, safe_mode=True)
    return list(KerasModel(model).state.tensors)


def _refuse_lambda(path: Path, config: str | bytes) -> None:
    """Raise StateError if the description of a model has a Lambda layer in it."""
    if any(each.get("class_name") in _LAMBDAS for each in objects_in(json_object(config))):
        message = (
            f"{path} is not read, because it has a Lambda layer, whose Python code would run when the model is loaded; "
            "give a weights file of the model (model.save_weights), or the live model."
        )
        raise StateError(message)
