"""The state of a run that has been read, as plain data, so that reading can be continued later."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import Damage
from tb2csv.event_files.event_file import EventHead, FileStats, Fingerprint
from tb2csv.event_files.unlisted_damage import UnlistedDamage
from tb2csv.event_files.values import SessionMark
from tb2csv.plain_data import ANYTHING, COUNT, DictOf, Either, ListOf, Maybe, check
from tb2csv.time_series import Series, SeriesMetadata, StatsCells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tb2csv.time_series import SeriesStats


@dataclass(slots=True, eq=False, repr=False)
class SavedFile:
    """An event file of a run, and the position up to which it was read."""

    stats: FileStats
    offset: int = 0
    #: The content of the first event, once it has been read.
    head: EventHead | None = None
    #: The number of the file among those of the run in which values were read, counted from 1; 0 before it is read.
    number: int = 0

    def to_data(self) -> list[Any]:
        """Return the file as data for JSON."""
        stats = self.stats
        read = [stats.bytes, stats.records, stats.record_bytes, stats.values, self.offset, self.number]
        first, last = stats.fingerprint
        is_plain = not (self.head or stats.incomplete_tail_bytes or stats.damage or stats.marks or stats.left_out)
        more = [] if is_plain else [
            self.head,
            stats.incomplete_tail_bytes,
            [each.to_data() for each in stats.damage],
            stats.marks,
            stats.copy_of,
            stats.not_events,
            *([[stats.unlisted.count, stats.unlisted.lost_bytes]] if stats.unlisted.count else []),
        ]  # fmt: skip
        return [stats.path, stats.version, b2a_base64(first + last, newline=False).decode(), len(first), read, more]

    @classmethod
    def from_data(cls, data: list[Any]) -> SavedFile:
        """Return the file that ``to_data`` described; ``FILE_SHAPE`` is the shape of the data."""
        path, version, fingerprint, length, (size, records, record_bytes, values, offset, number), more = data
        joined = a2b_base64(fingerprint)
        if more:
            *more, unlisted = more if len(more) > len(_MORE_SHAPE) else [*more, [0, 0]]
            check(more, _MORE_SHAPE)
            check(unlisted, (COUNT, COUNT))
        stats = FileStats(path, size, records, record_bytes, values, version=version)
        stats.fingerprint = Fingerprint(joined[:length], joined[length:])
        saved = cls(stats, offset, number=number)
        if more:
            head, stats.incomplete_tail_bytes, damage, marks, stats.copy_of, stats.not_events = more
            saved.head = EventHead(*head) if head else None
            stats.damage = [Damage(path, *each) for each in damage]
            stats.marks = [SessionMark(*each) for each in marks]
            stats.unlisted = UnlistedDamage(*unlisted)
        return saved


#: The shape of ``SavedFile.to_data``; the last element may also be empty.
FILE_SHAPE: Final = (str, str, str, COUNT, (COUNT,) * 6, ANYTHING)
_MORE_SHAPE: Final = (
    Maybe((float, int, Maybe(float))),
    COUNT,
    ListOf(Either((COUNT, COUNT, str, str, bool), (COUNT, COUNT, str, str, bool, bool))),
    ListOf((COUNT, int, bool, bool)),
    str,
    str,
)


def text_of(data: bytes) -> str:
    """Return bytes as text for JSON, a character for each byte."""
    return data.decode("latin-1")


def bytes_of(text: str) -> bytes:
    """Return the bytes that ``text_of`` made a text of."""
    return text.encode("latin-1")


def series_to_data(stats: SeriesStats) -> list[Any]:
    """Return a series and its statistics as data for JSON; its run is left out."""
    series, metadata = stats.series, stats.series.metadata
    return [
        *(text_of(series.tag_bytes), series.tag, series.kind, series.plugin_name, series.signature),
        *metadata_to_data(metadata),
        *(stats.is_selected, stats.points, stats.left_out, stats.undecodable),
        *(stats.first_step, stats.last_step, stats.first_wall_time, stats.last_wall_time, stats.last_row),
    ]


def series_from_data(run: str, data: Sequence[Any]) -> tuple[Series, StatsCells]:
    """Return the series that ``series_to_data`` described, without an id, and its statistics."""
    tag_bytes, tag, kind, plugin_name, signature, *rest = data
    metadata = metadata_from_data(rest[:4])
    series = Series(-1, run, tag, kind, plugin_name, metadata, bytes_of(tag_bytes), signature)
    return series, StatsCells(*rest[4:])


def metadata_to_data(metadata: SeriesMetadata) -> tuple[str, str, str, str]:
    """Return metadata as data for JSON."""
    return metadata.plugin_name, metadata.display_name, metadata.description, text_of(metadata.plugin_content)


def metadata_from_data(data: Sequence[str]) -> SeriesMetadata:
    """Return the metadata that ``metadata_to_data`` described."""
    plugin_name, display_name, description, content = data
    return SeriesMetadata(plugin_name, display_name, description, bytes_of(content))


_METADATA_SHAPE: Final = (str, str, str, str)

#: The shape of what ``RunReader.save`` returns.
STATE_SHAPE: Final = {
    "schemas": ListOf(str),
    "series_of_schema": ListOf(int),
    "series": ListOf(
        (*(str,) * 5, *_METADATA_SHAPE, bool, COUNT, COUNT, COUNT, int, int, float, float, int),
    ),
    "decoders": ListOf(str),
    "metadata": DictOf(_METADATA_SHAPE),
    "empty": DictOf(COUNT),
    "empty_filtered": COUNT,
    "rows_before": COUNT,
    "step_orders": (*(ListOf(int),) * 4, ListOf(bool)),
    "history": DictOf((*(ListOf(int),) * 3, ListOf(float), ListOf(COUNT))),
    "contents": ListOf((COUNT, str, Maybe(ListOf(ANYTHING)))),
}
