"""The part of a filter on rows that the names of their run and tag decide, without decoding the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.late_modules import np, pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_NAMES: Final = frozenset({"run", "tag"})


def may_pass(predicate: pl.Expr, runs: Sequence[str], tags: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return for each pair of a run and a tag whether rows with these names may pass a filter."""
    names = pl.DataFrame({"run": runs, "tag": tags}, {"run": pl.String, "tag": pl.String})
    decided = [each for each in _conjuncts(predicate) if _is_of_names(each)]
    if not decided:
        return np.ones(len(names), np.bool_)
    try:
        return names.select(pl.all_horizontal(decided).fill_null(value=False)).to_series().to_numpy()
    except pl.exceptions.PolarsError:  # the rows will raise it, if they get as far
        return np.ones(len(names), np.bool_)


def _is_of_names(predicate: pl.Expr) -> bool:
    columns = set(predicate.meta.root_names())
    return bool(columns) and columns <= _NAMES


def _conjuncts(predicate: pl.Expr) -> list[pl.Expr]:
    """Return the expressions that ``predicate`` joins by ``&``."""
    found, rest = [], [predicate]
    while rest:
        each = rest.pop()
        inputs = each.meta.pop()
        if len(inputs) == 2 and (inputs[1] & inputs[0]).meta == each.meta:
            rest += inputs
        else:
            found.append(each)
    return found
