"""The state of scikit-learn estimators, live and in files of skops."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.sparse
import skops.io
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.experimental import enable_iterative_imputer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_classif, mutual_info_classif
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn_models import ALL, NEW, OTHER, X, exported, fitted, labels, numbers, output

from tb2csv.errors import StateError
from tb2csv.model_state import (
    STYLES,
    diff_states,
    export_state,
    load_state,
    restore_file,
    state_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", ALL)
def test_an_estimator_predicts_as_the_source_of_its_state(name: str, style: str, tmp_path: Path) -> None:
    first, second, third = fitted(name, X), fitted(name, OTHER), ALL[name]()
    assert not np.array_equal(output(first), output(second))
    export_state(first, tmp_path / "s.csv", style=style, max_cell=100)
    for model in (second, third):
        assert load_state(tmp_path / "s.csv", model) == []
        np.testing.assert_array_equal(output(first), output(model), strict=True)
        for old, new in zip(state_of(first).tensors, state_of(model).tensors, strict=True):
            assert (new.name, new.dtype, bytes(new.content())) == (old.name, old.dtype, bytes(old.content()))


def test_lists_of_another_length_are_values(tmp_path: Path) -> None:
    first = MLPClassifier(max_iter=30, random_state=0).fit(X, labels(X))
    second = MLPClassifier(max_iter=5, random_state=1).fit(OTHER, labels(OTHER))
    assert (len(first.loss_curve_), len(second.loss_curve_)) == (30, 5)
    load_state(exported(first, tmp_path), second)
    assert second.loss_curve_ == first.loss_curve_
    assert [type(each) for each in second.loss_curve_] == [type(each) for each in first.loss_curve_]


def test_names_of_attributes() -> None:
    names = {tensor.name: tensor for tensor in state_of(fitted("pipeline", X)).tensors}
    assert {"steps.0.1.mean_", "steps.1.1.components_", "steps.2.1.coef_"} <= set(names)
    assert names["steps.2.1.coef_"].layer_type == "LogisticRegression"
    tree = {tensor.name.rpartition(".")[2] for tensor in state_of(fitted("tree", X)).tensors}
    assert {"left_child", "right_child", "feature", "threshold", "value"} <= tree
    kernel = {tensor.name for tensor in state_of(fitted("gaussian process", X)).tensors}
    assert {"kernel_.k1.k1.constant_value", "kernel_.k1.k2.length_scale", "kernel_.k2.noise_level"} <= kernel


def test_types_of_plain_values_are_kept(tmp_path: Path) -> None:
    second = LogisticRegression()
    load_state(exported(fitted("logistic", X), tmp_path), second)
    assert type(second.n_features_in_) is int
    assert second.classes_.dtype == "<U3"


def test_texts_and_vocabularies(tmp_path: Path) -> None:
    first = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["a cat", "the dog", "one dog"], [0, 1, 1])
    second = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["no cat", "the dog", "the dog"], [0, 1, 1])
    load_state(exported(first, tmp_path), second)
    assert second[0].vocabulary_ == {"cat": 0, "the": 3, "dog": 1, "one": 2}
    encoder = OneHotEncoder(sparse_output=False).fit([["red"], ["blue"]])
    other = OneHotEncoder(sparse_output=False).fit([["x"], ["yellow"], ["z"]])
    load_state(exported(encoder, tmp_path), other)
    assert other.transform([["blue"]]).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("target", [numbers(X), np.zeros(60)], ids=["slope", "constant"])
def test_isotonic_regression_gets_its_function(target: np.ndarray, tmp_path: Path) -> None:
    first = IsotonicRegression(out_of_bounds="clip").fit(X[:, 0], target)
    second = IsotonicRegression(out_of_bounds="clip").fit(OTHER[:, 0], 5 * OTHER[:, 0])
    load_state(exported(first, tmp_path), second)
    np.testing.assert_array_equal(second.predict(NEW[:, 0]), first.predict(NEW[:, 0]))


@pytest.mark.parametrize("data", [X, scipy.sparse.csr_matrix(X)], ids=["dense", "sparse"])
def test_support_vectors_of_dense_and_sparse_data(data: Any, tmp_path: Path) -> None:
    classes = np.arange(60) % 3
    first = SVC(decision_function_shape="ovo").fit(data, classes)
    second = SVC().fit(OTHER, labels(OTHER))
    load_state(exported(first, tmp_path), second)
    new = type(data)(NEW) if data is not X else NEW
    np.testing.assert_array_equal(second.decision_function(new), first.decision_function(new))


def test_support_vectors_of_a_precomputed_kernel(tmp_path: Path) -> None:
    first = SVC(kernel="precomputed").fit(X @ X.T, labels(X))
    second = SVC()
    load_state(exported(first, tmp_path), second)
    np.testing.assert_array_equal(second.decision_function(NEW @ X.T), first.decision_function(NEW @ X.T))


def test_trees_of_several_outputs(tmp_path: Path) -> None:
    first = RandomForestClassifier(3, random_state=0).fit(X, (X[:, :2] > 0).astype(int))
    second = RandomForestClassifier(2).fit(OTHER, labels(OTHER))
    load_state(exported(first, tmp_path), second)
    np.testing.assert_array_equal(second.predict(NEW), first.predict(NEW))


def test_parameters_are_part_of_the_state(tmp_path: Path) -> None:
    first = KNeighborsClassifier(1, weights="distance").fit(X, labels(X))
    second = KNeighborsClassifier(9).fit(OTHER, labels(OTHER))
    load_state(exported(first, tmp_path), second)
    assert (second.n_neighbors, second.weights) == (1, "distance")


def test_a_model_keeps_its_cache_folder(tmp_path: Path) -> None:
    steps = [("scale", StandardScaler()), ("classes", LogisticRegression())]
    path = exported(Pipeline(steps, memory=str(tmp_path / "theirs")).fit(X, labels(X)), tmp_path)
    assert "theirs" not in path.read_text()
    second = Pipeline(copy.deepcopy(steps), memory="ours")
    load_state(path, second)
    assert second.memory == "ours"


def test_parts_that_the_user_made_keep_their_identity(tmp_path: Path) -> None:
    scaler, path = StandardScaler(), exported(fitted("pipeline", X), tmp_path)
    second = make_pipeline(scaler, PCA(2), LogisticRegression())
    load_state(path, second)
    assert second[0] is scaler
    np.testing.assert_array_equal(scaler.mean_, X.mean(0))


def test_attributes_that_only_the_model_has_are_gone(tmp_path: Path) -> None:
    first, second = StandardScaler(with_std=False).fit(X), StandardScaler().fit(OTHER)
    second.note_ = "of other data"
    load_state(exported(first, tmp_path), second)
    assert second.scale_ is None
    assert not hasattr(second, "note_")


@pytest.mark.parametrize(
    "make",
    [lambda: MLPClassifier((4,), random_state=3), lambda: SGDClassifier(average=True, random_state=3)],
    ids=["network", "descent"],
)
def test_training_continues_as_if_never_stopped(make: Callable[[], Any], tmp_path: Path) -> None:
    first, second = make(), make()
    first.partial_fit(X, labels(X), classes=["no", "yes"])
    load_state(exported(first, tmp_path), second)
    for model in (first, second):
        model.partial_fit(OTHER, labels(OTHER))
    np.testing.assert_array_equal(output(first), output(second))


def test_random_generators_continue(tmp_path: Path) -> None:
    first = LogisticRegression(random_state=np.random.RandomState(5)).fit(X, labels(X))
    first.random_state.standard_normal(3)
    second = LogisticRegression()
    load_state(exported(first, tmp_path), second)
    assert second.random_state is not first.random_state
    np.testing.assert_array_equal(second.random_state.standard_normal(5), first.random_state.standard_normal(5))


def test_the_global_random_generator_stays_global(tmp_path: Path) -> None:
    first, second = GradientBoostingRegressor(n_estimators=2), GradientBoostingRegressor(n_estimators=2)
    first.fit(X, numbers(X))
    before = np.random.get_state()[1].copy()
    load_state(exported(first, tmp_path), second)
    assert second._rng is np.random.mtrand._rand
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_model_keeps_its_functions(tmp_path: Path) -> None:
    path = exported(SelectKBest(f_classif, k=2).fit(X, labels(X)), tmp_path)
    second = SelectKBest(f_classif, k=1).fit(OTHER, labels(OTHER))
    load_state(path, second)
    np.testing.assert_array_equal(second.scores_, f_classif(X, labels(X))[0])
    with pytest.raises(StateError, match=r"'score_func'.*function sklearn"):
        load_state(path, SelectKBest(mutual_info_classif))
    path = exported(FunctionTransformer(np.log1p).fit(X), tmp_path)
    with pytest.raises(StateError, match=r"'func'.*numpy\.log1p"):
        load_state(path, FunctionTransformer(np.expm1))


def test_unfitted_estimators_have_no_state(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="fit it first"):
        export_state(LogisticRegression(), tmp_path / "s.csv")


def test_differences_of_two_estimators_show_parameters_and_values() -> None:
    found = diff_states(KNeighborsClassifier(1).fit(X, labels(X)), KNeighborsClassifier(2).fit(X, labels(X)))
    assert [each.name for each in found if each.status != "same"] == ["structure"]


@pytest.mark.parametrize("name", ["pipeline", "boosting", "network", "forest", "vectors"])
def test_files_of_skops(name: str, tmp_path: Path) -> None:
    first = fitted(name, X)
    skops.io.dump(first, tmp_path / "a.skops")
    skops.io.dump(fitted(name, OTHER), tmp_path / "b.skops")
    if skops.io.get_untrusted_types(file=tmp_path / "a.skops"):
        with pytest.raises(StateError, match="not read"):
            state_of(tmp_path / "a.skops")
        return
    export_state(tmp_path / "a.skops", tmp_path / "s.csv")
    restore_file(tmp_path / "s.csv", tmp_path / "b.skops", tmp_path / "c.skops")
    np.testing.assert_array_equal(output(skops.io.load(tmp_path / "c.skops")), output(first))


class Evil(LogisticRegression):
    def __setstate__(self, state: dict[str, Any]) -> None:
        raise AssertionError  # it must not come to that


def test_a_file_with_untrusted_types_is_refused(tmp_path: Path) -> None:
    skops.io.dump(Evil().fit(X, labels(X)), tmp_path / "evil.skops")
    with pytest.raises(StateError, match="Evil"):
        state_of(tmp_path / "evil.skops")
    (tmp_path / "x.skops").write_bytes(b"nonsense")
    with pytest.raises(StateError, match="skops file"):
        state_of(tmp_path / "x.skops")
