"""Find the family of a tag by its name: the gradient of a variable, the weights of a layer, a loss.

Names are those of ``tb2csv.recorders`` and Keras, and common names written by hand, such as
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
#: The loss of the data that a training does not learn from.
VALIDATION_LOSS: Final = "validation_loss"
LEARNING_RATE: Final = "learning_rate"
#: Numbers that a layer keeps without learning them, such as running means: only looked at for NaN and infinity.
STATES: Final = "states"
#: Any other scalar: only looked at for NaN and infinity.
SCALARS: Final = "scalars"

#: What a tag may be said to be.
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
#: The families of single scalars, each known by its tag.
SCALAR_FAMILIES: Final = (LOSS, VALIDATION_LOSS, LEARNING_RATE)

#: The statistics that may be the last part of a tag.
STATISTICS: Final = ("norm", "mean", "std", "min", "max", "zero_share", "nan_count")
#: A scalar without a statistic is a norm, or the only element of a variable; both are its size.
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
#: The layer that makes the keys of an attention, by the last part of its name.
_KEY_LAYER: Final = re.compile(r"(?:.*[./])?(?:to_|linear_|fc_|w_)?(?:k|keys?)(?:_proj|_lin|_layer|_dense|_linear)?")

#: Words that may be beside ``loss`` in the tag of a training loss.
_LOSS_WORDS: Final = frozenset(
    ("loss", "cost", "train", "training", "epoch", "batch", "step", "total", "mean", "average", "avg", "running")
)
_EVALUATION_WORDS: Final = frozenset(("val", "valid", "validation", "eval", "evaluation", "test", "dev"))
#: Networks that do not minimize one loss: they compete, or follow returns or targets that they change themselves.
_COMPETING_WORDS: Final = frozenset(
    ("generator", "discriminator", "gen", "disc", "adversary", "adversarial", "critic", "actor", "policy")
)
_WORD: Final = re.compile(r"[a-z]+")
_NAME_PART: Final = re.compile(r"[a-z0-9]+")
#: A learning rate; but not its factor, nor another number of the optimizer in a tag such as ``lr-SGD-momentum``.
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
    """Finds the family of a tag."""

    def __init__(self, given: Iterable[str] = ()) -> None:
        """Use ``FAMILY=GLOB`` to assign tags to a family, whatever their names are.

        Raises:
            OptionError: a text does not have this form, or the family is unknown.
        """
        self._given: list[tuple[str, str]] = []
        for text in given:
            family, is_given, pattern = text.partition("=")
            if not is_given or family not in FAMILIES or not pattern:
                message = (
                    f"{text!r} does not assign tags to a family; give FAMILY=GLOB with one of {', '.join(FAMILIES)}."
                )
                raise OptionError(message)
            self._given.append((family, pattern))

    def quantity(self, run: str, tag: str, kind: str) -> Quantity | None:
        """Return the meaning of a series, or None if no rule uses it."""
        if kind not in _DIAGNOSED_KINDS:
            return None
        for family, pattern in self._given:
            if fnmatchcase(tag, pattern):
                if family in SCALAR_FAMILIES:
                    return Quantity(family, tag) if kind == "scalars" else None
                name, statistic = _statistic(_inner(tag, pattern), kind)
                return _named(family, name or tag, statistic or (_SIZE if kind == "scalars" else ""))
        found = _by_name(tag, kind)
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
    """Return whether a scalar is the loss of the training: not one of several terms, and not of other data."""
    return not _evaluation_words(run, tag) and _is_loss_tag(tag, frozenset())


def is_validation_loss(run: str, tag: str) -> bool:
    """Return whether a scalar is the loss of a validation or a test: not one of several terms."""
    return bool(_evaluation_words(run, tag)) and _is_loss_tag(tag, _EVALUATION_WORDS)


def is_competing_loss(run: str, tag: str) -> bool:
    """Return whether a loss is that of a generator, a discriminator, an actor or a critic, by its run or tag.

    Such a loss rises when the other network learns, so that its level says nothing of the training.
    """
    return bool(set(_WORD.findall(f"{run}/{tag}".lower())) & _COMPETING_WORDS)


def is_learning_rate(tag: str) -> bool:
    """Return whether a scalar is a learning rate, by the first or the last part of its tag."""
    parts = tag.lower().split("/")
    if set(_WORD.findall(tag.lower())) & _NOT_A_RATE:
        return False
    return any(words <= set(_WORD.findall(part)) for words in _RATE_WORDS for part in (parts[0], parts[-1]))


def data_name(run: str, tag: str) -> tuple[str, ...]:
    """Return what a training loss and the validation loss of the same model have in common in their names."""
    return tuple(
        part
        for part in _NAME_PART.findall(f"{run}/{tag}".lower())
        if part not in _LOSS_WORDS and part not in _EVALUATION_WORDS
    )


def is_kernel(variable: str) -> bool:
    """Return whether a variable is the matrix of a layer."""
    return _KERNEL.fullmatch(variable) is not None


def is_bias(variable: str) -> bool:
    """Return whether a variable has one number for each unit of its layer, added to what the unit sums up."""
    return _BIAS.fullmatch(variable) is not None


def is_key_bias(layer: str, variable: str) -> bool:
    """Return whether a variable is the bias of the keys of an attention.

    It adds the same number to all scores of a query, which the softmax takes away: its gradient is zero in exact
    arithmetic, and rounding errors in floating point.
    """
    return is_bias(variable) and _KEY_LAYER.fullmatch(layer.lower()) is not None


def _evaluation_words(run: str, tag: str) -> set[str]:
    parts = (*tag.lower().split("/"), run.lower().rsplit("/", 1)[-1])
    return {word for part in parts for word in _WORD.findall(part)} & _EVALUATION_WORDS


def _is_loss_tag(tag: str, others: frozenset[str]) -> bool:
    """Return whether a tag names a loss, with no words beside it but usual ones and ``others``."""
    parts = tag.lower().split("/")
    first, last = (set(_WORD.findall(part)) - others for part in (parts[0], parts[-1]))
    inner = {word for part in parts[1:] for word in _WORD.findall(part)} - others
    return _is_loss(last) or (_is_loss(first) and inner <= _LOSS_WORDS)


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
    """Return a name without the statistic or the word histogram at its end, and the statistic."""
    rest, _, last = name.rpartition("/")
    if rest and kind == "scalars" and last in STATISTICS:
        return rest, last
    if rest and kind == "histograms" and last == "histogram":
        return rest, ""
    return name, ""


def _inner(tag: str, pattern: str) -> str:
    """Return a tag without the literal text of a pattern before its first ``*`` and after its last."""
    start = len(re.match(r"[^*?\[]*", pattern).group())  # type: ignore[union-attr] # it matches an empty text, too
    stop = len(tag) - len(re.search(r"[^*?\]]*$", pattern).group())  # type: ignore[union-attr]
    return tag[start:stop].strip("/._") if start < stop else tag


def _split(name: str) -> tuple[str, str]:
    """Return the parts before and after the last ``/`` or ``.``."""
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
