"""The plugin content of each value, and the table of its changes next to a tag's own table.

A plugin may keep data in the metadata of a value (``plugin_data.content``). Most writers repeat the same content with
each value of a tag, and the data package has it once. If it changes, a table lists the changes: a row for the first
value, and one for each value whose content differs from that of the value before it. A value without content inherits
that of the value before it, because TensorFlow 1 writes metadata once for each tag.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from tb2csv.decoders import TablePart
from tb2csv.late_modules import np, pl
from tb2csv.runs.groupings import series_at
from tb2csv.runs.saved_run import bytes_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from tb2csv.decoders import Values

CONTENTS_PART: Final = "contents"
CONTENTS_KIND: Final = "plugin_contents"


class ContentChanges:
    """The changes of plugin content in each series, found block by block in the order of the values."""

    def __init__(self) -> None:
        """Start before the first value."""
        self._latest: dict[int, bytes] = {}
        #: The row of the first value, until its series has another content.
        self._first: dict[int, tuple[Any, ...]] = {}

    def to_data(self) -> list[list[Any]]:
        """Return the latest content of each series, and the row of its first value, as data for JSON."""
        return [
            [key, text_of(content), [*row[:-1], text_of(row[-1])] if (row := self._first.get(key)) else None]
            for key, content in self._latest.items()
        ]

    @classmethod
    def from_data(cls, data: Iterable[Sequence[Any]]) -> ContentChanges:
        """Return the contents that ``to_data`` described."""
        changes = cls()
        for key, content, first in data:
            changes._latest[key] = bytes_of(content)
            if first:
                changes._first[key] = (*first[:-1], bytes_of(first[-1]))
        return changes

    def parts(
        self,
        values: Values,
        keys: Sequence[int],
        bounds: npt.NDArray[np.int64],
        sessions: npt.NDArray[np.int32] | None,
    ) -> Iterator[tuple[int, TablePart]]:
        """Yield the changes of each series that has any: the index of the series and a part of its table.

        Args:
            values: values of several series, one series after the other.
            keys: a key for each series that is the same in all blocks.
            bounds: the index of the first value of each series, and the number of values.
            sessions: the session of each value, if the table has a column for it.
        """
        if not values.block.columns.has_contents:
            return
        rows: dict[int, list[tuple[Any, ...]]] = {}
        counts = np.zeros(len(values), np.int64)
        for value, content in values.plugin_contents():
            index = series_at(bounds, value)
            key = keys[index]
            session = () if sessions is None else (int(sessions[value]),)
            row = (float(values.wall_time[value]), int(values.step[value]), *session, content)
            if key not in self._latest:
                self._first[key] = row
            elif self._latest[key] != content:
                changed = [*([self._first.pop(key)] if key in self._first else []), row]
                rows.setdefault(index, []).extend(changed)
                counts[value] += len(changed)
            self._latest[key] = content
        for index, found in rows.items():
            start, stop = int(bounds[index]), int(bounds[index + 1])
            frame = _frame(found, has_sessions=sessions is not None)
            yield index, TablePart(frame, start, stop, counts[start:stop], CONTENTS_PART, kind=CONTENTS_KIND)


def _frame(rows: list[tuple[Any, ...]], *, has_sessions: bool) -> Any:
    schema: dict[str, type[pl.DataType]] = {"wall_time": pl.Float64, "step": pl.Int64}
    if has_sessions:
        schema["session"] = pl.Int32
    schema["content"] = pl.String
    cells = [(*row[:-1], base64.b64encode(row[-1]).decode("ascii")) for row in rows]
    return pl.DataFrame(cells, schema, orient="row")
