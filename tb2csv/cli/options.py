"""Options that several commands share, with one help text each."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from tb2csv.selection import KINDS, Selection

#: What values can be chosen by: the statistics of histograms come with these.
Kind = enum.Enum("Kind", {kind: kind for kind in KINDS if kind != "histogram_stats"}, type=str)  # type: ignore[misc]

LogdirArgument = Annotated[
    str, typer.Argument(metavar="LOGDIR", help="Folder with TensorBoard logs, one event file, or an fsspec URL.")
]
RunOption = Annotated[
    list[str], typer.Option("--run", metavar="GLOB", help="Only runs that match; repeatable. * matches / too.")
]
TagOption = Annotated[list[str], typer.Option("--tag", metavar="GLOB", help="Only tags that match; repeatable.")]
KindOption = Annotated[
    list[Kind],
    typer.Option("--kind", metavar="KIND", help=f"Only {', '.join(kind.value for kind in Kind)}; repeatable."),
]
ExcludeRunOption = Annotated[
    list[str], typer.Option("--exclude-run", metavar="GLOB", help="No runs that match; repeatable.")
]
ExcludeTagOption = Annotated[
    list[str], typer.Option("--exclude-tag", metavar="GLOB", help="No tags that match; repeatable.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print a machine-readable report to standard output, and nothing else there.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Stop with an error where any byte is damaged.")]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, metavar="N", help="Runs to work on at once. Default: one for each processor."),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def selection_of(
    run: list[str],
    tag: list[str],
    kind: list[Kind],
    exclude_run: list[str],
    exclude_tag: list[str],
) -> Selection:
    """Return what the filter options ask for."""
    kinds = tuple(each.value for each in kind)
    return Selection(tuple(run), tuple(tag), kinds, tuple(exclude_run), tuple(exclude_tag))
