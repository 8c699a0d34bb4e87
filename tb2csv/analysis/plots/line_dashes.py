"""Dashes of curves: runs whose colour another run has as well, because a log has more runs than there are colours."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Lengths of dashes and gaps by turns, in widths of the line; none for a solid line.
Dashes = tuple[float, ...]

SOLID: Final[Dashes] = ()
#: The dashes of the first run of a colour, the second one, and so on.
_DASHES: Final[tuple[Dashes, ...]] = (
    SOLID,
    (3.5, 1.5),
    (1.0, 1.2),
    (5.0, 1.3, 1.0, 1.3),
    (8.0, 2.0),
    (5.0, 1.3, 1.0, 1.3, 1.0, 1.3),
)


def dashes_of(runs: Iterable[str], colours: Mapping[str, str]) -> dict[str, Dashes]:
    """Return the dashes of each run; those of a colour differ, up to six of them."""
    before: Counter[str] = Counter()
    found = {}
    for run in runs:
        found[run] = _DASHES[before[colours[run]] % len(_DASHES)]
        before[colours[run]] += 1
    return found


def line_style(dashes: Dashes) -> tuple[int, Dashes] | str:
    """Return dashes as a line style of matplotlib."""
    return (0, dashes) if dashes else "solid"
