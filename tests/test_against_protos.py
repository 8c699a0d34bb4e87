"""Against TensorBoard's message classes: every value of every sample log and of generated events, bit for bit.

Here an event file is read by TensorBoard's own reader and parsed in full, and what each value means is spelled out a
second time, in the plainest way: one value after the other, no columns, no batches.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from event_files import (
    event,
    histogram,
    legacy_histogram,
    scalar,
    simple_value,
    tensor,
    text,
    torch_new_style,
    write_run,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tables import read_columns, read_index, read_rows, same_bits
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.config_pb2 import RunMetadata
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.meta_graph_pb2 import MetaGraphDef
from tensorboard.compat.proto.types_pb2 import DataType
from tensorboard.util import tensor_util

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE_LOGS = Path(__file__).parents[1] / "sample_logs"
#: ``damaged`` is beyond TensorBoard's reader; test_sample_logs.py has what can be saved of it.
LOGS = sorted(
    path.name for path in SAMPLE_LOGS.iterdir() if path.is_dir() and path.name not in ("damaged", "__pycache__")
)

Row = tuple[Any, ...]


class Value(NamedTuple):
    """What the log says: a summary value, with the plugin that its tag belongs to."""

    tag: str
    plugin: str
    event: Event
    value: Any

    @property
    def array(self) -> np.ndarray[Any, Any]:
        return numbers_of(self.value.tensor)


def numbers_of(proto: Any) -> np.ndarray[Any, Any]:
    """Return a tensor by TensorBoard's reader; bfloat16, which it cannot read, by its definition."""
    if proto.dtype != DataType.DT_BFLOAT16:
        return tensor_util.make_ndarray(proto)
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_content:
        halves = np.frombuffer(proto.tensor_content, "<u2").astype(np.uint32)
        return (halves << 16).view(np.float32).reshape(shape)
    return np.array(proto.half_val, np.uint32).view(np.float32).reshape(shape)  # as PyTorch writes it


def read_run(folder: Path) -> Iterator[Value]:
    """Yield the values of a run: of the files by time, with metadata remembered from its first occurrence."""
    files = [
        [Event.FromString(record) for record in RawEventFileLoader(str(path)).Load()]
        for path in sorted(folder.glob("*tfevents*"))
    ]
    plugins: dict[str, str] = {}
    for events in sorted(files, key=lambda events: events[0].wall_time):
        for each in events:
            for value in each.summary.value:
                plugin = plugins[value.tag] = plugins.get(value.tag) or value.metadata.plugin_data.plugin_name
                yield Value(value.tag, plugin, each, value)


# What each kind of value means: the kind of table, its columns, and its rows.


def scalar_rows(each: Value) -> tuple[str, list[str], list[Row]] | None:
    if each.value.WhichOneof("value") == "simple_value":
        return "scalars", ["value"], [(np.float32(each.value.simple_value),)]
    if each.value.WhichOneof("value") != "tensor" or each.plugin not in ("", "scalars"):
        return None
    array = each.array
    if array.ndim or array.dtype.kind not in "fiub":
        return None
    return "scalars", ["value"], [(widened(array)[()],)]


def histogram_rows(each: Value) -> tuple[str, list[str], list[Row]] | None:
    names = ["bucket", "left", "right", "count"]
    if each.value.WhichOneof("value") == "histo":
        histo = each.value.histo
        first = min(histo.min, histo.bucket_limit[0]) if histo.bucket[0] else histo.bucket_limit[0]
        lefts = [first, *histo.bucket_limit[:-1]]
        return "histograms", names, list(enumerated(zip(lefts, histo.bucket_limit, histo.bucket, strict=True)))
    if each.value.WhichOneof("value") == "tensor" and each.plugin == "histograms":
        return "histograms", names, list(enumerated(each.array.tolist()))
    return None


def enumerated(rows: Any) -> Iterator[Row]:
    return ((i, *row) for i, row in enumerate(rows))


def pr_curve_rows(each: Value) -> tuple[str, list[str], list[Row]] | None:
    if each.plugin != "pr_curves":
        return None
    names = [
        "threshold",
        "true_positives",
        "false_positives",
        "true_negatives",
        "false_negatives",
        "precision",
        "recall",
    ]
    array = each.array
    thresholds = np.linspace(0, 1, array.shape[1])
    return "pr_curves", names, [(t, *column) for t, column in zip(thresholds, array.T, strict=True)]


def string_rows(each: Value) -> tuple[str, list[str], list[Row]] | None:
    if each.value.WhichOneof("value") != "tensor" or each.value.tensor.dtype != DataType.DT_STRING:
        return None
    if each.plugin not in {"text", ""}:  # strings of no plugin are UTF-8 in all sample logs
        return None
    shape = [dim.size for dim in each.value.tensor.tensor_shape.dim]
    strings = each.value.tensor.string_val
    cells = [string.decode() for string in strings]
    places = list(np.ndindex(*shape))
    return "text", [*axes(shape), "text"], [(*place, cell) for place, cell in zip(places, cells, strict=True)]


