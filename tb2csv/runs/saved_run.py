"""The state of a run that has been read, as plain data, so that reading can be continued later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tb2csv.errors import Damage
from tb2csv.event_files.event_file import FileStats, Fingerprint
from tb2csv.event_files.reference import EventHead
from tb2csv.event_files.values import SessionMark
from tb2csv.time_series import Series, SeriesMetadata, SeriesStats

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class SavedFile:
    """An event file of a run, and the position up to which it was read."""

    stats: FileStats
    offset: int = 0
    #: The content of the first event, once it has been read.
    head: EventHead | None = None
    #: The number of the file among those of the run in which values were read, counted from 1; 0 before it is read.
    number: int = 0

    def to_data(self) -> dict[str, Any]:
        """Return the file as data for JSON."""
        stats = self.stats
        return {
            "path": stats.path,
            "version": stats.version,
            "offset": self.offset,
            "head": self.head,
            "number": self.number,
            "bytes": stats.bytes,
            "records": stats.records,
            "record_bytes": stats.record_bytes,
            "values": stats.values,
            "tail": stats.incomplete_tail_bytes,
            "damage": [[each.offset, each.length, each.kind, each.detail, each.lost] for each in stats.damage],
            "marks": stats.marks,
            "copy_of": stats.copy_of,
            "not_events": stats.not_events,
            "fingerprint": [text_of(each) for each in stats.fingerprint],
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> SavedFile:
        """Return the file that ``to_data`` described."""
        path = data["path"]
        stats = FileStats(
            path,
            data["bytes"],
            data["records"],
            data["record_bytes"],
            data["values"],
            data["tail"],
            [Damage(path, *damage) for damage in data["damage"]],
            [SessionMark(*mark) for mark in data["marks"]],
            data["copy_of"],
            data["not_events"],
            Fingerprint(*map(bytes_of, data["fingerprint"])),
            data["version"],
        )
        return cls(stats, data["offset"], EventHead(*data["head"]) if data["head"] else None, data["number"])


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


def series_from_data(run: str, data: Sequence[Any]) -> SeriesStats:
    """Return the series that ``series_to_data`` described, without an id."""
    tag_bytes, tag, kind, plugin_name, signature, *rest = data
    metadata = metadata_from_data(rest[:4])
    series = Series(-1, run, tag, kind, plugin_name, metadata, bytes_of(tag_bytes), signature)
    return SeriesStats(series, *rest[4:])


def metadata_to_data(metadata: SeriesMetadata) -> tuple[str, str, str, str]:
    """Return metadata as data for JSON."""
    return metadata.plugin_name, metadata.display_name, metadata.description, text_of(metadata.plugin_content)


def metadata_from_data(data: Sequence[str]) -> SeriesMetadata:
    """Return the metadata that ``metadata_to_data`` described."""
    plugin_name, display_name, description, content = data
    return SeriesMetadata(plugin_name, display_name, description, bytes_of(content))
