"""What may be in a log, and the tables that it becomes: each scenario is a log and its tables, written by hand.

A scenario knows nothing of how it is converted: test_scenarios.py puts every one through every scanner and every face.
Nothing expected here is computed with tb2csv. Numbers were worked out by hand or with numpy, and say so where it is not
plain. A scenario lists *all* files of the output but ``index.csv`` and ``datapackage.json``, which are checked against
that list; what a scenario gives for them is compared in full.
"""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from event_files import (
    AnyEvent,
    Value,
    audio,
    bare_scalar,
    custom_scalars,
    event,
    file_name,
    histogram,
    hparams_end,
    hparams_experiment,
    hparams_start,
    image,
    layout_value,
    legacy_audio,
    legacy_histogram,
    legacy_image,
    metadata,
    raw_event,
    raw_value,
    run_metadata,
    scalar,
    simple_value,
    string_tensor,
    tensor,
    tensor_of,
    text,
    torch_new_style,
)
from event_files import field as wire_field
from tensorboard.compat.proto.config_pb2 import RunMetadata
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.meta_graph_pb2 import MetaGraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.plugins.mesh.plugin_data_pb2 import MeshPluginData

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class EventFile(NamedTuple):
    """One of several files of a run: its name, the wall time of its first event, and its events."""

    name: str
    wall_time: float
    events: Sequence[AnyEvent]


class Undecodable(NamedTuple):
    """A table of payloads that could not be decoded: (wall time, step, payload). The reasons are prose: any will do."""

    rows: list[tuple[str, str, bytes]]


@dataclass(frozen=True)
class Scenario:
    """A log and its tables."""

    #: By run: the events of its one file, or its files.
    runs: Mapping[str, Sequence[AnyEvent] | Sequence[EventFile]]
    #: By path: a table's text, a stored file's bytes, or undecodable payloads.
    tables: Mapping[str, str | bytes | Undecodable]
    #: Arguments of ``tb2csv.convert`` and, by other names, of the command line.
    options: Mapping[str, Any] = field(default_factory=dict)
    #: values_read, values_written, values_filtered, values_undecodable.
    account: tuple[int, int, int, int] | None = None
    #: How many values hold nothing.
    empty: int = 0
    #: How many stretches of the event files are damaged.
    damaged: int = 0
    notes: int = 0


SCENARIOS: Final[dict[str, Callable[[], Scenario]]] = {}


def scenario(make: Callable[[], Scenario]) -> Callable[[], Scenario]:
    """Add a scenario under its function's name."""
    SCENARIOS[make.__name__] = make
    return make


def at(step: int, *values: Value, wall_time: float = 1.5, **fields: object) -> Any:
    """Return an event, at an arbitrary time if that does not matter."""
    return event(*values, step=step, wall_time=wall_time, **fields)


def table(header: str, *rows: str) -> str:
    """Return the text of a table."""
    return "".join(f"{line}\n" for line in (header, *rows))


def scalars(*rows: str) -> str:
    """Return the text of a table of scalars."""
    return table("wall_time,step,value", *rows)


#: What every table of trials begins with.
TRIAL = "run,session_group,status,start_time,end_time"
#: The cells of a metric that a trial has not.
NO_METRIC = ",,,,"


def metric(name: str) -> str:
    """Return the columns of a metric: its last value, the minimum and the maximum with their steps."""
    return f"{name},{name}:min,{name}:min_step,{name}:max,{name}:max_step"


def once(value: str, step: int) -> str:
    """Return the cells of a metric that was written once."""
    return f"{value},{value},{step},{value},{step}"


def base64_of(data: bytes) -> str:
    """Return bytes as a cell holds them."""
    return base64.b64encode(data).decode()


# Scalars


@scenario
def scalars_of_tensorflow_2() -> Scenario:
    return Scenario(
        {
            "train": [
                at(0, scalar("loss", 0.5), wall_time=1_700_000_000.25),
                at(0, scalar("accuracy", 0.1), wall_time=1_700_000_000.5),
                at(1, scalar("loss", 16_777_216), wall_time=1_700_000_001.0),
                at(2, scalar("loss", -1e-10), wall_time=1_700_000_002.000_001),
            ],
            "validation": [at(2, scalar("loss", 3))],
        },
        {
            "train/scalars/loss.csv": scalars(
                "1700000000.25,0,0.5", "1700000001.0,1,16777216.0", "1700000002.000001,2,-1e-10"
            ),
            "train/scalars/accuracy.csv": scalars("1700000000.5,0,0.1"),
            "validation/scalars/loss.csv": scalars("1.5,2,3.0"),
        },
        account=(5, 5, 0, 0),
    )


@scenario
def many_values_in_one_event_of_tensorflow_1() -> Scenario:
    return Scenario(
        {
            ".": [
                at(1, simple_value("a", 1), simple_value("b/c", 2), simple_value("a", 3)),
                at(2, simple_value("b/c", 4), simple_value("a", 5)),
            ]
        },
        {
            "scalars/a.csv": scalars("1.5,1,1.0", "1.5,1,3.0", "1.5,2,5.0"),
            "scalars/b/c.csv": scalars("1.5,1,2.0", "1.5,2,4.0"),
        },
        account=(5, 5, 0, 0),
        notes=1,
    )


@scenario
def scalars_of_torch_without_a_shape() -> Scenario:
    return Scenario(
        {".": [at(1, torch_new_style("f", 0.1), torch_new_style("d", 0.1, double=True)), at(2, simple_value("f", 2))]},
        {"scalars/f.csv": scalars("1.5,1,0.1", "1.5,2,2.0"), "scalars/d.csv": scalars("1.5,1,0.1")},
    )


@scenario
def every_number_is_written_in_full() -> Scenario:
    """Each number is one that a narrower type, or fewer digits, would change."""
    return Scenario(
        {
            ".": [
                at(
                    1,
                    scalar("float32", 0.333_333_33),
                    scalar("float64", 1 / 3, "float64"),
                    scalar("int64", 2**53 + 1, "int64"),
                    scalar("uint64", 2**64 - 1, "uint64"),
                    scalar("int8", -128, "int8"),
                    scalar("bool", 1, "bool"),
                    scalar("float16", 0.1, "float16"),
                    tensor("bfloat16", tensor_of("DT_BFLOAT16", tensor_content=b"\xcd\x3d"), "scalars"),
                ),
                at(
                    2,
                    scalar("float64", 5e-324, "float64"),
                    scalar("int64", -(2**63), "int64"),
                    scalar("bool", 0, "bool"),
                ),
            ]
        },
        {
            "scalars/float32.csv": scalars("1.5,1,0.33333334"),
            "scalars/float64.csv": scalars("1.5,1,0.3333333333333333", "1.5,2,5e-324"),
            "scalars/int64.csv": scalars("1.5,1,9007199254740993", "1.5,2,-9223372036854775808"),
            "scalars/uint64.csv": scalars("1.5,1,18446744073709551615"),
            "scalars/int8.csv": scalars("1.5,1,-128"),
            "scalars/bool.csv": scalars("1.5,1,true", "1.5,2,false"),
            # The nearest float16 and bfloat16 to 0.1, as float32: 0.0999755859375 and 0.10009765625.
            "scalars/float16.csv": scalars("1.5,1,0.099975586"),
            "scalars/bfloat16.csv": scalars("1.5,1,0.100097656"),
        },
    )


@scenario
def numbers_that_are_none() -> Scenario:
    numbers = [float("nan"), float("inf"), float("-inf"), -0.0, 1e-45, 3.4028235e38]
    cells = ["NaN", "inf", "-inf", "-0.0", "1e-45", "3.4028235e+38"]
    return Scenario(
        {
            ".": [
                at(step, scalar("tensor", number), simple_value("legacy", number))
                for step, number in enumerate(numbers)
            ]
        },
        {
            "scalars/tensor.csv": scalars(*(f"1.5,{step},{cell}" for step, cell in enumerate(cells))),
            "scalars/legacy.csv": scalars(*(f"1.5,{step},{cell}" for step, cell in enumerate(cells))),
        },
    )


@scenario
def steps_beyond_32_bits_and_below_zero() -> Scenario:
    return Scenario(
        {".": [at(step, scalar("x", 1)) for step in (2**31, 2**40, 2**63 - 1, -1, -(2**63))]},
        {
            "scalars/x.csv": scalars(
                "1.5,2147483648,1.0",
                "1.5,1099511627776,1.0",
                "1.5,9223372036854775807,1.0",
                "1.5,-1,1.0",
                "1.5,-9223372036854775808,1.0",
            )
        },
        notes=1,
    )


@scenario
def steps_that_repeat_and_go_back_are_kept() -> Scenario:
    return Scenario(
        {".": [at(step, scalar("x", i), wall_time=9.0 - i) for i, step in enumerate((5, 5, 2, 7, 0))]},
        {"scalars/x.csv": scalars("9.0,5,0.0", "8.0,5,1.0", "7.0,2,2.0", "6.0,7,3.0", "5.0,0,4.0")},
        notes=2,
    )


@scenario
def a_restart_loses_nothing() -> Scenario:
    """A session's start with a step makes TensorBoard forget what came after that step; we do not."""
    return Scenario(
        {
            ".": [
                *(at(step, simple_value("x", step)) for step in range(3)),
                at(1, session_log={"status": 1}),
                *(at(step, simple_value("x", 10 + step)) for step in (1, 2)),
            ]
        },
        {"scalars/x.csv": scalars("1.5,0,0.0", "1.5,1,1.0", "1.5,2,2.0", "1.5,1,11.0", "1.5,2,12.0")},
        account=(5, 5, 0, 0),
        notes=1,
    )


