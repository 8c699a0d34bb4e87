"""Positions of CSV cells of any length; Python's csv module keeps whole cells in memory, and refuses long ones.

Reads what RFC 4180 allows and spreadsheets write: any quoting, line feeds with or without carriage returns, a byte
order mark. A cell has a place in the file, and is read on demand, as a whole or in stretches.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final, NamedTuple

from tb2csv.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK: Final = 1 << 22
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

# What comes next: a cell, more of a plain or of a quoted one, or what follows a quote within the latter.
_START, _PLAIN, _QUOTED, _QUOTE = range(4)


class Cell(NamedTuple):
    """The position of a cell's text in the file, without its quotes; ``is_escaped``: it has doubled quotes."""

    offset: int
    length: int
    is_escaped: bool


class _Scanner:
    """Finds the cells of one file, block by block."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._state = _START
        self._row: list[Cell] = []
        self._start = 0
        self._quote = 0
        self._is_escaped = False
        self._skips_line_feed = False

    def rows(self, block: bytes, base: int) -> Iterator[list[Cell]]:
        """Yield the rows that end in a block, which starts at the offset ``base`` of the file."""
        at, size = 0, len(block)
        while at < size:
            if self._state == _START:
                if self._skips_line_feed and block[at : at + 1] == b"\n":
                    self._skips_line_feed = False
                    at += 1
                    continue
                self._skips_line_feed = False
                at = self._begin(block, at, base)
            elif self._state == _PLAIN:
                at = _end_of_plain(block, at)
                if at < size:
                    yield from self._close(block, at, base, base + at)
                    at += 1
            elif self._state == _QUOTED:
                found = block.find(b'"', at)
                at = size if found < 0 else found + 1
                if found >= 0:
                    self._state, self._quote = _QUOTE, base + found
            else:
                if block[at : at + 1] == b'"':
                    self._state, self._is_escaped = _QUOTED, True
                else:
                    yield from self._close(block, at, base, self._quote)
                at += 1

    def rest(self, size: int) -> Iterator[list[Cell]]:
        """Yield the last row if no line feed ends it.

        Raises:
            StateError: the file ends inside a cell.
        """
        if self._state == _QUOTED:
            message = f"{self._name} ends inside a cell that starts at byte {self._start}; it is cut off, get it anew."
            raise StateError(message)
        if self._state != _START or self._row:
            end = self._quote if self._state == _QUOTE else size
            start = size if self._state == _START else self._start
            self._row.append(Cell(start, end - start, self._is_escaped))
            yield self._row

    def _begin(self, block: bytes, at: int, base: int) -> int:
        is_quoted = block[at : at + 1] == b'"'
        self._state = _QUOTED if is_quoted else _PLAIN
        self._start = base + at + is_quoted
        self._is_escaped = False
        return at + is_quoted

    def _close(self, block: bytes, at: int, base: int, end: int) -> Iterator[list[Cell]]:
        delimiter = block[at : at + 1]
        if delimiter not in {b",", b"\n", b"\r"}:
            message = f"{self._name} has text after the closing quote at byte {base + at}; write the CSV file again."
            raise StateError(message)
        self._row.append(Cell(self._start, end - self._start, self._is_escaped))
        self._state = _START
        if delimiter != b",":
            self._skips_line_feed = delimiter == b"\r"
            row, self._row = self._row, []
            if len(row) > 1 or row[0].length:  # no empty line
                yield row


def _end_of_plain(block: bytes, at: int) -> int:
    """Return the end of a plain cell: the first comma, line feed or carriage return, or the block's end."""
    end = len(block)
    for delimiter in (b",", b"\n", b"\r"):
        found = block.find(delimiter, at, end)
        end = end if found < 0 else found
    return end


def scan_rows(file: IO[bytes], name: str) -> Iterator[list[Cell]]:
    """Yield the cells of each row of a file from its start; blank lines are skipped.

    Raises:
        StateError: the text is not CSV; the message has the file's name.
    """
    scanner = _Scanner(name)
    file.seek(0)
    base = len(_BYTE_ORDER_MARK) if file.read(len(_BYTE_ORDER_MARK)) == _BYTE_ORDER_MARK else 0
    while True:
        file.seek(base)  # the caller may have read cells since the last row
        block = file.read(_BLOCK)
        if not block:
            break
        yield from scanner.rows(block, base)
        base += len(block)
    yield from scanner.rest(base)


def read_cell(file: IO[bytes], cell: Cell) -> bytes:
    """Return the text of a cell."""
    file.seek(cell.offset)
    text = file.read(cell.length)
    return text.replace(b'""', b'"') if cell.is_escaped else text


def read_stretches(file: IO[bytes], cell: Cell, size: int) -> Iterator[bytes]:
    """Yield the text of a cell that has no quotes in it, ``size`` bytes at a time."""
    for offset in range(cell.offset, cell.offset + cell.length, size):
        file.seek(offset)  # another caller may have read in between
        yield file.read(min(size, cell.offset + cell.length - offset))


def cell_text(text: str) -> bytes:
    """Return a text as a cell, quoted if necessary."""
    if any(letter in text for letter in '",\r\n') or not text:
        text = '"' + text.replace('"', '""') + '"'
    return text.encode("utf-8", "surrogatepass")
