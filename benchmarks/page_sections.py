"""Sections of pages of the documentation that benchmarks write."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_section(page: Path, name: str, text: str) -> None:
    """Replace what is between the marks ``<!-- NAME -->`` and ``<!-- end of NAME -->`` of a page.

    Raises:
        ValueError: the page does not have each mark once, in this order.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    parts = page.read_text(encoding="utf-8").split(begin)
    tail = parts[-1].split(end)
    if len(parts) != 2 or len(tail) != 2:
        message = f"{page} does not have one section {name}."
        raise ValueError(message)
    page.write_text(f"{parts[0]}{begin}\n{text}\n{end}{tail[1]}", encoding="utf-8")