@scenario
def node_name_instead_of_a_tag() -> Scenario:
    return Scenario(
        {".": [at(1, Value(node_name="old/loss", simple_value=1)), at(2, simple_value("old/loss", 2))]},
        {"scalars/old/loss.csv": scalars("1.5,1,1.0", "1.5,2,2.0")},
    )


# Metadata


@scenario
def metadata_is_remembered_within_a_file() -> Scenario:
    """TensorFlow 1 writes a tag's metadata with its first value only."""
    return Scenario(
        {
            ".": [
                at(1, text("note", "one"), histogram("h", [[0, 1, 2]]), scalar("s", 1)),
                at(2, tensor("note", string_tensor([b"two"], ()), None)),
                at(2, tensor("h", np.array([[1, 2, 3.0]]), None), bare_scalar("s", 2)),
            ]
        },
        {
            "text/note.csv": table("wall_time,step,text", "1.5,1,one", "1.5,2,two"),
            "histograms/h.csv": table(
                "wall_time,step,bucket,left,right,count", "1.5,1,0,0.0,1.0,2.0", "1.5,2,0,1.0,2.0,3.0"
            ),
            "scalars/s.csv": scalars("1.5,1,1.0", "1.5,2,2.0"),
        },
    )


@scenario
def metadata_is_remembered_from_file_to_file_of_a_run() -> Scenario:
    """A writer that was opened again may write none at all; another run's memory does not count."""
    return Scenario(
        {
            "a": [
                EventFile(file_name(0), 1.0, [at(1, text("note", "one"))]),
                EventFile(file_name(1), 2.0, [at(2, tensor("note", string_tensor([b"two"], ()), None))]),
            ],
            "b": [at(3, tensor("note", string_tensor([b"three"], ()), None))],
        },
        {
            "a/text/note.csv": table("wall_time,step,text", "1.5,1,one", "1.5,2,two"),
            "b/text/note.csv": table("wall_time,step,text", "1.5,3,three"),
        },
        notes=1,
    )


@scenario
def files_of_a_run_come_in_the_order_of_their_first_wall_times() -> Scenario:
    return Scenario(
        {
            "run": [
                EventFile("a.tfevents.1", 300.0, [at(5, scalar("x", 5), wall_time=301.0)]),
                EventFile("b.tfevents.2", 100.0, [at(1, scalar("x", 1), wall_time=101.0)]),
                EventFile("c.tfevents.3", 200.0, [at(3, scalar("x", 3), wall_time=50.0)]),
                EventFile("d.tfevents.4", 200.0, [at(4, scalar("x", 4), wall_time=49.0)]),
            ]
        },
        {"run/scalars/x.csv": scalars("101.0,1,1.0", "50.0,3,3.0", "49.0,4,4.0", "301.0,5,5.0")},
        notes=1,
    )


# Histograms

BUCKETS = "wall_time,step,bucket,left,right,count"
STATS = "wall_time,step,min,max,num,sum,sum_squares"


@scenario
def histograms_of_tensorflow_2() -> Scenario:
    return Scenario(
        {
            ".": [
                at(1, histogram("h", [[-1, 0, 2], [0, 0.1, 0], [0.1, 1, 3]])),
                at(2, histogram("constant", [[5, 5, 0], [5, 5, 0], [5, 5, 7]])),
                at(3, histogram("no_data", [[0, 0, 0], [0, 0, 0]])),
                at(4, histogram("no_buckets", [])),
                at(5, histogram("h", [[2, 4, 1]])),
            ]
        },
        {
            "histograms/h.csv": table(
                BUCKETS, "1.5,1,0,-1.0,0.0,2.0", "1.5,1,1,0.0,0.1,0.0", "1.5,1,2,0.1,1.0,3.0", "1.5,5,0,2.0,4.0,1.0"
            ),
            "histograms/constant.csv": table(
                BUCKETS, "1.5,2,0,5.0,5.0,0.0", "1.5,2,1,5.0,5.0,0.0", "1.5,2,2,5.0,5.0,7.0"
            ),
            "histograms/no_data.csv": table(BUCKETS, "1.5,3,0,0.0,0.0,0.0", "1.5,3,1,0.0,0.0,0.0"),
            "histograms/no_buckets.csv": table(BUCKETS),
        },
        account=(5, 5, 0, 0),
    )


@scenario
def histograms_of_the_other_writers() -> Scenario:
    """Only right edges are stored: an empty first bucket starts at its end, a filled one at the minimum value."""
    largest = 1.7976931348623157e308
    return Scenario(
        {
            "r": [
                at(
                    1,
                    legacy_histogram("h", [-1, 0, 0.5], [0, 2, 3], min=-0.75, max=0.25, num=5, sum=1, sum_squares=1.5),
                    legacy_histogram("filled", [-1, 1], [4, 1], min=-3, max=0.5, num=5, sum=-6, sum_squares=9),
                    legacy_histogram("one_bucket", [largest], [2], min=7, max=7, num=2, sum=14, sum_squares=98),
                    legacy_histogram("no_buckets", [], []),
                ),
                at(2, legacy_histogram("h", [2], [1], min=1.5, max=1.5, num=1, sum=1.5, sum_squares=2.25)),
            ]
        },
        {
            "r/histograms/h.csv": table(
                BUCKETS, "1.5,1,0,-1.0,-1.0,0.0", "1.5,1,1,-1.0,0.0,2.0", "1.5,1,2,0.0,0.5,3.0", "1.5,2,0,1.5,2.0,1.0"
            ),
            "r/histograms/h.stats.csv": table(STATS, "1.5,1,-0.75,0.25,5.0,1.0,1.5", "1.5,2,1.5,1.5,1.0,1.5,2.25"),
            "r/histograms/filled.csv": table(BUCKETS, "1.5,1,0,-3.0,-1.0,4.0", "1.5,1,1,-1.0,1.0,1.0"),
            "r/histograms/filled.stats.csv": table(STATS, "1.5,1,-3.0,0.5,5.0,-6.0,9.0"),
            "r/histograms/one_bucket.csv": table(BUCKETS, "1.5,1,0,7.0,1.7976931348623157e+308,2.0"),
            "r/histograms/one_bucket.stats.csv": table(STATS, "1.5,1,7.0,7.0,2.0,14.0,98.0"),
            "r/histograms/no_buckets.csv": table(BUCKETS),
            "r/histograms/no_buckets.stats.csv": table(STATS, "1.5,1,0.0,0.0,0.0,0.0,0.0"),
        },
        account=(5, 5, 0, 0),
    )


def _double(number: int, content: float) -> bytes:
    return bytes([number << 3 | 1]) + struct.pack("<d", content)


@scenario
def histograms_that_are_stored_number_by_number() -> Scenario:
    """A repeated field may be any mixture of packed runs and single numbers."""
    singly = b"".join([_double(6, 1), _double(6, 2), _double(7, 3), _double(7, 4), _double(2, 2)])
    mixed = b"".join(
        [
            wire_field(6, struct.pack("<2d", 1, 2)),
            _double(6, 3),
            _double(7, 4),
            wire_field(7, struct.pack("<2d", 5, 6)),
        ]
    )
    half = b"".join([wire_field(6, struct.pack("<2d", 1, 2)), _double(7, 4), _double(7, 5)])
    return Scenario(
        {
            ".": [
                raw_event(raw_value(b"singly", wire_field(5, singly)), wall_time=1.5),
                raw_event(raw_value(b"mixed", wire_field(5, mixed)), wall_time=1.5),
                raw_event(raw_value(b"half", wire_field(5, half)), wall_time=1.5),
            ]
        },
        {
            "histograms/singly.csv": table(BUCKETS, "1.5,0,0,0.0,1.0,3.0", "1.5,0,1,1.0,2.0,4.0"),
            "histograms/singly.stats.csv": table(STATS, "1.5,0,0.0,2.0,0.0,0.0,0.0"),
            "histograms/mixed.csv": table(BUCKETS, "1.5,0,0,0.0,1.0,4.0", "1.5,0,1,1.0,2.0,5.0", "1.5,0,2,2.0,3.0,6.0"),
            "histograms/mixed.stats.csv": table(STATS, "1.5,0,0.0,0.0,0.0,0.0,0.0"),
            "histograms/half.csv": table(BUCKETS, "1.5,0,0,0.0,1.0,4.0", "1.5,0,1,1.0,2.0,5.0"),
            "histograms/half.stats.csv": table(STATS, "1.5,0,0.0,0.0,0.0,0.0,0.0"),
        },
        account=(3, 3, 0, 0),
    )


# Tensors


@scenario
def tensors_of_every_rank() -> Scenario:
    return Scenario(
        {
            ".": [
                at(1, tensor("rank0", np.float32(0.5), "unknown")),
                at(1, tensor("no_plugin", np.int32(-7))),
                at(1, tensor("rank1", np.array([1, 2], np.int32))),
                at(1, tensor("rank2", np.array([[0.1, 0.2], [0.3, 0.4]]))),
                at(1, tensor("rank3", np.arange(4, dtype=np.uint8).reshape(2, 1, 2), "whose")),
                at(1, tensor("empty", np.zeros((0, 3), np.float32))),
                at(1, tensor("flags", np.array([True, False]))),
                at(2, tensor("rank1", np.array([3, 4, 5], np.int32))),
                at(3, tensor("rank1", np.array([], np.int32))),
            ]
        },
        {
            "tensors/rank0.csv": scalars("1.5,1,0.5"),
            "scalars/no_plugin.csv": scalars("1.5,1,-7"),
            "tensors/rank1.csv": table(
                "wall_time,step,i0,value", "1.5,1,0,1", "1.5,1,1,2", "1.5,2,0,3", "1.5,2,1,4", "1.5,2,2,5"
            ),
            "tensors/rank2.csv": table(
                "wall_time,step,i0,i1,value", "1.5,1,0,0,0.1", "1.5,1,0,1,0.2", "1.5,1,1,0,0.3", "1.5,1,1,1,0.4"
            ),
            "tensors/rank3.csv": table(
                "wall_time,step,i0,i1,i2,value", "1.5,1,0,0,0,0", "1.5,1,0,0,1,1", "1.5,1,1,0,0,2", "1.5,1,1,0,1,3"
            ),
            "tensors/empty.csv": table("wall_time,step,i0,i1,value"),
            "tensors/flags.csv": table("wall_time,step,i0,value", "1.5,1,0,true", "1.5,1,1,false"),
        },
        account=(9, 9, 0, 0),
    )


