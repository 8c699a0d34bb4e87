"""One run: its event files in order, their values grouped by time series and decoded into pieces of tables."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tb2csv.decoders import DecodeOptions, Decoder, Piece, Undecodable, Values, choose_decoder, load_polars
from tb2csv.decoders.stacks import read_tensor
from tb2csv.errors import UNREADABLE, Damage, DecodeError
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE, EventFileReader, FileAccount, first_wall_time
from tb2csv.event_files.scanners import default_scanner
from tb2csv.event_files.values import ValueBlock, ValueForm
from tb2csv.executors import ahead
from tb2csv.selection import Selection
from tb2csv.tensor_protos import is_numeric
from tb2csv.time_series import RememberedMetadata, TimeSeries, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from tb2csv.logdir import EventFile, Run


@dataclass(slots=True)
class SeriesAccount:
    """What was seen of one time series: how many values, and when; the first and the last in the order of the files.

    ``last_scalar`` is NaN where values are no scalars.
    """

    series: TimeSeries
    decoder: Decoder
    is_selected: bool
    points: int = 0
    undecodable: int = 0
    first_step: int = 0
    last_step: int = 0
    first_wall_time: float = math.nan
    last_wall_time: float = math.nan
    last_scalar: float = math.nan
    #: Which of the run's values, counted from 0 in the order of the files, was the last.
    last_row: int = -1


class UndecodableValue(NamedTuple):
    """A value that could not be decoded: where it belongs, why, and the payload that is kept."""

    series: TimeSeries
    wall_time: float
    step: int
    detail: str
    payload: bytes


class Rows(NamedTuple):
    """A piece of a table, or of several of the same columns: ``bounds[i]`` to ``bounds[i + 1]`` are ``series[i]``'s."""

    piece: Piece
    series: list[SeriesAccount]
    bounds: npt.NDArray[np.int64]
    #: As ``bounds``, but of the values that were decoded.
    value_bounds: npt.NDArray[np.int64]

    def series_of(self, value: int) -> SeriesAccount:
        """Return the series of one of the values."""
        return self.series[_index(self.value_bounds, value)]


@dataclass(slots=True)
class _Grouping:
    """The values of a block sorted by series: ``order[bounds[i]:bounds[i + 1]]`` are the rows of series number i."""

    block: ValueBlock
    order: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]
    #: The numbers of the series that have values here, and how many they had before.
    present: list[int] = field(default_factory=list)
    points_before: dict[int, int] = field(default_factory=dict)


