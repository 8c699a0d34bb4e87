"""The options that the page offers, by the titles it shows."""

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
    """Spell an option of ``convert`` as the page shows it; None if the page does not offer it."""
    return OPTION_TITLES.get(option.name)
