"""How a picture is to be drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tb2csv.analysis.plots.x_axis import XAxis


@dataclass(frozen=True, slots=True)
class DrawingOptions:
    """What all styles are told; each takes what concerns it."""

    positions: XAxis
    #: By the name of the run, ``#rrggbb``.
    colours: dict[str, str]
    #: The weight of smoothing, 0 for none.
    smooth: float = 0.0
    #: Whether the axis of values is logarithmic.
    log: bool = False
    #: What has been made of the values; empty if they are as they were.
    measure: str = ""
