"""What a tag is about, by its name: the gradient of a variable, the weights of a layer, a loss.

Names are those that ``tb2csv.recorders`` and Keras give, and those that people write by hand, such as
``gradients/<variable>``, ``grad_norm/<variable>``, ``<variable>.grad``, ``weights/<variable>`` and
``<layer>/kernel/histogram``. docs/diagnose.md has them all.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

from tb2csv.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable

GRADIENTS: Final = "gradients"
WEIGHTS: Final = "weights"
LAYER_ERRORS: Final = "layer_errors"
ACTIVATIONS: Final = "activations"
PREDICTIONS: Final = "predictions"
LOSS: Final = "loss"
#: Numbers that a layer keeps without learning them, such as running means: only looked at for NaN and infinity.
STATES: Final = "states"
#: Any other scalar: only looked at for NaN and infinity.
SCALARS: Final = "scalars"

#: What a tag may be said to be.
FAMILIES: Final = (GRADIENTS, WEIGHTS, LAYER_ERRORS, ACTIVATIONS, PREDICTIONS, LOSS)

#: The statistics that stand as the last part of a tag.
STATISTICS: Final = ("norm", "mean", "std", "min", "max", "zero_share", "nan_count")
#: What a scalar is that names no statistic: a norm, or the element of a variable that has one. Its size is either.
_SIZE: Final = "norm"

#: The first or the last part of a tag that says what it is about.
_WORDS: Final = {
    **dict.fromkeys(("gradients", "gradient", "grads", "grad"), GRADIENTS),
    **dict.fromkeys(("weights", "parameters", "params", "variables"), WEIGHTS),
    **dict.fromkeys(("layer_errors",), LAYER_ERRORS),
    **dict.fromkeys(("activations", "activation", "outputs"), ACTIVATIONS),
    **dict.fromkeys(("predictions",), PREDICTIONS),
}
#: The same with the statistic in it, as in ``grad_2.0_norm/fc.weight``.
_NORM: Final = re.compile(r"(grad(?:ient)?s?|weights?|params?|activations?)(?:_(?:l?[\d.]+|inf))?_norm(?:_total)?")
_NORM_FAMILIES: Final = {"g": GRADIENTS, "w": WEIGHTS, "p": WEIGHTS, "a": ACTIVATIONS}
_GRADIENT_ENDING: Final = re.compile(r"[._](?:gradients?|grads?)")

_NUMBERED: Final = r"(?:[:_#]\d+)?"
#: The last part of a variable's name, by which its layer is known.
_VARIABLE: Final = re.compile(
    rf"(?:(?:recurrent_|depthwise_|pointwise_)?kernel|(?:\w+_)?bias|weight|(?:weight|bias)_[ih]h_l\d+(?:_reverse)?"
    rf"|in_proj_weight|gamma|beta|embeddings?|w|b){_NUMBERED}",
    re.IGNORECASE,
)
_STATE: Final = re.compile(rf"(?:moving|running)_(?:mean|var|variance)|num_batches_tracked{_NUMBERED}", re.IGNORECASE)
_KERNEL: Final = re.compile(rf"(?:kernel|weight|w){_NUMBERED}", re.IGNORECASE)
_BIAS: Final = re.compile(rf"(?:bias|b){_NUMBERED}", re.IGNORECASE)

#: Words that may stand with ``loss`` in the part of a tag that says that it is the loss of the training.
_LOSS_WORDS: Final = frozenset(
    ("loss", "cost", "train", "training", "epoch", "batch", "step", "total", "mean", "average", "avg", "running")
)
_EVALUATION_WORDS: Final = frozenset(("val", "valid", "validation", "eval", "evaluation", "test", "dev"))
_WORD: Final = re.compile(r"[a-z]+")

_DIAGNOSED_KINDS: Final = ("scalars", "tensors", "histograms")


class Quantity(NamedTuple):
    """What a series is about."""

    family: str
    layer: str
    #: The variable within its layer; empty where the layer as a whole is meant.
    variable: str = ""
    #: One of STATISTICS where a scalar is a statistic; empty where the values themselves are there.
    statistic: str = ""


class TagFamilies:
    """Tells what tags are about."""

    def __init__(self, given: Iterable[str] = ()) -> None:
        """Take ``FAMILY=GLOB`` for tags that are to be of that family, whatever their names say.

        Raises OptionError where a text is not of that form, or names no family.
        """
        self._given: list[tuple[str, str]] = []
        for text in given:
            family, is_given, pattern = text.partition("=")
            if not is_given or family not in FAMILIES or not pattern:
                message = f"{text!r} says of no tag what it is; give FAMILY=GLOB with one of {', '.join(FAMILIES)}."
                raise OptionError(message)
            self._given.append((family, pattern))

    def quantity(self, run: str, tag: str, kind: str) -> Quantity | None:
        """Return what a series is about; None where it is nothing that a network is judged by."""
        if kind not in _DIAGNOSED_KINDS:
            return None
        for family, pattern in self._given:
            if fnmatchcase(tag, pattern):
                if family == LOSS:
                    return Quantity(LOSS, tag) if kind == "scalars" else None
                name, statistic = _statistic(_inner(tag, pattern), kind)
                return _named(family, name or tag, statistic or (_SIZE if kind == "scalars" else ""))
        found = _by_name(tag, kind)
        if found is None and kind == "scalars":
            return Quantity(LOSS if is_training_loss(run, tag) else SCALARS, tag)
        return found


def is_training_loss(run: str, tag: str) -> bool:
    """Say whether a scalar is the loss that is trained on: not one of several terms, and not of other data."""
    parts = tag.lower().split("/")
    words = {word for part in (*parts, run.lower().rsplit("/", 1)[-1]) for word in _WORD.findall(part)}
    if words & _EVALUATION_WORDS:
        return False
    first, last = (set(_WORD.findall(part)) for part in (parts[0], parts[-1]))
    others = {word for part in parts[1:] for word in _WORD.findall(part)}
    return _is_loss(last) or (_is_loss(first) and others <= _LOSS_WORDS)


def is_kernel(variable: str) -> bool:
    """Say whether a variable is the matrix of a layer."""
    return _KERNEL.fullmatch(variable) is not None


def is_bias(variable: str) -> bool:
    """Say whether a variable has one number for each unit of its layer, added to what the unit sums up."""
    return _BIAS.fullmatch(variable) is not None


def _is_loss(words: set[str]) -> bool:
    return bool(words & {"loss", "cost"}) and words <= _LOSS_WORDS


def _by_name(tag: str, kind: str) -> Quantity | None:
    name, statistic = _statistic(tag, kind)
    size = statistic or (_SIZE if kind == "scalars" else "")
    parts = name.split("/")
    for place in (0, -1):
        word = parts[place].lower()
        others = "/".join(parts[1:] if place == 0 else parts[:-1])
        if word in _WORDS and others:
            return _named(_WORDS[word], others, size)
        if kind == "scalars" and _NORM.fullmatch(word):
            return _named(_NORM_FAMILIES[word[0]], others or tag, "norm")
    ending = next((found for found in _GRADIENT_ENDING.finditer(name) if found.end() == len(name)), None)
    if ending and (kind != "scalars" or _VARIABLE.fullmatch(_split(name[: ending.start()])[1])):
        return _named(GRADIENTS, name[: ending.start()], size)
    if kind == "scalars" and not statistic:
        return None
    return _named(WEIGHTS, name, size) if _VARIABLE.fullmatch(_split(name)[1]) or _is_state(name) else None


def _statistic(name: str, kind: str) -> tuple[str, str]:
    """Return a name without the statistic, or the word histogram, that may stand behind it; and the statistic."""
    rest, _, last = name.rpartition("/")
    if rest and kind == "scalars" and last in STATISTICS:
        return rest, last
    if rest and kind == "histograms" and last == "histogram":
        return rest, ""
    return name, ""


def _inner(tag: str, pattern: str) -> str:
    """Return a tag without the plain text that a pattern has before its first and behind its last ``*``."""
    start = len(re.match(r"[^*?\[]*", pattern).group())  # type: ignore[union-attr] # it matches an empty text, too
    stop = len(tag) - len(re.search(r"[^*?\]]*$", pattern).group())  # type: ignore[union-attr]
    return tag[start:stop].strip("/._") if start < stop else tag


def _split(name: str) -> tuple[str, str]:
    """Return what stands before the last ``/`` or ``.``, and what behind."""
    place = max(name.rfind("/"), name.rfind("."))
    return (name[:place], name[place + 1 :]) if place > 0 else ("", name)


def _is_state(name: str) -> bool:
    return _STATE.fullmatch(_split(name)[1]) is not None


def _named(family: str, name: str, statistic: str) -> Quantity:
    if family in {GRADIENTS, WEIGHTS}:
        if _is_state(name):
            return Quantity(STATES, name, "", statistic)
        layer, variable = _split(name)
        if layer and _VARIABLE.fullmatch(variable):
            return Quantity(family, layer, variable, statistic)
    return Quantity(family, name, "", statistic)
