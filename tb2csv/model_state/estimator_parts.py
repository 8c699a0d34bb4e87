"""Objects in estimators that are not what ``vars`` shows: each is taken apart into plain values and made from them.

``parts`` returns None for an object that is not fully described by its parts. ``make`` checks what compiled code relies
on, since the parts come from a table, and raises ValueError if they do not fit together.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Parts = dict[str, Any]


class Codec(NamedTuple):
    """The functions that take an object apart and make it again."""

    parts: Callable[[Any], Parts | None]
    make: Callable[[Parts], Any]


def require(holds: Any, what: str) -> None:
    """Raise ValueError unless a condition holds."""
    if not holds:
        raise ValueError(what)


# Trees of scikit-learn.


def _tree_parts(tree: Any) -> Parts:
    state = tree.__getstate__()
    _, (n_features, n_classes, n_outputs), _ = tree.__reduce__()
    nodes = state["nodes"]
    fields = {name: np.ascontiguousarray(nodes[name]) for name in nodes.dtype.names}
    sizes = {"n_features": int(n_features), "n_classes": np.array(n_classes), "n_outputs": int(n_outputs)}
    return {**sizes, "max_depth": int(state["max_depth"]), **fields, "value": state["values"]}


def _make_tree(parts: Parts) -> Any:
    from sklearn.tree._tree import Tree

    sizes, values = {}, parts.pop("value")
    for name in ("n_features", "n_classes", "n_outputs", "max_depth"):
        sizes[name] = parts.pop(name)
    n_features, n_classes, n_outputs, max_depth = sizes.values()
    require(n_classes.ndim == 1 and n_classes.dtype == np.intp and n_classes.size == n_outputs >= 1, "n_classes")
    require(n_classes.min() >= 1 and type(n_features) is int and n_features >= 1, "n_classes or n_features")
    require(
        values.ndim == 3 and values.dtype == np.float64 and values.shape[1:] == (n_outputs, n_classes.max()),
        "value has another shape",
    )
    empty = Tree(n_features, n_classes, n_outputs)
    dtype = empty.__getstate__()["nodes"].dtype
    count = len(values)
    require(set(parts) == set(dtype.names), "the fields of nodes are those of another version of scikit-learn")
    nodes = np.zeros(count, dtype)
    for name, field in parts.items():
        require(field.shape == (count,) and field.dtype == dtype[name], f"{name} has another shape or dtype")
        nodes[name] = field
    is_leaf = nodes["left_child"] == -1
    require((nodes["right_child"][is_leaf] == -1).all(), "a leaf has a child")
    features = nodes["feature"][~is_leaf]
    require(((features >= 0) & (features < n_features)).all(), "a node uses a feature that does not exist")
    depth = tree_depth(nodes["left_child"], nodes["right_child"], is_leaf)
    require(depth == max_depth, "max_depth is not the depth of the nodes")
    empty.__setstate__(
        {"max_depth": depth, "node_count": count, "nodes": nodes, "values": np.ascontiguousarray(values)}
    )
    return empty


def tree_depth(left: npt.NDArray[Any], right: npt.NDArray[Any], is_leaf: npt.NDArray[Any]) -> int:
    """Return the depth of a binary tree; raises ValueError unless each node is reached from the first exactly once."""
    children = np.concatenate((left[~is_leaf], right[~is_leaf])).astype(np.int64)
    is_sound = is_leaf.size and np.array_equal(np.sort(children), np.arange(1, is_leaf.size))
    require(is_sound, "the nodes are not a tree")
    # As many children as nodes but the first, each once: what the first does not reach would be a ring.
    depth, seen, level = -1, 0, np.zeros(1, np.int64)
    while level.size:
        depth, seen = depth + 1, seen + level.size
        inner = level[~is_leaf[level]]
        level = np.concatenate((left[inner], right[inner])).astype(np.int64)
    require(seen == is_leaf.size, "the nodes are not a tree")
    return depth


# Trees of neighbours: what they hold follows from the points, and is made again from these.


def _neighbour_parts(tree: Any) -> Parts | None:
    from sklearn.metrics import _dist_metrics

    state = tree.__getstate__()
    metric, weights = state[11], state[12]
    name = next((name for name, kind in _dist_metrics.METRIC_MAPPING64.items() if kind is type(metric)), None)
    p, vector, matrix = (*metric.__getstate__(), None, None, None)[:3]
    if name is None or np.size(vector) > 1 or np.size(matrix) > 1:
        return None
    weights = None if weights is None else np.asarray(weights)
    parts = {"data": np.asarray(state[0]), "order": np.asarray(state[1]), "leaf_size": state[4], "weights": weights}
    return {**parts, "metric": name, "p": float(p)}


def _make_neighbours(kind: str) -> Callable[[Parts], Any]:
    def make(parts: Parts) -> Any:
        import sklearn.neighbors

        data, order, metric = parts["data"], parts["order"], parts["metric"]
        require(data.ndim == 2 and data.dtype == np.float64 and isinstance(metric, str), "data")
        options = {"p": parts["p"]} if metric == "minkowski" else {}
        tree = getattr(sklearn.neighbors, kind)(
            data, leaf_size=parts["leaf_size"], metric=metric, sample_weight=parts["weights"], **options
        )
        require(np.array_equal(tree.__getstate__()[1], order), "the points were put into another order")
        return tree

    return make


# Random generators.


def _random_state_parts(generator: Any) -> Parts | None:
    if generator is np.random.mtrand._rand:
        return {"seed": None}
    state = generator.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        return None
    return {
        "key": state["state"]["key"],
        "position": state["state"]["pos"],
        "has_gauss": state["has_gauss"],
        "gauss": float(state["gauss"]),
    }


def _make_random_state(parts: Parts) -> Any:
    if "seed" in parts:
        return np.random.mtrand._rand
    key, position = parts["key"], parts["position"]
    require(key.shape == (624,) and key.dtype == np.uint32 and 0 <= position <= len(key), "key or position")
    generator = np.random.RandomState(0)
    generator.set_state(("MT19937", key, int(position), int(bool(parts["has_gauss"])), parts["gauss"]))
    return generator


def _generator_parts(generator: Any) -> Parts | None:
    bits = generator.bit_generator
    state, seed = bits.state, getattr(bits.seed_seq, "state", None)
    if state["bit_generator"] != "PCG64" or seed is None:
        return None
    return {**state["state"], "has_uint32": state["has_uint32"], "uinteger": state["uinteger"], "seed": dict(seed)}


def _make_generator(parts: Parts) -> Any:
    require(parts["seed"]["pool_size"] == 4, "pool_size")
    bits = np.random.PCG64(np.random.SeedSequence(**parts["seed"]))
    bits.state = {
        "bit_generator": "PCG64",
        "state": {"state": int(parts["state"]), "inc": int(parts["inc"])},
        "has_uint32": int(bool(parts["has_uint32"])),
        "uinteger": int(parts["uinteger"]),
    }
    return np.random.Generator(bits)


# Forms of arrays.


def _sparse_parts(matrix: Any) -> Parts:
    return {"shape": matrix.shape, "data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}


def _make_sparse(kind: str) -> Callable[[Parts], Any]:
    def make(parts: Parts) -> Any:
        import scipy.sparse

        content = (parts["data"], parts["indices"], parts["indptr"])
        matrix = getattr(scipy.sparse, kind)(content, shape=parts["shape"])
        matrix.check_format(full_check=True)  # else compiled code would follow any index
        return matrix

    return make


def _record_parts(array: Any) -> Parts | None:
    dtype = array.dtype
    if dtype.names is None or _record_dtype(dtype.isalignedstruct, *_fields(dtype)) != dtype:
        return None
    columns = {f"field_{name}": np.ascontiguousarray(array[name]) for name in dtype.names}
    return {"is_aligned": dtype.isalignedstruct, **columns}


def _fields(dtype: Any) -> tuple[list[str], list[Any]]:
    return list(dtype.names), [dtype[name] for name in dtype.names]


def _record_dtype(is_aligned: bool, names: list[str], dtypes: list[Any]) -> Any:
    return np.dtype(list(zip(names, dtypes, strict=True)), align=is_aligned)


def _make_records(parts: Parts) -> Any:
    columns = {name.removeprefix("field_"): each for name, each in parts.items() if name != "is_aligned"}
    dtype = _record_dtype(bool(parts["is_aligned"]), list(columns), [each.dtype for each in columns.values()])
    array = np.zeros(next(iter(columns.values())).shape, dtype)
    for name, column in columns.items():
        require(column.shape == array.shape, f"{name} has another shape")
        array[name] = column
    return array


def _make_masked(parts: Parts) -> Any:
    return np.ma.MaskedArray(parts["data"], mask=parts["mask"], fill_value=parts["fill_value"])


def _make_bunch(parts: Parts) -> Any:
    from sklearn.utils import Bunch

    return Bunch(**parts["content"])


def _make_imputation(parts: Parts) -> Any:
    from sklearn.impute._iterative import _ImputerTriplet

    return _ImputerTriplet(**parts)


def _make_spline(parts: Parts) -> Any:
    from scipy.interpolate import BSpline

    return BSpline(parts["t"], parts["c"], parts["k"], extrapolate=parts["extrapolate"], axis=parts["axis"])


# Types, and losses that are compiled.


def _types() -> dict[str, type]:
    kinds: list[type] = [bool, int, float, complex, str, bytes, object, *np.sctypeDict.values()]
    return {f"{kind.__module__}.{kind.__name__}": kind for kind in kinds}


def _type_parts(kind: Any) -> Parts | None:
    name = f"{kind.__module__}.{kind.__name__}"
    return {"name": name} if _types().get(name) is kind else None


def _loss_parts(loss: Any) -> Parts | None:
    kind, arguments, *state = loss.__reduce__()
    if kind is not type(loss) or any(state) or not all(type(each) in {int, float} for each in arguments):
        return None
    return {"arguments": tuple(arguments)}


def _make_loss(module: str, name: str) -> Callable[[Parts], Any]:
    def make(parts: Parts) -> Any:
        arguments = [float(each) for each in parts["arguments"]]
        return getattr(importlib.import_module(module), name)(*arguments)

    return make


_LOSSES: Final = {
    "sklearn._loss._loss": (
        "CyAbsoluteError CyExponentialLoss CyHalfBinomialLoss CyHalfGammaLoss CyHalfMultinomialLoss CyHalfPoissonLoss "
        "CyHalfSquaredError CyHalfTweedieLoss CyHalfTweedieLossIdentity CyHuberLoss CyPinballLoss"
    ),
    "sklearn.linear_model._sgd_fast": (
        "EpsilonInsensitive Hinge Huber Log ModifiedHuber SquaredEpsilonInsensitive SquaredHinge SquaredLoss"
    ),
}

_DTYPE: Final = Codec(lambda dtype: {"dtype": dtype.str}, lambda parts: np.dtype(str(parts["dtype"])))

#: By the full name of a class, how its objects are taken apart and made.
CODECS: Final[dict[str, Codec]] = {
    "sklearn.tree._tree.Tree": Codec(_tree_parts, _make_tree),
    "sklearn.neighbors._kd_tree.KDTree": Codec(_neighbour_parts, _make_neighbours("KDTree")),
    "sklearn.neighbors._ball_tree.BallTree": Codec(_neighbour_parts, _make_neighbours("BallTree")),
    "numpy.random.mtrand.RandomState": Codec(_random_state_parts, _make_random_state),
    "numpy.random._generator.Generator": Codec(_generator_parts, _make_generator),
    **{
        f"scipy.sparse._{kind[:3]}.{kind}": Codec(_sparse_parts, _make_sparse(kind))
        for kind in ("csr_matrix", "csr_array", "csc_matrix", "csc_array")
    },
    "numpy.ndarray": Codec(_record_parts, _make_records),
    **dict.fromkeys(
        ("numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray"),  # the latter in numpy 1
        Codec(lambda array: {"data": array.data, "mask": array.mask, "fill_value": array.fill_value}, _make_masked),
    ),
    "sklearn.utils._bunch.Bunch": Codec(lambda bunch: {"content": dict(bunch)}, _make_bunch),
    "sklearn.impute._iterative._ImputerTriplet": Codec(lambda named: named._asdict(), _make_imputation),
    "scipy.interpolate._bsplines.BSpline": Codec(
        lambda spline: {name: getattr(spline, name) for name in ("t", "c", "k", "extrapolate", "axis")}, _make_spline
    ),
    "builtins.slice": Codec(
        lambda part: {"start": part.start, "stop": part.stop, "step": part.step},
        lambda parts: slice(parts["start"], parts["stop"], parts["step"]),
    ),
    "builtins.type": Codec(_type_parts, lambda parts: _types()[parts["name"]]),
    **{f"numpy.dtypes.{type(np.dtype(kind)).__name__}": _DTYPE for kind in "?bhilqBHILQefdFDSUO"},
    **{
        f"{module}.{name}": Codec(_loss_parts, _make_loss(module, name))
        for module, names in _LOSSES.items()
        for name in names.split()
    },
}
