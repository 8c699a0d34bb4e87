"""Model inputs from files, read lazily so that large files need little memory."""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from tb2csv.errors import RecorderError
from tb2csv.late_modules import pl
from tb2csv.local_paths import home_expanded

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

#: The number of cells that are read from a table at a time.
_CELLS: Final = 1 << 24


class Rows(Protocol):
    """A sequence of rows whose slices are arrays."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def __getitem__(self, rows: slice, /) -> npt.NDArray[Any]:
        """Return some of the rows."""


class ModelInputs:
    """A model's inputs, one array or several by name, and its targets."""

    def __init__(self, arrays: Mapping[str, Rows], target: Rows | None = None) -> None:
        """Hold arrays of the same length; an array without a name has the empty name.

        Raises RecorderError if lengths differ, or if there is no array.
        """
        self.arrays = dict(arrays)
        self.target = target
        lengths = {name: len(array) for name, array in self.arrays.items()}
        if target is not None:
            lengths["target"] = len(target)
        if not self.arrays:
            message = "The target is the only array; give the arrays that the model takes."
            raise RecorderError(message)
        if len(set(lengths.values())) > 1:
            lengths_text = ", ".join(f"{name or 'input'}: {length}" for name, length in lengths.items())
            message = f"The inputs have different numbers of samples ({lengths_text}); give one for each sample."
            raise RecorderError(message)
        self.samples = next(iter(lengths.values()))


def open_inputs(
    source: Any, cleanup: contextlib.ExitStack, *, target: Any = None, ignore: Sequence[str] = ()
) -> ModelInputs:
    """Return a model's inputs from arrays or from a file.

    Args:
        source: an array, a list of arrays, arrays by the names of the model's inputs, or the path of a ``.npy``,
            ``.npz``, ``.csv`` or ``.parquet`` file.
        cleanup: a stack that removes the data extracted from a file when it is closed.
        target: the expected predictions: an array, or the name of a column or of an array in the file.
        ignore: names of columns or arrays that are not inputs.

    Raises:
        RecorderError: the file is not one of these, or cannot be read.
    """
    arrays = _arrays_of(source, cleanup)
    names = [*ignore, *([target] if isinstance(target, str) else [])]
    missing = [name for name in names if not _holds(arrays, name)]
    if missing:
        message = f"There is no {missing[0]!r} among the inputs."
        raise RecorderError(message)
    if isinstance(target, str):
        targets: Rows | None = _pop(arrays, target)
    else:
        targets = None if target is None else _array(target)
    for name in ignore:
        _pop(arrays, name)
    return ModelInputs(arrays, targets)


def _array(values: Any) -> npt.NDArray[Any]:
    """Return values as an array. Raises RecorderError if they are not rows, as a DataLoader is not."""
    try:
        array = np.asarray(_widened(values))
    except (TypeError, ValueError, RuntimeError) as error:  # such as a tensor with a gradient
        message = f"The {type(values).__name__} cannot be read as an array ({_first_line(error)}); give an array."
        raise RecorderError(message) from error
    if not array.ndim:
        message = f"The {type(values).__name__} has no rows; give an array with one for each sample."
        raise RecorderError(message)
    return array


def _arrays_of(source: Any, cleanup: contextlib.ExitStack) -> dict[str, Any]:
    if isinstance(source, dict):
        return {name: _array(array) for name, array in source.items()}
    if isinstance(source, (list, tuple)):
        return {str(index): _array(array) for index, array in enumerate(source)}
    if not isinstance(source, (str, os.PathLike)):
        return {"": _array(source)}
    path = Path(home_expanded(source))
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        message = f"{path} is not one of {', '.join(_READERS)}; convert it, or give an array."
        raise RecorderError(message)
    try:
        return reader(path, cleanup)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        message = f"{path} cannot be read ({_first_line(error)})."
        raise RecorderError(message) from error


def _widened(values: Any) -> Any:
    """Return a tensor of bfloat16, which NumPy lacks, as one of float32, which is exact; other values as they are."""
    torch = sys.modules.get("torch")
    is_narrow = torch is not None and isinstance(values, torch.Tensor) and values.dtype is torch.bfloat16
    return values.float() if is_narrow else values


