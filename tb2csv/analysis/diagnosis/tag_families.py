"""Families of tags, recognized by name: gradients of a variable, weights of a layer, losses.

Names are those of ``tb2csv.recorders`` and Keras, and common names written by hand, such as
``gradients/<variable>``, ``grad_norm/<variable>``, ``<variable>.grad``, ``weights/<variable>`` and
``<layer>/kernel/histogram``. docs/diagnose.md lists all of them.
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
#: The loss on data that is not used for training.
VALIDATION_LOSS: Final = "validation_loss"
LEARNING_RATE: Final = "learning_rate"
#: Numbers of a layer that are not trained, such as running means; only checked for NaN and infinity.
STATES: Final = "states"
#: Any other scalar; only checked for NaN, infinity and steps that go back.
SCALARS: Final = "scalars"

#: The families that users can assign tags to.
FAMILIES: Final = (
    GRADIENTS,
    WEIGHTS,
    LAYER_ERRORS,
    ACTIVATIONS,
    PREDICTIONS,
    LOSS,
    VALIDATION_LOSS,
    LEARNING_RATE,
)
#: The families of scalars that do not belong to a layer; ``Quantity.layer`` is their tag.
SCALAR_FAMILIES: Final = (LOSS, VALIDATION_LOSS, LEARNING_RATE)

#: The statistics that may be the last part of a tag.
STATISTICS: Final = ("norm", "mean", "std", "min", "max", "zero_share", "nan_count")
#: A scalar without a statistic is a norm, or the only element of a variable; both are its size.
_SIZE: Final = "norm"

#: Words that identify a family as the first or the last part of a tag.
_FAMILY_WORDS: Final = {
    **dict.fromkeys(("gradients", "gradient", "grads", "grad"), GRADIENTS),
    **dict.fromkeys(("weights", "parameters", "params", "variables"), WEIGHTS),
    **dict.fromkeys(("layer_errors",), LAYER_ERRORS),
    **dict.fromkeys(("activations", "activation", "outputs"), ACTIVATIONS),
    **dict.fromkeys(("predictions",), PREDICTIONS),
}
#: Words for a family and the statistic norm, as in ``grad_2.0_norm/fc.weight``.
_NORM: Final = re.compile(r"(grad(?:ient)?s?|weights?|params?|activations?)(?:_(?:l?[\d.]+|inf))?_norm(?:_total)?")
_NORM_FAMILIES: Final = {"g": GRADIENTS, "w": WEIGHTS, "p": WEIGHTS, "a": ACTIVATIONS}
_GRADIENT_ENDING: Final = re.compile(r"[._](?:gradients?|grads?)")

_NUMBERED: Final = r"(?:[:_#]\d+)?"
#: The last part of a variable's name; the rest is the name of its layer.
_VARIABLE: Final = re.compile(
    rf"(?:(?:recurrent_|depthwise_|pointwise_)?kernel|(?:\w+_)?bias|weight|(?:weight|bias)_[ih]h_l\d+(?:_reverse)?"
    rf"|in_proj_weight|gamma|beta|embeddings?|w|b){_NUMBERED}",
    re.IGNORECASE,
)
_STATE: Final = re.compile(rf"(?:moving|running)_(?:mean|var|variance)|num_batches_tracked{_NUMBERED}", re.IGNORECASE)
_KERNEL: Final = re.compile(rf"(?:kernel|weight|w){_NUMBERED}", re.IGNORECASE)
_BIAS: Final = re.compile(rf"(?:bias|b){_NUMBERED}", re.IGNORECASE)
#: The name of a layer that computes the keys of an attention.
_KEY_LAYER: Final = re.compile(r"(?:.*[./])?(?:to_|linear_|fc_|w_)?(?:k|keys?)(?:_proj|_lin|_layer|_dense|_linear)?")

#: Words that the tag of a training loss may consist of.
_LOSS_WORDS: Final = frozenset(
    ("loss", "cost", "train", "training", "epoch", "batch", "step", "total", "mean", "average", "avg", "running")
)
_EVALUATION_WORDS: Final = frozenset(("val", "valid", "validation", "eval", "evaluation", "test", "dev"))
#: Words for networks that compete, or follow targets that they change themselves, instead of minimizing one loss.
_COMPETING_WORDS: Final = frozenset(
    ("generator", "discriminator", "gen", "disc", "adversary", "adversarial", "critic", "actor", "policy")
)
_WORD: Final = re.compile(r"[a-z]+")
_NAME_PART: Final = re.compile(r"[a-z0-9]+")
#: Words for a learning rate, and words that rule it out, as in ``lr-SGD-momentum`` and ``lr_factor``.
_RATE_WORDS: Final = (frozenset(("lr",)), frozenset(("learning", "rate")), frozenset(("learningrate",)))
_NOT_A_RATE: Final = frozenset(
    ("decay", "momentum", "weight", "factor", "scale", "multiplier", "mult", "log", "warmup", "reduction", "loss")
)

_DIAGNOSED_KINDS: Final = ("scalars", "tensors", "histograms")


class Quantity(NamedTuple):
    """The meaning of a series."""

    family: str
    layer: str
    #: The variable of the layer; empty for the whole layer.
    variable: str = ""
    #: One of STATISTICS for a scalar that is a statistic; empty for the values themselves.
    statistic: str = ""


class TagFamilies:
    """Recognizes families of tags by their names, and by the patterns of a user."""

    def __init__(self, assignments: Iterable[str] = ()) -> None:
        """Read assignments ``FAMILY=GLOB``, which override the meaning of names.

        Raises:
            OptionError: a text does not have this form, or the family is unknown.
        """
        self._patterns: list[tuple[str, str]] = []
        for text in assignments:
            family, separator, pattern = text.partition("=")
            if not separator or family not in FAMILIES or not pattern:
                message = (
                    f"{text!r} does not assign tags to a family; give FAMILY=GLOB with one of {', '.join(FAMILIES)}."
                )
                raise OptionError(message)
            self._patterns.append((family, pattern))

    def quantity(self, run: str, tag: str, kind: str) -> Quantity | None:
        """Return the meaning of a series, or None if no rule uses it."""
        if kind not in _DIAGNOSED_KINDS:
            return None
        for family, pattern in self._patterns:
            if fnmatchcase(tag, pattern):
                if family in SCALAR_FAMILIES:
                    return Quantity(family, tag) if kind == "scalars" else None
                name, statistic = _split_statistic(_wildcard_part(tag, pattern), kind)
                return _quantity(family, name or tag, statistic or (_SIZE if kind == "scalars" else ""))
        found = _layer_quantity(tag, kind)
        if found is None and kind == "scalars":
            return Quantity(_scalar_family(run, tag), tag)
        return found


def _scalar_family(run: str, tag: str) -> str:
    if is_training_loss(run, tag):
        return LOSS
    if is_validation_loss(run, tag):
        return VALIDATION_LOSS
    return LEARNING_RATE if is_learning_rate(tag) else SCALARS


def is_training_loss(run: str, tag: str) -> bool:
    """Return whether a scalar is a training loss: not one of several terms, and not on other data."""
    return not _evaluation_words(run, tag) and _is_loss_tag(tag, frozenset())


def is_validation_loss(run: str, tag: str) -> bool:
    """Return whether a scalar is a validation or test loss: not one of several terms."""
    return bool(_evaluation_words(run, tag)) and _is_loss_tag(tag, _EVALUATION_WORDS)


def is_competing_loss(run: str, tag: str) -> bool:
    """Return whether a loss belongs to a generator, discriminator, actor or critic, by its run or tag.

    Such a loss rises when the other network learns, so its level does not show whether the training works.
    """
    return bool(set(_WORD.findall(f"{run}/{tag}".lower())) & _COMPETING_WORDS)


def is_learning_rate(tag: str) -> bool:
    """Return whether the first or the last part of a tag names a learning rate."""
    parts = tag.lower().split("/")
    if set(_WORD.findall(tag.lower())) & _NOT_A_RATE:
        return False
    return any(words <= set(_WORD.findall(part)) for words in _RATE_WORDS for part in (parts[0], parts[-1]))


def data_name(run: str, tag: str) -> tuple[str, ...]:
    """Return the parts of a name that a training loss and the validation loss of the same model have in common."""
    return tuple(
        part
        for part in _NAME_PART.findall(f"{run}/{tag}".lower())
        if part not in _LOSS_WORDS and part not in _EVALUATION_WORDS
    )


def is_kernel(variable: str) -> bool:
    """Return whether a variable is the kernel, or weight matrix, of a layer."""
    return _KERNEL.fullmatch(variable) is not None


def is_bias(variable: str) -> bool:
    """Return whether a variable is the bias of a layer."""
    return _BIAS.fullmatch(variable) is not None


def is_key_bias(layer: str, variable: str) -> bool:
    """Return whether a variable is the bias of the keys of an attention.

    It adds the same number to all scores of a query, which the softmax cancels. Its gradient is zero in exact
    arithmetic; floating point leaves rounding errors.
    """
    return is_bias(variable) and _KEY_LAYER.fullmatch(layer.lower()) is not None


def _evaluation_words(run: str, tag: str) -> set[str]:
    parts = (*tag.lower().split("/"), run.lower().rsplit("/", 1)[-1])
    return {word for part in parts for word in _WORD.findall(part)} & _EVALUATION_WORDS


def _is_loss_tag(tag: str, others: frozenset[str]) -> bool:
    """Return whether a tag names a loss and has only usual words, in addition to ``others``."""
    parts = tag.lower().split("/")
    first, last = (set(_WORD.findall(part)) - others for part in (parts[0], parts[-1]))
    inner = {word for part in parts[1:] for word in _WORD.findall(part)} - others
    return _is_loss(last) or (_is_loss(first) and inner <= _LOSS_WORDS)


def _is_loss(words: set[str]) -> bool:
    return bool(words & {"loss", "cost"}) and words <= _LOSS_WORDS


def _layer_quantity(tag: str, kind: str) -> Quantity | None:
    """Return the quantity of a layer that a tag names, or None if it names none."""
    name, statistic = _split_statistic(tag, kind)
    size = statistic or (_SIZE if kind == "scalars" else "")
    parts = name.split("/")
    for index in (0, -1):
        word = parts[index].lower()
        others = "/".join(parts[1:] if index == 0 else parts[:-1])
        if word in _FAMILY_WORDS and others:
            return _quantity(_FAMILY_WORDS[word], others, size)
        if kind == "scalars" and _NORM.fullmatch(word):
            return _quantity(_NORM_FAMILIES[word[0]], others or tag, "norm")
    ending = next((found for found in _GRADIENT_ENDING.finditer(name) if found.end() == len(name)), None)
    if ending and (kind != "scalars" or _VARIABLE.fullmatch(_split(name[: ending.start()])[1])):
        return _quantity(GRADIENTS, name[: ending.start()], size)
    if kind == "scalars" and not statistic:
        return None
    return _quantity(WEIGHTS, name, size) if _VARIABLE.fullmatch(_split(name)[1]) or _is_state(name) else None


def _split_statistic(name: str, kind: str) -> tuple[str, str]:
    """Return a name without the statistic or the word histogram at its end, and the statistic."""
    rest, _, last = name.rpartition("/")
    if rest and kind == "scalars" and last in STATISTICS:
        return rest, last
    if rest and kind == "histograms" and last == "histogram":
        return rest, ""
    return name, ""


def _wildcard_part(tag: str, pattern: str) -> str:
    """Return a tag without the literal text before the first wildcard of a pattern and after the last."""
    start = len(re.match(r"[^*?\[]*", pattern).group())  # type: ignore[union-attr] # it matches an empty text, too
    stop = len(tag) - len(re.search(r"[^*?\]]*$", pattern).group())  # type: ignore[union-attr]
    return tag[start:stop].strip("/._") if start < stop else tag


def _split(name: str) -> tuple[str, str]:
    """Return the parts before and after the last ``/`` or ``.``."""
    index = max(name.rfind("/"), name.rfind("."))
    return (name[:index], name[index + 1 :]) if index > 0 else ("", name)


def _is_state(name: str) -> bool:
    return _STATE.fullmatch(_split(name)[1]) is not None


def _quantity(family: str, name: str, statistic: str) -> Quantity:
    if family in {GRADIENTS, WEIGHTS}:
        if _is_state(name):
            return Quantity(STATES, name, "", statistic)
        layer, variable = _split(name)
        if layer and _VARIABLE.fullmatch(variable):
            return Quantity(family, layer, variable, statistic)
    return Quantity(family, name, "", statistic)
