"""The titles of the options and of their values on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tb2csv.messages import Option

OPTION_TITLES: Final = {
    "file": "File",
    "layout": "Layout",
    "format": "Format",
    "tensors": "Tensors",
    "restarts": "Restarts",
    "time": "Time columns",
    "escape_formulas": "Spreadsheets",
    "sessions": "Add the session of each row",
    "merge_subruns": "Merge sub-runs",
    "kind": "Kinds",
}

#: The titles of values that messages name.
VALUE_TITLES: Final = {("format", "jsonl"): "JSON Lines"}


def page_spelling(option: Option) -> str | None:
    """Return the title of an option of ``convert`` on the page, and of its value; None if the page does not have it."""
    title = OPTION_TITLES.get(option.name)
    if title is None or not isinstance(option.value, str):
        return title
    return f'{title} "{VALUE_TITLES.get((option.name, option.value), option.value)}"'
