"""An export of one file: its name, and its path among the files of the conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tb2csv.converted_tables import open_tables
from tb2csv.errors import OutputError
from tb2csv.layouts.table_paths import HPARAMS_PATH
from tb2csv.sinks.file_names import run_path, tag_path
from tb2csv.sinks.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tb2csv.tensorboard_plugin.export_request import ExportRequest
    from tb2csv.tensorboard_plugin.index_snapshot import IndexSnapshot

#: The maximum size of a name in bytes: file systems allow 255, and browsers append a number if the name exists.
_MAX_NAME_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class SingleTable:
    """The only table of a kind in a conversion, and its name as a download."""

    kind: str
    file_name: str

    def find(self, folder: Path) -> Path:
        """Return the table in an output folder.

        Raises:
            OutputError: there is none.
        """
        index = open_tables(folder).index
        paths: list[str] = index.filter(index["kind"] == self.kind)["path"].to_list()
        if not paths:
            message = "The values could not be decoded, so there is no table; export an archive to get their bytes."
            raise OutputError(message)
        return folder / min(paths, key=len)  # the table of undecodable payloads has a longer name


def single_table(request: ExportRequest, index: IndexSnapshot, series_indices: Sequence[int]) -> SingleTable:
    """Return the table of a request for one file: that of the only series, or that of the trials."""
    suffix = FORMATS[request.format].suffix
    if request.what == "hparams":
        return SingleTable("hparams", HPARAMS_PATH + suffix)
    (series_index,) = series_indices
    series = index.series[series_index]
    folder = run_path(index.runs[index.run[series_index]], holds_tables=False)
    stem = f"{folder}/{tag_path(series.tag)}".strip("/").replace("/", "-")
    return SingleTable(series.kind, stem.encode()[: _MAX_NAME_BYTES - len(suffix)].decode(errors="ignore") + suffix)
