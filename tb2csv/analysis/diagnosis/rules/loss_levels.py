"""The levels of a loss: where it began, the lowest, where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

    from tb2csv.analysis.diagnosis.network import Network

#: The median of distances from the median, by that of the square root of the variance, where errors are normal.
_TO_DEVIATION: Final = 1.4826
#: The standard error of a median, by that of a mean.
_OF_A_MEDIAN: Final = 1.2533
#: A level at the end is the median of so large a share of all values.
_SHARE: Final = 0.1


def loss_levels(network: Network) -> pl.DataFrame:
    """Return a row for each loss: FOUND but for value and observed, and its levels.

    A level is a median of values that follow one another: ``first`` of as many as must stand running, ``early`` of the
    first tenth, or of as many as before where that is more, ``last`` of so many at the end; ``lowest`` is the lowest of
    these and of all other tenths. ``first_noise`` is the standard error of ``first``, ``noise`` that of the others, by
    how much values differ from the one before. ``rise`` is how far ``last`` is above ``lowest``, by the size of that.
    """
    import polars as pl

    value, number = pl.col("value"), pl.col("number")
    keys = ("run", "tag")
    window = pl.max_horizontal(pl.lit(network.steps), (pl.col("points") * _SHARE).cast(pl.Int64))
    # Of few values the first alone is the beginning, so that the end is not part of it.
    begins = pl.min_horizontal(pl.lit(network.steps), pl.col("points") - network.steps)
    rows = network.losses.drop_nulls("value").with_columns(
        pl.len().over(keys).cast(pl.Int64).alias("points"),
        pl.int_range(pl.len()).over(keys).alias("number"),
        value.diff().abs().over(keys).alias("jump"),
    )
    rows = rows.filter(pl.col("points") > network.steps).with_columns(window.alias("window"), begins.alias("begins"))
    tenths = rows.group_by(*keys, number // pl.col("window")).agg(value.median(), (pl.len() - pl.col("window").first()))
    lowest = tenths.filter(pl.col("len") == 0).group_by(keys).agg(value.min().alias("lowest"))
    deviation = pl.col("jump").median() * _TO_DEVIATION / 2**0.5
    levels = rows.group_by(keys, maintain_order=True).agg(
        pl.lit("loss").alias("family"),
        pl.col("step").min().alias("first_step"),
        pl.col("step").max().alias("last_step"),
        pl.col("points").first(),
        value.filter(number < pl.col("begins")).median().alias("first"),
        value.filter(number < pl.col("window")).median().alias("early"),
        value.filter(number >= pl.col("points") - pl.col("window")).median().alias("last"),
        (deviation * _OF_A_MEDIAN / pl.col("begins").first().sqrt()).alias("first_noise"),
        (deviation * _OF_A_MEDIAN / pl.col("window").first().sqrt()).alias("noise"),
    )
    levels = levels.join(lowest, keys, "left", maintain_order="left").rename({"tag": "layer"})
    least = pl.min_horizontal("first", "lowest", "last")
    return levels.with_columns(
        least.alias("lowest"), pl.when(least != 0).then((pl.col("last") - least) / least.abs()).alias("rise")
    )
