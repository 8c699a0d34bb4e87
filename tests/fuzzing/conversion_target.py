"""Conversions of whole logs: an account of every value and byte, and the same tables from both scanners."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import random
import shutil
import zlib
from typing import TYPE_CHECKING, Any

from message_mutations import mutated_file
from scanner_target import sample_files
from tables import read_tree

import tb2csv
from tb2csv.errors import Tb2csvError
from tb2csv.event_files.scanner_choice import SCANNER_VARIABLE
from tb2csv.runs.row_selection import RowSelection

if TYPE_CHECKING:
    from pathlib import Path

    from message_mutations import PlainMutation

#: Options and their values, of which the checksum of an input chooses.
_CHOICES: dict[str, list[Any]] = {
    "layout": ["tree", "tree", "tree", "tags", "wide", "long"],
    "format": ["csv", "csv", "csv", "jsonl", "parquet"],
    "tensors": ["elements", "wide", "base64", "npy"],
    "time": [("epoch",), ("epoch", "iso", "relative")],
    "rows": [None, None, RowSelection(restarts="supersede"), RowSelection(every=2)],
    "escape_formulas": [False, True],
    "merge_subruns": [False, True],
}
#: The reference scanner converts one input of this number as well.
_COMPARED = 4
_NAME = "events.out.tfevents.1700000000.host"


def options_of(data: bytes) -> dict[str, Any]:
    """Return the options with which an input is converted."""
    rng = random.Random(zlib.crc32(data))
    return {name: rng.choice(values) for name, values in _CHOICES.items()}


class ConversionTarget:
    """``convert`` of one file, in a folder in memory if the system has one."""

    def __init__(self, folder: Path) -> None:
        self._logs, self._out = folder / "logs", folder / "out"
        (self._logs / "run").mkdir(parents=True, exist_ok=True)

    def seeds(self) -> list[bytes]:
        return sample_files()

    def mutate(self, data: bytes, rng: random.Random, plain: PlainMutation) -> bytes:
        return mutated_file(data, rng, plain)

    def run(self, data: bytes) -> None:
        (self._logs / "run" / _NAME).write_bytes(data)
        options = options_of(data)
        found = self._converted("compiled", options)
        if zlib.crc32(data) % _COMPARED == 0:
            assert found == self._converted("reference", options), "the scanners give other tables"

    def _converted(self, scanner: str, options: dict[str, Any]) -> Any:
        os.environ[SCANNER_VARIABLE] = scanner
        try:
            report = tb2csv.convert(self._logs, self._out, workers=1, **options)
            tree = read_tree(self._out)
        except Tb2csvError as error:
            assert not self._out.exists(), "an output of a conversion that failed"
            return str(error)
        finally:
            os.environ.pop(SCANNER_VARIABLE, None)
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self._out)
        _check_account(report.to_dict())
        _check_index(tree)
        return tree


def _check_account(report: dict[str, Any]) -> None:
    written, filtered = report["values_written"], report["values_filtered"]
    empty = report.get("values_empty", 0)
    assert report["values_read"] == written + filtered + report["values_undecodable"] + empty, report
    for each in report["sources"]:
        assert 0 <= each["lost_bytes"] + each["incomplete_tail_bytes"] <= each["bytes"]


def _check_index(tree: dict[str, bytes]) -> None:
    """Every table of text has the rows that the index says, and as many cells in each as columns."""
    index = list(csv.DictReader(io.StringIO(tree["index.csv"].decode(), newline="")))
    for table in index:
        if table["path"].endswith(".csv"):
            rows = list(csv.reader(io.StringIO(tree[table["path"]].decode(), newline="")))
            assert len(rows) - 1 == int(table["rows"]), table
            assert len(set(map(len, rows))) == 1, table


def make(_: str, folder: Path) -> ConversionTarget:
    return ConversionTarget(folder)
