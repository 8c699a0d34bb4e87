"""The two scanners: what they read is what is there, and they agree on everything, odd or broken."""

from __future__ import annotations

import contextlib
import errno
import itertools
import random
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import google_crc32c
import numpy as np
import pytest
from event_files import (
    double_field,
    event,
    event_file,
    field,
    file_version,
    flip,
    frame,
    frames,
    histogram,
    legacy_histogram,
    metadata,
    overwrite,
    payloads,
    raw_event,
    raw_value,
    records,
    scalar,
    simple_value,
    tensor,
    tensor_of,
    text,
    varint,
    with_length_broken,
    with_payload_broken,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reading import MemorySource, Reading, Row, read, rows_of
from tensorboard.compat.proto.event_pb2 import Event, TaggedRunMetadata
from tensorboard.compat.proto.histogram_pb2 import HistogramProto
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto

from tb2csv.event_files.event_file import EventFileReader, first_event
from tb2csv.event_files.scanners import SCANNERS
from tb2csv.event_files.values import COLUMN_NAMES, ScanStatus, ValueColumns, ValueKind, ValueSchema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SAMPLE_LOGS = Path(__file__).parents[2] / "sample_logs"
SAMPLES = sorted(path for path in SAMPLE_LOGS.rglob("*tfevents*") if path.is_file())

needs_compiled = pytest.mark.skipif("compiled" not in SCANNERS, reason="the extension was not built")


def read_by_all(data: bytes, **options: Any) -> Reading:
    """Read a file by every scanner, and return what they agree on."""
    reading = read(data, "reference", **options)
    reading.check_account()
    for name in SCANNERS:
        assert read(data, name, **options) == reading
    return reading


# What TensorBoard's own classes make of an event


def expected_rows(message: Event) -> list[Row]:
    """Return the rows of an event whose summary values have one tensor_shape, payload, … at most."""
    made = [_value_row(message, value) for value in message.summary.value]
    graphs = (
        (message.graph_def, "__run_graph__", ValueKind.GRAPH_DEF),
        (message.meta_graph_def, "__meta_graph__", ValueKind.META_GRAPH_DEF),
        (message.tagged_run_metadata.run_metadata, message.tagged_run_metadata.tag, ValueKind.RUN_METADATA),
    )
    for payload, tag, kind in graphs:
        if payload or (kind == ValueKind.RUN_METADATA and message.HasField("tagged_run_metadata")):
            made.append(_row(message, ValueSchema(tag.encode(), kind), payload=payload))
    return made


def _row(message: Event, schema: ValueSchema, number: float = float("nan"), payload: bytes = b"") -> Row:
    return Row(schema, struct.pack("<d", message.wall_time), message.step, struct.pack("<d", number), payload)


def _value_row(message: Event, value: Any) -> Row:
    tag = (value.tag or value.node_name).encode()
    which = value.WhichOneof("value")
    content = value.metadata.plugin_data.content
    if content:
        value.metadata.plugin_data.ClearField("content")
    about = value.metadata.SerializeToString() if value.HasField("metadata") else b""
    if content and which is None:
        return _row(message, ValueSchema(tag, ValueKind.PLUGIN_CONTENT, metadata=about), payload=content)
    return _beside_content(message, value, tag, about)._replace(content=content)


def _beside_content(message: Event, value: Any, tag: bytes, about: bytes) -> Row:
    which = value.WhichOneof("value")
    if which == "simple_value":
        return _row(message, ValueSchema(tag, ValueKind.SIMPLE_VALUE, metadata=about), value.simple_value)
    if which == "tensor":
        return _tensor_row(message, tag, about, value.tensor)
    kinds = {
        None: ValueKind.NONE,
        "histo": ValueKind.HISTO,
        "image": ValueKind.IMAGE,
        "audio": ValueKind.AUDIO,
        "obsolete_old_style_histogram": ValueKind.OBSOLETE_HISTOGRAM,
    }
    payload = getattr(value, which) if which else b""
    if not isinstance(payload, bytes):
        payload = payload.SerializeToString()
    return _row(message, ValueSchema(tag, kinds[which], metadata=about), payload=payload)


def _tensor_row(message: Event, tag: bytes, about: bytes, proto: TensorProto) -> Row:
    unknown = proto.tensor_shape.unknown_rank
    shape = None if unknown else tuple(dim.size for dim in proto.tensor_shape.dim)

    def schema(kind: ValueKind) -> ValueSchema:
        return ValueSchema(tag, kind, proto.dtype, shape, about)

    for dtype, code, numbers in ((1, "<f", proto.float_val), (2, "<d", proto.double_val)):
        size = struct.calcsize(code)
        elements = proto.tensor_content or b"".join(struct.pack(code, number) for number in numbers)
        if shape == () and proto.dtype == dtype and len(elements) == size:
            return _row(message, schema(ValueKind.SCALAR_TENSOR), struct.unpack(code, elements)[0])
    if proto.tensor_content:
        return _row(message, schema(ValueKind.TENSOR_CONTENT), payload=proto.tensor_content)
    return _row(message, schema(ValueKind.TENSOR_PROTO), payload=proto.SerializeToString())


_PARSED_PAYLOADS = {
    ValueKind.TENSOR_PROTO: TensorProto,
    ValueKind.HISTO: HistogramProto,
    ValueKind.IMAGE: Summary.Image,
    ValueKind.AUDIO: Summary.Audio,
}


def normal(row: Row) -> Row:
    """Return a row with its messages serialized in one way, whatever the order of fields on disk."""
    about = SummaryMetadata.FromString(row.schema.metadata).SerializeToString(deterministic=True)
    schema = ValueSchema(row.schema.tag, row.schema.kind, row.schema.dtype, row.schema.shape, about)
    cls = _PARSED_PAYLOADS.get(row.schema.kind)
    payload = cls.FromString(row.payload).SerializeToString(deterministic=True) if cls else row.payload
    return row._replace(schema=schema, payload=payload)


def without_unknown_fields(serialized: bytes) -> Event:
    """Return the event that TensorBoard reads."""
    message = Event.FromString(serialized)
    message.DiscardUnknownFields()
    return message


def assert_as_tensorboard_reads(serialized: bytes) -> None:
    rows = read_by_all(frame(serialized)).rows
    kept = [normal(_discarding(row)) for row in rows]
    assert kept == [normal(row) for row in expected_rows(without_unknown_fields(serialized))]


def _discarding(row: Row) -> Row:
    cls = _PARSED_PAYLOADS.get(row.schema.kind)
    about = SummaryMetadata.FromString(row.schema.metadata)
    about.DiscardUnknownFields()
    schema = row.schema
    schema = ValueSchema(schema.tag, schema.kind, schema.dtype, schema.shape, about.SerializeToString())
    if cls is None:
        return row._replace(schema=schema)
    payload = cls.FromString(row.payload)
    payload.DiscardUnknownFields()
    return row._replace(schema=schema, payload=payload.SerializeToString())


# An event of each form


def classified(value: Any) -> Any:
    """Return a value whose metadata have a class of data, as TensorFlow 2 writes it after all else."""
    value.metadata.data_class = 2
    value.metadata.summary_description = "about"
    return value


def events_of_each_form() -> list[bytes]:
    """Return an event of each form that the compiled scanner reads."""
    made = [
        event(scalar("a", 1.5), scalar("b", 2.5, "float64"), simple_value("c", 3.5), step=300, wall_time=1.7e9),
        event(tensor("t", tensor_of("DT_FLOAT", (2, 3), float_val=[1, 2, 3])), step=-1),
        event(tensor("u", tensor_of("DT_DOUBLE", None, double_val=[1.0])), text("n", ["x", "y"])),
        event(histogram("h", [[0, 1, 2]]), step=2**40),
        event(
            classified(tensor("i", tensor_of("DT_FLOAT", (), float_val=[1]), "images", content=b"\x08\x01")),
            Summary.Value(tag="_hparams_/session_start_info", metadata=metadata("hparams", bytes(200))),
            Summary.Value(tag="nameless", metadata=metadata("", b"content", "display", "description")),
            step=3,
        ),
        event(graph_def=b"graph", wall_time=2.5),
        event(meta_graph_def=b"meta graph", step=1),
        event(tagged_run_metadata=TaggedRunMetadata(tag="step1", run_metadata=b"metadata"), step=1),
        event(session_log={"status": 1, "checkpoint_path": "model.ckpt", "msg": "restored"}, step=4),
        event(summary=Summary(), step=5),
        event(step=6),
    ]
    return [each.SerializeToString() for each in made]


EVENTS_OF_EACH_FORM = range(len(events_of_each_form()))


# Events by TensorBoard's classes

names = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(["loss", "a/b", "", "Loss"])
blobs = st.binary(max_size=20)
steps = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 300)
doubles = st.floats()
float32s = st.floats(width=32)
shapes = st.lists(st.integers(-1, 5) | st.just(2**40), max_size=4) | st.just([1] * 33)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


