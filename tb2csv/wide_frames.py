"""Put scalars of several series side by side, with a row for each step."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.errors import Tb2csvError, check_choice
from tb2csv.late_modules import np, pl
from tb2csv.messages import Option, advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from tb2csv.messages import Advice

    Steps = npt.NDArray[np.int64]


def is_last(steps: Steps) -> npt.NDArray[np.bool_]:
    """Return for sorted steps which are the last of equal ones."""
    return np.append(steps[1:] != steps[:-1], True)


def is_first(steps: Steps) -> npt.NDArray[np.bool_]:
    """Return for sorted steps which are the first of equal ones."""
    return np.append(True, steps[1:] != steps[:-1])


#: Which value of a series and step is kept, by name, the default first. The functions return it for sorted steps; None
#: refuses a series that has several.
ON_DUPLICATE: Final[dict[str, Callable[[Steps], npt.NDArray[np.bool_]] | None]] = {
    "last": is_last,
    "first": is_first,
    "error": None,
}


class StepValues(NamedTuple):
    """Values of one series in the order of their steps, one for each step."""

    steps: Steps
    wall_times: npt.NDArray[np.float64]
    values: pl.Series

    def within(self, first: int, last: int) -> StepValues:
        """Return the values with steps from ``first`` to ``last``, both included."""
        start, stop = np.searchsorted(self.steps, first), np.searchsorted(self.steps, last, side="right")
        return StepValues(self.steps[start:stop], self.wall_times[start:stop], self.values[start:stop])


def one_for_each_step(
    frame: pl.DataFrame, run: str, tag: str, on_duplicate: str, *ways_out: Advice
) -> tuple[StepValues, int]:
    """Return the values of a series, sorted by step, and the number of values that are left out.

    Args:
        frame: ``step, wall_time, value`` of the series in the order in which they were written.
        run: the series' run, for the error.
        tag: its tag.
        on_duplicate: which value of a step is kept.
        ways_out: what else helps if there are several.

    Raises:
        Tb2csvError: the series has a step twice and ``on_duplicate`` is ``error``.
    """
    steps = frame["step"].to_numpy()
    if (steps[1:] > steps[:-1]).all():
        return StepValues(steps, frame["wall_time"].to_numpy(), frame["value"]), 0
    order = np.argsort(steps, kind="stable")
    steps = steps[order]
    are_last, choose = is_last(steps), ON_DUPLICATE[on_duplicate]
    if choose is None and not are_last.all():
        raise Tb2csvError(
            f"Tag {tag!r} of run {run!r} has step {steps[~are_last][0]} more than once",
            advice("keep one value with {} or last", Option("on_duplicate", "first")),
            *ways_out,
        )
    kept = choose(steps) if choose else are_last
    chosen = order[kept]
    values = StepValues(steps[kept], frame["wall_time"].to_numpy()[chosen], frame["value"].gather(chosen))
    return values, len(steps) - len(chosen)


#: How many cells any table side by side may have, and for each value; runs whose steps differ need as many as there are
#: runs.
MAX_CELLS: Final = 10_000_000
MAX_CELLS_PER_VALUE: Final = 200
#: The number of cells that are made at once.
_CELLS_AT_ONCE: Final = 1 << 24


def check_cells(cells: int, values: int, *ways_out: Advice) -> None:
    """Raise Tb2csvError if nearly all cells of a table would be empty, because series have different steps."""
    if cells > max(MAX_CELLS, MAX_CELLS_PER_VALUE * values):
        raise Tb2csvError(
            f"Side by side, {values:,} values would need {cells:,} cells, because their steps differ", *ways_out
        )


def all_steps(series: list[StepValues]) -> Steps:
    """Return the steps of all series, each once and sorted."""
    steps = series[0].steps
    if all(np.array_equal(steps, each.steps) for each in series[1:]):
        return steps
    # A stable sort merges sorted stretches, which is faster than the hashing of np.unique.
    merged = np.sort(np.concatenate([each.steps for each in series]), kind="stable")
    return merged[is_first(merged)]


def parts_side_by_side(
    series: list[StepValues], names: list[str], steps: Steps
) -> Iterator[tuple[Steps, npt.NDArray[np.float64], list[pl.Series]]]:
    """Yield what ``side_by_side`` returns, in parts with a limited number of cells."""
    rows = max(_CELLS_AT_ONCE // max(len(series), 1), 1)
    if len(steps) <= rows:
        yield side_by_side(series, names, steps)
        return
    for start in range(0, len(steps), rows):
        part = steps[start : start + rows]
        yield side_by_side([each.within(part[0], part[-1]) for each in series], names, part)


def side_by_side(
    series: list[StepValues], names: list[str], steps: Steps
) -> tuple[Steps, npt.NDArray[np.float64], list[pl.Series]]:
    """Return all steps, the earliest wall time of each, and a column for each series; a missing value is null."""
    earliest = np.full(len(steps), np.nan)
    columns = []
    for name, each in zip(names, series, strict=True):
        rows = np.searchsorted(steps, each.steps)
        earliest[rows] = np.fmin(earliest[rows], each.wall_times)  # NaN only if all of them are
        column = each.values
        if len(rows) < len(steps):
            source = np.zeros(len(steps), np.int64)
            source[rows] = np.arange(1, len(rows) + 1)
            missing = pl.Series([None], dtype=column.dtype)
            column = missing.append(column).gather(source)
        columns.append(column.alias(name))
    return steps, earliest, columns


def wide_frame(scalars: pl.DataFrame, on_duplicate: str) -> pl.DataFrame:
    """Return the rows of ``run, tag, step, wall_time, value`` with a column for each run and tag, sorted by step.

    Raises:
        OptionError: ``on_duplicate`` is unknown.
        Tb2csvError: a series has a step twice and ``on_duplicate`` is ``error``, or two columns would have one name.
    """
    check_choice("value for duplicate steps", on_duplicate, ON_DUPLICATE)
    if scalars.is_empty():
        return pl.DataFrame({"step": []}, {"step": pl.Int64})
    by_series: dict[tuple[Any, ...], pl.DataFrame] = scalars.partition_by(
        ["run", "tag"], maintain_order=True, as_dict=True
    )
    names = _names([run for run, _ in by_series], [tag for _, tag in by_series])
    chosen = [one_for_each_step(frame, run, tag, on_duplicate)[0] for (run, tag), frame in by_series.items()]
    steps = all_steps(chosen)
    check_cells(len(steps) * len(chosen), sum(len(each.steps) for each in chosen), advice("select fewer series"))
    steps, _, columns = side_by_side(chosen, names, steps)
    return pl.DataFrame([pl.Series("step", steps), *columns])


def _names(runs: list[str], tags: list[str]) -> list[str]:
    if len(set(tags)) == 1:
        names = runs
    elif len(set(runs)) == 1:
        names = tags
    else:
        names = [f"{run}: {tag}" for run, tag in zip(runs, tags, strict=True)]
    counts = Counter(["step", *names])
    for name in names:
        if counts[name] > 1:
            message = f"Two columns would have the name {name!r}; choose one run or one tag, or use scalars."
            raise Tb2csvError(message)
    return names
