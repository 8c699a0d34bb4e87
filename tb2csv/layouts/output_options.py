"""What the tables of a conversion look like: layout, format, header, times; and which of these go together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tb2csv.errors import OptionError
from tb2csv.layouts.table_paths import HEADERS, LAYOUTS, ON_DUPLICATE, StepJoin, TensorBoardNames
from tb2csv.layouts.time_columns import TimeColumns
from tb2csv.messages import Option, advice
from tb2csv.sinks.formats import choose_format
from tb2csv.sinks.tensorboard_csv import TensorBoardCsvFormat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tb2csv.layouts.table_paths import Join
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
        if isinstance(self.join, StepJoin) and self.times.is_since_tag:
            raise OptionError(
                "A row of the wide layout is of many tags, so its time is relative to the run",
                advice("leave out {}", Option("relative_to", "first-step")),
                advice("choose another layout"),
            )
        if isinstance(self.join, StepJoin) and self.sessions:
            raise OptionError(
                "A row of the wide layout may be of many sessions",
                advice("leave out {}", "sessions"),
                advice("choose another layout"),
            )
        if self.header == "tensorboard":
            self._check_download()

    def _check_download(self) -> None:
        """Refuse what TensorBoard's own download has no place for."""
        if self.layout != "tree":
            unfit = advice("leave out {}", Option("layout", self.layout))
            raise OptionError("TensorBoard's download is a file for each run and tag", unfit)
        if self.format != "csv":
            raise OptionError("TensorBoard's download is CSV", advice("leave out {}", Option("format", self.format)))
        if not self.times.is_stored:
            unfit = advice("leave out {}", "time")
            raise OptionError("TensorBoard's download has the seconds since 1970 and no other time", unfit)
        if self.sessions:
            raise OptionError("TensorBoard's download has no column for sessions", advice("leave out {}", "sessions"))
        if self.merge_subruns:
            unfit = advice("leave out {}", "merge_subruns")
            raise OptionError("TensorBoard's download has no column for the run a row came from", unfit)

    @property
    def join(self) -> Join:
        """What is joined."""
        return TensorBoardNames() if self.header == "tensorboard" else LAYOUTS[self.layout]

    @property
    def table_format(self) -> TextFormat | WholeFormat:
        """The format of tables that are not joined."""
        return choose_format(self.format, escape_formulas=self.escape_formulas)

    @property
    def joined_format(self) -> TextFormat | WholeFormat:
        """The format of tables that are joined."""
        return TensorBoardCsvFormat() if self.header == "tensorboard" else self.table_format


def _check(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        message = f"There is no {what} {name!r}; give one of {', '.join(known)}."
        raise OptionError(message)