@st.composite
def tensor_protos(draw: st.DrawFn) -> TensorProto:
    proto = TensorProto(dtype=draw(st.integers(0, 30)), version_number=draw(st.sampled_from([0, 1, -1])))
    if draw(st.booleans()):
        proto.dtype = draw(st.sampled_from([1, 2]))
    shape = draw(optional(shapes))
    if shape is not None:
        proto.tensor_shape.SetInParent()
        for size in shape:
            proto.tensor_shape.dim.add(size=size, name=draw(st.sampled_from(["", "batch"])))
        proto.tensor_shape.unknown_rank = draw(st.sampled_from([False, False, True]))
    proto.tensor_content = draw(st.just(b"") | st.binary(min_size=4, max_size=8) | blobs)
    proto.float_val.extend(draw(st.lists(float32s, max_size=2)))
    proto.double_val.extend(draw(st.lists(doubles, max_size=2)))
    proto.int_val.extend(draw(st.lists(st.integers(-5, 300), max_size=2)))
    proto.string_val.extend(draw(st.lists(blobs, max_size=2)))
    proto.half_val.extend(draw(st.lists(st.integers(0, 2**31 - 1), max_size=2)))
    return proto


@st.composite
def summary_values(draw: st.DrawFn) -> Any:
    value = Summary.Value(tag=draw(names), node_name=draw(st.just("") | names))
    if draw(st.booleans()):
        value.metadata.CopyFrom(metadata(draw(names), draw(blobs), draw(names), draw(names)))
        value.metadata.data_class = draw(st.integers(0, 3) | st.sampled_from([-1, 127, 128]))
    which = draw(st.sampled_from(["simple_value", "tensor", "tensor", "histo", "image", "audio", "obsolete", "none"]))
    if which == "simple_value":
        value.simple_value = draw(float32s)
    elif which == "tensor":
        value.tensor.CopyFrom(draw(tensor_protos()))
    elif which == "histo":
        value.histo.CopyFrom(HistogramProto(min=draw(doubles), bucket=draw(st.lists(doubles, max_size=3))))
    elif which == "image":
        value.image.CopyFrom(Summary.Image(height=draw(st.integers(0, 300)), encoded_image_string=draw(blobs)))
    elif which == "audio":
        value.audio.CopyFrom(Summary.Audio(sample_rate=draw(float32s), encoded_audio_string=draw(blobs)))
    elif which == "obsolete":
        value.obsolete_old_style_histogram = draw(blobs)
    return value


@st.composite
def proto_events(draw: st.DrawFn) -> Event:
    made = event(step=draw(steps), wall_time=draw(doubles))
    what = draw(st.sampled_from(["summary"] * 6 + ["file_version", "graph", "meta", "metadata", "session", "nothing"]))
    if what == "summary":
        made.summary.CopyFrom(Summary(value=draw(st.lists(summary_values(), max_size=4))))
    elif what == "file_version":
        made.file_version = draw(names)
        made.source_metadata.writer = draw(names)
    elif what == "graph":
        made.graph_def = draw(blobs)
    elif what == "meta":
        made.meta_graph_def = draw(blobs)
    elif what == "metadata":
        made.tagged_run_metadata.CopyFrom(TaggedRunMetadata(tag=draw(names), run_metadata=draw(blobs)))
    elif what == "session":
        made.session_log.status = draw(st.sampled_from([0, 1, 2, 3]))
        made.session_log.checkpoint_path = draw(names)
        made.session_log.msg = draw(names)
    return made


