"""Live scikit-learn estimators and pipelines, and files of skops, which hold them without pickles."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tb2csv.atomic_files import whole_file
from tb2csv.errors import StateError
from tb2csv.model_state.estimator_building import EstimatorBuilding
from tb2csv.model_state.estimator_values import STRUCTURE, EstimatorValues, join
from tb2csv.model_state.foreign_errors import as_state_errors
from tb2csv.model_state.skops_sizes import check_skops
from tb2csv.model_state.tensors import ModelState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tb2csv.model_state.match_tensors import Restoration
    from tb2csv.model_state.tensors import Buffer, StateTensor
    from tb2csv.size_limits import SizeLimits


class Estimator:
    """The whole fitted state of a live estimator, which is put back as a whole."""

    def __init__(self, estimator: Any, origin: str = "", most_values: int | None = None) -> None:
        """Hold an estimator; what it has learnt is read when it is needed.

        Args:
            estimator: what is fitted.
            origin: the source, for messages; the class of the estimator if it is empty.
            most_values: the maximum number of values in it; None if there is no limit.
        """
        self._estimator = estimator
        self._most_values = most_values
        self._origin = origin or f"The {type(estimator).__name__}"
        self._state: ModelState | None = None

    @property
    def state(self) -> ModelState:
        """The tensors of the estimator, or of the state that it is prepared for; none before it is fitted.

        Raises StateError if a part of the estimator cannot be stored in a table.
        """
        if self._state is None:
            import sklearn

            facts = {"version": sklearn.__version__}
            with as_state_errors(f"{self._origin} cannot be read", "give a scikit-learn estimator"):
                is_fitted = _is_fitted(self._estimator)
            values = EstimatorValues(self._estimator, self._origin, facts, self._most_values) if is_fitted else None
            tensors = values.tensors if values else ()
            self._state = ModelState("sklearn", tuple(tensors), self._origin)
        return self._state

    def prepare(self, incoming: ModelState) -> None:
        """Take the tensors of a state in place of those that the estimator has: their number and shapes may differ.

        Raises StateError if they do not describe an estimator.
        """
        tensors = tuple(map(_named_by_path, incoming.tensors))
        if STRUCTURE not in {tensor.name for tensor in tensors}:
            message = (
                f"{incoming.origin or 'The state'} has no tensor {STRUCTURE!r}, so it is not the whole state of a "
                "scikit-learn estimator; export one with tb2csv."
            )
            raise StateError(message)
        self._state = replace(incoming, tensors=tensors)

    def assign(self, contents: Mapping[str, Buffer]) -> Any:
        """Give the estimator all attributes and return it.

        Raises StateError, with nothing changed, if they do not fit.
        """
        import sklearn

        building = EstimatorBuilding(self._estimator, {each.name: each for each in self.state.tensors}, contents)
        building.commit()
        if building.version != sklearn.__version__:
            from sklearn.exceptions import InconsistentVersionWarning

            name = type(self._estimator).__name__
            versions = {"current_sklearn_version": sklearn.__version__, "original_sklearn_version": building.version}
            warnings.warn(InconsistentVersionWarning(estimator_name=name, **versions), stacklevel=3)
        return self._estimator


def _named_by_path(tensor: StateTensor) -> StateTensor:
    """Return a tensor under the name that it has in other styles, if its table is one of elements."""
    in_elements = f"{tensor.layer}/{tensor.parameter}"
    return tensor.renamed(join(tensor.layer, tensor.parameter)) if tensor.name == in_elements else tensor


def _is_fitted(estimator: Any) -> bool:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


class SkopsFile:
    """A ``.skops`` file; it is loaded only if all types in it are ones that skops trusts."""

    def __init__(self, path: Path, limits: SizeLimits) -> None:
        """Load the estimator; raises StateError if the file is not valid, or needs types that are not trusted."""
        import skops.io

        check_skops(path, limits)
        with as_state_errors(f"{path} is not a readable skops file", "save the estimator with skops.io.dump"):
            untrusted = skops.io.get_untrusted_types(file=path)
            if not untrusted:
                self._estimator = skops.io.load(path, trusted=[])
        if untrusted:
            names = ", ".join(sorted(untrusted))
            message = (
                f"{path} is not read, because it has types that could run any code ({names}); load it yourself if you "
                "trust it, and pass the estimator to tb2csv.model_state.export_state."
            )
            raise StateError(message)
        self._live = Estimator(self._estimator, str(path), limits.values(path.stat().st_size))

    @property
    def state(self) -> ModelState:
        """The tensors of the estimator in the file."""
        return self._live.state

    def prepare(self, incoming: ModelState) -> None:
        """Take the tensors of a state in place of those in the file."""
        self._live.prepare(incoming)

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Return a context that gives a file to write to."""
        return whole_file(out, overwrite=overwrite)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Save the estimator with new attributes."""
        import skops.io

        contents = restoration.read_all()
        if restoration.problems:  # the caller raises them
            return
        self._live.assign(contents)
        with place.open("wb") as file:
            skops.io.dump(self._estimator, file)
