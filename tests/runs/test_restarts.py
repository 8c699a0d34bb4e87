"""Restarts: which rows the policies keep, and at which rows sessions begin; test_against_… have other readers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from event_files import (
    event,
    event_file,
    field,
    file_name,
    file_version,
    frames,
    number_field,
    simple_value,
    with_length_crc_broken,
    write_run,
)
from histories import scan_run
from hypothesis import example, given
from hypothesis import strategies as st
from reading import MemorySource, read
from tensorboard.compat.proto.event_pb2 import LogMessage, SessionLog
from tensorboardX import SummaryWriter

from tb2csv.event_files.event_file import EventFileReader, first_event
from tb2csv.event_files.scanners import SCANNERS
from tb2csv.event_files.values import SessionMark, ValueKind
from tb2csv.runs.brief_history import BriefHistory
from tb2csv.runs.restarts import (
    RESTART_POLICIES,
    FileHistory,
    RunHistory,
    keep,
    purge,
    sessions,
    supersede,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SAMPLE_LOGS = Path(__file__).parents[2] / "sample_logs"

#: Marks as scanners make them: (row, step) of a start.
Start = tuple[int, int]


def start(step: int = 0, **fields: Any) -> Any:
    return event(step=step, session_log=SessionLog(status=SessionLog.START), **fields)


def history(
    steps: Sequence[int],
    *files: FileHistory,
    tags: Sequence[int] | None = None,
    kinds: Sequence[ValueKind] | None = None,
    wall_times: Sequence[float] | None = None,
) -> RunHistory:
    """Return a history of one tag and one file of version 2, and a second for each value, unless given otherwise."""
    size = len(steps)
    return RunHistory(
        np.array([0] * size if tags is None else tags, np.int32),
        np.array([ValueKind.SIMPLE_VALUE] * size if kinds is None else kinds, np.int8),
        np.array(steps, np.int64),
        np.array(range(1, size + 1) if wall_times is None else wall_times, np.float64),
        files or (file(),),
    )


def file(
    row: int = 0, *starts: Start, wall_time: float = 0.5, version: float | None = 2.0, marks: Sequence[SessionMark] = ()
) -> FileHistory:
    made = [SessionMark(place, step, is_start=True, has_summary=False) for place, step in starts]
    return FileHistory(row, wall_time, 0, version, [*made, *marks])


def rows(kept: np.ndarray[Any, Any]) -> list[int]:
    return np.flatnonzero(kept).tolist()


# The cases in which the readers differ: how many rows each keeps


def _write(folder: Path, steps: Sequence[int | None], number: int = 0, **options: Any) -> None:
    # tensorboardX names files by the second: the suffix keeps those of one second apart.
    with SummaryWriter(str(folder), filename_suffix=f".{number}", **options) as writer:
        for step in steps:
            writer.add_scalar("loss", float(step or 0), step)


def without_purge_step(folder: Path) -> None:
    _write(folder, range(10))
    _write(folder, range(5, 8), 1)


def with_purge_step(folder: Path) -> None:
    _write(folder, range(10))
    _write(folder, range(5, 8), 1, purge_step=5)


def repeated_steps(folder: Path) -> None:
    _write(folder, [number % 10 for number in range(30)])


def no_steps(folder: Path) -> None:
    _write(folder, [None] * 50)


@pytest.mark.usefixtures("scanner")
@pytest.mark.parametrize(
    ("write", "all_rows", "purged", "superseded", "in_sessions"),
    [
        (without_purge_step, 13, 13, 8, [10, 3]),
        (with_purge_step, 13, 8, 8, [10, 3]),
        (repeated_steps, 30, 30, 10, [30]),
        (no_steps, 50, 50, 1, [50]),
    ],
)
def test_readers_keep_different_rows_of_a_restart(
    write: Callable[[Path], None],
    all_rows: int,
    purged: int,
    superseded: int,
    in_sessions: list[int],
    tmp_path: Path,
) -> None:
    write(tmp_path)
    run, _ = scan_run(tmp_path)
    counts = {name: int(policy(run).sum()) for name, policy in RESTART_POLICIES.items()}
    assert counts == {"keep": all_rows, "purge": purged, "supersede": superseded}
    assert np.bincount(sessions(run)).tolist() == in_sessions


# Policies


def test_keep_leaves_every_row() -> None:
    assert rows(keep(history([3, 1, 2]))) == [0, 1, 2]


def test_no_values_give_no_rows() -> None:
    empty = history([], file(0, (0, 5)), file(0, version=1.0))
    assert [policy(empty).tolist() for policy in RESTART_POLICIES.values()] == [[], [], []]
    assert sessions(empty).tolist() == []
    assert rows(purge(history([], FileHistory(0, math.inf, 0, None, ())))) == []


def test_a_start_purges_earlier_rows_from_its_step_on() -> None:
    assert rows(purge(history([0, 1, 2, 3, 2, 3], file(0, (4, 2))))) == [0, 1, 4, 5]


def test_a_start_purges_rows_of_all_tags_and_all_files() -> None:
    run = history([0, 1, 5, 1, 7], file(), file(2), file(3, (0, 1)), tags=[0, 0, 1, 0, 1])
    assert rows(purge(run)) == [0, 3, 4]


def test_each_of_several_starts_purges() -> None:
    run = history([0, 5, 9, 6, 3, 4, 8], file(0, (0, 0), (3, 9), (5, 4), (7, 8)))
    assert rows(purge(run)) == [0, 4, 5]


def test_a_mark_that_is_not_a_start_purges_nothing() -> None:
    stop = SessionMark(3, 0, is_start=False, has_summary=False)
    largest = np.iinfo(np.int64).max
    assert rows(purge(history([0, 1, largest, 0], file(marks=[stop])))) == [0, 1, 2, 3]
    assert rows(purge(history([0, largest, 1, 0], file(0, (1, 0), marks=[stop])))) == [1, 2, 3]


def test_a_start_purges_only_values_that_are_not_tensors() -> None:
    kinds = list(ValueKind)
    kept = purge(history([9] * len(kinds), file(0, (len(kinds), 0)), kinds=kinds))
    purged = {kind for kind, is_kept in zip(kinds, kept, strict=True) if not is_kept}
    assert purged == {ValueKind.SIMPLE_VALUE, ValueKind.HISTO, ValueKind.IMAGE, ValueKind.AUDIO}


def test_a_tensor_that_steps_back_purges_its_tag() -> None:
    kinds = [ValueKind.SIMPLE_VALUE, ValueKind.SCALAR_TENSOR, ValueKind.SCALAR_TENSOR, ValueKind.NONE]
    assert rows(purge(history([5, 6, 5, 0], file(version=1.0), kinds=kinds, tags=[0, 1, 1, 0]))) == [1, 2, 3]


@pytest.mark.parametrize("version", [None, -1.0, 0.0, 1.0, math.nan])
def test_in_an_old_file_a_step_back_purges_its_tag(version: float | None) -> None:
    run = history([0, 1, 2, 2, 1, 2], file(0, (3, 0), version=version), tags=[0, 0, 0, 1, 0, 0])
    # The start does not count here except for its step, and the step back for the tag 0 alone.
    assert rows(purge(run)) == [0, 3, 4, 5]


def test_the_version_lasts_until_a_file_has_another() -> None:
    steps = [5, 1, 5, 2]
    assert rows(purge(history(steps, file(0, version=1.0), file(2, version=None)))) == [1, 3]
    assert rows(purge(history(steps, file(0, version=2.0), file(2, version=None)))) == [0, 1, 2, 3]
    assert rows(purge(history(steps, file(0, version=2.0), file(2, version=1.0)))) == [1, 3]


def test_values_of_one_event_do_not_purge_one_another() -> None:
    run = history([5, 1, 1], file(version=1.0), wall_times=[1, 2, 2])
    assert rows(purge(run)) == [1, 2]
    assert rows(purge(run._replace(wall_time=np.array([1.0, math.nan, math.nan])))) == [1, 2]
    assert rows(purge(run._replace(wall_time=np.array([1.0, 2.0, 3.0])))) == [2]


def test_supersede_replaces_rows_of_the_same_tag() -> None:
    assert rows(supersede(history([0, 1, 2, 1, 0, 2], tags=[0, 0, 0, 0, 1, 0]))) == [0, 3, 4, 5]


def test_meta_graphs_neither_supersede_nor_are_superseded() -> None:
    kinds = [
        ValueKind.NONE,
        ValueKind.META_GRAPH_DEF,
        ValueKind.HISTO,
        ValueKind.META_GRAPH_DEF,
        ValueKind.META_GRAPH_DEF,
    ]
    assert rows(supersede(history([5, 5, 5, 4, 3], kinds=kinds))) == [1, 2, 3, 4]


def _superseded_one_by_one(steps: list[int], tags: list[int]) -> list[int]:
    kept: list[int] = []
    for row, (step, tag) in enumerate(zip(steps, tags, strict=True)):
        kept = [each for each in kept if tags[each] != tag or steps[each] < step]
        kept.append(row)
    return sorted(kept)


_STEPS = st.one_of(st.integers(-3, 9), st.sampled_from([-(2**63), -(2**62), 2**40, 2**62, 2**63 - 1]))


@given(st.lists(st.tuples(_STEPS, st.sampled_from([0, 1, 2, 65_535, 65_536])), max_size=30))
@example([(2**63 - 1, 0), (-(2**63), 65_536), (2**63 - 1, 65_536)])
def test_supersede_equals_a_loop_over_rows(values: list[tuple[int, int]]) -> None:
    steps, tags = [step for step, _ in values], [tag for _, tag in values]
    assert rows(supersede(history(steps, tags=tags))) == _superseded_one_by_one(steps, tags)


# Sessions


def test_one_file_is_one_session_however_its_steps_go() -> None:
    assert sessions(history([0, 1, 0, 5, 2])).tolist() == [0] * 5


def test_sessions_begin_at_starts() -> None:
    assert sessions(history([0, 1, 1, 2, 0], file(0, (2, 1), (4, 0)))).tolist() == [0, 0, 1, 1, 2]


def test_a_start_before_all_values_begins_the_first_session() -> None:
    assert sessions(history([0, 1], file(0, (0, 0)))).tolist() == [0, 0]


def test_a_graph_does_not_end_a_session() -> None:
    kinds = [ValueKind.GRAPH_DEF, ValueKind.META_GRAPH_DEF, ValueKind.HISTO, ValueKind.GRAPH_DEF, ValueKind.HISTO]
    run = history([0, 0, 1, 0, 1], file(0, (2, 0)), file(3, (1, 1), wall_time=3.5), kinds=kinds)
    assert sessions(run).tolist() == [0, 0, 0, 1, 1]


def test_consecutive_files_are_sessions_and_concurrent_files_are_not() -> None:
    def of(*begins: float) -> list[int]:
        files = [file(2 * number, wall_time=begin) for number, begin in enumerate(begins)]
        wall_times = [number + 0.5 for number in range(2 * len(begins))]
        return sessions(history([0] * len(wall_times), *files, wall_times=wall_times)).tolist()

    assert of(0.25, 1.75, 3.75) == [0, 0, 1, 1, 2, 2]
    assert of(0.25, 1.5, 3.25) == [0, 0, 1, 1, 1, 1]
    assert of(0.25, 1.25, 3.75) == [0, 0, 0, 0, 1, 1]


def test_the_last_time_of_all_earlier_files_counts() -> None:
    files = [file(0, wall_time=0.25), file(1, wall_time=0.75), file(2, wall_time=2.25)]
    assert sessions(history([0, 0, 0], *files, wall_times=[9.5, 1.5, 2.5])).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("first_value", "expected"), [(7.75, [0, 1]), (7.25, [0, 0]), (9.5, [0, 1])])
def test_tensorflow_gives_a_file_the_second_in_which_it_began(first_value: float, expected: list[int]) -> None:
    """A second fit of Keras in the same second: its file says 7.0, its values say that it came after 7.5."""
    run = history([0, 0], file(0, wall_time=3), file(1, wall_time=7), wall_times=[7.5, first_value])
    assert sessions(run).tolist() == expected


def test_two_ends_without_a_value_between_are_one() -> None:
    files = [file(), file(2, wall_time=9.5), file(2, (0, 1), (0, 1), wall_time=10.5)]
    assert sessions(history([0, 1, 1], *files)).tolist() == [0, 0, 1]


def test_a_start_marked_again_at_its_step_counts_once() -> None:
    """As two hooks of TensorFlow 1 that save summaries write it: start, a, start, b, then a and b."""
    assert sessions(history([1, 1, 2, 2], file(0, (0, 1), (1, 1)))).tolist() == [0, 0, 0, 0]
    assert sessions(history([1, 2, 2, 2], file(0, (0, 1), (2, 1)))).tolist() == [0, 0, 1, 1]
    assert sessions(history([1, 1, 2, 2], file(0, (0, 1), (1, 0)))).tolist() == [0, 1, 1, 1]


def test_a_start_in_the_next_file_is_another() -> None:
    files = [file(0, (0, 1)), file(1, (0, 1), wall_time=0.75)]
    assert sessions(history([1, 1], *files)).tolist() == [0, 1]


@pytest.mark.parametrize("unknown", [math.nan, math.inf, -math.inf])
def test_unknown_times_are_ignored(unknown: float) -> None:
    assert sessions(history([0, 0], file(), file(1, wall_time=unknown))).tolist() == [0, 0]
    files = [file(), file(2, wall_time=2.5)]
    assert sessions(history([0] * 4, *files, wall_times=[1, unknown, unknown, 4])).tolist() == [0, 0, 1, 1]
    files = [file(0, wall_time=unknown), file(1, wall_time=2.5)]
    assert sessions(history([0, 0], *files, wall_times=[unknown, unknown])).tolist() == [0, 0]


class _FilePlan(NamedTuple):
    begin: float
    wall_times: list[float]
    starts: list[Start]


_TIMES = st.one_of(st.sampled_from([0.0, 1.0, 2.0, 2.5]), st.floats())
_PLANS = st.builds(
    _FilePlan, _TIMES, st.lists(_TIMES, max_size=4), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)))
)


def laid_out(plans: list[_FilePlan]) -> tuple[list[FileHistory], list[float]]:
    """Return the files of a run, and the wall times of all their values."""
    files: list[FileHistory] = []
    wall_times: list[float] = []
    for plan in plans:
        starts = sorted((min(row, len(plan.wall_times)), step) for row, step in plan.starts)
        files.append(file(len(wall_times), *starts, wall_time=plan.begin))
        wall_times += plan.wall_times
    return files, wall_times


@given(st.lists(_PLANS, max_size=4))
def test_sessions_count_up_one_by_one_at_the_ends_that_there_are(plans: list[_FilePlan]) -> None:
    files, wall_times = laid_out(plans)
    run = history([0] * len(wall_times), *files, wall_times=wall_times)._replace(files=files)
    numbers = sessions(run)
    rises = np.diff(numbers, prepend=0)
    assert set(rises.tolist()) <= {0, 1}
    ends = {each.row for each in files} | {each.row + mark.row for each in files for mark in each.marks}
    assert set(rows(rises)) <= ends - {0}


@pytest.mark.slow
@given(st.lists(_PLANS, max_size=4), st.data(), st.integers(1, 5))
def test_a_few_rows_give_the_number_of_sessions(plans: list[_FilePlan], data: st.DataObject, chunk: int) -> None:
    files, wall_times = laid_out(plans)
    size = len(wall_times)
    steps = data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    kinds = data.draw(
        st.lists(st.sampled_from([ValueKind.SIMPLE_VALUE, ValueKind.GRAPH_DEF]), min_size=size, max_size=size)
    )
    run = history(steps, *files, kinds=kinds, wall_times=wall_times)._replace(files=files)
    brief = BriefHistory()
    for number, (each, stop) in enumerate(zip(files, run.stops(), strict=True)):
        for begin in range(each.row, stop, chunk):
            part = slice(begin, min(begin + chunk, stop))
            cuts = [mark.row + each.row - begin for mark in each.marks if begin <= mark.row + each.row < part.stop]
            used, schema = np.unique(run.kind[part], return_inverse=True)
            columns = schema.astype(np.int32), run.step[part], run.wall_time[part]
            brief.add(str(number), begin - each.row, columns, used, cuts)
    counted = sessions(run)
    expected = int(counted[-1]) + 1 if size else 0
    assert brief.session_count({str(number): each for number, each in enumerate(files)}) == expected


# From event files


def marks_of(data: bytes, scanner: str) -> list[SessionMark]:
    """Return the marks of a file, which are the same for every size of chunk."""
    found = [read(data, scanner, chunk_size=chunk_size).account.marks for chunk_size in (1 << 20, 64)]
    assert found[0] == found[1]
    return found[0]


def test_every_event_without_values_except_the_version_is_a_mark(scanner: str) -> None:
    empty = event(step=6)
    empty.summary.SetInParent()
    data = event_file(
        [
            start(4),
            event(simple_value("a", 1), simple_value("b", 1), step=5),
            event(step=1, session_log=SessionLog(status=SessionLog.STOP)),
            empty,
            event(graph_def=b"graph"),
            event(step=7, log_message=LogMessage(message="so")),
            event(step=8),
            file_version(),
            event(simple_value("a", 2)),
            start(9),
        ]
    )
    assert marks_of(data, scanner) == [
        SessionMark(0, 4, is_start=True, has_summary=False),
        SessionMark(2, 1, is_start=False, has_summary=False),
        SessionMark(2, 6, is_start=False, has_summary=True),
        SessionMark(3, 7, is_start=False, has_summary=False),
        SessionMark(3, 8, is_start=False, has_summary=False),
        SessionMark(3, 0, is_start=False, has_summary=False),
        SessionMark(4, 9, is_start=True, has_summary=False),
    ]


def test_a_first_event_that_lacks_the_version_is_a_mark(scanner: str) -> None:
    assert marks_of(frames([start(3)]), scanner) == [SessionMark(0, 3, is_start=True, has_summary=False)]
    assert marks_of(frames([event(step=3)]), scanner) == [SessionMark(0, 3, is_start=False, has_summary=False)]


def test_a_start_in_a_damaged_but_kept_record_counts(scanner: str) -> None:
    a, b = event(simple_value("a", 1)), event(simple_value("b", 1))
    damaged = with_length_crc_broken(event_file([a, start(4, wall_time=1.5), b]), 2)
    assert marks_of(damaged, scanner) == [SessionMark(1, 4, is_start=True, has_summary=False)]
    assert len(read(damaged, scanner).account.damage) == 1


def test_a_broken_session_log_starts_nothing(scanner: str) -> None:
    data = frames([file_version().SerializeToString(), number_field(2, 5) + field(7, b"\xff")])
    assert marks_of(data, scanner) == [SessionMark(0, 5, is_start=False, has_summary=False)]


def test_marks_of_what_is_read_later_count_on_from_what_was_read_before(scanner: str) -> None:
    first = event_file([event(simple_value("a", 1)), start(1)])
    whole = first + frames([event(simple_value("a", 1)), start(2)])
    schemas = SCANNERS[scanner].schema_table()
    chosen = SCANNERS[scanner]
    reader = EventFileReader(MemorySource(first), chosen, schemas)
    assert sum(len(block) for block in reader.blocks()) == 1
    later = EventFileReader(
        MemorySource(whole), SCANNERS[scanner], schemas, offset=reader.offset, account=reader.account
    )
    assert sum(len(block) for block in later.blocks()) == 1
    assert later.account.marks == marks_of(whole, scanner)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("brain.Event:2", 2.0),
        ("brain.Event:1", 1.0),
        ("brain.Event:2.5", 2.5),
        ("3", 3.0),
        ("brain.Event:two", -1.0),
        ("brain.Event:", -1.0),
    ],
)
def test_the_first_event_has_time_step_and_version(text: str, version: float) -> None:
    data = frames([event(step=4, wall_time=5.5, file_version=text), event(simple_value("a", 1))])
    assert first_event(MemorySource(data)) == (5.5, 4, version)


def test_a_first_event_without_a_version_keeps_its_time() -> None:
    data = frames([event(simple_value("a", 1), step=4, wall_time=5.5), file_version()])
    assert first_event(MemorySource(data)) == (5.5, 4, None)
    assert first_event(MemorySource(b"")) == (math.inf, 0, None)
    assert first_event(MemorySource(frames([event(wall_time=math.nan, file_version="2")]))) == (math.inf, 0, 2.0)
    assert first_event(MemorySource(frames([b"\xff"]))) == (math.inf, 0, None)


@pytest.mark.usefixtures("scanner")
@pytest.mark.parametrize(
    ("run", "starts", "first_rows"),
    [("restarted", 1, [0, 20]), ("tf1", 1, [0]), ("tf2", 0, [0]), ("keras/train", 0, [0]), ("torch", 0, [0])],
)
def test_sessions_of_real_logs_are_counted(run: str, starts: int, first_rows: list[int]) -> None:
    """The start in ``tf1`` comes after two graphs, and before all values."""
    scanned, _ = scan_run(SAMPLE_LOGS / run)
    assert sum(mark.is_start for each in scanned.files for mark in each.marks) == starts
    assert rows(np.diff(sessions(scanned), prepend=-1)) == first_rows


@pytest.mark.usefixtures("scanner")
def test_a_run_has_the_sessions_of_its_files(tmp_path: Path) -> None:
    def values(*steps: int) -> list[Any]:
        return [event(simple_value("a", step), step=step, wall_time=10.5 + step) for step in steps]

    write_run(tmp_path, start(0), *values(0, 1, 2, 3), wall_time=10.25)
    write_run(tmp_path, start(2), *values(2, 3), start(3), *values(3, 4), name=file_name(1), wall_time=14.25)
    for chunk_size in (1 << 20, 64):
        run, tags = scan_run(tmp_path, chunk_size=chunk_size)
        assert tags == ["a"]
        assert rows(purge(run)) == rows(supersede(run)) == [0, 1, 4, 6, 7]
        assert sessions(run).tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