@settings(max_examples=300, deadline=None)
@given(st.lists(proto_events(), max_size=3))
@pytest.mark.slow
def test_events_are_read_as_tensorboard_reads_them(events: list[Event]) -> None:
    serialized = [each.SerializeToString() for each in events]
    rows = read_by_all(frames(serialized)).rows
    assert [normal(row) for row in rows] == [normal(row) for each in events for row in expected_rows(each)]


# The wire format, field by field


def split(message: bytes) -> list[bytes]:
    """Return the fields of a sound message, each with its key."""
    fields = []
    position = start = 0
    while position < len(message):
        key, position = _varint_at(message, position)
        if key & 7 == 2:
            size, position = _varint_at(message, position)
            position += size
        elif key & 7 == 0:
            _, position = _varint_at(message, position)
        else:
            position += {1: 8, 5: 4}[key & 7]
        fields.append(message[start:position])
        start = position
    return fields


def _varint_at(message: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while message[position] > 0x7F:
        number |= (message[position] & 0x7F) << shift
        position, shift = position + 1, shift + 7
    return number | message[position] << shift, position + 1


#: Fields that are messages: Event.summary, Summary.value, Value.tensor, Value.metadata, TensorProto.tensor_shape, dim.
_MESSAGES: dict[int, dict[int, Any]] = {5: {1: {8: {2: {2: {}}}, 9: {}}}}

unknown_fields = st.one_of(
    st.builds(lambda number, content: varint(number << 3) + varint(content), st.just(1000), steps),
    st.builds(field, st.sampled_from([1000, 2**29 - 1]), blobs),
    st.just(varint(1000 << 3 | 1) + b"8 bytes!"),
    st.just(varint(1000 << 3 | 5) + b"four"),
    st.just(varint(1000 << 3 | 3) + field(1, b"in a group") + varint(1000 << 3 | 4)),
)


def stirred(draw: st.DrawFn, message: bytes, known: dict[int, Any]) -> bytes:
    """Return a message with its fields in another order, those of one number aside, and with unknown ones between."""
    fields = []
    for each in split(message):
        key, start = _varint_at(each, 0)
        if key & 7 == 2 and key >> 3 in known:
            _, start = _varint_at(each, start)
            fields.append(field(key >> 3, stirred(draw, each[start:], known[key >> 3])))
        else:
            fields.append(each)
    order = draw(st.permutations(range(len(fields)))) if draw(st.booleans()) else range(len(fields))
    queues: dict[int, list[bytes]] = {}
    for each in fields:
        queues.setdefault(_varint_at(each, 0)[0] >> 3, []).append(each)
    made = b""
    for position in order:
        made += queues[_varint_at(fields[position], 0)[0] >> 3].pop(0)
        if draw(st.integers(0, 9)) == 0:
            made += draw(unknown_fields)
    return made


@st.composite
def stirred_events(draw: st.DrawFn) -> bytes:
    return stirred(draw, draw(proto_events()).SerializeToString(), _MESSAGES)


@settings(max_examples=300, deadline=None)
@given(stirred_events())
@pytest.mark.slow
def test_odd_orders_and_unknown_fields_are_read_as_tensorboard_reads_them(serialized: bytes) -> None:
    assert_as_tensorboard_reads(serialized)


def overlong(number: int, size: int) -> bytes:
    """Return a varint of more bytes than it needs."""
    encoded = bytearray(varint(number))
    while len(encoded) < size:
        encoded[-1] |= 0x80
        encoded.append(0)
    return bytes(encoded)


@st.composite
def odd_messages(draw: st.DrawFn, nested: dict[int, Any], numbers: int) -> bytes:
    """Return a message of whatever fields, of whatever wire types, once or more often, whole or not."""
    made = b""
    for _ in range(draw(st.integers(0, 6))):
        number = draw(st.integers(1, numbers) | st.sampled_from([0, 11, 2**29 - 1]))
        wire = draw(st.sampled_from([2, 2, 2, 2, 0, 0, 1, 5, 3, 4, 6, 7]))
        made += overlong(number << 3 | wire, draw(st.sampled_from([1, 1, 1, 2, 5, 6, 10])))
        if wire == 2:
            content = draw(odd_messages(*nested[number]) if number in nested and draw(st.integers(0, 7)) else blobs)
            size = len(content) + draw(st.sampled_from([0] * 12 + [1, -1, 2**31, 2**32, 2**63]))
            made += overlong(max(size, 0), draw(st.sampled_from([1, 1, 1, 5, 6, 10]))) + content
        elif wire == 0:
            made += overlong(draw(steps) & (2**64 - 1), draw(st.sampled_from([1, 1, 1, 10])))
        else:
            made += {1: draw(st.binary(min_size=8, max_size=8)), 5: draw(st.binary(min_size=4, max_size=4))}.get(
                wire, b""
            )
    return made


_ODD: dict[str, Any] = {}
_ODD["dim"] = ({}, 2)
_ODD["shape"] = ({2: _ODD["dim"]}, 3)
_ODD["tensor"] = ({2: _ODD["shape"]}, 14)
_ODD["value"] = ({8: _ODD["tensor"]}, 9)
_ODD["summary"] = ({1: _ODD["value"]}, 2)
_ODD["event"] = ({5: _ODD["summary"]}, 10)


@settings(max_examples=1000, deadline=None)
@given(odd_messages(*_ODD["event"]) | odd_messages(*_ODD["summary"]).map(lambda content: field(5, content)))
@example(b"")
@pytest.mark.slow
def test_the_scanners_agree_on_odd_events(serialized: bytes) -> None:
    neighbour = event(simple_value("neighbour", 1.0), step=7)
    reading = read_by_all(frames([neighbour, serialized, neighbour]))
    assert reading.tags[:1] == reading.tags[-1:] == ["neighbour"]


@needs_compiled
@settings(max_examples=1000, deadline=None)
@given(odd_messages(*_ODD["event"]) | stirred_events())
@example(b"")
@pytest.mark.slow
def test_a_head_is_that_of_the_reference_or_is_left_to_it(serialized: bytes) -> None:
    head = SCANNERS["compiled"].read_head(serialized)
    assert head is None or repr(head) == repr(SCANNERS["reference"].read_head(serialized))


@needs_compiled
@pytest.mark.parametrize("number", EVENTS_OF_EACH_FORM)
def test_the_compiled_scanner_reads_each_head_by_itself(number: int) -> None:
    for made in (events_of_each_form()[number], file_version().SerializeToString()):
        head = SCANNERS["compiled"].read_head(made)
        assert head is not None
        assert head == SCANNERS["reference"].read_head(made)


@settings(max_examples=400, deadline=None)
@given(odd_messages(*_ODD["value"]))
@pytest.mark.slow
def test_the_scanners_agree_on_odd_values(value: bytes) -> None:
    read_by_all(frames([raw_event(simple_value("before", 1.0), value, simple_value("behind", 2.0), step=3)]))


@settings(max_examples=400, deadline=None)
@given(odd_messages(*_ODD["tensor"]))
@pytest.mark.slow
def test_the_scanners_agree_on_odd_tensors(proto: bytes) -> None:
    read_by_all(frames([raw_event(raw_value(b"tensor", field(8, proto)), step=3)]))


def regular_events() -> list[bytes]:
    """Return events whose mutations are of interest: a few of each sample log, and some that no sample has."""
    found = []
    for path in SAMPLES:
        if path.parent.name not in {"damaged", "unfinished"}:
            found += [payload for payload in payloads(path.read_bytes()) if len(payload) < 400][:40]
    return found + events_of_each_form() * 4


def mutated(payload: bytes, source: random.Random) -> bytes:
    """Return a payload with one to three places changed."""
    for _ in range(source.choice([1, 1, 2, 3])):
        at = source.randrange(len(payload) + 1)
        size = source.choice([1, 1, 1, 2, 5, 9])
        other = source.choice(
            [
                bytes([source.randrange(256)]) * (at < len(payload)),
                source.choice([b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\x80\x00", b"\xff" * 9 + b"\x01"]),
                payload[at : at + 2 * size] * 2,
                b"",
            ]
        )
        payload = payload[:at] + other + payload[at + size * source.choice([0, 1]) :]
    return payload


@pytest.mark.parametrize("seed", range(8))
def test_the_scanners_agree_on_mutated_events(seed: int) -> None:
    source = random.Random(seed)
    events = regular_events()
    mutations = [mutated(source.choice(events), source) for _ in range(1500)]
    reading = read_by_all(frames(mutations))
    assert reading.account.records + reading.account.damaged_records == len(mutations)
    assert 100 < reading.account.damaged_records < 1400, "most mutations should hit, but not all"


@pytest.mark.parametrize("number", EVENTS_OF_EACH_FORM)
def test_the_scanners_agree_on_every_byte_of_an_event(number: int) -> None:
    payload = events_of_each_form()[number]
    changed = [
        flip(payload, offset, mask) for offset in range(len(payload)) for mask in (0x01, 0x02, 0x04, 0x08, 0x80, 0xFF)
    ]
    changed += [payload[:offset] for offset in range(len(payload))]
    read_by_all(frames(changed))


def scanned_by_itself(data: bytes, start: int = 0) -> tuple[int, int]:
    """Return the status and the position at which the compiled scanner stops."""
    columns, scanner = ValueColumns(), SCANNERS["compiled"]
    columns.reserve(len(data))
    status, position, _ = scanner.scan(memoryview(data), start, 0, scanner.schema_table(), columns)
    return status, position


@needs_compiled
@pytest.mark.parametrize("number", EVENTS_OF_EACH_FORM)
def test_the_compiled_scanner_reads_each_form_by_itself(number: int) -> None:
    data = frame(events_of_each_form()[number])
    assert scanned_by_itself(data) == (ScanStatus.MORE, len(data))


@needs_compiled
def test_metadata_with_content_that_are_long_or_unusual_are_left_to_the_reference() -> None:
    content = metadata("p", b"content").SerializeToString()
    unusual = [
        content + field(2, b""),
        field(2, b"display") + content,
        content + field(4, b""),
        content + varint(4 << 3) + varint(0),
        content + varint(4 << 3) + varint(300),
        field(1, field(2, b"content") + field(1, b"p")),
        metadata("p" * 300, b"content").SerializeToString(),
        metadata("p", b"content", description="d" * 300).SerializeToString(),
    ]
    for about in unusual:
        event_with_it = raw_event(raw_value(b"a", field(9, about)))
        assert scanned_by_itself(frame(event_with_it)) == (ScanStatus.IRREGULAR, 0)
        assert_as_tensorboard_reads(event_with_it)


# Sample logs


@needs_compiled
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.relative_to(SAMPLE_LOGS).parent.as_posix())
def test_the_compiled_scanner_reads_what_writers_write_by_itself(path: Path) -> None:
    """So that a list of a small log need not import protobuf."""
    if path.parent.name == "damaged":
        pytest.skip("its records are not all sound")
    assert scanned_by_itself(path.read_bytes())[0] == ScanStatus.MORE


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.relative_to(SAMPLE_LOGS).parent.as_posix())
def test_the_scanners_agree_on_sample_logs(path: Path) -> None:
    data = path.read_bytes()
    whole = read_by_all(data)
    assert whole.account.records > 1
    for chunk_size in (1, 100, 1000, 4096):
        pieces = read_by_all(data, chunk_size=chunk_size)
        assert pieces.rows == whole.rows
        assert pieces.account == whole.account


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.relative_to(SAMPLE_LOGS).parent.as_posix())
def test_sample_logs_are_read_as_tensorboard_reads_them(path: Path) -> None:
    if path.parent.name in {"damaged", "unfinished"}:
        pytest.skip("its records are not all sound")
    data = path.read_bytes()
    expected = [row for payload in payloads(data) for row in expected_rows(Event.FromString(payload))]
    assert [normal(row) for row in read_by_all(data).rows] == [normal(row) for row in expected]


