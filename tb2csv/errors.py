"""The exceptions tb2csv raises, and Damage, the value that stands where a peer would raise.

    Tb2csvError
    ├── LogdirError      the log directory cannot be used     (also OSError)
    │   └── LogdirNotFoundError  nothing is at its path       (also FileNotFoundError)
    ├── OutputError      the output folder cannot be used     (also OSError)
    ├── DamagedError     bytes were damaged, and the caller asked to be strict
    ├── DecodeError      one payload is not what its metadata says (also ValueError)
    ├── OptionError      an option has no such value, or does not go with another one (also ValueError)
    ├── StateError       a model's state cannot be read, or does not fit where it is to be restored
    ├── RecorderError    a recorder cannot do what it is asked, or could not write what it was given
    ├── NameNotFoundError  there is no run, tag or table of that name (also KeyError)
    └── MissingExtraError  an optional package is not installed (also ImportError)

Every message is one sentence that says what happened, where, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tb2csv.messages import Message, advice, install_command, python_spelling

if TYPE_CHECKING:
    from tb2csv.messages import Advice, Spelling


class Tb2csvError(Exception):
    """Anything that tb2csv refuses; ``str`` gives the message in the words of Python."""

    def __init__(self, fact: str = "", *advice: Advice) -> None:
        """Say what happened: a whole sentence, or one without its full stop if advice follows."""
        self.message = Message(fact, advice)
        super().__init__(self.spelled(python_spelling))

    def spelled(self, spelling: Spelling) -> str:
        """Return the message in the words of the face in use."""
        text = self.message.spelled(spelling)
        return f"{text}." if self.message.advice else text


class LogdirError(Tb2csvError, OSError):
    """The log directory is missing, unreadable or holds no event files."""


class LogdirNotFoundError(LogdirError, FileNotFoundError):
    """There is nothing at the path of the log directory."""


class OutputError(Tb2csvError, OSError):
    """The output folder cannot be used as asked, or could not be written."""


class DamagedError(Tb2csvError):
    """Bytes of an event file are damaged and the caller asked for strictness."""


class DecodeError(Tb2csvError, ValueError):
    """A payload is not what its type, shape or plugin says; its bytes are kept undecoded."""


class OptionError(Tb2csvError, ValueError):
    """An option has no such value, or does not go with another one; the command line ends with status 2."""


class StateError(Tb2csvError):
    """A model's state cannot be read, or does not fit the model that it is to be restored to."""


class RecorderError(Tb2csvError):
    """A recorder cannot do what it is asked, or could not write what it was given."""


class NameNotFoundError(Tb2csvError, KeyError):
    """There is no run, tag or table of that name."""

    __str__ = Tb2csvError.__str__  # that of KeyError is the message in quotes


class MissingExtraError(Tb2csvError, ImportError):
    """A package is not installed that one of the extras of tb2csv brings."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        """Report that ``what`` needs ``package``, which ``extra`` brings."""
        self._arguments = what, package, extra
        super().__init__(f"{what} needs {package}, which is not installed", advice(f"run {install_command(extra)}"))

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str, str]]:
        """Pickle the error by what it was made from."""
        return type(self), self._arguments


#: A frame's length or its checksum is damaged; the payload is proven whole by its own checksum and was kept.
BAD_LENGTH_CRC: Final = "bad_length_crc"
#: A frame's payload fails its checksum; the record was skipped.
BAD_PAYLOAD_CRC: Final = "bad_payload_crc"
#: No frame starts where one should; bytes were skipped up to the next sound one.
LOST_FRAMING: Final = "lost_framing"
#: The frame is sound, but its payload is no Event in the protobuf wire format; the record was skipped.
MALFORMED_EVENT: Final = "malformed_event"
#: The file could not be opened or read to its end.
UNREADABLE: Final = "unreadable"


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch of an event file that could not be read as the format demands.

    ``offset`` and ``length`` are in bytes of the file; ``lost`` says whether the values in the
    stretch are missing from the result (``False``: they were proven sound and kept).
    """

    path: str
    offset: int
    length: int
    kind: str
    detail: str
    lost: bool = True
