"""Write a single table to a file, in the format that the file's ending names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tb2csv.atomic_files import check_place, whole_file
from tb2csv.errors import OptionError
from tb2csv.late_modules import pl
from tb2csv.sinks.format_protocols import TextFormat
from tb2csv.sinks.formats import FORMATS, choose_format

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator


def check_table_file(out: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise early what ``write_table_file`` would raise for this path: OptionError or OutputError."""
    _format_of(out)
    check_place(out, overwrite=overwrite)


def write_table_file(
    out: str | os.PathLike[str],
    schema: pl.Schema,
    pieces: Iterator[pl.DataFrame],
    *,
    format: str | None = None,
    escape_formulas: bool = False,
    overwrite: bool = False,
) -> int:
    """Write the pieces of one table atomically to the file ``out``, and return the number of rows.

    All pieces have the columns of ``schema``; at most one of them is in memory. ``format`` is the name of a format; if
    None, the ending of ``out`` names it. ``escape_formulas`` is as in ``choose_format``.

    Raises:
        OptionError: there is no such format.
        OutputError: the file cannot be written.
    """
    table_format = choose_format(format or _format_of(out), escape_formulas=escape_formulas)
    rows = 0

    def counted() -> Iterator[pl.DataFrame]:
        nonlocal rows
        yield schema.to_frame()  # a table without rows also has a header
        for piece in pieces:
            rows += len(piece)
            yield piece

    with whole_file(out, overwrite=overwrite) as place:
        if isinstance(table_format, TextFormat):
            with place.open("wb") as file:
                for number, piece in enumerate(counted()):
                    table_format.append(piece, file, is_first=not number)
        else:

            def read(
                columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _: int | None
            ) -> Iterator[pl.DataFrame]:
                assert (predicate, n_rows) == (None, None)
                for piece in counted():
                    yield piece if columns is None else piece.select(columns)

            table_format.write(pl.io.plugins.register_io_source(read, schema=schema), str(place))
    return rows


def _format_of(out: str | os.PathLike[str]) -> str:
    """Return the name of the format that the ending of a file names."""
    name = Path(out).name.lower()
    for format_name, table_format in FORMATS.items():
        if name.endswith(table_format.suffix):
            return format_name
    endings = ", ".join(dict.fromkeys(each.suffix for each in FORMATS.values()))
    message = f"{out} has an unknown ending; choose from {endings}."
    raise OptionError(message)
