"""Options that decoders take."""

from __future__ import annotations

from dataclasses import dataclass

from tb2csv.decoders.tensors import TENSOR_STYLES
from tb2csv.errors import check_choice
from tb2csv.size_limits import EVENT_FILE_LIMITS, SizeLimits


@dataclass(slots=True, eq=False, repr=False)
class DecodeOptions:
    """Options for decoders: the style of tensors, a name in ``TENSOR_STYLES``, and how many elements they leave out.

    Raises:
        OptionError: the style is unknown.
    """

    tensors: str = next(iter(TENSOR_STYLES))
    limits: SizeLimits = EVENT_FILE_LIMITS

    def __post_init__(self) -> None:
        """Check the options."""
        check_choice("tensor style", self.tensors, TENSOR_STYLES)
