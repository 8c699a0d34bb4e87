"""JSON texts that describe models, which may be damaged or hostile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from tb2csv.errors import StateError
from tb2csv.model_state.foreign_errors import JSON, as_state_errors

_Member = TypeVar("_Member", bound="str | list[Any] | dict[str, Any]")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def parsed(text: str | bytes, what_failed: str, advice: str) -> Any:
    """Return the value of a JSON text; raises StateError if it is not JSON, or nests too deeply."""
    with as_state_errors(what_failed, advice, JSON):
        return json.loads(text)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file; raises StateError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}); give a file that can."
        raise StateError(message) from error


def json_object(text: str | bytes) -> dict[str, Any]:
    """Return what a description says; nothing if it is not a JSON object."""
    try:
        described = json.loads(text)
    except JSON:
        return {}
    return described if isinstance(described, dict) else {}


def member(description: Any, name: str, default: _Member) -> _Member:
    """Return a member of a JSON object; ``default`` if it is missing or of another type, or there is no object."""
    found = description.get(name) if isinstance(description, dict) else None
    return found if isinstance(found, type(default)) else default


def objects_in(description: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects in the value of a JSON text, at any depth."""
    waiting = [description]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
