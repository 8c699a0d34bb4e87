"""Bins of steps or of times: the rows of tables that put runs side by side, and of statistics across runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.errors import OptionError, check_choice, check_type
from tb2csv.late_modules import np, pl
from tb2csv.messages import Option, advice

if TYPE_CHECKING:
    import numpy.typing as npt

STEP: Final = "step"
#: What rows can be ordered by, and the column that has it: steps, seconds since the origin of the run, or since 1970.
AXES: Final = {STEP: "step", "relative": "relative_time", "wall": "wall_time"}

#: Numbers of bins beyond this are not exact as float64.
_MAX_NUMBER: Final = 1 << 53
BIN: Final = "bin:"
#: The maximum rounding error of a number that is meant to be whole.
_ROUNDING: Final = 1e-9


class Bins(NamedTuple):
    """Stretches of equal width on an axis; a bin is known by its number, and has the position of its start."""

    axis: str
    #: In steps, or in seconds.
    width: float

    @classmethod
    def of(cls, axis: str, align: str | None) -> Bins | None:
        """Return the bins that two options describe; None if rows are by step, and each step is a row.

        Raises:
            OptionError: the axis or the alignment is unknown, or they do not fit.
        """
        check_choice("axis", axis, AXES)
        if align is None or align == "exact":
            if axis == "step":
                return None
            raise OptionError(
                "Times of different runs are hardly ever equal, so their rows need bins",
                advice("give the seconds of a row, such as {}", Option("align", "bin:60")),
            )
        width = bin_width(align)
        is_whole = width == round(width) if math.isfinite(width) else False
        if not 0 < width < math.inf or (axis == "step" and not is_whole):
            what = "a whole number of steps" if axis == "step" else "a number of seconds"
            message = f"{align!r} is not an alignment of rows; give bin:N with {what}, such as bin:100."
            raise OptionError(message)
        return cls(axis, width)

    def placed(self, frame: pl.DataFrame, origin: float) -> pl.DataFrame:
        """Return rows of ``step, wall_time`` and others with the number of the bin as the step.

        Rows whose time is not known are left out. ``origin`` is that of relative times, in seconds since 1970.
        """
        if self.axis == "step":
            return frame.with_columns(pl.Series("step", self.numbers(frame["step"].to_numpy())))
        numbers = self.numbers(frame["wall_time"].to_numpy() - (origin if self.axis == "relative" else 0.0))
        is_known = np.abs(numbers) < _MAX_NUMBER  # NaN is not
        placed = frame.with_columns(pl.Series("step", np.where(is_known, numbers, 0).astype(np.int64)))
        return placed if is_known.all() else placed.filter(pl.Series(is_known))

    def means(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the mean value and the earliest wall time of each bin, as float64; NaN makes the mean NaN."""
        value = pl.col("value").cast(pl.Float64).mean()
        return frame.group_by("step").agg(pl.col("wall_time").min(), value).sort("step")

    def numbers(self, positions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the number of the bin of each step, as integers, or of each time in seconds, as float64."""
        return positions // int(self.width) if self.axis == "step" else np.floor(positions / self.width)

    def positions(self, numbers: pl.Series) -> pl.Series:
        """Return the starts of bins: whole steps, or seconds."""
        found: npt.NDArray[Any] = numbers.to_numpy()
        if self.axis == "step":
            return pl.Series(found * int(self.width))
        parts = 1 / self.width
        is_part = abs(parts - round(parts)) < _ROUNDING  # six tenths are nearer to 0.6 if they are divided
        return pl.Series(found / round(parts) if is_part and round(parts) else found * self.width)


def bin_width(align: str) -> float:
    """Return the width in ``bin:N``, and NaN for anything else."""
    check_type("align", align, str, "bin:N as text")
    try:
        return float(align.removeprefix(BIN)) if align.startswith(BIN) else math.nan
    except ValueError:
        return math.nan