# Single cases, by name


def only_row(data: bytes) -> Row:
    (row,) = read_by_all(frame(data)).rows
    return row


def test_a_scalar_is_a_number_without_payload() -> None:
    row = only_row(event(scalar("a", 0.1), step=5, wall_time=7.5).SerializeToString())
    assert row.schema.kind == ValueKind.SCALAR_TENSOR
    assert (row.number, row.step, row.payload) == (struct.unpack("<f", struct.pack("<f", 0.1))[0], 5, b"")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -0.0, 2.0**-149, 3.4028234663852886e38])
def test_float32_values_keep_their_value(number: float) -> None:
    for value in (simple_value("a", number), scalar("a", number)):
        row = only_row(event(value).SerializeToString())
        assert row.scalar == struct.pack("<d", number)


def test_plugin_content_alone_is_a_payload() -> None:
    row = only_row(event(Summary.Value(tag="h", metadata=metadata("hparams", b"content"))).SerializeToString())
    about = metadata("hparams").SerializeToString()
    assert row.schema == ValueSchema(b"h", ValueKind.PLUGIN_CONTENT, metadata=about)
    assert (row.payload, row.content) == (b"content", b"")


def test_an_empty_value_is_counted_as_a_value() -> None:
    about = metadata("flight", display_name="Flight")
    row = only_row(event(Summary.Value(tag="h", metadata=about)).SerializeToString())
    assert row.schema == ValueSchema(b"h", ValueKind.NONE, metadata=about.SerializeToString())
    assert (row.payload, row.content) == (b"", b"")


