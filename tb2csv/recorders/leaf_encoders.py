"""The encodings of an array by the methods of a recorder: scalars, histograms, tensors, text and images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tb2csv.recorders.event_writer import MAX_TENSOR_BYTES
from tb2csv.recorders.histograms import histogram_buckets
from tb2csv.recorders.log_values import UnrecordableError, word
from tb2csv.recorders.media_files import png_files
from tb2csv.recorders.tensor_dtypes import is_real
from tb2csv.recorders.tensor_summaries import tensor_summary

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from tb2csv.recorders.host_values import HostArray
    from tb2csv.tfrecord import Bytes


class Encoded(NamedTuple):
    """What is written: the plugin, an array, and its dtype if NumPy does not have it."""

    plugin: str
    array: npt.NDArray[Any]
    dtype: str | None = None


def summary_of(
    tag: str, host: HostArray | UnrecordableError, encode: Callable[[HostArray], Encoded]
) -> tuple[Bytes, Bytes, Bytes]:
    """Return a serialized Summary in parts. Raises UnrecordableError if the value or the tag cannot be written."""
    if isinstance(host, UnrecordableError):
        raise host
    try:
        plugin, array, dtype = encode(host)
        if array.nbytes > MAX_TENSOR_BYTES:
            raise UnrecordableError(f"{array.nbytes:,} bytes, but a record holds at most 2 GiB")
        return tensor_summary(tag, array, plugin, dtype)
    except UnicodeEncodeError as error:
        raise UnrecordableError("not valid Unicode") from error
    except (TypeError, ValueError) as error:
        raise UnrecordableError(word(host.array, host.array)) from error


def encoded_scalar(host: HostArray) -> Encoded:
    """Return a number in its own dtype, or in float32 if that holds all numbers of the dtype; an array as a tensor."""
    if host.array.ndim:
        if host.dtype is None and not is_real(host.array.dtype) and host.array.dtype.kind != "c":
            raise UnrecordableError(word(host.array, host.array))
        return encoded_tensor(host)
    array = host.numbers
    if not is_real(array.dtype):
        raise UnrecordableError(word(array, array))
    # What float32 holds exactly is float32, which all readers show.
    if array.dtype.kind == "b" or (array.dtype.kind not in "iu" and array.dtype.itemsize < 4):
        array = array.astype(np.float32)
    return Encoded("scalars", array)


def encoded_float32_scalar(host: HostArray) -> Encoded:
    """Return a number as float32, and an array as a tensor."""
    plugin, array, dtype = encoded_scalar(host)
    if plugin == "scalars":
        with np.errstate(over="ignore"):
            number = array.astype(np.float32)
        if np.isinf(number) and np.isfinite(array):
            raise UnrecordableError("a number beyond float32")
        array = number
    return Encoded(plugin, array, dtype)


def encoded_tensor(host: HostArray) -> Encoded:
    """Return an array as it is."""
    return Encoded("tb2csv", host.array, host.dtype)


def encoded_histogram(host: HostArray) -> Encoded:
    """Return the buckets of the finite numbers of an array."""
    return Encoded("histograms", histogram_buckets(host.numbers))


def encoded_text(host: HostArray) -> Encoded:
    """Return texts as they are."""
    if host.array.dtype.kind not in "OSU":
        raise UnrecordableError(str(host.array.dtype))
    return Encoded("text", host.array)


def encoded_images(host: HostArray) -> Encoded:
    """Return images as PNG files."""
    return Encoded("images", png_files(host.numbers))
