"""Tables that describe no sound estimator, on purpose or not: all are refused before anything is changed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.sparse
import sklearn
import skops.io
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
)
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.experimental import enable_iterative_imputer
from sklearn.linear_model import LinearRegression
from sklearn_models import OTHER, Holder, X, exported, fitted, labels, numbers, output

from tb2csv.errors import StateError
from tb2csv.model_state import (
    ModelState,
    load_state,
    read_state,
    state_of,
)
from tb2csv.model_state.tensors import tensor_of_array

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def changed(state: ModelState, name: str, array: np.ndarray) -> ModelState:
    """Return a state with another value of one tensor."""
    assert name in {each.name for each in state.tensors}
    tensors = (tensor_of_array(name, array, python=t.python) if t.name == name else t for t in state.tensors)
    return replace(state, tensors=tuple(tensors))


def value_of(state: ModelState, name: str) -> np.ndarray:
    return next(each for each in state.tensors if each.name == name).array().copy()


def with_first(array: np.ndarray, value: Any) -> np.ndarray:
    array.reshape(-1)[0] = value
    return array


def described(state: ModelState, name: str, old: str, new: str) -> ModelState:
    text = value_of(state, name).item()
    assert old in text
    return changed(state, name, np.array(text.replace(old, new), object))


def refuse(state: ModelState, model: Any, match: str) -> None:
    """Assert that a state is refused, and the model is what it was."""
    before = skops.io.dumps(model)
    with pytest.raises(StateError, match=match):
        load_state(state, model)
    untouched = skops.io.loads(before, trusted=skops.io.get_untrusted_types(data=before))
    assert state_of_bits(model) == state_of_bits(untouched)


def state_of_bits(model: Any) -> list[Any]:
    return [(each.name, bytes(each.content())) for each in state_of(model).tensors]


TREE = "tree_."


@pytest.mark.parametrize(
    ("tensor", "value", "match"),
    [
        ("left_child", lambda a: with_first(a, len(a)), "not a tree"),
        ("left_child", lambda a: with_first(a, 0), "not a tree"),
        ("left_child", lambda a: with_first(a, -1), "leaf has a child"),
        ("right_child", lambda a: with_first(a, -5), "not a tree"),
        ("feature", lambda a: with_first(a, 4), "feature"),
        ("feature", lambda a: with_first(a, -3), "feature"),
        ("threshold", lambda a: a[:-1], "threshold has another shape"),
        ("threshold", lambda a: a.astype("f4"), "threshold has another shape or dtype"),
        ("value", lambda a: a[:, :, :1], "value has another shape"),
        ("value", lambda a: a[:0], "shape"),
        ("max_depth", lambda a: a * 0 + 1, "max_depth"),
        ("n_features", lambda a: a + 1, "other features"),
        ("n_classes", lambda a: a + 1, "value has another shape"),
        ("n_outputs", lambda a: a + 1, "n_classes"),
    ],
)
def test_trees_that_compiled_code_must_not_follow_are_refused(
    tensor: str, value: Callable[[np.ndarray], np.ndarray], match: str
) -> None:
    state = state_of(fitted("tree", X))
    refuse(changed(state, TREE + tensor, value(value_of(state, TREE + tensor))), fitted("tree", OTHER), match)


def test_a_ring_of_nodes_beside_a_tree_is_refused() -> None:
    state = state_of(fitted("tree", X))
    left, right = (value_of(state, f"{TREE}{side}_child") for side in ("left", "right"))
    inner = np.flatnonzero(left >= 0)
    left[0], right[0], left[inner[-1]] = right[0], left[inner[-1]], 1
    swapped = changed(changed(state, f"{TREE}left_child", left), f"{TREE}right_child", right)
    refuse(swapped, fitted("tree", OTHER), "not a tree|max_depth")


@pytest.mark.parametrize(
    ("name", "tensor", "value", "match"),
    [
        ("forest", "n_features_in_", lambda a: a - 1, "other features"),
        ("isolation forest", "_max_features", lambda a: a * 0 + 4, "_max_features"),
        ("isolation forest", "estimators_features_.0", lambda a: a[:1], "estimators_features_"),
        ("boosting", "n_trees_per_iteration_", lambda a: a + 1, "n_trees_per_iteration_"),
        ("boosting", "init_.class_prior_", lambda a: a[:1], "init_"),
        ("histogram boosting", "_predictors.0.0.nodes.field_left", lambda a: with_first(a, 10**6), "not a tree"),
        ("histogram boosting", "_predictors.0.0.nodes.field_feature_idx", lambda a: with_first(a, 4), "feature_idx"),
        ("histogram boosting", "_predictors.0.0.nodes.field_is_categorical", lambda a: with_first(a, 1), "is_cat"),
        ("vectors", "_n_support", lambda a: a + 1, "_n_support"),
        ("vectors", "_n_support", lambda a: a[:1], "_n_support"),
        ("vectors", "_dual_coef_", lambda a: a[:, :-1], "_dual_coef_"),
        ("vectors", "_intercept_", lambda a: a[:0], "_intercept_"),
        ("vectors", "support_vectors_", lambda a: a[:-1], "support_vectors_"),
        ("vectors", "support_", lambda a: a + 60, "support_"),
        ("vectors", "_probA", lambda _: np.zeros(5), "_probA"),
        ("vectors", "classes_", lambda a: np.concatenate((a, a)), "classes_"),
        ("neighbours", "_y", lambda a: a + 1, "_y"),
        ("neighbours", "_y", lambda a: a[1:], "_y"),
        ("neighbours", "_tree.order", lambda a: a[::-1], "another order"),
        ("neighbours", "_fit_X", lambda a: a[:, 1:], "_fit_X"),
        ("kmeans", "cluster_centers_", lambda a: a[:, :1], "cluster_centers_"),
        ("kmeans", "_n_threads", lambda a: a * 0, "_n_threads"),
        ("bisecting kmeans", "_bisecting_tree.center", lambda a: a[:1], "_bisecting_tree"),
    ],
)
def test_sizes_that_compiled_code_trusts_are_checked(
    name: str, tensor: str, value: Callable[[np.ndarray], np.ndarray], match: str
) -> None:
    state = state_of(fitted(name, X))
    refuse(changed(state, tensor, value(value_of(state, tensor))), fitted(name, OTHER), match)


def test_indices_of_a_sparse_matrix_are_checked() -> None:
    model = Holder(scipy.sparse.csr_array(np.eye(3))).fit()
    state = state_of(model)
    for name, value in (("indices", 3), ("indices", -1), ("indptr", 2)):
        array = with_first(value_of(state, f"kept_.{name}"), value)
        with pytest.raises(StateError, match=r"at 'kept_'"):
            load_state(changed(state, f"kept_.{name}", array), Holder())


def test_no_class_or_function_is_loaded_by_its_name_in_a_table() -> None:
    state = state_of(fitted("pipeline", X))
    target = fitted("pipeline", OTHER)
    scaler = "sklearn.preprocessing._data.StandardScaler"
    for name in ("subprocess.Popen", "sklearn.utils._bunch.Bunch", "sklearn.base.clone", "sklearn.nowhere.Thing"):
        refuse(described(state, "steps.0.1.structure", scaler, name), target, f"class {re.escape(name)}")
    number = '"n_iter_": {"is": "array"}'
    for name in ("os.system", "sklearn.datasets.load_files", "builtins.eval"):
        named = json.dumps({"is": "named", "name": name})
        refuse(described(state, "steps.2.1.structure", number, f'"n_iter_": {named}'), target, "it is the function")


def test_a_table_cannot_set_a_cache_folder() -> None:
    state = described(state_of(fitted("pipeline", X)), "structure", '"attributes": {', '"attributes": {"memory": "x", ')
    target = fitted("pipeline", OTHER)
    load_state(state, target)
    assert target.memory is None


@pytest.mark.parametrize(
    "structure", ["", "[]", "{}", "nonsense", '{"class": 1}', "[" * 100_000, '{"class": "a", "attributes": []}']
)
def test_a_structure_that_is_not_one_is_refused(structure: str) -> None:
    state = changed(state_of(fitted("scaler", X)), "structure", np.array(structure, object))
    refuse(state, fitted("scaler", OTHER), "does not fit")


@pytest.mark.parametrize(
    "node",
    [
        '{"is": "nothing"}',
        '{"is": "same_as", "path": "elsewhere"}',
        '{"is": "objects", "shape": [1000000000000], "items": []}',
        '{"is": "array", "shape": [3]}',
        '{"is": "builtins.type", "parts": {"name": null}}',
        '{"is": "numpy.dtypes.Float64DType", "parts": {"dtype": "nonsense"}}',
        '{"is": "numpy.random.mtrand.RandomState", "parts": {}}',
        '{"is": "list", "items": 5}',
        "[]",
    ],
)
def test_a_value_that_is_not_described_is_refused(node: str) -> None:
    state = described(state_of(fitted("scaler", X)), "structure", '"mean_": {"is": "array"}', f'"mean_": {node}')
    refuse(state, fitted("scaler", OTHER), "does not fit")


def test_a_state_of_something_else_is_refused() -> None:
    refuse(
        state_of(fitted("scaler", X)), fitted("logistic", OTHER), "state of a sklearn.*StandardScaler, and the model"
    )
    scaler = state_of(fitted("scaler", X))
    refuse(replace(scaler, tensors=scaler.tensors[1:]), fitted("scaler", OTHER), "no tensor 'structure'")
    refuse(replace(scaler, tensors=scaler.tensors[:-1]), fitted("scaler", OTHER), "a tensor is missing")
    more = replace(scaler, tensors=(*scaler.tensors, tensor_of_array("more_", np.zeros(2))))
    refuse(more, fitted("scaler", OTHER), "'more_', there is a tensor that belongs to no value")


def test_a_damaged_cell_changes_nothing(tmp_path: Path) -> None:
    path = exported(fitted("scaler", X), tmp_path)
    text = path.read_text()
    digits = re.search(r'mean_,"(-?\d+\.\d+)', text)
    assert digits is not None
    path.write_text(text.replace(digits[1], "7.25", 1))
    refuse(read_state(path), fitted("scaler", OTHER), "mean_: .*SHA-256")


def test_a_state_of_another_version_is_loaded_with_a_warning() -> None:
    version = f'"version": "{sklearn.__version__}"'
    state = described(state_of(fitted("scaler", X)), "structure", version, '"version": "1.4.0"')
    second = fitted("scaler", OTHER)
    with pytest.warns(InconsistentVersionWarning, match=r"1\.4\.0"):
        load_state(state, second)
    np.testing.assert_array_equal(output(second), output(fitted("scaler", X)))


def test_a_boosting_that_begins_with_another_model_is_refused_by_name() -> None:
    def make() -> Any:
        return GradientBoostingRegressor(n_estimators=2, init=LinearRegression(), random_state=0).fit(X, numbers(X))

    refuse(state_of(make()), make(), "init_ is a LinearRegression")


def test_histogram_boosting_of_categories_is_refused_by_name() -> None:
    def make() -> Any:
        data = np.column_stack((X, np.arange(60) % 3))
        return HistGradientBoostingClassifier(max_iter=2, categorical_features=[4]).fit(data, labels(X))

    with pytest.raises(StateError, match="_preprocessor"):
        load_state(state_of(make()), make())
