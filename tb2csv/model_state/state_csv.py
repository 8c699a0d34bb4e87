"""States as CSV files: three styles that a reader knows by their columns, and one that is only written."""

from __future__ import annotations

import contextlib
import functools
import io
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from tb2csv.atomic_files import whole_file
from tb2csv.errors import StateError
from tb2csv.local_paths import home_expanded
from tb2csv.model_state import element_rows, tensor_rows
from tb2csv.model_state.csv_cells import read_cell, scan_rows

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from tb2csv.model_state.tensors import ModelState

#: The default maximum of bytes of data in a cell.
DEFAULT_MAX_CELL: Final = 64 << 20


#: The maximum bytes of a header.
_HEADER: Final = 1 << 16


def _elements(state: ModelState, file: IO[bytes], *, max_cell: int, escape_formulas: bool) -> None:
    element_rows.write_element_rows(state, file, escape_formulas=escape_formulas)


def _values(state: ModelState, file: IO[bytes], *, max_cell: int, escape_formulas: bool) -> None:
    element_rows.write_element_rows(state, file, columns=element_rows.FEW_COLUMNS, escape_formulas=escape_formulas)


_WRITERS: Final[dict[str, Callable[..., None]]] = {
    "tensors": functools.partial(tensor_rows.write_tensor_rows, encoding="text"),
    "base64": functools.partial(tensor_rows.write_tensor_rows, encoding="base64"),
    "elements": _elements,
    "values": _values,
}
#: The names of the styles that can be read back, the default first.
STYLES: Final = ("tensors", "base64", "elements")


def write_state(
    state: ModelState,
    out: str | os.PathLike[str],
    *,
    style: str = STYLES[0],
    max_cell: int = DEFAULT_MAX_CELL,
    escape_formulas: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a state as a CSV file, atomically.

    With ``escape_formulas``, names that a spreadsheet would run get an apostrophe, which reading removes.

    Raises StateError if the style is unknown or a tensor cannot be read, OutputError if ``out`` exists
    and ``overwrite`` is not given, or cannot be written.
    """
    if style not in _WRITERS:
        message = f"There is no style {style!r}; the styles are {', '.join(_WRITERS)}."
        raise StateError(message)
    with whole_file(out, overwrite=overwrite) as path, path.open("wb") as file:
        _WRITERS[style](state, file, max_cell=max_cell, escape_formulas=escape_formulas)


def is_table(path: Path) -> bool:
    """Return whether a file has the columns of a state."""
    try:
        return path.is_file() and _reader(_columns(path)) is not None
    except OSError:
        return False


def _columns(path: Path) -> list[str]:
    """Return the columns of a CSV file; none if it does not begin with a header."""
    with path.open("rb") as file:
        start = file.read(_HEADER)
    with contextlib.suppress(StateError):  # it ends inside a cell
        header = next(scan_rows(io.BytesIO(start), str(path)), [])
        return [read_cell(io.BytesIO(start), cell).decode("utf-8", "replace").strip() for cell in header[:100]]
    return []


def _reader(columns: list[str]) -> Callable[[Path], ModelState] | None:
    """Return the reader of tables with these columns; None if it is not a table of a state."""
    if set(tensor_rows.COLUMNS) <= set(columns):
        return lambda path: tensor_rows.TensorRows(path, columns).state
    if set(element_rows.COLUMNS) <= set(columns):
        return lambda path: element_rows.ElementRows(path).state
    return None


def read_state(path: str | os.PathLike[str]) -> ModelState:
    """Return the state in a CSV file, whatever its style; bytes are read from the file when they are requested.

    Raises StateError if the file has other columns, or rows that are not sound.
    """
    try:
        reader = _reader(_columns(Path(home_expanded(path))))
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}); give the table of a state, which is a CSV file."
        raise StateError(message) from error
    if reader is not None:
        return reader(Path(home_expanded(path)))
    if set(element_rows.FEW_COLUMNS) <= set(_columns(Path(home_expanded(path)))):
        message = f"{path} has the style values, which does not have the dtypes of a state; write it as elements."
        raise StateError(message)
    wanted = ", ".join(tensor_rows.COLUMNS), ", ".join(element_rows.COLUMNS)
    message = f"{path} is not a table of a state, whose columns are {wanted[0]}, or {wanted[1]}."
    raise StateError(message)
