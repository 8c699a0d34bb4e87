"""The value schemas of a run, and the series and the decoder that each of them leads to."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, overload

from tb2csv.decoders import Decoder, Values, choose_decoder, decoder_name, decoder_of_name
from tb2csv.event_files.scanners import default_scanner
from tb2csv.event_files.values import ValueKind, ValueSchema
from tb2csv.late_modules import np
from tb2csv.runs.saved_run import bytes_of, series_from_data, series_to_data, text_of
from tb2csv.runs.series_metadata import RememberedMetadata, readable
from tb2csv.runs.subruns import UNFOLDED_KINDS
from tb2csv.time_series import Series, StatsCells

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from tb2csv.decoders import DecodeOptions
    from tb2csv.event_files.values import SchemaTable, ValueBlock
    from tb2csv.runs.series_registry import ReaderSeries
    from tb2csv.runs.subruns import Subrun
    from tb2csv.selection import Selection

#: How many values are searched for the first ones of new schemas before all are.
_BEGINNING: Final = 4096

#: How many schemas are kept as objects.
_REMEMBERED: Final = 4096


class KnownSchemas(Sequence[ValueSchema]):
    """The value schemas of a run by number, made when they are needed: a log may have a million tags."""

    def __init__(self, table: SchemaTable) -> None:
        """Start without schemas; ``table`` has their keys."""
        self._table = table
        self._count = 0
        self._made = functools.lru_cache(_REMEMBERED)(lambda number: ValueSchema.from_key(table.key(number)))

    @property
    def are_remembered(self) -> bool:
        """Whether all schemas are kept as objects, so that a thread may use them while another scans.

        The scanner releases the interpreter's lock while it moves the keys of the table.
        """
        return self._count <= _REMEMBERED

    def grow(self, count: int) -> None:
        """Have the first ``count`` schemas of the table."""
        self._count = count

    @overload
    def __getitem__(self, number: int) -> ValueSchema: ...

    @overload
    def __getitem__(self, number: slice) -> list[ValueSchema]: ...

    def __getitem__(self, number: int | slice) -> ValueSchema | list[ValueSchema]:
        """Return a schema, or those of a slice."""
        if isinstance(number, slice):
            return [self[each] for each in range(self._count)[number]]
        if not 0 <= number < self._count:
            raise IndexError(number)
        return self._made(number)

    def __len__(self) -> int:
        """Return the number of schemas."""
        return self._count


class RunSchemas:
    """The value schemas of a run, by number, in the order of their first values.

    Attributes:
        table: the schemas as the scanner numbers them.
        known: the schemas that have a series.
        series_of_schema: the number of each schema's series in the run; -1 for empty values.
        kinds: the ``ValueKind`` of each schema.
        decoders: the decoder of each series.
    """

    def __init__(
        self,
        run: str,
        series: ReaderSeries,
        selection: Selection,
        options: DecodeOptions,
        subrun: Subrun | None,
    ) -> None:
        """Add each new series to ``series``; the other arguments are those of RunReader."""
        scanner = default_scanner()
        self.table = scanner.schema_table()
        self.known = KnownSchemas(self.table)
        self.series_of_schema: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self.kinds: npt.NDArray[np.int8] = np.empty(0, np.int8)
        self.decoders: list[Decoder] = []
        self._run = run
        self._series = series
        self._selection = selection
        self._options = options
        self._subrun = subrun
        self._metadata = RememberedMetadata(scanner)

    def learn(self, block: ValueBlock) -> None:
        """Find the series of each value schema that is new in a block."""
        known = len(self.known)
        schema_id = block.columns.schema_id[: len(block)]
        if len(self.table) == known or not len(block):
            return

        @functools.cache
        def first_rows() -> npt.NDArray[np.int64]:
            # Schemas are numbered in the order of their first values, and values of known schemas do not count.
            beginning = schema_id[:_BEGINNING]  # it often has values of all schemas
            some = beginning if beginning.max() == highest_number else schema_id
            highest = np.maximum.accumulate(np.maximum(some, known - 1))
            return np.flatnonzero(np.diff(highest, prepend=known - 1) > 0)

        highest_number = int(schema_id.max())
        count = highest_number + 1 - known
        numbers, kinds = np.empty(count, np.int32), np.empty(count, np.int8)
        self.known.grow(highest_number + 1)
        for number in range(known, highest_number + 1):
            schema = self.known[number]

            def first_value(place: int = number - known) -> Values:
                rows = first_rows()[place : place + 1]
                return Values(block, rows, self.known, lambda: np.zeros(1, np.int64), self._options)

            kinds[number - known] = schema.kind
            numbers[number - known] = -1 if schema.kind == ValueKind.NONE else self._series_number(schema, first_value)
        self.series_of_schema = np.append(self.series_of_schema, numbers)
        self.kinds = np.append(self.kinds, kinds)

    def _series_number(self, schema: ValueSchema, first_value: Callable[[], Values]) -> int:
        numbers = self._numbers(schema.tag)
        plugin_name, metadata = self._metadata.of(
            schema, lambda: bytes(first_value().content(0)), is_new_tag=not numbers
        )
        decoder, signature = choose_decoder(plugin_name, schema, self._options, first_value)
        key = decoder.kind, signature
        number = next((each for each in numbers if self._series.key(each) == key), None)
        if number is None:
            tag = readable(schema.tag)
            series = Series(-1, self._run, tag, decoder.kind, plugin_name, metadata, schema.tag, signature)
            if self._subrun:
                series = self._subrun.fold(series)
            self.decoders.append(decoder)
            is_selected = self._selection.includes(tag, decoder.kind)
            number = self._series.register(series, StatsCells(is_selected))
        return number

    def _numbers(self, tag: bytes) -> list[int]:
        """Return the numbers of the series that are written under a tag."""
        if not self._subrun:
            return self._series.numbers(tag)
        folded = self._series.numbers(self._subrun.fold_tag(tag))
        unfolded = [number for number in self._series.numbers(tag) if self._series.key(number)[0] in UNFOLDED_KINDS]
        return sorted([*unfolded, *(number for number in folded if self._series.key(number)[0] not in UNFOLDED_KINDS)])

    def to_data(self) -> dict[str, Any]:
        """Return the schemas and the statistics of the series as data for JSON."""
        return {
            "schemas": [text_of(self.table.key(number)) for number in range(len(self.table))],
            "series_of_schema": self.series_of_schema.tolist(),
            "series": [series_to_data(stats) for stats in self._series],
            "decoders": [decoder_name(decoder) for decoder in self.decoders],
            "metadata": self._metadata.to_data(),
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Restore what ``to_data`` returned, before anything was learned.

        Raises:
            ValueError: the schemas, the series and the decoders do not fit together.
            OutputError: a decoder is no longer installed.
        """
        keys = [bytes_of(key) for key in data["schemas"]]
        for key in keys:
            self.table.intern(key)
        count, numbers = len(data["series"]), data["series_of_schema"]
        if (
            len(data["decoders"]) != count
            or len(numbers) > len(keys)
            or not all(-1 <= each < count for each in numbers)
        ):
            message = "the series do not fit the schemas"
            raise ValueError(message)
        self.series_of_schema = np.array(numbers, np.int32)
        self.known.grow(len(self.series_of_schema))
        self.kinds = np.array([schema.kind for schema in self.known], np.int8)
        self.decoders = [decoder_of_name(name) for name in data["decoders"]]
        for saved in data["series"]:
            self._series.register(*series_from_data(self._run, saved))
        self._metadata.restore(data["metadata"])
