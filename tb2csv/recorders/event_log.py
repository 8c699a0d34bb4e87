"""What a recorder was given, on its way into an event file: scalars, histograms and tensors, all through one place.

A value is in the file, as far as this process is concerned, when the method that takes it returns: there is nothing
that an exception or a killed process could lose.
"""

from __future__ import annotations

import os
import struct
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from tb2csv.errors import RecorderError
from tb2csv.recorders.event_file import EventFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

OnError = Literal["warn", "raise"]

#: The plugin that tensors name: none of TensorBoard's, so that whatever reads them takes them for what they are.
TENSOR_PLUGIN: Final = "tb2csv"

_BUCKETS: Final = 30
#: Protobuf's limit is 2 GiB; tag and metadata take less than the rest.
_MAX_TENSOR_BYTES: Final = 2**31 - 2**20

# An Event is put together by hand: field 1 the time, field 2 the step, field 5 the summary.
_TIME: Final = struct.Struct("<Bd")
_TIME_FIELD: Final = 0x09
_STEP_FIELD: Final = b"\x10"
_SUMMARY_FIELD: Final = b"\x2a"
#: Where a template has a number: bytes that are no UTF-8, so that no tag contains them.
_NUMBER: Final = b"\xfe\xff\xfe\xff"


class RecorderWarning(UserWarning):
    """A recorder stopped recording, or left something out; the training goes on."""


