"""Models in several files with an index of the file of each tensor, as large models are saved.

The index is JSON with a ``weight_map`` from tensors to files beside it. Each of these is a file of its own type.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tb2csv.atomic_files import whole_folder
from tb2csv.errors import StateError
from tb2csv.model_state.descriptions import member, parsed, read_bytes
from tb2csv.model_state.tensors import ModelState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from tb2csv.model_state.formats import FileHolder
    from tb2csv.model_state.match_tensors import Restoration
    from tb2csv.size_limits import SizeLimits

_ENDING: Final = ".index.json"


class ShardedFile:
    """An index, or a folder that has one, and the files that it names."""

    def __init__(self, path: Path, limits: SizeLimits) -> None:
        """Open all files; raises StateError if one is missing, or lacks tensors that the index lists."""
        self._index = _index(path)
        weight_map = _weight_map(self._index)
        #: The holder of each file, by its name.
        self._shards = {name: _open(self._index, name, limits) for name in sorted(set(weight_map.values()))}
        states = {name: shard.state for name, shard in self._shards.items()}
        held = {name: {tensor.name for tensor in state.tensors} for name, state in states.items()}
        missing = [tensor for tensor, shard in weight_map.items() if tensor not in held[shard]]
        if missing:
            message = (
                f"{self._index} names {missing[0]!r}, which is not in {weight_map[missing[0]]}; copy all files of the "
                "model from one place."
            )
            raise StateError(message)
        self.state = ModelState(
            next(iter(states.values())).framework,
            tuple(tensor for state in states.values() for tensor in state.tensors),
            str(path),
            tuple(note for state in states.values() for note in state.notes),
            {name: kind for state in states.values() for name, kind in state.left_out.items()},
        )

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Return a context that gives a folder to write to: all files are in it, under the names that they have."""
        kind = "a folder of such a model and nothing else"
        return folder_of_shards(out, self._shards, self._index.name, kind, overwrite=overwrite)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Write each file with its new values, and the index as it is."""
        place.mkdir()
        for name, shard in self._shards.items():
            shard.write(place / name, restoration)
        shutil.copyfile(self._index, place / self._index.name)


def _index(path: Path) -> Path:
    """Return the index itself, or the only one in a folder."""
    if not path.is_dir():
        return path
    found = sorted(path.glob(f"*{_ENDING}"))
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        message = f"{path} has several models ({names}); give the index of one."
        raise StateError(message)
    return found[0]


def folder_of_shards(
    out: Path, names: Iterable[str], index: str, kind: str, *, overwrite: bool
) -> AbstractContextManager[Path]:
    """Return a context that gives a folder to make.

    ``out`` may only be replaced if it has an index of that name, and nothing but files that are written again: the
    index, and files of these ``names``.
    """
    written = frozenset((*names, index))

    def may_replace(folder: Path) -> bool:
        entries = list(folder.iterdir())
        is_alike = all(each.name in written and each.is_file() and not each.is_symlink() for each in entries)
        return is_alike and index in {each.name for each in entries}

    return whole_folder(out, overwrite=overwrite, may_replace=may_replace, kind=kind)


def refuse_files_elsewhere(index: Path, names: Iterable[Any], what: str) -> None:
    """Raise StateError if an index names anything but files beside it; ``what`` is to be saved again then."""
    for name in names:
        if not isinstance(name, str) or not name or name != Path(name).name or "\\" in name:
            raise StateError(f"{index} names {name!r}, which is not a file beside it; save the {what} again.")


def weight_map_of(index: Path, kind: str, advice: str) -> dict[str, Any]:
    """Return the ``weight_map`` of an index, which has names or lists of names; raises StateError if it has none.

    Args:
        index: the file.
        kind: what it should be, for the message.
        advice: what to do if it is something else.
    """
    failure = f"{index} is not {kind} that can be read"
    found: dict[str, Any] = member(parsed(read_bytes(index), failure, advice), "weight_map", {})
    if not found:
        message = f"{failure} (it has no weight_map); {advice}."
        raise StateError(message)
    return found


def _weight_map(index: Path) -> dict[str, str]:
    """Return the file of each tensor; raises StateError if the index is malformed or names a file elsewhere."""
    pairs = weight_map_of(index, "an index of a model's files", "save the model again")
    refuse_files_elsewhere(index, pairs.values(), "model")
    return pairs


def _open(index: Path, name: str, limits: SizeLimits) -> FileHolder:
    from tb2csv.model_state.formats import open_file

    place = index.with_name(name)
    if not place.exists():
        message = f"{index} is an index of several files, and {place} is missing; copy all of them."
        raise StateError(message)
    if place == index or place.name.endswith(_ENDING):
        message = f"{index} names another index, {name!r}; give the index whose files have tensors."
        raise StateError(message)
    return open_file(place, limits)
