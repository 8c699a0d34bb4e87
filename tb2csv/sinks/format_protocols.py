"""The protocols of table formats, which have a module each and are listed in formats.py.

A format is text, to which rows can be appended, or compressed text or another file that must be written as a whole.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt
    import polars as pl

    from tb2csv.late_modules import np

#: The text of a date and time in formats without a type for it: RFC 3339 with microseconds.
TIMESTAMP: Final = "%Y-%m-%dT%H:%M:%S%.6fZ"


class Format(Protocol):
    """Any format. Columns have the polars types that layouts/manifest.py names."""

    @property
    def suffix(self) -> str:
        """The ending of its files, such as ``.csv``; ``sinks.file_names`` lists all of them."""

    @property
    def properties(self) -> Mapping[str, Any]:
        """The properties of its files in a data package, such as ``format`` and ``mediatype``."""


@runtime_checkable
class TextFormat(Format, Protocol):
    """A format whose files can be appended to, in pieces of any size. Equal pieces give equal bytes.

    Implemented by CsvFormat, JsonLinesFormat and TensorBoardCsvFormat.
    """

    def append(self, frame: pl.DataFrame, file: IO[bytes], *, is_first: bool) -> None:
        """Append rows to a file; ``is_first`` means that the file is empty and needs a header."""

    def has_one_line_per_row(self, schema: Mapping[str, pl.DataType]) -> bool:
        """Return whether ``lines`` gives exactly one line for each row of these columns.

        The text of many small tables is then written at once and split into lines.
        """

    def header(self, names: tuple[str, ...]) -> bytes:
        """Return the bytes before the lines of a file."""

    def lines(self, frame: pl.DataFrame) -> bytes:
        """Return the lines of rows, each with a line feed at its end and none within."""


@runtime_checkable
class LossyFormat(TextFormat, Protocol):
    """A text format that writes some cells as missing, and counts them. Implemented by NullJsonLinesFormat."""

    #: The values of these cells, as the beginning of a sentence: ``NaN and infinities``.
    lost: str
    #: The name of a format that keeps them.
    lossless: str

    def lost_cells(self, frame: pl.DataFrame) -> npt.NDArray[np.int64]:
        """Return the number of cells of each row that are written as missing although they have a value."""


@runtime_checkable
class CompressedFormat(TextFormat, Protocol):
    """A text format whose tables are written as a whole, because the bytes depend on where the text is cut.

    Implemented by CompressedCsvFormat.
    """

    def write_pieces(self, pieces: Iterable[pl.DataFrame], file: IO[bytes]) -> None:
        """Write a whole table to a file; its bytes do not depend on the sizes of the pieces."""


@runtime_checkable
class ReadableFormat(Format, Protocol):
    """A format of whole files whose rows can be read back, and written again with later ones.

    Implemented by ArrowFormat, ParquetFormat and CompressedCsvFormat.
    """

    def read(self, path: str, schema: Mapping[str, pl.DataType]) -> pl.DataFrame | pl.LazyFrame:
        """Return the rows of a file, exactly as they were; ``schema`` has their columns."""


@runtime_checkable
class WholeFormat(Format, Protocol):
    """A format whose files must be written as a whole. Implemented by ArrowFormat and ParquetFormat."""

    def write(self, table: pl.LazyFrame, path: str) -> None:
        """Write a whole table to a file, in the order of its rows, without holding all of it in memory."""
