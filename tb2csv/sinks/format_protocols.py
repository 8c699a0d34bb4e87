"""What a file format for tables has to do; the formats themselves are modules of their own, and listed in formats.py.

A format is text that grows at its end, so that rows are written as they come, or a file that is written at one stroke.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt
    import polars as pl

    from tb2csv.messages import Note

#: How a moment is written where a format has no type for it: RFC 3339, with six digits of a second.
TIMESTAMP: Final = "%Y-%m-%dT%H:%M:%S%.6fZ"


class Format(Protocol):
    """What every format has. The types of columns are those of polars that have a name in layouts/manifest.py."""

    @property
    def suffix(self) -> str:
        """The ending of its files, such as ``.csv``; ``sinks.file_names`` lists all of them."""

    @property
    def properties(self) -> Mapping[str, Any]:
        """What a data package says of its files, such as ``format`` and ``mediatype``."""


@runtime_checkable
class TextFormat(Format, Protocol):
    """A format to whose files rows can be appended, in pieces of any size. A piece gives the same bytes each time."""

    def append(self, frame: pl.DataFrame, file: IO[bytes], *, is_first: bool) -> None:
        """Write rows to the end of a file; ``is_first`` says that nothing is in it yet, not even a header."""

    def is_cut(self, schema: Mapping[str, pl.DataType]) -> bool:
        """Say whether ``lines`` gives exactly one line for each row of these columns, so that it can be cut into rows.

        The text of many small tables is then made at once.
        """

    def header(self, names: tuple[str, ...]) -> bytes:
        """Return what stands before the lines of a file."""

    def lines(self, frame: pl.DataFrame) -> bytes:
        """Return the lines of rows, each with a line feed at its end and none within."""


@runtime_checkable
class LossyFormat(TextFormat, Protocol):
    """A format of text that writes some cells as missing ones, and says so."""

    def lost_cells(self, frame: pl.DataFrame) -> npt.NDArray[np.int64]:
        """Return for each row how many of its cells are written as missing ones although they are not."""

    def note(self, lost: Mapping[str, int]) -> Note:
        """Return a note on cells that were written as missing, given their numbers by the paths of their tables."""


@runtime_checkable
class WholeFormat(Format, Protocol):
    """A format whose files are written at one stroke."""

    def write(self, table: pl.LazyFrame, path: str) -> None:
        """Write a whole table to a file, in the order of its rows, without holding all of it in memory."""
