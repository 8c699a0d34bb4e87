"""Serialized summaries of many values with the same tags, in which only the numbers change from step to step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tb2csv.recorders.histograms import BUCKETS
from tb2csv.recorders.tensor_summaries import tensor_summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_NUMBER: Final = np.dtype("<f4")


class ScalarTemplate:
    """The Summary of float32 scalars with these tags."""

    def __init__(self, tags: Sequence[str]) -> None:
        """Serialize the scalar 0 under each tag."""
        text = bytearray()
        places: list[int] = []
        for tag in tags:
            head, content, tail = tensor_summary(tag, np.zeros((), _NUMBER), "scalars")
            places.append(len(text) + len(head))
            text += b"".join(map(bytes, (head, content, tail)))
        self._text = np.frombuffer(bytes(text), np.uint8)
        self._places = np.asarray(places)[:, np.newaxis] + np.arange(_NUMBER.itemsize)

    def summaries(self, rows: npt.NDArray[Any]) -> list[bytes]:
        """Return a serialized Summary for each row of [steps, tags]."""
        numbers = np.ascontiguousarray(rows, _NUMBER)
        texts = np.tile(self._text, (len(numbers), 1))
        texts[:, self._places] = numbers.view(np.uint8).reshape(*numbers.shape, _NUMBER.itemsize)
        return [text.tobytes() for text in texts]


class HistogramTemplate:
    """The Summary of histograms with these tags."""

    def __init__(self, tags: Sequence[str]) -> None:
        """Serialize what is around the buckets of each histogram."""
        self._between: list[bytes] = []
        end = b""
        for tag in tags:
            head, content, tail = tensor_summary(tag, np.zeros((BUCKETS, 3), "<f8"), "histograms")
            self._between.append(end + bytes(head))
            self._size, end = len(content), bytes(tail)
        self._end = end

    def summary(self, buckets: npt.NDArray[np.float64]) -> bytes:
        """Return a serialized Summary of [tags, BUCKETS, 3]."""
        content = memoryview(np.ascontiguousarray(buckets, "<f8").tobytes())
        parts: list[bytes | memoryview] = []
        for number, between in enumerate(self._between):
            parts += (between, content[number * self._size : (number + 1) * self._size])
        return b"".join((*parts, self._end))
