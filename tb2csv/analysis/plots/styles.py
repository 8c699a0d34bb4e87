"""The names of styles and axes of a plot; the first of each is the default.

The command line needs these names before it imports anything heavy, so they are in a module of their own.
"""

from __future__ import annotations

from typing import Final

#: The styles of each kind of values, for tensors those of their norms; ``plot`` has the functions that draw them.
STYLES: Final = {
    "scalars": ("curves", "heatmap"),
    "histograms": ("ridges", "heatmap"),
    "tensors": ("heatmap", "curves"),
}

#: The x axes; ``x_axis`` computes the positions.
POSITIONS: Final = ("step", "relative", "wall")
