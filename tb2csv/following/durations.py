"""Durations as people write them: ``5s``, ``10m``, ``1h``, ``90``."""

from __future__ import annotations

import math
import re
from typing import Final

from tb2csv.errors import OptionError

_SECONDS: Final = {"ms": 0.001, "s": 1, "": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


def seconds(option: str, duration: float | str) -> float:
    """Return a duration in seconds; a number without a unit is in seconds.

    Raises:
        OptionError: it is not a positive duration; ``option`` is its name in the message.
    """
    match = _DURATION.fullmatch(str(duration).strip())
    number = float(match[1]) * _SECONDS.get(match[2], math.nan) if match else math.nan
    if not number > 0:
        raise OptionError(
            f"{option} is {str(duration)!r}, which is not a duration; give one such as 5s, 10m, 1h or 90."
        )
    return number
