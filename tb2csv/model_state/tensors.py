"""The state of a model independent of its format: named tensors as little-endian bytes, read on demand."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from tb2csv.display import count, displayed
from tb2csv.errors import StateError
from tb2csv.model_state.dtypes import DTYPES, SMALL_INTEGERS, dtype_of_array
from tb2csv.plain_data import is_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt

#: Bytes, or anything that lends its bytes without a copy: contiguous, one dimension, one byte each.
Buffer: TypeAlias = bytes | bytearray | memoryview


#: Dimensions of a tensor, as in NumPy; a file may state a shape of a million of them.
MAX_DIMENSIONS: Final = 64


@dataclass(frozen=True, slots=True)
class StateTensor:
    """One tensor of a model's state.

    ``dtype`` is a name of ``dtypes.DTYPES`` and ``shape`` the sizes of the dimensions; ``read`` returns the elements as
    little-endian bytes, row-major, and may be called again. ``layer``, ``layer_type`` and ``parameter`` are its origin,
    as far as the format has it. ``python`` is the Python type of the value in the model if that is not an array
    (``int``, ``float``, ``bool``, ``str``). ``aliases`` are other names of the tensor, by the sort of name, which match
    formats with different names. ``any_length`` means that the model accepts any number of elements in the first
    dimension, as for a vocabulary.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], bytes | bytearray | memoryview] = field(repr=False, compare=False)
    trainable: bool | None = None
    layer: str = ""
    layer_type: str = ""
    parameter: str = ""
    python: str = ""
    aliases: dict[str, str] = field(default_factory=dict)
    any_length: bool = False

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def content(self) -> bytes | bytearray | memoryview:
        """Return the bytes; raise StateError if their number does not match dtype and shape."""
        data = self.read()
        item_size = DTYPES[self.dtype].item_size
        if not item_size and DTYPES[self.dtype].count_texts(data) != self.size:
            message = f"Tensor {self.name!r} does not have {self.size} texts; the file that it came from is damaged."
            raise StateError(message)
        if item_size and len(data) != self.size * item_size:
            message = (
                f"Tensor {self.name!r} has {len(data)} bytes, but {self.size} elements of {self.dtype} take "
                f"{self.size * item_size}; the file that it came from is damaged."
            )
            raise StateError(message)
        return data

    def array(self) -> npt.NDArray[Any]:
        """Return the elements in the dtype's stored form (``Dtype.stored``); of text, objects.

        Floats that numpy lacks are integers of the same bits.
        """
        dtype = DTYPES[self.dtype]
        values = dtype.strings(self.content()) if dtype.strings else np.frombuffer(self.content(), dtype.stored)
        return values.reshape(self.shape)

    def renamed(self, name: str) -> StateTensor:
        """Return the tensor under another name."""
        return replace(self, name=name)


@displayed()
@dataclass(frozen=True, slots=True, repr=False)
class ModelState:
    """The tensors of a model in their order, and the framework that they come from."""

    framework: str
    tensors: tuple[StateTensor, ...]
    #: The source, for messages.
    origin: str = ""
    #: Parts of the model that are not tensors and were left out, in sentences for the user.
    notes: tuple[str, ...] = ()
    #: By name, the types of values of the model that cannot be stored in a table.
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Reject duplicate tensor names, because a table could keep only one of them, and names that are not text."""
        seen: set[str] = set()
        for tensor in self.tensors:
            if not is_text(tensor.name):
                message = f"{self.origin or 'The model'} has a tensor named {tensor.name!r}, which is not Unicode text."
                raise StateError(message)
            if tensor.name in seen:
                message = f"{self.origin or 'The model'} has two tensors named {tensor.name!r}; give them names."
                raise StateError(message)
            seen.add(tensor.name)

    def _display(self) -> Iterator[object]:
        elements = count(sum(tensor.size for tensor in self.tensors), "element")
        yield f"<ModelState of {self.framework}: {count(len(self.tensors), 'tensor')}, {elements}>"
        yield [f"{tensor.name}: {tensor.dtype} {list(tensor.shape)}" for tensor in self.tensors]
        yield list(self.notes)


#: The maximum number of names in a note; the others are counted.
_NAMES_IN_NOTE: Final = 10


def left_out_notes(origin: str, left_out: Mapping[str, str]) -> tuple[str, ...]:
    """Return the note about values that cannot be stored in a table; empty if there are none."""
    if not left_out:
        return ()
    names = [f"{name} ({kind})" for name, kind in left_out.items()]
    listed = ", ".join(names[:_NAMES_IN_NOTE])
    others = f" and {len(names) - _NAMES_IN_NOTE:,} more" if len(names) > _NAMES_IN_NOTE else ""
    count = f"{len(names):,} value{'s' * (len(names) > 1)}"
    return (f"Not in the state of {origin}: {count} without a form in a table: {listed}{others}.",)


def tensor_of_array(name: str, array: npt.NDArray[Any], **facts: Any) -> StateTensor:
    """Return a tensor of a numpy array, whose bytes are taken when they are requested.

    ``facts`` are further fields of StateTensor. Raises StateError if the dtype cannot be stored in a table.
    """
    dtype = dtype_of_array(name, array)
    return StateTensor(name, dtype, array.shape, lambda: array_bytes(array), **facts)


def array_bytes(array: npt.NDArray[Any]) -> Buffer:
    """Return the little-endian bytes of an array, without a copy if possible."""
    if array.dtype.kind in "OUS":
        return DTYPES[dtype_of_array("", array)].encode(array)
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and _IS_BIG_ENDIAN):
        array = array.astype(array.dtype.newbyteorder("<"))
    if array.dtype.name in SMALL_INTEGERS:
        array = array.astype(SMALL_INTEGERS[array.dtype.name])
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.uint8).data if flat.size else b""


def array_of_bytes(content: Buffer, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return little-endian bytes as an array with the dtype, shape and order of axes of another one.

    Text of fixed length becomes as wide as the longest of both.

    Raises StateError if an integer of 2 or 4 bits is outside of its range.
    """
    if like.dtype.kind in "OUS":
        strings = DTYPES[dtype_of_array("", like)].strings
        assert strings is not None
        texts = strings(content).reshape(like.shape)
        if like.dtype.kind == "O":
            return texts
        texts = texts.astype(like.dtype.type)
        wide_enough = np.promote_types(texts.dtype, like.dtype)
        return texts.astype(wide_enough.newbyteorder(like.dtype.byteorder))
    values = _elements(content, like.dtype).reshape(like.shape)
    return np.array(values, like.dtype, order="F" if like.flags.fnc else "C")


def _elements(content: Buffer, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if dtype.name not in SMALL_INTEGERS:
        return np.frombuffer(content, dtype.newbyteorder("<"))
    bytes_of = np.frombuffer(content, SMALL_INTEGERS[dtype.name])
    values = bytes_of.astype(dtype)
    odd = bytes_of[values.astype(bytes_of.dtype) != bytes_of]
    if odd.size:
        message = f"{odd[0]} is not a number of {dtype.name}; correct the table."
        raise StateError(message)
    return values


#: Whether this machine is big-endian.
_IS_BIG_ENDIAN: Final = bool(np.dtype(">i2").isnative)


def checksum(data: Buffer) -> str:
    """Return the SHA-256 of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()
