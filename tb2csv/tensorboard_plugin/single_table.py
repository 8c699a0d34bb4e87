"""An export that is one file: what it is called, and which of the files that a conversion wrote it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tb2csv.converted_tables import read_csv_tables
from tb2csv.errors import OutputError
from tb2csv.layouts.table_paths import HPARAMS_PATH
from tb2csv.sinks.file_names import run_path, tag_path
from tb2csv.sinks.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tb2csv.tensorboard_plugin.export_request import ExportRequest
    from tb2csv.tensorboard_plugin.index_snapshot import IndexSnapshot

#: Bytes of a name: systems take 255, and browsers put something behind it where it is there already.
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class SingleTable:
    """The one table of a kind that a conversion writes, and the name that it is downloaded under."""

    kind: str
    file_name: str

    def find(self, folder: Path) -> Path:
        """Return the table in a folder that was written; raises OutputError if there is none."""
        index = read_csv_tables(folder).index
        paths: list[str] = index.filter(index["kind"] == self.kind)["path"].to_list()
        if not paths:
            message = "None of the values could be decoded, so there is no table; an archive has their bytes."
            raise OutputError(message)
        return folder / min(paths, key=len)  # payloads that could not be decoded are beside it, under a longer name


def single_table(request: ExportRequest, index: IndexSnapshot, places: Sequence[int]) -> SingleTable:
    """Return the table of a request that is for one: of the one series, or of the trials."""
    suffix = FORMATS[request.format].suffix
    if request.what == "hparams":
        return SingleTable("hparams", HPARAMS_PATH + suffix)
    (place,) = places
    series = index.series[place]
    stem = f"{run_path(index.runs[index.run[place]], holds_tables=False)}/{tag_path(series.tag)}".strip("/").replace(
        "/", "-"
    )
    return SingleTable(series.kind, stem.encode()[: _LONGEST - len(suffix)].decode(errors="ignore") + suffix)
