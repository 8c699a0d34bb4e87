"""Labels of plots: runs and tags as drawable text, shortened and without their common parts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tb2csv.display import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence


def common_folders(names: Sequence[str]) -> str:
    """Return the folders that all names begin with, such as ``a/b/``; empty for a single name."""
    if len(names) < 2:
        return ""
    folders = [name.split("/")[:-1] for name in names]
    shared = 0
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        shared += 1
    return "".join(f"{part}/" for part in folders[0][:shared])


def common_ending(names: Sequence[str]) -> str:
    """Return the last part that all names share, such as ``/norm``; empty if a name has nothing before it."""
    endings = {name.rpartition("/")[2] for name in names}
    return f"/{endings.pop()}" if len(endings) == 1 and all("/" in name for name in names) else ""


def labels(names: Sequence[str], width: int) -> list[str]:
    """Return names of at most ``width`` letters; equal ones are numbered."""
    short = [shortened(printable(name), width) for name in names]
    counts = Counter(short)
    seen: Counter[str] = Counter()
    result = []
    for label in short:
        seen[label] += 1
        result.append(f"{label} ({seen[label]})" if counts[label] > 1 else label)
    return result
