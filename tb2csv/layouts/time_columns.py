"""Time columns: wall times as stored, as dates, or relative to the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tb2csv.errors import OptionError
from tb2csv.late_modules import np, pl

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    _Numbers = npt.NDArray[np.float64]

#: The column that every decoded table has, in seconds since 1970 (UTC).
WALL_TIME: Final = "wall_time"

# The start of the year 1, and of the year 10000.
_FIRST_SECOND: Final = -62_135_596_800
_END_SECOND: Final = 253_402_300_800
_MICROSECONDS: Final = 1_000_000


def utc(wall_time: _Numbers) -> pl.Series:
    """Return wall times as dates, to the microsecond; null for NaN and for years outside of 1 to 9999.

    Halves are rounded to the even microsecond, like in ``datetime.fromtimestamp``.
    """
    is_moment = (wall_time >= _FIRST_SECOND) & (wall_time < _END_SECOND)  # NaN is not
    # Seconds and fractions are converted separately, because the product of the whole would be rounded twice.
    fractions, seconds = np.modf(np.where(is_moment, wall_time, 0))
    moments = seconds.astype(np.int64) * _MICROSECONDS + np.rint(fractions * _MICROSECONDS).astype(np.int64)
    is_moment &= moments < _END_SECOND * _MICROSECONDS
    column = pl.DataFrame({"moment": moments, "is_moment": is_moment}).select(
        pl.when("is_moment").then("moment").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    )
    return column.to_series()


def _relative(wall_time: _Numbers, origin: _Numbers) -> pl.Series:
    seconds = wall_time - np.where(np.isfinite(origin), origin, np.nan)
    # An unknown origin gives null; a wall time of NaN gives NaN.
    return (
        pl.DataFrame({"seconds": seconds, "is_known": np.isfinite(origin)})
        .select(pl.when("is_known").then("seconds"))
        .to_series()
    )


def _epoch(wall_time: _Numbers, origin: _Numbers) -> pl.Series:
    return pl.Series(wall_time)


def _iso(wall_time: _Numbers, origin: _Numbers) -> pl.Series:
    return utc(wall_time)


#: The time styles by name: the name of the column, and the function that makes it.
_COLUMNS: Final[dict[str, tuple[str, Callable[[_Numbers, _Numbers], pl.Series]]]] = {
    "epoch": (WALL_TIME, _epoch),
    "iso": ("time_utc", _iso),
    "relative": ("relative_time", _relative),
}
TIME_STYLES: Final = tuple(_COLUMNS)
#: The names of the columns.
TIME_COLUMN_NAMES: Final = tuple(name for name, _ in _COLUMNS.values())
#: The origins of relative times: the run's first event, or the first value of the tag in the run.
ORIGINS: Final = ("run", "first-step")


@dataclass(frozen=True, slots=True)
class TimeColumns:
    """The time columns of tables: some of TIME_STYLES, in that order, and the origin of relative times.

    Raises:
        OptionError: a style or the origin is unknown, or there are no styles.
    """

    styles: tuple[str, ...] = ("epoch",)
    relative_to: str = ORIGINS[0]

    def __post_init__(self) -> None:
        """Validate the values."""
        unknown = [style for style in self.styles if style not in TIME_STYLES]
        if unknown or not self.styles:
            wrong = f"Unknown time style {unknown[0]!r}" if unknown else "No time style is given"
            message = f"{wrong}; choose from {', '.join(TIME_STYLES)}."
            raise OptionError(message)
        if self.relative_to not in ORIGINS:
            message = f"Times cannot be relative to {self.relative_to!r}; choose from {', '.join(ORIGINS)}."
            raise OptionError(message)

    @property
    def is_stored(self) -> bool:
        """Whether the tables have only the stored ``wall_time``."""
        return self.styles == ("epoch",)

    @property
    def is_since_run(self) -> bool:
        """Whether a column needs the start of the run."""
        return "relative" in self.styles and self.relative_to == "run"

    @property
    def is_since_tag(self) -> bool:
        """Whether a column needs the first wall time of the tag."""
        return "relative" in self.styles and self.relative_to == "first-step"

    def replace(self, frame: pl.DataFrame, origin: _Numbers) -> pl.DataFrame:
        """Return the frame with these columns instead of its ``wall_time``; repeated styles count once.

        ``origin`` is the origin of each row's relative time, in seconds since 1970. If it is not finite, the relative
        time is null.
        """
        if self.is_stored:
            return frame
        wall_time = frame[WALL_TIME].to_numpy()
        selected = [_COLUMNS[style] for style in TIME_STYLES if style in self.styles]
        times = [make(wall_time, origin).alias(name) for name, make in selected]
        place = frame.get_column_index(WALL_TIME)
        columns = frame.get_columns()
        return type(frame)([*columns[:place], *times, *columns[place + 1 :]])
