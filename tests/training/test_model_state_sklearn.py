"""The state of scikit-learn estimators, live and in files of skops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import skops.io
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from tb2csv.errors import StateError
from tb2csv.model_state import STYLES, export_state, load_state, restore_file, state_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RNG = np.random.default_rng(0)
X, OTHER = RNG.normal(size=(2, 60, 4))


def labels(data: np.ndarray) -> np.ndarray:
    column = 0 if data is X else 1
    return np.array(["no", "yes"])[(data[:, column] > 0).astype(int)]


ESTIMATORS: dict[str, Callable[[], Any]] = {
    "logistic": LogisticRegression,
    "linear": LinearRegression,
    "scaler": StandardScaler,
    "kmeans": lambda: KMeans(3, n_init=1, random_state=0),
    "network": lambda: MLPClassifier((5, 3), max_iter=40, tol=0, random_state=0),
    "tree": lambda: DecisionTreeClassifier(max_depth=1, random_state=0),
    "forest": lambda: RandomForestRegressor(3, max_depth=1, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=3, max_depth=1, random_state=0),
    "pipeline": lambda: make_pipeline(StandardScaler(), PCA(2), LogisticRegression()),
    "search": lambda: GridSearchCV(LogisticRegression(), {"C": [0.1, 10.0]}, cv=2),
    "columns": lambda: make_pipeline(ColumnTransformer([("a", StandardScaler(), [0, 2])]), LogisticRegression()),
}


def fitted(name: str, data: np.ndarray) -> Any:
    is_regression = name in {"linear", "forest"}
    return ESTIMATORS[name]().fit(data, data[:, 0] if is_regression else labels(data))


def output(estimator: Any) -> np.ndarray:
    for method in ("predict_proba", "predict", "transform"):
        if hasattr(estimator, method):
            return np.asarray(getattr(estimator, method)(X))
    raise AssertionError


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_estimator_predicts_as_the_one_whose_state_it_got(name: str, style: str, tmp_path: Path) -> None:
    first, second = fitted(name, X), fitted(name, OTHER)
    assert not np.array_equal(output(first), output(second))
    export_state(first, tmp_path / "s.csv", style=style, max_cell=100)
    assert load_state(tmp_path / "s.csv", second) == []
    np.testing.assert_array_equal(output(first), output(second))
    for old, new in zip(state_of(first).tensors, state_of(second).tensors, strict=True):
        assert (new.name, new.dtype, bytes(new.content())) == (old.name, old.dtype, bytes(old.content()))


def test_names_of_attributes() -> None:
    names = {tensor.name: tensor for tensor in state_of(fitted("pipeline", X)).tensors}
    assert {"steps.0.1.mean_", "steps.1.1.components_", "steps.2.1.coef_"} <= set(names)
    assert names["steps.2.1.coef_"].layer_type == "LogisticRegression"
    tree = {tensor.name.rpartition(".")[2] for tensor in state_of(fitted("tree", X)).tensors}
    assert {"left_child", "right_child", "feature", "threshold", "value"} <= tree


def test_an_estimator_that_is_not_fitted_gets_its_attributes(tmp_path: Path) -> None:
    first, second = fitted("logistic", X), LogisticRegression()
    export_state(first, tmp_path / "s.csv")
    load_state(tmp_path / "s.csv", second)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert isinstance(second.n_features_in_, int)
    export_state(fitted("pipeline", X), tmp_path / "p.csv")
    with pytest.raises(StateError, match="not fitted"):
        load_state(tmp_path / "p.csv", ESTIMATORS["pipeline"]())


def test_texts_and_vocabularies(tmp_path: Path) -> None:
    first = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["a cat", "the dog", "one dog"], [0, 1, 1])
    second = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["no cat", "the dog", "the dog"], [0, 1, 1])
    export_state(first, tmp_path / "s.csv")
    with pytest.raises(StateError, match=r"vocabulary_\.one: is not in the model"):
        load_state(tmp_path / "s.csv", second)
    encoder = OneHotEncoder(sparse_output=False).fit([["red"], ["blue"]])
    other = OneHotEncoder(sparse_output=False).fit([["x"], ["yellow"]])
    export_state(encoder, tmp_path / "e.csv")
    load_state(tmp_path / "e.csv", other)
    assert other.transform([["blue"]]).tolist() == [[1.0, 0.0]]


def test_what_has_no_form_in_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="KDTree"):
        export_state(KNeighborsClassifier().fit(X, labels(X)), tmp_path / "s.csv")
    export_state(fitted("tree", X), tmp_path / "s.csv")
    deep = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, X[:, 1] > X[:, 2])
    with pytest.raises(StateError, match="shape"):
        load_state(tmp_path / "s.csv", deep)


@pytest.mark.parametrize("name", ["pipeline", "boosting", "network"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
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


def test_a_file_with_types_that_nobody_trusts_is_refused(tmp_path: Path) -> None:
    skops.io.dump(Evil().fit(X, labels(X)), tmp_path / "evil.skops")
    with pytest.raises(StateError, match=r"could run any code \(.*Evil"):
        state_of(tmp_path / "evil.skops")
    (tmp_path / "x.skops").write_bytes(b"nonsense")
    with pytest.raises(StateError, match="no file of skops"):
        state_of(tmp_path / "x.skops")
