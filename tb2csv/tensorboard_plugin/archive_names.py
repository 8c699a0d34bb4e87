"""Names of archives and other files of all tables, from log directory and selection: ``logs-train-loss.zip``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tb2csv.sinks.file_names import encode_segment

if TYPE_CHECKING:
    from tb2csv.tensorboard_plugin.event_sources import EventSources
    from tb2csv.tensorboard_plugin.export_request import ExportRequest, Names

#: The ending of archives.
ARCHIVE_SUFFIX: Final = ".zip"
#: The name if TensorBoard shows several folders, or none.
_NAMELESS: Final = "tensorboard"
#: The maximum size of a name in bytes, without the ending; browsers append a number if the name exists.
_MAX_BYTES: Final = 120
_MANY: Final = "selection"


def archive_name(request: ExportRequest, sources: EventSources) -> str:
    """Return the file name of an export: of the log directory, and of what is selected if that is not everything.

    Each of runs, tags and kinds gives its name if it is the only one selected.
    """
    chosen: tuple[Names, ...] = (request.runs, request.tags, request.kinds)
    names = [given[0] for given in chosen if given is not None and len(given) == 1]
    has_more = any(given is not None and len(given) != 1 for given in chosen)
    parts = [_base(sources), *names, *[_MANY] * (has_more and not names)]
    suffix = request.one_file.name if request.one_file else ARCHIVE_SUFFIX
    stem = "-".join(_segment(part) for part in parts)
    return stem.encode()[:_MAX_BYTES].decode(errors="ignore").rstrip(".- ") + suffix


def _base(sources: EventSources) -> str:
    """Return the last folder in the path or URL of the log directory."""
    return re.split(r"[/\\]", sources.given.rstrip("/\\"))[-1].strip(".") or _NAMELESS


def _segment(name: str) -> str:
    return encode_segment(name.replace("/", "-").strip("-. ") or _MANY)
