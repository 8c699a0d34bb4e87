"""What a decoder is given, and what it gives back: undecoded values in, pieces of tables out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    import polars as pl

    from tb2csv.event_files.values import ValueBlock, ValueForm

#: The part of a decoder's output that is the table itself; others stand beside it, named after it.
MAIN_PART: Final = ""

#: Rows of a piece at the most, where one value alone does not have more: it keeps memory bounded.
PIECE_ROWS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How to lay tensors out: see ``tb2csv convert --help``."""

    tensors: str = "elements"


@dataclass(frozen=True, slots=True)
class Values:
    """Summary values that one decoder turns into rows together: of one series or of several, one after the other.

    All arrays have one element per value. ``ordinal`` counts a value within its series from 0, over all files of the
    run.
    """

    block: ValueBlock
    forms: Sequence[ValueForm]
    form_id: npt.NDArray[np.int32]
    wall_time: npt.NDArray[np.float64]
    step: npt.NDArray[np.int64]
    scalar: npt.NDArray[np.float64]
    payload_start: npt.NDArray[np.int64]
    payload_length: npt.NDArray[np.int64]
    ordinal: npt.NDArray[np.int64]
    options: DecodeOptions

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self.form_id)

    def form(self, row: int) -> ValueForm:
        """Return the form of one value."""
        return self.forms[self.form_id[row]]

    def payload(self, row: int) -> memoryview:
        """Return the payload of one value, without a copy."""
        start = int(self.payload_start[row])
        return memoryview(self.block.buffer)[start : start + int(self.payload_length[row])]

    def payloads(self, start: int, stop: int) -> bytes:
        """Return the payloads of a stretch of values, joined."""
        buffer = self.block.buffer
        starts = self.payload_start[start:stop]
        ends = starts + self.payload_length[start:stop]
        return b"".join([buffer[begin:end] for begin, end in zip(starts.tolist(), ends.tolist(), strict=True)])

    def take(self, rows: npt.NDArray[np.int64]) -> Values:
        """Return some of the values."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _PER_VALUE})


_PER_VALUE: Final = ("form_id", "wall_time", "step", "scalar", "payload_start", "payload_length", "ordinal")


class StoredFile(NamedTuple):
    """Bytes to be stored beside the table of the value ``row``, under the name that the ``path`` column gives."""

    row: int
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a table, made of the values ``start`` to ``stop``, of which value ``start + i`` gave ``counts[i]``."""

    frame: pl.DataFrame
    start: int
    stop: int
    #: Rows per value; one number where every value gave as many.
    counts: npt.NDArray[np.int64] | int
    part: str = MAIN_PART
    files: tuple[StoredFile, ...] = ()
    #: The kind of a part that is a table of its own kind; empty where it is the decoder's.
    kind: str = ""
    #: Whether the rows are not a run's, but part of one table of the whole log directory.
    is_gathered: bool = False

    def row_bounds(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return at which row of the frame each of the given values starts; ``stop`` gives the frame's end."""
        inside = np.clip(values, self.start, self.stop) - self.start
        if isinstance(self.counts, int):
            return inside * self.counts
        ends = np.concatenate(([0], np.cumsum(self.counts)))
        return ends[inside]


class Undecodable(NamedTuple):
    """A value that its decoder could not read, and why."""

    row: int
    detail: str


class Decoder(Protocol):
    """Turns the values of one plugin into tables."""

    #: The family of tables that it makes.
    kind: str

    def signature(self, form: ValueForm, options: DecodeOptions) -> str | None:
        """Return what the table's columns depend on, or None where values of this form are not for this decoder.

        Values with one signature share a table, and may be decoded together with those of other series.
        """

    def decode(self, values: Values) -> Iterator[Piece | Undecodable]:
        """Yield the rows of the values, in their order, in one piece or in several."""
