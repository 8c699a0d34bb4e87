"""What a decoder is given, and what it gives back: undecoded values in, pieces of tables out."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

from tb2csv.errors import OptionError
from tb2csv.event_files.values import ValueKind
from tb2csv.selection import TENSOR_STYLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt
    import polars as pl

    from tb2csv.event_files.values import ValueBlock, ValueSchema

#: The part of a decoder's output that is the table itself; others stand beside it, named after it.
MAIN_PART: Final = ""

#: Rows of a piece at the most, where one value alone does not have more: it keeps memory bounded.
PART_ROWS: Final = 1 << 20


_LOADING: Final = threading.Lock()


@functools.cache
def _loaded_polars() -> None:
    import polars as pl

    pl.DataFrame({"value": np.zeros(1)})


def load_polars() -> None:
    """Import polars and what it imports itself at the first frame; every thread must have done so before it decodes.

    It takes longer than to scan a million values, so it is worth doing meanwhile. polars finds numpy at its first use,
    and fails where two threads do that at once.
    """
    with _LOADING:
        _loaded_polars()


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How to lay tensors out: see ``tb2csv convert --help``. Raises OptionError for a way that there is not."""

    tensors: str = TENSOR_STYLES[0]

    def __post_init__(self) -> None:
        """Refuse what there is not."""
        if self.tensors not in TENSOR_STYLES:
            message = f"There is no way {self.tensors!r} to lay out tensors; give one of {', '.join(TENSOR_STYLES)}."
            raise OptionError(message)


class Values:
    """Summary values that one decoder turns into rows together: of one series or of several, one after the other.

    The arrays have one element per value, and are gathered when they are asked for. ``ordinal`` counts a value within
    its series from 0, over all files of the run.
    """

    def __init__(
        self,
        block: ValueBlock,
        rows: npt.NDArray[np.int64],
        forms: Sequence[ValueSchema],
        ordinal: Callable[[], npt.NDArray[np.int64]],
        options: DecodeOptions,
    ) -> None:
        """Stand for the given rows of a block, whose form numbers count in ``forms``."""
        self.block = block
        self.forms = forms
        self.options = options
        self._rows = rows
        self._ordinal = ordinal

    def _column(self, name: str) -> npt.NDArray[Any]:
        column: npt.NDArray[Any] = getattr(self.block.columns, name)
        return column[self._rows]

    @functools.cached_property
    def form_id(self) -> npt.NDArray[np.int32]:
        """The number of each value's form."""
        return self._column("form_id")

    @functools.cached_property
    def wall_time(self) -> npt.NDArray[np.float64]:
        """Seconds since the epoch."""
        return self._column("wall_time")

    @functools.cached_property
    def step(self) -> npt.NDArray[np.int64]:
        """The step that the value was written for."""
        return self._column("step")

    @functools.cached_property
    def scalar(self) -> npt.NDArray[np.float64]:
        """The number of a scalar; NaN where it is in the payload."""
        return self._column("scalar")

    @functools.cached_property
    def payload_start(self) -> npt.NDArray[np.int64]:
        """Where the payload starts in the block's buffer."""
        return self._column("payload_offset") - self.block.base

    @functools.cached_property
    def payload_length(self) -> npt.NDArray[np.int32]:
        """Bytes of the payload."""
        return self._column("payload_length")

    @functools.cached_property
    def ordinal(self) -> npt.NDArray[np.int64]:
        """The number of the value in its series, from 0."""
        return self._ordinal()

    @functools.cached_property
    def log_order(self) -> npt.NDArray[np.int64]:
        """The values in the order of the log, where those of several series alternate."""
        return np.argsort(self._rows)

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self._rows)

    def form(self, row: int) -> ValueSchema:
        """Return the form of one value."""
        return self.forms[int(self.block.columns.form_id[self._rows[row]])]

    def payload(self, row: int) -> memoryview:
        """Return the payload of one value, without a copy."""
        start = int(self.payload_start[row])
        return self.block.buffer[start : start + int(self.payload_length[row])]

    def content(self, row: int) -> memoryview:
        """Return what the plugin keeps in the metadata of one value, without a copy."""
        if self.form(row).kind == ValueKind.PLUGIN_CONTENT:
            return self.payload(row)
        place = self._content_places[row] if self.block.columns.has_contents else -1
        return memoryview(b"") if place < 0 else self._content_at(place)

    def contents(self) -> Iterator[tuple[int, bytes]]:
        """Yield the number of each value that has plugin content beside its payload, and the content."""
        places = self._content_places
        for row in np.flatnonzero(places >= 0).tolist():
            yield row, bytes(self._content_at(places[row]))

    @functools.cached_property
    def _contents(self) -> npt.NDArray[np.void]:
        return self.block.columns.contents

    @functools.cached_property
    def _content_places(self) -> npt.NDArray[np.int64]:
        """The number of each value's content among those of the block; -1 for a value without."""
        places = np.full(len(self.block), -1)
        places[self._contents["row"]] = np.arange(len(self._contents))
        return places[self._rows]

    def _content_at(self, place: int) -> memoryview:
        _, offset, length = self._contents[place].tolist()
        return self.block.bytes_at(offset, length)

    def take(self, which: npt.NDArray[np.int64] | slice) -> Values:
        """Return some of the values."""
        return Values(self.block, self._rows[which], self.forms, lambda: self.ordinal[which], self.options)


class StoredFile(NamedTuple):
    """Bytes to be stored beside the table of the value ``row``, under the name that the ``path`` column gives."""

    row: int
    name: str
    data: bytes


@dataclass(frozen=True)
class TablePart:
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

    @functools.cached_property
    def schema(self) -> pl.Schema:
        """The names and types of the columns."""
        return self.frame.schema

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
    #: What is kept of it: the value's payload where this is None.
    payload: bytes | None = None


class Decoder(Protocol):
    """Turns the values of one plugin into tables."""

    #: The family of tables that it makes.
    kind: str

    def signature(self, form: ValueSchema, options: DecodeOptions) -> str | None:
        """Return what the table's columns depend on, or None where values of this form are not for this decoder.

        Values with one signature share a table, and may be decoded together with those of other series.
        """

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield the rows of the values, in their order, in one piece or in several."""
