"""The protocol of a model that predicts, whichever framework it is from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from tb2csv.errors import RecorderError
from tb2csv.messages import Option, advice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import numpy.typing as npt

#: What to do about a file that may run code.
TRUST: Final = advice("{} if you trust its source", Option("trust", value=True))

Channels: TypeAlias = Literal["first", "last"]


@dataclass(frozen=True, slots=True)
class ModelInput:
    """An input of a model: its shape without the axis of samples, and its dtype, as far as they are known.

    A size of the shape is None if it is free. The dtype of text is that of ``str``.
    """

    shape: tuple[int | None, ...] | None = None
    dtype: np.dtype[Any] | None = None


@dataclass(frozen=True, slots=True)
class BatchSizes:
    """The numbers of samples that a model takes at a time; ``largest`` is None if there is no limit."""

    smallest: int = 1
    largest: int | None = None

    @classmethod
    def common(cls, sizes: Iterable[BatchSizes]) -> BatchSizes:
        """Return the sizes that all inputs of a model take. Raises RecorderError if there are none."""
        every = list(sizes)
        smallest = max((each.smallest for each in every), default=1)
        limits = [each.largest for each in every if each.largest is not None]
        largest = min(limits, default=None)
        if largest is not None and smallest > largest:
            message = f"The inputs of the model have {smallest} and {largest} rows, so the rows are not samples."
            raise RecorderError(message)
        return cls(max(smallest, 1), largest)

    @classmethod
    def of_axis(cls, size: int | None) -> BatchSizes:
        """Return the one size that the first axis of an input has, or any size."""
        return cls() if size is None else cls(size, size)


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of a classifier that names its classes: [sample, class]."""

    values: npt.NDArray[Any]
    classes: tuple[str, ...]


Output: TypeAlias = "npt.NDArray[Any] | ClassScores"


class LoadedModel(Protocol):
    """A model that predicts."""

    #: By name. Only one with an empty name if the inputs are unknown: then the model takes what it is given.
    inputs: dict[str, ModelInput]
    batch_sizes: BatchSizes
    #: The axis of the channels in images that the framework uses; None if the format is used with both.
    channels: Channels | None

    def predict(self, batch: Mapping[str, npt.NDArray[Any]]) -> dict[str, Output]:
        """Return the outputs by name for a batch of inputs by name."""
