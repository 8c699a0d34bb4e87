"""What can be asked of a picture, by name; the first of each is what nobody has to ask for.

It is apart from what draws, for the command line must know these names before anything heavy is imported.
"""

from __future__ import annotations

from typing import Final

#: The styles of each kind of values, of tensors those of their norms; ``picture`` has what draws them.
STYLES: Final = {
    "scalars": ("curves", "heatmap"),
    "histograms": ("ridges", "heatmap"),
    "tensors": ("heatmap", "curves"),
}

#: What runs along; ``positions`` has how it is computed.
POSITIONS: Final = ("step", "relative", "wall")