class TableRows:
    """The rows of columns of a table on disk, read block by block."""

    def __init__(self, scan: Any, columns: Sequence[str], source: Path) -> None:
        """Read these columns of a polars LazyFrame."""
        self._scan = scan
        self.columns = list(columns)
        self._source = source
        self._rows: int = scan.select(pl.len()).collect().item()
        self._held = slice(0, 0)
        self._block: npt.NDArray[Any] = np.empty((0, 0))

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        """Return some of the rows as [row, column]."""
        start, stop, _ = rows.indices(self._rows)
        if not self._held.start <= start <= stop <= self._held.stop:
            count = max(stop - start, _CELLS // max(1, len(self.columns)))
            self._block = self._scan.slice(start, count).select(self.columns).collect().to_numpy()
            self._held = slice(start, start + len(self._block))
        return self._block[start - self._held.start : stop - self._held.start]

    def pop(self, column: str) -> TableRows:
        """Return one column, and remove it from this table."""
        self.columns.remove(column)
        return self.column(column)

    def column(self, name: str) -> TableRows:
        """Return one column."""
        return TableRows(self._scan, [name], self._source)

    def check_numbers(self) -> None:
        """Raise RecorderError if a column does not hold numbers."""
        schema = self._scan.collect_schema()
        for column in self.columns:
            if not (schema[column].is_numeric() or str(schema[column]) == "Boolean"):
                message = (
                    f"The column {column!r} of {self._source} holds {schema[column]}, but a model takes numbers; "
                    "name it as the target, or as one to ignore."
                )
                raise RecorderError(message)


def _holds(arrays: Mapping[str, Rows], name: str) -> bool:
    table = arrays.get("")
    return name in arrays or (isinstance(table, TableRows) and name in table.columns)


def _pop(arrays: dict[str, Any], name: str) -> Rows:
    table = arrays.get("")
    if isinstance(table, TableRows):
        return table.pop(name)
    popped: Rows = arrays.pop(name)
    return popped


def _npy(path: Path, _: contextlib.ExitStack) -> dict[str, Any]:
    return {"": np.load(path, mmap_mode="r", allow_pickle=False)}


def _npz(path: Path, cleanup: contextlib.ExitStack) -> dict[str, Any]:
    """Unpack the arrays, because arrays in an archive can only be read as a whole."""
    folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="tb2csv-")))
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for number, member in enumerate(archive.namelist()):
            unpacked = folder / f"{number}.npy"
            with archive.open(member) as packed, unpacked.open("wb") as file:
                while block := packed.read(1 << 20):
                    file.write(block)
            arrays[member.removesuffix(".npy")] = np.load(unpacked, mmap_mode="r", allow_pickle=False)
    return arrays if len(arrays) != 1 else {"": next(iter(arrays.values()))}


def _csv(path: Path, cleanup: contextlib.ExitStack) -> dict[str, Any]:
    """Parse the text once into an Arrow file, which can be read from any row."""
    arrow_path = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="tb2csv-"))) / "table.arrow"
    try:
        scan = pl.scan_csv(path, infer_schema_length=None, glob=False)
        scan.sink_ipc(arrow_path, compression="uncompressed")
        table = pl.scan_ipc(arrow_path, glob=False)
        return {"": TableRows(table, table.collect_schema().names(), path)}
    except pl.exceptions.PolarsError as error:
        raise ValueError(_first_line(error)) from error


def _parquet(path: Path, _: contextlib.ExitStack) -> dict[str, Any]:
    try:
        table = pl.scan_parquet(path, glob=False)
        return {"": TableRows(table, table.collect_schema().names(), path)}
    except pl.exceptions.PolarsError as error:
        raise ValueError(_first_line(error)) from error


#: The function that opens a file, by its suffix.
_READERS: Final[dict[str, Callable[[Path, contextlib.ExitStack], dict[str, Any]]]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".csv": _csv,
    ".parquet": _parquet,
}


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
