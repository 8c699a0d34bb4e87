"""The layout ``tags``: one table per tag, ``<kind>/<tag>``, with a column ``run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.layouts.row_layout import RowLayout
from tb2csv.layouts.table_paths import FILES_ENDING, ROOT_FILES, with_variant
from tb2csv.sinks.file_names import tag_path

if TYPE_CHECKING:
    from tb2csv.layouts.table_paths import TreePlace, TreeTable


class TagsLayout(RowLayout):
    """The layout that joins the tables of a tag in all runs."""

    leading = ("run",)

    def key(self, table: TreeTable) -> str:
        """Return the folder and the tag."""
        return f"{table.folder}\n{table.tag_bytes!r}"

    def path(self, place: TreePlace) -> tuple[str, str]:
        """Return the folder, and the tag in it."""
        return f"{place.folder}/{tag_path(place.series.tag)}", place.part

    def files(self, place: TreePlace) -> str:
        """Return the folder of the run, in which there may be folders of other runs."""
        return with_variant(place.run_folder or ROOT_FILES, place.series.variant) + FILES_ENDING
