"""The recorder for any framework: scalars, histograms, tensors, text, images, audio and hyperparameters."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Literal

from tb2csv.errors import RecorderError
from tb2csv.recorders.arguments import integer
from tb2csv.recorders.event_writer import EventWriter
from tb2csv.recorders.host_values import HostArray, host_arrays_of
from tb2csv.recorders.leaf_encoders import (
    Encoded,
    encoded_float32_scalar,
    encoded_histogram,
    encoded_images,
    encoded_scalar,
    encoded_tensor,
    encoded_text,
    summary_of,
)
from tb2csv.recorders.log_values import UnrecordableError, type_word
from tb2csv.recorders.media_files import wav_files
from tb2csv.recorders.tree_leaves import Leaf, Path, collision, leaves_of
from tb2csv.recorders.trial_messages import trial_end, trial_start, trial_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from typing_extensions import Self


class Recorder:
    """Records values of any framework into an event file, without TensorFlow or PyTorch.

    ::

        with Recorder("logs/run") as recorder:
            recorder.hparams({"learning_rate": 0.1})
            for step in range(1, 101):
                state, loss, gradients = train_step(state)
                recorder.scalars({"loss": loss}, step)
                recorder.histograms({"gradients": gradients}, step)

    Each method takes a mapping, whose keys are the tags, or nested containers: mappings, lists, tuples, named tuples,
    dataclasses, and what is registered with JAX, such as the states of flax and optax. The tag of a value is the path
    to it, such as ``gradients/dense/kernel``. In keys below the first level, ``/`` is written as ``%2F`` and ``%`` as
    ``%25``. Values are numbers and arrays of NumPy, JAX, PyTorch, TensorFlow, or anything with ``__array__`` or
    ``__dlpack__``.

    A value is in the file when the method returns. Several threads may use one recorder. Values that cannot be recorded
    are omitted and counted, and a RecorderWarning at the end lists them.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        *,
        float32_scalars: bool = False,
        on_error: Literal["warn", "raise"] = "warn",
    ) -> None:
        """Prepare to record. Nothing is written before the first value.

        Args:
            log_dir: a local folder, of one run; it may hold event files of earlier sessions.
            float32_scalars: write scalars as float32. Otherwise a scalar keeps its dtype, and numbers of Python are
                float64 and int64. TensorBoard's fast data loader shows only float32; ``--load_fast=false`` shows all.
            on_error: what to do after a disk error: ``warn`` and stop the recording, not the training, or ``raise``.

        Raises:
            RecorderError: an argument is not valid.
        """
        self._log = EventWriter(log_dir, on_error=on_error)
        self._encoded_scalar = encoded_float32_scalar if float32_scalars else encoded_scalar
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._is_closed = False
        self._has_trial = False
        #: The plugin of each tag, and the path that became the tag.
        self._tags: dict[str, tuple[str, Path]] = {}
        self._finalizer = weakref.finalize(self, _close_log, self._log, self._process)

    def scalars(self, values: Any, step: Any, *, wall_time: float | None = None) -> None:
        """Record numbers; an array of numbers is recorded as a tensor.

        Args:
            values: a mapping of tags to numbers, or nested containers of them.
            step: the number of the step.
            wall_time: seconds since 1970, in UTC; now if None.

        Raises:
            RecorderError: two values would share a tag, a tag was recorded as something else before, an argument is not
                valid, or the recorder is closed or belongs to another process.
        """
        self._record("scalars", values, step, wall_time, self._encoded_scalar)

    def tensors(self, values: Any, step: Any, *, wall_time: float | None = None) -> None:
        """Record arrays of any shape and dtype, bit for bit; None is left out. Otherwise as ``scalars``."""
        self._record("tensors", values, step, wall_time, encoded_tensor, skips_none=True)

    def histograms(self, values: Any, step: Any, *, wall_time: float | None = None) -> None:
        """Record a histogram of the finite numbers of each array; None is left out. Otherwise as ``scalars``.

        A histogram has 30 buckets of equal width. It is all zeros if there are no finite numbers.
        """
        self._record("histograms", values, step, wall_time, encoded_histogram, skips_none=True)

    def text(self, values: Any, step: Any, *, wall_time: float | None = None) -> None:
        """Record texts, which TensorBoard shows as Markdown, or arrays of texts. Otherwise as ``scalars``."""
        self._record("text", values, step, wall_time, encoded_text)

    def images(self, values: Any, step: Any, *, wall_time: float | None = None) -> None:
        """Record images as PNG files, which needs Pillow. Otherwise as ``scalars``.

        An image is [height, width], [height, width, channels] or [images, height, width, channels], with 1 to 4
        channels: gray, gray and alpha, RGB, RGBA. It is uint8 from 0 to 255, bool, or floats from 0 to 1, which become
        ``x * 255.5`` without the fraction, as in ``tf.summary.image``; numbers outside are clipped.
        """
        self._record("images", values, step, wall_time, encoded_images)

    def audio(self, values: Any, step: Any, *, sample_rate: int, wall_time: float | None = None) -> None:
        """Record clips as WAV files with 16 bits. Otherwise as ``scalars``.

        A clip is [frames], [frames, channels] or [clips, frames, channels]: int16, or floats from -1 to 1, which are
        multiplied by 32768 and rounded, as in ``tf.summary.audio``; numbers outside are clipped. ``sample_rate`` is the
        number of frames in a second.
        """
        rate = integer("sample_rate", sample_rate)
        if not 0 < rate < 2**31:
            message = f"sample_rate={rate} is not a number of frames in a second."
            raise RecorderError(message)

        def encode(host: HostArray) -> Encoded:
            return Encoded("audio", wav_files(host.numbers, rate))

        self._record("audio", values, step, wall_time, encode)

    def hparams(
        self,
        values: Mapping[str, Any],
        metrics: Mapping[str, Any] | None = None,
        *,
        step: Any = 0,
        wall_time: float | None = None,
    ) -> None:
        """Record the hyperparameters of this run, which is one trial. All its scalars are metrics of the trial.

        The trial ends when the recorder is closed; it has failed if the ``with`` block ends with an exception.

        Args:
            values: names and values, which may be nested: numbers, bools, texts, or None, which becomes ``"None"``.
                Integers beyond 2**53, which TensorBoard would round, become text.
            metrics: numbers to record as scalars at the same time.
            step: the step of the metrics.
            wall_time: seconds since 1970, in UTC; now if None.

        Raises:
            RecorderError: the recorder has a trial already, or as for ``scalars``.
        """
        with self._usable():
            if self._has_trial:
                message = "A recorder has the hyperparameters of one trial; create another one for another folder."
                raise RecorderError(message)
            number, now = integer("step", step), _seconds(wall_time)
            leaves = leaves_of(values)
            found = {leaf.tag: _trial_value(leaf.value) for leaf in leaves}
            filled = {leaf.path[0] for leaf in leaves}
            for name in (str(key) for key in values):
                if name not in filled:
                    self._log.omit(name, "an empty container")
            for tag, value in found.items():
                if isinstance(value, UnrecordableError):
                    self._log.omit(ascii(tag), str(value))
            self._has_trial = True
            with self._log.guard():
                kept = {tag: value for tag, value in found.items() if not isinstance(value, UnrecordableError)}
                self._log.append(0, now, trial_start(kept, now))
            if metrics:
                self.scalars(metrics, number, wall_time=now)

    def flush(self) -> None:
        """Wait until the disk has everything; values survive the end of the process without this."""
        with self._usable():
            self._log.flush()

    def close(self) -> None:
        """End the trial if there is one, close the file, and warn once about all omitted values."""
        self._close(has_failed=False)

    def __enter__(self) -> Self:
        """Return the recorder; the end of the block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the recorder."""
        self._close(has_failed=kind is not None)

    def _close(self, *, has_failed: bool) -> None:
        if os.getpid() != self._process:
            return
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            if self._has_trial:
                now = time.time()
                with self._log.guard():
                    self._log.append(0, now, trial_end(now, has_failed=has_failed))
            self._finalizer()

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        """Keep other threads out. Raises RecorderError if the recorder is closed or belongs to another process."""
        if os.getpid() != self._process:
            message = f"The recorder of {self._log.folder} belongs to the process that created it; create another one."
            raise RecorderError(message)
        with self._lock:
            if self._is_closed:
                message = f"The recorder of {self._log.folder} is closed; create another one."
                raise RecorderError(message)
            yield

    def _record(
        self,
        kind: str,
        tree: object,
        step: Any,
        wall_time: float | None,
        encode: Callable[[HostArray], Encoded],
        *,
        skips_none: bool = False,
    ) -> None:
        """Record the leaves of a tree as ``encode`` returns them; ``kind`` is the name of the method."""
        with self._usable():
            number, now = integer("step", step), _seconds(wall_time)
            leaves = [leaf for leaf in leaves_of(tree) if not (skips_none and leaf.value is None)]
            for leaf in leaves:
                self._check_tag(leaf, kind)
            with self._log.guard():
                summaries = []
                for leaf, host in zip(leaves, host_arrays_of([leaf.value for leaf in leaves]), strict=True):
                    try:
                        summaries.append(summary_of(leaf.tag, host, encode))
                    except UnrecordableError as error:
                        self._log.omit(ascii(leaf.tag)[1:-1], str(error))
                if kind == "scalars":  # small: one event has all of them
                    self._log.append(number, now, *itertools.chain.from_iterable(summaries), values=len(summaries))
                else:
                    for summary in summaries:
                        self._log.append(number, now, *summary)

    def _check_tag(self, leaf: Leaf, kind: str) -> None:
        """Raise RecorderError if the tag was recorded from another path, or as another kind of values."""
        first_kind, first_path = self._tags.setdefault(leaf.tag, (kind, leaf.path))
        if first_path != leaf.path:
            raise RecorderError(collision(leaf.tag, first_path, leaf.path))
        if first_kind != kind:
            message = (
                f"{leaf.tag!r} was recorded by {first_kind}() before, and TensorBoard shows one kind of values for a "
                f"tag; give {kind}() another tag, such as {f'{kind}/{leaf.tag}'!r}."
            )
            raise RecorderError(message)


def _trial_value(value: Any) -> bool | float | str | UnrecordableError:
    if value is None:
        return "None"
    if not isinstance(value, str):
        (host,) = host_arrays_of([value])
        if isinstance(host, UnrecordableError):
            return host
        if host.array.ndim:
            return UnrecordableError(f"an array of shape {list(host.array.shape)}")
        value = host.numbers.item()
    found = trial_value(value)
    return UnrecordableError(type_word(value)) if found is None else found


def _seconds(wall_time: float | None) -> float:
    if wall_time is None:
        return time.time()
    try:
        seconds = float(wall_time)
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds):
        message = f"wall_time={wall_time!r} is not a number of seconds since 1970."
        raise RecorderError(message)
    return seconds


def _close_log(log: EventWriter, process: int) -> None:
    if os.getpid() == process:
        log.close()
