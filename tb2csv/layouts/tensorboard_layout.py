"""The layout of TensorBoard's own download: its file names, columns and numbers, for scalars.

Source: the downloader in tensorboard/components/tf_dashboard_common; browsers replace ``/`` by ``_``.
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
    """The layout that renames the tables of scalars; each stays a separate table."""

    renamed: Mapping[str, str] = {"Wall time": "wall_time", "Step": "step", "Value": "value"}

    def check(self, options: OutputOptions) -> None:
        """Raise OptionError for options that TensorBoard's own download does not support."""
        if options.layout != "tree":
            unfit = advice("leave out {}", Option("layout", options.layout))
            raise OptionError("TensorBoard's download has a file for each run and tag", unfit)
        if options.format != "csv":
            raise OptionError("TensorBoard's download is CSV", advice("leave out {}", Option("format", options.format)))
        if not options.times.is_stored:
            unfit = advice("leave out {}", "time")
            raise OptionError("TensorBoard's download has times only in seconds since 1970", unfit)
        if options.sessions:
            raise OptionError("TensorBoard's download has no column for sessions", advice("leave out {}", "sessions"))
        if options.merge_subruns:
            unfit = advice("leave out {}", "merge_subruns")
            raise OptionError("TensorBoard's download has no column for the original run of a row", unfit)

    def joins(self, kind: str) -> bool:
        """Rename scalars."""
        return kind == SCALARS

    def key(self, table: TreeTable) -> str:
        """Return a key that is unique to the table."""
        return "\n".join((table.run, table.folder, repr(table.tag_bytes), table.variant))

    def name_source(self, place: TreePlace) -> str:
        """Return the path in the tree."""
        return place.stem

    def path(self, place: TreePlace) -> tuple[str, str]:
        """Return a name directly in the output folder."""
        name = f"run-{place.series.run}-tag-{place.series.tag}".replace("/", "_")
        return encode_segment(name), place.part

    def table_format(self, options: OutputOptions) -> TextFormat:
        """Return the format of TensorBoard's own download."""
        return TensorBoardCsvFormat()
