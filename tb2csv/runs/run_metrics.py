"""The statistics of the scalars of one run, from which the metrics of trials are taken.

They can be saved and continued: an update reads only the new values of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.late_modules import np
from tb2csv.plain_data import ANYTHING, COUNT, DictOf, ListOf, check
from tb2csv.runs.decoded_rows import UndecodableValue
from tb2csv.runs.placeholders import PLACEHOLDER, Placeholders
from tb2csv.runs.run_reader import RunReader
from tb2csv.runs.scalar_statistics import Reduced, combined, reduced, statistics_frame
from tb2csv.selection import Selection
from tb2csv.time_series import Series, SeriesMetadata

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from typing_extensions import Self

    from tb2csv.decoders import DecodeOptions
    from tb2csv.event_files.event_file import FileStats
    from tb2csv.logdir import Run
    from tb2csv.runs.decoded_rows import Rows
    from tb2csv.time_series import SeriesStats


class MetricSummary(NamedTuple):
    """The statistics of a scalar tag of a run; min and max are None if all values are NaN."""

    last: float
    min: float | None
    min_step: int | None
    max: float | None
    max_step: int | None
    #: The number of placeholders that a writer put in. They are left out if there are other values.
    placeholders: int = 0
    #: Whether all values are placeholders.
    is_placeholder: bool = False


#: The facts in a ledger with the statistics of runs; the name of the run follows.
METRICS_FACT: Final = "metrics/"


class ReadMetrics(NamedTuple):
    """The statistics of the scalars of a run."""

    summaries: dict[str, MetricSummary]
    #: What continues them, see ``RunMetrics.to_data``; None if they cannot be continued.
    data: dict[str, Any] | None


class RunMetrics:
    """The statistics of the scalars of one run so far."""

    def __init__(self) -> None:
        """Start at the first value of a run."""
        self._placeholders = Placeholders()
        self._parts: list[Reduced] = []
        #: The index of the last value of each series that was restored, among all values of the run.
        self._last_rows: dict[Series, int] = {}

    def add(self, item: Rows | UndecodableValue) -> None:
        """Add decoded values, in the order of the files; other ones than scalars are left out."""
        if isinstance(item, UndecodableValue) or item.series[0].kind != "scalars" or "value" not in item.part.schema:
            return
        if part := reduced(self._placeholders.leave_out(item)):
            self._parts.append(part)

    def gathered_from(self, reader: RunReader) -> Generator[Rows | UndecodableValue, None, None]:
        """Yield what a reader decodes, and add its scalars, whether they are selected or not."""
        for item in reader.decode(with_contents=True, add_unselected_scalars=self.add):
            self.add(item)
            yield item

    def read(self, stats_of: Callable[[Series], SeriesStats]) -> ReadMetrics:
        """Return the statistics, and what continues them."""
        return ReadMetrics(self.summaries(stats_of), self.to_data(stats_of))

    def summaries(self, stats_of: Callable[[Series], SeriesStats] | None = None) -> dict[str, MetricSummary]:
        """Return the statistics of each scalar tag.

        A tag that changes its type has several series. Its last value is that of the series whose ``stats_of`` has the
        largest ``last_row``. ``stats_of`` is not needed if nothing was added since the statistics were restored.
        """
        last_row = self._last_row(stats_of)
        all_series, frame = statistics_frame(self._parts)
        pairs = zip(all_series, frame.iter_rows(named=True), strict=True)
        found: dict[str, MetricSummary] = {}
        for series, row in sorted(pairs, key=lambda pair: last_row(pair[0])):
            tag = series.tag
            new = MetricSummary(*(row[name] for name in _STATISTICS))
            found[tag] = _merge(found[tag], new) if tag in found else new
        for tag, count in self._placeholders.counts.items():
            if tag in found:
                found[tag] = found[tag]._replace(placeholders=count)
            else:
                found[tag] = MetricSummary(PLACEHOLDER, PLACEHOLDER, 0, PLACEHOLDER, 0, count, is_placeholder=True)
        return found

    def _last_row(self, stats_of: Callable[[Series], SeriesStats] | None) -> Callable[[Series], int]:
        return self._last_rows.__getitem__ if stats_of is None else lambda series: stats_of(series).last_row

    def to_data(self, stats_of: Callable[[Series], SeriesStats]) -> dict[str, Any]:
        """Return the statistics as data for JSON."""
        return {
            "parts": [
                [
                    part.dtype,
                    [series.id for series in part.series],
                    [series.tag for series in part.series],
                    [stats_of(series).last_row for series in part.series],
                    [getattr(part, name).tolist() for name in _COLUMNS],
                ]
                for part in combined(self._parts)
            ],
            "placeholders": self._placeholders.counts,
            "last_steps": {str(series): step for series, step in self._placeholders.last_steps.items()},
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any], run: str, known: Sequence[SeriesStats] | None = None) -> Self:
        """Restore what ``to_data`` returned.

        Args:
            data: the data.
            run: the name of the run.
            known: the series of the run by number, to add more of their values.

        Raises:
            ValueError: the data are not those of the run.
            LookupError: a number is unknown.
        """
        check(data, _SHAPE)
        metrics = cls()
        for dtype, numbers, tags, last_rows, columns in data["parts"]:
            if known is None:
                series = [
                    Series(number, run, tag, "scalars", "", SeriesMetadata(), b"", "")
                    for number, tag in zip(numbers, tags, strict=True)
                ]
            else:
                series = [known[number].series for number in numbers]
            if [each.tag for each in series] != tags or len(columns) != len(_COLUMNS):
                message = "the metrics are not those of the run"
                raise ValueError(message)
            metrics._last_rows |= zip(series, last_rows, strict=True)
            metrics._parts.append(Reduced(series, dtype, *_arrays(dtype, columns, len(series))))
        metrics._placeholders.counts.update(data["placeholders"])
        metrics._placeholders.last_steps.update({int(name): step for name, step in data["last_steps"].items()})
        return metrics


#: The columns of ``statistics_frame`` that MetricSummary has.
_STATISTICS: Final = ("last", "min", "min_step", "max", "max_step")

#: The columns of ``Reduced``, and those that have the type of the values; the others count or are sums.
_COLUMNS: Final = Reduced._fields[2:]
_VALUES: Final = frozenset({"first", "last", "min", "max"})

#: The types of scalars, and how they are reduced.
_INTEGERS: Final = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
_DTYPES: Final = {"boolean": "uint8"} | {name: name for name in (*_INTEGERS, "float32", "float64")}

_SHAPE: Final = {
    "parts": ListOf((str, ListOf(COUNT), ListOf(str), ListOf(int), ListOf(ListOf(ANYTHING)))),
    "placeholders": DictOf(COUNT),
    "last_steps": DictOf(int),
}


def _arrays(dtype: str, columns: list[list[Any]], size: int) -> list[Any]:
    arrays = []
    for name, column in zip(_COLUMNS, columns, strict=True):
        try:
            with np.errstate(over="raise"):
                array = np.array(column, _DTYPES[dtype if name in _VALUES else "float64" if name == "sum" else "int64"])
        except FloatingPointError as error:
            message = f"a number of the metrics does not fit {dtype}"
            raise ValueError(message) from error
        if array.shape != (size,):
            message = "a column of the metrics has another length"
            raise ValueError(message)
        arrays.append(array)
    return arrays


def metrics(
    decoded: Iterable[Rows | UndecodableValue], stats_of: Callable[[Series], SeriesStats]
) -> dict[str, MetricSummary]:
    """Return the statistics of each scalar tag of a run; ``decoded`` yields all of its scalars."""
    found = RunMetrics()
    for item in decoded:
        found.add(item)
    return found.summaries(stats_of)


def _merge(earlier: MetricSummary, later: MetricSummary) -> MetricSummary:
    """Return the statistics of two series of a tag together."""
    lower, higher = earlier, earlier
    if earlier.min is None or (later.min is not None and later.min < earlier.min):
        lower = later
    if earlier.max is None or (later.max is not None and later.max > earlier.max):
        higher = later
    return MetricSummary(later.last, lower.min, lower.min_step, higher.max, higher.max_step)


def read_metrics(run: Run, chunk_size: int) -> dict[str, MetricSummary]:
    """Return the statistics of each scalar tag of a run, which is read for them."""
    reader = RunReader(run, selection=_SCALARS, chunk_size=chunk_size)
    return metrics(reader.decode(), reader.stats_of)


def read_metrics_again(run: Run, files: Sequence[FileStats], options: DecodeOptions, chunk_size: int) -> ReadMetrics:
    """Return the statistics of the scalars of a run that was read before, up to where its files were read then.

    With the same ``options``, so that the series have the same numbers.
    """
    reader = RunReader(run, selection=_SCALARS, options=options, chunk_size=chunk_size)
    found = RunMetrics()
    for item in reader.decode_again({file.path: file.bytes for file in files}):
        found.add(item)
    is_same = [_read_part(file) for file in files] == [_read_part(file) for file in reader.stats.files]
    return found.read(reader.stats_of) if is_same else ReadMetrics(found.summaries(reader.stats_of), None)


_SCALARS: Final = Selection(kinds=("scalars",))


def _read_part(file: FileStats) -> tuple[Any, ...]:
    return file.path, file.values, file.fingerprint
