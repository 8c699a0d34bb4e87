"""What a run's restarts did to its values: which rows a reader would still show, and the session that each is of.

A training job that stops at step 100 and starts again from a checkpoint of step 80 writes the steps 81 to 100 twice.
Readers of event files deal with that in two ways. TensorBoard's ``EventAccumulator`` purges: a mark in the log says
that a session starts at a step, and what was written before with that step or a later one is dropped. TensorBoard's
data server supersedes: every value drops the earlier ones of its tag whose steps are not smaller.

All here are pure functions on the columns of a run's whole history. Sources: ``_MaybePurgeOrphanedData`` in
tensorboard/backend/event_processing/event_accumulator.py, ``read_event`` in tensorboard/data/server/run.rs and
``StageReservoir::offer`` in tensorboard/data/server/reservoir.rs.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tb2csv.event_files.values import ValueKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from tb2csv.event_files.values import SessionMark

#: From this version of the format on, marks tell of restarts; before it, EventAccumulator guesses from the steps.
_VERSION_WITH_MARKS: Final = 2

_END: Final = np.iinfo(np.int64).max


class FileHistory(NamedTuple):
    """Where one event file stands in its run's history, and what it says beside its values."""

    #: How many values of the run stand in earlier files.
    row: int
    #: Wall time of its first event in seconds since the epoch; not finite where that is not known.
    wall_time: float
    #: Step of its first event.
    step: int
    #: What its first event says the version is; None where it says nothing.
    version: float | None
    #: Its events without values, in order; their rows count from the file's first.
    marks: Sequence[SessionMark]


class RunHistory(NamedTuple):
    """All values of a run in the order of its files, without the values themselves: four columns of one length.

    ``tag`` numbers the tags from 0: one number for a tag, also where its values are of several kinds, for both readers
    go by the tag alone. ``kind`` has numbers of ``ValueKind``, ``wall_time`` is in seconds since the epoch. ``files``
    are those of the run, in order, with those that have no values.
    """

    tag: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int8]
    step: npt.NDArray[np.int64]
    wall_time: npt.NDArray[np.float64]
    files: Sequence[FileHistory]

    def stops(self) -> list[int]:
        """Return for each file the row behind its last."""
        return [*(file.row for file in self.files), len(self.tag)][1:]


def keep(history: RunHistory) -> npt.NDArray[np.bool_]:
    """Keep every row."""
    return np.ones(len(history.tag), np.bool_)


def purge(history: RunHistory) -> npt.NDArray[np.bool_]:
    """Tell which rows ``EventAccumulator`` keeps when it samples nothing.

    In a file of version 2 or later, the start of a session drops all earlier rows, of every tag and file, whose step is
    not smaller. In an older one, an event whose step is smaller than the latest drops the earlier rows of its own tags,
    likewise. A file that does not tell its version has that of the file before. Dropped are scalars, histograms, images
    and audio as TensorFlow 1, PyTorch and tensorboardX write them; tensors are not, and so nothing of TensorFlow 2's.

    The values of one event are not told from those of the next where these have the same step and the same wall time;
    and a value without a tag drops nothing else, where EventAccumulator would drop everything.
    """
    can_go = np.isin(history.kind, _PURGED)
    return ~(can_go & (_purged_by_marks(history) | _purged_by_steps(history, can_go)))


def supersede(history: RunHistory) -> npt.NDArray[np.bool_]:
    """Tell which rows TensorBoard's data server keeps when it samples nothing.

    A row stays where every later row of its tag has a larger step; so of values without a step, the last stays. Meta
    graphs, which the server does not read, all do.
    """
    rows = np.flatnonzero(history.kind != ValueKind.META_GRAPH_DEF)
    kept = keep(history)
    kept[rows] = ~_overtaken(history.tag[rows], history.step[rows])
    return kept


#: What becomes of rows that a restart has made obsolete, by the policy's name: True for each row that is kept.
RESTART_POLICIES: Final[dict[str, Callable[[RunHistory], npt.NDArray[np.bool_]]]] = {
    "keep": keep,
    "purge": purge,
    "supersede": supersede,
}

