"""Weights of Keras in several HDF5 files, which ``save_weights(…, max_shard_size=…)`` lists in a ``.weights.json``.

The list names the files of each group of variables. A group may be in two files, so all files form one state.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tb2csv.errors import StateError
from tb2csv.model_state.hdf5_files import Source
from tb2csv.model_state.keras_weights_files import WeightsFile, numbered_tensors
from tb2csv.model_state.sharded_files import folder_of_shards, refuse_files_elsewhere, weight_map_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tb2csv.model_state.match_tensors import Restoration
    from tb2csv.size_limits import SizeLimits


class ShardedWeights(WeightsFile):
    """A list of weights files, which are read and written together."""

    def __init__(self, path: Path, limits: SizeLimits) -> None:
        """Find the tensors of all files; raises StateError if one is missing, or lacks a listed group."""
        weight_map = _weight_map(path)
        names = sorted({name for listed in weight_map.values() for name in listed})
        self._shards = [path.with_name(name) for name in names]
        missing = [shard.name for shard in self._shards if not shard.is_file()]
        if missing:
            message = f"{path} is incomplete: {', '.join(missing)} should be beside it; copy all files of the weights."
            raise StateError(message)
        sources = [Source.of(shard, limits) for shard in self._shards]
        _refuse_other_groups(path, weight_map, sources)
        super().__init__(path, numbered_tensors(sources, {}))

    def output(self, out: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Return a context that gives a folder to write to; the files in it keep their names."""
        names = [shard.name for shard in self._shards]
        kind = "a folder of such weights and nothing else"
        return folder_of_shards(out, names, self._path.name, kind, overwrite=overwrite)

    def write(self, place: Path, restoration: Restoration) -> None:
        """Write each file with its new values, and copy the list."""
        place.mkdir()
        for shard in self._shards:
            self._write_copy(shard, place / shard.name, restoration)
        shutil.copyfile(self._path, place / self._path.name)


def _weight_map(path: Path) -> dict[str, list[str]]:
    """Return the files of each group; raises StateError if the list is malformed or names a file elsewhere."""
    found = {}
    for group, listed in weight_map_of(path, "a list of weights files", "give the one that Keras saved").items():
        found[group] = listed if isinstance(listed, list) else [listed]
        refuse_files_elsewhere(path, found[group], "weights")
    return found


def _refuse_other_groups(path: Path, weight_map: dict[str, list[str]], sources: list[Source]) -> None:
    """Raise StateError if a group is not in its listed files, for example if these belong to another model."""
    groups_by_file = {
        source.path.name: {f"/{place.rpartition('/')[0]}" for place, _ in source.root.datasets()} for source in sources
    }
    for group, names in weight_map.items():
        if not any(group in groups_by_file[name] for name in names):
            message = f"{path} names {group!r}, which is not in {', '.join(names)}; copy all files from one place."
            raise StateError(message)
