"""Gaps in the steps of regular series of a damaged event file: how many values its lost bytes may have had."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.late_modules import np
from tb2csv.runs.run_reader import RunReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from tb2csv.event_files.event_file import FileStats
    from tb2csv.logdir import Run
    from tb2csv.runs.groupings import Grouping

#: A series with more distances than this between its steps is not regular.
_MAX_DISTANCES: Final = 64

#: The number of distances that a regular series has at least.
_MIN_DISTANCES: Final = 3

#: The size in bytes of a value with a tag of one character and a number.
_SMALLEST_VALUE: Final = 10


class StepGaps(NamedTuple):
    """The gaps in the steps of a tag in one damaged file.

    Attributes:
        path: the path of the file.
        tag: the tag.
        interval: the distance of the tag's steps in this file, except at gaps.
        missing: the number of values that fit into the gaps.
    """

    path: str
    tag: str
    interval: int
    missing: int


def gaps_in_damaged_files(
    run: Run, files: Iterable[FileStats], chunk_size: int, report_bytes: Callable[[int], None]
) -> list[StepGaps]:
    """Read the run again, and return the gaps of the series of those of its ``files`` that lost bytes.

    A series is regular if all distances between its steps are multiples of the most common one. Gaps that need more
    bytes than the file lost are not counted, because the training made them.
    """
    lost = {stats.path: stats.lost_bytes for stats in files if stats.lost_bytes}
    if not lost:
        return []
    reader = RunReader(run, chunk_size=chunk_size, report_bytes=lambda _: report_bytes(0))
    found: dict[str, dict[int, _Distances]] = {path: {} for path in lost}
    for file, block in reader.scan_files():
        grouping = reader.group(block)
        if file.path in found:
            _add(grouping, block.columns.step, found[file.path])
    gaps = []
    for path, series in found.items():
        for number, distances in series.items():
            interval, missing = distances.gaps()
            if 0 < missing <= lost[path] // _SMALLEST_VALUE:
                gaps.append(StepGaps(path, reader.stats.series[number].series.tag, interval, missing))
    return gaps


def _add(grouping: Grouping, step: npt.NDArray[np.int64], series: dict[int, _Distances]) -> None:
    for number in grouping.present:
        rows = grouping.order[grouping.bounds[number] : grouping.bounds[number + 1]]
        series.setdefault(number, _Distances()).add(step[rows])


class _Distances:
    """The distances between the steps of one series, while they rise."""

    def __init__(self) -> None:
        self._last: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._counts: Counter[int] = Counter()

    def add(self, steps: npt.NDArray[np.int64]) -> None:
        """Add the next steps, in the order of the file."""
        steps = np.concatenate([self._last, steps])
        self._last = steps[-1:]
        if len(self._counts) > _MAX_DISTANCES:
            return
        # As Python integers, because the distance of two steps may not fit into 64 bits.
        rises = steps[1:] > steps[:-1]
        distances, counts = np.unique(
            steps[1:][rises].view(np.uint64) - steps[:-1][rises].view(np.uint64), return_counts=True
        )
        self._counts.update(dict(zip(distances.tolist(), counts.tolist(), strict=True)))

    def gaps(self) -> tuple[int, int]:
        """Return the regular distance, and the number of steps that are missing; 0 and 0 if there is none."""
        if self._counts.total() < _MIN_DISTANCES or len(self._counts) > _MAX_DISTANCES:
            return 0, 0
        ((interval, count),) = self._counts.most_common(1)
        if any(distance % interval for distance in self._counts) or 2 * count < self._counts.total():
            return 0, 0
        return interval, sum(times * (distance // interval - 1) for distance, times in self._counts.items())
