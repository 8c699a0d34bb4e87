"""Classes and functions that an estimator may be made of, by name: what they hold, and how a name is resolved.

A table names classes and functions. None is imported or called because a table names it: a class is one of scikit-learn
that is imported already or one that the model at hand uses, and a function is one that the model at hand uses or one of
a closed list.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Classes of scikit-learn whose objects, and those of classes derived from them, are what ``vars`` shows and no more.
_BASES: Final = {
    "sklearn.base.BaseEstimator",
    "sklearn._loss.link.BaseLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.loss.BaseLoss",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.cluster._bisect_k_means._BisectingTree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process.kernels.Kernel",
    "sklearn.metrics._scorer._BaseScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.BaseCrossValidator",
    "sklearn.model_selection._split.BaseShuffleSplit",
    "sklearn.model_selection._split._RepeatedSplits",
    "sklearn.neural_network._stochastic_optimizers.BaseOptimizer",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
}

#: Parameters that belong to the machine and not to the model. A folder of pickles must not come from a table, either.
KEPT: Final = ("memory",)

#: What a class changes if its objects hold more than ``vars`` shows, or something else.
_HOOKS: Final = ("__getstate__", "__setstate__", "__reduce__", "__reduce_ex__")

#: The one module whose functions are taken by name: they only compute numbers from their arguments.
_PURE: Final = "sklearn.metrics"
_PURE_FUNCTIONS: Final = {
    "sklearn.cluster._kmeans._kmeans_single_elkan",
    "sklearn.cluster._kmeans._kmeans_single_lloyd",
}


def full_name(kind: Any) -> str:
    """Return module and name of a class or function."""
    return f"{getattr(kind, '__module__', None)}.{getattr(kind, '__qualname__', None)}"


def type_name(value: Any) -> str:
    """Return the full name of the class of a value."""
    return full_name(type(value))


def is_known_class(kind: type) -> bool:
    """Whether objects of a class can be described by their attributes."""
    return any(full_name(base) in _BASES for base in kind.__mro__)


def parameters_of(kind: Any) -> set[str]:
    """Return the names of the parameters of a class of estimators; none for other classes."""
    return set(kind._get_param_names()) if _is_estimator(kind) else set()


def _is_estimator(kind: type) -> bool:
    return any(full_name(base) == "sklearn.base.BaseEstimator" for base in kind.__mro__)


def _is_of_sklearn(kind: type) -> bool:
    return kind.__module__.startswith("sklearn.")


def attributes_of(value: Any, refuse: Callable[[str], Any]) -> dict[str, Any]:
    """Return everything that an object holds, by name; ``refuse`` is called if the object may hold more than that."""
    kind = type(value)
    for base in kind.__mro__[:-1]:
        hooks = [] if _is_of_sklearn(base) else [hook for hook in _HOOKS if hook in vars(base)]
        hooks += ["__slots__"] if vars(base).get("__slots__") else []
        if hooks and base.__module__ != "builtins":
            refuse(f"is of the class {full_name(base)} with a {hooks[0]} of its own, whose content")
    attributes: dict[str, Any] = dict(vars(value))
    if _pickles_itself(kind):
        attributes = {name: each for name, each in value.__getstate__().items() if name != "_sklearn_version"}
    kept = set(KEPT) & parameters_of(kind)
    return {name: each for name, each in attributes.items() if name not in kept}


def _pickles_itself(kind: type) -> bool:
    """Whether an estimator of scikit-learn leaves out something that it makes anew, such as a function."""
    owner = next((base for base in kind.__mro__ if "__setstate__" in vars(base)), None)
    return _is_estimator(kind) and full_name(owner) != "sklearn.base.BaseEstimator"


def finished(kind: Any, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of an object once its class has made those that no state has."""
    if not _pickles_itself(kind):
        return attributes
    import sklearn

    scratch = object.__new__(kind)
    scratch.__setstate__({**attributes, "_sklearn_version": sklearn.__version__})
    return {name: each for name, each in vars(scratch).items() if name != "_sklearn_version"}


def importable_name(value: Any) -> str:
    """Return the name under which a function or class can be imported; empty if there is none."""
    name = full_name(value)
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    found: Any = module
    for part in (getattr(value, "__qualname__", None) or "<lambda>").split("."):
        found = getattr(found, part, None)
    return name if found is value else ""


class KnownNames:
    """The classes and functions that a model uses, by name."""

    def __init__(self, model: Any) -> None:
        """Find them in a model, and in everything that it holds."""
        self._found: dict[str, Any] = {}
        for value in _everything_in(model):
            named = value if callable(value) and not hasattr(value, "get_params") else type(value)
            self._found.setdefault(full_name(named), named)

    def class_named(self, name: str) -> type:
        """Return the class with a name; raises StateError unless the model uses it or it is one of scikit-learn."""
        kind = self._found.get(name)
        module, _, word = name.rpartition(".")
        if kind is None and module.startswith("sklearn."):
            kind = getattr(sys.modules.get(module), word, None)
        if not isinstance(kind, type) or not is_known_class(kind):
            message = f"the class {name} is not one that the model uses; fit the model on any data first"
            raise StateError(message)
        return kind

    def function_named(self, name: str) -> Any:
        """Return the function or class with a name; raises StateError unless the model uses it."""
        found = self._found.get(name)
        pure = sys.modules.get(_PURE)
        word = name.rpartition(".")[2]
        if found is None and name in _PURE_FUNCTIONS:
            found = getattr(sys.modules.get(name.rpartition(".")[0]), word, None)
        if found is None and word in getattr(pure, "__all__", ()) and full_name(getattr(pure, word)) == name:
            found = getattr(pure, word)
        if found is None:
            message = f"it is the function {name}, which the model does not use; build or fit the model with it first"
            raise StateError(message)
        return found


def _everything_in(model: Any) -> Iterator[Any]:
    waiting, seen = [model], {}
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value  # which keeps it, so that no id comes twice
        yield value
        if isinstance(value, list | tuple | set | frozenset):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, np.ndarray) and value.dtype.hasobject:
            waiting += value.reshape(-1).tolist()
        elif is_known_class(type(value)):
            waiting += vars(value).values()
