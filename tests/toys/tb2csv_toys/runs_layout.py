"""The layout ``runs``: a table for each run and kind, ``<run>/<kind>``, with a column ``tag``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.layouts.row_layout import RowLayout

if TYPE_CHECKING:
    from tb2csv.layouts.table_paths import TreePlace, TreeTable


class RunsLayout(RowLayout):
    """Joins the tables of a run and a kind."""

    leading = ("tag",)

    def key(self, table: TreeTable) -> str:
        """Return the run and the kind."""
        return f"{table.run}\n{table.kind}"

    def path(self, place: TreePlace) -> tuple[str, str]:
        """Return the kind, in the folder of the run."""
        return f"{place.run_folder}/{place.kind}", place.part
