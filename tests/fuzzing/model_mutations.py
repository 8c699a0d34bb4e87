"""Mutations of model and state files that know the containers: what is damaged lies inside them, with sound checksums.

``mutated(data, name, rng, folder)`` returns other bytes for a file: members of a ZIP archive are changed and packed
again, headers of JSON keep their lengths, pickles stay sequences of instructions, and the index of a checkpoint stays a
sorted table. HDF5 files are opened and changed, because their checksums are many. Some mutations break the container.
"""

from __future__ import annotations

import contextlib
import io
import json
import pickletools
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
from byte_mutations import mutated_bytes
from event_files import masked_crc, varint
from message_mutations import mutated_message, read_varint

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

#: Values that readers do not expect.
ODD: list[Any] = [
    *(None, True, -1, 0, 1, 2**31, 2**63, 10**12, 10**30, 1.5, 1e308, "", "4", "a/../b", "\x00", "\ud800", "é" * 50),
    *([], {}, [[]], [0] * 100, {"class_name": "Lambda"}, {"__class__": "system", "__module__": "os"}, "../../bait.csv"),
]
#: Elements of a dataset that a mutation reads: an earlier one may have declared thousands of millions.
_MOST_READ = 1 << 20
#: What h5py raises for a change that it does not write.
NOT_WRITTEN = (OSError, ValueError, TypeError, KeyError, RuntimeError, OverflowError)


def mutated_json(text: bytes, rng: random.Random) -> bytes:
    """Replace, remove, nest or repeat a value anywhere in a JSON text."""
    value = json.loads(text)
    places: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        found = waiting.pop()
        items = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
        for key, item in items:
            places.append((found, key))
            waiting.append(item)
    if not places:
        return json.dumps(rng.choice(ODD)).encode()
    for _ in range(rng.choice([1, 1, 3])):
        with contextlib.suppress(KeyError, IndexError, ValueError):  # an earlier change took it away
            _change_json(rng, *rng.choice(places), *rng.choice(places))
    changed = json.dumps(value).encode()
    return b"[" * 5000 + changed if rng.random() < 0.01 else changed


def _change_json(rng: random.Random, parent: Any, key: Any, other: Any, other_key: Any) -> None:
    what = rng.randrange(6)
    if what == 0 and isinstance(parent, dict):
        del parent[key]
    elif what == 1 and isinstance(parent, dict):
        parent[rng.choice(["", "x", "é", "shape", "dtype", "__id__", "file"])] = parent.pop(key)
    elif what == 2:
        parent[key] = json.loads(json.dumps(other[other_key]))
    elif what == 3:
        parent[key] = [parent[key]] * rng.choice([0, 2, 50])
    elif what == 4 and isinstance(parent[key], int | float):
        parent[key] = parent[key] * rng.choice([-1, 0, 10, 10**9]) + rng.choice([0, 1])
    else:
        parent[key] = rng.choice(ODD)


def mutated_npy(data: bytes, rng: random.Random) -> bytes:
    """Change the header of an array, whose length stays right, or its elements."""
    if data[:6] != b"\x93NUMPY" or rng.random() < 0.3:
        return mutated_bytes(data, rng)
    (length,) = struct.unpack("<H", data[8:10])
    header, content = data[10 : 10 + length], data[10 + length :]
    changes = [
        (b"(", b"(1000000000000, "),
        (b"(", b"(-1, "),
        (b"<f4", rng.choice([b"|O", b"<U999999", b">f4", b"|V0", b"<M8[s]", b"<f16", b"|S0"])),
        (b"<f8", rng.choice([b"|O", b"<U999999", b">f8", b"|V0"])),
        (b"False", b"True"),
        (b"'shape'", b"'shapes'"),
        (b"{", b"{" * rng.choice([2, 300])),
    ]
    header = header.replace(*rng.choice(changes)) if rng.random() < 0.7 else mutated_bytes(header, rng)
    return data[:8] + struct.pack("<H", len(header) & 0xFFFF) + header + content


def mutated_pickle(data: bytes, rng: random.Random) -> bytes:
    """Remove, repeat, exchange or replace instructions of a pickle."""
    starts = [place for _, _, place in pickletools.genops(data)]
    end = data.index(b".", starts[-1]) + 1
    parts = [data[a:b] for a, b in zip(starts, [*starts[1:], end], strict=True)]
    extra = [
        *(b"}", b"]", b")", b"0", b"N", b"\x88", b"2", b"(", b"t", b"R", b"Q", b"b", b"\x85", b"a", b"s", b"u", b"."),
        *(b"K\x05", b"J\xff\xff\xff\x7f", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", b"h\x00", b"q\x01"),
        *(
            b"cos\nsystem\n",
            b"cbuiltins\nbytearray\n",
            b"cbuiltins\neval\n",
            b"cbuiltins\ngetattr\n",
            b"X\x02\x00\x00\x00id",
        ),
        *(b"cos\nmkdir\nX\x08\x00\x00\x00code_ran\x85R", b"cposix\nsystem\nX\x0e\x00\x00\x00touch code_ran\x85R"),
    ]
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(parts))
        what = rng.randrange(4)
        if what == 0 and len(parts) > 1:
            del parts[at]
        elif what == 1:
            parts.insert(at, rng.choice(extra))
        elif what == 2:
            parts[at] = rng.choice([rng.choice(extra), rng.choice(parts)])
        else:
            other = rng.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
    return b"".join(parts) + data[end:]


