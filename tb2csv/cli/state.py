"""``tb2csv state``: write the weights and training state of models to CSV tables, and restore them."""

from __future__ import annotations

import contextlib
import enum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tb2csv.cli import options
from tb2csv.cli.tensorflow_start import start_tensorflow
from tb2csv.cli.terminal import error_messages, opened_logdir, plural, print_json, print_message, print_result
from tb2csv.cli.usage_errors import UsageCommand, UsageGroup
from tb2csv.display import printable
from tb2csv.errors import StateError

if TYPE_CHECKING:
    from tb2csv.model_state import ModelState, TensorDifference

app = typer.Typer(
    name="state",
    cls=UsageGroup,
    add_completion=False,
    help=(
        "Export, restore and compare model states as CSV tables.\n\n"
        "To resume a training, use the checkpoints of your framework, which are smaller and faster. "
        "These tables, exact to the bit, are for reading and comparing states, and for other programs."
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
)

_STYLES: Final = ("tensors", "base64", "elements", "values")
Style = enum.Enum("Style", {style: style for style in _STYLES}, type=str)  # type: ignore[misc]
_TENSORS: Final = Style("tensors")
_MIB: Final = 1 << 20

OutOption = Annotated[str, typer.Option("--output", "-o", metavar="OUT", help="File to write.")]
StyleOption = Annotated[
    Style,
    typer.Option(
        "--style",
        metavar="STYLE",
        help="One row per tensor, as numbers (tensors) or as bytes (base64), or one row per element: elements, or "
        "values with layer, parameter, index and value only, which restore does not read.",
    ),
]
MaxCellOption = Annotated[
    int,
    typer.Option(
        "--max-cell",
        min=1,
        metavar="MIB",
        help="Maximum MiB of data in a cell; larger tensors take several rows.",
    ),
]
MaxExpansionOption = Annotated[
    int,
    typer.Option(
        "--max-expansion",
        min=1,
        metavar="N",
        help=(
            "Maximum bytes of data per byte of a model file, for files that unpack to or declare more than 256 MiB. "
            "Default: 100."
        ),
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a machine-readable result to standard output.")]
StateArgument = Annotated[str, typer.Argument(metavar="STATE", help="CSV file written by export or from-logs.")]
_MODEL_HELP: Final = (
    "Model file, recognized by its content: Keras, torch.save, safetensors, .npz, .skops, a TensorFlow checkpoint or "
    "SavedModel, or the index of a model in several files."
)
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=_MODEL_HELP)]


@app.command(cls=UsageCommand)
def export(
    model: ModelArgument,
    output: OutOption,
    style: StyleOption = _TENSORS,
    max_cell: MaxCellOption = 64,
    max_expansion: MaxExpansionOption = 100,
    escape_formulas: options.FormulasOption = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: options.QuietOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Write the state of MODEL to a CSV file: its weights and, if present, its optimizer state and counters.

    Code in a model file is never run: pickles of objects other than tensors and plain values are refused, and so are
    Keras Lambda layers. Values that a table cannot hold are named in a note.
    """
    with error_messages(debug=debug):
        from tb2csv.model_state import export_state

        _start_needed(model, debug=debug)
        state = export_state(
            model,
            output,
            style=style.value,
            max_cell=max_cell * _MIB,
            max_expansion=max_expansion,
            escape_formulas=escape_formulas,
            overwrite=overwrite,
        )
        _print_written(state, output, json=json, quiet=quiet)


@app.command(cls=UsageCommand)
def restore(
    state: StateArgument,
    model: ModelArgument,
    output: OutOption,
    allow_partial: Annotated[
        bool,
        typer.Option(
            "--allow-partial",
            help="Keep tensors of MODEL that STATE lacks or has in another shape or dtype. At least one must match.",
        ),
    ] = False,
    renamed: Annotated[
        list[str],
        typer.Option(
            "--map",
            metavar="OLD=NEW",
            help=(
                "Rename tensors of STATE to their names in MODEL; repeatable. If OLD ends in / or ., it is a prefix: "
                "module.= removes it, and =module. adds it to all names."
            ),
        ),
    ] = [],
    max_expansion: MaxExpansionOption = 100,
    overwrite: OverwriteOption = False,
    quiet: options.QuietOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Restore STATE, bit for bit, into a copy of MODEL, in MODEL's format.

    All mismatched tensors and all damaged cells are reported before anything is written.
    """
    with error_messages(debug=debug):
        from tb2csv.model_state import restore_file

        _start_needed(model, debug=debug)
        renames = dict(map(_old_and_new, renamed))
        left = restore_file(
            state,
            model,
            output,
            allow_partial=allow_partial,
            renames=renames,
            max_expansion=max_expansion,
            overwrite=overwrite,
        )
        if not quiet:
            for each in left:
                print_message(f"left as it is: {each}")
            print_message(f"{output}: restored" + (f", except for {plural(len(left), 'tensor')}" if left else ""))


@app.command(cls=UsageCommand)
def from_logs(
    logdir: options.LogdirArgument,
    step: Annotated[int, typer.Option("--step", metavar="N", help="Step at which the tensors were recorded.")],
    output: OutOption,
    run: options.RunOption = [],
    prefix: Annotated[str, typer.Option("--prefix", metavar="TAG", help="Start of the tags; the rest is a name.")] = (
        "weights/"
    ),
    style: StyleOption = _TENSORS,
    max_cell: MaxCellOption = 64,
    escape_formulas: options.FormulasOption = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: options.QuietOption = False,
    max_expansion: options.ExpansionOption = options.DEFAULT_EXPANSION,
    debug: options.DebugOption = False,
) -> None:
    """Write the weights that a training recorded at a step to a CSV file that restore accepts."""
    with error_messages(debug=debug):
        from tb2csv.model_state import write_state
        from tb2csv.state_from_logs import recorded_state

        with opened_logdir(logdir, max_expansion, shown=not (quiet or json)) as (found, report_bytes):
            state = recorded_state(found, step, prefix=prefix, run=run or None, progress=report_bytes)
        write_state(
            state,
            output,
            style=style.value,
            max_cell=max_cell * _MIB,
            escape_formulas=escape_formulas,
            overwrite=overwrite,
        )
        _print_written(state, output, json=json, quiet=quiet)


@app.command(cls=UsageCommand)
def diff(
    first: Annotated[str, typer.Argument(metavar="A", help=f"CSV file of a state, or: {_MODEL_HELP}")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another state or model, in any of these formats.")],
    all_tensors: Annotated[bool, typer.Option("--all", help="Also list equal tensors.")] = False,
    max_expansion: MaxExpansionOption = 100,
    json: JsonOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Compare two states, tensor by tensor.

    For each tensor that differs, show the number of elements that differ, the maximum absolute difference, the maximum
    relative to A's element, and the maximum in units in the last place.
    """
    with error_messages(debug=debug):
        from tb2csv.model_state import diff_states, state_of
        from tb2csv.model_state.differences import NOT_COMPARED

        for each in (first, second):
            _start_needed(each, debug=debug)
        states = [state_of(each, max_expansion=max_expansion) for each in (first, second)]
        for note in dict.fromkeys(note for state in states for note in state.notes):
            print_message(note)
        differences = diff_states(*states)
        changed = [each for each in differences if each.status != "same"]
        opaque = [each for each in changed if each.status == NOT_COMPARED]
        if json:
            print_json([_fields(each) for each in differences])
        else:
            _print_table(differences if all_tensors else changed)
            same = len(differences) - len(changed)
            differ = plural(len(changed) - len(opaque), "tensor")
            not_compared = f", {len(opaque):,} not compared" if opaque else ""
            print_message(f"{differ} differ, {same:,} are the same{not_compared}")


def _start_needed(path: str, *, debug: bool) -> None:
    """Start TensorFlow if the file needs it; with ``debug``, the code that needs it does, and its output is shown."""
    from tb2csv.model_state.formats import needs_tensorflow

    if not debug and needs_tensorflow(path):
        with contextlib.suppress(ImportError):  # reported by the code that needs it
            start_tensorflow()


def _old_and_new(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not equals or not (old or new):
        message = f"--map needs OLD=NEW, a name in the state and a name in the model, not {text!r}."
        raise StateError(message)
    return old, new


def _print_written(state: ModelState, output: str, *, json: bool, quiet: bool) -> None:
    if json:
        tensors = [{"name": each.name, "dtype": each.dtype, "shape": list(each.shape)} for each in state.tensors]
        notes = list(state.notes)
        print_json({"output": output, "framework": state.framework, "tensors": tensors, "notes": notes})
    elif not quiet:
        for note in state.notes:
            print_message(note)
        count = sum(each.size for each in state.tensors)
        print_message(f"{output}: {plural(len(state.tensors), 'tensor')}, {plural(count, 'element')}")


def _fields(difference: TensorDifference) -> dict[str, Any]:
    import dataclasses
    import math

    fields = {**dataclasses.asdict(difference), "changed_share": difference.changed_share}
    # JSON has no infinity, so it becomes a text that float() reads.
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in fields.items()
    }


_COLUMNS: Final = ("tensor", "dtype", "shape", "changed", "share", "max_abs", "max_rel", "max_ulps")


def _print_table(differences: list[TensorDifference]) -> None:
    rows = [_COLUMNS, *map(_cells, differences)] if differences else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if place < 3 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print_result("  ".join(cells).rstrip())


def _cells(difference: TensorDifference) -> tuple[str, ...]:
    shape = ",".join(map(str, difference.shape)) or "-"
    head = (printable(difference.name), difference.dtype, shape)
    if difference.status not in {"same", "changed"}:
        return (*head, difference.status, "", "", "", "")
    numbers = (difference.max_abs, difference.max_rel)
    return (
        *head,
        f"{difference.changed:,}",
        f"{difference.changed_share:.2%}",
        *("-" if number is None else f"{number:.6g}" for number in numbers),
        "-" if difference.max_ulps is None else f"{difference.max_ulps:,}",
    )
