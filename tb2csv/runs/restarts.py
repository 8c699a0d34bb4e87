"""Restarts of a run: the rows that a reader would still show, and the session of each row.

A training job that stops at step 100 and starts again from a checkpoint of step 80 writes the steps 81 to 100 twice.
Readers of event files handle this in two ways. TensorBoard's ``EventAccumulator`` purges: a mark in the log says that a
session starts at a step, and earlier values with that step or a later one are dropped. TensorBoard's data server
supersedes: each value drops the earlier values of its tag whose steps are not smaller.

The functions are pure and work on the columns of a run's whole history. Sources: ``_MaybePurgeOrphanedData`` in
tensorboard/backend/event_processing/event_accumulator.py, ``read_event`` in tensorboard/data/server/run.rs and
``StageReservoir::offer`` in tensorboard/data/server/reservoir.rs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.event_files.values import ValueKind
from tb2csv.late_modules import np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from tb2csv.event_files.values import SessionMark

#: The first version of the format that marks restarts; for older ones, EventAccumulator infers them from the steps.
_VERSION_WITH_MARKS: Final = 2

_END: Final = (1 << 63) - 1


class FileHistory(NamedTuple):
    """The position of an event file in the history of its run, and its events other than values."""

    #: The number of values in earlier files of the run.
    row: int
    #: The wall time of the first event in seconds since the epoch; not finite if it is not known.
    wall_time: float
    #: The step of the first event.
    step: int
    #: The version that the first event gives, or None.
    version: float | None
    #: The events without values, in order; their rows are counted from the start of the file.
    marks: Sequence[SessionMark]


class RunHistory(NamedTuple):
    """The tags, kinds, steps and wall times of all values of a run in the order of its files: columns of one length.

    ``tag`` numbers the tags from 0. A tag has one number even if its values are of several kinds, because both readers
    go by the tag alone. ``kind`` has numbers of ``ValueKind``, ``wall_time`` is in seconds since the epoch. ``files``
    has all files of the run in order, including those without values.
    """

    tag: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int8]
    step: npt.NDArray[np.int64]
    wall_time: npt.NDArray[np.float64]
    files: Sequence[FileHistory]

    def stops(self) -> list[int]:
        """Return for each file the row after its last."""
        return [*(file.row for file in self.files), len(self.tag)][1:]


def keep(history: RunHistory) -> npt.NDArray[np.bool_]:
    """Keep every row."""
    return np.ones(len(history.tag), np.bool_)


def purge(history: RunHistory) -> npt.NDArray[np.bool_]:
    """Return which rows ``EventAccumulator`` keeps if it does not sample.

    In a file of version 2 or later, the start of a session drops all earlier rows, of every tag and file, whose step is
    not smaller. In an older file, an event whose step is smaller than the latest drops the earlier rows of its own tags
    in the same way. A file without a version has that of the file before. Only scalars, histograms, images and audio in
    the form that TensorFlow 1, PyTorch and tensorboardX write are dropped. Tensors stay, and TensorFlow 2 writes
    nothing else.

    There are two differences. Successive events with the same step and the same wall time count as one event. A value
    without a tag drops only values without a tag; in EventAccumulator it drops everything.
    """
    can_go = np.isin(history.kind, _PURGED)
    return ~(can_go & (_purged_by_marks(history) | _purged_by_steps(history, can_go)))


def supersede(history: RunHistory) -> npt.NDArray[np.bool_]:
    """Return which rows TensorBoard's data server keeps if it does not sample.

    A row stays if every later row of its tag has a larger step. Of values without a step, only the last stays. All meta
    graphs stay, because the server does not read them.
    """
    rows = np.flatnonzero(history.kind != ValueKind.META_GRAPH_DEF)
    kept = keep(history)
    kept[rows] = ~_overtaken(history.tag[rows], history.step[rows])
    return kept


#: The policies for rows that a restart made obsolete, by name; each returns True for each row that is kept.
RESTART_POLICIES: Final[dict[str, Callable[[RunHistory], npt.NDArray[np.bool_]]]] = {
    "keep": keep,
    "purge": purge,
    "supersede": supersede,
}

#: The kinds of events without a summary.
GRAPH_KINDS: Final = (ValueKind.GRAPH_DEF, ValueKind.META_GRAPH_DEF, ValueKind.RUN_METADATA)
#: The kinds that EventAccumulator purges: all of its reservoirs except tensors.
_PURGED: Final = (ValueKind.SIMPLE_VALUE, ValueKind.HISTO, ValueKind.IMAGE, ValueKind.AUDIO)


def sessions(history: RunHistory) -> npt.NDArray[np.int32]:
    """Return the session of each row, numbered from 0.

    A new session begins at a mark of a session's start, and at a file whose first event is later than everything in
    earlier files. So a writer that was closed and opened again begins a session, even in the same process; writers that
    write at the same time share one. Sessions without summary values are not counted. A second mark with the same step
    does not begin a session unless a later step was written in between: TensorFlow 1 writes a mark for each hook that
    saves summaries.
    """
    is_value = ~np.isin(history.kind, GRAPH_KINDS)
    values_before = np.concatenate([[0], np.cumsum(is_value)])
    rows = np.array([*_late_files(history), *_marked_starts(history)], np.int64)
    rows.sort()
    _, firsts = np.unique(values_before[rows], return_index=True)
    rows = rows[firsts]
    rows = rows[(values_before[rows] > 0) & (rows < len(is_value))]
    counted = np.zeros(len(is_value), np.int32)
    counted[rows] = 1
    return np.cumsum(counted, dtype=np.int32)


def _late_files(history: RunHistory) -> Iterator[int]:
    """Yield the first row of each file that begins after everything in earlier files was written."""
    latest = -math.inf
    for file, stop in zip(history.files, history.stops(), strict=True):
        wall_times = history.wall_time[file.row : stop]
        wall_times = wall_times[np.isfinite(wall_times)]
        if math.isfinite(file.wall_time):
            if _begin(file.wall_time, wall_times) >= latest > -math.inf:
                yield file.row
            latest = max(latest, file.wall_time)
        latest = max(latest, float(wall_times.max(initial=-math.inf)))


def _begin(wall_time: float, later: npt.NDArray[np.float64]) -> float:
    """Return the latest time when a file can have begun: TensorFlow rounds the time of the first event down to 1 s."""
    if wall_time % 1:
        return wall_time
    return min(wall_time + 1, float(later[0]) if len(later) else math.inf)


def _marked_starts(history: RunHistory) -> Iterator[int]:
    """Yield the first row of each session whose start is marked; repeated marks count once."""
    for file in history.files:
        last: SessionMark | None = None
        for mark in file.marks:
            if not mark.is_start:
                continue
            between = history.step[file.row + (last.row if last else 0) : file.row + mark.row]
            if last is None or mark.step != last.step or bool((between > mark.step).any()):
                yield file.row + mark.row
            last = mark


def _versions(history: RunHistory) -> Iterator[tuple[FileHistory, bool]]:
    """Yield each file, and whether its version marks restarts."""
    version = None
    for file in history.files:
        version = version if file.version is None else file.version
        yield file, version is not None and version >= _VERSION_WITH_MARKS


def _purged_by_marks(history: RunHistory) -> npt.NDArray[np.bool_]:
    """Return which rows the start of a session drops."""
    purged = np.zeros(len(history.tag), np.bool_)
    # The step of each start, at the last row that it may drop.
    limits = np.full(len(history.tag), _END)
    end = 0
    for file, has_marks in _versions(history):
        for mark in file.marks if has_marks else ():
            if mark.is_start and file.row + mark.row:
                end = file.row + mark.row
                limits[end - 1] = min(limits[end - 1], mark.step)
    purged[:end] = history.step[:end] >= _min_from(limits[:end])
    return purged


def _purged_by_steps(history: RunHistory, can_go: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which rows are dropped by an event with a smaller step than the latest, in files that mark no restarts."""
    is_old = np.zeros(len(history.tag), np.bool_)
    for (file, has_marks), stop in zip(_versions(history), history.stops(), strict=True):
        is_old[file.row : stop] = not has_marks
    if not is_old.any():
        return is_old
    goes_back = _goes_back(history, is_old)
    rows = np.flatnonzero(can_go | goes_back)
    purged = np.zeros(len(history.tag), np.bool_)
    purged[rows] = _overtaken(history.tag[rows], history.step[rows], by=goes_back[rows], event=_events(history)[rows])
    return purged


