"""Outputs of several dimensions as files beside a table: one ``.npy`` file, or a PNG file for each sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, get_args

import numpy as np

from tb2csv.atomic_files import whole_file, whole_folder
from tb2csv.errors import MissingExtraError, RecorderError
from tb2csv.messages import Option, advice
from tb2csv.prediction.output_rows import OutputRows

if TYPE_CHECKING:
    import contextlib
    from pathlib import Path

    import numpy.typing as npt

    from tb2csv.prediction.loaded_model import Channels

Images: TypeAlias = Literal["png", "npy"]
IMAGES: Final = get_args(Images)

#: The numbers of channels that a PNG file has: grey, RGB, and RGB with opacity.
_CHANNELS: Final = {1, 3, 4}
_NPY: Final = advice("{} keeps the numbers", Option("images", "npy"))


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """How outputs become images.

    ``channels`` is the axis of the channels, and None if it follows from the shape. ``value_range`` has the numbers
    that are shown as black and white, and is None for those of the dtype.
    """

    channels: Channels | None = None
    value_range: tuple[float, float] | None = None


class ImageFiles(Protocol):
    """The files of one output."""

    #: The file, or the folder of the files.
    path: Path
    #: The number of elements that were outside the range, and are shown as its nearest end.
    clipped: int

    def write(self, start: int, values: npt.NDArray[Any]) -> OutputRows:
        """Write consecutive samples from ``start`` on, and return the columns that name their files."""

    def close(self) -> None:
        """Finish the files."""


class NpyFile:
    """A ``.npy`` file: row n is sample n."""

    clipped = 0

    def __init__(
        self,
        files: contextlib.ExitStack,
        table: Path,
        name: str,
        first: npt.NDArray[Any],
        samples: int,
        options: ImageOptions,
        *,
        overwrite: bool,
    ) -> None:
        """Begin a file beside a table."""
        is_csv = table.suffix.lower() == ".csv"
        self.path = table.with_suffix(".npy") if is_csv else table.with_name(f"{table.name}.npy")
        if first.dtype.kind == "O":
            raise RecorderError(f"The output {name} holds text, which a .npy file cannot hold.")
        place = files.enter_context(whole_file(self.path, overwrite=overwrite))
        self._array = np.lib.format.open_memmap(place, "w+", first.dtype, (samples, *first.shape[1:]))

    def write(self, start: int, values: npt.NDArray[Any]) -> OutputRows:
        """Write consecutive samples."""
        self._array[start : start + len(values)] = values
        cells = {"dtype": str(values.dtype), "shape": ",".join(map(str, values.shape[1:])), "path": self.path.name}
        return OutputRows(1, {}, {key: [value] * len(values) for key, value in cells.items()})

    def close(self) -> None:
        """Write what is in memory to the disk."""
        self._array.flush()


class PngFiles:
    """A folder of PNG files, named by their samples."""

    def __init__(
        self,
        files: contextlib.ExitStack,
        table: Path,
        name: str,
        first: npt.NDArray[Any],
        samples: int,
        options: ImageOptions,
        *,
        overwrite: bool,
    ) -> None:
        """Begin a folder beside a table.

        Raises:
            RecorderError: the output does not have the shape or dtype of images.
            MissingExtraError: Pillow is not installed.
        """
        try:
            import PIL.Image
        except ModuleNotFoundError as error:
            raise MissingExtraError("Writing PNG files", "pillow", "images") from error
        self._image = PIL.Image
        self._name, self._options = name, options
        self._digits = len(str(samples - 1))
        self.clipped = 0
        _pixels(name, as_images(name, first[:0], options.channels), options.value_range)
        is_csv = table.suffix.lower() == ".csv"
        self.path = table.with_suffix("") if is_csv else table.with_name(f"{table.name}.png")
        folder = whole_folder(self.path, overwrite=overwrite, may_replace=_has_only_images, kind="folder of PNG files")
        self._folder = files.enter_context(folder)
        self._folder.mkdir()

    def write(self, start: int, values: npt.NDArray[Any]) -> OutputRows:
        """Write consecutive samples."""
        images = as_images(self._name, values, self._options.channels)
        missing = np.flatnonzero(np.isnan(images).any(axis=tuple(range(1, images.ndim))))
        if len(missing):
            fact = f"The output {self._name} of sample {start + missing[0]} has NaN, which a PNG file cannot show"
            raise RecorderError(fact, _NPY)
        pixels, clipped = _pixels(self._name, images, self._options.value_range)
        names = [f"{sample:0{self._digits}}.png" for sample in range(start, start + len(pixels))]
        for name, image in zip(names, pixels, strict=True):
            self._image.fromarray(image).save(self._folder / name, format="PNG")
        self.clipped += int(clipped.sum())
        height, width = pixels.shape[1:3]
        cells = {"width": [width] * len(names), "height": [height] * len(names), "clipped": clipped}
        return OutputRows(1, {}, {**cells, "path": [f"{self.path.name}/{name}" for name in names]})

    def close(self) -> None:
        """Do nothing: each file is complete."""


#: The class that writes the files, by the choice of ``images``.
IMAGE_FILES: Final[dict[Images, type[PngFiles | NpyFile]]] = {"png": PngFiles, "npy": NpyFile}


def _has_only_images(folder: Path) -> bool:
    """Return whether everything in a folder is a PNG file named by a sample."""
    return folder.is_dir() and all(
        each.suffix == ".png" and each.stem.isdigit() and each.is_file() for each in folder.iterdir()
    )


def as_images(name: str, values: npt.NDArray[Any], channels: Channels | None) -> npt.NDArray[Any]:
    """Return an output as [sample, height, width], or with an axis for 3 or 4 channels at its end.

    ``channels`` is the axis that has the channels. If it is None, that is the only one of the two that fits.

    Raises RecorderError if the shape is not that of images, or both axes fit.
    """
    shape = values.shape[1:]
    size = " x ".join(map(str, shape))
    if values.ndim == 3:
        return values
    if values.ndim != 4:
        fact = f"The output {name} has the shape {size} for each sample, which is not that of an image"
        raise RecorderError(fact, _NPY)
    places = {"first": 1, "last": 3}
    fitting = [each for each in ("first", "last") if values.shape[places[each]] in _CHANNELS]
    if channels is None and len(fitting) > 1:
        fact = f"The output {name} has the shape {size} for each sample, and its first or last axis may be the channels"
        ways = [advice("give {}", Option("channels", each)) for each in fitting]
        raise RecorderError(fact, *ways)
    chosen = channels or (fitting[0] if fitting else "last")
    if chosen not in fitting:
        fact = f"The output {name} has the shape {size} for each sample, whose {chosen} axis is not 1, 3 or 4 channels"
        other = [advice("give {}", Option("channels", fitting[0]))] if fitting else []
        raise RecorderError(fact, *other, _NPY)
    images = np.moveaxis(values, places[chosen], 3)
    return images[..., 0] if images.shape[3] == 1 else images


def _pixels(
    name: str, images: npt.NDArray[Any], value_range: tuple[float, float] | None
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return images as numbers of 8 or 16 bits, and how many elements of each were outside the range.

    Without a range, floats are between 0 and 1, and other numbers are shown as they are if a PNG file has such pixels.

    Raises RecorderError if a PNG file has no such pixels.
    """
    kept = np.ascontiguousarray(images)
    if value_range is None and images.dtype.kind != "f":
        if images.dtype == bool:
            kept = kept.astype(np.uint8) * 255
        elif images.dtype != np.uint8 and (images.dtype != np.uint16 or images.ndim == 4):
            fact = f"The output {name} holds {images.dtype}, and its numbers for black and white are not known"
            raise RecorderError(fact, advice("give both with {}", "value_range"), _NPY)
        return kept, np.zeros(len(images), np.int64)
    black, white = value_range or (0.0, 1.0)
    axes = tuple(range(1, images.ndim))
    low, high = min(black, white), max(black, white)
    clipped = ((images < low) | (images > high)).sum(axis=axes, dtype=np.int64)
    share = (kept.astype(np.float64).clip(low, high) - black) / (white - black)
    return np.rint(share * 255).astype(np.uint8), clipped
