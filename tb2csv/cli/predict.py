"""``tb2csv predict``: write the predictions of a saved model as tables."""

from __future__ import annotations

import contextlib
import enum
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tb2csv.cli import options
from tb2csv.cli.tensorflow_start import start_tensorflow
from tb2csv.cli.terminal import error_messages, is_terminal, plural, print_json, print_result
from tb2csv.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tb2csv.prediction.tables import PredictionTable


class PredictionColumns(str, enum.Enum):
    """How to name the columns of an output."""

    auto = "auto"
    classes = "classes"
    outputs = "outputs"


class PredictionImages(str, enum.Enum):
    """The files that outputs of several dimensions become."""

    png = "png"
    npy = "npy"


class ImageChannels(str, enum.Enum):
    """The axis of the channels of an image."""

    first = "first"
    last = "last"


#: Functions that start a framework without its messages, by the extra that installs it.
_STARTS: Final[dict[str, Callable[[], None]]] = {"tensorflow": start_tensorflow}


def predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A .keras, .h5, .onnx, .pt2 or TorchScript file, or the folder of a SavedModel."
        ),
    ],
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
    images: Annotated[
        PredictionImages | None,
        typer.Option("--images", help="Write outputs of several dimensions to PNG files or to one .npy file."),
    ] = None,
    channels: Annotated[
        ImageChannels | None,
        typer.Option("--channels", help="The axis of the channels in PNG files, if it is not that of the framework."),
    ] = None,
    value_range: Annotated[
        str | None,
        typer.Option(
            "--value-range",
            metavar="BLACK,WHITE",
            help="The numbers that PNG files show as black and white, such as -1,1. Default: 0,1 for floats.",
        ),
    ] = None,
    batch_size: Annotated[
        int,
        typer.Option(
            "--batch-size", min=1, metavar="N", show_default=False, help="Samples to predict at a time. Default: 256."
        ),
    ] = 256,
    trust: Annotated[
        bool, typer.Option("--trust", help="Load a model that may run code: .pt2, TorchScript, Lambda layers.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Run MODEL on INPUTS and write one row of predictions per sample to OUT.

    A classifier gives sample, label and class_0 to class_n; another model gives sample and output_0 to output_n; images
    and other arrays give one row per element. The framework of the model must be installed. Code in a model is only run
    with --trust.
    """
    with error_messages(debug=debug):
        from tb2csv.prediction.model_formats import format_of
        from tb2csv.prediction.predict import predict as write_predictions

        start = _STARTS.get(format_of(model).extra)
        if start is not None:
            start()
        with _progress(shown=not (quiet or json)) as on_samples:
            tables = write_predictions(
                model,
                inputs,
                out,
                target=target,
                ignore=ignore,
                columns=columns.value,
                images=None if images is None else images.value,
                channels=None if channels is None else channels.value,
                value_range=None if value_range is None else _range(value_range),
                batch_size=batch_size,
                trust=trust,
                overwrite=overwrite,
                on_samples=on_samples,
            )
        if json:
            print_json([_fields(table) for table in tables])
        elif not quiet:
            for table in tables:
                print_result(_sentence(table))


def _range(text: str) -> tuple[float, float]:
    try:
        black, white = map(float, text.split(","))
    except ValueError as error:
        message = f"{text!r} is not two numbers; give BLACK,WHITE, such as -1,1."
        raise OptionError(message) from error
    return black, white


def _fields(table: PredictionTable) -> dict[str, Any]:
    return {
        "path": str(table.path),
        "output": table.output,
        "rows": table.rows,
        "columns": table.columns,
        "images": None if table.images is None else str(table.images),
        "clipped": table.clipped,
        "padded": table.padded,
    }


def _sentence(table: PredictionTable) -> str:
    parts = [f"{table.path}: {plural(table.rows, 'row')} of {table.output}"]
    if table.images is not None:
        parts.append(f", and {table.images}")
    if table.clipped:
        parts.append(f"; {plural(table.clipped, 'element')} outside the range of values shown as black or white")
    if table.padded:
        copies = "a copy" if table.padded == 1 else f"{table.padded:,} copies"
        parts.append(f"; the last batch was padded with {copies} of its last sample")
    return "".join(parts)


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
