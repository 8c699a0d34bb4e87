"""Which tensor of a state belongs to which tensor of a model, and what does not fit, all of it at once."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tb2csv.errors import StateError
from tb2csv.model_state.element_rows import element_identity
from tb2csv.model_state.layer_numbers import PATH_STRUCTURE, STRUCTURE
from tb2csv.model_state.tensor_rows import problem_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tb2csv.model_state.tensors import Buffer, ModelState, StateTensor

    _Identity = Callable[[StateTensor], str]

#: The alias that is a tensor's place in Keras' own files. It says nothing of names, so two models are not matched by
#: it, but only a model and such a file, which has no other names.
FILE_KEY: Final = "file_key"
#: The alias that is the name under which training recorded it.
PATH: Final = "path"


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
    (_alias(FILE_KEY), _name),
    (_name, _alias(FILE_KEY)),
)


@dataclass(slots=True)
class Fit:
    """Which tensor of the state goes to which of the model's, by the latter's name; and what fits nowhere."""

    assigned: dict[str, StateTensor]
    problems: list[str] = field(default_factory=list)


def fit(state: ModelState, slots: Sequence[StateTensor], renames: Mapping[str, str]) -> Fit:
    """Match a state with the tensors of a model.

    Args:
        state: what is to be restored.
        slots: the tensors that the model has.
        renames: names of the state, by what they are in the model; one that ends in ``/`` or ``.`` stands for all
            names that begin so.

    Raises:
        StateError: A name to be changed is not in the state, or two tensors would have one name.
    """
    tensors, chosen = _renamed(state, renames)
    # What was renamed goes where it was told to go, whatever else it is called.
    pairs = {place: number for place, number in _pairs(tensors, slots, (_name, _name)).items() if number in chosen}
    rest = [(number, tensor) for number, tensor in enumerate(tensors) if number not in chosen]
    free = [(place, slot) for place, slot in enumerate(slots) if place not in pairs]
    ways = (_pairs([tensor for _, tensor in rest], [slot for _, slot in free], way) for way in _WAYS)
    pairs |= {free[place][0]: rest[number][0] for place, number in max(ways, key=len).items()}
    problems: list[str] = []
    assigned: dict[str, StateTensor] = {}
    for place, slot in enumerate(slots):
        if place in pairs:
            tensor = tensors[pairs[place]]
            odd = _difference(tensor, slot)
            problems += [f"{slot.name}: {odd}"] if odd else []
            assigned |= {} if odd else {slot.name: tensor}
    free_slots = [slot.name for place, slot in enumerate(slots) if place not in pairs]
    taken = set(pairs.values())
    free_tensors = [tensor.name for place, tensor in enumerate(tensors) if place not in taken]
    problems += [f"{name}: is not in the state{_nearest(name, free_tensors)}" for name in free_slots]
    problems += [f"{name}: is not in the model{_nearest(name, free_slots)}" for name in free_tensors]
    return Fit(assigned, problems)


def _renamed(state: ModelState, renames: Mapping[str, str]) -> tuple[list[StateTensor], set[int]]:
    """Return the tensors with their new names, and which have got one."""
    tensors = list(state.tensors)
    chosen: set[int] = set()
    for old, new in renames.items():
        is_prefix = old.endswith(("/", "."))
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
    """Return the place of a slot and of its tensor, for those that have an identity of their own."""
    by_identity = _places_by_identity(map(way[0], tensors))
    return {
        place: by_identity[identity]
        for identity, place in _places_by_identity(map(way[1], slots)).items()
        if identity in by_identity
    }


def _places_by_identity(identities: Iterator[str]) -> dict[str, int]:
    known = list(identities)
    counts = Counter(known)
    return {identity: place for place, identity in enumerate(known) if identity and counts[identity] == 1}


def _difference(tensor: StateTensor, slot: StateTensor) -> str:
    """Say what keeps a tensor from its slot; empty where nothing does."""
    both_empty = not tensor.size and not slot.size and tensor.shape == (0,)  # all that a table of elements can say
    if tensor.shape != slot.shape and not both_empty:
        return f"has shape {_shape(tensor.shape)} in the state and {_shape(slot.shape)} in the model"
    if tensor.dtype != slot.dtype:
        return f"is {tensor.dtype} in the state and {slot.dtype} in the model"
    return ""


def _shape(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def _nearest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, 1, 0.6)
    return f"; is it {near[0]!r}?" if near else ""


class Restoration:
    """What goes into a model: by the name that a tensor has there, its new bytes. Damage is collected, not raised."""

    def __init__(self, assigned: Mapping[str, StateTensor], *, problems: Sequence[str] = ()) -> None:
        """Hold what is assigned; nothing is read yet."""
        self._assigned = assigned
        self.problems = list(problems)

    def __contains__(self, name: str) -> bool:
        """Say whether the model's tensor of this name gets a new value."""
        return name in self._assigned

    def content(self, name: str) -> Buffer | None:
        """Return the new little-endian bytes of a tensor; None where it has none, or they are damaged."""
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
        """Raise StateError with all problems, where there are any."""
        if self.problems:
            raise StateError(
                problem_list(f"{state} was not restored to {model}, and nothing was changed", self.problems)
            )
