"""Summaries with one row for each run and columns for its scalars, and rows in an order of choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.column_names import free_name
from tb2csv.errors import NameNotFoundError, OptionError, Tb2csvError
from tb2csv.late_modules import pl
from tb2csv.selection import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The statistics of a summary that a wide one can have, and those that it has by default.
STATISTICS: Final = (
    "points",
    "first_step",
    "last_step",
    "first",
    "last",
    "min",
    "min_step",
    "max",
    "max_step",
    "mean",
    "nan_count",
    "inf_count",
    "points_per_second",
)
DEFAULT_STATISTICS: Final = ("last", "min", "max")

_RUN: Final = "run"
_LAST: Final = "last"


def wide_summary(table: pl.DataFrame, statistics: str | Sequence[str] = DEFAULT_STATISTICS) -> pl.DataFrame:
    """Return one row for each run that has scalars, with columns for the statistics of each scalar tag.

    ``last`` of a tag has the tag's own name, as in the table of trials, and another statistic ``<tag>:<statistic>``. A
    tag that a run lacks is null. If a tag has values of several types in one run, those of the second type have a
    column of their own, ``<tag> (<type>)``.

    Args:
        table: the ``table`` of a Summary. Only its rows of scalars are used.
        statistics: one or more of STATISTICS, in the order of the columns.

    Raises:
        OptionError: a statistic is unknown.
        Tb2csvError: no row is of a scalar.
    """
    if isinstance(statistics, str):
        statistics = (statistics,)
    unknown = [name for name in statistics if name not in STATISTICS]
    if unknown or not statistics:
        wrong = f"Unknown statistic {unknown[0]!r}" if unknown else "No statistic is given"
        message = f"{wrong}; choose from {', '.join(STATISTICS)}."
        raise OptionError(message)
    scalars = table.filter(pl.col("kind") == "scalars")
    if scalars.is_empty():
        message = "None of the selected tags is a scalar, so a wide summary has no columns; leave out wide."
        raise Tb2csvError(message)
    is_second = ~pl.struct("run", "tag").is_first_distinct()
    suffix = pl.when(is_second).then(pl.format(" ({})", pl.col("dtype").fill_null("unknown"))).otherwise(pl.lit(""))
    keyed = scalars.with_columns(suffix.alias("suffix")).with_columns(
        # A number, because a tag may have the name of another column.
        pl.struct("tag", "suffix").rank("dense").alias("number"),
        (pl.col("tag") + pl.col("suffix")).alias("label"),
    )
    labels = dict(keyed.select("number", "label").unique("number", maintain_order=True).iter_rows())
    pivots = {
        name: keyed.pivot("number", index=_RUN, values=name, maintain_order=True) for name in dict.fromkeys(statistics)
    }
    runs = next(iter(pivots.values()))[_RUN]
    columns, taken = {_RUN: runs}, {_RUN}
    for number, tag in labels.items():
        for statistic, pivot in pivots.items():
            name = free_name(tag if statistic == _LAST else f"{tag}:{statistic}", "scalars", taken)
            columns[name] = pivot[str(number)]
            taken.add(name)
    return pl.DataFrame(columns)


def row_order(table: pl.DataFrame, sort: str | None, *, descending: bool = False, top: int | None = None) -> list[int]:
    """Return the numbers of the rows of a table, sorted by a column, at most ``top`` of them.

    Rows without a value, and those with NaN, are last. Rows with equal values keep their order.

    Raises:
        OptionError: ``descending`` is given without a column.
        NameNotFoundError: the table does not have the column.
    """
    if sort is None:
        if descending:
            message = "Without a column to sort by, rows have no direction; give sort as well."
            raise OptionError(message)
        return list(range(len(table)))[:top]
    if sort not in table.columns:
        message = f"The table does not have a column {sort!r}; {nearest([sort], table.columns)}."
        raise NameNotFoundError(message)
    key = table[sort]
    key = key.fill_nan(None) if key.dtype.is_float() else key
    keys = pl.DataFrame({"key": key, "row": pl.Series(range(len(table)), dtype=pl.Int64)})
    ordered = keys.sort("key", descending=descending, nulls_last=True, maintain_order=True)
    return ordered["row"].to_list()[:top]
