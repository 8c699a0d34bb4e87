"""The calls of docs/readers.md, and the tables that they read in the tests."""

from __future__ import annotations

import math
import re
import struct
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from event_files import event, scalar, text, write_run

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE: Final = Path(__file__).parents[2] / "docs" / "readers.md"
#: The blocks of the page, each as its language and its text.
BLOCKS: Final = re.findall(r"^```(\w*)\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)

#: How each language names the function of a call.
_NAMES: Final = {
    "python": r"^def (read_\w+)\(",
    "r": r"^(read_\w+) <- function",
    "js": r"^export async function (read\w+)\(",
    "sh": r"^(read_\w+)\(\)",
}

LARGEST_FLOAT32: Final = 3.4028234663852886e38
#: Numbers whose text programs are known to read as a neighbor.
_HARD: Final = [1700274918.380144, 1.953134219866258e-220, -2.2606631148481385e-299, 1.844425483044404e-210]
#: Cells by tag, and the type of each; None is a step that has no value.
NUMBERS: Final[dict[str, tuple[str, list[Any]]]] = {
    "float32": ("float32", [0.5, math.nan, math.inf, -math.inf, 2**-149, -0.0, LARGEST_FLOAT32, None]),
    "float64": ("float64", [0.1, math.nan, math.inf, -math.inf, 5e-324, -0.0, 2.2250738585072014e-308, None]),
    "hard": ("float64", [*_HARD, 1.7976931348623157e308, 1.660313419432219e-308, 9007199254740993.0, None]),
    "int64": ("int64", [2**53 + 1, -(2**63), 2**63 - 1, 0, None, 1, 2, 3]),
    "uint64": ("uint64", [2**64 - 1, 2**53 + 1, 0, None, 1, 2, 3, 4]),
    "bool": ("bool", [True, False, None, True, False, True, True, False]),
    "1": ("float32", [1e-10, 2.5e10, None, 1.5, 2.5, 3.5, 4.5, 5.5]),
    ' say "x", y': ("float32", [None, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]),
    "a`b\\c": ("float32", [None, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]),
    "NA": ("float32", [None, None, None, None, None, None, None, 7.5]),
}
STEPS: Final = [0, 1, 2, 3, 4, 5, 6, 2**62]
TEXTS: Final = [
    "plain",
    "",
    "NA",
    "null",
    "None",
    "nan",
    "007",
    "1e5",
    " blank ",
    'say "so"',
    "two\nlines",
    "two\n\nparagraphs\n",
    "a,b",
    "=1",
    "é",
    "\\",
    "#1",
    "'",
    '"',
]
#: So many rows without a value come first: polars looks at 100 rows, DuckDB at 20,480.
EMPTY_ROWS: Final = 21_000
#: When the texts were written, in microseconds since 1970. As seconds in float64 they are wall times.
MOMENTS: Final = [1_700_274_918_380_144 + 1_000_001 * number for number in range(len(TEXTS))]


def write_tables(folder: Path, formats: Mapping[str, str]) -> None:
    """Write tables of one log into folders, given by the format: scalars side by side, and texts with their times."""
    logs = folder / "logs"
    events = [event(scalar("first", 1.5), step=step - EMPTY_ROWS) for step in range(EMPTY_ROWS)]
    for row, step in enumerate(STEPS):
        cells = ((tag, dtype, cells[row]) for tag, (dtype, cells) in NUMBERS.items())
        events.append(event(*(scalar(tag, cell, dtype) for tag, dtype, cell in cells if cell is not None), step=step))
    texts = zip(TEXTS, MOMENTS, strict=True)
    notes = [event(text("notes", cell), step=s, wall_time=moment / 1e6) for s, (cell, moment) in enumerate(texts)]
    write_run(logs, *events, *notes)
    for table_format, place in formats.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        tb2csv.convert(logs, folder / place, layout="wide", format=table_format, time=("epoch", "iso"))


def calls(language: str) -> list[str]:
    """Return the names of the calls of a language."""
    return [
        name for each, block in BLOCKS if each == language for name in re.findall(_NAMES[each], block, re.MULTILINE)
    ]


def blocks(language: str) -> list[str]:
    """Return the blocks of a language."""
    return [block for each, block in BLOCKS if each == language]


def stored(cell: Any, dtype: str) -> Any:
    """Return a cell as the event file has it."""
    return struct.unpack("<f", struct.pack("<f", cell))[0] if dtype == "float32" and cell is not None else cell


def bits(cell: Any) -> Any:
    """Return what distinguishes -0.0 from 0.0, and lets NaN equal NaN."""
    if isinstance(cell, float):
        return "nan" if math.isnan(cell) else struct.pack("<d", cell)
    return cell


def microseconds(cell: Any) -> int:
    """Return a moment as microseconds since 1970, given as such, as a datetime, or as text."""
    if isinstance(cell, str):
        cell = datetime.strptime(cell, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    if isinstance(cell, datetime):
        # Without a zone it is local time, as Spark gives it.
        return (cell.astimezone(timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)
    return int(cell)


def check_numbers(
    found: Mapping[str, list[Any]], *, missing_float: float | None = None, least_int: int | None = -(2**63)
) -> None:
    """Compare scalars side by side with what was written, bit for bit.

    Args:
        found: the columns of the table, in their order.
        missing_float: what the program makes of a float that is missing.
        least_int: what the program makes of the lowest int64.
    """
    assert list(found) == ["step", "wall_time", "time_utc", "first", *NUMBERS]
    assert found["step"][EMPTY_ROWS:] == STEPS
    for tag, (dtype, cells) in NUMBERS.items():
        missing = missing_float if "float" in dtype else None
        expected = [missing] * EMPTY_ROWS + [missing if cell is None else stored(cell, dtype) for cell in cells]
        expected = [least_int if cell == -(2**63) else cell for cell in expected]
        assert list(map(bits, found[tag])) == list(map(bits, expected)), tag


def check_texts(found: Mapping[str, list[Any]], *, empty: str | None = "") -> None:
    """Compare texts and their times with what was written; ``empty`` is what the program makes of an empty text."""
    assert list(found) == ["wall_time", "time_utc", "step", "text"]
    assert found["text"] == [empty if cell == "" else cell for cell in TEXTS]
    assert list(map(bits, found["wall_time"])) == [bits(moment / 1e6) for moment in MOMENTS]
    assert list(map(microseconds, found["time_utc"])) == MOMENTS
    assert found["step"] == list(range(len(TEXTS)))
