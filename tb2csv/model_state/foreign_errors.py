"""Exceptions of libraries and frameworks, turned into StateError in one place.

A library raises a few types of exceptions for bytes that are damaged. They are listed here, and a block that catches
them calls the library and nothing else, so a fault of tb2csv is never reported as damage. A framework runs code of its
own models, which may raise anything.
"""

from __future__ import annotations

import contextlib
import lzma
import struct
import tokenize
import zipfile
import zlib
from typing import TYPE_CHECKING, Final, TypeAlias

from tb2csv.errors import StateError, Tb2csvError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

Causes: TypeAlias = tuple[type[Exception], ...]

#: A framework, which runs code of a model.
FRAMEWORK: Final[Causes] = (Exception,)
#: ``json``: text that is not JSON or not UTF-8, or nests too deeply.
JSON: Final[Causes] = (ValueError, RecursionError)
#: ``zipfile``: among others, a member that is missing (KeyError), a name that is not UTF-8 (ValueError), a member that
#: is encrypted (RuntimeError) or compressed in an unknown way (NotImplementedError), and damaged compressed data.
ZIP: Final[Causes] = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
)
#: ``numpy.lib.format``: the header of an array is the text of a Python literal.
NPY: Final[Causes] = (*ZIP, SyntaxError, tokenize.TokenError, TypeError, OverflowError, MemoryError)
#: ``h5py``: whatever libhdf5 reports, and values that h5py has no Python form for.
HDF5: Final[Causes] = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError)

#: The longest reason in a message: Keras puts whole descriptions of models into its own.
_LONGEST_REASON: Final = 300


@contextlib.contextmanager
def as_state_errors(what_failed: str, advice: str, causes: Causes = FRAMEWORK) -> Iterator[None]:
    """Raise StateError for the exceptions of a library or framework inside the block.

    Args:
        what_failed: start of the message, such as "The state of the Net cannot be read".
        advice: its end, which says what to do.
        causes: the exceptions that mean that the data are damaged; all others pass.
    """
    try:
        yield
    except Tb2csvError:
        raise
    except causes as error:
        # A parser gives up with the same error that a full memory gives.
        why = ", or there is not enough memory" if isinstance(error, MemoryError) else f" ({reason_of(error)})"
        message = f"{what_failed}{why}; {advice}."
        raise StateError(message) from error


def hdf5_errors(path: Path) -> AbstractContextManager[None]:
    """Return a context in which what h5py raises while it reads a file becomes a StateError."""
    return as_state_errors(f"{path} is not a readable HDF5 file", "give the file that Keras saved", HDF5)


def reason_of(error: BaseException) -> str:
    """Return the first line of an exception's message, or its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:_LONGEST_REASON].rstrip(".") if lines else type(error).__name__
