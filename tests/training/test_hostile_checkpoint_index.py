"""The index of a TensorFlow checkpoint is checked before TensorFlow reads it, and damaged data are one sentence."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tensorflow as tf
from event_files import masked_crc
from model_mutations import index_entries, index_table
from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto

from tb2csv.errors import StateError
from tb2csv.model_state import export_state, restore_file, state_of
from tb2csv.model_state.checkpoint_index import _is_sound, check_index

if TYPE_CHECKING:
    from collections.abc import Callable


def checkpoint(folder: Path) -> Path:
    model = tf.Module()
    model.all = [tf.Variable(np.full((2, number), number, np.float32)) for number in range(1, 4)]
    return Path(tf.train.Checkpoint(model=model).write(str(folder / "model")))


def index_of(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.index")


def change(prefix: Path, changed: Callable[[BundleEntryProto], Any]) -> None:
    """Change the entries of variables; the lengths and checksums of the index are right afterwards."""
    rows = []
    for key, value in index_entries(index_of(prefix).read_bytes()):
        found = BundleEntryProto.FromString(value)
        if key.startswith(b"model/all"):
            changed(found)
        rows.append((key, found.SerializeToString() if key else value))
    index_of(prefix).write_bytes(index_table(rows))


def refused(prefix: Path, folder: Path) -> None:
    """Assert that a checkpoint is refused in one sentence, and that nothing is written."""
    export_state(checkpoint(folder / "sound"), folder / "state.csv")
    with pytest.raises(StateError, match="not a readable TensorFlow checkpoint"):
        export_state(prefix, folder / "out.csv")
    with pytest.raises(StateError, match="not a readable TensorFlow checkpoint"):
        restore_file(folder / "state.csv", prefix, folder / "out", allow_partial=True)
    assert not list(folder.glob("*out*"))


def test_checkpoints_that_tensorflow_wrote_are_sound(tmp_path: Path) -> None:
    prefix = checkpoint(tmp_path)
    check_index(index_of(prefix), prefix)
    assert len(state_of(prefix).tensors) == 3


def test_an_index_of_several_blocks_is_sound(tmp_path: Path) -> None:
    """TensorFlow begins a block after 256 KiB."""
    names = [f"{number:05}" + "x" * 200 for number in range(3000)]
    tensors = [tf.constant(float(number)) for number in range(3000)]
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "m"), tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors
    )
    check_index(tmp_path / "m.index", tmp_path / "m")
    found = {each.name: each.array().item() for each in state_of(tmp_path / "m").tensors}
    assert found == {name: float(number) for number, name in enumerate(names)}


def test_an_index_that_is_written_again_without_changes_is_sound(tmp_path: Path) -> None:
    prefix = checkpoint(tmp_path)
    change(prefix, lambda entry: None)
    assert len(state_of(prefix).tensors) == 3


#: Changes for which TensorFlow 2.21 itself raises an exception.
ENTRIES: dict[str, Callable[[BundleEntryProto], Any]] = {
    "another type": lambda entry: setattr(entry, "dtype", 99),
    "another file": lambda entry: setattr(entry, "shard_id", 7),
    "a negative offset": lambda entry: setattr(entry, "offset", -1),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_that_is_not_sound_is_refused_before_tensorflow_reads_it(name: str, tmp_path: Path) -> None:
    prefix = checkpoint(tmp_path)
    change(prefix, ENTRIES[name])
    with pytest.raises(StateError, match="not a readable TensorFlow checkpoint"):
        check_index(index_of(prefix), prefix)
    refused(prefix, tmp_path)


def entry(**facts: Any) -> BundleEntryProto:
    """Return an entry of a matrix."""
    made = BundleEntryProto(dtype=1, size=24)
    made.shape.dim.add(size=2)
    made.shape.dim.add(size=3)
    made.MergeFrom(BundleEntryProto(**facts))
    return made


def test_entries_are_sound_if_their_numbers_are_possible() -> None:
    dtypes = frozenset({1, 9})
    assert _is_sound(entry(), dtypes, 1)
    assert _is_sound(entry(shard_id=3), dtypes, 4)
    assert not _is_sound(entry(shard_id=4), dtypes, 4)
    assert not _is_sound(entry(dtype=2), dtypes, 1)
    assert not _is_sound(entry(offset=-1), dtypes, 1)
    for sizes in ([-1], [2**32, 2**32], [1] * 255):
        shaped = entry()
        for size in sizes:
            shaped.shape.dim.add(size=size)
        assert not _is_sound(shaped, dtypes, 1)
    shaped = entry()
    shaped.shape.unknown_rank = True
    assert not _is_sound(shaped, dtypes, 1)


def test_a_header_that_is_not_a_message_is_refused(tmp_path: Path) -> None:
    prefix = checkpoint(tmp_path)
    rows = index_entries(index_of(prefix).read_bytes())
    index_of(prefix).write_bytes(index_table([(b"", b"\x0f"), *rows[1:]]))
    refused(prefix, tmp_path)


def test_blocks_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    prefix = checkpoint(tmp_path)
    sound = index_of(prefix).read_bytes()
    for data in (b"", sound[:30], sound[:-20], sound[:-48] + b"\xff" * 40 + sound[-8:], sound[20:]):
        index_of(prefix).write_bytes(data)
        with pytest.raises(StateError, match="not a readable TensorFlow checkpoint"):
            check_index(index_of(prefix), prefix)


@pytest.mark.parametrize("size", [0, 3, 100])
def test_data_that_are_cut_off_are_one_sentence(size: int, tmp_path: Path) -> None:
    prefix = checkpoint(tmp_path)
    data = prefix.with_name(f"{prefix.name}.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:size])
    refused(prefix, tmp_path)


def test_data_with_another_checksum_are_one_sentence(tmp_path: Path) -> None:
    prefix = checkpoint(tmp_path)
    data = prefix.with_name(f"{prefix.name}.data-00000-of-00001")
    data.write_bytes(bytes(each ^ 1 for each in data.read_bytes()))
    refused(prefix, tmp_path)


def test_a_graph_of_objects_that_is_not_a_message_is_one_sentence(tmp_path: Path) -> None:
    """The graph is a text in the data, with checksums of its length and its bytes."""
    prefix = checkpoint(tmp_path)
    graph = b"\x0f" * 5
    length = struct.pack("<I", masked_crc(struct.pack("<I", len(graph))))
    content = bytes([len(graph)]) + length + graph
    data = prefix.with_name(f"{prefix.name}.data-00000-of-00001")
    rows = []
    for key, value in index_entries(index_of(prefix).read_bytes()):
        found = BundleEntryProto.FromString(value)
        if key == b"_CHECKPOINTABLE_OBJECT_GRAPH":
            found.offset, found.size = data.stat().st_size, len(content)
            found.crc32c = masked_crc(struct.pack("<I", len(graph)) + length + graph)
        rows.append((key, found.SerializeToString() if key else value))
    index_of(prefix).write_bytes(index_table(rows))
    data.write_bytes(data.read_bytes() + content)
    refused(prefix, tmp_path)


@pytest.mark.parametrize("name", [b"\xff", b"\0model", b"model\0", b"a\\000b"])
def test_a_list_of_checkpoints_that_has_no_file_names_is_one_sentence(name: bytes, tmp_path: Path) -> None:
    checkpoint(tmp_path)
    (tmp_path / "checkpoint").write_bytes(b'model_checkpoint_path: "' + name + b'"\n')
    with pytest.raises(StateError, match=r"not a readable TensorFlow checkpoint|no checkpoint that"):
        state_of(tmp_path)
