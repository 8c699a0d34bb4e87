"""Whose plugin a summary value is, and the time series that it belongs to.

A time series is the values of one tag in one run. What TensorBoard knows of it stands in the metadata of its first
value; later values may lack it, in the same file (TensorFlow 1 strips it) or in a second file of the run (a reopened
writer starts without). So metadata is remembered per run and tag.

Source: tensorboard/data_compat.py for legacy values, tensorboard/plugins/*/metadata.py for names,
tensorboard/dataclass_compat.py for data classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tb2csv.event_files.reference import read_metadata
from tb2csv.event_files.values import ValueKind

if TYPE_CHECKING:
    from collections.abc import Callable

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


@dataclass(frozen=True, slots=True)
class SeriesMetadata:
    """What a SummaryMetadata says, as text; all empty where there is none."""

    plugin_name: str = ""
    display_name: str = ""
    description: str = ""
    plugin_content: bytes = b""


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """The values of one tag in one run that go into one table.

    ``tag`` is what ``tag_bytes``, as they are on disk, read as. ``plugin_name`` is verbatim as on disk, or
    TensorBoard's name for a legacy value; ``kind`` is the family of tables. ``variant`` is empty but for a tag whose
    values do not fit one table, because dtype or rank changes on the way: it tells the second table from the first.
    """

    run: str
    tag: str
    kind: str
    plugin_name: str
    metadata: SeriesMetadata
    tag_bytes: bytes
    variant: str = ""


_NO_METADATA: Final = SeriesMetadata()


class RememberedMetadata:
    """What is known of the tags of one run."""

    def __init__(self, scanner: Scanner) -> None:
        """Know nothing yet; read what there is with ``scanner``."""
        self._read_metadata = scanner.read_metadata
        self._by_tag: dict[bytes, SeriesMetadata] = {}

    def of(self, form: ValueSchema, content: Callable[[], bytes]) -> tuple[str, SeriesMetadata]:
        """Return the plugin name and the metadata of a value of this form, and remember its metadata for the tag.

        ``content`` returns the value's plugin content.
        A value's own metadata counts before what is remembered, so that a tag which two plugins write is read right.
        """
        own = self._parse(form.metadata, content)
        known = self._by_tag.get(form.tag)
        if known is None or (not known.plugin_name and own.plugin_name):
            known = self._by_tag[form.tag] = own
        metadata = own if own.plugin_name else known
        return LEGACY_PLUGIN_NAMES.get(form.kind, metadata.plugin_name), metadata

    def _parse(self, serialized: bytes, content: Callable[[], bytes]) -> SeriesMetadata:
        """Return what a SummaryMetadata says; what is none is that of no plugin, for its values are still read."""
        if not serialized:
            return _NO_METADATA
        parts = self._read_metadata(serialized) or read_metadata(serialized)
        if parts is None:
            return _NO_METADATA
        plugin_name, _, display_name, description = parts
        return SeriesMetadata(readable(plugin_name), readable(display_name), readable(description), content())


def readable(name: bytes) -> str:
    """Return a name as text, with bytes that are no UTF-8 escaped; so two names may read alike, which files may not."""
    return name.decode("utf-8", "backslashreplace")