#: Rows that stand for events without a summary.
GRAPH_KINDS: Final = (ValueKind.GRAPH_DEF, ValueKind.META_GRAPH_DEF, ValueKind.RUN_METADATA)
#: Rows that EventAccumulator purges: it does so in all its reservoirs but that of tensors.
_PURGED: Final = (ValueKind.SIMPLE_VALUE, ValueKind.HISTO, ValueKind.IMAGE, ValueKind.AUDIO)


def sessions(history: RunHistory) -> npt.NDArray[np.int32]:
    """Number the sessions of a run: for each row that of its session, from 0.

    A session ends where a session's start is marked, and where a file begins after all that stands in earlier files
    was written; writers that write side by side are one session. So a writer that was closed and opened again begins a
    session, whether its process is another or not. Only what stands between summary values counts: two ends without a
    value between them are one, and none comes before the first value. A start that is marked again at the same step,
    before any later step was written, is the same start: TensorFlow 1 has one for each hook that saves summaries.
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


class BriefHistory:
    """Those rows of a run's history without which ``sessions`` would count others: a few for each stretch of a file.

    It tells how many sessions there are where nobody asks which row is of which, in memory that does not grow with
    the values.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._rows: dict[str, list[npt.NDArray[np.int64]]] = {}
        self._cells: dict[str, list[tuple[npt.NDArray[np.int8], npt.NDArray[np.int64], npt.NDArray[np.float64]]]] = {}

    def add(
        self,
        path: str,
        row: int,
        columns: tuple[npt.NDArray[np.int8], npt.NDArray[np.int64], npt.NDArray[np.float64]],
        cuts: Iterable[int],
    ) -> None:
        """Add a stretch of the file at ``path``, whose first value is number ``row`` of the file.

        Of a file that is alone, stretches before the first mark may be left out. ``columns`` are kind, step and wall
        time of its values, as in RunHistory; ``cuts`` are the rows of the stretch before which marks stand.
        """
        kind, step, wall_time = columns
        is_value = ~np.isin(kind, GRAPH_KINDS)
        is_known = np.isfinite(wall_time)
        known = np.where(is_known, wall_time, -math.inf)
        bounds = sorted({0, *cuts, len(kind)})
        telling = [
            start + int(place)
            for start, stop in itertools.pairwise(bounds)
            # A value, if there is one; the first time that is known, and the latest; the largest step.
            for place in (column[start:stop].argmax() for column in (is_value, is_known, known, step))
        ]
        rows = np.unique(np.array(telling, np.int64))
        if row and path not in self._rows:  # of what was passed before, no more is told than that there was something
            self._rows[path] = [np.zeros(1, np.int64)]
            self._cells[path] = [(np.full(1, ValueKind.NONE, np.int8), step[:1], np.full(1, np.nan))]
        self._rows.setdefault(path, []).append(row + rows)
        self._cells.setdefault(path, []).append((kind[rows], step[rows], wall_time[rows]))

    def session_count(self, files: Mapping[str, FileHistory]) -> int:
        """Return how many sessions have values; ``files`` are all of the run by their paths, in order."""
        histories, cells, before = [], [], 0
        for path, file in files.items():
            rows = np.concatenate(self._rows.get(path, [np.empty(0, np.int64)]))
            marks = [mark._replace(row=int(np.searchsorted(rows, mark.row))) for mark in file.marks]
            histories.append(file._replace(row=before, marks=marks))
            cells += self._cells.get(path, [])
            before += len(rows)
        if not cells:
            return 0
        kind, step, wall_time = (np.concatenate(column) for column in zip(*cells, strict=True))
        return int(sessions(RunHistory(np.zeros(before, np.int32), kind, step, wall_time, histories))[-1]) + 1


def _late_files(history: RunHistory) -> Iterator[int]:
    """Yield the first row of each file that begins after everything in earlier ones was written."""
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
    """Return when a file began, at the latest: TensorFlow gives its first event the second, without the fraction."""
    if wall_time % 1:
        return wall_time
    return min(wall_time + 1, float(later[0]) if len(later) else math.inf)


