"""Logs that grow: the bytes that writers append one after the other, cut anywhere, and the tables at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from event_files import (
    event,
    event_file,
    file_name,
    file_version,
    flip,
    frames,
    histogram,
    hparams_end,
    hparams_start,
    image,
    legacy_histogram,
    metadata,
    records,
    scalar,
    simple_value,
    tensor,
    tensor_of,
    text,
)
from tables import read_tree

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from event_files import AnyEvent


@dataclass(frozen=True)
class GrowingLog:
    """What is appended to a log's files, in the order of time."""

    #: Paths of files below the log directory, each with the bytes that are appended to it.
    writes: list[tuple[str, bytes]]
    #: Arguments of ``tb2csv.convert``.
    options: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of bytes that are appended."""
        return sum(len(data) for _, data in self.writes)

    def first(self, size: int) -> Iterator[tuple[str, bytes]]:
        """Yield what is appended, up to a number of bytes."""
        for path, data in self.writes:
            if size > 0:
                yield path, data[:size]
            size -= len(data)

    def write(self, folder: Path, start: int, stop: int) -> None:
        """Append the bytes from ``start`` to ``stop`` of all that is appended, below a folder."""
        before = 0
        for path, data in self.writes:
            low, high = max(start - before, 0), min(stop - before, len(data))
            if low < high or (not data and start <= before <= stop):
                place = folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("ab") as file:
                    file.write(data[low:high])
            before += len(data)


def convert_cut(log: GrowingLog, cuts: list[int], folder: Path) -> Path:
    """Convert a log each time that it has grown to a cut, and once when it is whole; return the output folder."""
    logdir, out = folder / "log", folder / "out"
    logdir.mkdir(parents=True)
    written = 0
    for cut in [*cuts, len(log)]:
        log.write(logdir, written, cut)
        written = cut
        try:
            tb2csv.convert(logdir, out, **log.options)
        except tb2csv.Tb2csvError:
            if cut == len(log):  # before the end, there may be nothing to convert
                raise
    return out


def tables_at_once(log: GrowingLog, folder: Path) -> dict[str, bytes]:
    """Return all files of one conversion of the whole log."""
    return read_tree(convert_cut(log, [], folder))


LOGS: Final[dict[str, Callable[[], GrowingLog]]] = {}


def growing_log(make: Callable[[], GrowingLog]) -> Callable[[], GrowingLog]:
    """Add a log under the name of its function."""
    LOGS[make.__name__] = make
    return make


def of_events(*events: AnyEvent, options: Mapping[str, Any] | None = None) -> GrowingLog:
    """Return a log of one file."""
    return GrowingLog([(f"run/{file_name()}", event_file(events, wall_time=1.0))], options or {})


def losses(start: int, stop: int, tag: str = "loss", wall_time: float = 1.5) -> list[AnyEvent]:
    return [event(simple_value(tag, step / 8), step=step, wall_time=wall_time + step) for step in range(start, stop)]


def _flight(content: bytes) -> Any:
    return tensor("route", np.float32([1]), "flight", content=content)


def _of_every_kind() -> list[AnyEvent]:
    undecodable = tensor_of("DT_FLOAT", (3,), tensor_content=b"12345678")
    return [
        event(hparams_start({"lr": 0.5, "deep": True}, start=2.0), wall_time=2.0),
        event(simple_value("loss", 0.5), scalar("accuracy", 0.25, "float64"), step=1, wall_time=2.5),
        event(histogram("weights", [[0, 1, 2], [1, 2, 3]]), step=1, wall_time=2.5),
        event(legacy_histogram("old", [1, 2], [3, 4], min=0.5, max=2, num=7, sum=9, sum_squares=11), step=1),
        event(text("note", ["=1+2", 'a "quoted"\nline']), step=1, wall_time=2.75),
        event(image("picture", 2, 3, b"\x89PNG one", b"two"), step=1, wall_time=3.0),
        event(tensor("matrix", np.float32([[1, 2], [3, np.nan]])), _flight(b"a"), step=1, wall_time=3.0),
        event(graph_def=b"\x0a\x05\x0a\x03abc", wall_time=3.25),
        event(session_log={"status": 1}, step=2, wall_time=3.5),
        event(scalar("accuracy", np.inf, "float64"), _flight(b"b"), tensor("matrix", undecodable), step=2, wall_time=4),
        event(simple_value("loss", 0.25), simple_value("accuracy", 1), step=2, wall_time=4.0),
        event(tensor("matrix", np.float32([[5, 6], [7, 8]])), image("picture", 2, 3, b"three"), step=3, wall_time=5.0),
        event(hparams_end(end=6.0), wall_time=6.0),
    ]


@growing_log
def one_run_of_every_kind() -> GrowingLog:
    return of_events(*_of_every_kind())


def _with_options(name: str, **options: Any) -> None:
    LOGS[f"every_kind_with_{name}"] = partial(of_events, *_of_every_kind(), options=options)


_with_options("several_time_columns", time=("epoch", "iso", "relative"))
_with_options("relative_times_of_tags", time=("relative",), relative_to="first-step")
_with_options("escaped_formulas", escape_formulas=True)
_with_options("jsonl", format="jsonl")
_with_options("jsonl_null", format="jsonl-null")
_with_options("chosen_kinds", kind=("scalars", "histograms"))
_with_options("chosen_tags", tag="loss")
_with_options("left_out_tags", exclude_tag=("loss", "matrix"))
_with_options("npy", tensors="npy")
_with_options("wide_tensors", tensors="wide")
_with_options("base64", tensors="base64")
_with_options("tables_of_tags", layout="tags")
_with_options("wide_tables", layout="wide")
_with_options("long_tables", layout="long")
_with_options("parquet", format="parquet")
_with_options("gzip", format="csv.gz")
_with_options("the_header_of_tensorboard", header="tensorboard")
_with_options("small_chunks", chunk_size=64)


@growing_log
def two_files_of_a_run() -> GrowingLog:
    """The first one grows after the second has appeared."""
    first, second = event_file(losses(0, 4), wall_time=1.0), event_file(losses(4, 7), wall_time=9.0)
    half = records(first)[3].start
    names = [f"run/{file_name(number)}" for number in range(2)]
    return GrowingLog(
        [(names[0], first[:half]), (names[1], second[:60]), (names[0], first[half:]), (names[1], second[60:])]
    )


@growing_log
def a_second_file_with_an_earlier_time() -> GrowingLog:
    first, second = event_file(losses(4, 7), wall_time=9.0), event_file(losses(0, 3), wall_time=1.0)
    return GrowingLog([(f"run/{file_name(0)}", first), (f"run/{file_name(1)}", second)])


@growing_log
def empty_files_that_get_a_first_event() -> GrowingLog:
    files = [event_file(losses(4, 6), wall_time=9.0), event_file(losses(0, 2), wall_time=1.0)]
    names = [f"run/{file_name(number)}" for number in range(3)]
    return GrowingLog(
        [(names[0], b""), (names[1], files[0]), (names[2], b""), (names[0], files[1]), (names[2], files[0])]
    )


@growing_log
def three_files_that_follow_one_another() -> GrowingLog:
    return GrowingLog(
        [
            (f"run/{file_name(number)}", event_file(losses(3 * number, 3 * number + 3), wall_time=1.0 + number * 10))
            for number in range(3)
        ]
    )


@growing_log
def a_file_without_its_first_event() -> GrowingLog:
    """The order of the files depends on the first value."""
    first, second = frames(losses(4, 6)), event_file(losses(0, 2), wall_time=3.0)
    return GrowingLog([(f"run/{file_name(0)}", first), (f"run/{file_name(1)}", second)])


@growing_log
def a_copy_of_a_growing_file() -> GrowingLog:
    data = event_file(losses(0, 5), wall_time=1.0)
    name, half = f"run/{file_name()}", records(data)[3].start
    return GrowingLog([(name, data[:half]), (f"{name} (1)", data[:half]), (name, data[half:])])


@growing_log
def a_copy_that_differs_at_its_end() -> GrowingLog:
    data = event_file(losses(0, 4), wall_time=1.0)
    other = event_file([*losses(0, 2), *losses(7, 9)], wall_time=1.0)
    name = f"run/{file_name()}"
    return GrowingLog([(name, data), (f"{name}.bak", other)])


@growing_log
def a_file_that_is_not_an_event_file() -> GrowingLog:
    return GrowingLog(
        [(f"run/{file_name()}", event_file(losses(0, 2))), (f"run/{file_name(1)}", b"PK\x03\x04" + bytes(80))]
    )


@growing_log
def text_under_the_name_of_an_event_file() -> GrowingLog:
    return GrowingLog([(f"a/{file_name()}", b"not events, but a line of text\n" * 3), (f"b/{file_name()}", _small())])


def _small() -> bytes:
    return event_file(losses(0, 3), wall_time=1.0)


@growing_log
def new_runs() -> GrowingLog:
    return GrowingLog([(f"{run}/{file_name()}", _small()) for run in ("b", "a", "c/d", "A")])


@growing_log
def runs_whose_folders_clash() -> GrowingLog:
    return GrowingLog([(f"{run}/{file_name()}", _small()) for run in ("Run", "run", "run:", "run?")])


@growing_log
def a_run_in_the_log_directory() -> GrowingLog:
    return GrowingLog([(file_name(), _small()), (f"train/{file_name()}", _small())])


@growing_log
def tags_that_change_their_type() -> GrowingLog:
    return of_events(
        event(scalar("x", 1), step=0, wall_time=2.0),
        event(scalar("x", 2, "int32"), tensor("x", np.float64([1, 2])), step=1, wall_time=3.0),
        event(scalar("x", 3, "int32"), step=2, wall_time=4.0),
        event(text("x", "four"), scalar("X", 3), step=3, wall_time=4.0),
        event(scalar("x", 5), scalar("x ", 3), step=4, wall_time=5.0),
    )


@growing_log
def metadata_in_later_values_only() -> GrowingLog:
    bare = tensor("x", np.float32(1), None)
    named = tensor("x", np.float32(2), "scalars", display_name="The x", description="d")
    late = simple_value("loss", 2)
    late.metadata.CopyFrom(metadata("scalars", b"new", "Loss"))
    return of_events(
        event(bare, simple_value("loss", 1), step=0, wall_time=2.0),
        event(named, late, step=1, wall_time=3.0),
        event(bare, simple_value("loss", 3), step=2, wall_time=4.0),
    )


@growing_log
def metadata_in_the_first_file_only() -> GrowingLog:
    first = event_file([event(scalar("x", 1), text("t", "a"), step=0, wall_time=2.0)], wall_time=1.0)
    later = [tensor("x", np.float32(2), None), tensor("t", np.array("b", object), None)]
    second = event_file([event(*later, step=1, wall_time=12.0)], wall_time=11.0)
    return GrowingLog([(f"run/{file_name(0)}", first), (f"run/{file_name(1)}", second)])


@growing_log
def steps_and_sessions_that_repeat() -> GrowingLog:
    first = event_file(
        [*losses(0, 3), *losses(1, 4), event(session_log={"status": 1}, step=2, wall_time=6), *losses(2, 4)]
    )
    return GrowingLog([(f"run/{file_name(0)}", first), (f"run/{file_name(1)}", event_file(losses(2, 5), wall_time=99))])


@growing_log
def trials_with_metrics() -> GrowingLog:
    """Metrics of later trials, a placeholder, and metrics in a run below."""
    writes = []
    for number, run in enumerate(("trial", "trial/validation", "other")):
        start = [event(hparams_start({"lr": number / 2, f"only {number}": "x"}), wall_time=1.0)] if number != 1 else []
        values = [event(scalar("hp_metric", -1), wall_time=1.5), *losses(0, 2 + number)]
        end = [event(scalar("loss", float("nan")), scalar("hp_metric", -1), step=9, wall_time=20.0)]
        end += [event(scalar("loss", 9, "int64"), step=10, wall_time=21.0), event(hparams_end(), wall_time=22.0)]
        writes.append((f"{run}/{file_name()}", event_file([*start, *values, *end], wall_time=1.0)))
    return GrowingLog(writes)


@growing_log
def sub_runs_of_add_scalars() -> GrowingLog:
    return GrowingLog([(f"run/{tag}/{file_name()}", event_file(losses(0, 2, tag))) for tag in ("rate_a", "rate_b")])


@growing_log
def merged_sub_runs() -> GrowingLog:
    return GrowingLog(sub_runs_of_add_scalars().writes, {"merge_subruns": True})


@growing_log
def selected_rows() -> GrowingLog:
    return GrowingLog(steps_and_sessions_that_repeat().writes, {"rows": tb2csv.RowSelection(every=2, sessions=True)})


# Damage: each of these is a log for each record.


def damaged_logs() -> dict[str, GrowingLog]:
    """Return logs of a few records, of which one is damaged in some way."""
    data = event_file(losses(0, 4), wall_time=1.0)
    found = {}
    for number, record in enumerate(records(data)):
        for name, place in (
            ("length", record.start),
            ("length_crc", record.start + 8),
            ("payload", record.payload_start + 1),
            ("payload_crc", record.payload_stop),
        ):
            found[f"{name}_of_record_{number}"] = flip(data, place, 0x11)
        cut = data[: record.start + 20] + data[record.start :]
        found[f"cut_record_{number}_before_it_is_written_again"] = cut
        found[f"head_cut_in_record_{number}"] = data[: record.start + 5] + data[record.start :]
    found["zeros_at_the_end"] = data + bytes(40)
    found["zeros_before_more_records"] = data + bytes(50) + frames(losses(4, 6))
    found["two_files_in_one"] = data[:-7] + data
    found["a_frame_in_a_payload"] = flip(
        event_file([*losses(0, 1), event(text("t", data[-60:]), step=1, wall_time=3.0), *losses(2, 3)]), 140, 0x11
    )
    name = f"run/{file_name()}"
    logs = {what: GrowingLog([(name, content)]) for what, content in found.items()}
    damaged, second = flip(data, records(data)[2].start, 0x11), event_file(losses(4, 6), wall_time=9.0)
    logs["a_damaged_first_of_two_files"] = GrowingLog([(name, damaged), (f"run/{file_name(1)}", second)])
    return logs


LOGS.update({name: partial(GrowingLog, log.writes) for name, log in damaged_logs().items()})
