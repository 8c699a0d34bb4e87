"""The titles of the options on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tb2csv.messages import Option

OPTION_TITLES: Final = {
    "layout": "Layout",
    "format": "Format",
    "tensors": "Tensors",
    "restarts": "Restarts",
    "time": "Time columns",
    "escape_formulas": "Spreadsheets",
}


def page_spelling(option: Option) -> str | None:
    """Return the title of an option of ``convert`` on the page; None if the page does not have it."""
    return OPTION_TITLES.get(option.name)