def _marked_starts(history: RunHistory) -> Iterator[int]:
    """Yield the row before which each session starts that is marked, without those that are marked again."""
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
    """Yield each file, and whether marks tell of its restarts."""
    version = None
    for file in history.files:
        version = version if file.version is None else file.version
        yield file, version is not None and version >= _VERSION_WITH_MARKS


def _purged_by_marks(history: RunHistory) -> npt.NDArray[np.bool_]:
    """Tell which rows the start of a session drops."""
    purged = np.zeros(len(history.tag), np.bool_)
    # The step of a start, at the last row that it may drop.
    limits = np.full(len(history.tag), _END)
    end = 0
    for file, has_marks in _versions(history):
        for mark in file.marks if has_marks else ():
            if mark.is_start and file.row + mark.row:
                end = file.row + mark.row
                limits[end - 1] = min(limits[end - 1], mark.step)
    purged[:end] = history.step[:end] >= _least_from(limits[:end])
    return purged


def _purged_by_steps(history: RunHistory, can_go: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell which rows an event drops whose step is smaller than the latest, in files without marks of restarts."""
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
    """Tell which of the old rows are of a summary whose step is smaller than the latest.

    The latest step is the largest so far, but an event without a summary sets it to its own, back as well: the event
    with the version, which every file begins with, and graphs. It starts from -1.
    """
    rows = np.flatnonzero(is_old)
    before = np.concatenate([[0], np.cumsum(is_old)])
    # Events without rows: before which of the old rows, their step, and whether they set the latest.
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
    # A stretch begins where the latest step is set; in the keys, stretches are apart, and none reaches into the next.
    key, _ = _keys(np.cumsum(is_set), step)
    latest = np.maximum.accumulate(key)
    is_back = np.concatenate([[False], key[1:] < latest[:-1]])
    goes_back = np.zeros(len(is_old), np.bool_)
    goes_back[rows] = is_back[is_row]
    return goes_back


def _events(history: RunHistory) -> npt.NDArray[np.int64]:
    """Number the events that the rows are of: those that stand together with one step and one wall time."""
    begins = np.ones(len(history.tag), np.bool_)
    bits = history.wall_time.view(np.int64)  # NaN is one wall time as well
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
    """Tell which rows have a later row of the same tag whose step is not larger.

    Later rows count where ``by`` is true, and where ``event`` is another than the row's own.
    """
    size = len(tag)
    if not size:
        return np.zeros(0, np.bool_)
    # Numbers of 16 bits are sorted by their digits, ten times as fast.
    narrow = tag.astype(np.uint16) if int(tag.max()) <= np.iinfo(np.uint16).max else tag
    order = np.argsort(narrow, kind="stable")
    key, span = _keys(tag[order], step[order])
    limit = key
    if by is not None:  # a row that does not count is given the first key behind those of its tag
        limit = np.where(by[order], key, (tag[order].astype(np.int64) + 1) * span)
    least = np.append(_least_from(limit), _END)  # of the tag's rest: the keys of other tags behind it are larger
    following = np.arange(1, size + 1)
    if event is not None:
        changes = np.flatnonzero(np.diff(event[order])) + 1
        ends = np.append(changes, size)
        following = np.repeat(ends, np.diff(ends, prepend=0))
    overtaken = np.empty(size, np.bool_)
    overtaken[order] = key >= least[following]
    return overtaken


def _keys(group: npt.NDArray[np.integer], step: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """Return numbers that compare as (group, step) do, and how far the groups are apart: group g is from g times that.

    So a running minimum or maximum over all groups at once begins anew at each. Groups count from 0.
    """
    low = int(step.min())
    span = int(step.max()) - low + 1
    if (int(group.max()) + 1) * span > _END:  # where the steps lie far apart, their ranks do
        distinct, step = np.unique(step, return_inverse=True)
        low, span = 0, len(distinct)
    return group.astype(np.int64) * span + (step - low), span


def _least_from(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each position the least of the numbers from there to the end."""
    return np.minimum.accumulate(numbers[::-1])[::-1]
