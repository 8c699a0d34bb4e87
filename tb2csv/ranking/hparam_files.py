"""Files with the hyperparameters of a run beside its logs: Lightning's ``hparams.yaml``, Keras Tuner's ``trial.json``.

Only plain data are taken: numbers, truth values, text, and lists and dictionaries of these. A dictionary becomes one
hyperparameter for each of its entries, such as ``optimizer/lr``; a list becomes JSON. No object is ever made of a
YAML tag: Lightning writes tuples, paths, classes and objects with tags of Python, of which tuples, paths, the names of
classes and functions, and the attributes of objects are plain.

Source: ``save_hparams_to_yaml`` in pytorch_lightning/core/saving.py, ``Trial.get_state`` in
keras_tuner/engine/trial.py.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tb2csv.logdir import EventFile

#: Larger files are not read. PyYAML takes up to a second for this much.
MAX_BYTES: Final = 128 << 10
#: A file with more values is not used: a few lines of YAML can repeat a list without end.
MAX_VALUES: Final = 10_000
#: float64 holds every integer up to this one.
_FLOAT64_INTEGERS: Final = 2**53
#: The maximum length of an integer; Python refuses to write much longer ones as text.
_MAX_BITS: Final = 4096


class HparamFileError(Exception):
    """A file cannot be used; the message is the reason."""


@dataclass(slots=True)
class HparamFile:
    """The hyperparameters in a file, by name, and the names of those that are not plain data.

    A value is a float, a bool or a text, as in values of the hparams plugin.
    """

    values: dict[str, float | bool | str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def read_hparam_file(file: EventFile) -> HparamFile:
    """Read a file whose name is in HPARAM_FILES.

    Raises:
        HparamFileError: it cannot be used.
    """
    try:
        with file.open_stored() as opened:
            if opened.size > MAX_BYTES:
                message = f"it has more than {MAX_BYTES >> 10} KiB"
                raise HparamFileError(message)
            content = opened.read_at(0, MAX_BYTES)
        data = _READERS[file.path.rpartition("/")[2]](content.decode("utf-8-sig"))
        return _flattened(data)
    except OSError as error:
        raise HparamFileError(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        message = "it is not UTF-8"
        raise HparamFileError(message) from error
    except RecursionError as error:
        message = "its values are nested too deeply"
        raise HparamFileError(message) from error


def _from_trial(text: str) -> Any:
    try:
        return json.loads(text)["hyperparameters"]["values"]
    except (ValueError, LookupError, TypeError) as error:
        message = "it does not have the values of a trial"
        raise HparamFileError(message) from error


#: What PyYAML raises for a scalar that does not fit its tag, such as ``!!bool maybe``.
_BAD_SCALARS: Final = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError)


def _from_yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("Reading hparams.yaml", "PyYAML", "yaml") from error
    try:
        return _loader()(text).get_single_data()
    except (yaml.YAMLError, *_BAD_SCALARS) as error:
        message = "it is not YAML that can be read"
        raise HparamFileError(message) from error


class _NotPlain:
    """In place of a value that is not plain data."""


_PYTHON: Final = "tag:yaml.org,2002:python/"


@functools.cache
def _loader() -> Any:
    """Return a loader of YAML that makes plain data only."""
    import yaml

    class PlainLoader(yaml.SafeLoader):  # type: ignore[misc]
        """SafeLoader, with the parts of Python objects that are plain data."""

        def flatten_mapping(self, node: Any) -> None:
            """Do nothing: merged mappings may grow without end, and Lightning does not write them."""

    def python(loader: Any, suffix: str, node: Any) -> Any:
        kind, _, name = suffix.partition(":")
        if kind in {"name", "module"}:
            return name
        if kind == "complex":
            return loader.construct_scalar(node)
        if kind == "tuple":
            return loader.construct_sequence(node, deep=True)
        if kind == "object/apply" and name.startswith("pathlib.") and isinstance(node, yaml.SequenceNode):
            parts = loader.construct_sequence(node, deep=True)
            return str(PurePosixPath(*parts)) if all(isinstance(each, str) for each in parts) else _NotPlain()
        if kind in {"object", "object/new"} and isinstance(node, yaml.MappingNode):
            attributes = loader.construct_mapping(node, deep=True)
            return attributes.get("dictitems", _NotPlain()) if kind == "object/new" else attributes
        return _NotPlain()

    PlainLoader.add_multi_constructor(_PYTHON, python)
    PlainLoader.add_constructor("tag:yaml.org,2002:binary", lambda *_: _NotPlain())
    PlainLoader.add_multi_constructor("!", lambda *_: _NotPlain())
    return PlainLoader


def _flattened(data: Any) -> HparamFile:
    if data is None:  # Lightning writes {} if there are none, other programs an empty file
        return HparamFile()
    if not isinstance(data, dict):
        message = "it is not a table of names and values"
        raise HparamFileError(message)
    found, budget = HparamFile(), _Budget()
    for name, value in _entries("", data, budget):
        if name in found.values:
            continue
        if isinstance(value, _NotPlain):
            found.left_out.append(name)
        elif value is not None:
            found.values[name] = value
    return found


class _Budget:
    """The number of values that may still be read."""

    def __init__(self) -> None:
        self.left = MAX_VALUES

    def take(self) -> None:
        """Count one value."""
        self.left -= 1
        if self.left < 0:
            message = f"it has more than {MAX_VALUES:,} values"
            raise HparamFileError(message)


def _entries(prefix: str, data: dict[Any, Any], budget: _Budget) -> Iterator[tuple[str, Any]]:
    """Yield names and values, with the entries of nested dictionaries in their place."""
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from _entries(f"{name}/", value, budget)
        else:
            yield name, _plain(value, budget)


def _plain(value: Any, budget: _Budget) -> Any:
    """Return a value as a float, a bool, a text, or None; or _NotPlain."""
    nested = _nested(value, budget)
    if nested is None or isinstance(nested, (bool, str, _NotPlain)):
        return nested
    if isinstance(nested, (int, float)):
        is_exact = isinstance(nested, float) or abs(nested) <= _FLOAT64_INTEGERS
        return float(nested) if is_exact else str(nested)
    return _NotPlain() if _has_not_plain(nested) else json.dumps(nested, ensure_ascii=False)


def _nested(value: Any, budget: _Budget) -> Any:
    budget.take()
    if isinstance(value, (list, tuple, set)):
        return [_nested(each, budget) for each in value]
    if isinstance(value, dict):
        return {str(key): _nested(each, budget) for key, each in value.items()}
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return _NotPlain()
    if value is None or isinstance(value, (bool, int, float, str, _NotPlain)):
        return value
    return str(value)  # a date


def _has_not_plain(nested: Any) -> bool:
    if isinstance(nested, dict):
        return any(map(_has_not_plain, nested.values()))
    return any(map(_has_not_plain, nested)) if isinstance(nested, list) else isinstance(nested, _NotPlain)


#: By the name of a file, the function that returns its hyperparameters from its text.
_READERS: Final[dict[str, Callable[[str], Any]]] = {"hparams.yaml": _from_yaml, "trial.json": _from_trial}