def axes(shape: Any) -> list[str]:
    return [f"i{axis}" for axis, _ in enumerate(shape)]


def tensor_rows(each: Value) -> tuple[str, list[str], list[Row]] | None:
    if each.value.WhichOneof("value") != "tensor" or each.value.tensor.dtype == DataType.DT_STRING:
        return None
    if each.plugin == "hparams":
        return None
    array = each.array
    kind = "meshes" if each.plugin == "mesh" else "tensors"
    parts = [array.real, array.imag] if np.iscomplexobj(array) else [widened(array)]
    columns = ["real", "imag"] if len(parts) == 2 else ["value"]
    rows = [(*place, *(part[place] for part in parts)) for place in np.ndindex(*array.shape)]
    return kind, [*axes(array.shape), *columns], rows


def widened(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array.astype(np.float32) if array.dtype == np.float16 else array


MEANINGS = (scalar_rows, histogram_rows, pr_curve_rows, string_rows, tensor_rows)


def expected_tables(folder: Path) -> dict[tuple[str, str], tuple[list[str], list[Row]]]:
    """Return the columns and rows of each table of numbers or text, by kind and tag."""
    tables: dict[tuple[str, str], tuple[list[str], list[Row]]] = {}
    for each in read_run(folder):
        meaning = next((found for meaning in MEANINGS if (found := meaning(each))), None)
        if meaning:
            kind, names, rows = meaning
            columns, all_rows = tables.setdefault((kind, each.tag), (["wall_time", "step", *names], []))
            assert columns == ["wall_time", "step", *names]
            all_rows += [(each.event.wall_time, each.event.step, *row) for row in rows]
    return tables


def check_tables(out: Path, run: str, expected: dict[tuple[str, str], tuple[list[str], list[Row]]]) -> None:
    index = {(row["kind"], row["tag"]): row["path"] for row in read_index(out) if row["run"] == run}
    for key, (names, rows) in expected.items():
        columns = read_columns(out, index[key])
        assert list(columns) == names
        for i, name in enumerate(names):
            assert same_bits(columns[name], in_type(columns[name], [row[i] for row in rows])), (key, name)
    others = {kind for kind, tag in set(index) - set(expected)}
    assert others <= {"images", "audio", "graphs", "custom_scalars", "histogram_stats"}


def in_type(column: np.ndarray[Any, Any], cells: list[Any]) -> np.ndarray[Any, Any]:
    """Return the expected cells as an array; of numpy numbers, in their type and no other."""
    if not cells:
        return np.empty(0, column.dtype)
    if column.dtype == object:
        return np.array(cells, object)
    array = np.array(cells)
    return array.astype(np.int64) if array.dtype.kind == "i" and not isinstance(cells[0], np.generic) else array


@pytest.fixture(params=LOGS)
def log(request: pytest.FixtureRequest) -> Path:
    return SAMPLE_LOGS / str(request.param)


def runs_of(log: Path) -> dict[str, Path]:
    folders = {path.parent for path in log.rglob("*tfevents*")}
    return {folder.relative_to(log).as_posix(): folder for folder in folders}


@pytest.mark.usefixtures("scanner")
def test_numbers_and_text_of_sample_logs_equal_the_protos(log: Path, tmp_path: Path) -> None:
    tb2csv.convert(log, tmp_path / "out")
    for run, folder in runs_of(log).items():
        check_tables(tmp_path / "out", run, expected_tables(folder))


def test_stored_bytes_of_sample_logs_equal_the_protos(log: Path, tmp_path: Path) -> None:
    """Images, audio and graphs are written byte for byte, one file after the other."""
    tb2csv.convert(log, tmp_path / "out")
    index = read_index(tmp_path / "out")
    for run, folder in runs_of(log).items():
        expected: dict[str, list[bytes]] = defaultdict(list)
        for each in read_run(folder):
            which = each.value.WhichOneof("value")
            strings = each.value.tensor.string_val
            if which == "image":
                expected[each.tag].append(each.value.image.encoded_image_string)
            elif which == "audio":
                expected[each.tag].append(each.value.audio.encoded_audio_string)
            elif each.plugin == "images":
                expected[each.tag] += strings[2:]
            elif each.plugin == "audio":
                expected[each.tag] += strings[::2]
        for tag, contents in expected.items():
            (path,) = (row["path"] for row in index if (row["run"], row["tag"]) == (run, tag))
            files = [row["path"] for row in read_rows(tmp_path / "out" / path)]
            assert [(tmp_path / "out" / path).parent.joinpath(file).read_bytes() for file in files] == contents


def test_statistics_of_sample_logs_equal_the_protos(log: Path, tmp_path: Path) -> None:
    tb2csv.convert(log, tmp_path / "out")
    index = read_index(tmp_path / "out")
    names = ("min", "max", "num", "sum", "sum_squares")
    for run, folder in runs_of(log).items():
        expected: dict[str, list[Any]] = defaultdict(list)
        for each in read_run(folder):
            if each.value.WhichOneof("value") == "histo":
                expected[each.tag].append(each.value.histo)
        found = [row for row in index if row["run"] == run and row["kind"] == "histogram_stats"]
        assert {row["tag"] for row in found} == set(expected)
        for row in found:
            columns = read_columns(tmp_path / "out", row["path"])
            for name in names:
                assert same_bits(columns[name], np.array([getattr(histo, name) for histo in expected[row["tag"]]]))


def test_graphs_of_sample_logs_equal_the_protos(log: Path, tmp_path: Path) -> None:
    tb2csv.convert(log, tmp_path / "out")
    for run, folder in runs_of(log).items():
        for path in sorted(folder.glob("*tfevents*")):
            for record in RawEventFileLoader(str(path)).Load():
                each = Event.FromString(record)
                place = tmp_path / "out" / run / "graphs"
                if each.graph_def:
                    assert (place / "__run_graph__.files" / "000000_0.pb").read_bytes() == each.graph_def
                    check_nodes(place / "__run_graph__.nodes.csv", GraphDef.FromString(each.graph_def))
                elif each.meta_graph_def:
                    assert (place / "__meta_graph__.files" / "000000_0.pb").read_bytes() == each.meta_graph_def
                    graph = MetaGraphDef.FromString(each.meta_graph_def).graph_def
                    check_nodes(place / "__meta_graph__.nodes.csv", graph)
                elif each.HasField("tagged_run_metadata"):
                    tagged = each.tagged_run_metadata
                    assert (place / f"{tagged.tag}.files" / "000000_0.pb").read_bytes() == tagged.run_metadata
                    assert RunMetadata.FromString(tagged.run_metadata) is not None


def check_nodes(path: Path, graph: GraphDef) -> None:
    found = [(row["name"], row["op"], row["device"], row["inputs"]) for row in read_rows(path)]
    assert found == [(node.name, node.op, node.device, " ".join(node.input)) for node in graph.node]


# Generated events

FLOATS = st.floats(width=32)
TAGS = st.sampled_from(["a", "b/c", "loss"])


@st.composite
def values(draw: st.DrawFn) -> Any:
    """One summary value of a tag that belongs to its type, because each type of a tag has a table of its own."""
    tag = draw(TAGS)
    kinds = {
        "tf2": lambda: scalar(f"tf2/{tag}", draw(FLOATS)),
        "legacy": lambda: simple_value(f"legacy/{tag}", draw(FLOATS)),
        "new_style": lambda: torch_new_style(f"new/{tag}", draw(FLOATS)),
        "double": lambda: scalar(f"double/{tag}", draw(st.floats()), "float64"),
        "int": lambda: scalar(f"int/{tag}", draw(st.integers(-(2**63), 2**63 - 1)), "int64"),
        "tensor": lambda: tensor(
            f"tensor/{tag}",
            draw(hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=3))),
        ),
        "text": lambda: text(f"text/{tag}", draw(st.text(max_size=9))),
        "histogram": lambda: histogram(
            f"histogram/{tag}", draw(hnp.arrays(np.float64, st.tuples(st.integers(0, 4), st.just(3))))
        ),
        "histo": lambda: legacy_histogram(
            f"histo/{tag}",
            *(draw(st.lists(st.floats(), min_size=3, max_size=3)) for _ in range(2)),
            min=draw(st.floats(allow_nan=False)),
        ),
    }
    return kinds[draw(st.sampled_from(sorted(kinds)))]()


EVENTS = st.lists(
    st.builds(
        lambda values, step, wall_time: event(*values, step=step, wall_time=wall_time),
        st.lists(values(), min_size=1, max_size=4),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
    ),
    max_size=12,
)


@pytest.mark.usefixtures("scanner")
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(events=EVENTS, chunk_size=st.sampled_from([30, 200, 1 << 20]))
@pytest.mark.slow
def test_generated_events_equal_the_protos(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event], chunk_size: int
) -> None:
    folder = tmp_path_factory.mktemp("generated")
    write_run(folder / "logs", *events)
    report = tb2csv.convert(folder / "logs", folder / "out", chunk_size=chunk_size)
    assert report.values_read == report.values_written == sum(len(each.summary.value) for each in events)
    check_tables(folder / "out", ".", expected_tables(folder / "logs"))
