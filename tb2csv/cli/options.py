"""Options that several commands share, with their help texts."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tb2csv.decoders.tensors import TENSOR_STYLES
from tb2csv.layouts.bins import AXES
from tb2csv.layouts.layouts import HEADERS, LAYOUTS
from tb2csv.layouts.time_columns import ORIGINS, TIME_STYLES
from tb2csv.runs.restarts import RESTART_POLICIES
from tb2csv.selection import KINDS, SECONDARY_KINDS
from tb2csv.sinks.formats import FORMATS
from tb2csv.size_limits import DEFAULT_EVENT_EXPANSION
from tb2csv.wide_frames import ON_DUPLICATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: The kinds that can be selected; secondary tables are written with the table that they belong to.
Kind = enum.Enum("Kind", {name: name for name in KINDS if name not in SECONDARY_KINDS}, type=str)  # type: ignore[misc]
TensorStyle = enum.Enum("TensorStyle", {name: name for name in TENSOR_STYLES}, type=str)  # type: ignore[misc]
Restarts = enum.Enum("Restarts", {name: name for name in RESTART_POLICIES}, type=str)  # type: ignore[misc]
Layout = enum.Enum("Layout", {name: name for name in LAYOUTS}, type=str)  # type: ignore[misc]
Header = enum.Enum("Header", {name: name for name in HEADERS}, type=str)  # type: ignore[misc]
Duplicate = enum.Enum("Duplicate", {name: name for name in ON_DUPLICATE}, type=str)  # type: ignore[misc]
Axis = enum.Enum("Axis", {name: name for name in AXES}, type=str)  # type: ignore[misc]
Origin = enum.Enum("Origin", {name: name for name in ORIGINS}, type=str)  # type: ignore[misc]


def _complete_run(ctx: typer.Context, incomplete: str) -> list[str]:
    from tb2csv.cli.completion import run_names

    return run_names(ctx, incomplete)


def complete_tag(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the tags of the log directory on the command line that begin with a text."""
    from tb2csv.cli.completion import tag_names

    return tag_names(ctx, incomplete)


def one_of(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a function that completes the value of an option by the names of its values."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


LogdirArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="LOGDIR...",
        help="Folder of TensorBoard logs, a single event file, or an fsspec URL (s3://…). The runs of several are "
        "named by the ends of their paths, such as exp1/train and exp2/train.",
    ),
]
DEFAULT_EXPANSION: Final = DEFAULT_EVENT_EXPANSION
ExpansionOption = Annotated[
    int,
    typer.Option(
        "--max-expansion",
        min=1,
        metavar="N",
        help="Maximum bytes per byte of a compressed event file or archive, if it unpacks to more than 64 MiB, and of "
        "a tensor that stores one element for several. "
        f"Default: {DEFAULT_EXPANSION}.",
        show_default=False,
    ),
]
RunOption = Annotated[
    list[str],
    typer.Option(
        "--run",
        metavar="GLOB",
        autocompletion=_complete_run,
        help="Only runs that match; repeatable. * matches / as well.",
    ),
]
TagOption = Annotated[
    list[str],
    typer.Option("--tag", metavar="GLOB", autocompletion=complete_tag, help="Only tags that match; repeatable."),
]
KindOption = Annotated[
    list[Kind],
    typer.Option("--kind", metavar="KIND", help=f"Only {', '.join(kind.value for kind in Kind)}; repeatable."),
]
ExcludeRunOption = Annotated[
    list[str],
    typer.Option(
        "--exclude-run", metavar="GLOB", autocompletion=_complete_run, help="Leave out runs that match; repeatable."
    ),
]
ExcludeTagOption = Annotated[
    list[str],
    typer.Option(
        "--exclude-tag", metavar="GLOB", autocompletion=complete_tag, help="Leave out tags that match; repeatable."
    ),
]
MinStepOption = Annotated[int | None, typer.Option("--min-step", metavar="N", help="Only rows at step N or later.")]
MaxStepOption = Annotated[int | None, typer.Option("--max-step", metavar="N", help="Only rows at step N or earlier.")]
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
FormulasOption = Annotated[
    bool,
    typer.Option(
        "--escape-formulas", help="In CSV, prefix text that spreadsheets would run as a formula (=, +, -, @) with '."
    ),
]
OverwriteFileOption = Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a machine-readable report to standard output.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Stop with an error if any byte is damaged.")]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, metavar="N", help="Number of runs to process at once. Default: one per processor."
    ),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
