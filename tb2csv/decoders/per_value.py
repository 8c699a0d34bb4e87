"""Decoding of values one by one, for payloads that are rare or large."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from tb2csv.decoders.protocol import MAIN_PART, PART_ROWS, StoredFile, TablePart, Undecodable
from tb2csv.decoders.tensor_batches import read_tensor
from tb2csv.errors import DecodeError
from tb2csv.late_modules import np, pl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tb2csv.decoders.protocol import Values


class Decoded(NamedTuple):
    """The decoded form of one value: rows without their times, and files by name."""

    rows: Sequence[tuple[Any, ...]]
    files: Mapping[str, bytes] = MappingProxyType({})


def decode_one_by_one(
    values: Values,
    schema: Mapping[str, type[pl.DataType]],
    decode: Callable[[Values, int], Decoded],
    part: str = MAIN_PART,
) -> Iterator[TablePart | Undecodable]:
    """Yield the rows that ``decode`` returns for each value, usually in one part.

    A value for which ``decode`` raises DecodeError is undecodable. ``schema`` has the columns after ``wall_time`` and
    ``step``, which are added here.
    """
    columns: dict[str, type[pl.DataType]] = {"wall_time": pl.Float64, "step": pl.Int64, **schema}
    rows: list[tuple[Any, ...]] = []
    files: list[StoredFile] = []
    counts = np.zeros(len(values), np.int64)
    start = 0
    for row in range(len(values)):
        try:
            decoded = decode(values, row)
            _check_cells_fit(decoded.rows, schema)
        except DecodeError as error:
            yield Undecodable.of(row, error)
            continue
        if rows and len(rows) + len(decoded.rows) > PART_ROWS:
            yield TablePart(
                pl.DataFrame(rows, columns, orient="row"), start, row, counts[start:row], part, tuple(files)
            )
            rows, files, start = [], [], row
        time = (float(values.wall_time[row]), int(values.step[row]))
        rows += [(*time, *cells) for cells in decoded.rows]
        counts[row] = len(decoded.rows)
        files += [StoredFile(row, name, data) for name, data in decoded.files.items()]
    yield TablePart(pl.DataFrame(rows, columns, orient="row"), start, len(values), counts[start:], part, tuple(files))


def _check_cells_fit(rows: Sequence[tuple[Any, ...]], schema: Mapping[str, type[pl.DataType]]) -> None:
    """Raise DecodeError if a cell does not fit its column, so that only its value is undecodable.

    Text formats can hold cells that tables cannot, such as numbers of any size and half of a surrogate pair.
    """
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    for (name, dtype), cells in zip(schema.items(), columns, strict=True):
        known = [cell for cell in cells if cell is not None]
        try:
            if dtype.is_numeric():
                np.array(known, np.int64 if dtype.is_integer() else np.float64)
            else:
                "".join(known).encode("utf-8")
        except (TypeError, ValueError, OverflowError) as error:
            detail = f"the column {name} cannot hold what is stored: {error}"
            raise DecodeError(detail) from error


def read_strings(values: Values, row: int) -> list[bytes]:
    """Return the strings of a string tensor of any shape, in order.

    Raises:
        DecodeError: the value is not a string tensor.
    """
    array = read_tensor(values, row)
    if array.dtype != object:
        detail = f"a tensor of {array.dtype} is stored instead of strings"
        raise DecodeError(detail)
    return list(array.reshape(-1))
