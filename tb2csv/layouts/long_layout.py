"""The layout ``long``: one table per kind, ``<kind>``, with columns ``run`` and ``tag``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.layouts.row_layout import RowLayout

if TYPE_CHECKING:
    from tb2csv.layouts.table_paths import TreePlace, TreeTable


class LongLayout(RowLayout):
    """The layout that joins all tables of a kind."""

    leading = ("run", "tag")

    def key(self, table: TreeTable) -> str:
        """Return the kind."""
        return table.kind

    def path(self, place: TreePlace) -> tuple[str, str]:
        """Return the path stem and the part name; the part name is empty if the part has a kind of its own."""
        return place.kind, "" if place.kind != place.folder else place.part