@scenario
def tensors_in_every_encoding() -> Scenario:
    """Elements are in ``tensor_content`` or one by one; one of them may represent all."""
    return Scenario(
        {
            ".": [
                at(1, tensor("content", tensor_of("DT_FLOAT", (2,), tensor_content=struct.pack("<2f", 1.5, 2.5)))),
                at(1, tensor("one_by_one", tensor_of("DT_FLOAT", (2,), float_val=[1.5, 2.5]))),
                at(1, tensor("one_for_all", tensor_of("DT_DOUBLE", (3,), double_val=[0.5]))),
                at(1, tensor("last_repeated", tensor_of("DT_INT64", (3,), int64_val=[7, 8]))),
                at(1, tensor("none", tensor_of("DT_INT32", (2,)))),
                # As TensorFlow writes 1.0 and -2.0, and as PyTorch does: 16 bits of the float, or all 32 of them.
                at(1, tensor("bfloat16", tensor_of("DT_BFLOAT16", (2,), half_val=[0x3F80, 0xC000]))),
                at(1, tensor("torch", tensor_of("DT_BFLOAT16", (2,), half_val=[0x3F800000, 0x40000000]))),
            ]
        },
        {
            f"tensors/{tag}.csv": table(
                "wall_time,step,i0,value", *(f"1.5,1,{i},{cell}" for i, cell in enumerate(cells))
            )
            for tag, cells in {
                "content": ["1.5", "2.5"],
                "one_by_one": ["1.5", "2.5"],
                "one_for_all": ["0.5", "0.5", "0.5"],
                "last_repeated": ["7", "8", "8"],
                "none": ["0", "0"],
                "bfloat16": ["1.0", "-2.0"],
                "torch": ["1.0", "2.0"],
            }.items()
        },
        account=(7, 7, 0, 0),
    )


@scenario
def complex_numbers_take_two_columns() -> Scenario:
    return Scenario(
        {
            ".": [
                at(1, tensor("c", np.array([1 + 2j, -0.1j], np.complex64)), tensor("c0", np.complex128(0.1 - 1j))),
            ]
        },
        {
            "tensors/c.csv": table("wall_time,step,i0,real,imag", "1.5,1,0,1.0,2.0", "1.5,1,1,-0.0,-0.1"),
            "tensors/c0.csv": table("wall_time,step,real,imag", "1.5,1,0.1,-1.0"),
        },
    )


@scenario
def strings_of_no_plugin_are_text_if_they_are_utf_8() -> Scenario:
    broken = tensor("log", string_tensor([b"\xff"], ()), None)
    return Scenario(
        {
            ".": [
                at(1, tensor("log", string_tensor(['Grüße, "you"'.encode()], ()), None), text("note", "a")),
                at(2, tensor("log", string_tensor([b""], ()), None), tensor("words", string_tensor([b"a", b"b"]))),
                at(3, broken),
                at(4, tensor("log", string_tensor([b"end"], ()), None)),
            ]
        },
        {
            "text/log.csv": table("wall_time,step,text", '1.5,1,"Grüße, ""you"""', '1.5,2,""', "1.5,4,end"),
            "text/words.csv": table("wall_time,step,i0,text", "1.5,2,0,a", "1.5,2,1,b"),
            "text/note.csv": table("wall_time,step,text", "1.5,1,a"),
            "blobs/log.undecodable.csv": Undecodable([("1.5", "3", broken.tensor.SerializeToString())]),
        },
        account=(6, 5, 0, 1),
    )


@scenario
def scalars_of_one_element_and_any_rank() -> Scenario:
    """As TensorBoard's Python backend has them, for the plugin ``scalars`` alone."""

    def at_step(step: int) -> list[Value]:
        number = np.float32(step + 0.5)
        return [
            tensor("one", number.reshape(1), "scalars"),
            tensor("deep", number.reshape(1, 1, 1), "scalars"),
            tensor("mixed", number.reshape(()) if step % 2 else number.reshape(1, 1), "scalars"),
            tensor("whole", np.array([2**60 + step]), "scalars"),
            tensor("listed", tensor_of("DT_DOUBLE", (1,), double_val=[step]), "scalars"),
            tensor("two", np.float32([step, 1]), "scalars"),
            tensor("none", np.zeros(0, np.float32), "scalars"),
            tensor("plain", number.reshape(1), None),
        ]

    rows = scalars("1.5,0,0.5", "1.5,1,1.5")
    return Scenario(
        {".": [at(step, *at_step(step)) for step in range(2)]},
        {
            "scalars/one.csv": rows,
            "scalars/deep.csv": rows,
            "scalars/mixed.csv": rows,
            "scalars/whole.csv": scalars("1.5,0,1152921504606846976", "1.5,1,1152921504606846977"),
            "scalars/listed.csv": scalars("1.5,0,0.0", "1.5,1,1.0"),
            "tensors/two.csv": table(
                "wall_time,step,i0,value", "1.5,0,0,0.0", "1.5,0,1,1.0", "1.5,1,0,1.0", "1.5,1,1,1.0"
            ),
            "tensors/none.csv": table("wall_time,step,i0,value"),
            "tensors/plain.csv": table("wall_time,step,i0,value", "1.5,0,0,0.5", "1.5,1,0,1.5"),
        },
    )


@scenario
def strings_of_no_plugin_that_are_not_utf_8_are_kept_in_base64() -> Scenario:
    return Scenario(
        {
            ".": [
                at(
                    1,
                    tensor("one", string_tensor([b"\x00\xff,\n"], ())),
                    tensor("two", string_tensor([b"\xff", b"abc"])),
                ),
                at(2, tensor("mystery", string_tensor([b"abc"], ()), "plugin_of_tomorrow")),
            ]
        },
        {
            "blobs/one.csv": table("wall_time,step,data", "1.5,1,AP8sCg=="),
            "blobs/two.csv": table("wall_time,step,i0,data", "1.5,1,0,/w==", "1.5,1,1,YWJj"),
            "blobs/mystery.csv": table("wall_time,step,data", "1.5,2,YWJj"),
        },
        account=(3, 3, 0, 0),
    )


# Plugin content


def _flight(content: bytes, plugin_name: str = "flight") -> Value:
    """Return a value that is all metadata."""
    return Value(tag="flight/episode", metadata=metadata(plugin_name, content))


@scenario
def plugin_content_of_values_without_a_payload() -> Scenario:
    return Scenario(
        {
            "run": [
                at(0, _flight(b"first")),
                at(1, _flight(b"\x00\xff,\n"), scalar("loss", 1)),
                at(2, _flight(b"x" * 90_000)),
                at(3, _flight(b"\x00\xff,\n")),
            ],
            "once": [at(0, _flight(b"first"))],
        },
        {
            "run/blobs/flight/episode.csv": table(
                "wall_time,step,data",
                "1.5,0,Zmlyc3Q=",
                "1.5,1,AP8sCg==",
                f"1.5,2,{base64_of(b'x' * 90_000)}",
                "1.5,3,AP8sCg==",
            ),
            "run/scalars/loss.csv": scalars("1.5,1,1.0"),
            "once/blobs/flight/episode.csv": table("wall_time,step,data", "1.5,0,Zmlyc3Q="),
        },
    )


@scenario
def plugin_content_that_changes_beside_a_payload() -> Scenario:
    """A row for the first value and for each change; a value without content keeps that of the value before."""

    def route(step: int, content: bytes | None) -> Value:
        return tensor("route", np.float32([step]), "flight" if content else None, content=content or b"")

    point = simple_value("point", 0.5)
    point.metadata.CopyFrom(metadata("scalars", b"new"))
    return Scenario(
        {
            ".": [
                at(1, route(1, b"a"), tensor("same", np.float32([0]), "flight", content=b"a")),
                at(2, route(2, b"a"), tensor("same", np.float32([0]), "flight", content=b"a")),
                at(3, route(3, b"b"), tensor("point", np.float32(0), "scalars", content=b"old")),
                at(4, route(4, None), point, wall_time=2.5),
                at(5, route(5, b"a")),
                at(5, route(6, b"c")),
            ]
        },
        {
            "tensors/route.csv": table(
                "wall_time,step,i0,value",
                *("1.5,1,0,1.0", "1.5,2,0,2.0", "1.5,3,0,3.0", "2.5,4,0,4.0", "1.5,5,0,5.0", "1.5,5,0,6.0"),
            ),
            "tensors/route.contents.csv": table(
                "wall_time,step,content", "1.5,1,YQ==", "1.5,3,Yg==", "1.5,5,YQ==", "1.5,5,Yw=="
            ),
            "tensors/same.csv": table("wall_time,step,i0,value", "1.5,1,0,0.0", "1.5,2,0,0.0"),
            "scalars/point.csv": scalars("1.5,3,0.0", "2.5,4,0.5"),
            "scalars/point.contents.csv": table("wall_time,step,content", "1.5,3,b2xk", "2.5,4,bmV3"),
        },
        account=(10, 10, 0, 0),
        notes=1,
    )


