"""The history of a run as tb2csv scans it, from event files on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from reading import MemorySource

from tb2csv.event_files.event_file import EventFileReader, first_event
from tb2csv.event_files.scanners import default_scanner
from tb2csv.event_files.values import ValueSchema
from tb2csv.runs.restarts import FileHistory, RunHistory

if TYPE_CHECKING:
    from pathlib import Path


class Scanned(NamedTuple):
    """A run's history, and the tag of each number in it."""

    history: RunHistory
    tags: list[str]

    def tag_of(self, row: int) -> str:
        return self.tags[self.history.tag[row]]


def scan_run(folder: Path, *, chunk_size: int = 1 << 20) -> Scanned:
    """Read the event files of a folder in the order of their first events."""
    scanner = default_scanner()
    sources = [MemorySource(path.read_bytes(), path.name) for path in folder.glob("*tfevents*")]
    heads = sorted(((first_event(source), source) for source in sources), key=lambda pair: (pair[0], pair[1].path))
    schemas = scanner.schema_table()
    files: list[FileHistory] = []
    rows: list[tuple[int, int, float]] = []
    for head, source in heads:
        row = len(rows)
        reader = EventFileReader(source, scanner, schemas, chunk_size=chunk_size)
        for block in reader.blocks():
            columns = (block.columns.schema_id, block.columns.step, block.columns.wall_time)
            rows += zip(*(column[: len(block)].tolist() for column in columns), strict=True)
        assert reader.account.values == len(rows) - row
        files.append(FileHistory(row, head.wall_time, head.step, head.version, reader.account.marks))
    schema_ids, steps, wall_times = zip(*rows, strict=True) if rows else ((), (), ())
    keys = [ValueSchema.from_key(schemas.key(schema_id)) for schema_id in range(len(schemas))]
    tags = list(dict.fromkeys(schema.tag.decode() for schema in keys))
    history = RunHistory(
        np.array([tags.index(keys[schema_id].tag.decode()) for schema_id in schema_ids], np.int32),
        np.array([keys[schema_id].kind for schema_id in schema_ids], np.int8),
        np.array(steps, np.int64),
        np.array(wall_times, np.float64),
        files,
    )
    return Scanned(history, tags)
