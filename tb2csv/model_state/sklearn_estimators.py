"""Live scikit-learn estimators and pipelines, and files of skops, which hold them without pickles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tb2csv.errors import StateError
from tb2csv.model_state.dtypes import DTYPES
from tb2csv.model_state.fitted_attributes import Attribute, fitted
from tb2csv.model_state.tensors import Buffer, ModelState, StateTensor, tensor_of_array
from tb2csv.whole_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy.typing as npt

    from tb2csv.model_state.matching import Restoration


class Estimator:
    """The fitted attributes of a live estimator."""

    def __init__(self, estimator: Any, origin: str = "") -> None:
        """Find the attributes; there are none before it is fitted."""
        self._estimator = estimator
        self._origin = origin or f"the {type(estimator).__name__}"
        self._learn()

    def _learn(self) -> None:
        found = fitted(self._estimator)
        self._attributes = {each.name: each for each in found.attributes}
        tensors = tuple(map(_tensor, found.attributes))
        notes = (f"Not in the state of {self._origin}: {', '.join(found.others)}.",) if found.others else ()
        self.state = ModelState("sklearn", tensors, self._origin, notes)

    def prepare(self, incoming: ModelState) -> None:
        """Give an estimator that is not fitted the plain attributes that the state has: arrays, numbers and texts.

        What an estimator of several parts needs beside them, only ``fit`` can make.
        """
        if self._attributes:
            return
        simple = [tensor for tensor in incoming.tensors if "." not in tensor.name and "/" not in tensor.name]
        if len(simple) < len(incoming.tensors) or not simple:
            message = (
                f"{self._origin} is not fitted, and its state has parts that only fitting can make; fit one like it on "
                "any data of the same shape first."
            )
            raise StateError(message)
        for tensor in simple:
            setattr(self._estimator, tensor.name, _value(tensor, _array(tensor, tensor.content())))
        self._learn()

    def assign(self, contents: Mapping[str, Buffer]) -> None:
        """Set the attributes."""
        for name, content in contents.items():
            attribute = self._attributes[name]
            attribute.put(_array(_tensor(attribute), content, like=attribute.array))


class SkopsFile:
    """A ``.skops`` file; it is loaded only where all types in it are ones that skops trusts."""

    def __init__(self, path: Path) -> None:
        """Load the estimator; raises StateError where the file is none, or would need types that are not trusted."""
        import skops.io

        try:
            untrusted = skops.io.get_untrusted_types(file=path)
            if not untrusted:
                self._estimator = skops.io.load(path, trusted=[])
        except Exception as error:  # whatever it trips over in a file that is none of its own
            message = f"{path} is no file of skops that can be read ({error}); save the estimator with skops.io.dump."
            raise StateError(message) from error
        if untrusted:
            names = ", ".join(sorted(untrusted))
            message = (
                f"{path} is not read, for it holds types that could run any code ({names}); load it yourself if you "
                "trust it, and pass the estimator to tb2csv.model_state.export_state."
            )
            raise StateError(message)
        self._live = Estimator(self._estimator, str(path))
        self.state = self._live.state

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Return a context that gives a file to write to."""
        return whole_file(out, overwrite=overwrite)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Save the estimator with new attributes."""
        import skops.io

        self._live.assign(restoration.read_all())
        with place.open("wb") as file:
            skops.io.dump(self._estimator, file)


def _tensor(attribute: Attribute) -> StateTensor:
    name, layer = attribute.name, attribute.layer
    parameter = name.removeprefix(f"{layer}.") if layer else name
    facts = {"layer": layer, "layer_type": attribute.layer_type, "parameter": parameter, "python": attribute.python}
    return tensor_of_array(name, attribute.array, **facts)


def _array(tensor: StateTensor, content: Buffer, like: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
    """Return bytes as an array that owns its memory, in the order of axes that another one has."""
    dtype = DTYPES[tensor.dtype]
    if dtype.strings:
        values = dtype.strings(content).reshape(tensor.shape)
        as_objects = tensor.python or (like is not None and like.dtype == object)
        return values if as_objects else values.astype("S" if tensor.dtype == "bytes" else "U")
    stored = np.dtype(bool) if tensor.dtype == "bool" else np.dtype(dtype.stored).newbyteorder("=")
    values = np.frombuffer(content, stored).reshape(tensor.shape)
    return np.array(values, order="F" if like is not None and like.flags.fnc else "C")


def _value(tensor: StateTensor, array: npt.NDArray[Any]) -> Any:
    kinds = {"bool": bool, "int": int, "float": float, "complex": complex, "str": str}
    return kinds[tensor.python](array.tolist()) if tensor.python else array
