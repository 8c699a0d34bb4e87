"""Options for drawing a plot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tb2csv.analysis.plots.x_axis import XAxis


@dataclass(frozen=True, slots=True)
class DrawingOptions:
    """The options of all styles; each style uses those that it needs."""

    positions: XAxis
    #: Colours by run, as ``#rrggbb``.
    colours: dict[str, str]
    #: The weight of smoothing, 0 for none.
    smooth: float = 0.0
    #: Whether the axis of values is logarithmic.
    log: bool = False
    #: The name of the measure computed from the values; empty for the values themselves.
    measure: str = ""
    #: What the curves and bands of groups of runs show; empty without groups.
    band: str = ""