@scenario
def plugin_content_beside_what_cannot_be_decoded() -> Scenario:
    values = [text("t", [b"fine"]), text("t", [b"\xff"])]
    for value, content in zip(values, (b"1", b"2"), strict=True):
        value.metadata.plugin_data.content = content
    return Scenario(
        {".": [at(step, value) for step, value in enumerate(values)]},
        {
            "text/t.csv": table("wall_time,step,i0,text", "1.5,0,0,fine"),
            "text/t.contents.csv": table("wall_time,step,content", "1.5,0,MQ==", "1.5,1,Mg=="),
            "blobs/t.undecodable.csv": Undecodable([("1.5", "1", values[1].tensor.SerializeToString())]),
        },
        account=(2, 1, 0, 1),
    )


@scenario
def values_that_hold_nothing() -> Scenario:
    """They are counted and give no rows; the other values of their tags stay one table."""
    return Scenario(
        {
            "run": [
                at(0, simple_value("loss", 0.5), Value(tag="video")),
                at(1, Value(tag="loss")),
                at(2, simple_value("loss", 0.25), Value(tag="clip", metadata=metadata("images", display_name="Clip"))),
            ],
            "nothing": [at(0, Value(tag="video"))],
            "hidden": [at(0, Value(tag="video"), Value(tag="loss"))],
        },
        {"run/scalars/loss.csv": scalars("1.5,0,0.5", "1.5,2,0.25")},
        {"exclude_tags": ["clip"], "exclude_runs": ["hidden"]},
        account=(6, 2, 1, 0),
        empty=3,
        notes=2,
    )


def _tensors_in_style(style: str, tables: Mapping[str, str | bytes | Undecodable], notes: int = 0) -> Scenario:
    return Scenario(
        {
            ".": [
                at(1, tensor("m", np.array([[1, 2], [3, 4]], np.float32)), tensor("v", np.array([0.1]))),
                at(2, tensor("m", np.array([[5, 6], [7, 8]], np.float32)), scalar("s", 1)),
                at(3, tensor("m", np.array([[9, 0.5]], np.float32)), tensor("c", np.array([1 - 2j], np.complex64))),
            ]
        },
        {"scalars/s.csv": scalars("1.5,2,1.0"), **tables},
        {"tensors": style},
        (6, 6, 0, 0),
        notes=notes,
    )


@scenario
def tensors_wide() -> Scenario:
    return _tensors_in_style(
        "wide",
        {
            "tensors/m.csv": table(
                "wall_time,step,value_0_0,value_0_1,value_1_0,value_1_1",
                "1.5,1,1.0,2.0,3.0,4.0",
                "1.5,2,5.0,6.0,7.0,8.0",
            ),
            "tensors/m~float32-1-2.csv": table("wall_time,step,value_0_0,value_0_1", "1.5,3,9.0,0.5"),
            "tensors/v.csv": table("wall_time,step,value_0", "1.5,1,0.1"),
            "tensors/c.csv": table("wall_time,step,real_0,imag_0", "1.5,3,1.0,-2.0"),
        },
        notes=1,
    )


@scenario
def tensors_in_base64() -> Scenario:
    header = "wall_time,step,dtype,shape,data"
    return _tensors_in_style(
        "base64",
        {
            "tensors/m.csv": table(
                header,
                f'1.5,1,float32,"2,2",{base64_of(struct.pack("<4f", 1, 2, 3, 4))}',
                f'1.5,2,float32,"2,2",{base64_of(struct.pack("<4f", 5, 6, 7, 8))}',
                f'1.5,3,float32,"1,2",{base64_of(struct.pack("<2f", 9, 0.5))}',
            ),
            "tensors/v.csv": table(header, f"1.5,1,float64,1,{base64_of(struct.pack('<d', 0.1))}"),
            "tensors/c.csv": table(header, f"1.5,3,complex64,1,{base64_of(struct.pack('<2f', 1, -2))}"),
        },
    )


def npy(dtype: str, shape: str, content: bytes) -> bytes:
    """Return the bytes of an .npy file, written after its specification: numpy/lib/format.py, version 1.0."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


@scenario
def tensors_as_npy_files() -> Scenario:
    header = "wall_time,step,dtype,shape,path"
    return _tensors_in_style(
        "npy",
        {
            "tensors/m.csv": table(
                header,
                '1.5,1,float32,"2,2",m.files/000000.npy',
                '1.5,2,float32,"2,2",m.files/000001.npy',
                '1.5,3,float32,"1,2",m.files/000002.npy',
            ),
            "tensors/m.files/000000.npy": npy("<f4", "(2, 2)", struct.pack("<4f", 1, 2, 3, 4)),
            "tensors/m.files/000001.npy": npy("<f4", "(2, 2)", struct.pack("<4f", 5, 6, 7, 8)),
            "tensors/m.files/000002.npy": npy("<f4", "(1, 2)", struct.pack("<2f", 9, 0.5)),
            "tensors/v.csv": table(header, "1.5,1,float64,1,v.files/000000.npy"),
            "tensors/v.files/000000.npy": npy("<f8", "(1,)", struct.pack("<d", 0.1)),
            "tensors/c.csv": table(header, "1.5,3,complex64,1,c.files/000000.npy"),
            "tensors/c.files/000000.npy": npy("<c8", "(1,)", struct.pack("<2f", 1, -2)),
        },
    )


# Text


@scenario
def text_of_every_shape() -> Scenario:
    return Scenario(
        {
            ".": [
                at(1, text("one", "hello"), text("torch/text_summary", ["first"])),
                at(2, text("torch/text_summary", ["second", "third"]), text("one", "")),
                at(3, text("table", [["a", "b"], ["c", "d"]])),
            ]
        },
        {
            "text/one.csv": table("wall_time,step,text", "1.5,1,hello", '1.5,2,""'),
            "text/torch/text_summary.csv": table(
                "wall_time,step,i0,text", "1.5,1,0,first", "1.5,2,0,second", "1.5,2,1,third"
            ),
            "text/table.csv": table(
                "wall_time,step,i0,i1,text", "1.5,3,0,0,a", "1.5,3,0,1,b", "1.5,3,1,0,c", "1.5,3,1,1,d"
            ),
        },
        account=(5, 5, 0, 0),
    )


@scenario
def text_that_needs_quotes() -> Scenario:
    return Scenario(
        {
            ".": [
                at(1, text("t", "a,b")),
                at(2, text("t", 'say "hi"')),
                at(3, text("t", "two\nlines")),
                at(4, text("t", "dos\r\nlines")),
                at(5, text("t", "žluťoučký 🐎 \u2028 …")),
                at(6, text("t", " spaces ")),
                at(7, text("t", "NaN")),
                at(8, text("t", "old\rmac")),
            ]
        },
        {
            "text/t.csv": table(
                "wall_time,step,text",
                '1.5,1,"a,b"',
                '1.5,2,"say ""hi"""',
                '1.5,3,"two\nlines"',
                '1.5,4,"dos\r\nlines"',
                "1.5,5,žluťoučký 🐎 \u2028 …",
                "1.5,6, spaces ",
                "1.5,7,NaN",
                '1.5,8,"old\rmac"',
            )
        },
    )


@scenario
def text_that_is_no_utf_8_is_kept_as_it_is() -> Scenario:
    broken = string_tensor([b"gr\xfc\xdfe"], ())
    return Scenario(
        {".": [at(1, text("t", "good")), at(2, tensor("t", broken, "text")), at(3, text("t", "better"))]},
        {
            "text/t.csv": table("wall_time,step,text", "1.5,1,good", "1.5,3,better"),
            "blobs/t.undecodable.csv": Undecodable([("1.5", "2", broken.SerializeToString())]),
        },
        account=(3, 2, 0, 1),
    )


# Media

PNG = b"\x89PNG\r\n\x1a\n and what follows"
GIF = b"GIF89a and what follows"
WAV = b"RIFF\x00\x00\x00\x00WAVEfmt "


@scenario
def images_of_both_kinds() -> Scenario:
    header = "wall_time,step,index,width,height,path"
    return Scenario(
        {
            "r": [
                at(1, image("new", 4, 3, PNG, GIF)),
                at(2, image("new", 4, 3, PNG), image("none", 2, 2)),
                at(1, legacy_image("old/image/0", 5, 6, PNG)),
                at(2, legacy_image("old/image/0", 5, 6, b"who knows")),
            ]
        },
        {
            "r/images/new.csv": table(
                header,
                "1.5,1,0,4,3,new.files/000000_0.png",
                "1.5,1,1,4,3,new.files/000000_1.gif",
                "1.5,2,0,4,3,new.files/000001_0.png",
            ),
            "r/images/new.files/000000_0.png": PNG,
            "r/images/new.files/000000_1.gif": GIF,
            "r/images/new.files/000001_0.png": PNG,
            "r/images/none.csv": table(header),
            "r/images/old/image/0.csv": table(
                header, "1.5,1,0,5,6,0.files/000000_0.png", "1.5,2,0,5,6,0.files/000001_0.bin"
            ),
            "r/images/old/image/0.files/000000_0.png": PNG,
            "r/images/old/image/0.files/000001_0.bin": b"who knows",
        },
        account=(5, 5, 0, 0),
    )


@scenario
def audio_of_both_kinds() -> Scenario:
    header = "wall_time,step,index,label,sample_rate,num_channels,length_frames,content_type,path"
    return Scenario(
        {
            ".": [
                at(1, audio("new", (WAV, b"a, b"), (WAV + b"2", b""))),
                at(2, tensor("unlabelled", string_tensor([WAV]), "audio")),
                at(3, legacy_audio("old", WAV, 44100, 8)),
            ]
        },
        {
            "audio/new.csv": table(
                header,
                '1.5,1,0,"a, b",,,,,new.files/000000_0.wav',
                '1.5,1,1,"",,,,,new.files/000000_1.wav',
            ),
            "audio/new.files/000000_0.wav": WAV,
            "audio/new.files/000000_1.wav": WAV + b"2",
            "audio/unlabelled.csv": table(header, "1.5,2,0,,,,,,unlabelled.files/000000_0.wav"),
            "audio/unlabelled.files/000000_0.wav": WAV,
            "audio/old.csv": table(header, "1.5,3,0,,44100.0,1,8,audio/wav,old.files/000000_0.wav"),
            "audio/old.files/000000_0.wav": WAV,
        },
        account=(3, 3, 0, 0),
    )


