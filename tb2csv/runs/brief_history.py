"""The decisive rows of a run's history, which show the number of its sessions in little memory."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.late_modules import np
from tb2csv.runs.restarts import GRAPH_KINDS, FileHistory, RunHistory, sessions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt


class _Decisive(NamedTuple):
    """Rows of a file that decide the number of sessions: columns of one length."""

    #: The index of each value in the file.
    row: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int8]
    step: npt.NDArray[np.int64]
    wall_time: npt.NDArray[np.float64]


_DECISIVE_DTYPES: Final = ("int64", "int8", "int64", "float64")


def _no_rows() -> _Decisive:
    return _Decisive._make(np.empty(0, dtype) for dtype in _DECISIVE_DTYPES)


def _concatenated(parts: Sequence[_Decisive]) -> _Decisive:
    return _Decisive(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _decisive_rows(
    is_value: npt.NDArray[np.bool_] | None,
    step: npt.NDArray[np.int64],
    wall_time: npt.NDArray[np.float64],
    cuts: Sequence[int],
) -> npt.NDArray[np.int64]:
    """Return the decisive rows of a stretch that is cut into several.

    They are a value, if there is one; the first known wall time, and the latest; the maximum step. ``is_value`` is
    whether a row is a value; None if all are.
    """
    rows: set[int] = set()
    for start, stop in itertools.pairwise(sorted({0, *cuts, len(step)})):
        times = wall_time[start:stop]
        latest = int(times.argmax())  # of NaN, if there is one
        if math.isfinite(times[latest]) and math.isfinite(times[0]):
            known = [0, latest]
        else:
            is_known = np.isfinite(times)
            known = [int(is_known.argmax()), int(np.where(is_known, times, -math.inf).argmax())]
        first = 0 if is_value is None else int(is_value[start:stop].argmax())
        rows.update(start + row for row in (first, *known, int(step[start:stop].argmax())))
    return np.array(sorted(rows), np.int64)


def _are_values(kind: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
    """Return whether each of some kinds is that of a value, and not of a graph."""
    return ~np.isin(kind, GRAPH_KINDS)


class BriefHistory:
    """The rows of a run's history that decide the number of sessions: a few for each stretch of a file.

    It counts sessions in memory that does not grow with the number of values, but cannot return the session of a row.
    """

    def __init__(self) -> None:
        """Start without rows."""
        #: By the path of the file: its decisive rows, and their kinds, steps and wall times.
        self._columns: dict[str, list[_Decisive]] = {}
        #: By the path of the file: the rows that follow a mark.
        self._cuts: dict[str, list[int]] = {}

    def add(
        self,
        path: str,
        row: int,
        columns: tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.float64]],
        kinds: npt.NDArray[np.int8],
        cuts: Iterable[int],
    ) -> None:
        """Add a stretch of a file.

        Args:
            path: the path of the file.
            row: the index in the file of the first value of the stretch.
            columns: the number of the schema, the step and the wall time of each value.
            kinds: the kind of each schema, as in RunHistory.
            cuts: the rows of the stretch that follow a mark.
        """
        schema, step, wall_time = columns
        if not len(schema):
            return
        cuts = list(cuts)
        self._cuts.setdefault(path, []).extend(row + cut for cut in cuts)
        are_values = _are_values(kinds)
        rows = _decisive_rows(None if are_values.all() else are_values[schema], step, wall_time, cuts)
        cells = kinds[schema[rows]], step[rows], wall_time[rows]
        self._columns.setdefault(path, []).append(_Decisive(row + rows, *cells))

    def to_data(self) -> dict[str, list[list[Any]]]:
        """Return the decisive rows of each file as data for JSON, one list for each column, and the cuts."""
        data = {}
        for path in self._columns:
            whole = self._file(path)
            cuts = self._cuts[path]
            _, kind, step, wall_time = whole
            rows = _decisive_rows(_are_values(kind), step, wall_time, np.searchsorted(whole.row, cuts).tolist())
            data[path] = [*(column[rows].tolist() for column in whole), cuts]
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Sequence[Sequence[Any]]]) -> BriefHistory:
        """Return the history that ``to_data`` described. Raises ValueError if its columns differ in length."""
        history = cls()
        for path, (*columns, cuts) in data.items():
            if len(set(map(len, columns))) > 1:
                message = f"the columns of the history of {path} differ in length"
                raise ValueError(message)
            arrays = (np.array(column, dtype) for column, dtype in zip(columns, _DECISIVE_DTYPES, strict=True))
            history._columns[path] = [_Decisive._make(arrays)]
            history._cuts[path] = list(cuts)
        return history

    def session_count(self, files: Mapping[str, FileHistory]) -> int:
        """Return the number of sessions with values; ``files`` has all files of the run by path, in order."""
        histories: list[FileHistory] = []
        parts: list[_Decisive] = []
        before = 0
        for path, file in files.items():
            part = self._file(path) if path in self._columns else _no_rows()
            marks = [mark._replace(row=int(np.searchsorted(part.row, mark.row))) for mark in file.marks]
            histories.append(file._replace(row=before, marks=marks))
            parts.append(part)
            before += len(part.row)
        if not before:
            return 0
        _, kind, step, wall_time = _concatenated(parts)
        return int(sessions(RunHistory(np.zeros(before, np.int32), kind, step, wall_time, histories))[-1]) + 1

    def _file(self, path: str) -> _Decisive:
        parts = self._columns[path]
        if len(parts) > 1:
            parts[:] = [_concatenated(parts)]
        return parts[0]