@pytest.mark.parametrize("size", [1, 200, 100_000])
def test_plugin_contents_beside_a_payload_share_one_schema(size: int) -> None:
    values = [tensor("t", np.float32([1, 2]), "p", content=bytes([number]) * size) for number in range(3)]
    reading = read_by_all(frames([event(value, step=step) for step, value in enumerate(values)]))
    assert [row.content for row in reading.rows] == [bytes([number]) * size for number in range(3)]
    assert len(reading.schemas) == 1
    assert {row.payload for row in reading.rows} == {np.float32([1, 2]).tobytes()}


def test_a_node_name_replaces_a_missing_tag() -> None:
    assert only_row(event(Summary.Value(node_name="n", simple_value=1.0)).SerializeToString()).schema.tag == b"n"
    assert only_row(event(Summary.Value(tag="t", node_name="n")).SerializeToString()).schema.tag == b"t"


def test_a_tag_that_is_not_utf8_is_kept() -> None:
    assert only_row(raw_event(raw_value(b"\xff\xfe", varint(2 << 3 | 5) + bytes(4)))).schema.tag == b"\xff\xfe"


def test_an_unknown_rank_is_not_a_shape() -> None:
    proto = tensor_of("DT_FLOAT", None, tensor_content=bytes(8))
    proto.tensor_shape.unknown_rank = True
    row = only_row(event(tensor("t", proto)).SerializeToString())
    assert (row.schema.shape, row.schema.kind) == (None, ValueKind.TENSOR_CONTENT)


@pytest.mark.parametrize("rank", [31, 32, 33, 100])
def test_a_rank_may_be_high(rank: int) -> None:
    row = only_row(event(tensor("t", tensor_of("DT_FLOAT", [1] * rank, tensor_content=bytes(4)))).SerializeToString())
    assert row.schema.shape == (1,) * rank


def test_unpacked_numbers_are_left_to_the_decoder() -> None:
    proto = varint(1 << 3) + b"\x01" + varint(5 << 3 | 5) + struct.pack("<f", 1.5)
    row = only_row(raw_event(raw_value(b"t", field(8, proto))))
    assert (row.schema.kind, row.schema.dtype, row.payload) == (ValueKind.TENSOR_PROTO, 1, proto)


def test_a_summary_beside_a_graph_is_read() -> None:
    serialized = raw_event(simple_value("a", 1.0), more=field(4, b"graph") + field(9, b"meta"))
    assert read_by_all(frame(serialized)).tags == ["a", "__run_graph__", "__meta_graph__"]


def test_a_second_summary_is_read() -> None:
    serialized = raw_event(simple_value("a", 1.0)) + field(5, field(1, simple_value("b", 2.0).SerializeToString()))
    assert read_by_all(frame(serialized)).tags == ["a", "b"]


def test_each_tagged_run_metadata_is_read() -> None:
    tagged = [field(8, field(1, tag) + field(2, b"of " + tag)) for tag in (b"a", b"b")]
    reading = read_by_all(frame(raw_event(more=b"".join(tagged))))
    assert [(row.schema.tag, row.schema.kind, row.payload) for row in reading.rows] == [
        (b"a", ValueKind.RUN_METADATA, b"of a"),
        (b"b", ValueKind.RUN_METADATA, b"of b"),
    ]


def test_pieces_of_a_message_are_one_message() -> None:
    """As protobuf has it: to join what two fields of one number hold is to merge them."""
    shape = [field(2, field(2, varint(1 << 3) + varint(size))) for size in (2, 3)]
    proto = varint(1 << 3) + b"\x01" + b"".join(shape) + field(4, bytes(24))
    pieces = [metadata("hparams").SerializeToString(), field(2, b"its name")]
    row = only_row(raw_event(raw_value(b"t", field(8, proto), *(field(9, piece) for piece in pieces))))
    assert row.schema == ValueSchema(b"t", ValueKind.TENSOR_CONTENT, 1, (2, 3), b"".join(pieces))
    assert TensorProto.FromString(proto).tensor_shape.dim[1].size == 3
    scalar_in_pieces = varint(1 << 3) + b"\x01" + field(2, b"") + field(5, b"") + field(5, struct.pack("<f", 1.5))
    assert only_row(raw_event(raw_value(b"t", field(8, scalar_in_pieces)))).number == 1.5


def test_a_first_event_with_a_broken_summary_has_its_time() -> None:
    data = frame(double_field(1, 5.5) + field(5, b"\xff"))
    assert read_by_all(data).account.damaged_records == 1
    assert first_event(MemorySource(data)).wall_time == 5.5


def test_the_last_step_of_an_event_is_used() -> None:
    serialized = raw_event(simple_value("a", 1.0), step=3) + varint(2 << 3) + varint(4)
    assert only_row(serialized).step == 4


def test_a_broken_tensor_does_not_cost_its_neighbours() -> None:
    reading = read_by_all(
        frame(raw_event(simple_value("a", 1.0), raw_value(b"bad", field(8, b"\xff")), simple_value("b", 2.0)))
    )
    assert reading.tags == ["a", "bad", "b"]
    assert reading.rows[1].payload == b"\xff"
    assert not reading.account.damage