# Other plugins


@scenario
def precision_recall_curves() -> Scenario:
    """The six rows are true and false positives, true and false negatives, precision, recall."""
    curve = np.array([[9, 5, 0], [4, 1, 0], [0, 3, 4], [0, 4, 9], [0.75, 0.5, 0], [1, 0.5, 0]], np.float32)
    return Scenario(
        {".": [at(1, tensor("pr", curve, "pr_curves", content=b"\x10\x03"))]},
        {
            "pr_curves/pr.csv": table(
                "wall_time,step,threshold,true_positives,false_positives,true_negatives,false_negatives,precision,recall",
                "1.5,1,0.0,9.0,4.0,0.0,0.0,0.75,1.0",
                "1.5,1,0.5,5.0,1.0,3.0,4.0,0.5,0.5",
                "1.5,1,1.0,0.0,0.0,4.0,9.0,0.0,0.0",
            )
        },
    )


@scenario
def hyperparameters_of_tensorflow_2() -> Scenario:
    """Every number is a double on disk, also an integer. Metrics have their last values, and their extremes."""
    trial = {"rate": 0.1, "layers": 2, "optimizer": "adam", "bias": True}
    return Scenario(
        {
            ".": [at(0, hparams_experiment(["optimizer", "rate", "layers", "bias"], ["accuracy"]))],
            "trial_0": [
                at(0, hparams_start(trial, group_name="g0", start=100.5)),
                at(1, scalar("accuracy", 0.1), scalar("other", 1)),
                at(2, scalar("accuracy", 0.7)),
                at(2, hparams_end(end=200.25)),
            ],
            "trial_1": [
                at(0, hparams_start(trial | {"bias": False, "optimizer": "sgd, slow"}, group_name="g1", start=300)),
                at(1, hparams_end("STATUS_FAILURE", end=301)),
            ],
        },
        {
            "hparams.csv": table(
                f"{TRIAL},optimizer,rate,layers,bias,{metric('accuracy')},duration",
                "trial_0,g0,success,100.5,200.25,adam,0.1,2,true,0.7,0.1,1,0.7,2,99.75",
                f'trial_1,g1,failure,300.0,301.0,"sgd, slow",0.1,2,false,{NO_METRIC},1.0',
            ),
            "trial_0/scalars/accuracy.csv": scalars("1.5,1,0.1", "1.5,2,0.7"),
            "trial_0/scalars/other.csv": scalars("1.5,1,1.0"),
        },
        account=(8, 8, 0, 0),
    )


@scenario
def hyperparameters_of_torch() -> Scenario:
    """The values hold no tensor; booleans became numbers; neither group nor start are known."""
    return Scenario(
        {
            "100.5": [
                at(0, hparams_experiment(["bias", "rate"], ["accuracy"], has_tensor=False)),
                at(0, hparams_start({"bias": 1.0, "rate": 0.1}, has_tensor=False)),
                at(0, hparams_end(has_tensor=False)),
                at(0, simple_value("accuracy", 0.5)),
            ],
            "200.5": [
                at(0, hparams_experiment(["bias"], ["accuracy", "loss"], has_tensor=False)),
                at(0, hparams_start({"bias": 0.0}, has_tensor=False)),
                at(0, simple_value("loss", 2), simple_value("accuracy", 0.25)),
            ],
        },
        {
            "hparams.csv": table(
                f"{TRIAL},bias,rate,{metric('accuracy')},{metric('loss')},duration",
                f"100.5,,success,,,1,0.1,{once('0.5', 0)},{NO_METRIC},",
                f"200.5,,,,,0,,{once('0.25', 0)},{once('2.0', 0)},",
            ),
            "100.5/scalars/accuracy.csv": scalars("1.5,0,0.5"),
            "200.5/scalars/loss.csv": scalars("1.5,0,2.0"),
            "200.5/scalars/accuracy.csv": scalars("1.5,0,0.25"),
        },
    )


@scenario
def hyperparameters_of_several_sessions_in_one_run() -> Scenario:
    """Each start makes a row, unless it says the same as the last one; metrics are those of the last row."""
    return Scenario(
        {
            "twice": [
                at(0, hparams_start({"rate": 0.5}, start=100)),
                at(0, hparams_start({"rate": 0.5}, start=100)),
                at(1, scalar("loss", 2)),
                at(1, hparams_end(end=150)),
                at(2, hparams_start({"rate": 0.25, "units": 3}, start=200)),
                at(3, scalar("loss", 1)),
                at(3, hparams_end("STATUS_FAILURE", end=250)),
                at(4, hparams_end(end=260)),  # of the last row, as there is no other to end
            ],
            "within": [
                at(0, hparams_start({"rate": 1})),
                at(0, hparams_start({"rate": 2})),
                at(1, hparams_end("STATUS_FAILURE")),
                at(2, hparams_end()),
            ],
            "without_start": [at(0, hparams_end(end=9)), at(1, scalar("loss", 4))],
            "started_late": [at(0, hparams_end(end=9)), at(1, hparams_start({"rate": 4}, start=8))],
        },
        {
            "hparams.csv": table(
                f"{TRIAL},rate,units,{metric('loss')},duration",
                f"started_late,,success,8.0,9.0,4.0,,{NO_METRIC},1.0",
                f"twice,,success,100.0,150.0,0.5,,{NO_METRIC},50.0",
                "twice,,success,200.0,260.0,0.25,3,1.0,1.0,3,2.0,1,60.0",
                f"within,,success,,,1.0,,{NO_METRIC},",
                f"within,,failure,,,2.0,,{NO_METRIC},",
                f"without_start,,success,,9.0,,,{once('4.0', 1)},",
            ),
            "twice/scalars/loss.csv": scalars("1.5,1,2.0", "1.5,3,1.0"),
            "without_start/scalars/loss.csv": scalars("1.5,1,4.0"),
        },
    )


@scenario
def hyperparameters_that_are_now_this_now_that() -> Scenario:
    """A column of mixed types is text; one with the name of a fixed column gets a prefix; metrics may be below."""
    return Scenario(
        {
            "a": [
                at(0, hparams_experiment(["status", "mixed"], [("validation", "acc"), "acc"])),
                at(0, hparams_start({"status": "warm", "mixed": True, "nothing": None, "acc": 3})),
            ],
            "a/validation": [at(1, scalar("acc", 0.5))],
            "b": [at(0, hparams_start({"status": "cold", "mixed": 0.5})), at(1, scalar("acc", 0.25))],
            "c": [
                at(0, hparams_start({"mixed": "x", "not_a_number": float("nan")})),
                at(0, hparams_end("STATUS_RUNNING")),
            ],
        },
        {
            "hparams.csv": table(
                f"{TRIAL},hparam:status,mixed,acc,nothing,not_a_number,{metric('validation/acc')},"
                "metric:acc,acc:min,acc:min_step,acc:max,acc:max_step,duration",
                f"a,,,,,warm,true,3,,,{once('0.5', 1)},{NO_METRIC},",
                f"b,,,,,cold,0.5,,,,{NO_METRIC},{once('0.25', 1)},",
                f"c,,running,,,,x,,,NaN,{NO_METRIC},{NO_METRIC},",
            ),
            "a/validation/scalars/acc.csv": scalars("1.5,1,0.5"),
            "b/scalars/acc.csv": scalars("1.5,1,0.25"),
        },
    )


@scenario
def layouts_of_custom_scalars() -> Scenario:
    margin = layout_pb2.Layout(
        category=[
            layout_pb2.Category(
                title="bands",
                chart=[
                    layout_pb2.Chart(
                        title="loss",
                        margin=layout_pb2.MarginChartContent(
                            series=[layout_pb2.MarginChartContent.Series(value="v", lower="l", upper="u")]
                        ),
                    )
                ],
            )
        ]
    )
    return Scenario(
        {".": [at(0, custom_scalars({"both": ["loss/.*", "x,y"]})), at(1, layout_value(margin))]},
        {
            "custom_scalars/custom_scalars__config__.csv": table(
                "wall_time,step,category,chart,type,tag,lower,upper",
                "1.5,0,losses,both,multiline,loss/.*,,",
                '1.5,0,losses,both,multiline,"x,y",,',
                "1.5,1,bands,loss,margin,v,l,u",
            )
        },
    )


@scenario
def meshes_are_tensors() -> Scenario:
    vertices = np.array([[[0, 0.5, 1], [2, 3, 4]]], np.float32)
    return Scenario(
        {".": [at(1, tensor("cat_VERTEX", vertices, "mesh", content=b"\x08\x01"))]},
        {
            "meshes/cat_VERTEX.csv": table(
                "wall_time,step,i0,i1,i2,value",
                "1.5,1,0,0,0,0.0",
                "1.5,1,0,0,1,0.5",
                "1.5,1,0,0,2,1.0",
                "1.5,1,0,1,0,2.0",
                "1.5,1,0,1,1,3.0",
                "1.5,1,0,1,2,4.0",
            )
        },
    )


