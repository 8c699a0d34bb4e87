"""Every sort of value that an estimator may hold: it comes back, or it is refused by name."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import pytest
import scipy.sparse
import xgboost
from sklearn.base import BaseEstimator
from sklearn.cluster import Birch
from sklearn.experimental import enable_iterative_imputer
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn_models import Holder, X, exported, labels

from tb2csv.errors import StateError
from tb2csv.model_state import (
    STYLES,
    export_state,
    load_state,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Slotted(Holder):
    __slots__ = ("hidden",)


class Reducing(Holder):
    def __reduce__(self) -> Any:
        return type(self), ()


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    "value",
    [
        None,
        [1, 2.5, "a", None, True, b"\xff\x00", 3 + 4j],
        (1, (2, [3.0, {"x": (), "y": []}])),
        {1: "a", (2, 3): "b", None: [np.int8(4)]},
        {"a.b": 1, "a": {"b": 2.0}},
        {"1": 2, 1: 3},
        {"keys": 1, "values": "x"},
        {1, 2, 3},
        pytest.param(frozenset({"a", 5}), id="frozenset"),
        [10**30, -(10**30)],
        10**30,
        'a,"b"\n\ud800',
        [np.float32(0.1), np.float32(0.2)],
        [np.float32(0.1), np.float64(0.1)],
        np.str_("text"),
        np.array([], object).reshape(0, 3),
        np.zeros((0, 5)),
        np.zeros((2, 0), np.int8),
        np.array([b"a", b"bc"]),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([None, "a", float("nan"), 3, (1, 2)], object),
        np.array([[1, 2], [3, 4]], object),
        np.array([(1, 2.5)], [("n", "i2"), ("x", "f8")]),
        np.ma.MaskedArray([1.0, 2.0], mask=[True, False], fill_value=-1.0),
        scipy.sparse.csc_array(np.eye(3)),
        slice(1, None, 2),
        np.float32,
        np.dtype("f4"),
        float,
        pytest.param(np.random.default_rng(3), id="generator"),
        [LinearRegression().fit(X, X[:, 0]), {"inner": (StandardScaler().fit(X),)}],
    ],
    ids=lambda value: repr(value)[:30],
)
@pytest.mark.parametrize("style", STYLES)
def test_every_sort_of_value_comes_back(value: Any, style: str, tmp_path: Path) -> None:
    first, second = Holder(value).fit(), Holder([1]).fit()
    export_state(first, tmp_path / "s.csv", style=style)
    load_state(tmp_path / "s.csv", second)
    assert schema(second.kept_) == schema(first.kept_)


#: By type, what a value consists of: types and bits in a form that can be compared.
SCHEMAS: dict[Any, Callable[[Any], Any]] = {
    np.ma.MaskedArray: lambda array: [array.data.tobytes(), array.mask.tolist(), array.fill_value],
    np.ndarray: lambda array: [
        array.dtype,
        array.shape,
        array.flags.fnc,
        [schema(each) for each in array.flat] if array.dtype == object else array.tobytes(),
    ],
    dict: lambda values: {key: schema(each) for key, each in values.items()},
    list: lambda values: [schema(each) for each in values],
    tuple: lambda values: [schema(each) for each in values],
    set: lambda values: sorted(map(repr, values)),
    frozenset: lambda values: sorted(map(repr, values)),
    scipy.sparse.sparray: lambda matrix: [matrix.shape, matrix.toarray().tolist()],
    np.random.Generator: lambda generator: [generator.bit_generator.state, generator.bit_generator.seed_seq.state],
    BaseEstimator: lambda estimator: schema(vars(estimator)),
    object: repr,
}


def schema(value: Any) -> Any:
    return type(value), next(of for kind, of in SCHEMAS.items() if isinstance(value, kind))(value)


def test_shared_values_stay_shared(tmp_path: Path) -> None:
    shared = LinearRegression().fit(X, X[:, 0])
    first, second = Holder({"a": [shared], "b": (shared,), "array": X, "same array": X}).fit(), Holder()
    first.myself_ = first
    load_state(exported(first, tmp_path), second)
    assert second.kept_["a"][0] is second.kept_["b"][0]
    assert second.kept_["array"] is second.kept_["same array"]
    assert second.myself_ is second


def test_a_list_within_itself_is_refused(tmp_path: Path) -> None:
    ring: list[Any] = []
    ring.append([ring])
    with pytest.raises(StateError, match=r"'kept_\.0\.0', which holds itself"):
        export_state(Holder(ring).fit(), tmp_path / "s.csv")


class Opaque:
    """An object without any attributes that vars shows."""

    __slots__ = ("hidden",)


@pytest.mark.parametrize(
    ("estimator", "attribute"),
    [
        (Holder(Opaque()), "kept_"),
        (Holder({"inner": [Opaque()]}), "kept_.inner.0"),
        (Holder(lambda: 1), "kept_"),
        (Holder(functools.partial(max, 1)), "kept_"),
        (Holder(np.array(["2020-01-01"], "M8[D]")), "kept_"),
        (Holder(np.array([1], np.longdouble)), "kept_"),
        (Holder(np.matrix([[1]])), "kept_"),
        (Holder(scipy.sparse.coo_array(np.eye(2))), "kept_"),
        (Holder(np.random.Generator(np.random.MT19937(1))), "kept_"),
        (Holder(re.compile("a")), "kept_"),
        (Holder(iter(())), "kept_"),
        (Birch(), "root_"),
        (KNeighborsClassifier(metric=lambda a, b: abs(a - b).sum()), "metric"),
        (FunctionTransformer(lambda data: data), "func"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_values_without_a_form_in_a_table_are_refused_by_name(estimator: Any, attribute: str, tmp_path: Path) -> None:
    estimator.fit() if isinstance(estimator, Holder) else estimator.fit(X, labels(X))
    with pytest.raises(StateError, match=re.escape(f"holds {attribute!r}")):
        export_state(estimator, tmp_path / "s.csv")
    assert not (tmp_path / "s.csv").exists()


@pytest.mark.parametrize(("kind", "hook"), [(Slotted, "__slots__"), (Reducing, "__reduce__")])
def test_a_class_that_may_hide_state_is_refused(kind: type[Holder], hook: str, tmp_path: Path) -> None:
    with pytest.raises(StateError, match=f"{kind.__name__} with a {hook}"):
        export_state(kind(1).fit(), tmp_path / "s.csv")


def test_values_that_are_too_deep_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="so deep"):
        export_state(Holder(nested(5000)).fit(), tmp_path / "s.csv")


@pytest.mark.parametrize(
    "make",
    [
        lambda: xgboost.XGBClassifier(n_estimators=3),
        lambda: lightgbm.LGBMClassifier(n_estimators=3, verbose=-1),
        lambda: make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=3)),
    ],
    ids=["xgboost", "lightgbm", "pipeline"],
)
def test_boosters_of_other_packages_are_refused(make: Callable[[], Any], tmp_path: Path) -> None:
    model = make().fit(X, (labels(X) == "yes").astype(int))
    with pytest.raises(StateError, match="_Booster'"):
        export_state(model, tmp_path / "s.csv")