def mutated_hdf5(data: bytes, rng: random.Random, folder: Path) -> bytes:
    """Change the links, attributes and datasets of an HDF5 file; ``folder`` is for its work, and has bait.h5."""
    import h5py

    path = folder / "work.h5"
    path.write_bytes(data)
    bait = str(folder.parent / "bait" / "bait.h5")
    with contextlib.suppress(*NOT_WRITTEN), h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        groups = [file, *(file[name] for name in names if isinstance(file[name], h5py.Group))]
        datasets = [file[name] for name in names if isinstance(file[name], h5py.Dataset)]
        for _ in range(rng.choice([1, 1, 2])):
            _change_hdf5(rng, file, groups, datasets, bait)
    return path.read_bytes()


def _change_hdf5(rng: random.Random, file: Any, groups: list[Any], datasets: list[Any], bait: str) -> bool:
    """Make one change; return whether it is a link."""
    import h5py

    group, dataset = rng.choice(groups), rng.choice(datasets)
    name = rng.choice([*group.keys(), "new", "vars", "0"])
    links = [
        h5py.ExternalLink(bait, "/"),
        h5py.ExternalLink(bait, "/dense"),
        h5py.SoftLink("/"),
        file,
        rng.choice(groups),
    ]
    item = rng.choice([group, dataset, file])
    attribute = rng.choice(
        [*item.attrs.keys(), "layer_names", "weight_names", "weight_names0", "model_config", "name", "dtype"]
    )
    what = rng.randrange(8)
    if what <= 1:
        if name in group:
            del group[name]
        group[name] = rng.choice([*links, dataset])
    elif what <= 4:
        old = item.attrs.get(attribute)
        text = json.dumps(ODD[rng.randrange(len(ODD))])
        odd = [
            5,
            1.5,
            b"\xff\xfe",
            "",
            text,
            np.arange(3),
            np.zeros((2, 2)),
            h5py.Empty("f4"),
            np.array([b"a", b"\xff"]),
        ]
        if isinstance(old, str) and old.startswith("{"):
            odd = [mutated_json(old.encode(), rng).decode("utf-8", "replace")]
        elif isinstance(old, np.ndarray) and old.size:
            odd += [np.concatenate([old, old]), old[:-1], old[::-1]]
        item.attrs[attribute] = rng.choice(odd)
    elif what == 5:
        if name in group:
            del group[name]
        shape = rng.choice([(), (0,), (10**9,), (10**12,), (3, 3), (10**5, 10**5)])
        options = rng.choice([{}, {"chunks": True}, {"chunks": True, "compression": "gzip"}]) if shape else {}
        group.create_dataset(
            name, shape, rng.choice(["f4", "i1", "S5", h5py.string_dtype(), h5py.ref_dtype]), **options
        )
    elif what == 6:
        del dataset.parent[dataset.name.rpartition("/")[2]]
    elif dataset.size is None or dataset.size <= _MOST_READ:
        place = dataset.name
        content = dataset[()]
        del file[place]
        file.create_dataset(place, data=np.asarray(content).reshape(-1)[: rng.choice([0, 1, None])])
    return what <= 1


