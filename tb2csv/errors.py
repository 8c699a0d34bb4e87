"""The exceptions of tb2csv, and Damage, which is a value and not an exception.

    Tb2csvError
    ├── LogdirError      the log directory cannot be used     (also OSError)
    │   └── LogdirNotFoundError  its path does not exist      (also FileNotFoundError)
    ├── OutputError      the output cannot be used or written (also OSError)
    ├── DamagedError     bytes are damaged, and ``strict`` is true
    ├── DecodeError      a payload does not match its metadata (also ValueError)
    │   └── LimitError   a payload expands to too much
    ├── OptionError      an option has an invalid value, or conflicts with another (also ValueError)
    ├── StateError       a model's state cannot be read, or does not fit the model
    ├── RecorderError    a recorder cannot record, or could not write
    ├── ClusterError      a cluster cannot be used, or was lost
    ├── NameNotFoundError  a run, tag, step or table does not exist (also KeyError)
    └── MissingExtraError  an optional package is not installed (also ImportError)

Every message is one sentence: what happened, where, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Final

from tb2csv.installation import install_command
from tb2csv.messages import Message, advice, python_spelling

if TYPE_CHECKING:
    from collections.abc import Collection

    from tb2csv.messages import Advice, Spelling


class Tb2csvError(Exception):
    """The base class of all errors of tb2csv; ``str`` gives the message in the words of Python."""

    def __init__(self, fact: str = "", *advice: Advice) -> None:
        """Set what happened: a sentence, without its full stop if advice follows."""
        self.message = Message(fact, advice)
        super().__init__(self.spelled(python_spelling))

    def spelled(self, spelling: Spelling) -> str:
        """Return the message with options as ``spelling`` names them."""
        text = self.message.spelled(spelling)
        return f"{text}." if self.message.advice else text


class LogdirError(Tb2csvError, OSError):
    """The log directory is missing or unreadable, or has no event files."""


class LogdirNotFoundError(LogdirError, FileNotFoundError):
    """The path of the log directory does not exist."""


class OutputError(Tb2csvError, OSError):
    """The output cannot be used, or could not be written."""


class DamagedError(Tb2csvError):
    """Bytes of an event file are damaged, and ``strict`` is true."""


class DecodeError(Tb2csvError, ValueError):
    """A payload does not match its type, shape or plugin; its bytes are kept undecoded."""


class LimitError(DecodeError):
    """A payload leaves out more elements than ``max_expansion`` allows; its bytes are kept undecoded."""


class OptionError(Tb2csvError, ValueError):
    """An option has an invalid value, or conflicts with another; the command line exits with status 2."""


def check_choice(what: str, name: object, known: Collection[str]) -> None:
    """Raise OptionError if ``name`` is not one of the known ones; ``what`` is the noun of the message."""
    if not isinstance(name, str) or name not in known:
        raise OptionError(f"Unknown {what} {name!r}; choose from {', '.join(known)}.")


def check_type(name: str, value: object, types: type | tuple[type, ...], wanted: str) -> None:
    """Raise OptionError if the argument ``name`` is not of one of the types; ``wanted`` says what to give."""
    if not isinstance(value, types):
        message = f"{name} is {value!r}; give {wanted}."
        raise OptionError(message)


def check_flag(name: str, value: object) -> None:
    """Raise OptionError if the argument ``name`` is neither True nor False, because the text "no" counts as true."""
    check_type(name, value, bool, "True or False")


def check_whole_number(name: str, value: object, minimum: int) -> None:
    """Raise OptionError if the argument ``name`` is not a whole number of at least ``minimum``."""
    if not (isinstance(value, Integral) and int(value) >= minimum):
        message = f"{name} is {value!r}; give a whole number from {minimum}."
        raise OptionError(message)


class StateError(Tb2csvError):
    """A model's state cannot be read, or does not fit the model."""


class RecorderError(Tb2csvError):
    """A recorder cannot record, or could not write."""


class ClusterError(Tb2csvError):
    """A Dask cluster cannot be used, or was lost while it worked."""


class NameNotFoundError(Tb2csvError, KeyError):
    """A run, tag, step or table does not exist."""

    __str__ = Tb2csvError.__str__  # KeyError would quote the message


class MissingExtraError(Tb2csvError, ImportError):
    """A package that an extra of tb2csv installs is missing."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        """Report that ``what`` needs ``package``, which ``extra`` installs."""
        self._arguments = what, package, extra
        super().__init__(f"{what} needs {package}, which is not installed", advice(f"run {install_command(extra)}"))

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str, str]]:
        """Return the arguments for pickle."""
        return type(self), self._arguments


class LateInterrupt(KeyboardInterrupt):
    """An interrupt after an output was changed; ``str`` says how the output was left, without a full stop."""


#: What to do about a limit on what a file expands to.
RAISE_LIMIT: Final = advice("raise {} if you trust the file", "max_expansion")

#: A frame's length or its checksum is damaged; the payload's own checksum proves it, and the record was kept.
BAD_LENGTH_CRC: Final = "bad_length_crc"
#: A frame's payload fails its checksum; the record was skipped.
BAD_PAYLOAD_CRC: Final = "bad_payload_crc"
#: A frame was expected but does not start; bytes were skipped up to the next sound frame.
LOST_FRAMING: Final = "lost_framing"
#: The frame is sound, but its payload is not an Event in the protobuf wire format; the record was skipped.
MALFORMED_EVENT: Final = "malformed_event"
#: The file could not be opened, or not be read to its end.
UNREADABLE: Final = "unreadable"


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch of an event file that does not follow the format.

    ``offset`` and ``length`` are in bytes of the file. ``lost`` is true if the values in the stretch are missing from
    the result, and false if they were proven sound and kept.
    """

    path: str
    offset: int
    length: int
    kind: str
    detail: str
    lost: bool = True
    #: Whether the stretch expands to more than ``max_expansion`` allows.
    exceeds_limit: bool = False

    @property
    def message(self) -> Message:
        """What is wrong, and what to do."""
        return limit_message(self.detail, exceeds_limit=self.exceeds_limit)

    def to_data(self) -> list[int | str | bool]:
        """Return the stretch without its path, as data for JSON."""
        limited = [True] if self.exceeds_limit else []
        return [self.offset, self.length, self.kind, self.detail, self.lost, *limited]


def limit_message(detail: str, *, exceeds_limit: bool) -> Message:
    """Return the message on something that could not be read, with advice if it exceeds ``max_expansion``."""
    return Message(detail, (RAISE_LIMIT,) if exceeds_limit else ())