@scenario
def meshes_say_what_they_are() -> Scenario:
    """The tags of tensorboardX do not: only the plugin content distinguishes vertices, faces and colors."""
    contents = [
        MeshPluginData(name="m", content_type=number).SerializeToString() if number else b"\xff" for number in range(4)
    ]
    index = "path,run,tag,kind,plugin_name,rows,first_step,last_step,first_wall_time,last_wall_time,content_type"
    return Scenario(
        {
            ".": [
                at(1, *(tensor(f"m_{n}", np.int32([n]), "mesh", content=content) for n, content in enumerate(contents)))
            ]
        },
        {
            **{f"meshes/m_{n}.csv": table("wall_time,step,i0,value", f"1.5,1,0,{n}") for n in range(4)},
            "index.csv": table(
                index,
                *(
                    f"meshes/m_{n}.csv,.,m_{n},meshes,mesh,1,1,1,1.5,1.5,{what}"
                    for n, what in enumerate(("", "vertices", "faces", "colors"))
                ),
            ),
        },
    )


NODES = "wall_time,step,name,op,device,inputs"
GRAPH = GraphDef(
    node=[NodeDef(name="x", op="Placeholder"), NodeDef(name="y", op="Add", device="/gpu:0", input=["x", "x:1"])]
)


@scenario
def graphs_of_every_kind() -> Scenario:
    graph, meta = GRAPH.SerializeToString(), MetaGraphDef(graph_def=GRAPH).SerializeToString()
    statistics = RunMetadata(partition_graphs=[GRAPH]).SerializeToString()
    keras = json.dumps(
        {
            "class_name": "Sequential",
            "config": {
                "name": "s",
                "layers": [
                    {"class_name": "InputLayer", "config": {"name": "in"}},
                    {"class_name": "Dense", "config": {"name": "d"}, "inbound_nodes": [[["in", 0, 0, {}]]]},
                ],
            },
        }
    ).encode()
    rows = ("x,Placeholder,,", "y,Add,/gpu:0,x x:1")
    return Scenario(
        {
            "r": [
                at(0, graph_def=graph),
                at(0, meta_graph_def=meta),
                at(3, tagged_run_metadata=run_metadata("step3", statistics)),
                at(4, tensor("batch_2", string_tensor([statistics], ()), "graph_run_metadata_graph")),
                at(5, tensor("keras", string_tensor([keras], ()), "graph_keras_model")),
            ]
        },
        {
            "r/graphs/__run_graph__.nodes.csv": table(NODES, *(f"1.5,0,{row}" for row in rows)),
            "r/graphs/__run_graph__.files/000000_0.pb": graph,
            "r/graphs/__meta_graph__.nodes.csv": table(NODES, *(f"1.5,0,{row}" for row in rows)),
            "r/graphs/__meta_graph__.files/000000_0.pb": meta,
            "r/graphs/step3.nodes.csv": table(NODES, *(f"1.5,3,{row}" for row in rows)),
            "r/graphs/step3.files/000000_0.pb": statistics,
            "r/graphs/batch_2.nodes.csv": table(NODES, *(f"1.5,4,{row}" for row in rows)),
            "r/graphs/batch_2.files/000000_0.pb": statistics,
            "r/graphs/keras.nodes.csv": table(NODES, "1.5,5,in,InputLayer,,", "1.5,5,d,Dense,,in"),
            "r/graphs/keras.files/000000_0.json": keras,
        },
        account=(5, 5, 0, 0),
    )


@scenario
def a_summary_and_a_graph_in_one_event() -> Scenario:
    graph = GRAPH.SerializeToString()
    return Scenario(
        {".": [raw_event(scalar("x", 1), step=2, wall_time=1.5, more=wire_field(4, graph))]},
        {
            "scalars/x.csv": scalars("1.5,2,1.0"),
            "graphs/__run_graph__.nodes.csv": table(NODES, "1.5,2,x,Placeholder,,", "1.5,2,y,Add,/gpu:0,x x:1"),
            "graphs/__run_graph__.files/000000_0.pb": graph,
        },
        account=(2, 2, 0, 0),
    )


# Tags that are not what they were


@scenario
def a_tag_that_changes_its_type() -> Scenario:
    """What fits no column of the first table gets a table of its own, and a note."""
    return Scenario(
        {
            ".": [
                at(1, scalar("x", 0.1)),
                at(2, scalar("x", 0.1, "float64")),
                at(3, simple_value("x", 3)),
                at(4, tensor("x", np.array([4.0, 5.0]), "scalars")),
                at(5, tensor("x", np.array([[6.0]]), "scalars")),
                at(6, scalar("x", 2**60, "int64")),
                at(7, tensor("x", np.array([[7.0, 8.0]]), "scalars")),
            ]
        },
        {
            "scalars/x.csv": scalars("1.5,1,0.1", "1.5,3,3.0"),
            "scalars/x~float64.csv": scalars("1.5,2,0.1", "1.5,5,6.0"),
            "scalars/x~int64.csv": scalars("1.5,6,1152921504606846976"),
            "tensors/x.csv": table("wall_time,step,i0,value", "1.5,4,0,4.0", "1.5,4,1,5.0"),
            "tensors/x~float64-rank2.csv": table("wall_time,step,i0,i1,value", "1.5,7,0,0,7.0", "1.5,7,0,1,8.0"),
        },
        account=(7, 7, 0, 0),
        notes=4,
    )


@scenario
def a_tag_of_two_plugins() -> Scenario:
    return Scenario(
        {".": [at(1, scalar("x", 1), text("x", "one")), at(2, histogram("x", [[0, 1, 2]])), at(3, text("x", "three"))]},
        {
            "scalars/x.csv": scalars("1.5,1,1.0"),
            "text/x.csv": table("wall_time,step,text", "1.5,1,one", "1.5,3,three"),
            "histograms/x.csv": table(BUCKETS, "1.5,2,0,0.0,1.0,2.0"),
        },
        account=(4, 4, 0, 0),
    )


@scenario
def names_that_no_file_may_have() -> Scenario:
    """``%`` and two hexadecimal digits encode a byte that is safe nowhere; ``/`` starts a folder."""
    tags = {
        "../../x": "%2E%2E/%2E%2E/x",
        "/etc/passwd": "%empty/etc/passwd",
        "a//b": "a/%empty/b",
        "a/": "a/%empty",
        "": "%empty",
        "CON": "%43ON",
        "a\\b:c": "a%5Cb%3Ac",
        "100%": "100%25",
        "x.csv": "x%2Ecsv",
        "h.stats": "h%2Estats",
        ".hidden": "%2Ehidden",
        "end.": "end%2E",
        "žluť": "žluť",
        "with space": "with space",
        "nul\0": "nul%00",
    }
    return Scenario(
        {
            "run": [at(1, *(scalar(tag, i) for i, tag in enumerate(tags)))],
            "scalars": [at(1, scalar("x", 1))],
            "a b/c": [at(1, scalar("x", 2))],
        },
        {
            **{f"run/scalars/{path}.csv": scalars(f"1.5,1,{i}.0") for i, path in enumerate(tags.values())},
            "%73calars/scalars/x.csv": scalars("1.5,1,1.0"),
            "a b/c/scalars/x.csv": scalars("1.5,1,2.0"),
        },
    )


@scenario
def tags_that_are_no_utf_8() -> Scenario:
    """A stray byte is shown as an escape, so that two such tags stay apart."""
    number = struct.pack("<f", 1)
    return Scenario(
        {
            ".": [
                raw_event(
                    raw_value(b"caf\xe9", b"\x15" + number), raw_value(b"caf\xe8", b"\x15" + number), wall_time=1.5
                ),
            ]
        },
        {"scalars/caf%5Cxe9.csv": scalars("1.5,0,1.0"), "scalars/caf%5Cxe8.csv": scalars("1.5,0,1.0")},
        account=(2, 2, 0, 0),
    )


# What cannot be decoded


@scenario
def a_value_that_cannot_be_decoded_costs_only_itself() -> Scenario:
    short = tensor_of("DT_FLOAT", (3,), tensor_content=struct.pack("<2f", 1, 2))
    pair = [1.0, 2.0, 3.0]
    return Scenario(
        {
            ".": [
                at(1, tensor("t", np.array(pair, np.float32)), scalar("s", 1)),
                at(2, tensor("t", short), scalar("s", 2)),
                at(3, tensor("t", np.array(pair, np.float32)), scalar("s", 3)),
                at(4, tensor("pic", string_tensor([b"wide", b"high", b"png"]), "images")),
                at(5, legacy_histogram("h", [1, 2], [1]), legacy_histogram("h", [1], [1], min=0.5)),
            ]
        },
        {
            "tensors/t.csv": table(
                "wall_time,step,i0,value",
                *(f"1.5,{step},{i},{number}" for step in (1, 3) for i, number in enumerate(pair)),
            ),
            "blobs/t.undecodable.csv": Undecodable([("1.5", "2", struct.pack("<2f", 1, 2))]),
            "scalars/s.csv": scalars("1.5,1,1.0", "1.5,2,2.0", "1.5,3,3.0"),
            "blobs/pic.undecodable.csv": Undecodable(
                [("1.5", "4", string_tensor([b"wide", b"high", b"png"]).SerializeToString())]
            ),
            "histograms/h.csv": table(BUCKETS, "1.5,5,0,0.5,1.0,1.0"),
            "histograms/h.stats.csv": table(STATS, "1.5,5,0.5,0.0,0.0,0.0,0.0"),
            "blobs/h.undecodable.csv": Undecodable(
                [("1.5", "5", legacy_histogram("h", [1, 2], [1]).histo.SerializeToString())]
            ),
        },
        account=(9, 6, 0, 3),
        notes=1,
    )