class EventLog:
    """The event file of one recorder: made with the first value, in a folder that may hold earlier ones."""

    def __init__(self, log_dir: str | os.PathLike[str], *, on_error: OnError = "warn") -> None:
        """Write into ``log_dir``, the folder of one run.

        Args:
            log_dir: a local folder; it is made with the first value.
            on_error: what a disk error does: ``warn`` once and record nothing more, or ``raise`` RecorderError.

        Raises:
            RecorderError: ``log_dir`` is a URL, or ``on_error`` is neither of the two.
        """
        if on_error not in {"warn", "raise"}:
            message = f"on_error={on_error!r} is not known to recorders; give 'warn' or 'raise'."
            raise RecorderError(message)
        if "://" in os.fspath(log_dir):
            message = f"A recorder cannot append to {os.fspath(log_dir)}; give a local folder, and copy it afterwards."
            raise RecorderError(message)
        self.folder = Path(log_dir)
        self._on_error = on_error
        self._file: EventFile | None = None
        self._stopped = False
        self._templates: dict[tuple[str, ...], _ScalarTemplate] = {}

    def scalars(self, step: int, values: Mapping[str, float], *, wall_time: float | None = None) -> None:
        """Write float32 scalars of one step, by their tags."""
        row = np.array([list(values.values())], np.float32)
        self.scalar_rows(list(values), [step], row, [time.time() if wall_time is None else wall_time])

    def scalar_rows(
        self, tags: Sequence[str], steps: Sequence[int], rows: npt.NDArray[Any], wall_times: Sequence[float]
    ) -> None:
        """Write scalars of many steps: ``rows`` is [steps, tags] and becomes float32."""
        if not tags or self._stopped:
            return
        template = self._templates.get(tuple(tags))
        if template is None:
            template = self._templates[tuple(tags)] = _ScalarTemplate(tags)
        for step, wall_time, summary in zip(steps, wall_times, template.summaries(rows), strict=True):
            self._append(step, wall_time, summary)

    def tensor(self, step: int, tag: str, value: npt.ArrayLike, *, wall_time: float | None = None) -> None:
        """Write an array of any dtype that TensorFlow has, bit for bit.

        Raises RecorderError where it is too large for an event file, whose records end at 2 GiB.
        """
        if self._stopped:
            return
        from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR

        array = np.asarray(value)
        if array.nbytes > _MAX_TENSOR_BYTES:
            message = (
                f"The tensor {tag} takes {array.nbytes:,} bytes, and an event file holds none beyond 2 GiB; "
                "leave it out, or record statistics instead."
            )
            raise RecorderError(message)
        self._append_tensor(step, tag, array, (TENSOR_PLUGIN, DATA_CLASS_TENSOR, b""), wall_time)

    def histogram(self, step: int, tag: str, value: npt.ArrayLike, *, wall_time: float | None = None) -> None:
        """Write a histogram of the finite numbers in an array, in 30 buckets from the least to the greatest."""
        if self._stopped:
            return
        from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR
        from tensorboard.plugins.histogram import metadata

        content = metadata.create_summary_metadata(None, None).plugin_data.content
        self._append_tensor(
            step,
            tag,
            histogram_buckets(np.asarray(value)),
            (metadata.PLUGIN_NAME, DATA_CLASS_TENSOR, content),
            wall_time,
        )

    def guarded(self, action: Callable[[], None]) -> None:
        """Do what may fail on the disk, as ``on_error`` asks."""
        if self._stopped:
            return
        try:
            action()
        except OSError as error:
            self._stopped = True
            self.close()
            reason = error.strerror or str(error)
            message = f"Nothing more can be recorded in {self.folder} ({reason}); what was recorded before is whole."
            if self._on_error == "raise":
                raise RecorderError(message) from error
            warnings.warn(f"{message} The training goes on.", RecorderWarning, stacklevel=2)

    def close(self) -> None:
        """Close the event file; what is given later goes to another one."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def _append_tensor(
        self, step: int, tag: str, array: npt.NDArray[Any], plugin: tuple[str, Any, bytes], wall_time: float | None
    ) -> None:
        import tensorflow as tf
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary()
        value = summary.value.add(tag=tag)
        if array.dtype.kind in "OSU":
            value.tensor.ParseFromString(tf.make_tensor_proto(array).SerializeToString())
        else:
            value.tensor.dtype = tf.as_dtype(array.dtype).as_datatype_enum
            for size in array.shape:
                value.tensor.tensor_shape.dim.add(size=size)
            value.tensor.tensor_content = np.ascontiguousarray(array).tobytes()
        value.metadata.plugin_data.plugin_name, value.metadata.data_class, value.metadata.plugin_data.content = plugin
        self._append(step, time.time() if wall_time is None else wall_time, summary.SerializeToString())

    def _append(self, step: int, wall_time: float, summary: bytes) -> None:
        step_text = _varint(step & 0xFFFF_FFFF_FFFF_FFFF)
        head = (_TIME.pack(_TIME_FIELD, wall_time), _STEP_FIELD, step_text, _SUMMARY_FIELD, _varint(len(summary)))
        event = b"".join((*head, summary))

        def append() -> None:
            if self._file is None:
                self._file = EventFile(self.folder)
            self._file.append(event)

        self.guarded(append)


class _ScalarTemplate:
    """The Summary of scalars with these tags, in which only the numbers change from step to step."""

    def __init__(self, tags: Sequence[str]) -> None:
        from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR, Summary
        from tensorboard.compat.proto.types_pb2 import DT_FLOAT
        from tensorboard.plugins.scalar.metadata import create_summary_metadata

        text = bytearray()
        places: list[int] = []
        for tag in tags:
            summary = Summary()
            value = summary.value.add(tag=tag, metadata=create_summary_metadata("", ""))
            value.metadata.data_class = DATA_CLASS_SCALAR
            value.tensor.dtype = DT_FLOAT
            value.tensor.tensor_shape.SetInParent()
            value.tensor.tensor_content = _NUMBER
            serialized = summary.SerializeToString()
            places.append(len(text) + serialized.index(_NUMBER))
            text += serialized
        self._text = np.frombuffer(bytes(text), np.uint8)
        self._places = np.asarray(places)[:, np.newaxis] + np.arange(len(_NUMBER))

    def summaries(self, rows: npt.NDArray[Any]) -> list[bytes]:
        """Return a serialized Summary for each row of [steps, tags]."""
        numbers = np.ascontiguousarray(rows, "<f4")
        texts = np.tile(self._text, (len(numbers), 1))
        texts[:, self._places] = numbers.view(np.uint8).reshape(*numbers.shape, len(_NUMBER))
        return [text.tobytes() for text in texts]


def histogram_buckets(array: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return [30, 3]: left edge, right edge and count of equally wide buckets over the finite numbers of an array.

    All zero where there is no finite number; where all are equal, the last bucket counts them.
    """
    numbers = array.astype(np.float64, copy=False).ravel()
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        return np.zeros((_BUCKETS, 3))
    # Halves, for the distance between the two may be more than a float64 holds.
    edges = 2 * np.linspace(numbers.min() / 2, numbers.max() / 2, _BUCKETS + 1)
    edges[0], edges[-1] = numbers.min(), numbers.max()
    counts, _ = np.histogram(numbers, edges)
    return np.stack([edges[:-1], edges[1:], counts.astype(np.float64)], axis=1)


def _varint(number: int) -> bytes:
    text = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits to a byte
        text.append(number & 0x7F | 0x80)
        number >>= 7
    text.append(number)
    return bytes(text)
