"""Put scalars of several series side by side, with a row for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast

from tb2csv.errors import OptionError, Tb2csvError
from tb2csv.messages import Option, advice

if TYPE_CHECKING:
    import polars as pl

#: The value of a series and step to keep; ``error`` allows only one.
ON_DUPLICATE: Final = ("last", "first", "error")


def side_by_side(scalars: pl.DataFrame, on_duplicate: str) -> pl.DataFrame:
    """Return the rows of ``run, tag, step, value`` with a column for each run and tag, sorted by step.

    Raises:
        OptionError: ``on_duplicate`` is unknown.
        Tb2csvError: a series has a step twice and ``on_duplicate`` is ``error``, or two columns would have one name.
    """
    import polars as pl

    if on_duplicate not in ON_DUPLICATE:
        message = f"Unknown choice {on_duplicate!r} for duplicates; choose from {', '.join(ON_DUPLICATE)}."
        raise OptionError(message)
    if scalars.is_empty():
        return pl.DataFrame({"step": []}, {"step": pl.Int64})
    rows = scalars.select("run", "tag", "step", "value")
    series = rows.select("run", "tag").unique(maintain_order=True)
    names = _names(series["run"].to_list(), series["tag"].to_list())
    if on_duplicate == "error":
        repeated = rows.filter(rows.select("run", "tag", "step").is_duplicated())
        if len(repeated):
            run, tag, step, _ = repeated.row(0)
            fact = f"Tag {tag!r} of run {run!r} has step {step} more than once"
            raise Tb2csvError(fact, advice("choose one value with {}", Option("on_duplicate", "last")))
    keep = cast("Literal['first', 'last']", "last" if on_duplicate == "error" else on_duplicate)
    numbered = rows.join(series.with_row_index("series"), ["run", "tag"], maintain_order="left")
    kept = numbered.unique(["series", "step"], keep=keep, maintain_order=True)
    columns = kept.partition_by("series", maintain_order=True)
    table = kept.select(pl.col("step").unique().sort())
    for name, column in zip(names, columns, strict=True):
        table = table.join(column.select("step", pl.col("value").alias(name)), "step", "left", maintain_order="left")
    return table


def _names(runs: list[str], tags: list[str]) -> list[str]:
    if len(set(tags)) == 1:
        names = runs
    elif len(set(runs)) == 1:
        names = tags
    else:
        names = [f"{run}: {tag}" for run, tag in zip(runs, tags, strict=True)]
    taken = ["step", *names]
    for name in names:
        if taken.count(name) > 1:
            message = f"Two columns would have the name {name!r}; choose one run or one tag, or use scalars."
            raise Tb2csvError(message)
    return names
