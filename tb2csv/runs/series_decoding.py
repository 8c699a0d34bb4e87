"""Decoding of several series that one decoder reads together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.decoders import Undecodable, Values
from tb2csv.late_modules import np
from tb2csv.runs.decoded_rows import Rows, UndecodableValue
from tb2csv.runs.groupings import series_at, with_sessions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from tb2csv.decoders import DecodeOptions, Decoder
    from tb2csv.event_files.values import ValueSchema
    from tb2csv.runs.groupings import Grouping
    from tb2csv.runs.plugin_contents import ContentChanges
    from tb2csv.runs.step_orders import StepOrders
    from tb2csv.time_series import SeriesStats

#: The number of series that are decoded at once, because a log may have a million.
_SERIES_AT_ONCE: Final = 4096


def decode_series(
    decoder: Decoder,
    numbers: list[int],
    grouping: Grouping,
    all_series: Sequence[SeriesStats],
    schemas: Sequence[ValueSchema],
    options: DecodeOptions,
    orders: StepOrders | None,
    contents: ContentChanges | None,
) -> Iterator[Rows | UndecodableValue]:
    """Yield the rows of some series of a grouped block, one series after the other.

    Args:
        decoder: the decoder of all these series, which have the same signature.
        numbers: the numbers of the series in ``grouping`` and ``all_series``.
        grouping: the values of the block.
        all_series: the statistics of the series, in which undecodable values are counted.
        schemas: the value schemas of the block, by number.
        options: options of the decoder.
        orders: if given, the orders of the steps, to which the values are added.
        contents: if given, the plugin contents of earlier blocks; changes of content are yielded as well.
    """
    if len(numbers) > _SERIES_AT_ONCE:
        for start in range(0, len(numbers), _SERIES_AT_ONCE):
            some = numbers[start : start + _SERIES_AT_ONCE]
            yield from decode_series(decoder, some, grouping, all_series, schemas, options, orders, contents)
        return
    order, bounds = grouping.rows_of(numbers)
    values = Values(grouping.block, order, schemas, lambda: _ordinals(grouping, numbers, order, bounds), options)
    series = [all_series[number].series for number in numbers]
    sessions = None if grouping.sessions is None else grouping.sessions[order]
    for decoded in decoder.decode(values):
        if isinstance(decoded, Undecodable):
            row = decoded.value_index
            index = series_at(bounds, row)
            all_series[numbers[index]].undecodable += 1
            yield UndecodableValue(
                series[index],
                float(values.wall_time[row]),
                int(values.step[row]),
                decoded.detail,
                bytes(values.payload(row)) if decoded.payload is None else decoded.payload,
                exceeds_limit=decoded.exceeds_limit,
            )
        elif decoded.start < decoded.stop:
            first, last = series_at(bounds, decoded.start), series_at(bounds, decoded.stop - 1)
            value_bounds = bounds[first : last + 2]
            part = decoded
            if sessions is not None and not part.is_log_wide:
                part = with_sessions(part, sessions)
            yield Rows(part, series[first : last + 1], part.row_bounds(value_bounds), value_bounds)
    if orders is not None:
        orders.add(numbers, bounds, values.step, grouping.file)
    if contents and not getattr(decoder, "reads_content", False):
        for index, part in contents.parts(values, numbers, bounds, sessions):
            value_bounds = bounds[index : index + 2]
            yield Rows(part, series[index : index + 1], part.row_bounds(value_bounds), value_bounds)


def _ordinals(
    grouping: Grouping, numbers: list[int], order: npt.NDArray[np.int64], bounds: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the number of values of its series that precede each value of some series."""
    if grouping.ordinals:
        return grouping.ordinals()[order]
    before = np.array([grouping.rows_before.get(number, 0) for number in numbers])
    shifts: npt.NDArray[np.int64] = np.repeat(before - bounds[:-1], np.diff(bounds))
    return shifts + np.arange(bounds[-1])
