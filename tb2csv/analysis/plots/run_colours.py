"""The colours of runs, as TensorBoard assigns them, and further ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tb2csv.runs.scanned_run import ScannedRun

#: TensorBoard's palettes for light and dark backgrounds, in its order.
PALETTE: Final[tuple[str, ...]] = ("#425066", "#12b5cb", "#e52592", "#f9ab00", "#9334e6", "#7cb342", "#e8710a")
DARK_PALETTE: Final[tuple[str, ...]] = ("#8e98a3", *PALETTE[1:])

#: TensorBoard starts again after the last colour. Here the second round is the first one mixed with this colour, which
#: makes it darker on a light background and lighter on a dark one.
_SECOND_ROUND: Final = {PALETTE: "#000000", DARK_PALETTE: "#ffffff"}
_SHARE: Final = 0.4
#: The third round: far from all others in CIELAB, and with a contrast of 3 to white and to dark grey.
THIRD_ROUND: Final = ("#068eef", "#ef0640", "#bd7575", "#a575bd", "#1a65f9", "#f91ae7", "#30a67f")


def run_colours(runs: Iterable[ScannedRun], palette: tuple[str, ...] = PALETTE) -> dict[str, str]:
    """Return the colour of each run, as ``#rrggbb``, by its name.

    TensorBoard assigns colours to all runs of a log directory in the order of their first events, so ``runs`` must be
    complete. After three rounds, colours are used again.
    """
    ordered = sorted(runs, key=lambda run: (run.reader.started, run.run.name))
    return _coloured((run.run.name for run in ordered), palette)


def group_colours(groups: Iterable[str], palette: tuple[str, ...] = PALETTE) -> dict[str, str]:
    """Return the colour of each group of runs, as ``#rrggbb``, by its name; TensorBoard does not have groups."""
    return _coloured(dict.fromkeys(groups), palette)


def _coloured(names: Iterable[str], palette: tuple[str, ...]) -> dict[str, str]:
    colours = _all_colours(palette)
    return {name: colours[number % len(colours)] for number, name in enumerate(names)}


def _all_colours(palette: tuple[str, ...]) -> tuple[str, ...]:
    target = _SECOND_ROUND[palette]
    return (*palette, *(mixed(colour, target, _SHARE) for colour in palette), *THIRD_ROUND)


def dark_colours(colours: Iterable[str]) -> list[str]:
    """Return for colours on a light background those of the same runs on a dark one."""
    light, dark = (_all_colours(palette) for palette in (PALETTE, DARK_PALETTE))
    return [dark[light.index(colour)] for colour in colours]


def mixed(colour: str, other: str, share: float) -> str:
    """Return a colour mixed with a ``share`` of another one; all are ``#rrggbb``."""
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + "".join(f"{round(one + (two - one) * share):02x}" for one, two in pairs)
