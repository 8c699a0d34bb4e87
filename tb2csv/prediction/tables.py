"""The tables of a model's outputs, written batch by batch."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import numpy as np

from tb2csv.atomic_files import whole_file
from tb2csv.csv_pieces import append_csv
from tb2csv.errors import RecorderError
from tb2csv.late_modules import pl
from tb2csv.local_paths import home_expanded
from tb2csv.messages import Option, advice
from tb2csv.prediction.image_files import IMAGE_FILES, ImageFiles, ImageOptions, Images
from tb2csv.prediction.loaded_model import ClassScores
from tb2csv.prediction.output_rows import (
    MAX_COLUMN_RANK,
    are_probabilities,
    class_rows,
    element_rows,
    number_rows,
    storable,
    values_of,
)

if TYPE_CHECKING:
    import contextlib
    import os
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO

    import numpy.typing as npt

    from tb2csv.prediction.loaded_model import Output
    from tb2csv.prediction.output_rows import OutputRows

Columns: TypeAlias = Literal["auto", "classes", "outputs"]
COLUMNS: Final = get_args(Columns)


@dataclass(frozen=True, slots=True)
class PredictionTable:
    """A written table: its path, output, number of rows and columns, and what is beside it."""

    path: Path
    output: str
    rows: int
    columns: tuple[str, ...]
    #: The ``.npy`` file or the folder of PNG files, if any.
    images: Path | None = None
    #: The number of elements that the PNG files show as black or white, because they were outside the range.
    clipped: int = 0
    #: The number of samples that were added to the last batch; their outputs are not written.
    padded: int = 0


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How outputs become tables."""

    columns: Columns = "auto"
    images: Images | None = None
    image_options: ImageOptions = field(default_factory=ImageOptions)
    overwrite: bool = False


class PredictionTables:
    """The tables of all outputs of a model, which begin with the first batch."""

    def __init__(
        self, files: contextlib.ExitStack, out: str | os.PathLike[str], samples: int, options: TableOptions
    ) -> None:
        """Write into ``out``, or into tables whose names begin with it; they appear when ``files`` is closed.

        Raises RecorderError if ``out`` has the ending of another format.
        """
        self._files = files
        self._out = _csv_path(out)
        self._samples = samples
        self._options = options
        self._tables: dict[str, _Table] = {}

    def write(self, start: int, outputs: Mapping[str, Output], target: npt.NDArray[Any] | None) -> None:
        """Write the outputs for consecutive samples from ``start`` on.

        Raises:
            RecorderError: the first outputs are not of the kind that the options mean, or later ones of another kind.
            OutputError: a table exists already, or cannot be written.
        """
        if not self._tables:
            self._begin(outputs)
        for name, output in outputs.items():
            self._tables[name].write(start, output, target)

    def _begin(self, outputs: Mapping[str, Output]) -> None:
        first = {name: storable(name, values_of(output)) for name, output in outputs.items()}
        if self._options.images is not None and all(each.ndim <= MAX_COLUMN_RANK for each in first.values()):
            fact = "The model has no output of several dimensions for each sample, so there are no images"
            raise RecorderError(fact, advice("leave out {}", Option("images")))
        paths = _paths(self._out, list(first))
        for name, values in first.items():
            self._tables[name] = _Table(
                self._files, paths[name], name, outputs[name], values, self._samples, self._options
            )

    def close(self, padded: int) -> list[PredictionTable]:
        """Close the tables, and return what was written; ``padded`` samples were added to the last batch."""
        return [table.close(padded) for table in self._tables.values()]


def _csv_path(out: str | os.PathLike[str]) -> Path:
    path = Path(home_expanded(out))
    if path.suffix.lower() not in {"", ".csv"}:
        raise RecorderError(f"Predictions are CSV, and {path} has the ending {path.suffix}", advice("end it with .csv"))
    return path


def _paths(out: Path, outputs: Sequence[str]) -> dict[str, Path]:
    """Return the path of each output's table; in names, unsafe characters become ``%`` and two digits."""
    if len(outputs) == 1:
        return {outputs[0]: out}
    stem = out.name[: -len(out.suffix)] if out.suffix.lower() == ".csv" else out.name
    return {name: out.with_name(f"{stem}.{urllib.parse.quote(name, safe='')}.csv") for name in outputs}


class _Table:
    """The table of one output while it is written."""

    def __init__(
        self,
        files: contextlib.ExitStack,
        path: Path,
        name: str,
        first: Output,
        values: npt.NDArray[Any],
        samples: int,
        options: TableOptions,
    ) -> None:
        self._path = path
        self._name = name
        self._rows = 0
        self._columns: tuple[str, ...] = ()
        self._classes = first.classes if isinstance(first, ClassScores) else None
        self._images: ImageFiles | None = None
        self._layout: Callable[[int, npt.NDArray[Any]], OutputRows]
        place = files.enter_context(whole_file(path, overwrite=options.overwrite))
        self._file: IO[bytes] = files.enter_context(place.open("wb"))
        if values.ndim <= MAX_COLUMN_RANK:
            is_classes = options.columns == "classes" or (options.columns == "auto" and are_probabilities(values))
            if self._classes is not None or (is_classes and values.dtype.kind != "O"):
                self._layout = lambda _, each: class_rows(each, self._classes)
            else:
                self._layout = lambda _, each: number_rows(each)
        elif options.images is not None:
            self._images = IMAGE_FILES[options.images](
                files, path, name, values, samples, options.image_options, overwrite=options.overwrite
            )
            self._layout = self._images.write
        else:
            self._layout = lambda _, each: element_rows(each)

    def write(self, start: int, output: Output, target: npt.NDArray[Any] | None) -> None:
        """Write the rows of consecutive samples from ``start`` on."""
        if isinstance(output, ClassScores) and output.classes != self._classes:
            message = f"The output {self._name} has other classes from sample {start} on."
            raise RecorderError(message)
        values = storable(self._name, values_of(output))
        samples = np.arange(start, start + len(values))
        rows = self._layout(start, values)
        columns: dict[str, Any] = {"sample": np.repeat(samples, rows.repeats), **rows.before}
        if target is not None:
            columns["target"] = np.repeat(np.asarray(target).reshape(len(values), -1)[:, 0], rows.repeats)
        frame = pl.DataFrame(columns | rows.after)
        if self._columns and tuple(frame.columns) != self._columns:
            message = f"The output {self._name} has another shape from sample {start} on."
            raise RecorderError(message)
        append_csv(frame, self._file, is_first=not self._rows)
        self._rows += len(frame)
        self._columns = tuple(frame.columns)

    def close(self, padded: int) -> PredictionTable:
        """Close the table, and return what was written."""
        self._file.close()
        path, clipped = None, 0
        if self._images is not None:
            self._images.close()
            path, clipped = self._images.path, self._images.clipped
        return PredictionTable(self._path, self._name, self._rows, self._columns, path, clipped, padded)
