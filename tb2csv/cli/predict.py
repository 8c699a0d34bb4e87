"""``tb2csv predict``: write the predictions of a saved model as CSV tables."""

from __future__ import annotations

import contextlib
import enum
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tb2csv.cli import options
from tb2csv.cli.tensorflow_start import start_tensorflow
from tb2csv.cli.terminal import error_messages, is_terminal, plural, print_json, print_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class PredictionColumns(str, enum.Enum):
    """How to name the columns of an output."""

    auto = "auto"
    classes = "classes"
    outputs = "outputs"


def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A .keras or .h5 file, or the folder of a SavedModel.")],
    inputs: Annotated[
        str, typer.Argument(metavar="INPUTS", help="A .npy, .npz, .csv or .parquet file with one row per sample.")
    ],
    out: Annotated[
        str,
        typer.Argument(metavar="OUT", help="The table to write; a model with several outputs writes OUT.<output>.csv."),
    ],
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="NAME", help="The column or array with the expected predictions."),
    ] = None,
    ignore: Annotated[
        list[str], typer.Option("--ignore", metavar="NAME", help="A column or array that is not an input; repeatable.")
    ] = [],
    columns: Annotated[
        PredictionColumns,
        typer.Option("--columns", help="label and class_0 …, or output_0 …; auto decides by the first batch."),
    ] = PredictionColumns.auto,
    npy: Annotated[
        bool, typer.Option("--npy", help="Write outputs of several dimensions to a .npy file next to the table.")
    ] = False,
    batch_size: Annotated[
        int,
        typer.Option(
            "--batch-size", min=1, metavar="N", show_default=False, help="Samples to predict at a time. Default: 256."
        ),
    ] = 256,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Run MODEL on INPUTS and write one row of predictions per sample to OUT.

    A classifier gives sample, label and class_0 to class_n; another model gives sample and output_0 to output_n; images
    and other arrays give one row per element. This command needs TensorFlow. Python code in a model is never run.
    """
    with error_messages(debug=debug):
        start_tensorflow()
        from tb2csv.recorders import predict_to_csv

        with _progress(shown=not (quiet or json)) as on_samples:
            tables = predict_to_csv(
                model,
                inputs,
                out,
                target=target,
                ignore=ignore,
                columns=columns.value,
                npy=npy,
                batch_size=batch_size,
                overwrite=overwrite,
                on_samples=on_samples,
            )
        if json:
            print_json(
                [
                    {
                        "path": str(table.path),
                        "output": table.output,
                        "rows": table.rows,
                        "columns": table.columns,
                        "npy": None if table.npy is None else str(table.npy),
                    }
                    for table in tables
                ]
            )
        elif not quiet:
            for table in tables:
                npy_file = "" if table.npy is None else f", and {table.npy}"
                print_result(f"{table.path}: {plural(table.rows, 'row')} of {table.output}{npy_file}")


@contextlib.contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that sets a progress bar to a number of samples; the bar is shown only on a terminal."""
    if not shown or not is_terminal(sys.stderr):
        yield lambda _done, _samples: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("predicting", total=None)
        yield lambda done, samples: bar.update(task, completed=done, total=samples)
