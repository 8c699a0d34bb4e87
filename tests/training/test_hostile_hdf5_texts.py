"""Texts of variable length in HDF5 files: their lengths are known, and limited, before libhdf5 reads the texts."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from tb2csv.errors import StateError
from tb2csv.model_state import export_state, state_of
from tb2csv.model_state.hdf5_contents import read_contents
from tb2csv.model_state.hdf5_texts import TextLengths
from tb2csv.size_limits import SizeLimits

if TYPE_CHECKING:
    from pathlib import Path

#: Lengths that no other number in the files has.
LENGTHS = (12345, 23456)
TEXTS = tuple(chr(97 + number) * length for number, length in enumerate(LENGTHS))

FILES: dict[str, dict[str, Any]] = {
    "oldest": {},
    "latest": {"libver": "latest"},
    "ordered": {"track_order": True},
    "after other bytes": {"userblock_size": 512},
}
DATASETS: dict[str, dict[str, Any]] = {
    "whole": {},
    "chunks": {"chunks": (1,)},
    "growing": {"chunks": (3,), "maxshape": (None,)},
}


def write(path: Path, options: dict[str, Any], dataset: dict[str, Any]) -> Path:
    """Write a file with two texts in an attribute, one in another, and two in a dataset."""
    with h5py.File(path, "w", **options) as file:
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = TEXTS[0]
        group.attrs["weight_names"] = np.array(TEXTS, object)
        group.attrs["number"] = 5
        group.create_dataset("0", data=np.array(TEXTS, object), dtype=h5py.string_dtype(), **dataset)
        group.create_dataset("1", data=np.zeros(2, np.float32))
    return path


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("options", FILES)
def test_lengths_are_known_without_reading_the_texts(options: str, dataset: str, tmp_path: Path) -> None:
    path = write(tmp_path / "m.h5", FILES[options], DATASETS[dataset])
    with h5py.File(path) as file, path.open("rb") as raw:
        lengths = TextLengths(path, file, raw)
        group = file["layers/dense/vars"]
        assert lengths.of_attribute(group, "name", 1) == LENGTHS[0]
        assert lengths.of_attribute(group, "weight_names", 2) == sum(LENGTHS)
        assert lengths.of_dataset(group["0"], "0") == sum(LENGTHS)


@pytest.mark.parametrize("options", FILES)
def test_texts_that_fit_are_read(options: str, tmp_path: Path) -> None:
    path = write(tmp_path / "m.h5", FILES[options], {})
    group = read_contents(path, SizeLimits()).group("layers/dense/vars")
    assert group is not None
    assert group.text("name") == TEXTS[0]
    assert group.listed("weight_names") == list(TEXTS)
    assert state_of(path).tensors[0].array().tolist() == [text.encode() for text in TEXTS]


@pytest.mark.parametrize("texts", [[], [""], ["", "a" * 5000, "é"]])
def test_empty_texts_and_texts_that_were_never_written_are_read(texts: list[str], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.array(texts, object), dtype=h5py.string_dtype())
        file.create_dataset("layers/dense/vars/1", (3,), h5py.string_dtype())
        file.create_dataset("layers/dense/vars/2", (5,), h5py.string_dtype(), chunks=(2,))
        file["layers/dense/vars/3"] = "single"
    found = [each.array().tolist() for each in state_of(tmp_path / "m.h5").tensors]
    assert found == [[text.encode() for text in texts], [b""] * 3, [b""] * 5, b"single"]


def lengthen(path: Path, number: int) -> None:
    """Make the ``number``-th descriptor of the second text state one byte more than the file has."""
    data = path.read_bytes()
    parts = data.split(struct.pack("<I", LENGTHS[1]))
    place = sum(map(len, parts[: number + 1])) + 4 * number
    path.write_bytes(data[:place] + struct.pack("<I", len(data) + 1) + data[place + 4 :])


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("options", ["oldest", "after other bytes"])
def test_a_text_that_is_longer_than_its_file_is_refused(options: str, dataset: str, tmp_path: Path) -> None:
    """One descriptor is in the attribute, the other in the dataset; the heap has a length of its own."""
    sound = write(tmp_path / "m.h5", FILES[options], DATASETS[dataset]).read_bytes()
    refused = []
    for number in range(sound.count(struct.pack("<I", LENGTHS[1]))):
        (tmp_path / "m.h5").write_bytes(sound)
        lengthen(tmp_path / "m.h5", number)
        with pytest.raises(StateError) as caught:
            export_state(tmp_path / "m.h5", tmp_path / "out.csv")
        refused.append(f"{len(sound) + 1:,} bytes" in str(caught.value))
        assert not (tmp_path / "out.csv").exists()
    assert refused.count(True) == 2


def test_texts_that_share_bytes_count_once_for_each(tmp_path: Path) -> None:
    """All descriptors of a dataset are made to lead to one text, which takes memory for each of them."""
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        texts = np.array([TEXTS[0], *["b"] * 9999], object)
        file.create_dataset("layers/dense/vars/0", data=texts, dtype=h5py.string_dtype())
        place = file["layers/dense/vars/0"].id.get_offset()
    data = path.read_bytes()
    descriptor = data[place : place + 16]
    path.write_bytes(data[:place] + descriptor * 10_000 + data[place + 160_000 :])
    assert len(state_of(path, max_expansion=100_000).tensors[0].array()) == 10_000
    small = SizeLimits(1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tb2csv.size_limits._SMALL_DATA", 1 << 20)
        with pytest.raises(StateError, match="max_expansion"):
            read_contents(path, small)


FORMS: dict[str, dict[str, Any]] = {
    "compressed": {"chunks": (2,), "compression": "gzip"},
    "with a text for elements that are not written": {"fillvalue": "none"},
}


@pytest.mark.parametrize("form", FORMS)
def test_datasets_of_texts_in_unusual_forms_are_refused(form: str, tmp_path: Path) -> None:
    path = write(tmp_path / "m.h5", {}, FORMS[form])
    with pytest.raises(StateError, match="unusual form at 'layers/dense/vars/0'"):
        state_of(path)


def test_attributes_beside_the_header_are_refused_if_they_have_texts(tmp_path: Path) -> None:
    """The latest format moves attributes out of the header if there are more than eight."""
    with h5py.File(tmp_path / "m.h5", "w", libver="latest") as file:
        file["layers/dense/vars/0"] = np.zeros(3)
        for number in range(20):
            file.attrs[f"number{number}"] = number
        file.attrs["name"] = np.bytes_(b"fixed")
    assert len(state_of(tmp_path / "m.h5").tensors) == 1
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.attrs["keras_version"] = "text"
    with pytest.raises(StateError, match="unusual form at 'keras_version'"):
        state_of(tmp_path / "m.h5")


@pytest.mark.parametrize("dtype", [h5py.ref_dtype, h5py.vlen_dtype(np.int8), np.dtype([("a", h5py.string_dtype())])])
@pytest.mark.parametrize("is_attribute", [True, False])
def test_other_data_of_variable_length_are_refused(dtype: Any, is_attribute: bool, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["layers/dense/vars/0"] = np.zeros(3)
        if is_attribute:
            kind, space = h5py.h5t.py_create(dtype, logical=True), h5py.h5s.create_simple((2,))
            h5py.h5a.create(file.id, b"name", kind, space)
        else:
            file.create_dataset("layers/dense/vars/1", (2,), dtype)
    with pytest.raises(StateError, match=r"not text|references or lists"):
        state_of(tmp_path / "m.h5")


def test_texts_in_files_with_short_addresses_are_refused(tmp_path: Path) -> None:
    """Descriptors are shorter in them, so that other bytes would be taken for lengths."""
    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_sizes(4, 4)
    with h5py.File(h5py.h5f.create(bytes(tmp_path / "m.h5"), fcpl=creation)) as file:
        file["layers/dense/vars/0"] = np.zeros(3)
    assert state_of(tmp_path / "m.h5").tensors[0].array().tolist() == [0, 0, 0]
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file["layers"].attrs["name"] = "a text of variable length"
    with pytest.raises(StateError, match="unusual form at 'name'"):
        state_of(tmp_path / "m.h5")


@pytest.mark.parametrize("is_ring", [True, False], ids=["a ring of blocks", "a block after the end"])
def test_a_header_that_does_not_end_in_its_file_is_refused(is_ring: bool, tmp_path: Path) -> None:
    """libhdf5 reads the sound file; the changed bytes are for the reader of lengths alone."""
    path = write(tmp_path / "m.h5", {}, {})
    data = path.read_bytes()
    with h5py.File(path) as file:
        group = file["layers/dense/vars"]
        address = h5py.h5o.get_info(group.id).addr
        continuation = data.index(struct.pack("<HHB3x", 0x10, 16, 0), address) + 8
        (size,) = struct.unpack_from("<I", data, address + 8)
        assert address < continuation < address + 16 + size
        block = (address + 16, size) if is_ring else (len(data), 64)
        changed = data[:continuation] + struct.pack("<QQ", *block) + data[continuation + 16 :]
        lengths = TextLengths(path, file, io.BytesIO(changed))
        with pytest.raises(StateError, match="not a readable HDF5 file"):
            lengths.of_attribute(group, "name", 1)


def test_a_header_that_leads_out_of_the_file_is_refused(tmp_path: Path) -> None:
    """libhdf5 refuses most of these itself; what it lets pass is refused here, and nothing is invented."""
    sound = write(tmp_path / "m.h5", {}, {}).read_bytes()
    for place in range(0, len(sound), 7):
        if sound[place : place + 64].count(0) == 64 or place > 4000:
            continue
        (tmp_path / "n.h5").write_bytes(sound[:place] + b"\xf7\xff\xff" + sound[place + 3 :])
        try:
            names = [each.name for each in state_of(tmp_path / "n.h5").tensors]
        except StateError:
            continue
        assert len(names) <= 2
