"""Readers of model and state files, one format each: what ``model_files`` calls a fault is a finding."""

from __future__ import annotations

import os
import platform
import warnings
from typing import TYPE_CHECKING

from model_files import Case, forbid_processes, prepare
from model_mutations import mutated

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from message_mutations import PlainMutation


class ModelTarget:
    """Files of one format."""

    def __init__(self, form: str, folder: Path) -> None:
        self._form, self._folder = form, folder
        self._sound, self._state = prepare(form, folder)
        self._work = folder / "work"
        self._work.mkdir(exist_ok=True)
        self._files = {each.name: each.read_bytes() for each in sorted(self._sound.iterdir())}
        platform.processor()  # starts a process
        os.chdir(folder / "bait")
        forbid_processes()

    def seeds(self) -> list[bytes]:
        return list(self._files.values())

    def mutate(self, data: bytes, rng: random.Random, plain: PlainMutation) -> bytes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of two members of one name
            try:
                return mutated(data, self._name(data), rng, self._work)
            except Exception:  # noqa: BLE001 # earlier mutations have broken the container
                return plain(data, rng)

    def run(self, data: bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Case(self._form, self._name(data), data, self._sound, self._folder / "case").run(self._state)

    def _name(self, data: bytes) -> str:
        """Return the name of the sound file that begins most like the data."""
        return max(self._files, key=lambda name: _equal_bytes(self._files[name], data))


def _equal_bytes(left: bytes, right: bytes) -> int:
    """Return the number of equal bytes at the start of both, of which a few are enough to know a file."""
    return next((place for place in range(min(len(left), len(right), 64)) if left[place] != right[place]), 64)


def make(form: str, folder: Path) -> ModelTarget:
    return ModelTarget(form, folder)
