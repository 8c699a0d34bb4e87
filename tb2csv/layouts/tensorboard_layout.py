"""Scalars with the file names, the columns and the numbers of TensorBoard's own download.

Source: the downloader in tensorboard/components/tf_dashboard_common; browsers make ``_`` of a ``/``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.errors import OptionError
from tb2csv.layouts.row_layout import RowLayout
from tb2csv.layouts.table_paths import SCALARS
from tb2csv.messages import Option, advice
from tb2csv.sinks.file_names import encode_segment
from tb2csv.sinks.tensorboard_csv import TensorBoardCsvFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tb2csv.layouts.output_options import OutputOptions
    from tb2csv.layouts.table_paths import TreePlace, TreeTable
    from tb2csv.sinks.format_protocols import TextFormat


class TensorBoardLayout(RowLayout):
    """Renames the tables of scalars, each of which stays a table of its own."""

    renamed: Mapping[str, str] = {"Wall time": "wall_time", "Step": "step", "Value": "value"}

    def check(self, options: OutputOptions) -> None:
        """Refuse what TensorBoard's own download has no place for."""
        if options.layout != "tree":
            unfit = advice("leave out {}", Option("layout", options.layout))
            raise OptionError("TensorBoard's download is a file for each run and tag", unfit)
        if options.format != "csv":
            raise OptionError("TensorBoard's download is CSV", advice("leave out {}", Option("format", options.format)))
        if not options.times.is_stored:
            unfit = advice("leave out {}", "time")
            raise OptionError("TensorBoard's download has the seconds since 1970 and no other time", unfit)
        if options.sessions:
            raise OptionError("TensorBoard's download has no column for sessions", advice("leave out {}", "sessions"))
        if options.merge_subruns:
            unfit = advice("leave out {}", "merge_subruns")
            raise OptionError("TensorBoard's download has no column for the run a row came from", unfit)

    def joins(self, kind: str) -> bool:
        """Rename scalars."""
        return kind == SCALARS

    def key(self, table: TreeTable) -> str:
        """Return what no two tables have in common."""
        return "\n".join((table.run, table.folder, repr(table.tag_bytes), table.variant))

    def name_source(self, place: TreePlace) -> str:
        """Return the path in the tree."""
        return place.stem

    def path(self, place: TreePlace) -> tuple[str, str]:
        """Return a name in the output folder itself."""
        name = f"run-{place.series.run}-tag-{place.series.tag}".replace("/", "_")
        return encode_segment(name), place.part

    def table_format(self, options: OutputOptions) -> TextFormat:
        """Return the format of TensorBoard's own download."""
        return TensorBoardCsvFormat()
