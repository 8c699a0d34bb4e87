"""Files of Keras: ``.keras``, weights files, and the HDF5 files of whole models from before.

Values are read from the HDF5 file itself, and overwritten in a copy of it, so that whatever else is in the file stays
as it is. A ``.keras`` file is loaded by Keras as well, in safe mode, for the names of its variables: the HDF5 file in
it only numbers them. What a Lambda layer holds is Python code, which is not run; such a file is refused.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import warnings
import weakref
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.errors import StateError
from tb2csv.model_state.hdf5_tensors import dataset_dtype, datasets, open_file, overwrite_datasets, read_dataset
from tb2csv.model_state.layer_numbers import OPTIMIZER, STRUCTURE, structures
from tb2csv.model_state.matching import FILE_KEY
from tb2csv.model_state.tensors import ModelState, StateTensor
from tb2csv.whole_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tb2csv.model_state.matching import Restoration

_WEIGHTS: Final = "model.weights.h5"
_CONFIG: Final = "config.json"


class _Folder:
    """A temporary folder that is removed when nothing refers to it any more."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="tb2csv-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class _Source(NamedTuple):
    """An HDF5 file, and the temporary folder that it lies in, which stays while something reads from it."""

    path: Path
    folder: _Folder | None = None


class Hdf5File:
    """A file of datasets, whose tensors are given."""

    def __init__(self, path: Path, tensors: list[tuple[str, StateTensor]]) -> None:
        """Hold the tensors and the places of their datasets."""
        self._path = path
        self._places = {tensor.name: place for place, tensor in tensors}
        self.state = ModelState("keras", tuple(tensor for _, tensor in tensors), str(path))

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Return a context that gives a file to write to."""
        return whole_file(out, overwrite=overwrite)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Copy the file and overwrite its datasets."""
        shutil.copyfile(self._path, place)
        overwrite_datasets(place, restoration, self._places)


def open_hdf5(path: Path) -> Hdf5File:
    """Return the tensors of a weights file of Keras 3, or of a model or weights file of the older format."""
    with open_file(path) as file:
        root = file.get("model_weights", file)
        if "layer_names" in root.attrs:
            _refuse_lambda(path, file.attrs.get("model_config", "{}"))
            return Hdf5File(path, _older_tensors(_Source(path), file, root))
        return Hdf5File(path, _numbered_tensors(_Source(path), file, {}))


def _older_tensors(source: _Source, file: Any, root: Any) -> list[tuple[str, StateTensor]]:
    """Return the tensors of the older format, which names its variables."""
    tensors = []
    layer_types = dict(_layer_types(_json(file.attrs.get("model_config", "{}"))))
    training = _json(file.attrs.get("training_config", "{}")).get("optimizer_config") or {}
    layer_types[OPTIMIZER] = str(training.get("class_name", ""))
    groups = [(_text(name), root[_text(name)]) for name in root.attrs["layer_names"]]
    groups += [("", root["top_level_model_weights"])] if "top_level_model_weights" in root else []
    groups += [(OPTIMIZER, file["optimizer_weights"])] if "optimizer_weights" in file else []
    for layer, group in groups:
        known = dict(datasets(group))
        for weight in map(_text, group.attrs.get("weight_names", ())):
            dataset = known.pop(weight)
            name = weight.removesuffix(":0")
            if layer == OPTIMIZER:
                name = f"{OPTIMIZER}/{name.split('/', 1)[-1]}"
            chain, _, parameter = name.rpartition("/")
            layer_type = layer_types.get(chain, layer_types.get(layer, ""))
            facts = {"layer": chain or layer, "layer_type": layer_type, "parameter": parameter}
            tensors.append((dataset.name, _tensor(source, dataset, name, **facts)))
    _number_anew([tensor for _, tensor in tensors])
    return tensors


def _number_anew(tensors: list[StateTensor]) -> None:
    """Let tensors be known by their layers whatever the numbers in these names."""
    numbered = structures((tensor.layer, tensor.layer_type, tensor.parameter) for tensor in tensors)
    for tensor, structure in zip(tensors, numbered, strict=True):
        tensor.aliases[STRUCTURE] = structure


def _layer_types(model: dict[str, Any], chain: str = "") -> Iterator[tuple[str, str]]:
    """Yield the paths of layers and their types from a model's description."""
    for layer in (model.get("config") or {}).get("layers", ()):
        name = chain + str((layer.get("config") or {}).get("name", ""))
        yield name, str(layer.get("class_name", ""))
        yield from _layer_types(layer, f"{name}/")