def test_a_broken_event_is_damage_and_costs_no_other() -> None:
    before, broken, behind = (event(simple_value(tag, 1.0)).SerializeToString() for tag in ("a", "b", "c"))
    data = frames([before, broken[:-1], behind])
    reading = read_by_all(data)
    assert reading.tags == ["a", "c"]
    (damage,) = reading.account.damage
    assert (damage.kind, damage.lost) == ("malformed_event", True)
    assert (damage.offset, damage.length) == (len(frame(before)), len(frame(broken[:-1])))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_varints_may_take_more_bytes_than_they_need(size: int) -> None:
    value = simple_value("a", 1.0).SerializeToString()
    summary = overlong(1 << 3 | 2, size) + overlong(len(value), size) + value
    row = only_row(
        overlong(2 << 3, size) + overlong(7, 10) + overlong(5 << 3 | 2, size) + varint(len(summary)) + summary
    )
    assert (row.schema.tag, row.step) == (b"a", 7)


@pytest.mark.parametrize("size", [6, 9, 10])
@pytest.mark.parametrize("where", ["key", "size"])
def test_the_scanners_agree_on_keys_and_sizes_of_too_many_bytes(size: int, where: str) -> None:
    summary = field(1, simple_value("a", 1.0).SerializeToString())
    if where == "key":
        read_by_all(frame(overlong(5 << 3 | 2, size) + varint(len(summary)) + summary))
    else:
        read_by_all(frame(varint(5 << 3 | 2) + overlong(len(summary), size) + summary))


def test_a_broken_event_adds_no_schemas() -> None:
    data = frames([raw_event(simple_value("a", 1.0), b"\x0b"), event(simple_value("b", 1.0))])
    assert [ValueSchema.from_key(key).tag for key in read_by_all(data).schemas] == [b"b"]


# Chunks

#: Values, none, legacy and large, damaged, odd, and none again.
MIXED = frames(
    [
        file_version(),
        event(simple_value("a", 1.0), simple_value("b", 1.5), step=1),
        event(step=2),
        event(tensor("big", tensor_of("DT_FLOAT", (50,), tensor_content=bytes(range(200)))), step=3),
        event(session_log={"status": 1}, step=4),
        raw_event(simple_value("odd", 2.0), step=5) + field(5, b""),
        event(scalar("a", 3.0), step=6),
        event(step=7),
        event(histogram("h", [[0, 1, 2]]), step=8),
        event(step=9),
        event(simple_value("b", 4.0), step=10),
    ]
)


@pytest.mark.parametrize("scanner", SCANNERS)
@pytest.mark.slow
def test_chunks_of_every_size_give_the_same(scanner: str) -> None:
    damaged = with_length_broken(with_payload_broken(MIXED, 6), 4)
    for data in (MIXED, damaged, damaged[:-3]):
        whole = read(data, scanner)
        for chunk_size in range(len(data) + 2):
            pieces = read(data, scanner, chunk_size=chunk_size)
            assert pieces.rows == whole.rows
            assert pieces.account == whole.account
            assert pieces.offset == whole.offset


