"""The columns that tell when: as stored, as a date, or since the beginning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tb2csv.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    import polars as pl

    _Numbers = npt.NDArray[np.float64]

#: The column that every table of values has at first, in seconds since 1970 (UTC).
WALL_TIME: Final = "wall_time"

# The first moment of the year 1, and that of the year 10000.
_FIRST_SECOND: Final = -62_135_596_800
_END_SECOND: Final = 253_402_300_800
_MICROSECONDS: Final = 1_000_000


def utc(wall_time: _Numbers) -> pl.Series:
    """Return the moments that wall times stand for, to the microsecond; null where the calendar has none.

    Halves go to the even microsecond, as Python's ``datetime.fromtimestamp`` has it.
    """
    import numpy as np
    import polars as pl

    is_moment = (wall_time >= _FIRST_SECOND) & (wall_time < _END_SECOND)  # NaN is not
    # The parts one by one: the product of the whole would be rounded twice.
    fractions, seconds = np.modf(np.where(is_moment, wall_time, 0))
    moments = seconds.astype(np.int64) * _MICROSECONDS + np.rint(fractions * _MICROSECONDS).astype(np.int64)
    is_moment &= moments < _END_SECOND * _MICROSECONDS
    column = pl.DataFrame({"moment": moments, "is_moment": is_moment}).select(
        pl.when("is_moment").then("moment").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    )
    return column.to_series()


def _relative(wall_time: _Numbers, origin: _Numbers) -> pl.Series:
    import numpy as np
    import polars as pl

    seconds = wall_time - np.where(np.isfinite(origin), origin, np.nan)
    # Where nobody knows the origin, nobody knows the distance; a wall time that is NaN is as far as NaN.
    return (
        pl.DataFrame({"seconds": seconds, "is_known": np.isfinite(origin)})
        .select(pl.when("is_known").then("seconds"))
        .to_series()
    )


def _epoch(wall_time: _Numbers, origin: _Numbers) -> pl.Series:
    import polars as pl

    return pl.Series(wall_time)


def _iso(wall_time: _Numbers, origin: _Numbers) -> pl.Series:
    return utc(wall_time)


#: The columns by the names that ``--time`` gives them: what each is called, and how it is made.
_COLUMNS: Final[dict[str, tuple[str, Callable[[_Numbers, _Numbers], pl.Series]]]] = {
    "epoch": (WALL_TIME, _epoch),
    "iso": ("time_utc", _iso),
    "relative": ("relative_time", _relative),
}
TIME_STYLES: Final = tuple(_COLUMNS)
#: What the columns are called.
TIME_COLUMN_NAMES: Final = tuple(name for name, _ in _COLUMNS.values())
#: What relative times may count from: the run's first event, or the first value of the tag in the run.
ORIGINS: Final = ("run", "first-step")


@dataclass(frozen=True, slots=True)
class TimeColumns:
    """Which columns tell when: ``styles`` of TIME_STYLES, which stand in their order, and one of ORIGINS.

    Raises OptionError for what is neither.
    """

    styles: tuple[str, ...] = ("epoch",)
    relative_to: str = ORIGINS[0]

    def __post_init__(self) -> None:
        """Refuse what there is not."""
        unknown = [style for style in self.styles if style not in TIME_STYLES]
        if unknown or not self.styles:
            wrong = (
                f"There is no way {unknown[0]!r} to tell the time" if unknown else "No way to tell the time is given"
            )
            message = f"{wrong}; give some of {', '.join(TIME_STYLES)}."
            raise OptionError(message)
        if self.relative_to not in ORIGINS:
            message = f"Times cannot be relative to {self.relative_to!r}; give one of {', '.join(ORIGINS)}."
            raise OptionError(message)

    @property
    def is_stored(self) -> bool:
        """Whether the column that is there is all that is asked for."""
        return self.styles == ("epoch",)

    @property
    def is_since_run(self) -> bool:
        """Whether somebody wants to know when the run began."""
        return "relative" in self.styles and self.relative_to == "run"

    @property
    def is_since_tag(self) -> bool:
        """Whether somebody wants to know when the tag began."""
        return "relative" in self.styles and self.relative_to == "first-step"

    def replace(self, frame: pl.DataFrame, origin: _Numbers) -> pl.DataFrame:
        """Return the frame with these columns in the place of its ``wall_time``.

        ``origin`` is what each row's relative time counts from, in seconds since 1970; where it is not finite, the
        relative time is null. Where one is asked for twice, it is there once.
        """
        if self.is_stored:
            return frame
        wall_time = frame[WALL_TIME].to_numpy()
        asked = [_COLUMNS[style] for style in TIME_STYLES if style in self.styles]
        told = [make(wall_time, origin).alias(name) for name, make in asked]
        place = frame.get_column_index(WALL_TIME)
        columns = frame.get_columns()
        return type(frame)([*columns[:place], *told, *columns[place + 1 :]])