@scenario
def a_malformed_message_costs_only_its_own_value() -> Scenario:
    """The event is sound; in the values between, a nested message is none."""
    return Scenario(
        {
            ".": [
                raw_event(
                    scalar("a", 1),
                    raw_value(b"tensor", wire_field(8, b"\xff")),
                    raw_value(b"histo", wire_field(5, b"\xff\xff")),
                    raw_value(b"image", wire_field(4, b"\xff")),
                    raw_value(b"audio", wire_field(6, b"\x0d")),
                    raw_value(b"metadata", b"\x15" + struct.pack("<f", 2), wire_field(9, b"\xff")),
                    scalar("b", 3),
                    step=7,
                    wall_time=1.5,
                )
            ]
        },
        {
            "scalars/a.csv": scalars("1.5,7,1.0"),
            "scalars/b.csv": scalars("1.5,7,3.0"),
            "scalars/metadata.csv": scalars("1.5,7,2.0"),
            "blobs/tensor.undecodable.csv": Undecodable([("1.5", "7", b"\xff")]),
            "blobs/histo.undecodable.csv": Undecodable([("1.5", "7", b"\xff\xff")]),
            "blobs/image.undecodable.csv": Undecodable([("1.5", "7", b"\xff")]),
            "blobs/audio.undecodable.csv": Undecodable([("1.5", "7", b"\x0d")]),
        },
        account=(7, 3, 0, 4),
    )


@scenario
def an_event_that_is_none_costs_only_its_record() -> Scenario:
    return Scenario(
        {".": [at(1, scalar("x", 1)), b"\xff\xff no event", at(2, scalar("x", 2))]},
        {"scalars/x.csv": scalars("1.5,1,1.0", "1.5,2,2.0")},
        account=(2, 2, 0, 0),
        damaged=1,
    )


@scenario
def a_log_without_values() -> Scenario:
    return Scenario({"r": [at(1), at(2, log_message={"message": "hello"})]}, {}, account=(0, 0, 0, 0))


# Filters


def _filtered(options: Mapping[str, Any], account: tuple[int, int, int, int], tables: Mapping[str, str]) -> Scenario:
    return Scenario(
        {
            "train/a": [
                at(1, scalar("loss/total", 1), scalar("loss/part", 2), text("note", "hi"), histogram("h", [[0, 1, 2]])),
                at(2, scalar("loss/total", 3)),
            ],
            "train/b": [at(1, scalar("loss/total", 4), scalar("rate", 5))],
            "test": [at(1, scalar("Loss/total", 6))],
        },
        tables,
        options,
        account,
    )


@scenario
def filter_by_run() -> Scenario:
    """Runs that are not selected are not even read."""
    return _filtered(
        {"runs": ("train/*",), "exclude_runs": ("*/a",)},
        (2, 2, 0, 0),
        {"train/b/scalars/loss/total.csv": scalars("1.5,1,4.0"), "train/b/scalars/rate.csv": scalars("1.5,1,5.0")},
    )


@scenario
def filter_by_tag() -> Scenario:
    """Case counts, and ``*`` matches slashes as well."""
    return _filtered(
        {"tags": ("l*", "rate"), "exclude_tags": ("*part",)},
        (8, 4, 4, 0),
        {
            "train/a/scalars/loss/total.csv": scalars("1.5,1,1.0", "1.5,2,3.0"),
            "train/b/scalars/loss/total.csv": scalars("1.5,1,4.0"),
            "train/b/scalars/rate.csv": scalars("1.5,1,5.0"),
        },
    )


@scenario
def filter_by_kind() -> Scenario:
    return _filtered(
        {"kinds": ("text", "histograms")},
        (8, 2, 6, 0),
        {
            "train/a/text/note.csv": table("wall_time,step,text", "1.5,1,hi"),
            "train/a/histograms/h.csv": table(BUCKETS, "1.5,1,0,0.0,1.0,2.0"),
        },
    )


@scenario
def filter_hyperparameters_alone() -> Scenario:
    """The metrics are known although their tables were not selected."""
    return Scenario(
        {"r": [at(0, hparams_start({"rate": 0.5})), at(1, scalar("loss", 2)), at(2, scalar("loss", 1))]},
        {
            "hparams.csv": table(f"{TRIAL},rate,{metric('loss')},duration", "r,,,,,0.5,1.0,1.0,2,2.0,1,"),
        },
        {"kinds": ("hparams",)},
        (3, 1, 2, 0),
    )


@scenario
def what_is_filtered_is_not_undecodable() -> Scenario:
    return Scenario(
        {
            "r": [
                at(1, scalar("x", 1), tensor("t", tensor_of("DT_FLOAT", (3,), tensor_content=b"1234"))),
                at(2, tensor("t", tensor_of("DT_FLOAT", (3,), tensor_content=b"1234"))),
            ]
        },
        {"r/scalars/x.csv": scalars("1.5,1,1.0")},
        {"tags": ("x",)},
        (3, 1, 2, 0),
    )


@scenario
def a_tensor_without_a_shape_holds_one_value() -> Scenario:
    """Its shape field says which table a value belongs to; without one it is a single number or string."""
    two = tensor_of("DT_FLOAT", None, float_val=[1, 2])
    strings = tensor_of("DT_STRING", None, string_val=[b"a", b"b"])
    return Scenario(
        {
            ".": [
                at(
                    1,
                    tensor("s", tensor_of("DT_INT32", None, int_val=[5])),
                    tensor("t", tensor_of("DT_STRING", None), "text"),
                ),
                at(2, tensor("s", tensor_of("DT_INT32", None, int_val=[5, 6])), tensor("t", strings, "text")),
                at(3, tensor("u", two, "unknown"), tensor("b", strings, "unknown"), tensor("f", two, "scalars")),
                at(4, tensor("s", tensor_of("DT_INT32", None, int_val=[7])), text("t", "c")),
            ]
        },
        {
            "scalars/s.csv": scalars("1.5,1,5", "1.5,4,7"),
            "text/t.csv": table("wall_time,step,text", '1.5,1,""', "1.5,4,c"),
            "blobs/s.undecodable.csv": Undecodable(
                [("1.5", "2", tensor_of("DT_INT32", None, int_val=[5, 6]).SerializeToString())]
            ),
            "blobs/t.undecodable.csv": Undecodable([("1.5", "2", strings.SerializeToString())]),
            "blobs/u.undecodable.csv": Undecodable([("1.5", "3", two.SerializeToString())]),
            "blobs/b.undecodable.csv": Undecodable([("1.5", "3", strings.SerializeToString())]),
            "blobs/f.undecodable.csv": Undecodable([("1.5", "3", two.SerializeToString())]),
        },
        account=(9, 4, 0, 5),
    )


@scenario
def plugins_with_values_that_are_not_theirs() -> Scenario:
    """The values are tensors or blobs like any other; nothing is refused for the plugin's name."""
    pair = np.array([0.5, 2], np.float32)
    pair_rows = table("wall_time,step,i0,value", "1.5,1,0,0.5", "1.5,1,1,2.0")
    plugins = ("histograms", "text", "images", "audio", "pr_curves", "custom_scalars", "graphs", "mesh")
    return Scenario(
        {
            ".": [
                at(1, *(tensor(f"of_{plugin}", pair, plugin) for plugin in plugins)),
                at(2, tensor("strings", string_tensor([b"abc"], ()), "histograms")),
                at(3, Value(tag="ancient", obsolete_old_style_histogram=b"abc")),
                at(4, tensor("resource", tensor_of("DT_RESOURCE", ()))),
            ]
        },
        {
            **{f"tensors/of_{plugin}.csv": pair_rows for plugin in plugins if plugin != "mesh"},
            "meshes/of_mesh.csv": pair_rows,
            "blobs/strings.csv": table("wall_time,step,data", "1.5,2,YWJj"),
            "blobs/ancient.csv": table("wall_time,step,data", "1.5,3,YWJj"),
            "blobs/resource.undecodable.csv": Undecodable(
                [("1.5", "4", tensor_of("DT_RESOURCE", ()).SerializeToString())]
            ),
        },
        account=(11, 10, 0, 1),
    )


@scenario
def plugins_with_numbers_that_their_columns_cannot_hold() -> Scenario:
    """Complex numbers take two columns, and a histogram's are float64."""
    large = np.array([[2**53 + 1, 2, 3]])
    return Scenario(
        {
            ".": [
                at(1, tensor("h", np.array([[1j, 2, 3]], np.complex64), "histograms")),
                at(1, tensor("pr", np.array([[1j]] * 6, np.complex64), "pr_curves")),
                at(1, tensor("large", large, "histograms")),
            ]
        },
        {
            "tensors/h.csv": table(
                "wall_time,step,i0,i1,real,imag", "1.5,1,0,0,0.0,1.0", "1.5,1,0,1,2.0,0.0", "1.5,1,0,2,3.0,0.0"
            ),
            "tensors/pr.csv": table("wall_time,step,i0,i1,real,imag", *(f"1.5,1,{i},0,0.0,1.0" for i in range(6))),
            "tensors/large.csv": table(
                "wall_time,step,i0,i1,value", "1.5,1,0,0,9007199254740993", "1.5,1,0,1,2", "1.5,1,0,2,3"
            ),
        },
    )


@scenario
def histograms_of_both_kinds_under_one_tag() -> Scenario:
    return Scenario(
        {
            ".": [
                at(1, histogram("h", [[0, 1, 2]])),
                at(2, legacy_histogram("h", [1, 2], [0, 3], min=1, max=2, num=3, sum=4.5, sum_squares=7)),
                at(3, histogram("h", [[1, 2, 3]])),
                at(4, tensor("small", np.array([[1, 2, 3]], np.int32), "histograms")),
            ]
        },
        {
            "histograms/h.csv": table(BUCKETS, "1.5,1,0,0.0,1.0,2.0", "1.5,3,0,1.0,2.0,3.0"),
            "histograms/h~histo.csv": table(BUCKETS, "1.5,2,0,1.0,1.0,0.0", "1.5,2,1,1.0,2.0,3.0"),
            "histograms/h~histo.stats.csv": table(STATS, "1.5,2,1.0,2.0,3.0,4.5,7.0"),
            "histograms/small.csv": table(BUCKETS, "1.5,4,0,1.0,2.0,3.0"),
        },
        account=(4, 4, 0, 0),
        notes=1,
    )


