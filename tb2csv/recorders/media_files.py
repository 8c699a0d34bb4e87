"""Arrays as the image and audio files that ``tf.summary`` stores: PNG and WAV."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.errors import RecorderError
from tb2csv.installation import install_command
from tb2csv.recorders.log_values import UnrecordableError

if TYPE_CHECKING:
    import numpy.typing as npt

#: Gray, gray with alpha, RGB and RGBA.
_CHANNELS: Final = (1, 2, 3, 4)


def png_files(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return images as the texts of a value of the plugin ``images``: width, height, and a PNG file for each image.

    ``array`` is [height, width], [height, width, channels] or [images, height, width, channels] with 1 to 4 channels:
    uint8, bool, or floats from 0 to 1, which become ``x * 255.5`` without the fraction as in ``tf.summary.image``;
    numbers outside are clipped.

    Raises:
        UnrecordableError: the array is not an image.
        RecorderError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        message = f"Images are written by Pillow, which is not installed; run {install_command('images')}."
        raise RecorderError(message) from error
    images = array[..., np.newaxis] if array.ndim == 2 else array
    images = images[np.newaxis] if images.ndim == 3 else images
    if images.ndim != 4 or images.shape[-1] not in _CHANNELS or not all(images.shape[1:3]):
        reason = f"an array of shape {list(array.shape)} as an image"
        raise UnrecordableError(reason)
    pixels = _pixels(images)
    height, width, channels = pixels.shape[1:]
    files = []
    for image in pixels:
        file = io.BytesIO()
        shape = (height, width) if channels == 1 else image.shape
        Image.fromarray(np.ascontiguousarray(image.reshape(shape))).save(file, "png")
        files.append(file.getvalue())
    return np.array([str(width).encode(), str(height).encode(), *files], object)


def _pixels(images: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if images.dtype == np.uint8:
        return images
    if images.dtype == np.bool_:
        images = images.astype(np.float32)
    if images.dtype.kind in "iuc":
        reason = f"{images.dtype} as an image"
        raise UnrecordableError(reason)
    numbers = images.astype(np.float64 if images.dtype == np.float64 else np.float32)
    if np.isnan(numbers).any():
        reason = "NaN in an image"
        raise UnrecordableError(reason)
    pixels: npt.NDArray[np.uint8] = (numbers.clip(0, 1) * 255.5).astype(np.uint8)
    return pixels


def wav_files(array: npt.NDArray[Any], sample_rate: int) -> npt.NDArray[Any]:
    """Return clips as the texts of a value of the plugin ``audio``: for each clip a WAV file and an empty label.

    ``array`` is [frames], [frames, channels] or [clips, frames, channels]: int16, or floats from -1 to 1, which are
    multiplied by 32768 and rounded as in ``tf.summary.audio``; numbers outside are clipped.

    Raises:
        UnrecordableError: the array is not audio.
    """
    clips = array[:, np.newaxis] if array.ndim == 1 else array
    clips = clips[np.newaxis] if clips.ndim == 2 else clips
    if clips.ndim != 3 or not clips.shape[2]:
        reason = f"an array of shape {list(array.shape)} as audio"
        raise UnrecordableError(reason)
    files = []
    for clip in _samples(clips):
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setnchannels(clip.shape[1])
            file.setsampwidth(2)
            file.setframerate(sample_rate)
            file.writeframes(clip.astype("<i2").tobytes())
        files.append(buffer.getvalue())
    return np.array([(file, b"") for file in files], object).reshape(-1, 2)


def _samples(clips: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
    if clips.dtype == np.int16:
        return clips
    if clips.dtype.kind in "biuc":
        reason = f"{clips.dtype} as audio"
        raise UnrecordableError(reason)
    numbers = clips.astype(np.float64)
    if np.isnan(numbers).any():
        reason = "NaN in audio"
        raise UnrecordableError(reason)
    scaled = numbers * 32768
    rounded = np.trunc(scaled + np.copysign(0.5, scaled))  # halves go outward
    samples: npt.NDArray[np.int16] = rounded.clip(-32768, 32767).astype(np.int16)
    return samples
