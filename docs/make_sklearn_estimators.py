"""Write docs/sklearn_estimators.md: the estimators of scikit-learn whose state a table holds, and the others.

    python docs/make_sklearn_estimators.py

Each estimator is fitted, exported, and loaded into one that was fitted on data of other sizes and into one that was not
fitted. It counts as restored if both then equal it in all that they hold and all that they predict.
"""

from __future__ import annotations

import copy
import functools
import re
import tempfile
import textwrap
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy.sparse
import sklearn
from scipy.interpolate import interp1d
from sklearn.decomposition import SparseCoder
from sklearn.experimental import enable_iterative_imputer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.utils import all_estimators
from sklearn.utils._test_common.instance_generator import _construct_instances
from sklearn.utils.estimator_checks import _enforce_estimator_tags_X, _enforce_estimator_tags_y

from tb2csv.errors import StateError
from tb2csv.model_state import export_state, load_state

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE: Final = Path(__file__).with_name("sklearn_estimators.md")

#: Estimators that scikit-learn's own helper does not construct, or not for data of this width.
_OWN: Final[dict[str, Callable[[], Any]]] = {
    "FrozenEstimator": lambda: FrozenEstimator(LinearRegression()),
    "SparseCoder": lambda: SparseCoder(np.eye(5, 4)),
}
#: Parameters that make slow ones fast.
_FAST: Final = {"TSNE": {"max_iter": 250}}

_METHODS: Final = (
    "predict",
    "predict_proba",
    "decision_function",
    "transform",
    "score_samples",
    "kneighbors",
    "apply",
    "staged_predict",
)


def instances() -> dict[str, Callable[[], Any]]:
    """Return functions that make each estimator, by the estimator's name and a number."""
    found: dict[str, Callable[[], Any]] = {}
    for name, kind in all_estimators():
        if name in _OWN:
            found[f"{name}-0"] = _OWN[name]
            continue
        found |= {f"{name}-{n}": functools.partial(_instance, kind, n) for n, _ in enumerate(_constructed(kind))}
    return found


def _constructed(kind: Any) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # some are going to be removed
        return list(_construct_instances(kind))