@scenario
def hyperparameters_that_cannot_be_decoded() -> Scenario:
    broken = Value(tag="_hparams_/session_start_info", metadata=metadata("hparams", b"\xff"))
    return Scenario(
        {
            "good": [at(0, hparams_start({"rate": 0.5}))],
            "bad": [at(3, broken), at(4, tensor("_hparams_/session_start_info", np.zeros(0, np.float32), "hparams"))],
        },
        {
            "hparams.csv": table(f"{TRIAL},rate,duration", "good,,,,,0.5,"),
            "bad/blobs/_hparams_/session_start_info.undecodable.csv": Undecodable([("1.5", "3", b"\xff")]),
        },
        account=(3, 2, 0, 1),
    )


@scenario
def hyperparameters_that_are_odd() -> Scenario:
    """A status that no TensorBoard knows is its number; what is nested is JSON, as Python writes it."""
    start, end = HParamsPluginData(), HParamsPluginData()
    nested = start.session_start_info.hparams["nested"].list_value
    nested.values.add(number_value=float("nan"))
    nested.values.add().struct_value.update({"b": [True, None, "é"], "a": float("-inf"), "c": 2})
    end.session_end_info.status = 99  # type: ignore[assignment]
    return Scenario(
        {
            "r": [
                at(0, Value(tag="start", metadata=metadata("hparams", start.SerializeToString()))),
                at(0, Value(tag="end", metadata=metadata("hparams", end.SerializeToString()))),
            ],
        },
        {
            "hparams.csv": table(
                f"{TRIAL},nested,duration",
                r'r,,99,,,"[NaN, {""a"": -Infinity, ""b"": [true, null, ""\u00e9""], ""c"": 2}]",',
            ),
        },
    )


@scenario
def images_and_graphs_that_no_column_takes() -> Scenario:
    """A width of 30 digits and half a surrogate pair: each costs its own value and no other."""
    wide = string_tensor([b"9" * 30, b"1", PNG])
    names = [string_tensor([json.dumps(_keras_model(name)).encode()], ()) for name in ("a", "\ud800")]
    return Scenario(
        {
            "r": [
                at(0, image("i", 2, 1, PNG), tensor("k", names[0], "graph_keras_model")),
                at(1, tensor("i", wide, "images"), tensor("k", names[1], "graph_keras_model")),
                at(2, image("i", 3, 1, PNG)),
            ],
        },
        {
            "r/images/i.csv": table(
                "wall_time,step,index,width,height,path",
                "1.5,0,0,2,1,i.files/000000_0.png",
                "1.5,2,0,3,1,i.files/000002_0.png",
            ),
            "r/images/i.files/000000_0.png": PNG,
            "r/images/i.files/000002_0.png": PNG,
            "r/graphs/k.nodes.csv": table(NODES, "1.5,0,a,Dense,,"),
            "r/graphs/k.files/000000_0.json": json.dumps(_keras_model("a")).encode(),
            "r/blobs/i.undecodable.csv": Undecodable([("1.5", "1", wide.SerializeToString())]),
            "r/blobs/k.undecodable.csv": Undecodable([("1.5", "1", names[1].SerializeToString())]),
        },
        account=(5, 3, 0, 2),
    )


def _keras_model(name: str) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {"name": name}}]}}


@scenario
def a_tag_of_two_graph_plugins() -> Scenario:
    """What Keras writes under one tag: a model, and later the trace of a function."""
    model = json.dumps(_keras_model("a")).encode()
    trace = RunMetadata(partition_graphs=[GraphDef(node=[NodeDef(name="x", op="Add")])]).SerializeToString()
    return Scenario(
        {
            "r": [
                at(0, tensor("keras", string_tensor([model], ()), "graph_keras_model")),
                at(1, tensor("keras", string_tensor([trace], ()), "graph_run_metadata_graph")),
            ],
        },
        {
            "r/graphs/keras.nodes.csv": table(NODES, "1.5,0,a,Dense,,"),
            "r/graphs/keras.files/000000_0.json": model,
            "r/graphs/keras~run_metadata.nodes.csv": table(NODES, "1.5,1,x,Add,,"),
            "r/graphs/keras~run_metadata.files/000000_0.pb": trace,
        },
        notes=1,
    )


@scenario
def tables_of_many_tags_at_once() -> Scenario:
    """More tags than a piece of one, with values in turn: each row has to find its own table."""
    tags, steps = 40, 7
    return Scenario(
        {".": [at(step, *(scalar(f"t{tag}", 100 * tag + step) for tag in range(tags))) for step in range(steps)]},
        {
            f"scalars/t{tag}.csv": scalars(*(f"1.5,{step},{100 * tag + step}.0" for step in range(steps)))
            for tag in range(tags)
        },
    )


@scenario
def wall_times_of_any_size() -> Scenario:
    times = [0.0, -1.5, 1e300, 1_700_000_000.123_456_7, float("nan"), float("inf")]
    cells = ["0.0", "-1.5", "1e+300", "1700000000.1234567", "NaN", "inf"]
    return Scenario(
        {".": [at(1, scalar("x", i), wall_time=time) for i, time in enumerate(times)]},
        {"scalars/x.csv": scalars(*(f"{cell},1,{i}.0" for i, cell in enumerate(cells)))},
        notes=1,
    )


@scenario
def the_manifest() -> Scenario:
    """All of ``index.csv``; what the data package says of each type of column."""
    index = "path,run,tag,kind,plugin_name,rows,first_step,last_step,first_wall_time,last_wall_time,content_type"
    return Scenario(
        {
            ".": [
                at(3, scalar("a,b", 1), wall_time=10.0),
                at(1, scalar("a,b", 2), histogram("h", [[0, 1, 2], [1, 2, 3]]), wall_time=20.0),
                at(9, tensor("t", string_tensor([b"\xff"], ()), "text"), wall_time=30.0),
                at(9, legacy_histogram("old", [1], [1]), wall_time=40.0),
            ],
            "r": [
                at(4, hparams_start({"flag": True}), wall_time=5.0),
                at(5, scalar("n", 0.1, "float64"), wall_time=6.0),
            ],
        },
        {
            "index.csv": table(
                index,
                "blobs/t.undecodable.csv,.,t,blobs,text,1,9,9,30.0,30.0,",
                "histograms/h.csv,.,h,histograms,histograms,2,1,1,20.0,20.0,",
                "histograms/old.csv,.,old,histograms,histograms,1,9,9,40.0,40.0,",
                "histograms/old.stats.csv,.,old,histogram_stats,histograms,1,9,9,40.0,40.0,",
                '"scalars/a,b.csv",.,"a,b",scalars,scalars,2,3,1,10.0,20.0,',
                "r/scalars/n.csv,r,n,scalars,scalars,1,5,5,6.0,6.0,",
                "hparams.csv,,,hparams,hparams,1,,,,,",
            ),
            "scalars/a,b.csv": scalars("10.0,3,1.0", "20.0,1,2.0"),
            "histograms/h.csv": table(BUCKETS, "20.0,1,0,0.0,1.0,2.0", "20.0,1,1,1.0,2.0,3.0"),
            "histograms/old.csv": table(BUCKETS, "40.0,9,0,0.0,1.0,1.0"),
            "histograms/old.stats.csv": table(STATS, "40.0,9,0.0,0.0,0.0,0.0,0.0"),
            "blobs/t.undecodable.csv": Undecodable([("30.0", "9", string_tensor([b"\xff"], ()).SerializeToString())]),
            "r/scalars/n.csv": scalars("6.0,5,0.1"),
            "hparams.csv": table(f"{TRIAL},flag,{metric('n')},duration", f"r,,,,,true,{once('0.1', 5)},"),
        },
        account=(7, 6, 0, 1),
        notes=1,
    )


@scenario
def metrics_of_other_types_than_float32() -> Scenario:
    return Scenario(
        {
            "r": [
                at(0, hparams_start({"rate": 1})),
                at(1, scalar("a", 0.1, "float64"), scalar("b", 0.5, "float16"), scalar("c", 2**30, "int64")),
                at(1, scalar("d", float("nan")), scalar("e", float("inf")), scalar("f", 0.1)),
            ]
        },
        {
            "hparams.csv": table(
                f"{TRIAL},rate,{','.join(map(metric, 'abcdef'))},duration",
                f"r,,,,,1,{once('0.1', 1)},{once('0.5', 1)},{once('1073741824.0', 1)},NaN,,,,,"
                f"{once('inf', 1)},{once('0.1', 1)},",
            ),
            "r/scalars/a.csv": scalars("1.5,1,0.1"),
            "r/scalars/b.csv": scalars("1.5,1,0.5"),
            "r/scalars/c.csv": scalars("1.5,1,1073741824"),
            "r/scalars/d.csv": scalars("1.5,1,NaN"),
            "r/scalars/e.csv": scalars("1.5,1,inf"),
            "r/scalars/f.csv": scalars("1.5,1,0.1"),
        },
    )


@scenario
def filter_histograms_with_their_statistics() -> Scenario:
    """The statistics are a kind of their own in the index, but come with the histograms."""
    stats = {"min": 1, "max": 2, "num": 3, "sum": 4.5, "sum_squares": 7}
    return Scenario(
        {".": [at(1, legacy_histogram("h", [1, 2], [0, 3], **stats), scalar("x", 1))]},
        {
            "histograms/h.csv": table(BUCKETS, "1.5,1,0,1.0,1.0,0.0", "1.5,1,1,1.0,2.0,3.0"),
            "histograms/h.stats.csv": table(STATS, "1.5,1,1.0,2.0,3.0,4.5,7.0"),
        },
        {"kinds": ("histograms",)},
        (2, 1, 1, 0),
    )