class RunReader:
    """Reads the event files of one run, once; accounts grow on the way and are complete at the end."""

    def __init__(
        self,
        run: Run,
        *,
        selection: Selection | None = None,
        options: DecodeOptions | None = None,
        chunk_size: int = DEFAULT_CHUNK_SIZE,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Prepare to read ``run``; nothing is opened yet. ``on_bytes`` is told of bytes as they are passed."""
        self.run = run
        self.series: list[SeriesAccount] = []
        self.files: list[FileAccount] = []
        self._scanner = default_scanner()
        self._selection = selection or Selection()
        self._options = options or DecodeOptions()
        self._chunk_size = chunk_size
        self._on_bytes = on_bytes
        self._form_table = self._scanner.form_table()
        self._forms: list[ValueForm] = []
        self._series_of_form = np.empty(0, np.int32)
        self._series_ids: dict[tuple[bytes, str, str], int] = {}
        self._first_signatures: dict[tuple[bytes, str], str] = {}
        self._signatures: list[str] = []
        self._metadata = RememberedMetadata(self._scanner)
        self._has_more = False
        self._rows_before = 0

    def scan(self) -> Iterator[ValueBlock]:
        """Yield the values of all files, undecoded and not grouped; what cannot be opened goes into the account."""
        files = self._ordered_files()
        last = files[-1]
        for file in files:
            account = FileAccount(file.path)
            try:
                with file.open() as source:
                    reader = EventFileReader(source, self._scanner, self._form_table, chunk_size=self._chunk_size)
                    account = reader.account
                    passed = 0
                    for block in reader.blocks():
                        self._has_more = reader.offset < source.size or file is not last
                        yield block
                        self._on_bytes(reader.offset - passed)
                        passed = reader.offset
                    self._on_bytes(account.bytes - passed)
            except OSError as error:
                lost = account.bytes - account.record_bytes - account.lost_bytes - account.incomplete_tail_bytes
                detail = f"the file cannot be read: {error.strerror or error}"
                account.damage.append(Damage(file.path, account.bytes - lost, lost, UNREADABLE, detail))
            self.files.append(account)

    def count(self) -> None:
        """Read all files without decoding payloads: fills ``series`` and ``files``."""
        for block in self.scan():
            self._group(block)

    def decode(self) -> Iterator[Rows | UndecodableValue]:
        """Yield the rows of all selected series, chunk by chunk, each series' rows in file order."""
        for grouping in ahead(map(self._group, self.scan()), lambda: self._has_more):
            load_polars()
            batches: dict[tuple[Decoder, str], list[int]] = {}
            for number in grouping.present:
                account = self.series[number]
                if account.is_selected:
                    batches.setdefault((account.decoder, self._signatures[number]), []).append(number)
            for (decoder, _), numbers in batches.items():
                for decoded in self._decode_batch(decoder, numbers, grouping):
                    self._on_bytes(0)  # a chunk may take long, and whoever is told may want to end it
                    yield decoded

    def _ordered_files(self) -> list[EventFile]:
        """Return the files by the time of their first event, for names say only the second a writer started."""
        if len(self.run.files) == 1:
            return list(self.run.files)

        def started(file: EventFile) -> tuple[float, str]:
            with contextlib.suppress(OSError), file.open() as source:
                return first_wall_time(source), file.path
            return math.inf, file.path

        return sorted(self.run.files, key=started)

    def _group(self, block: ValueBlock) -> _Grouping:
        """Sort the values of a block by series and add them to the accounts."""
        columns = block.columns
        size = len(block)
        self._learn_forms()
        order, bounds = np.empty(size, np.int64), np.empty(len(self.series) + 1, np.int64)
        self._scanner.group(columns.form_id[:size], self._series_of_form, order, bounds)
        counts = np.diff(bounds)
        present = np.flatnonzero(counts).tolist()
        grouping = _Grouping(block, order, bounds, present)
        for number in present:
            account = self.series[number]
            grouping.points_before[number] = account.points
            first, last = order[bounds[number]], order[bounds[number + 1] - 1]
            if not account.points:
                account.first_step = int(columns.step[first])
                account.first_wall_time = float(columns.wall_time[first])
            account.last_step = int(columns.step[last])
            account.last_wall_time = float(columns.wall_time[last])
            account.last_scalar = self._number(block, int(last))
            account.last_row = self._rows_before + int(last)
            account.points += int(counts[number])
        self._rows_before += size
        return grouping

    def _number(self, block: ValueBlock, row: int) -> float:
        """Return the number of a scalar, also where it is in the payload; NaN for all that is none."""
        number = float(block.columns.scalar[row])
        form = self._forms[block.columns.form_id[row]]
        if form.shape == () and is_numeric(form.dtype) and block.columns.payload_length[row]:
            alone = Values(block, np.array([row]), self._forms, lambda: np.zeros(1, np.int64), self._options)
            with contextlib.suppress(DecodeError):
                number = float(read_tensor(alone, 0).real)
        return number

    def _learn_forms(self) -> None:
        """Find the series of every form that has been met since the last time."""
        known = len(self._forms)
        if len(self._form_table) == known:
            return
        numbers = []
        for form_id in range(known, len(self._form_table)):
            form = ValueForm.from_key(self._form_table.key(form_id))
            self._forms.append(form)
            numbers.append(self._series_number(form))
        self._series_of_form = np.append(self._series_of_form, np.array(numbers, np.int32))

    def _series_number(self, form: ValueForm) -> int:
        plugin_name, metadata = self._metadata.of(form)
        decoder, signature = choose_decoder(plugin_name, form, self._options)
        key = (form.tag, decoder.kind, signature)
        number = self._series_ids.get(key)
        if number is None:
            number = self._series_ids[key] = len(self.series)
            tag = readable(form.tag)
            first = self._first_signatures.setdefault(key[:2], signature)
            variant = "" if signature == first else signature
            series = TimeSeries(self.run.name, tag, decoder.kind, plugin_name, metadata, form.tag, variant)
            self.series.append(SeriesAccount(series, decoder, self._selection.includes(tag, decoder.kind)))
            self._signatures.append(signature)
        return number

    def _decode_batch(
        self, decoder: Decoder, numbers: list[int], grouping: _Grouping
    ) -> Iterator[Rows | UndecodableValue]:
        values, bounds = self._values(numbers, grouping)
        accounts = [self.series[number] for number in numbers]
        for decoded in decoder.decode(values):
            if isinstance(decoded, Undecodable):
                account = accounts[_index(bounds, decoded.row)]
                account.undecodable += 1
                row = decoded.row
                yield UndecodableValue(
                    account.series,
                    float(values.wall_time[row]),
                    int(values.step[row]),
                    decoded.detail,
                    bytes(values.payload(row)) if decoded.payload is None else decoded.payload,
                )
            elif decoded.start < decoded.stop:
                first, last = _index(bounds, decoded.start), _index(bounds, decoded.stop - 1)
                concerned = bounds[first : last + 2]
                yield Rows(decoded, accounts[first : last + 1], decoded.row_bounds(concerned), concerned)

    def _values(self, numbers: list[int], grouping: _Grouping) -> tuple[Values, npt.NDArray[np.int64]]:
        """Return the values of some series, one series after the other, and where each starts."""
        starts, stops = grouping.bounds[numbers], grouping.bounds[np.array(numbers) + 1]
        sizes = stops - starts
        bounds = np.concatenate(([0], np.cumsum(sizes)))
        order = grouping.order
        if bounds[-1] < len(grouping.block):
            order = np.concatenate([order[a:b] for a, b in zip(starts, stops, strict=True)])  # not all are selected
        before = np.array([grouping.points_before[number] for number in numbers])

        def ordinal() -> npt.NDArray[np.int64]:
            shifts: npt.NDArray[np.int64] = np.repeat(before - bounds[:-1], sizes)
            return shifts + np.arange(bounds[-1])

        return Values(grouping.block, order, self._forms, ordinal, self._options), bounds


def _index(bounds: npt.NDArray[np.int64], row: int) -> int:
    """Return which series a row belongs to."""
    return int(np.searchsorted(bounds, row, side="right")) - 1
