"""Options that several commands share, with their help texts."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tb2csv.selection import KINDS, SECONDARY_KINDS
from tb2csv.size_limits import DEFAULT_EVENT_EXPANSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: The kinds that can be selected; secondary tables are written with the table that they belong to.
Kind = enum.Enum("Kind", {name: name for name in KINDS if name not in SECONDARY_KINDS}, type=str)  # type: ignore[misc]


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
