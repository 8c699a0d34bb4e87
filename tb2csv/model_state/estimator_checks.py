"""Checks of the sizes and indices that the compiled code of scikit-learn takes on trust.

A state may come from an untrusted table. scikit-learn's Cython code reads such arrays without looking
at their bounds, so an index that is too large would end the process instead of raising an exception.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.model_state.estimator_parts import require, tree_depth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Attributes = dict[str, Any]
    #: Returns the attributes that an object has, or will have.
    Content = Callable[[Any], Attributes]

#: Attributes that say how many threads compiled code starts, which ends the process if it cannot; and sane numbers.
_THREADS: Final = {"_n_threads", "n_threads"}
_THREAD_COUNTS: Final = range(1, 1025)


def check_object(kind: type, attributes: Attributes, content: Content) -> None:
    """Raise ValueError if the attributes of an object are inconsistent; objects that are not fitted are skipped."""
    for name in _THREADS & attributes.keys():
        require(attributes[name] in _THREAD_COUNTS, f"{name} is not a number of threads")
    for base in kind.__mro__:
        if base.__name__ in _CHECKS and base.__module__.startswith("sklearn."):
            needed, check = _CHECKS[base.__name__]
            if needed in attributes:
                check(attributes, content)


def _has_columns(array: Any, attributes: Attributes) -> bool:
    count = attributes["n_features_in_"]
    return isinstance(count, int | np.integer) and np.ndim(array) == 2 and array.shape[1] == count


def _check_tree(attributes: Attributes, _: Content) -> None:
    from sklearn.tree._tree import Tree

    tree = attributes["tree_"]
    require(type(tree) is Tree and tree.n_features == attributes["n_features_in_"], "tree_ is for other features")
    require(tree.n_outputs == attributes["n_outputs_"], "tree_ has another number of outputs")


def _trees(attributes: Attributes, content: Content) -> Iterator[Any]:
    from sklearn.tree import BaseDecisionTree

    for each in np.asarray(attributes["estimators_"], object).flat:
        require(isinstance(each, BaseDecisionTree) and "tree_" in content(each), "estimators_ are not fitted trees")
        yield content(each)["tree_"]


def _check_forest(attributes: Attributes, content: Content) -> None:
    for tree in _trees(attributes, content):
        require(tree.n_features == attributes["n_features_in_"], "estimators_ are for other features")


def _check_isolation(attributes: Attributes, content: Content) -> None:
    count, features = attributes["n_features_in_"], attributes["estimators_features_"]
    for tree, chosen in zip(_trees(attributes, content), features, strict=True):
        require(chosen.ndim == 1 and chosen.size == tree.n_features, "estimators_features_")
        require(chosen.size == count or attributes["_max_features"] != count, "_max_features")


def _check_boosting(attributes: Attributes, content: Content) -> None:
    from sklearn._loss.loss import BaseLoss
    from sklearn.dummy import DummyClassifier, DummyRegressor

    _check_forest(attributes, content)
    loss, init = attributes["_loss"], attributes["init_"]
    require(isinstance(loss, BaseLoss), "_loss")
    columns = attributes["n_classes_"] if loss.is_multiclass else 1
    require(attributes["estimators_"].shape[1:] == (columns,), "estimators_ has another shape")
    require(attributes.get("n_trees_per_iteration_", columns) == columns, "n_trees_per_iteration_")
    if not isinstance(init, str):
        require(
            type(init) in {DummyClassifier, DummyRegressor}, f"init_ is a {type(init).__name__}, and can be anything"
        )
        prior = content(init)["class_prior_" if type(init) is DummyClassifier else "constant_"]
        expected = (attributes["n_classes_"],) if type(init) is DummyClassifier else (1, 1)
        require(prior.shape == expected and content(init)["n_outputs_"] == 1, "init_ has another shape")


def _check_histogram_boosting(attributes: Attributes, content: Content) -> None:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    require(attributes["_preprocessor"] is None, "_preprocessor prepares categories, which cannot be checked")
    for predictor in (each for iteration in attributes["_predictors"] for each in iteration):
        require(type(predictor) is TreePredictor, "_predictors")
        nodes = content(predictor)["nodes"]
        require(nodes.dtype == PREDICTOR_RECORD_DTYPE and nodes.ndim == 1, "nodes of _predictors")
        is_leaf = nodes["is_leaf"] != 0
        tree_depth(nodes["left"], nodes["right"], is_leaf)
        features = nodes["feature_idx"]
        require((features >= 0).all() and (features < attributes["n_features_in_"]).all(), "feature_idx")
        require(not nodes["is_categorical"].any(), "is_categorical")


def _check_svm(attributes: Attributes, _: Content) -> None:
    from scipy.sparse import issparse

    vectors, factors, sizes = attributes["support_vectors_"], attributes["_dual_coef_"], attributes["_n_support"]
    count, classes, samples = attributes["support_"].size, sizes.size, attributes["shape_fit_"][0]
    pairs = classes * (classes - 1) // 2
    is_sparse = attributes["_sparse"]
    require(sizes.ndim == 1 and classes > 1 and (sizes >= 0).all(), "_n_support")
    require(factors.shape == (classes - 1, count) and issparse(factors) == is_sparse, "_dual_coef_")
    require(not is_sparse or factors.data.size == factors.shape[0] * count, "_dual_coef_ has gaps")
    require(attributes["_intercept_"].shape == (pairs,), "_intercept_")
    require(all(attributes[name].shape in {(0,), (pairs,)} for name in ("_probA", "_probB")), "_probA or _probB")
    require("classes_" not in attributes or attributes["classes_"].shape == (classes,), "classes_")
    # For a regression both sizes are the number of all vectors, and only the first one counts.
    require((sizes.sum() if "classes_" in attributes else sizes[0]) == count, "_n_support does not count support_")
    support = attributes["support_"]
    require(support.ndim == 1 and (not count or 0 <= support.min() <= support.max() < samples), "support_")
    require(attributes["shape_fit_"][1] == attributes["n_features_in_"], "shape_fit_")
    require(issparse(vectors) == is_sparse, "support_vectors_")
    if attributes["kernel"] == "precomputed":
        require(samples == attributes["n_features_in_"], "shape_fit_")
    elif not callable(attributes["kernel"]):
        require(vectors.shape == (count, attributes["n_features_in_"]), "support_vectors_ has another shape")


def _check_neighbours(attributes: Attributes, _: Content) -> None:
    points = attributes["_fit_X"]
    require(_has_columns(points, attributes), "_fit_X has another shape")
    require(attributes["n_samples_fit_"] == points.shape[0], "n_samples_fit_")
    if "_y" in attributes:
        labels, classes = attributes["_y"], attributes.get("classes_")
        require(len(labels) == points.shape[0], "_y has another length")
        if isinstance(classes, np.ndarray) and labels.size:
            require(labels.min() >= 0 and labels.max() < len(classes), "_y has a label that does not exist")


def _check_centers(attributes: Attributes, _: Content) -> None:
    require(_has_columns(attributes["cluster_centers_"], attributes), "cluster_centers_ has another shape")


def _check_bisecting(attributes: Attributes, content: Content) -> None:
    _check_centers(attributes, content)
    waiting = [attributes["_bisecting_tree"]]
    for node in waiting:
        inside = content(node)
        require(inside["center"].shape == (attributes["n_features_in_"],), "_bisecting_tree has another shape")
        waiting += [inside[side] for side in ("left", "right") if inside.get(side) is not None]
        require(len(waiting) <= 2 * len(attributes["cluster_centers_"]), "_bisecting_tree has too many nodes")


#: By the name of a class, the attribute that its fitted objects have, and the check.
_CHECKS: Final[dict[str, tuple[str, Callable[[Attributes, Content], None]]]] = {
    "BaseDecisionTree": ("tree_", _check_tree),
    "BaseForest": ("estimators_", _check_forest),
    "IsolationForest": ("estimators_", _check_isolation),
    "BaseGradientBoosting": ("estimators_", _check_boosting),
    "BaseHistGradientBoosting": ("_predictors", _check_histogram_boosting),
    "BaseLibSVM": ("support_", _check_svm),
    "NeighborsBase": ("_fit_X", _check_neighbours),
    "_BaseKMeans": ("cluster_centers_", _check_centers),
    "BisectingKMeans": ("_bisecting_tree", _check_bisecting),
}
