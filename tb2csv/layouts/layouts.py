"""The layouts by name. A new layout is a module here and a line in ``LAYOUTS``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.layouts.compare_layout import CompareLayout
from tb2csv.layouts.long_layout import LongLayout
from tb2csv.layouts.tags_layout import TagsLayout
from tb2csv.layouts.tensorboard_layout import TensorBoardLayout
from tb2csv.layouts.tree_layout import TreeLayout
from tb2csv.layouts.wide_layout import WideLayout

if TYPE_CHECKING:
    from tb2csv.layouts.layout import Layout

#: The layouts by their names in ``convert`` and on the command line.
LAYOUTS: Final[dict[str, Layout]] = {
    "tree": TreeLayout(),
    "tags": TagsLayout(),
    "wide": WideLayout(),
    "long": LongLayout(),
    "compare": CompareLayout(),
}

#: The headers by name: the layout that replaces the chosen one, or None if the header works with all layouts.
HEADERS: Final[dict[str, Layout | None]] = {"plain": None, "tensorboard": TensorBoardLayout()}
