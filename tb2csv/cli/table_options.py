"""Options of tables: which rows they have, their layout, columns and format.

They import what writes tables, so they are apart from the options of all commands, which ``ls`` and ``check`` have.
"""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from tb2csv.cli.options import one_of
from tb2csv.decoders.tensors import TENSOR_STYLES
from tb2csv.layouts.bins import AXES
from tb2csv.layouts.layouts import HEADERS, LAYOUTS
from tb2csv.layouts.time_columns import ORIGINS, TIME_STYLES
from tb2csv.runs.restarts import RESTART_POLICIES
from tb2csv.sinks.formats import FORMATS
from tb2csv.wide_frames import ON_DUPLICATE

TensorStyle = enum.Enum("TensorStyle", {name: name for name in TENSOR_STYLES}, type=str)  # type: ignore[misc]
Restarts = enum.Enum("Restarts", {name: name for name in RESTART_POLICIES}, type=str)  # type: ignore[misc]
Layout = enum.Enum("Layout", {name: name for name in LAYOUTS}, type=str)  # type: ignore[misc]
Header = enum.Enum("Header", {name: name for name in HEADERS}, type=str)  # type: ignore[misc]
Duplicate = enum.Enum("Duplicate", {name: name for name in ON_DUPLICATE}, type=str)  # type: ignore[misc]
Axis = enum.Enum("Axis", {name: name for name in AXES}, type=str)  # type: ignore[misc]
Origin = enum.Enum("Origin", {name: name for name in ORIGINS}, type=str)  # type: ignore[misc]

EveryOption = Annotated[
    int, typer.Option("--every", min=1, metavar="N", help="Only every Nth row of each tag, starting with the first.")
]
LastOption = Annotated[bool, typer.Option("--last", help="Only the last row of each tag.")]
RestartsOption = Annotated[
    Restarts,
    typer.Option(
        "--restarts",
        help="How to treat steps that a restarted run wrote again: keep all rows, purge older ones like "
        "EventAccumulator (except tensors), or supersede like TensorBoard's server.",
    ),
]
SessionsOption = Annotated[
    bool,
    typer.Option(
        "--sessions", help="Add a column session that numbers a run's sessions; each restart starts a new one."
    ),
]
MergeOption = Annotated[
    bool,
    typer.Option(
        "--merge-subruns",
        help="Merge the sub-runs created by add_scalars and add_hparams into their parent run, and add a column "
        "original_run.",
    ),
]
TensorsOption = Annotated[
    TensorStyle,
    typer.Option(
        "--tensors",
        metavar="STYLE",
        help="How to write tensors: elements (one row per element), wide (one row per step), base64 (one cell per "
        "tensor) or npy (.npy files).",
    ),
]
LAYOUT_HELP = (
    "One table per run and tag (tree), per tag (tags), per run with one column per scalar tag (wide), per kind (long), "
    "or per scalar tag with one column per run (compare)."
)
LayoutOption = Annotated[Layout, typer.Option("--layout", help=LAYOUT_HELP)]
# A string and not an enum, because plugins can add formats.
FORMAT_HELP = f"Format of the tables: {', '.join(FORMATS)}."
complete_format = one_of(FORMATS)
FormatOption = Annotated[
    str, typer.Option("--format", metavar="NAME", autocompletion=complete_format, help=FORMAT_HELP)
]
HeaderOption = Annotated[
    Header,
    typer.Option("--header", help="Names of scalar files and columns: plain, or those TensorBoard uses for downloads."),
]
DuplicateOption = Annotated[
    Duplicate,
    typer.Option(
        "--on-duplicate", help="Which value the layouts wide and compare keep if a tag has several at one step."
    ),
]
TIME_HELP = f"Time columns, separated by commas: {', '.join(TIME_STYLES)}."
TimeOption = Annotated[str, typer.Option("--time", metavar="NAMES", help=TIME_HELP)]
OriginOption = Annotated[
    Origin,
    typer.Option(
        "--relative-to", help="Zero point of relative times: the run's first event, or the tag's first value."
    ),
]
AxisOption = Annotated[
    Axis,
    typer.Option("--x", help="Rows of the layout compare: steps, the time since the run's first event, or wall time."),
]
BinsOption = Annotated[
    str | None,
    typer.Option(
        "--align", metavar="bin:N", help="Make rows of the layout compare from means of N steps or N seconds."
    ),
]