def _instance(kind: Any, number: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        made = copy.deepcopy(_constructed(kind)[number])  # the helper gives all of them the same parts
    return made.set_params(**_FAST.get(kind.__name__, {}))


def fit(estimator: Any, seed: int, rows: int, columns: int) -> Any:
    """Fit an estimator on random data, and return the data."""
    kind = type(estimator).__name__
    random = np.random.RandomState(seed)
    data: Any = random.rand(rows, columns) * 3
    target: Any = (np.argsort(np.argsort(data[:, seed])) * 2 // rows).astype(int)  # two classes of one size
    order = np.argsort(target, kind="stable").reshape(2, -1).T.reshape(-1)  # which come in turn
    data, target = data[order], target[order]
    if kind in {"CountVectorizer", "TfidfVectorizer"}:
        data = [" ".join(random.choice(["ape", "bee", "cat", "dog"][seed:], 5)) for _ in range(rows)]
    elif kind == "DictVectorizer":
        data = [{"a": float(each[0]), f"b{seed}": "u"} for each in data]
    elif kind in {"LabelBinarizer", "LabelEncoder"}:
        data, target = random.randint(0, 3 + seed, rows), None
    elif kind == "MultiLabelBinarizer":
        data, target = [tuple(random.randint(0, 3 + seed, 2)) for _ in range(rows)], None
    else:
        data = _enforce_estimator_tags_X(estimator, data)
        target = _enforce_estimator_tags_y(estimator, target)
        if estimator.__sklearn_tags__().input_tags.allow_nan and data.dtype == float:
            data[::7, seed + 1] = np.nan
    fitted = estimator.estimator if kind == "FrozenEstimator" else estimator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted.fit(data, *(() if target is None else (target,)))
    return data


def outputs(estimator: Any, data: Any) -> dict[str, Any]:
    """Return whatever an estimator makes of data, by method."""
    found: dict[str, Any] = {}
    for method in _METHODS:
        np.random.seed(0)
        if hasattr(estimator, method):
            try:
                result = getattr(estimator, method)(copy.deepcopy(data))
                found[method] = list(result) if isinstance(result, types.GeneratorType) else result
            except (ValueError, AttributeError, TypeError, IndexError) as error:  # the sort of data it does not take
                found[method] = repr(error)
    return found


def difference(one: Any, other: Any, path: str = "", seen: dict[tuple[int, int], Any] | None = None) -> str:
    """Return the path to the first part in which two values differ in type or bits; empty if there is none."""
    seen = {} if seen is None else seen
    if type(one) is not type(other):
        return f"{path}: {type(one)} and {type(other)}"
    if one is other or (id(one), id(other)) in seen:
        return ""
    seen[id(one), id(other)] = (one, other)
    if type(one) is np.ndarray and one.dtype != object:
        is_same = one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
        return "" if is_same else f"{path}: arrays"
    parts = _parts(one), _parts(other)
    if parts[0].keys() != parts[1].keys():
        return f"{path}: {parts[0].keys() ^ parts[1].keys()}"
    if not parts[0]:
        is_same = hasattr(one, "__dict__") or repr(one) == repr(
            other
        )  # which shows all bits of numbers, and that NaN is NaN
        return "" if is_same else f"{path}: {one!r} and {other!r}"
    found = (difference(each, parts[1][name], f"{path}.{name}", seen) for name, each in parts[0].items())
    return next(filter(None, found), "")


def _nothing(_: Any) -> dict[Any, Any]:
    return {}


def _reduced(value: Any) -> dict[Any, Any]:
    """Return what pickle would write for an object."""
    reduced = value.__reduce_ex__(2)
    return dict(enumerate(reduced if isinstance(reduced, tuple) else ()))


#: By type, everything that a value consists of.
_PARTS: Final[dict[Any, Callable[[Any], dict[Any, Any]]]] = {
    np.ma.MaskedArray: lambda array: {"data": array.data, "mask": array.mask, "fill_value": array.fill_value},
    np.ndarray: lambda array: dict(enumerate([array.shape, *array.flat])),
    dict: dict,
    list: lambda values: dict(enumerate(values)),
    tuple: lambda values: dict(enumerate(values)),
    set: lambda values: dict(enumerate(sorted(map(repr, values)))),
    types.FunctionType: lambda function: {"id": id(function)},
    str | bytes | int | float | complex | np.generic | type | None: _nothing,
    # A sparse matrix also remembers whether its indices are sorted, and interp1d a method that it chooses anew.
    scipy.sparse.spmatrix: lambda matrix: {
        name: getattr(matrix, name) for name in ("shape", "data", "indices", "indptr")
    },
    interp1d: lambda line: {name: each for name, each in vars(line).items() if name != "_call"},
    np.random.RandomState | np.random.Generator: _reduced,
}


def _parts(value: Any) -> dict[Any, Any]:
    found = next((parts for kind, parts in _PARTS.items() if isinstance(value, kind)), None)
    return found(value) if found else vars(value) if hasattr(value, "__dict__") else _reduced(value)


def refusal(make: Callable[[], Any]) -> str:
    """Return why the state of an estimator is refused, and an empty text if it is restored.

    Raises AssertionError if it is restored to something else.
    """
    source, data = make(), None
    data = fit(source, 0, 60, 4)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            export_state(source, Path(folder) / "state.csv")
            models = []
            for is_fitted in (True, False):
                model = make()
                models.append(model)
                if is_fitted:
                    fit(model, 1, 50, 4 if isinstance(model, SparseCoder) else 5)
                    has_learnt = source.__sklearn_tags__().requires_fit and not isinstance(source, SparseCoder)
                    if has_learnt and not difference(source, model):
                        message = f"both data sets give one {type(model).__name__}, so nothing is shown"
                        raise AssertionError(message)
                load_state(Path(folder) / "state.csv", model)
                _assert_same(difference(source, model))
            expected = outputs(source, data)
            for model in models:
                _assert_same(difference(expected, outputs(model, data)))
        except StateError as error:
            return str(error)
    return ""


def _assert_same(odd: str) -> None:
    if odd:
        raise AssertionError(odd)


def page(refusals: dict[str, str]) -> str:
    """Return the page; ``refusals`` has what ``refusal`` returned for each of the instances."""
    refused = {name.rpartition("-")[0]: _attribute(text) for name, text in refusals.items() if text}
    restored = dict.fromkeys(name.rpartition("-")[0] for name in refusals)
    names = ", ".join(f"`{name}`" for name in restored if name not in refused)
    rows = "\n".join(f"| `{name}` | {attribute} |" for name, attribute in refused.items())
    return f"""# Estimators of scikit-learn and their state

What [`export_state` and `load_state`](model_state.md) do with each estimator of scikit-learn {sklearn.__version__}
(`sklearn.utils.all_estimators`). Each was fitted, exported, and loaded into one that was fitted on data of other sizes,
and into one that was not fitted. `python docs/make_sklearn_estimators.py` writes this page, and a test checks it.

## Restored: {len(restored) - len(refused)}

Everything that the estimator holds, and everything that it predicts, is the same bit for bit.

{textwrap.fill(names, 120, break_on_hyphens=False)}

## Refused: {len(refused)}

`export_state` raises `StateError`, which names the attribute.

| estimator | attribute |
|---|---|
{rows}
"""


def _attribute(message: str) -> str:
    found = re.search(r"holds '([^']+)', an object of (\S+),", message)
    if found is None:
        raise AssertionError(message)
    return f"`{found[1]}`, a `{found[2].rpartition('.')[2]}`"


if __name__ == "__main__":
    PAGE.write_text(page({name: refusal(make) for name, make in instances().items()}), encoding="utf-8")
