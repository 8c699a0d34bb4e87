"""The plugin and the metadata of each summary value.

TensorBoard takes the metadata of a series from its first value. Later values may lack it, in the same file (TensorFlow
1 strips it) or in a second file of the run (a reopened writer starts without it). So metadata is remembered per run and
tag.

Source: tensorboard/data_compat.py for legacy values, tensorboard/plugins/*/metadata.py for names,
tensorboard/dataclass_compat.py for data classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.event_files.reference import read_metadata
from tb2csv.event_files.values import ValueKind
from tb2csv.runs.saved_run import bytes_of, metadata_from_data, metadata_to_data, text_of
from tb2csv.time_series import SeriesMetadata

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tb2csv.event_files.scanners import Scanner
    from tb2csv.event_files.values import ValueSchema

#: The plugin that a value without a tensor belongs to, by the field that holds it.
LEGACY_PLUGIN_NAMES: Final = {
    ValueKind.SIMPLE_VALUE: "scalars",
    ValueKind.HISTO: "histograms",
    ValueKind.IMAGE: "images",
    ValueKind.AUDIO: "audio",
    ValueKind.GRAPH_DEF: "graphs",
    ValueKind.META_GRAPH_DEF: "graphs",
    ValueKind.RUN_METADATA: "graph_tagged_run_metadata",
}


#: How much metadata is remembered by its bytes.
_REMEMBERED: Final = 64

_NO_METADATA: Final = SeriesMetadata()


class RememberedMetadata:
    """The metadata of each tag of one run."""

    def __init__(self, scanner: Scanner) -> None:
        """Start without metadata; ``scanner`` reads it."""
        self._read_metadata = scanner.read_metadata
        #: By tag; a tag whose first value has none is not among them.
        self._by_tag: dict[bytes, SeriesMetadata] = {}
        #: Metadata by what was parsed: most tags have the same.
        self._parsed: dict[tuple[bytes, bytes], SeriesMetadata] = {}

    def of(self, schema: ValueSchema, content: Callable[[], bytes], *, is_new_tag: bool) -> tuple[str, SeriesMetadata]:
        """Return the plugin name and the metadata of a value with this schema, and remember the metadata for the tag.

        ``content`` returns the plugin content of the value. The value's own metadata takes precedence over remembered
        metadata, because two plugins may write one tag.
        """
        own = self._parse(schema.metadata, content)
        known = self._by_tag.get(schema.tag, _NO_METADATA)
        if own is not _NO_METADATA and (is_new_tag or (not known.plugin_name and own.plugin_name)):
            known = self._by_tag[schema.tag] = own
        metadata = own if own.plugin_name else known
        return LEGACY_PLUGIN_NAMES.get(schema.kind, metadata.plugin_name), metadata

    def to_data(self) -> dict[str, tuple[str, str, str, str]]:
        """Return the metadata of each tag as data for JSON."""
        return {text_of(tag): metadata_to_data(metadata) for tag, metadata in self._by_tag.items()}

    def restore(self, data: Mapping[str, Sequence[str]]) -> None:
        """Remember the metadata that ``to_data`` described."""
        self._by_tag = {bytes_of(tag): metadata_from_data(metadata) for tag, metadata in data.items()}

    def _parse(self, serialized: bytes, content: Callable[[], bytes]) -> SeriesMetadata:
        """Return the metadata in a serialized SummaryMetadata; invalid bytes are ignored, so that values are read."""
        if not serialized:
            return _NO_METADATA
        key = serialized, content()
        known = self._parsed.get(key)
        if known is not None:
            return known
        parts = self._read_metadata(serialized) or read_metadata(serialized)
        if parts is None:
            return _NO_METADATA
        plugin_name, _, display_name, description = parts
        if len(self._parsed) == _REMEMBERED:
            self._parsed.clear()
        metadata = SeriesMetadata(readable(plugin_name), readable(display_name), readable(description), key[1])
        self._parsed[key] = metadata
        return metadata


def readable(name: bytes) -> str:
    """Return a name as text, with bytes that are not UTF-8 escaped; two names may become the same text."""
    return name.decode("utf-8", "backslashreplace")
