"""The colours of runs, as TensorBoard assigns them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tb2csv.runs.scanned_run import ScannedRun

#: TensorBoard's palette for light backgrounds, in its order.
PALETTE: Final = ("#425066", "#12b5cb", "#e52592", "#f9ab00", "#9334e6", "#7cb342", "#e8710a")

#: TensorBoard starts again after the last colour. Here the second round is darker and the third lighter: a colour to
#: mix in, and its fraction.
_ROUNDS: Final = ((0x00, 0.0), (0x00, 0.4), (0xFF, 0.5))


def run_colours(runs: Iterable[ScannedRun]) -> dict[str, str]:
    """Return the colour of each run, as ``#rrggbb``, by its name.

    TensorBoard assigns colours to all runs of a log directory in the order of their first events, so ``runs`` must be
    complete.
    """
    ordered = sorted(runs, key=lambda run: (run.reader.started, run.run.name))
    return {run.run.name: _colour(number) for number, run in enumerate(ordered)}


def group_colours(groups: Iterable[str]) -> dict[str, str]:
    """Return the colour of each group of runs, as ``#rrggbb``, by its name; TensorBoard does not have groups."""
    return {group: _colour(number) for number, group in enumerate(dict.fromkeys(groups))}


def _colour(number: int) -> str:
    round_number, place = divmod(number, len(PALETTE))
    target, share = _ROUNDS[round_number % len(_ROUNDS)]
    return mixed(PALETTE[place], f"#{target:02x}{target:02x}{target:02x}", share)


def mixed(colour: str, other: str, share: float) -> str:
    """Return a colour mixed with a ``share`` of another one; all are ``#rrggbb``."""
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + "".join(f"{round(one + (two - one) * share):02x}" for one, two in pairs)
