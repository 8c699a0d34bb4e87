"""One table in one file, in any format that tables have; the ending of the file's name tells which."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tb2csv.atomic_files import check_place, whole_file
from tb2csv.errors import OptionError
from tb2csv.sinks.format_protocols import TextFormat
from tb2csv.sinks.formats import FORMATS

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import polars as pl

    from tb2csv.sinks.format_protocols import WholeFormat


def check_table_file(out: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise what ``write_table_file`` would: OptionError for an unknown ending, OutputError where none may be put."""
    _format_of(out)
    check_place(out, overwrite=overwrite)


def write_table_file(
    out: str | os.PathLike[str], schema: pl.Schema, pieces: Iterator[pl.DataFrame], *, overwrite: bool = False
) -> int:
    """Write pieces of one table to the file ``out``, which appears when it is whole; return how many rows they have.

    All pieces have the columns of ``schema``, and no more than one of them is in memory. Raises OptionError where the
    ending of ``out`` names no format, and OutputError where the file cannot be written.
    """
    table_format = _format_of(out)
    rows = 0

    def counted() -> Iterator[pl.DataFrame]:
        nonlocal rows
        yield schema.to_frame()  # a table without rows has a header nevertheless
        for piece in pieces:
            rows += len(piece)
            yield piece

    with whole_file(out, overwrite=overwrite) as place:
        if isinstance(table_format, TextFormat):
            with place.open("wb") as file:
                for number, piece in enumerate(counted()):
                    table_format.append(piece, file, is_first=not number)
        else:
            from polars.io.plugins import register_io_source

            def read(
                columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _: int | None
            ) -> Iterator[pl.DataFrame]:
                assert (predicate, n_rows) == (None, None)
                for piece in counted():
                    yield piece if columns is None else piece.select(columns)

            table_format.write(register_io_source(read, schema=schema), str(place))
    return rows


def _format_of(out: str | os.PathLike[str]) -> TextFormat | WholeFormat:
    name = Path(out).name.lower()
    for table_format in FORMATS.values():
        if name.endswith(table_format.suffix):
            return table_format
    endings = ", ".join(dict.fromkeys(each.suffix for each in FORMATS.values()))
    message = f"The ending of {out} tells no format; give one of {endings}."
    raise OptionError(message)
