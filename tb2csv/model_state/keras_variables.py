"""Variables that Keras makes while it loads a model, counted before memory is taken for one.

The description of a model has numbers of units and not the sizes of variables, so a file of a kilobyte can describe
gigabytes of weights. Only Keras knows the shapes that follow.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tb2csv.size_limits import SizeLimits

#: What every variable calls with its shape, before it takes memory; it is private.
_METHOD: Final = "_validate_shape"
#: Bytes that are counted for an element, whatever its dtype.
_ITEM_SIZE: Final = 4


@contextlib.contextmanager
def limited_variables(path: Path, limits: SizeLimits, stored: int) -> Iterator[None]:
    """Refuse variables that are too large together for a file of ``stored`` bytes, while the block loads a model.

    Every variable of Keras, on every backend, learns its shape in this class. Keras may replace the refusal
    by another exception, so it is raised again at the end.

    Raises:
        StateError: the variables of the model are too large.
    """
    import keras

    owner: Any = next((base for base in keras.Variable.__mro__ if _METHOD in vars(base)), None)
    if owner is None:
        message = (
            f"{path} is not read, because the variables of Keras {keras.__version__} cannot be counted before they are "
            "made; give a weights file of the model (model.save_weights)."
        )
        raise StateError(message)
    validate = getattr(owner, _METHOD)
    refusals: list[StateError] = []
    total = 0

    def counted(variable: Any, shape: Any) -> Any:
        nonlocal total
        found = validate(variable, shape)
        total += math.prod(found) * _ITEM_SIZE
        try:
            limits.check_data(path, total, stored, "variables of the model that it describes")
        except StateError as error:
            refusals.append(error)
            raise
        return found

    setattr(owner, _METHOD, counted)
    try:
        yield
    except Exception:
        if refusals:
            raise refusals[0] from None
        raise
    finally:
        setattr(owner, _METHOD, validate)
    if refusals:
        raise refusals[0]
