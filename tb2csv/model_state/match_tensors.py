"""Matching of a state's tensors with a model's; reports everything that does not fit at once."""

from __future__ import annotations

import difflib
import itertools
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from tb2csv.errors import StateError
from tb2csv.messages import Advice, Option
from tb2csv.model_state.element_rows import element_identity
from tb2csv.model_state.structural_names import PATH_STRUCTURE, ROOTED_STRUCTURE, STRUCTURE
from tb2csv.model_state.tensor_rows import problem_list

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from tb2csv.model_state.tensors import Buffer, ModelState, StateTensor

    _Identity = Callable[[StateTensor], str]

#: The alias that is a tensor's place in Keras' own files. It says nothing of names, so two models are not matched by
#: it, but only a model and such a file, which has no other names.
FILE_KEY: Final = "file_key"
#: The alias that is the name under which training recorded it.
PATH: Final = "path"

_SEPARATORS: Final = ("/", ".")

#: Integer dtypes of numpy; a single integer may change between them if its value fits.
_INTEGERS: Final = frozenset(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
#: Pairs of prefixes that are tried for a proposal, and names of the model that they are taken from.
_MAX_PROPOSALS: Final = 200


def _name(tensor: StateTensor) -> str:
    return tensor.name


def _alias(sort: str) -> _Identity:
    return lambda tensor: tensor.aliases.get(sort, "")


#: What is compared, of the state's tensors and of the model's: the first that matches all of them counts.
_WAYS: Final[tuple[tuple[_Identity, _Identity], ...]] = (
    (_name, _name),
    (_alias(STRUCTURE), _alias(STRUCTURE)),
    (_name, element_identity),
    (_name, _alias(PATH)),
    (_alias(PATH), _alias(PATH)),
    (_alias(PATH), _name),
    (_alias(STRUCTURE), _alias(PATH_STRUCTURE)),
    (_alias(STRUCTURE), _alias(ROOTED_STRUCTURE)),
    (_alias(ROOTED_STRUCTURE), _alias(STRUCTURE)),
)
#: What is compared of the tensors that are left then: some have no name but their place in a file.
_NAMELESS: Final[tuple[tuple[_Identity, _Identity], ...]] = (
    (_alias(FILE_KEY), _name),
    (_name, _alias(FILE_KEY)),
)


@dataclass(frozen=True, slots=True)
class PrefixChange:
    """A prefix of names in the state that becomes another one, and how many names then fit."""

    old: str
    new: str
    fitting: int

    def error(self, message: str) -> StateError:
        """Return the error that has this change as its advice."""
        fact = f"{self.fitting:,} of these names fit if the prefix {self.old!r} of the state becomes {self.new!r}"
        return StateError(f"{message}\n{fact}", Advice("give {}", (Option("renames", {self.old: self.new}),)))


@dataclass(slots=True)
class Fit:
    """The state's tensor for each of the model's tensors, by the name of the latter, and tensors without a match."""

    assigned: dict[str, StateTensor]
    problems: list[str] = field(default_factory=list)
    #: A change of prefix that would match more names; None if there is none.
    proposal: PrefixChange | None = None

    def raise_no_match(self, state: str, model: str) -> None:
        """Raise StateError if no tensor of the state fits the model."""
        if not self.assigned:
            what = f"No tensor of {state} fits {model}, so nothing was changed"
            raise _error(problem_list(what, self.problems), self.proposal)


def fit(state: ModelState, slots: Sequence[StateTensor], renames: Mapping[str, str]) -> Fit:
    """Match a state with the tensors of a model.

    Args:
        state: what is to be restored.
        slots: the tensors that the model has.
        renames: names in the model, by the names in the state. A name that ends in ``/`` or ``.`` is a prefix, which
            is replaced in all names that begin with it; the empty name is the prefix of all names.

    Raises:
        StateError: A name to be changed is not in the state, or two tensors would have one name.
    """
    tensors, chosen = _renamed(state, renames)
    # A renamed tensor goes to its new name only.
    pairs = {place: number for place, number in _pairs(tensors, slots, (_name, _name)).items() if number in chosen}
    best: dict[int, int] = {}
    for way in _WAYS:
        found = _pairs_of_rest(tensors, slots, pairs, way, chosen)
        best = found if len(found) > len(best) else best
    pairs |= best
    for way in _NAMELESS:
        pairs |= _pairs_of_rest(tensors, slots, pairs, way, chosen)
    problems: list[str] = []
    assigned: dict[str, StateTensor] = {}
    for place, slot in enumerate(slots):
        if place in pairs:
            tensor = _with_dtype(tensors[pairs[place]], slot)
            odd = _difference(tensor, slot)
            problems += [f"{slot.name}: {odd}"] if odd else []
            assigned |= {} if odd else {slot.name: tensor}
    free_slots = [slot.name for place, slot in enumerate(slots) if place not in pairs]
    taken = set(pairs.values())
    free_tensors = [tensor.name for place, tensor in enumerate(tensors) if place not in taken]
    problems += [f"{name}: is not in the state{_nearest(name, free_tensors)}" for name in free_slots]
    problems += [f"{name}: is not in the model{_nearest(name, free_slots)}" for name in free_tensors]
    return Fit(assigned, problems, _proposal(free_tensors, free_slots))


def _renamed(state: ModelState, renames: Mapping[str, str]) -> tuple[list[StateTensor], set[int]]:
    """Return the tensors with their new names, and which have got one."""
    tensors = list(state.tensors)
    chosen: set[int] = set()
    for old, new in renames.items():
        is_prefix = not old or old.endswith(_SEPARATORS)
        found = [i for i, t in enumerate(tensors) if (t.name.startswith(old) if is_prefix else t.name == old)]
        if not found:
            near = _nearest(old, [tensor.name for tensor in state.tensors])
            message = f"No tensor of {state.origin or 'the state'} is named {old!r}, which is to be renamed{near}."
            raise StateError(message)
        chosen.update(found)
        for place in found:
            tensors[place] = tensors[place].renamed(new + tensors[place].name[len(old) :])
    counts = Counter(tensor.name for tensor in tensors)
    doubled = [name for name, count in counts.items() if count > 1]
    if doubled:
        message = f"Two tensors would be named {doubled[0]!r}; rename the other one as well."
        raise StateError(message)
    return tensors, chosen


def _pairs(
    tensors: Sequence[StateTensor], slots: Sequence[StateTensor], way: tuple[_Identity, _Identity]
) -> dict[int, int]:
    """Return the place of a slot and of its tensor, if the slot has an identity of its own."""
    by_identity = _places_by_identity(map(way[0], tensors))
    return {
        place: by_identity[identity]
        for identity, place in _places_by_identity(map(way[1], slots)).items()
        if identity in by_identity
    }


def _pairs_of_rest(
    tensors: Sequence[StateTensor],
    slots: Sequence[StateTensor],
    pairs: Mapping[int, int],
    way: tuple[_Identity, _Identity],
    chosen: Collection[int] = (),
) -> dict[int, int]:
    """Return ``_pairs`` of what has no partner yet and was not chosen for another."""
    taken = {*pairs.values(), *chosen}
    rest = [number for number in range(len(tensors)) if number not in taken]
    free = [place for place in range(len(slots)) if place not in pairs]
    found = _pairs([tensors[number] for number in rest], [slots[place] for place in free], way)
    return {free[place]: rest[number] for place, number in found.items()}


def _places_by_identity(identities: Iterator[str]) -> dict[str, int]:
    known = list(identities)
    counts = Counter(known)
    return {identity: place for place, identity in enumerate(known) if identity and counts[identity] == 1}


def _with_dtype(tensor: StateTensor, slot: StateTensor) -> StateTensor:
    """Return a single integer in the dtype of its slot if the value fits; other tensors are returned unchanged.

    Keras counts the steps of an optimizer in int64 on TensorFlow, and in int32 on JAX and PyTorch.
    """
    if tensor.dtype == slot.dtype or tensor.shape or slot.shape or not {tensor.dtype, slot.dtype} <= _INTEGERS:
        return tensor
    number = np.frombuffer(tensor.read(), np.dtype(tensor.dtype).newbyteorder("<"))
    limits = np.iinfo(slot.dtype)
    if not limits.min <= int(number[0]) <= limits.max:
        return tensor
    data = number.astype(np.dtype(slot.dtype).newbyteorder("<")).tobytes()
    return replace(tensor, dtype=slot.dtype, read=lambda: data)


def _difference(tensor: StateTensor, slot: StateTensor) -> str:
    """Return why a tensor does not fit its slot; empty if it fits."""
    both_empty = not tensor.size and not slot.size and tensor.shape == (0,)  # all that a table of elements can say
    fits = tensor.shape[1:] == slot.shape[1:] if slot.any_length and tensor.shape else tensor.shape == slot.shape
    if not fits and not both_empty:
        return f"has shape {_shape(tensor.shape)} in the state and {_shape(slot.shape)} in the model"
    if tensor.dtype != slot.dtype:
        return f"is {tensor.dtype} in the state and {slot.dtype} in the model"
    return ""


def _shape(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def _nearest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, 1, 0.6)
    return f"; is it {near[0]!r}?" if near else ""


def _proposal(tensors: Sequence[str], slots: Sequence[str]) -> PrefixChange | None:
    """Return the change of prefix that gives most of the tensors a slot; None if no change does so."""
    free = set(slots)
    tried: dict[tuple[str, str], int] = {}
    for slot in slots[:_MAX_PROPOSALS]:
        for tensor in {*tensors[:1], *tensors[-1:]}:
            pair = _heads(tensor, slot)
            if pair is not None and pair not in tried and len(tried) < _MAX_PROPOSALS:
                old, new = pair
                tried[pair] = sum(name.startswith(old) and new + name[len(old) :] in free for name in tensors)
    old, new = max(tried, key=lambda pair: tried[pair], default=("", ""))
    if not tried or tried[old, new] < min(2, len(tensors)):
        return None
    return PrefixChange(old, new, tried[old, new])


def _heads(first: str, second: str) -> tuple[str, str] | None:
    """Return the prefixes of two names that end alike; None if their last parts differ."""
    ends = zip(*(reversed(re.split(r"(?<=[/.])", name)) for name in (first, second)), strict=False)
    shared = "".join(reversed([one for one, other in itertools.takewhile(lambda pair: pair[0] == pair[1], ends)]))
    return (first.removesuffix(shared), second.removesuffix(shared)) if shared else None


def _error(message: str, proposal: PrefixChange | None) -> StateError:
    return proposal.error(message) if proposal else StateError(message)


class Restoration:
    """The new bytes of a model's tensors, by name. Damage is collected, not raised."""

    def __init__(self, found: Fit, *, allow_partial: bool = False) -> None:
        """Hold what is assigned; nothing is read yet. What does not fit is a problem unless ``allow_partial``."""
        self._assigned = found.assigned
        self._proposal = None if allow_partial else found.proposal
        self.problems = [] if allow_partial else list(found.problems)

    def __contains__(self, name: str) -> bool:
        """Return whether the model's tensor of this name gets a new value."""
        return name in self._assigned

    def content(self, name: str) -> Buffer | None:
        """Return the new little-endian bytes of a tensor; None if it has none, or they are damaged."""
        tensor = self._assigned.get(name)
        if tensor is None:
            return None
        try:
            return tensor.content()
        except StateError as error:
            self.problems.append(f"{name}: {error}")
            return None

    def read_all(self) -> dict[str, Buffer]:
        """Return the bytes of all that are sound."""
        contents = ((name, self.content(name)) for name in self._assigned)
        return {name: content for name, content in contents if content is not None}

    def find_damage(self) -> None:
        """Read everything and keep nothing."""
        for name in self._assigned:
            self.content(name)

    def refuse_problems(self, state: str, model: str) -> None:
        """Raise StateError with all problems, if there are any."""
        if self.problems:
            message = problem_list(f"Nothing was changed, as {state} does not fit {model}", self.problems)
            raise _error(message, self._proposal)