def _goes_back(history: RunHistory, is_old: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which of the old rows belong to a summary whose step is smaller than the latest.

    The latest step is the maximum so far, from -1. An event without a summary sets it to its own step, even to a
    smaller one: the event with the version, which begins every file, and graphs.
    """
    rows = np.flatnonzero(is_old)
    before = np.concatenate([[0], np.cumsum(is_old)])
    # Events without rows: the index of the next old row, their step, and whether they set the latest step.
    extra: list[tuple[int, int, bool]] = [(0, -1, True)]
    for file, has_marks in _versions(history):
        if has_marks:
            continue
        if file.version is not None:
            extra.append((int(before[file.row]), file.step, True))
        extra += [(int(before[file.row + mark.row]), mark.step, not mark.has_summary) for mark in file.marks]
    places, steps, sets = zip(*extra, strict=True)
    step = np.insert(history.step[rows], places, steps)
    is_set = np.insert(np.isin(history.kind[rows], GRAPH_KINDS), places, sets)
    is_row = np.insert(np.ones(len(rows), np.bool_), places, np.zeros(len(places), np.bool_))
    # A stretch begins where the latest step is set. The keys of a stretch are smaller than those of the next.
    key, _ = _keys(np.cumsum(is_set), step)
    latest = np.maximum.accumulate(key)
    is_back = np.concatenate([[False], key[1:] < latest[:-1]])
    goes_back = np.zeros(len(is_old), np.bool_)
    goes_back[rows] = is_back[is_row]
    return goes_back


def _events(history: RunHistory) -> npt.NDArray[np.int64]:
    """Return the number of each row's event: adjacent rows with the same step and wall time are one event."""
    begins = np.ones(len(history.tag), np.bool_)
    bits = history.wall_time.view(np.int64)  # so that NaN equals NaN
    begins[1:] = (history.step[1:] != history.step[:-1]) | (bits[1:] != bits[:-1])
    begins[[file.row for file in history.files if file.row < len(begins)]] = True
    return np.cumsum(begins)


def _overtaken(
    tag: npt.NDArray[np.int32],
    step: npt.NDArray[np.int64],
    *,
    by: npt.NDArray[np.bool_] | None = None,
    event: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.bool_]:
    """Return which rows have a later row of the same tag whose step is not larger.

    Later rows count only if their ``by`` is true and their ``event`` differs from that of the row.
    """
    size = len(tag)
    if not size:
        return np.zeros(0, np.bool_)
    # numpy sorts 16-bit integers with a radix sort, ten times as fast.
    narrow = tag.astype(np.uint16) if int(tag.max()) <= np.iinfo(np.uint16).max else tag
    order = np.argsort(narrow, kind="stable")
    key, span = _keys(tag[order], step[order])
    limit = key
    if by is not None:  # a row that does not count gets a key above those of its tag
        limit = np.where(by[order], key, (tag[order].astype(np.int64) + 1) * span)
    lowest = np.append(_min_from(limit), _END)  # within the tag, because the keys of later tags are larger
    following = np.arange(1, size + 1)
    if event is not None:
        changes = np.flatnonzero(np.diff(event[order])) + 1
        ends = np.append(changes, size)
        following = np.repeat(ends, np.diff(ends, prepend=0))
    overtaken = np.empty(size, np.bool_)
    overtaken[order] = key >= lowest[following]
    return overtaken


def _keys(group: npt.NDArray[np.integer], step: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """Return integers that compare like (group, step), and the span of a group: the keys of group g begin at g * span.

    So a running minimum or maximum over all keys starts anew with each group. Groups are numbered from 0.
    """
    low = int(step.min())
    span = int(step.max()) - low + 1
    if (int(group.max()) + 1) * span > _END:  # the keys would overflow: use the ranks of the steps
        distinct, step = np.unique(step, return_inverse=True)
        low, span = 0, len(distinct)
    return group.astype(np.int64) * span + (step - low), span


def _min_from(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each position the minimum of the numbers from there to the end."""
    return np.minimum.accumulate(numbers[::-1])[::-1]