@pytest.mark.parametrize("scanner", SCANNERS)
def test_chunks_have_the_requested_size(scanner: str) -> None:
    """Each byte is read about once, in as few pieces as that takes."""
    data = frames([event(simple_value("a", 1.0), step=step) for step in range(2000)])
    source = MemorySource(data)
    reader = EventFileReader(source, SCANNERS[scanner], SCANNERS[scanner].schema_table(), chunk_size=len(data) // 10)
    assert sum(1 for _ in reader.blocks()) in {10, 11}
    assert source.bytes_read < 1.1 * len(data)


@pytest.mark.parametrize("scanner", SCANNERS)
def test_windows_of_every_size_give_the_same(scanner: str) -> None:
    """Whatever of the payloads is in which window, and however large the chunk around it is."""
    damaged = with_length_broken(with_payload_broken(MIXED, 6), 4)
    for data in (MIXED, damaged, damaged[:-3]):
        whole = read(MemorySource(data, window=len(data)), scanner)
        for window in (1, 11, 12, 13, *range(20, len(data) + 2, 9)):
            for chunk_size in (len(data) // 3, len(data)):
                pieces = read(MemorySource(data, window=window), scanner, chunk_size=chunk_size)
                assert pieces == whole


@pytest.mark.parametrize("scanner", SCANNERS)
def test_scalars_take_no_more_memory_than_a_window(scanner: str) -> None:
    """And what comes after a payload is read at one go."""
    scalars = [event(simple_value("a", 1.0), step=step) for step in range(2000)]
    for events, largest in ((scalars, 1000), ([*scalars, event(histogram("h", [[0, 1, 2]])), *scalars], 65_000)):
        source = MemorySource(frames(events), window=1000)
        reader = EventFileReader(source, SCANNERS[scanner], SCANNERS[scanner].schema_table())
        (block,) = reader.blocks()
        assert len(block) == len(events)
        assert len(block.buffer) <= largest + 1000
        assert source.largest_read <= largest
        assert source.bytes_read < 1.1 * source.size


@pytest.mark.parametrize("scanner", SCANNERS)
@pytest.mark.slow
def test_a_block_stays_valid_while_the_next_is_read(scanner: str) -> None:
    damaged = with_length_broken(with_payload_broken(MIXED, 6), 4)
    for data in (MIXED, damaged, MIXED * 3):
        for chunk_size in range(12, 400):
            schemas = SCANNERS[scanner].schema_table()
            reader = EventFileReader(MemorySource(data), SCANNERS[scanner], schemas, chunk_size=chunk_size)
            blocks = reader.blocks()
            before = next(blocks)
            rows = rows_of(before, schemas)
            for block in blocks:
                assert rows_of(before, schemas) == rows
                before, rows = block, rows_of(block, schemas)
            assert rows_of(before, schemas) == rows


@pytest.mark.parametrize("scanner", SCANNERS)
def test_a_block_has_the_offsets_of_its_payloads(scanner: str) -> None:
    payload = bytes(range(200))
    for chunk_size in (12, 300, 1 << 20):
        reader = EventFileReader(
            MemorySource(MIXED), SCANNERS[scanner], SCANNERS[scanner].schema_table(), chunk_size=chunk_size
        )
        offsets = [
            int(block.columns.payload_offset[row])
            for block in reader.blocks()
            for row in range(len(block))
            if block.columns.payload_length[row] == len(payload)
        ]
        assert offsets == [MIXED.index(payload)]


def test_both_scanners_fill_the_same_columns() -> None:
    empty = [
        legacy_histogram("h", [], []),
        tensor("t", tensor_of("DT_STRING")),
        tensor("z", np.zeros((0, 2), "float32")),
        tensor("c", np.zeros((0, 2), "float32"), "p", content=b"content"),
        *([Summary.Value(tag="nothing")] * 3),
    ]
    data = MIXED + frames([event(*empty, step=1), event(histogram("h", [[0, 1, 2]]), *empty, step=2)])
    columns = []
    for scanner in SCANNERS.values():
        reader = EventFileReader(MemorySource(data), scanner, scanner.schema_table())
        (block,) = reader.blocks()
        columns.append({name: getattr(block.columns, name)[: len(block)].tobytes() for name in COLUMN_NAMES})
        columns[-1]["contents"] = block.columns.contents.tobytes()
        assert block.columns.without_row == 4
    assert len(columns[0]["step"]) > len(empty)
    assert all(each == columns[0] for each in columns)


class FailingSource(MemorySource):
    """A file on a disk of which one sector cannot be read."""

    fails_at = 0

    def read_at(self, offset: int, length: int) -> bytes:
        if offset <= self.fails_at < offset + length:
            raise OSError(errno.EIO, "Input/output error")
        return super().read_at(offset, length)


@pytest.mark.parametrize("scanner", SCANNERS)
@pytest.mark.slow
def test_values_before_an_unreadable_sector_are_kept(scanner: str) -> None:
    """Value by value, whichever window or chunk it is in; and reading goes on there once it can be read."""
    damaged = with_length_broken(with_payload_broken(MIXED, 6), 4)
    for data, window, chunk_size in itertools.product((MIXED, damaged), (30, 100, 1000), (200, 1000)):
        whole = read(data, scanner)
        for fails_at in range(0, len(data), 5):
            source = FailingSource(data, window=window)
            source.fails_at = fails_at
            schemas = SCANNERS[scanner].schema_table()
            reader = EventFileReader(source, SCANNERS[scanner], schemas, chunk_size=chunk_size)
            rows: list[Row] = []
            blocks = reader.blocks()
            with contextlib.suppress(OSError):
                while True:
                    rows += rows_of(next(blocks), schemas)
            assert rows == whole.rows[: len(rows)]
            assert reader.account.values == len(rows)
            source.fails_at = len(data)
            later = EventFileReader(
                source, SCANNERS[scanner], schemas, chunk_size=chunk_size, offset=reader.offset, account=reader.account
            )
            for block in later.blocks():
                rows += rows_of(block, schemas)
            assert rows == whole.rows
            assert later.account == whole.account


@pytest.mark.parametrize("scanner", SCANNERS)
def test_reading_resumes_where_it_stopped(scanner: str) -> None:
    whole = read(MIXED, scanner)
    for size in range(len(MIXED)):
        schemas = SCANNERS[scanner].schema_table()
        first = read(MIXED[:size], scanner, schemas=schemas)
        assert first.offset == max(record.stop for record in [*records(MIXED), _NO_RECORD] if record.stop <= size)
        second = read(MIXED, scanner, schemas=schemas, offset=first.offset)
        assert first.rows + second.rows == whole.rows
        assert first.account.records + second.account.records == whole.account.records
        second_account = second.account
        assert second_account.bytes == second_account.record_bytes == len(MIXED) - first.offset


_NO_RECORD = records(MIXED)[0]._replace(stop=0)


@pytest.mark.parametrize("scanner", SCANNERS)
def test_a_file_that_is_cut_while_it_is_read_is_unfinished(scanner: str) -> None:
    for size in range(0, len(MIXED), 7):
        source = MemorySource(MIXED)
        source._data = MIXED[:size]
        reading = read(source, scanner, chunk_size=200)
        reading.check_account()
        assert reading.rows == read(MIXED[:size], scanner).rows
        assert not reading.account.damage


# Columns and forms


@pytest.mark.parametrize("scanner", SCANNERS)
@pytest.mark.parametrize("count", [1, 16, 17, 40, 1000, 5000])
def test_an_event_may_have_more_values_than_the_columns_have_room(scanner: str, count: int) -> None:
    data = frames([raw_event(*[raw_value(b"")] * count, step=1), event(simple_value("behind", 1.0))])
    reading = read(data, scanner)
    assert len(reading.rows) == count + 1
    assert reading.tags[-1] == "behind"
    assert reading.account.records == 2


@pytest.mark.parametrize("scanner", SCANNERS)
def test_equal_empty_values_of_an_event_share_a_row(scanner: str) -> None:
    empty, other = Summary.Value(tag="e"), Summary.Value(tag="o")
    values = [[empty, empty, other, empty], [empty, simple_value("s", 1.0), empty, empty, empty]]
    reading = read(frames([event(*each, step=step) for step, each in enumerate(values)]), scanner)
    reading.check_account()
    assert [(row.step, *row.schema.tag.decode()) for row in reading.rows] == [
        (step, value.tag) for step, each in enumerate(values) for value in each
    ]
    assert reading.without_row == 3


@needs_compiled
@pytest.mark.parametrize("capacity", range(4))
def test_full_columns_stop_the_scan_before_the_event(capacity: int) -> None:
    scanner = SCANNERS["compiled"]
    first = frames([event(simple_value("a", 1.0))])
    data = first + frames([event(simple_value("b", 1.0), simple_value("c", 1.0), simple_value("d", 1.0))])
    columns = ValueColumns()
    columns.reserve(capacity)
    status, position, count = scanner.scan(memoryview(data), 0, 0, scanner.schema_table(), columns)
    expected = (len(first), 1, 1) if capacity else (0, 0, 0)
    assert (status, position, count, columns.size) == (ScanStatus.FULL, *expected)


@pytest.mark.parametrize("scanner", SCANNERS)
def test_a_scan_starts_inside_the_buffer_only(scanner: str) -> None:
    columns = ValueColumns()
    columns.reserve(4)
    schemas = SCANNERS[scanner].schema_table()
    for data in (b"", MIXED):
        assert SCANNERS[scanner].scan(memoryview(data), len(data), 0, schemas, columns)[:2] == (0, len(data))


@pytest.mark.parametrize("scanner", SCANNERS)
def test_thousands_of_schemas_keep_their_numbers(scanner: str) -> None:
    tags = [f"tag_{number:05}" for number in range(3000)]
    shuffled = random.Random(1).sample(tags, len(tags))
    reading = read(frames([event(*(simple_value(tag, 1.0) for tag in [*tags, *shuffled, *tags]))]), scanner)
    assert reading.tags == [*tags, *shuffled, *tags]
    assert [ValueSchema.from_key(key).tag.decode() for key in reading.schemas] == tags


def test_schemas_that_share_their_bytes_stay_apart() -> None:
    pairs = [
        (b"ab", b"c"),
        (b"a", b"bc"),
        (b"abc", b""),
        (b"", b"abc"),
        (b"ab", b"d"),
        (b"\0" * 8, b""),
        (b"", b"\0" * 8),
    ]
    values = [raw_value(tag, field(9, about)) for tag, about in pairs]
    shaped = [
        tensor("t", tensor_of("DT_INT8", shape, tensor_content=b"x")) for shape in ((), (0,), (0, 0), (1,), (256,))
    ]
    reading = read_by_all(frame(raw_event(*values, *shaped, *values)))
    assert [(row.schema.tag, row.schema.metadata) for row in reading.rows[: len(pairs)]] == pairs
    assert [row.schema.shape for row in reading.rows[len(pairs) :][: len(shaped)]] == [(), (0,), (0, 0), (1,), (256,)]
    assert len(reading.schemas) == len(pairs) + len(shaped)


@pytest.mark.parametrize("scanner", SCANNERS)
@settings(deadline=None)
@example(keys=[b"", b"a", b""])
@given(keys=st.lists(st.binary(max_size=20) | st.sampled_from([b"\0", b"\0" * 8, b"\0" * 9]), max_size=60))
def test_interning_numbers_keys_in_the_order_of_their_first(scanner: str, keys: list[bytes]) -> None:
    table = SCANNERS[scanner].schema_table()
    distinct = list(dict.fromkeys(keys))
    assert [table.intern(key) for key in keys] == [distinct.index(key) for key in keys]
    assert [table.key(number) for number in range(len(table))] == distinct
    with pytest.raises(IndexError):
        table.key(len(distinct))


schemas_of_any_kind = st.builds(
    ValueSchema,
    st.binary(max_size=10),
    st.sampled_from(ValueKind),
    st.integers(-(2**31), 2**31 - 1),
    st.none() | st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40).map(tuple),
    st.binary(max_size=10),
)


@given(schemas_of_any_kind)
def test_a_key_gives_its_schema_back(schema: ValueSchema) -> None:
    assert ValueSchema.from_key(schema.to_key()) == schema


# Checksums of the compiled scanner


@pytest.fixture(scope="module")
def crc32c() -> Callable[..., int]:
    compiled = pytest.importorskip("tb2csv.event_files._scanner")
    return cast("Callable[..., int]", compiled.crc32c)


def pieces_of(data: bytes) -> Iterator[bytes]:
    for start in range(9):
        for size in range(70):
            yield data[start : start + size]


def test_checksums_by_tables_and_by_instruction_are_the_same(crc32c: Callable[..., int]) -> None:
    data = random.Random(3).randbytes(1 << 16)
    for piece in [data, *pieces_of(data)]:
        expected = google_crc32c.value(piece)
        assert crc32c(piece) == crc32c(piece, by_tables=True) == expected


@given(st.binary(max_size=300))
def test_checksums_are_those_of_crc32c(crc32c: Callable[..., int], data: bytes) -> None:
    assert crc32c(data) == crc32c(data, by_tables=True) == google_crc32c.value(data)


def test_damage_is_found_anywhere() -> None:
    """Each byte of a frame is under one of its checksums, for either scanner."""
    data = event_file([event(simple_value("a", 1.0), step=1)])
    record = records(data)[1]
    for offset in range(record.start, record.stop):
        reading = read_by_all(flip(data, offset))
        assert len(reading.account.damage) == 1
    assert not read_by_all(overwrite(data, slice(0, 0), b"")).account.damage


# Grouping


@given(
    numbers=st.lists(st.integers(0, 5), max_size=60),
    series_of_schema=st.lists(st.integers(0, 3), min_size=6, max_size=6),
)
def test_rows_are_grouped_by_series_in_their_order(numbers: list[int], series_of_schema: list[int]) -> None:
    for scanner in SCANNERS.values():
        order, bounds = np.empty(len(numbers), np.int64), np.empty(5, np.int64)
        scanner.group(np.array(numbers, np.int32), np.array(series_of_schema, np.int32), order, bounds)
        grouped = [order[bounds[i] : bounds[i + 1]].tolist() for i in range(4)]
        assert grouped == [
            [row for row, number in enumerate(numbers) if series_of_schema[number] == series] for series in range(4)
        ]


@pytest.mark.skipif("compiled" not in SCANNERS, reason="nothing is compiled here")
@pytest.mark.parametrize(("numbers", "series_of_schema"), [([0, 2], [0, 1]), ([0, -1], [0, 1]), ([0, 1], [0, 7])])
def test_grouping_refuses_numbers_that_do_not_exist(numbers: list[int], series_of_schema: list[int]) -> None:
    with pytest.raises(IndexError):
        SCANNERS["compiled"].group(
            np.array(numbers, np.int32),
            np.array(series_of_schema, np.int32),
            np.empty(2, np.int64),
            np.empty(3, np.int64),
        )


@pytest.mark.parametrize("cut", [14, 16, 19])
def test_metadata_that_are_cut_into_two_fields_are_damage(cut: int) -> None:
    """TensorBoard's parser refuses the event as well, because each field must be a message of its own.

    So neither scanner keeps the other values of the event.
    """
    about = metadata("hparams", b"content").SerializeToString()
    sound = raw_value(b"sound", field(9, metadata("hparams", b"other").SerializeToString()))
    broken = raw_event(sound, raw_value(b"cut", field(9, about[:cut]), field(9, about[cut:])))
    with pytest.raises(Exception, match="pars"):
        Event.FromString(broken)
    reading = read_by_all(frames([event(scalar("a", 1.0)), broken, event(scalar("b", 2.0))]))
    assert reading.tags == ["a", "b"]
    assert reading.account.damaged_records == 1
