"""Pages of a table as JSON text of a bounded size.

Over standard input and output, the time of an answer grows with the square of its size, and an agent has to read it.
Rows are lists, so names of columns are not repeated. NaN is the text ``"NaN"``, as in JSON Lines: JSON lacks it, and a
client that checks answers against a schema loses an answer with a bare NaN.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.analysis.table_text import json_rows
from tb2csv.errors import OptionError
from tb2csv.sinks.plain_columns import plain_columns

if TYPE_CHECKING:
    import polars as pl

#: The maximum number of bytes of an answer on the wire, where its text is escaped once more.
MAX_BYTES: Final = 256 * 1024
#: Room for what is neither rows nor facts: members of the page, and the frame of the message.
_FRAME_BYTES: Final = 2048
#: The maximum number of characters of a cell. An image or a long text would take the whole answer.
MAX_CELL: Final = 10_000
#: The maximum number of rows, and the number without a limit.
MAX_ROWS: Final = 5000
DEFAULT_ROWS: Final = 200


class Cursor(NamedTuple):
    """The place of the next row: its number, and the state of the log in which it was counted."""

    generation: int
    row: int

    def __str__(self) -> str:
        """Return the text of a cursor."""
        return f"{self.generation}:{self.row}"


def parse_cursor(text: str) -> Cursor:
    """Return the cursor that an answer gave.

    Raises:
        OptionError: the text is not a cursor.
    """
    parts = text.split(":")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 16 for part in parts):
        message = f"{text[:50]!r} is not a cursor; give next_cursor of the answer before."
        raise OptionError(message)
    return Cursor(*map(int, parts))


def page(table: pl.DataFrame, start: Cursor, limit: int, facts: dict[str, Any]) -> str:
    """Return some rows of a table, and where to go on, as JSON text.

    Args:
        table: all rows.
        start: the first row of the page.
        limit: the maximum number of rows.
        facts: more members of the page, small ones.

    Raises:
        OptionError: one row alone is too large, or ``limit`` is not positive.
    """
    if limit < 1:
        message = f"limit is {limit}; give at least 1."
        raise OptionError(message)
    rows: list[list[Any]] = []
    shortened: list[dict[str, Any]] = []
    head = {"columns": table.columns, **facts}
    room = MAX_BYTES - _FRAME_BYTES - _wire_size(head)
    for row in json_rows(plain_columns(table.slice(start.row, min(limit, MAX_ROWS)))):
        long = {name: len(cell) for name, cell in row.items() if isinstance(cell, str) and len(cell) > MAX_CELL}
        cells = [cell[:MAX_CELL] if name in long else cell for name, cell in row.items()]
        marks = [{"row": start.row + len(rows), "column": name, "characters": length} for name, length in long.items()]
        room -= _wire_size(cells) + sum(map(_wire_size, marks)) + 1
        if room < 0:
            break
        rows.append(cells)
        shortened += marks
    end = start.row + len(rows)
    if not rows and end < len(table):
        message = f"Row {end} is larger than an answer may be; select fewer columns with sql."
        raise OptionError(message)
    more = {"shortened": shortened} if shortened else {}
    next_cursor = str(start._replace(row=end)) if end < len(table) else None
    return _json({**head, "rows": rows, "total_rows": len(table), "next_cursor": next_cursor, **more})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _wire_size(value: Any) -> int:
    """Return the number of bytes of a value as JSON in a JSON string."""
    return len(_json(_json(value)).encode("utf-8", "backslashreplace"))
