"""Models of scikit-learn and data for the tests of their state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import BisectingKMeans, KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, SparsePCA
from sklearn.ensemble import (
    BaggingRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
)
from sklearn.experimental import enable_iterative_imputer
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.impute import IterativeImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity, KNeighborsClassifier, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, ExtraTreeRegressor

from tb2csv.model_state import (
    export_state,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


RNG = np.random.default_rng(0)
X, OTHER = RNG.normal(size=(60, 4)), RNG.normal(size=(45, 4))
#: What is predicted from: not the array that was fitted, which some estimators keep and recognize.
NEW = RNG.normal(size=(30, 4))
GAPS = np.where(NEW > 1, np.nan, NEW)


def labels(data: np.ndarray) -> np.ndarray:
    column = 0 if data is X else 1
    return np.array(["no", "yes"])[(data[:, column] * (1 + data[:, 3]) > 0).astype(int)]


def numbers(data: np.ndarray) -> np.ndarray:
    return np.sin(data[:, 0 if data is X else 1]) + data[:, 2]


ESTIMATORS: dict[str, Callable[[], Any]] = {
    "logistic": LogisticRegression,
    "scaler": StandardScaler,
    "kmeans": lambda: KMeans(3, n_init=1, random_state=0),
    "bisecting kmeans": lambda: BisectingKMeans(3, random_state=0),
    "network": lambda: MLPClassifier((5, 3), max_iter=40, tol=0, random_state=0),
    "mixture": lambda: GaussianMixture(2, random_state=0),
    "sparse components": lambda: SparsePCA(2, max_iter=20, random_state=0),
    "tree": lambda: DecisionTreeClassifier(random_state=0),
    "forest of classes": lambda: RandomForestClassifier(4, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=3, random_state=0),
    "histogram boosting": lambda: HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=5, random_state=0),
    "isolation forest": lambda: IsolationForest(n_estimators=4, max_features=2, random_state=0),
    "pipeline": lambda: make_pipeline(StandardScaler(), PCA(2), LogisticRegression()),
    "search": lambda: GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 9]}, cv=2, scoring="accuracy"),
    "columns": lambda: make_pipeline(ColumnTransformer([("a", StandardScaler(), [0, 2])]), LogisticRegression()),
    "stack": lambda: StackingClassifier([("tree", DecisionTreeClassifier()), ("svm", SVC(random_state=0))], cv=2),
    "calibrated": lambda: CalibratedClassifierCV(SVC(), cv=2, method="isotonic"),
    "neighbours": KNeighborsClassifier,
    "outliers": lambda: LocalOutlierFactor(algorithm="ball_tree", metric="minkowski", p=3, novelty=True),
    "density": KernelDensity,
    "vectors": SVC,
    "splines": lambda: SplineTransformer(extrapolation="linear"),
    "imputer": lambda: IterativeImputer(random_state=0),
    "gaussian classes": GaussianProcessClassifier,
}
REGRESSORS: dict[str, Callable[[], Any]] = {
    "linear": LinearRegression,
    "forest": lambda: RandomForestRegressor(3, random_state=0),
    "extra tree": lambda: ExtraTreeRegressor(random_state=0),
    "bag": lambda: BaggingRegressor(SVR(), n_estimators=3, max_features=2, random_state=0),
    "boosting of numbers": lambda: GradientBoostingRegressor(n_estimators=3, loss="huber", random_state=0),
    "gaussian process": lambda: GaussianProcessRegressor(ConstantKernel() * RBF() + WhiteKernel(), random_state=0),
}
ALL = ESTIMATORS | REGRESSORS


def fitted(name: str, data: np.ndarray) -> Any:
    return ALL[name]().fit(data, numbers(data) if name in REGRESSORS else labels(data))


def output(estimator: Any, data: Any = NEW) -> np.ndarray:
    data = GAPS if isinstance(estimator, IterativeImputer) else data
    for method in ("predict_proba", "predict", "transform", "score_samples"):
        if hasattr(estimator, method):
            return np.asarray(getattr(estimator, method)(data))
    raise AssertionError


def exported(estimator: Any, tmp_path: Path) -> Path:
    export_state(estimator, tmp_path / "state.csv", overwrite=True)
    return tmp_path / "state.csv"


class Holder(BaseEstimator):
    """An estimator that keeps whatever it is given."""

    def __init__(self, kept: Any = None) -> None:
        self.kept = kept

    def fit(self) -> Holder:
        self.kept_ = self.kept
        self.kept = None
        return self
