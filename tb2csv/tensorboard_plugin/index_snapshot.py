"""The index at one moment, as columns: the series, their points, and the sizes of their tables."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tb2csv.late_modules import np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from tb2csv.tensorboard_plugin.run_counts import CountedSeries
    from tb2csv.tensorboard_plugin.sampling_limits import SamplingLimits

#: The largest integers that a browser's numbers hold exactly.
_EXACT: Final = 1 << 53


@dataclass(frozen=True)
class IndexSnapshot:
    """All series, in the order of the runs and of their first values.

    ``run``, ``tag`` and ``kind`` of a series are positions in ``runs``, ``tags`` and ``kinds``.
    """

    runs: list[str]
    tags: list[str]
    kinds: list[str]
    run: npt.NDArray[np.int32]
    tag: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int32]
    series: list[CountedSeries]
    shown: list[int]

    @classmethod
    def of(cls, counted: Mapping[str, Sequence[CountedSeries]], shown: SamplingLimits) -> IndexSnapshot:
        """Return the snapshot of counted series, by run."""
        series = [each for run in counted.values() for each in run]
        tags = sorted({each.tag for each in series})
        kinds = sorted({each.kind for each in series})
        place_of_tag = {tag: place for place, tag in enumerate(tags)}
        place_of_kind = {kind: place for place, kind in enumerate(kinds)}
        return cls(
            list(counted),
            tags,
            kinds,
            np.repeat(np.arange(len(counted), dtype=np.int32), [len(run) for run in counted.values()]),
            np.array([place_of_tag[each.tag] for each in series], np.int32),
            np.array([place_of_kind[each.kind] for each in series], np.int32),
            series,
            [shown.of(each.plugin_name, each.points) for each in series],
        )

    def chosen(
        self, runs: Sequence[str] | None, tags: Sequence[str] | None, kinds: Sequence[str] | None
    ) -> npt.NDArray[np.int64]:
        """Return the positions of the series with these names; None selects all."""
        is_chosen = np.ones(len(self.series), np.bool_)
        for names, known, column in (
            (runs, self.runs, self.run),
            (tags, self.tags, self.tag),
            (kinds, self.kinds, self.kind),
        ):
            if names is not None:
                wanted = frozenset(names)
                is_wanted = np.array([name in wanted for name in known], np.bool_)
                is_chosen &= is_wanted[column]
        return np.flatnonzero(is_chosen)

    def find(self, run: str, tag: str, kind: str) -> CountedSeries | None:
        """Return one series, or None if there is none."""
        places = self.chosen([run], [tag], [kind])
        return self.series[int(places[0])] if places.size else None

    @functools.cached_property
    def json(self) -> dict[str, Any]:
        """The snapshot for the page."""
        return {
            "runs": self.runs,
            "tags": self.tags,
            "kinds": self.kinds,
            "series": {
                "run": self.run.tolist(),
                "tag": self.tag.tolist(),
                "kind": self.kind.tolist(),
                "points": [each.points for each in self.series],
                "shown": self.shown,
                "first_step": [exact_step(each.first_step) for each in self.series],
                "last_step": [exact_step(each.last_step) for each in self.series],
                "rows": [each.rows for each in self.series],
                "bytes": [each.text_bytes for each in self.series],
            },
        }

    @functools.cached_property
    def json_text(self) -> str:
        """The snapshot as the members of a JSON object, without braces: made once and used often."""
        return json.dumps(self.json)[1:-1]


def exact_step(step: int) -> int | str:
    """Return a step that a browser reads exactly: as text if it is too large for a number."""
    return step if -_EXACT <= step <= _EXACT else str(step)
