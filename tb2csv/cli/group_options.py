"""Options of the commands that compute statistics over groups of runs.

They are apart from the others, because they import the analysis, which most commands do not need.
"""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from tb2csv.analysis.aggregates import NAN_POLICIES
from tb2csv.analysis.bands import BANDS

NanPolicy = enum.Enum("NanPolicy", {name: name for name in NAN_POLICIES}, type=str)  # type: ignore[misc]
BandName = enum.Enum("BandName", {name: name for name in BANDS}, type=str)  # type: ignore[misc]

AlignOption = Annotated[
    str | None,
    typer.Option(
        "--align",
        metavar="HOW",
        help="How runs of a group get common steps or times: exact, bin:N (means in stretches of N), interpolate "
        "(linearly) or nearest. Default: exact for steps, interpolate for times.",
    ),
]
