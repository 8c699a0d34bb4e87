"""Arrow files of rows: the path, the checksum and the rows of a file that an earlier conversion may have written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.errors import OutputError
from tb2csv.late_modules import pl
from tb2csv.messages import Option, advice
from tb2csv.sinks.private_folder import KEPT_ROWS
from tb2csv.tfrecord import masked_crc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_PART: Final = 1 << 20


def kept_file(number: int) -> str:
    """Return the path of a file with kept rows."""
    return f"{KEPT_ROWS}/{number:06d}.arrow"


def file_checksum(location: str) -> int:
    """Return the masked CRC-32C of the bytes of a file.

    Raises:
        OutputError: the file cannot be read.
    """
    try:
        with open(location, "rb") as file:
            return masked_crc(_parts(file))
    except OSError as error:
        raise damaged_rows(str(error.strerror)) from error


def _parts(file: BinaryIO) -> Iterator[bytes]:
    while part := file.read(_PART):
        yield part


def collected(rows: pl.LazyFrame) -> pl.DataFrame:
    """Return rows of a file, which an earlier conversion may have written.

    Raises:
        OutputError: the file is damaged.
    """
    try:
        return rows.collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise damaged_rows(str(error).partition("\n")[0]) from error


def damaged_rows(reason: str) -> OutputError:
    """Return the error for stored rows that are not as they were written."""
    replace = advice("{} to convert everything anew", Option("overwrite", value=True))
    return OutputError(f"Rows that were stored for the tables are damaged ({reason})", replace)
