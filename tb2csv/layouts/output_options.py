"""Options for the tables of a conversion, such as layout, format, header and times, and their valid combinations."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tb2csv.errors import OptionError, check_choice, check_flag, check_type
from tb2csv.layouts.bins import STEP, Bins
from tb2csv.layouts.compare_layout import CompareLayout
from tb2csv.layouts.layouts import HEADERS, LAYOUTS
from tb2csv.layouts.time_columns import TimeColumns
from tb2csv.messages import Option, advice
from tb2csv.selection import KINDS
from tb2csv.sinks.format_protocols import CompressedFormat, ReadableFormat, TextFormat
from tb2csv.sinks.formats import choose_format
from tb2csv.wide_frames import ON_DUPLICATE

if TYPE_CHECKING:
    from tb2csv.layouts.layout import Layout
    from tb2csv.sinks.format_protocols import WholeFormat


@dataclass(frozen=True)
class OutputOptions:
    """Options of ``convert`` for its tables.

    Raises:
        OptionError: an option has an unknown value, or two options exclude each other.
    """

    layout: str = "tree"
    format: str = "csv"
    header: str = "plain"
    on_duplicate: str = "last"
    times: TimeColumns = field(default_factory=TimeColumns)
    escape_formulas: bool = False
    #: Whether tables have a column with the session of each row.
    sessions: bool = False
    #: Whether tables have a column with the run that each row was written to, because sub-runs are merged.
    merge_subruns: bool = False
    #: Whether all tables of a kind become one, because there is a file for one table only, which is never updated.
    is_one_table: bool = False
    #: What the rows of the layout ``compare`` are by, one of bins.AXES, and how runs get common rows.
    axis: str = STEP
    align: str | None = None

    @classmethod
    def of(
        cls,
        *,
        layout: str,
        format: str,
        header: str,
        on_duplicate: str,
        time: str | Iterable[str],
        relative_to: str,
        escape_formulas: bool,
        merge_subruns: bool,
        sessions: bool = False,
        is_one_table: bool = False,
        x: str = STEP,
        align: str | None = None,
    ) -> OutputOptions:
        """Return the options for arguments of ``convert``."""
        check_type("time", time, Iterable, "the names of time columns")
        check_flag("merge_subruns", merge_subruns)
        styles = (time,) if isinstance(time, str) else tuple(time)
        if x == "relative" and styles == ("epoch",):
            styles = ("relative",)
        return cls(
            layout,
            format,
            header,
            on_duplicate,
            TimeColumns(styles, relative_to),
            escape_formulas,
            sessions,
            merge_subruns,
            is_one_table,
            x,
            align,
        )

    def __post_init__(self) -> None:
        """Validate the options."""
        check_choice("layout", self.layout, LAYOUTS)
        check_choice("header", self.header, HEADERS)
        check_choice("value for duplicate steps", self.on_duplicate, ON_DUPLICATE)
        choose_format(self.format, escape_formulas=self.escape_formulas)
        if self.bins and not isinstance(self.chosen_layout, CompareLayout):
            raise OptionError(
                "Only the layout compare has rows by time or by bins",
                advice("give {}", Option("layout", "compare")),
                advice("leave out {}", "x", "align"),
            )
        self.chosen_layout.check(self)

    @property
    def chosen_layout(self) -> Layout:
        """The layout, which the header may replace."""
        return HEADERS[self.header] or LAYOUTS[self.layout]

    @property
    def bins(self) -> Bins | None:
        """The bins that rows of the layout ``compare`` are by; None if they are by step."""
        return Bins.of(self.axis, self.align)

    @property
    def is_continued(self) -> bool:
        """Whether tables can be continued with later rows, with the same bytes as if all were written together."""
        return isinstance(self.table_format, (TextFormat, ReadableFormat))

    @property
    def is_appended(self) -> bool:
        """Whether later rows are appended to the files of all tables of runs, and no table is made of several."""
        joins = any(self.chosen_layout.joins(kind) for kind in KINDS)
        table_format = self.table_format
        return not joins and isinstance(table_format, TextFormat) and not isinstance(table_format, CompressedFormat)

    @property
    def keeps_rows(self) -> bool:
        """Whether the rows of joined tables are kept for updates. If sub-runs are merged, an update reads all runs."""
        return not self.merge_subruns and not self.is_one_table

    @functools.cached_property
    def table_format(self) -> TextFormat | WholeFormat:
        """The format of tables that are not joined."""
        return choose_format(self.format, escape_formulas=self.escape_formulas)
