"""What is fuzzed: one module and one line for each target."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from message_mutations import PlainMutation


class Target(Protocol):
    """Code that reads bytes of a stranger."""

    def seeds(self) -> list[bytes]:
        """Return sound inputs."""

    def mutate(self, data: bytes, rng: random.Random, plain: PlainMutation) -> bytes:
        """Return another input; ``plain`` changes bytes of which nothing is known."""

    def run(self, data: bytes) -> None:
        """Read an input; an exception is a finding."""


class TargetType(NamedTuple):
    """Where a target is, and how it is fuzzed."""

    #: The module, whose function ``make`` returns the target.
    module: str
    #: The packages whose coverage guides the mutations.
    covered: tuple[str, ...]
    #: What ``make`` is called with: a format.
    form: str = ""
    #: Whether it needs TensorFlow, PyTorch, h5py or scikit-learn.
    needs_frameworks: bool = False
    #: Whether the scanner is built with AddressSanitizer.
    is_sanitized: bool = False
    #: The share of the time of all targets that need frameworks, or of all others.
    share: float = 1.0

    def make(self, folder: Path) -> Target:
        """Return the target; it may write into ``folder``."""
        target: Target = importlib.import_module(self.module).make(self.form, folder)
        return target


_SCANNERS = ("tb2csv.event_files", "tb2csv.tfrecord")
_STATE = ("tb2csv.model_state", "tb2csv.plain_data")

TARGETS = {
    "scanner": TargetType("scanner_target", _SCANNERS, share=4),
    "sanitized": TargetType("scanner_target", _SCANNERS, is_sanitized=True, share=2),
    "convert": TargetType("conversion_target", ("tb2csv",), share=4),
    "request": TargetType("request_target", ("tb2csv.tensorboard_plugin", "tb2csv.selection"), share=2),
    "csv": TargetType("model_target", _STATE, "csv", share=2),
    "npz": TargetType("model_target", _STATE, "npz"),
    "safetensors": TargetType("model_target", _STATE, "safetensors"),
    "tables": TargetType("model_target", ("tb2csv",), "tables"),
    "h5": TargetType("model_target", _STATE, "h5", needs_frameworks=True, share=2),
    "torch": TargetType("model_target", _STATE, "torch", needs_frameworks=True, share=2),
    "skops": TargetType("model_target", _STATE, "skops", needs_frameworks=True),
    "keras": TargetType("model_target", _STATE, "keras", needs_frameworks=True),
    "checkpoint": TargetType("model_target", _STATE, "checkpoint", needs_frameworks=True),
}