def _json(text: str | bytes) -> dict[str, Any]:
    """Return what a description says; nothing where it is no JSON object."""
    with contextlib.suppress(json.JSONDecodeError):
        described = json.loads(text)
        if isinstance(described, dict):
            return described
    return {}


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _numbered_tensors(source: _Source, file: Any, known: dict[str, StateTensor]) -> list[tuple[str, StateTensor]]:
    """Return the tensors of a file of Keras 3; their places name those that are not ``known``."""
    tensors = []
    for place, dataset in datasets(file):
        live = known.get(place)
        if live is not None:
            facts = {name: getattr(live, name) for name in ("trainable", "layer", "layer_type", "parameter", "aliases")}
            tensors.append((place, _tensor(source, dataset, live.name, dtype=live.dtype, **facts)))
        else:
            parameter = place.rpartition("/")[2]
            facts = {"layer": _layer(file, place), "parameter": parameter, "aliases": {FILE_KEY: place}}
            tensors.append((place, _tensor(source, dataset, place, **facts)))
    # In the order of the model where that is known, else as a person counts: 2 before 10.
    order = {name: number for number, name in enumerate(known)}
    tensors.sort(key=lambda each: (order.get(each[0], len(order)), _natural(each[0])))
    _number_anew([tensor for _, tensor in tensors if STRUCTURE not in tensor.aliases])
    return tensors


def _natural(place: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in place.split("/")]


def _layer(file: Any, place: str) -> str:
    """Return the names of the layers that a dataset is in, as far as the file gives them."""
    parts = place.split("/")
    names = []
    for end in range(1, len(parts) - 1):
        group = file["/".join(parts[:end])]
        name = group["vars"].attrs.get("name") if parts[end - 1] != "vars" and "vars" in group else None
        names += [_text(name)] if name is not None else []
    return OPTIMIZER if parts[0] == OPTIMIZER else "/".join(names)


def _tensor(source: _Source, dataset: Any, name: str, dtype: str = "", **facts: Any) -> StateTensor:
    place = dataset.name
    shape = tuple(int(size) for size in dataset.shape)
    return StateTensor(name, dtype or dataset_dtype(dataset), shape, lambda: read_dataset(source.path, place), **facts)


class KerasArchive(Hdf5File):
    """A ``.keras`` file."""

    def __init__(self, path: Path) -> None:
        """Find the tensors; raises StateError where Keras cannot load the model, or would have to run code for it."""
        self._archive = path
        self._folder = _Folder()
        weights = self._folder.path / _WEIGHTS
        try:
            with zipfile.ZipFile(path) as archive:
                _refuse_lambda(path, archive.read(_CONFIG))
                with archive.open(_WEIGHTS) as packed, weights.open("wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            message = f"{path} is no .keras file that can be read ({error}); save the model anew."
            raise StateError(message) from error
        tensors = _live_tensors(path)
        known = {tensor.aliases[FILE_KEY]: tensor for tensor in tensors if FILE_KEY in tensor.aliases}
        with open_file(weights) as file:
            super().__init__(weights, _numbered_tensors(_Source(weights, self._folder), file, known))
        lost = [tensor.name for tensor in tensors if tensor.name not in self._places]
        notes = (f"Not in {path}, as Keras saved it: {', '.join(lost)}.",) if lost else ()
        self.state = ModelState("keras", self.state.tensors, str(path), notes)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Write the archive with another HDF5 file in it."""
        weights = self._folder.path / f"new.{_WEIGHTS}"
        super().write(weights, restoration)
        with zipfile.ZipFile(self._archive) as old, zipfile.ZipFile(place, "w") as new:
            for member in old.infolist():
                is_weights = member.filename == _WEIGHTS
                with weights.open("rb") if is_weights else old.open(member) as source:
                    copy = zipfile.ZipInfo(member.filename, member.date_time)
                    copy.compress_type = member.compress_type
                    with new.open(copy, "w", force_zip64=True) as target:
                        shutil.copyfileobj(source, target, 1 << 20)


def _live_tensors(path: Path) -> list[StateTensor]:
    """Return the tensors of the model that Keras makes of a file; their values are not used."""
    import keras

    from tb2csv.model_state.keras_models import KerasModel

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an optimizer that was saved before its first step, and the like
            model = keras.saving.load_model(path, safe_mode=True)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        message = (
            f"{path} cannot be loaded by Keras ({reason}); give a weights file of the model (model.save_weights), or "
            "pass the live model to tb2csv.model_state.export_state."
        )
        raise StateError(message) from error
    return list(KerasModel(model).state.tensors)


def _refuse_lambda(path: Path, config: str | bytes) -> None:
    """Raise StateError where the description of a model has a Lambda layer in it."""
    if _has_lambda(_json(config)):
        message = (
            f"{path} is not read, for it has a Lambda layer, which is Python code that loading the model would run; "
            "give a weights file of the model (model.save_weights), or the live model."
        )
        raise StateError(message)


def _has_lambda(config: Any) -> bool:
    if isinstance(config, dict):
        return config.get("class_name") in {"Lambda", "__lambda__"} or any(map(_has_lambda, config.values()))
    return isinstance(config, list) and any(map(_has_lambda, config))
