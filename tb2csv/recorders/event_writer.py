"""The writer of scalars, histograms and tensors that all recorders share.

A value is in the file, as far as this process is concerned, when the method that takes it returns, so neither an
exception nor a killed process loses it.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

import numpy as np

from tb2csv.errors import RecorderError
from tb2csv.local_paths import home_expanded
from tb2csv.recorders.event_file import EventFile
from tb2csv.recorders.histograms import histogram_buckets
from tb2csv.recorders.omissions import Omissions, RecorderWarning, described
from tb2csv.recorders.summary_templates import HistogramTemplate, ScalarTemplate
from tb2csv.recorders.tensor_summaries import tensor_summary, varint

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from tb2csv.tfrecord import Bytes

_LOGGER = logging.getLogger("tb2csv")

_Method = TypeVar("_Method", bound="Callable[..., Any]")
_Result = TypeVar("_Result")

OnError = Literal["warn", "raise"]

#: Protobuf's limit is 2 GiB; tag and metadata fit into the rest.
MAX_TENSOR_BYTES: Final = 2**31 - 2**20

# An Event is serialized by hand: field 1 the time, field 2 the step, field 5 the summary.
_TIME: Final = struct.Struct("<Bd")
_TIME_FIELD: Final = 0x09
_STEP_FIELD: Final = b"\x10"
_SUMMARY_FIELD: Final = b"\x2a"


class EventWriter:
    """The event file of one recorder: created with the first value, in a folder that may hold earlier ones."""

    def __init__(self, log_dir: str | os.PathLike[str], *, on_error: OnError = "warn", step_offset: int = 0) -> None:
        """Write into ``log_dir``, the folder of one run.

        Args:
            log_dir: a local folder; it is created with the first value.
            on_error: what to do after a disk error: ``warn`` once and record nothing more, or ``raise`` RecorderError.
            step_offset: what is added to each step in the file.

        Raises:
            RecorderError: ``log_dir`` is a URL, or ``on_error`` is neither.
        """
        if on_error not in {"warn", "raise"}:
            message = f"on_error={on_error!r} is not valid; give 'warn' or 'raise'."
            raise RecorderError(message)
        folder = home_expanded(log_dir)
        if "://" in folder:
            message = f"A recorder cannot append to {folder}; give a local folder, and copy it afterwards."
            raise RecorderError(message)
        self.folder = Path(folder)
        self._on_error = on_error
        self._step_offset = step_offset
        self._file: EventFile | None = None
        self._is_stopped = False
        self._omissions = Omissions(self.folder)
        self._scalar_templates: dict[tuple[str, ...], ScalarTemplate] = {}
        self._histogram_templates: dict[tuple[str, ...], HistogramTemplate] = {}

    def scalars(self, step: int, values: Mapping[str, float], *, wall_time: float | None = None) -> None:
        """Write float32 scalars of one step, by their tags."""
        with np.errstate(over="ignore"):  # infinite in float32
            row = np.array([list(values.values())], np.float64).astype(np.float32)
        self.scalar_rows(list(values), [step], row, [time.time() if wall_time is None else wall_time])

    def scalar_rows(
        self, tags: Sequence[str], steps: Sequence[int], rows: npt.NDArray[Any], wall_times: Sequence[float]
    ) -> None:
        """Write scalars of many steps: ``rows`` is [steps, tags] and becomes float32."""
        if not tags or not steps:
            return
        template = self._scalar_templates.get(tuple(tags))
        if template is None:
            template = self._scalar_templates[tuple(tags)] = ScalarTemplate(tags)
        for step, wall_time, summary in zip(steps, wall_times, template.summaries(rows), strict=True):
            self.append(step, wall_time, summary, values=len(tags))

    def tensor(
        self,
        step: int,
        tag: str,
        value: npt.ArrayLike,
        *,
        wall_time: float | None = None,
        dtype: str | None = None,
    ) -> None:
        """Write an array of any dtype that TensorFlow has, bit for bit.

        ``dtype`` is the name of the dtype if NumPy does not have it; then the array holds its bits. A value that is not
        an array, or that exceeds the 2 GiB of a record, is omitted and counted.
        """
        try:
            array = np.asarray(value)
            if array.nbytes > MAX_TENSOR_BYTES:
                self.omit(tag, f"{array.nbytes:,} bytes, but a record holds at most 2 GiB")
                return
            parts = tensor_summary(tag, array, dtype=dtype)
        except (TypeError, ValueError):  # ragged, or objects
            self.omit(tag, f"not a tensor but {type(value).__name__}")
            return
        self.append(step, time.time() if wall_time is None else wall_time, *parts)

    def histogram(self, step: int, tag: str, value: npt.ArrayLike, *, wall_time: float | None = None) -> None:
        """Write a histogram of the finite numbers in an array, in 30 buckets from the smallest to the largest.

        A value that is not an array of real numbers is omitted and counted.
        """
        try:
            buckets = histogram_buckets(np.asarray(value))
        except (TypeError, ValueError):
            self.omit(tag, "not real numbers")
            return
        parts = tensor_summary(tag, buckets, "histograms")
        self.append(step, time.time() if wall_time is None else wall_time, *parts)

    def histogram_row(self, tags: Sequence[str], step: int, buckets: npt.NDArray[np.float64], wall_time: float) -> None:
        """Write the histograms of one step: ``buckets`` is [tags, 30, 3], as ``histograms`` returns it."""
        if not tags:
            return
        template = self._histogram_templates.get(tuple(tags))
        if template is None:
            template = self._histogram_templates[tuple(tags)] = HistogramTemplate(tags)
        self.append(step, wall_time, template.summary(buckets), values=len(tags))

    def omit(self, tag: str, reason: str, count: int = 1) -> None:
        """Count values that cannot be recorded; ``close`` reports them."""
        self._omissions.add(tag, reason, count)

    def attempt(self, name: str, compute: Callable[[], _Result]) -> _Result | None:
        """Return ``compute()``, or None if it fails: then a value of this name is omitted and counted."""
        try:
            return compute()
        except Exception as error:  # noqa: BLE001 - the training is worth more than its record
            self.omit(name, described(error))
            return None

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Stop the recording, not the training, if the recorder fails in this block.

        Raises RecorderError with ``on_error="raise"``, and passes on a RecorderError from the block.
        """
        try:
            yield
        except (RecorderError, RecorderWarning):  # a warning is raised if the user turned warnings into errors
            raise
        except Exception as error:  # noqa: BLE001 - the training is worth more than its record
            self._stop(error)

    def flush(self) -> None:
        """Make the disk keep what was written, also if the machine loses power."""
        if self._file is not None:
            try:
                self._file.sync()
            except OSError as error:
                self._stop(error)

    def close(self) -> None:
        """Close the event file; later values go to another one. Warn once about all omitted values."""
        self._close_file()
        self._omissions.report()

    def _close_file(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            with contextlib.suppress(OSError):  # it was written, or the recording has stopped
                file.close()

    def append(self, step: int, wall_time: float, *summary: Bytes, values: int = 1) -> None:
        """Write a serialized Summary, in one part or several, that holds ``values`` values."""
        if not self._is_stopped:
            size = varint(sum(map(len, summary)))
            step_text = varint((step + self._step_offset) & 0xFFFF_FFFF_FFFF_FFFF)
            head = b"".join((_TIME.pack(_TIME_FIELD, wall_time), _STEP_FIELD, step_text, _SUMMARY_FIELD, size))
            try:
                if self._file is None:
                    self._file = EventFile(self.folder)
                self._file.append(head, *summary)
            except OSError as error:
                self._stop(error)
        if self._is_stopped and self._on_error == "warn":
            self._omissions.add_after_stop(values)

    def _stop(self, error: Exception) -> None:
        """Record nothing more. Raises RecorderError with ``on_error="raise"``."""
        reason = error.strerror or str(error) if isinstance(error, OSError) else described(error)
        was_stopped, self._is_stopped = self._is_stopped, True
        if was_stopped:
            return
        self._close_file()
        if self._on_error == "raise":
            message = f"Recording in {self.folder} stopped ({reason}); earlier records are intact."
            raise RecorderError(message) from error
        self._omissions.stop(reason)
        # Now, and not only when the training has ended.
        _LOGGER.warning("Recording in %s stopped (%s); the training goes on.", self.folder, reason)


def guarded(method: _Method) -> _Method:
    """Run a recorder's method, which Keras calls while it trains, under the guard of the recorder's log."""

    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        with self._log.guard():
            return method(self, *args, **kwargs)

    return cast("_Method", run)