def mutated_zip(data: bytes, rng: random.Random, change: Callable[[str, bytes], bytes]) -> bytes:
    """Change a member of an archive, its name or its method, or the directory; checksums are right unless it breaks."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = [(info.filename, old.read(info)) for info in old.infolist()]
    at = rng.randrange(len(members))
    name, content = members[at]
    what = rng.randrange(10)
    if what == 0 and len(members) > 1:
        del members[at]
    elif what == 1:
        members[at] = (rng.choice(["../x.npy", "/x", "", "é" * 300, "config.json", "data.pkl", name + "/"]), content)
    elif what == 2:
        members.append((name, rng.choice(members)[1]))
    else:
        members[at] = (name, change(name, content))
    method = rng.choice(
        [zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as new:
        for member, what_is_in_it in members:
            new.writestr(zipfile.ZipInfo(member or "_"), what_is_in_it, method)
    found = packed.getvalue()
    return mutated_bytes(found, rng) if rng.random() < 0.15 else found


def mutated_safetensors(data: bytes, rng: random.Random) -> bytes:
    (length,) = struct.unpack("<Q", data[:8])
    header = mutated_json(data[8 : 8 + length], rng)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def mutated_table(data: bytes, rng: random.Random) -> bytes:
    """Change the metadata of a row of a state table, which are JSON in a cell with doubled quotes, or its text."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    start = lines[at].find(b'"{')
    if start < 0 or rng.random() < 0.3:
        lines[at] = mutated_bytes(lines[at], rng)
    else:
        text = lines[at][start + 1 : -1].replace(b'""', b'"')
        lines[at] = lines[at][:start] + b'"' + mutated_json(text, rng).replace(b'"', b'""') + b'"'
    return b"\n".join(lines)


def mutated_old_torch_file(data: bytes, rng: random.Random) -> bytes:
    """Change one of the pickles of a file of torch.save that is not an archive; the fourth has the tree."""
    file, starts = io.BytesIO(data), [0]
    for _ in range(3):
        list(pickletools.genops(file))
        starts.append(file.tell())
    start = rng.choice([*starts, starts[-1], starts[-1]])
    return data[:start] + mutated_pickle(data[start:], rng)


_MAGIC = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"


def mutated_index(data: bytes, rng: random.Random) -> bytes:
    """Change an entry of the index of a TensorFlow checkpoint, which is a table of LevelDB."""
    entries = index_entries(data)
    at = rng.randrange(len(entries))
    key, value = entries[at]
    what = rng.randrange(8)
    if what == 0:
        del entries[at]
    elif what == 1:
        entries[at] = mutated_bytes(key, rng), value
    elif what == 2:
        entries.append((key + rng.choice([b"x", b"\xff", b"/.ATTRIBUTES/VARIABLE_VALUE"]), value))
    elif what == 3:
        entries[at] = key, rng.choice(entries)[1]
    else:
        entries[at] = key, mutated_message(value, rng)
    return index_table(sorted(entries))


def index_entries(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the keys and values in the index of a checkpoint."""
    _, at = read_varint(data, len(data) - 48)
    _, at = read_varint(data, at)
    return [entry for _, handle in _block_entries(data, at) for entry in _block_entries(data + handle, len(data))]


def _block_entries(data: bytes, handle: int) -> list[tuple[bytes, bytes]]:
    """Return the keys and values of the block whose offset and size lie at ``handle``."""
    offset, at = read_varint(data, handle)
    size, _ = read_varint(data, at)
    (restarts,) = struct.unpack_from("<I", data, offset + size - 4)
    at, end, key = offset, offset + size - 4 * (restarts + 1), b""
    entries = []
    while at < end:
        shared, at = read_varint(data, at)
        added, at = read_varint(data, at)
        length, at = read_varint(data, at)
        key = key[:shared] + data[at : at + added]
        entries.append((key, data[at + added : at + added + length]))
        at += added + length
    return entries


def index_table(entries: list[tuple[bytes, bytes]]) -> bytes:
    """Return a table of LevelDB: one block of entries, an empty one, the index of blocks, and the foot."""
    found, handles = b"", []
    last = entries[-1][0] if entries else b""
    for block in (entries, [], None):
        rows = [(last, handles[0])] if block is None else block
        content = b"".join(varint(0) + varint(len(k)) + varint(len(v)) + k + v for k, v in rows)
        content += struct.pack("<II", 0, 1)
        handles.append(varint(len(found)) + varint(len(content)))
        found += content + b"\0" + struct.pack("<I", masked_crc(content + b"\0"))
    return found + (handles[1] + handles[2]).ljust(40, b"\0") + _MAGIC


#: By the ending of a member of an archive, how its content is changed.
_MEMBERS: dict[str, Callable[..., bytes]] = {
    ".json": mutated_json,
    "data.pkl": mutated_pickle,
    ".npy": mutated_npy,
}
#: By the ending of a file.
_FILES: dict[str, Callable[..., bytes]] = {
    ".safetensors": mutated_safetensors,
    ".csv": mutated_table,
    ".json": mutated_json,
    ".old.pt": mutated_old_torch_file,
    ".index": mutated_index,
    ".pb": mutated_message,
}


def mutated(data: bytes, name: str, rng: random.Random, folder: Path) -> bytes:
    """Return a mutation of a file by the ending of its name; ``folder`` is for work and may be written to."""
    if rng.random() < 0.15:
        return mutated_bytes(data, rng)

    def member(name: str, content: bytes) -> bytes:
        if name.endswith(".h5"):
            return mutated_hdf5(content, rng, folder)
        change = next((each for ending, each in _MEMBERS.items() if name.endswith(ending)), mutated_bytes)
        return change(content, rng)

    if data[:2] == b"PK":
        return mutated_zip(data, rng, member)
    if name.endswith(".h5"):
        return mutated_hdf5(data, rng, folder)
    change = next((each for ending, each in _FILES.items() if name.endswith(ending)), mutated_bytes)
    return change(data, rng)
