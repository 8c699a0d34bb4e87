"""What the tables of a conversion look like: layout, format, header, times; and which of these go together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tb2csv.errors import OptionError
from tb2csv.layouts.layouts import HEADERS, LAYOUTS
from tb2csv.layouts.table_paths import ON_DUPLICATE
from tb2csv.layouts.time_columns import TimeColumns
from tb2csv.sinks.formats import choose_format

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tb2csv.layouts.layout import Layout
    from tb2csv.sinks.format_protocols import TextFormat, WholeFormat


@dataclass(frozen=True)
class OutputOptions:
    """What tables look like; raises OptionError for what there is not, or does not go together.

    The fields are options of ``convert``.
    """

    layout: str = "tree"
    format: str = "csv"
    header: str = "plain"
    on_duplicate: str = "last"
    times: TimeColumns = field(default_factory=TimeColumns)
    escape_formulas: bool = False
    #: Whether rows have a column that tells their session.
    sessions: bool = False
    #: Whether tables have a column that tells which run, of those that were merged, a row came from.
    merge_subruns: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        _check("layout", self.layout, LAYOUTS)
        _check("header", self.header, HEADERS)
        _check("way to treat a step that a tag has twice", self.on_duplicate, ON_DUPLICATE)
        choose_format(self.format)
        self.chosen_layout.check(self)

    @property
    def chosen_layout(self) -> Layout:
        """The layout, which may depend on the header."""
        return HEADERS[self.header] or LAYOUTS[self.layout]

    @property
    def table_format(self) -> TextFormat | WholeFormat:
        """The format of tables that are not joined."""
        return choose_format(self.format, escape_formulas=self.escape_formulas)


def _check(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        message = f"There is no {what} {name!r}; give one of {', '.join(known)}."
        raise OptionError(message)
